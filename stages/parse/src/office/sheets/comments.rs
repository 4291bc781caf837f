//! What an xlsx or xlsb sheet says beside its cells: comments and threaded comments, and the text of its drawings.
//! calamine does not read them; the parts are found through the sheet's relations.

use std::collections::BTreeMap;

use docmill_api::StepContext;

use crate::office::out::{Out, one_line};
use crate::office::parts::{Parts, Relation};
use crate::office::slides;
use crate::office::xml::{Token, Xml, attribute};
use crate::reader::ReadError;

/// Which part each sheet is, by its name.
#[derive(Debug, Default)]
pub(super) struct Extras {
    sheets: BTreeMap<String, String>,
}

impl Extras {
    /// Reads the workbook's list of sheets. Binary workbooks have theirs in records; their sheets are found by number.
    pub(super) fn find(parts: &mut Parts<'_>, cx: &StepContext) -> Result<Self, ReadError> {
        let book = parts.relations("", cx)?.into_iter().find(|relation| relation.kind == "officeDocument");
        let book = book.map_or_else(|| "xl/workbook.xml".to_owned(), |relation| relation.target);
        let relations = parts.relations(&book, cx)?;
        let mut sheets = BTreeMap::new();
        let Ok(Some(text)) = parts.text(&book) else { return Ok(Self { sheets }) };
        let mut xml = Xml::new(&text, cx);
        loop {
            match xml.next()? {
                Token::Open(element) if element.local_name().as_ref() == "sheet" => {
                    let id = attribute(&element, "r:id").or_else(|| attribute(&element, "id")).unwrap_or_default();
                    let target = relations.iter().find(|relation| relation.id == id);
                    if let (Some(name), Some(target)) = (attribute(&element, "name"), target) {
                        sheets.insert(name.into_owned(), target.target.clone());
                    }
                }
                Token::End => return Ok(Self { sheets }),
                _ => {}
            }
        }
    }

    /// What a sheet says beside its cells. A part that cannot be read is passed over: the cells are there.
    pub(super) fn beside(&self, sheet: &str, parts: &mut Parts<'_>, cx: &StepContext) -> Result<String, ReadError> {
        let mut out = Out::default();
        let Some(part) = self.sheets.get(sheet) else { return Ok(String::new()) };
        let relations = parts.relations(part, cx)?;
        let threaded = relations.iter().any(|relation| relation.kind == "threadedComment");
        let mut said = Vec::new();
        let mut drawn = Vec::new();
        for Relation { kind, target, .. } in &relations {
            match kind.as_str() {
                // The plain comments of a sheet with threads repeat them for programs that know none.
                "comments" if threaded => {}
                "comments" | "threadedComment" => {
                    if let Ok(Some(text)) = parts.text(target) {
                        read_comments(&text, &mut said, cx)?;
                    }
                }
                "drawing" => drawn.push(target.clone()),
                _ => {}
            }
        }
        if !said.is_empty() {
            out.block("Comments:")?;
            out.block(&said.iter().map(|comment| format!("- {comment}\n")).collect::<String>())?;
        }
        for drawing in drawn {
            slides::write_drawing(&drawing, parts, &mut out, cx)?;
        }
        Ok(out.into_text())
    }
}

/// `A1 (author): text`, one a comment.
fn read_comments(text: &str, said: &mut Vec<String>, cx: &StepContext) -> Result<(), ReadError> {
    let mut xml = Xml::new(text, cx);
    let mut authors: Vec<String> = Vec::new();
    let (mut place, mut author) = (String::new(), String::new());
    loop {
        match xml.next()? {
            Token::Open(element) => match element.local_name().as_ref() {
                "author" => authors.push(one_line(&xml.text()?)),
                "comment" | "threadedComment" => {
                    place = attribute(&element, "ref").unwrap_or_default().into_owned();
                    let number = attribute(&element, "authorId").and_then(|id| id.parse::<usize>().ok());
                    author = number.and_then(|number| authors.get(number).cloned()).unwrap_or_default();
                }
                "text" => {
                    let words = one_line(&xml.text()?);
                    // Office writes the author into the text, in bold, as its first line.
                    let words = words.strip_prefix(&format!("{author}: ")).unwrap_or(&words);
                    if words.is_empty() {
                        continue;
                    }
                    let by = if author.is_empty() { String::new() } else { format!(" ({author})") };
                    said.push(format!("{place}{by}: {words}"));
                }
                _ => {}
            },
            Token::End => return Ok(()),
            Token::Close(_) | Token::Text(_) => {}
        }
    }
}
