//! What a run looks like at one moment. Everything that is shown anywhere is in it, or follows from it: dashboard,
//! progress lines, recording, report and interface read the same thing.
//!
//! Totals count from the run's start. What is said of "now" is over [`Snapshot::window`], the last seconds.

use std::collections::BTreeMap;

use docmill_api::ServiceReport;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::fleet::FleetSnapshot;
use super::host::HostSnapshot;
use super::latency::SlowDocument;

/// The version of the format. It grows when a field changes its meaning or goes; fields may be added.
pub const VERSION: u32 = 1;

/// A run at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// [`VERSION`].
    pub version: u32,
    /// The run's id.
    pub run: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it has been running.
    pub seconds: f64,
    /// What it does.
    pub state: RunState,
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
    /// How long documents take from admission to their end, in milliseconds.
    pub document_ms: ServiceTimes,
    /// The documents that took longest, the longest first; some.
    pub slowest: Vec<SlowDocument>,
    /// How many seconds the figures of now are over; 0 before there are any.
    pub window: f64,
    /// How fast it goes now.
    pub rates: Rates,
    /// Bytes of documents in flight now.
    pub memory_used: u64,
    /// The most bytes in flight.
    pub memory_peak: u64,
    /// The memory budget.
    pub memory_budget: u64,
    /// In topological order.
    pub stages: Vec<StageSnapshot>,
    /// In the order of the stages that they go into.
    pub edges: Vec<EdgeSnapshot>,
    /// Model services, by name.
    pub services: BTreeMap<String, ServiceReport>,
    /// The machine.
    pub host: HostSnapshot,
    /// Workers on other machines.
    #[serde(skip_serializing_if = "FleetSnapshot::is_none")]
    pub fleet: FleetSnapshot,
    /// The last documents that failed, the latest at the end.
    pub failures: Vec<Ended>,
    /// What happened last, the latest at the end. Their numbers tell whether some are missing in between.
    pub events: Vec<Event>,
}

/// What a run does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Works.
    #[default]
    Running,
    /// Takes no documents in until it is told to.
    Paused,
    /// Takes no documents in; finishes what is in hand.
    Draining,
    /// All documents have ended; the stores build their indexes.
    Indexing,
    /// Every document has come to an end.
    Completed,
    /// Was told to drain, and has.
    Drained,
    /// Was stopped; documents are unfinished.
    Stopped,
    /// Could not go on.
    Failed,
}

impl RunState {
    /// Whether the run is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Drained | Self::Stopped | Self::Failed)
    }
}

/// What comes to an end in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Documents, whatever they end with.
    pub documents: f64,
    /// Bytes that are read.
    pub bytes: f64,
    /// Chunks of finished documents.
    pub chunks: f64,
    /// Tokens of finished documents.
    pub tokens: f64,
}

/// Documents, by state. `seen` is the sum of the others at every moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

impl DocumentCounts {
    /// Those that have come to an end.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.seen - self.unfinished
    }
}

/// One stage at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageSnapshot {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// `io`, `cpu` or `service`.
    pub tier: String,
    /// `source`, `stage` or `sink`.
    pub role: String,
    /// The model service that it asks, by the name under [`Snapshot::services`]; empty for none.
    pub service: String,
    /// Its width as it is set: how many records or batches it works on at once at most.
    pub width: usize,
    /// How many workers it has now: more than its width while those beyond it finish what is in their hands.
    pub workers_alive: usize,
    /// The least width.
    pub min: usize,
    /// The largest width.
    pub max: usize,
    /// Whether the tuner may change the width.
    pub auto: bool,
    /// Whether its workers are child processes.
    pub isolated: bool,
    /// Records taken in.
    #[serde(rename = "in")]
    pub input: u64,
    /// Records handed on.
    #[serde(rename = "out")]
    pub output: u64,
    /// How often it was at work: once for a record, a step of one, or a batch.
    pub calls: u64,
    /// Records that failed here.
    pub failed: u64,
    /// The same, by class: `rejected`, `transient`, `overload`, `fatal`, `exhausted`.
    pub errors: BTreeMap<String, u64>,
    /// Attempts after the first.
    pub retries: u64,
    /// Records that ran out of time.
    pub timeouts: u64,
    /// Time its workers spent working.
    pub busy_seconds: f64,
    /// Time its workers waited for what the engine grants.
    pub held_seconds: f64,
    /// The same, by cause: `cpu`, `memory`, `retry`, `provider`.
    pub held_by: BTreeMap<String, f64>,
    /// Time its workers waited for room downstream.
    pub blocked_seconds: f64,
    /// Time its workers waited for input.
    pub starved_seconds: f64,
    /// CPU time of its pool threads and children.
    pub cpu_seconds: f64,
    /// Bytes of the records in its workers' hands.
    pub held_bytes: u64,
    /// How long one call takes, over the whole run.
    pub service_ms: ServiceTimes,
    /// How many calls took from 2^k up to 2^(k+1) microseconds, from k = 0 on; zeros at the end are left out.
    pub service_buckets: Vec<u64>,
    /// Its queue.
    pub queue: QueueSnapshot,
    /// How its children ended.
    pub workers: WorkerEnds,
    /// What it does now.
    pub now: StageNow,
    /// How many of its workers have something in hand; of a source, 1 while it is asked for its next document.
    pub in_hand: usize,
    /// What its workers have had in hand longest, the longest first; some.
    pub hands: Vec<Hand>,
    /// Settings that the engine knows (`timeout`, `queue`, `retry` …), as a person writes them.
    pub settings: BTreeMap<String, String>,
}

