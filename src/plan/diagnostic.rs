//! A complaint: what is wrong, where, and how to mend it. Complaints are collected and shown all at once, so nothing
//! here stops at the first. How one looks on a terminal is `config::render`'s business.

use std::fmt;

use serde::Serialize;

/// Whether a complaint stops the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// A place in the pipeline file, with the line itself so that a complaint can be shown without the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file as the user named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The whole line, without its end.
    pub text: String,
    /// How many characters of the line are meant; at least one.
    pub length: usize,
}

/// Where a complaint belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A place in the file.
    File(Location),
    /// The file as a whole.
    Whole(String),
    /// An environment variable, by name.
    Environment(String),
    /// A `--set`, as written.
    Set(String),
}

impl Place {
    /// Whole files before lines, lines before variables, variables before `--set`.
    fn rank(&self) -> (u8, usize, usize, &str) {
        match self {
            Self::Whole(file) => (0, 0, 0, file),
            Self::File(at) => (1, at.line, at.column, ""),
            Self::Environment(name) => (2, 0, 0, name),
            Self::Set(text) => (3, 0, 0, text),
        }
    }
}

/// One complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// One of [`super::codes`].
    pub code: &'static str,
    /// Whether it stops the command.
    pub severity: Severity,
    /// What is wrong: lower-case, without a full stop, naming the thing.
    pub message: String,
    /// Where.
    pub place: Place,
    /// How to mend it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A complaint that stops the command.
    #[must_use]
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), place, help: None }
    }

    /// A complaint that does not stop the command.
    #[must_use]
    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, place, message) }
    }

    /// The same complaint with a way to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Every complaint about a configuration, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Brings complaints into the order of their places; two of one place keep theirs.
    #[must_use]
    pub fn new(mut all: Vec<Diagnostic>) -> Self {
        all.sort_by(|one, other| one.place.rank().cmp(&other.place.rank()));
        all.dedup();
        Self(all)
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Whether one of them stops the command.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|one| one.severity == Severity::Error)
    }

    /// As a list.
    #[must_use]
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Self {
        Self(vec![one])
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<&str> = self.iter().map(|one| one.message.as_str()).collect();
        f.write_str(&messages.join("; "))
    }
}

impl std::error::Error for Diagnostics {}
