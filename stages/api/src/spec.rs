//! How a stage describes itself. `docmill stages`, the reference documentation and every complaint about a
//! configuration are printed from it, so it is written once, beside the code.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::PayloadKind;

/// Where a stage's work runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Async tasks.
    Io,
    /// The bounded CPU pool, or child processes.
    Cpu,
    /// Async calls to a model, with limits.
    Service,
}

impl Tier {
    /// `io`, `cpu` or `service`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Io => "io",
            Self::Cpu => "cpu",
            Self::Service => "service",
        }
    }
}

/// How often one record is tried, unless its kind or its table says otherwise.
pub const ATTEMPTS: u32 = 3;

/// A stage's description.
#[derive(Clone, Debug, Serialize)]
pub struct StageSpec {
    /// One sentence: what it does.
    pub summary: &'static str,
    /// What it takes, or may be told to take ([`crate::StageFactory::ports`]); empty for a source.
    pub takes: &'static [PayloadKind],
    /// What it gives, or may be told to give; empty for a sink.
    pub gives: &'static [PayloadKind],
    /// Where its work runs.
    pub tier: Tier,
    /// Its own fields; those that every stage has (width, queue, timeout …) are the engine's.
    pub fields: Vec<FieldSpec>,
    /// For a stage or sink that takes batches: how large they are unless set.
    pub batch: Option<BatchDefaults>,
    /// How many records it works on at once unless set; `None` for as many as there are CPUs.
    pub width: Option<u32>,
    /// How long one record or batch may take unless set.
    pub timeout: Duration,
    /// How often one record is tried unless set, the first attempt included.
    pub attempts: u32,
    /// Media types that it accepts unless `accept` is set, `*` at the end of a pattern; empty for all.
    pub accepts: &'static [&'static str],
    /// What it guarantees, in a sentence or two.
    pub guarantees: &'static str,
    /// A stage table in TOML that works.
    pub example: &'static str,
}

/// The size of a batch. It is handed over when one of the three is reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BatchDefaults {
    /// Items: chunks, or records where a record holds none.
    pub items: usize,
    /// Tokens.
    pub tokens: u64,
    /// The age of its oldest item.
    pub wait: Duration,
}

/// One field of a stage's table.
#[derive(Clone, Debug, Serialize)]
pub struct FieldSpec {
    /// The key.
    pub name: &'static str,
    /// What it may hold.
    pub ty: FieldType,
    /// What it holds unless set; `None` where it must be set.
    pub default: Option<Value>,
    /// One sentence: what it does, in which unit.
    pub doc: &'static str,
    /// Whether another value gives other rows. Only such fields are part of the fingerprint.
    pub changes_output: bool,
}

impl FieldSpec {
    /// A field with a default that does not change the output.
    #[must_use]
    pub fn new(name: &'static str, ty: FieldType, default: Value, doc: &'static str) -> Self {
        Self { name, ty, default: Some(default), doc, changes_output: false }
    }

    /// The same field, marked as changing the output.
    #[must_use]
    pub fn output(mut self) -> Self {
        self.changes_output = true;
        self
    }

    /// The same field without a default: it must be set.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.default = None;
        self
    }
}

/// What a field may hold.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldType {
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds, both included.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A number within bounds, both included.
    Number {
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// A text.
    Text,
    /// One of some words, or the name of a table in `[providers]` whose kind is one of them.
    Provider(&'static [&'static str]),
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A size: `"10MiB"`, or a number of bytes.
    Size,
    /// A time: `"30s"`, `"5m"`.
    Duration,
    /// A list of one type.
    List(Box<FieldType>),
    /// A table with these keys.
    Table(Vec<FieldSpec>),
    /// A table with keys of the user's choosing, all of one type.
    Map(Box<FieldType>),
    /// Whatever TOML can say: for values that somebody else checks, such as a program of the user's.
    Any,
}

impl FieldType {
    /// What a complaint calls it: `a whole number from 1 to 8`, `a size such as "10MiB"`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Bool => "true or false".into(),
            Self::Integer { min, max } if *max == i64::MAX => format!("a whole number of at least {min}"),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number { min, max } if *max == f64::MAX => format!("a number of at least {min}"),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Text => "a text".into(),
            Self::Provider(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("{} or the name of a table in `[providers]`", quoted.join(", "))
            }
            Self::Choice(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Size => "a size such as \"10MiB\"".into(),
            Self::Duration => "a time such as \"30s\"".into(),
            Self::List(of) => format!("a list, each {}", of.describe()),
            Self::Table(_) | Self::Map(_) => "a table".into(),
            Self::Any => "any value".into(),
        }
    }
}
