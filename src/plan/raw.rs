//! The merged configuration before anything is known of its meaning: values, who set each, and where in the file.
//!
//! `config` makes it; the plan reads it and never sees a file, a variable or an argument.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use serde_json::Value;

use super::diagnostic::{Diagnostic, Location, Place};

/// Which layer said a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: the built-in default.
    Default,
    /// The pipeline file.
    File {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// An environment variable.
    Env {
        /// Its name.
        name: String,
    },
    /// A `--set`.
    Set {
        /// As written: `KEY=VALUE`.
        text: String,
    },
}

impl Origin {
    /// As `config --origin` shows it.
    #[must_use]
    pub fn describe(&self, file: &str) -> String {
        match self {
            Self::Default => "default".into(),
            Self::File { line, column } => format!("{file}:{line}:{column}"),
            Self::Env { name } => format!("${name}"),
            Self::Set { text } => format!("--set {text}"),
        }
    }
}

/// Where a key and its value stand, as byte ranges of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    /// The key, as in a table's header.
    pub key: Range<usize>,
    /// The value; the key again where a table has no one place.
    pub value: Range<usize>,
}

/// The merged configuration.
#[derive(Clone, Debug)]
pub struct RawPipeline {
    /// All layers merged, in the order of the file. The stages' own defaults are not in it: the plan adds them.
    pub values: Value,
    /// Who set each value and table.
    pub origins: BTreeMap<Vec<String>, Origin>,
    /// Where the file has each key, list items by their position.
    pub spans: BTreeMap<Vec<String>, Spans>,
    /// The file's text.
    pub text: String,
    /// The file as the user named it.
    pub file: String,
    /// The directory of the file, absolute.
    pub base: PathBuf,
    /// Complaints about variables and `--set` that said nothing usable: the plan shows them with its own.
    pub complaints: Vec<Diagnostic>,
}

impl RawPipeline {
    /// The value at a path.
    #[must_use]
    pub fn get(&self, path: &[String]) -> Option<&Value> {
        path.iter().try_fold(&self.values, |value, key| match value {
            Value::Object(table) => table.get(key),
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Who set the value at a path.
    #[must_use]
    pub fn origin(&self, path: &[String]) -> Origin {
        self.origins.get(path).cloned().unwrap_or(Origin::Default)
    }

    /// Where a complaint about the key at `path` belongs; for a key that nobody set, the table that it is missing from.
    #[must_use]
    pub fn key(&self, path: &[String]) -> Place {
        self.place(path, |spans| spans.key.clone())
    }

    /// Where a complaint about the value at `path` belongs.
    #[must_use]
    pub fn value(&self, path: &[String]) -> Place {
        self.place(path, |spans| spans.value.clone())
    }

    fn place(&self, path: &[String], part: impl Fn(&Spans) -> Range<usize>) -> Place {
        for length in (1..=path.len()).rev() {
            let prefix = &path[..length];
            match (self.origins.get(prefix), self.spans.get(prefix)) {
                (Some(Origin::Env { name }), _) => return Place::Environment(name.clone()),
                (Some(Origin::Set { text }), _) => return Place::Set(text.clone()),
                (Some(Origin::File { .. }), Some(spans)) if length == path.len() => return self.at(&part(spans)),
                (Some(Origin::File { .. }), Some(spans)) => return self.at(&spans.key),
                _ => {}
            }
        }
        Place::Whole(self.file.clone())
    }

    /// The place of a byte range of the file.
    #[must_use]
    pub fn at(&self, range: &Range<usize>) -> Place {
        Place::File(locate(&self.file, &self.text, range))
    }
}

/// Turns a byte range into line, column and length in characters. A range over several lines means the first.
#[must_use]
pub fn locate(file: &str, text: &str, range: &Range<usize>) -> Location {
    let start = floor_boundary(text, range.start);
    let end = floor_boundary(text, range.end).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |position| position + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |position| start + position);
    let line = text[line_start..line_end].trim_end_matches('\r').trim_start_matches('\u{feff}');
    let before = text[line_start..start].trim_start_matches('\u{feff}').chars().count();
    Location {
        file: file.to_owned(),
        line: text[..line_start].matches('\n').count() + 1,
        // What is missing at the end of a line is missing before its `\r`.
        column: before.min(line.chars().count()) + 1,
        text: line.to_owned(),
        length: text[start..end.min(line_end)].trim_end().chars().count().max(1),
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|position| text.is_char_boundary(*position)).unwrap_or(0)
}

/// A path as TOML writes it: `stages.chunk.types.".py".tokens`. Not as it writes values: a key stands on one line.
#[must_use]
pub fn dotted(path: &[String]) -> String {
    path.iter().map(|key| toml_edit::Key::new(key.as_str()).to_string()).collect::<Vec<_>>().join(".")
}
