//! Word documents (docx) to Markdown, by `undoc`, once the archive has shown that it is no bomb. Equations and comments,
//! which it does not read, are added below the text.

use docmill_api::{StepContext, TextKind};
use undoc::render::{RenderOptions, to_markdown};

use crate::office::{Parts, Token, Xml, attribute};
use crate::reader::{Input, Parsed, ReadError, Reader, brief};
use crate::text::{first_heading, tidy, title};

/// Reads docx.
#[derive(Debug)]
pub(crate) struct DocxReader;

impl Reader for DocxReader {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        let mut parts = Parts::open(input.bytes, cx)?;
        let document = undoc::parse_bytes(input.bytes).map_err(read_error)?;
        if cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
        // Images are not stored, so a reference to one leads nowhere.
        let options =
            RenderOptions::new().with_images(false).with_include_headers_footers(true).with_preserve_breaks(true);
        let mut markdown = to_markdown(&document, &options).map_err(read_error)?;
        for block in beside(&mut parts, cx)? {
            markdown.push_str("\n\n");
            markdown.push_str(&block);
        }
        let markdown = tidy(&markdown);
        let mut parsed = Parsed::new("undoc", TextKind::Markdown, &*markdown);
        let named = document.metadata.title.as_deref().and_then(title);
        parsed.title = named.or_else(|| first_heading(&parsed.content));
        Ok(parsed)
    }
}

/// What undoc passes over: the letters of equations, and comments, each with who made it. None where a part cannot be
/// read: the text is there.
fn beside(parts: &mut Parts<'_>, cx: &StepContext) -> Result<Vec<String>, ReadError> {
    let mut found = Vec::new();
    for (part, element) in [("word/document.xml", "oMath"), ("word/comments.xml", "comment")] {
        if let Ok(Some(text)) = parts.text(part) {
            texts_of(&text, element, &mut found, cx)?;
        }
    }
    Ok(found)
}

/// The texts of all elements of a name, a line each.
fn texts_of(text: &str, name: &str, found: &mut Vec<String>, cx: &StepContext) -> Result<(), ReadError> {
    let mut xml = Xml::new(text, cx);
    let (mut label, mut words, mut inside) = (String::new(), String::new(), false);
    loop {
        match xml.next()? {
            Token::Open(element) => match element.local_name().as_ref() {
                local if local == name => {
                    inside = true;
                    label = match attribute(&element, "author") {
                        Some(author) if !author.is_empty() => format!("Comment ({author})"),
                        _ if name == "comment" => "Comment".to_owned(),
                        _ => "Equation".to_owned(),
                    };
                }
                "t" if inside => words.push_str(&xml.text()?),
                _ => {}
            },
            Token::Close(element) => match element.local_name().as_ref() {
                local if local == name => {
                    inside = false;
                    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
                    words.clear();
                    if !line.is_empty() {
                        found.push(format!("{label}: {line}"));
                    }
                }
                "p" | "br" | "tab" | "mr" | "e" if inside => words.push(' '),
                _ => {}
            },
            Token::Text(_) => {}
            Token::End => return Ok(()),
        }
    }
}

fn read_error(error: undoc::Error) -> ReadError {
    match error {
        undoc::Error::Encrypted => ReadError::Encrypted("a Word document that needs a password".to_owned()),
        error => ReadError::Broken(format!("docx: {}", brief(&error.to_string()))),
    }
}
