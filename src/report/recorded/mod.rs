//! What a recorded run tells when it is over: a [`Digest`], computed once from a recording. JSON is the digest itself;
//! Markdown and HTML are printed from it, so that the three cannot disagree.
//!
//! Apart from the run's own report, which a run writes of itself at its end: this one looks at the whole course of it,
//! and at two runs side by side. Pure: no file is read or written here.

mod changes;
mod compare;
mod digest;
mod failures;
mod html;
mod markdown;
mod series;
mod stages;
mod statistics;
#[cfg(test)]
mod tests;
mod verdict;
mod words;

use serde::Serialize;

use crate::monitor::Recording;

pub use changes::WidthChange;
pub use compare::{Comparison, Row, StageRow};
pub use digest::{Digest, Totals, end};
pub use failures::{Example, FailureGroup, SkipGroup};
pub use series::Series;
pub use stages::{Shares, StageDigest, StageSeries};
pub use statistics::{Effect, Mean};
pub use verdict::{Phase, Verdict};
pub use words::span;

/// The version of the digest's format. It grows when a field changes its meaning or goes; fields may be added.
pub const DIGEST_VERSION: u32 = 1;

/// A run, and the one that it is compared with.
#[derive(Clone, Debug, Serialize)]
pub struct RecordedRun {
    /// [`DIGEST_VERSION`].
    pub version: u32,
    /// The run.
    #[serde(flatten)]
    pub run: Digest,
    /// The run that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vs: Option<Digest>,
    /// What differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

impl RecordedRun {
    /// Makes the digests of a recording and of the one that it is compared with.
    #[must_use]
    pub fn new(recording: &Recording, vs: Option<&Recording>) -> Self {
        let run = Digest::of(recording);
        let vs = vs.map(Digest::of);
        let comparison = vs.as_ref().map(|vs| Comparison::of(&run, vs));
        Self { version: DIGEST_VERSION, run, vs, comparison }
    }

    /// As Markdown, to be put under a pull request.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::render(self)
    }

    /// As one HTML file that asks no network for anything.
    #[must_use]
    pub fn html(&self) -> String {
        html::render(self)
    }
}
