//! What all readers share: what they are given, what they give back, how they fail. A reader knows one family of formats
//! and nothing of records; the stage around them knows records and no format.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use docmill_api::{Block, ByteString, Outputs, Page, StageError, StepContext, TextKind};
use serde_json::{Map, Value};

/// A document's bytes and what is known of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    /// Not empty.
    pub(crate) bytes: &'a Bytes,
    /// The `charset` of its media type, where one was told.
    pub(crate) charset: Option<&'a str>,
}

/// A document's text, as a reader gives it.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// UTF-8, line ends `\n`.
    pub(crate) content: ByteString,
    pub(crate) kind: TextKind,
    pub(crate) title: Option<String>,
    /// Where pages begin, ascending.
    pub(crate) pages: Vec<Page>,
    /// Syntactic units of source code, ascending, an outer one before those in it.
    pub(crate) blocks: Vec<Block>,
    /// Whether line `n` of the content is line `n` of the original.
    pub(crate) lines: bool,
    /// Who read it: stored with the document.
    pub(crate) reader: &'static str,
    /// What else is worth storing: an encoding that was guessed, pages that were lost.
    pub(crate) notes: Map<String, Value>,
}

impl Parsed {
    /// Text without title, pages or notes. What a string has room for beyond its text is given back.
    pub(crate) fn new(reader: &'static str, kind: TextKind, content: impl Into<Box<str>>) -> Self {
        Self::of(reader, kind, content.into().into())
    }

    /// The same of a text that is shared.
    pub(crate) fn of(reader: &'static str, kind: TextKind, content: ByteString) -> Self {
        Self {
            content,
            kind,
            title: None,
            pages: Vec::new(),
            blocks: Vec::new(),
            lines: false,
            reader,
            notes: Map::new(),
        }
    }

    /// The same with a note.
    pub(crate) fn note(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.notes.insert(key.to_owned(), value.into());
        self
    }
}

/// Marks a document whose structure could not be read and whose text was taken without it.
pub(crate) const PLAIN_TEXT_NOTE: (&str, &str) = ("parsed", "plain text");

/// Why there is no text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ReadError {
    /// It needs a password.
    Encrypted(String),
    /// It is not what it says it is, or damaged.
    Broken(String),
    /// It would grow beyond what is reasonable.
    TooLarge(String),
    /// Nothing wrong with it, and nothing in it that this stage reads.
    Skipped(String),
    /// The stage's time ended, or the result is no longer wanted.
    OutOfTime,
}

impl ReadError {
    /// What the engine is told: failures are errors, the rest is a skip.
    pub(crate) fn into_outputs(self) -> Result<Outputs, StageError> {
        Err(StageError::rejected(match self {
            Self::Skipped(reason) => return Ok(Outputs::skipped(reason)),
            Self::Encrypted(reason) => format!("encrypted: {reason}"),
            Self::Broken(reason) => format!("broken: {reason}"),
            Self::TooLarge(reason) => format!("too large: {reason}"),
            Self::OutOfTime => "out of time while it was read".to_owned(),
        }))
    }
}

/// Reads one family of formats.
pub(crate) trait Reader {
    /// Gives the document's text. Looks at `cx` in long loops and between attempts.
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError>;
}

/// Runs a reader so that its panic is its error: other people's parsers panic on what they did not foresee.
pub(crate) fn contained<T>(read: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|panic| Err(ReadError::Broken(format!("its reader panicked: {}", panic_text(&*panic)))))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    brief(text.unwrap_or("without a message"))
}

/// A foreign message fit for one line: control characters out, at most 160 characters.
pub(crate) fn brief(message: &str) -> String {
    let line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect();
    line.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_readers_error() {
        let outcome: Result<(), _> = contained(|| panic!("index 7 out of\nrange"));
        let Err(ReadError::Broken(reason)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(reason, "its reader panicked: index 7 out of range");
    }
}
