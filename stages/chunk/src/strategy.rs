//! How a document is cut, as its rows say. Chosen once a document, by what its text is and how it begins.

use std::fmt;

/// How a document was cut: stored as `strategy` in the metadata of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// It fits one chunk.
    Whole,
    /// Source code: between its units, and within them at lines.
    Code,
    /// Mostly a table: between its rows, the header repeated. What else there is of it is cut as prose.
    Table,
    /// Anything else: at headings, paragraphs, sentences. Tables and fenced code in it stay whole where they fit.
    Prose,
}

impl Strategy {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Code => "code",
            Self::Table => "table",
            Self::Prose => "prose",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
