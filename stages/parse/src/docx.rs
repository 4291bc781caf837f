//! Word documents (docx) to Markdown, by `undoc`, once the archive has shown that it is no bomb.

use docmill_api::{StepContext, TextKind};
use undoc::render::{RenderOptions, to_markdown};

use crate::package;
use crate::reader::{Input, Parsed, ReadError, Reader, brief};
use crate::text::{first_heading, tidy, title};

/// Reads docx.
#[derive(Debug)]
pub(crate) struct DocxReader;

impl Reader for DocxReader {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        package::check_parts(input.bytes, cx)?;
        let document = undoc::parse_bytes(input.bytes).map_err(read_error)?;
        if cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
        // Images are not stored, so a reference to one leads nowhere.
        let markdown = to_markdown(&document, &RenderOptions::new().with_images(false)).map_err(read_error)?;
        let markdown = tidy(&markdown);
        let mut parsed = Parsed::new("undoc", TextKind::Markdown, &*markdown);
        let named = document.metadata.title.as_deref().and_then(title);
        parsed.title = named.or_else(|| first_heading(&parsed.content));
        Ok(parsed)
    }
}

fn read_error(error: undoc::Error) -> ReadError {
    match error {
        undoc::Error::Encrypted => ReadError::Encrypted("a Word document that needs a password".to_owned()),
        error => ReadError::Broken(format!("docx: {}", brief(&error.to_string()))),
    }
}