/// What a stage did in the last seconds. The four shares are of its workers' time and add up to 1, or to 0 before there is
/// anything to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageNow {
    /// Records taken in, per second.
    #[serde(rename = "in")]
    pub input: f64,
    /// Records handed on, per second.
    #[serde(rename = "out")]
    pub output: f64,
    /// Calls per second.
    pub calls: f64,
    /// Records that failed, per second.
    pub failed: f64,
    /// Working.
    pub busy: f64,
    /// Waiting for what the engine grants.
    pub held: f64,
    /// Waiting for room downstream.
    pub blocked: f64,
    /// Waiting for input.
    pub starved: f64,
    /// What it was held by most; empty if it was not.
    pub held_by: String,
    /// CPUs in use, of the pool and of children.
    pub cpus: f64,
    /// The mean time of a call, in milliseconds; 0 where none ended.
    pub service_ms: f64,
    /// The mean length of its queue, as a share of the capacity.
    pub queue: f64,
}

/// What a worker has in hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hand {
    /// Which document, by URI; of a batch, the first.
    pub document: String,
    /// For how long.
    pub seconds: f64,
}

/// Percentiles of the service time, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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

impl ServiceTimes {
    /// Those of a histogram in microseconds.
    #[must_use]
    pub fn of(times: &Histogram<u64>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a service time is shown, not reckoned with")]
        let ms = |micros: u64| (micros as f64) / 1000.0;
        let at = |quantile| ms(times.value_at_quantile(quantile));
        Self { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: ms(times.max()) }
    }
}

/// From this share of its capacity on an edge counts as full: while something waits for room in it, it may be no fuller, since
/// it has room again for several records at once.
pub const FULL: f64 = 0.75;

/// A stage's queue: all edges into it together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueSnapshot {
    /// The most it can hold.
    pub capacity: u64,
    /// What it holds now.
    pub length: u64,
    /// The mean, sampled at a steady rate over the whole run.
    pub mean: f64,
    /// The most it held.
    pub max: u64,
    /// Bytes of the records in it.
    pub bytes: u64,
    /// How long the oldest record in it has waited, within a twentieth of a second.
    pub oldest_seconds: f64,
}

/// One edge at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EdgeSnapshot {
    /// The stage that it comes out of.
    pub from: String,
    /// The stage that it goes into.
    pub to: String,
    /// The most it can hold, in records.
    pub capacity: u64,
    /// What it holds now.
    pub length: u64,
    /// Bytes of the records in it.
    pub bytes: u64,
    /// Records that went into it.
    pub sent: u64,
    /// How long the oldest record in it has waited, within a twentieth of a second.
    pub oldest_seconds: f64,
}

/// How a stage's children ended, besides being told to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerEnds {
    /// By themselves.
    pub crashed: u64,
    /// Killed for time.
    pub timed_out: u64,
    /// Out of memory.
    pub out_of_memory: u64,
}

/// A document that failed or was skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

impl Snapshot {
    /// The stage with this id.
    #[must_use]
    pub fn stage(&self, id: &str) -> Option<&StageSnapshot> {
        self.stages.iter().find(|stage| stage.id == id)
    }

    /// Documents that come to an end in a second, from the run's start: what the report says.
    #[must_use]
    pub fn documents_per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown, not reckoned with")]
        let ended = self.documents.ended() as f64;
        if self.seconds > 0.0 { ended / self.seconds } else { 0.0 }
    }
}
