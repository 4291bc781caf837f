//! EPUB books: the chapters in reading order, each through the HTML reader's converter (whole: picking a page's main
//! content would drop chapters), each a page of the text. What the package says is read by `package_document`.

mod package_document;

use std::collections::HashSet;
use std::io::{ErrorKind, Read};

use docmill_api::{Page, StepContext, TextKind};

use self::package_document::Book;
use crate::reader::{Input, Parsed, ReadError, Reader, brief};
use crate::text::{first_heading, title};
use crate::{encoding, html, package};

/// Reads EPUB.
#[derive(Debug)]
pub(crate) struct EpubReader;

/// Inflated markup of a whole book: the longest novels have some 5 MiB of it.
const MAX_MARKUP: u64 = 128 << 20;

impl Reader for EpubReader {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        package::check_parts(input.bytes, cx)?;
        let mut parts = Parts::open(input.bytes)?;
        let container = parts.text("META-INF/container.xml")?;
        let path = container.as_deref().and_then(package_document::path);
        let path = path.ok_or_else(|| ReadError::Broken("a book whose container names no package".to_owned()))?;
        let package = parts.text(&path)?;
        let package =
            package.ok_or_else(|| ReadError::Broken(format!("a book without its package `{}`", brief(&path))))?;
        let book = package_document::read(&package, &path)?;
        if let Some(locks) = parts.text("META-INF/encryption.xml")? {
            refuse_locked(&book, &package_document::locked(&locks))?;
        }
        let mut parsed = chapters(&book, &mut parts, cx)?;
        parsed.title = book.title.as_deref().and_then(title).or_else(|| first_heading(&parsed.content));
        Ok(if book.authors.is_empty() { parsed } else { parsed.note("author", book.authors.join(", ")) })
    }
}

/// Fonts may be obscured in an open book; chapters may not.
fn refuse_locked(book: &Book, locked: &HashSet<String>) -> Result<(), ReadError> {
    match book.chapters.iter().any(|chapter| locked.contains(chapter)) {
        true => Err(ReadError::Encrypted("a book whose chapters are locked (DRM)".to_owned())),
        false => Ok(()),
    }
}

/// The text of all chapters, one after another.
fn chapters(book: &Book, parts: &mut Parts<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
    let (mut text, mut pages, mut lost) = (String::new(), Vec::new(), 0_usize);
    let mut seen = HashSet::new();
    for (number, path) in (1_u32..).zip(&book.chapters) {
        if cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
        // A part that is named twice is read once: the order of reading may come back to a cover.
        if !seen.insert(path) {
            continue;
        }
        let Some(chapter) = parts.text(path)? else {
            lost += 1;
            continue;
        };
        let markdown = html::fragment(&chapter, cx)?;
        let markdown = markdown.trim();
        if !markdown.is_empty() {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            pages.push(Page { offset: text.len(), number });
            text.push_str(markdown);
        }
    }
    if lost * 2 > seen.len() {
        let all = seen.len();
        return Err(ReadError::Broken(match &parts.damage {
            Some(why) => format!("{lost} of {all} chapters cannot be read: {why}"),
            None => format!("{lost} of {all} chapters are not in the archive"),
        }));
    }
    let mut parsed = Parsed::new("epub", TextKind::Markdown, text);
    parsed.pages = pages;
    Ok(if lost > 0 { parsed.note("chapters_lost", lost) } else { parsed })
}

/// The archive's parts as text, within one budget for all of them: the sizes that an archive declares may be lies.
struct Parts<'a> {
    archive: package::Archive<'a>,
    left: u64,
    /// Why the last part that is there could not be read.
    damage: Option<String>,
}

impl<'a> Parts<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, ReadError> {
        Ok(Self { archive: package::open(bytes)?, left: MAX_MARKUP, damage: None })
    }

    /// One part, decoded; `None` where there is no such part, or no text in it.
    fn text(&mut self, path: &str) -> Result<Option<String>, ReadError> {
        let Ok(part) = self.archive.by_name(path) else { return Ok(None) };
        let mut bytes = Vec::new();
        match part.take(self.left + 1).read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::OutOfMemory => {
                return Err(ReadError::TooLarge("a chapter that memory does not hold".to_owned()));
            }
            Err(error) => {
                self.damage = Some(brief(&error.to_string()));
                return Ok(None);
            }
        }
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| ReadError::TooLarge(format!("over {} MiB of markup when inflated", MAX_MARKUP >> 20)))?;
        let declared = html::declared_charset(&bytes);
        Ok(encoding::decode(&bytes.into(), declared.as_deref()).map(|decoded| decoded.text.into()))
    }
}
