//! Workers on other machines, as they tell of themselves.

use serde::{Deserialize, Serialize};

/// How many workers a snapshot tells of one by one; beyond, the counts go on.
pub const TOLD: usize = 64;

/// The workers of a run that is shared by several machines; nobody where it is not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetSnapshot {
    /// The stage of this run that stands for what they do; empty where the run is not shared.
    pub stage: String,
    /// How many are there.
    pub alive: usize,
    /// How many were there and have gone.
    pub gone: usize,
    /// Documents that they have in hand, all together.
    pub in_hand: usize,
    /// Documents a second that they bring to an end, all together.
    pub documents_per_second: f64,
    /// Those that are there first, each by its name; up to [`TOLD`].
    pub workers: Vec<WorkerSnapshot>,
}

impl FleetSnapshot {
    /// Whether the run is not shared by several machines.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.stage.is_empty()
    }
}

/// A worker, as it was when it last told of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerSnapshot {
    /// Its name: the machine's and some letters more.
    pub id: String,
    /// Its machine.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Its version of docmill.
    pub version: String,
    /// How long it has been working, in seconds.
    pub seconds: f64,
    /// How long ago it told this, in seconds.
    pub heard_seconds: f64,
    /// Whether it is there still.
    pub alive: bool,
    /// Among how many workers it shares what model services allow, itself counted; 0 before it has heard of any.
    pub among: usize,
    /// How many documents it has in hand at most.
    pub at_once: usize,
    /// How many it has in hand.
    pub in_hand: usize,
    /// Documents that ended here: done, skipped or failed.
    pub documents: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Documents a second, over the last seconds.
    pub documents_per_second: f64,
    /// CPUs that it keeps busy.
    pub cpus_used: f64,
    /// CPUs that it may use.
    pub cpus: f64,
    /// Bytes of memory that it holds.
    pub rss_bytes: u64,
    /// Its stages that have a width.
    pub stages: Vec<WorkerStage>,
}

/// A stage of a worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerStage {
    /// Its id.
    pub id: String,
    /// Its width.
    pub width: usize,
    /// The share of its workers' time that they are busy.
    pub busy: f64,
}

/// Who knows the workers of a run, and tells them what is wanted.
pub trait Fleet: Send + Sync {
    /// As they are now.
    fn workers(&self) -> FleetSnapshot;

    /// Has a stage's width changed, of the worker of this name or of all; says what does not make sense of it.
    ///
    /// # Errors
    /// There is no such worker or stage.
    fn order(&self, worker: &str, stage: &str, width: usize) -> Result<(), String>;
}
