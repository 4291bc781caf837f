//! The text that an office reader builds: blocks with blank lines between them, the places where pages begin, and an end
//! to how much of it there may be. Knows Markdown's headings and nothing of any format.

use docmill_api::{Page, TextKind};

use crate::reader::{Parsed, ReadError};
use crate::text::{first_heading, tidy};

/// As much text as one document may give. The longest novels have some 10 MB; a table of three million cells has about
/// this. Text is held twice while it is handed on, and a child process has 1 GiB for everything.
pub(super) const MAX_TEXT: usize = 64 << 20;

/// Refuses what would be more text than a document may give.
pub(super) fn check_length(length: usize) -> Result<(), ReadError> {
    if length > MAX_TEXT {
        return Err(ReadError::TooLarge(format!("over {} MiB of text", MAX_TEXT >> 20)));
    }
    Ok(())
}

/// Text under way.
#[derive(Debug, Default)]
pub(super) struct Out {
    text: String,
    pages: Vec<Page>,
    /// Whether what was put last is a line that another may follow.
    in_lines: bool,
}

impl Out {
    /// A paragraph, a list or a table, tidied; nothing where it is blank.
    pub(super) fn block(&mut self, block: &str) -> Result<(), ReadError> {
        self.in_lines = false;
        self.put(block, "\n\n")
    }

    /// A line that belongs to the line before it: an item of a list.
    pub(super) fn line(&mut self, line: &str) -> Result<(), ReadError> {
        let separator = if std::mem::replace(&mut self.in_lines, true) { "\n" } else { "\n\n" };
        self.put(line, separator)
    }

    /// Says that the next line begins another list.
    pub(super) fn end_lines(&mut self) {
        self.in_lines = false;
    }

    fn put(&mut self, block: &str, separator: &str) -> Result<(), ReadError> {
        let block = tidy(block);
        let block = block.trim_matches('\n').trim_end();
        if block.trim().is_empty() {
            return Ok(());
        }
        check_length(self.text.len() + block.len())?;
        if !self.text.is_empty() {
            self.text.push_str(separator);
        }
        self.text.push_str(block);
        Ok(())
    }

    /// A heading of level 1 to 6, on one line.
    pub(super) fn heading(&mut self, level: usize, text: &str) -> Result<(), ReadError> {
        let line = one_line(text);
        if line.is_empty() {
            return Ok(());
        }
        self.block(&format!("{} {line}", "#".repeat(level.clamp(1, 6))))
    }

    /// Says that what comes next is a new page, slide or sheet.
    pub(super) fn begin_page(&mut self) {
        self.in_lines = false;
        // Pages are separated from what comes before them, so the next block begins behind a blank line.
        let offset = if self.text.is_empty() { 0 } else { self.text.len() + 2 };
        let number = u32::try_from(self.pages.len() + 1).unwrap_or(u32::MAX);
        self.pages.push(Page { offset, number });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// All that was put, as the blocks of another text.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// The document, with its title or else its first heading.
    pub(super) fn finish(mut self, reader: &'static str, title: Option<String>) -> Parsed {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        // A page without a word begins where the text ends.
        let end = self.text.len();
        self.pages.iter_mut().for_each(|page| page.offset = page.offset.min(end));
        let mut parsed = Parsed::new(reader, TextKind::Markdown, self.text);
        parsed.title = title.or_else(|| first_heading(&parsed.content));
        parsed.pages = self.pages;
        parsed
    }
}

/// The words of a text on one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_begin_where_their_first_block_does() {
        let mut out = Out::default();
        out.begin_page();
        out.heading(2, "one\n page").expect("short");
        out.begin_page();
        out.begin_page();
        out.block("\nthird\n").expect("short");
        let parsed = out.finish("x", None);
        assert_eq!(&*parsed.content, "## one page\n\nthird\n");
        let at: Vec<&str> = parsed.pages.iter().map(|page| &parsed.content[page.offset..]).collect();
        assert_eq!(at, ["## one page\n\nthird\n", "third\n", "third\n"]);
        assert_eq!(parsed.title.as_deref(), Some("one page"));
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut out = Out::default();
        let block = "x".repeat(MAX_TEXT - 10);
        out.block(&block).expect("just below");
        assert_eq!(out.block("eleven more"), Err(ReadError::TooLarge("over 64 MiB of text".into())));
    }
}
