//! What advice consists of. Who shows it and who acts on it read the same.

use serde::{Deserialize, Serialize};

use super::Bottleneck;

/// What the tuner makes of a run now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Advice {
    /// What bounds throughput over the last seconds.
    pub bottleneck: Bottleneck,
    /// Whether it is sure of that: `high`, `medium` or `low`.
    pub confidence: String,
    /// What is worth changing, the best first; empty where nothing is.
    pub proposals: Vec<Proposal>,
    /// What else is worth knowing, a sentence each.
    pub notes: Vec<String>,
    /// What changes of width brought, the latest at the end.
    pub outcomes: Vec<Outcome>,
}

/// A change that is worth making.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proposal {
    /// The widths to change together: stage, before, after.
    pub changes: Vec<Change>,
    /// What it would bring.
    pub prediction: Prediction,
    /// Why, in a sentence.
    pub because: String,
}

/// A width to be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// The stage.
    pub stage: String,
    /// Its width now.
    pub from: usize,
    /// Its width then.
    pub to: usize,
}

/// What a run would do with other widths.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Prediction {
    /// Documents that come to an end in a second, now.
    pub now: f64,
    /// Documents a second then.
    pub then: f64,
    /// Nine times of ten at least this many.
    pub low: f64,
    /// Nine times of ten at most this many.
    pub high: f64,
    /// CPUs in use then.
    pub cpus: f64,
    /// Bytes in flight then.
    pub memory: f64,
    /// What would bound throughput then: a stage and what of it is scarce.
    pub limit: Bottleneck,
    /// Whether a width goes beyond twice what was ever seen: then it is a guess.
    pub extrapolated: bool,
}

/// What a change of width brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// What was changed.
    pub change: Change,
    /// Who changed it.
    pub by: String,
    /// When, in seconds from the run's start.
    pub at: f64,
    /// By how much throughput was to grow, as a share: 0.35 for 35 %; none where nothing was predicted.
    pub predicted: Option<f64>,
    /// By how much it did grow.
    pub measured: f64,
    /// The interval that the measurement lies in, as shares.
    pub within: (f64, f64),
    /// Whether the tuner took it back since it brought too little.
    pub reverted: bool,
}

/// Something that a person should look at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alert {
    /// Which rule: `queue_full`, `stalled`, `error_rate`, `throttled`, `memory`, `slow_document`.
    pub rule: String,
    /// Where; empty for the whole run.
    pub stage: String,
    /// In words.
    pub text: String,
    /// Since when, in seconds from the run's start.
    pub since: f64,
}
