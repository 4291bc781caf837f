//! What a run looks like at one moment. Everything that is shown anywhere is in it.

use std::collections::BTreeMap;

use docmill_api::ServiceReport;
use serde::Serialize;

/// A run at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// The run's id.
    pub run: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it has been running.
    pub seconds: f64,
    /// Whether every source has listed all it has.
    pub listed: bool,
    /// Whether all documents have ended and the stores build their indexes.
    pub indexing: bool,
    /// Whether sources are paused.
    pub paused: bool,
    /// Documents, by state.
    pub documents: DocumentCounts,
    /// Bytes of the documents that were read.
    pub bytes: u64,
    /// Chunks of finished documents.
    pub chunks: u64,
    /// Tokens of finished documents.
    pub tokens: u64,
    /// Rows of finished documents.
    pub rows: u64,
    /// Bytes of documents in flight now.
    pub memory_used: u64,
    /// The most bytes in flight.
    pub memory_peak: u64,
    /// The memory budget.
    pub memory_budget: u64,
    /// In topological order.
    pub stages: Vec<StageSnapshot>,
    /// Model services, by name.
    pub services: BTreeMap<String, ServiceReport>,
}

/// Documents, by state. `seen` is the sum of the others at every moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DocumentCounts {
    /// Admitted.
    pub seen: u64,
    /// In the store.
    pub done: u64,
    /// In the store already.
    pub unchanged: u64,
    /// Without content to store.
    pub skipped: u64,
    /// Failed for good.
    pub failed: u64,
    /// Taken back by the user.
    pub cancelled: u64,
    /// Under way.
    pub unfinished: u64,
}

/// One stage at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StageSnapshot {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// `io`, `cpu` or `service`.
    pub tier: String,
    /// Its width now.
    pub width: usize,
    /// Records taken in.
    #[serde(rename = "in")]
    pub input: u64,
    /// Records handed on.
    #[serde(rename = "out")]
    pub output: u64,
    /// Records that failed here.
    pub failed: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Records that ran out of time.
    pub timeouts: u64,
    /// Time its workers spent working.
    pub busy_seconds: f64,
    /// Time its workers waited for what the engine grants.
    pub held_seconds: f64,
    /// The same, by cause.
    pub held_by: BTreeMap<String, f64>,
    /// Time its workers waited for room downstream.
    pub blocked_seconds: f64,
    /// Time its workers waited for input.
    pub starved_seconds: f64,
    /// CPU time of its pool threads.
    pub cpu_seconds: f64,
    /// How long one record or batch takes.
    pub service_ms: ServiceTimes,
    /// Its queue.
    pub queue: QueueSnapshot,
    /// How its children ended.
    pub workers: WorkerEnds,
}

/// Percentiles of the service time, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ServiceTimes {
    /// Half are faster.
    pub p50: f64,
    /// 95 of 100 are faster.
    pub p95: f64,
    /// 99 of 100 are faster.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// A stage's queue: all edges into it together.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct QueueSnapshot {
    /// The most it can hold.
    pub capacity: u64,
    /// What it holds now.
    pub length: u64,
    /// The mean, sampled at a steady rate.
    pub mean: f64,
    /// The most it held.
    pub max: u64,
}

/// How a stage's children ended, besides being told to.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct WorkerEnds {
    /// By themselves.
    pub crashed: u64,
    /// Killed for time.
    pub timed_out: u64,
    /// Out of memory.
    pub out_of_memory: u64,
}

/// A document that failed or was skipped.
#[derive(Clone, Debug, Serialize)]
pub struct Ended {
    /// Its URI.
    pub document: String,
    /// Where.
    pub stage: String,
    /// `transient`, `rejected` or `fatal`; empty for a skip.
    pub class: String,
    /// In words.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}
