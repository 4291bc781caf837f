//! What a stage says when it cannot go on. The class is an instruction to the engine, not a description.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::PayloadKind;

/// What the engine does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ErrorClass {
    /// Try again, within the stage's `retry`.
    Transient,
    /// Try again later: the other side is busy or away, and the document is not to blame. It uses up none of
    /// `retry.attempts`; once `retry.total` is over, the run ends as with [`ErrorClass::Exhausted`].
    Overload,
    /// This document fails for good; the run goes on.
    Rejected,
    /// Nothing more is to be had for now (a quota is used up): the run takes in no further document, finishes what does
    /// not need it, and ends, resumably.
    Exhausted,
    /// The run stops, resumably: nothing that follows could succeed (wrong key, no permission, disk full).
    Fatal,
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Overload => "overload",
            Self::Rejected => "rejected",
            Self::Exhausted => "exhausted",
            Self::Fatal => "fatal",
        })
    }
}

/// A stage's error: a class for the engine and a sentence for the user.
///
/// The sentence is lower-case, without a full stop, names the thing, then the cause: it is shown after
/// the document's name. Secrets and document content have no place in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct StageError {
    /// What the engine does next.
    pub class: ErrorClass,
    /// What happened.
    pub message: String,
    /// With [`ErrorClass::Transient`] and [`ErrorClass::Overload`]: how long the other side asked to be left alone.
    #[serde(default)]
    pub retry_after: Option<Duration>,
}

impl StageError {
    /// Worth another attempt: a timeout, a dropped connection, a server that is busy.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Transient, message: message.into(), retry_after: None }
    }

    /// The other side is busy, or away: try again later, and blame nobody.
    #[must_use]
    pub fn overload(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Overload, ..Self::transient(message) }
    }

    /// Nothing more is to be had until somebody pays or time passes.
    #[must_use]
    pub fn exhausted(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Exhausted, ..Self::transient(message) }
    }

    /// Whether another attempt may end better.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self.class, ErrorClass::Transient | ErrorClass::Overload)
    }

    /// Whether it ends the run rather than the document.
    #[must_use]
    pub fn ends_the_run(&self) -> bool {
        matches!(self.class, ErrorClass::Exhausted | ErrorClass::Fatal)
    }

    /// This document will not work, however often it is tried.
    #[must_use]
    pub fn rejected(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Rejected, message: message.into(), retry_after: None }
    }

    /// Nothing will work until somebody mends something.
    #[must_use]
    pub fn fatal(message: impl Into<String>) -> Self {
        Self { class: ErrorClass::Fatal, message: message.into(), retry_after: None }
    }

    /// A payload of a kind that the stage does not take: the plan prevents it, so it names a defect.
    #[must_use]
    pub fn unexpected(kind: PayloadKind) -> Self {
        Self::rejected(format!("this stage does not take {kind}"))
    }

    /// The same error with the delay that the other side asked for.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The same error with `what` before its message, as `what: message`.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}
