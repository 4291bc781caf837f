//! The plan: what will run, checked, typed and immutable. No tokio, no I/O: `docmill check` stops here.
//!
//! [`Plan::from_raw`] takes the merged configuration and the registry, and gives a plan or every complaint at once.

mod bound;
mod bridge;
mod build;
mod cluster;
pub mod codes;
mod diagnostic;
mod draft;
#[cfg(test)]
pub(crate) mod fakes;
mod fields;
mod fingerprint;
mod graph;
mod providers;
mod raw;
mod run_table;
mod serve;
mod settings;
#[cfg(test)]
mod tests;
mod ui;
mod width;

use std::path::PathBuf;
use std::time::Duration;

use docmill_api::{Digest, Durability, Embedding, PayloadKind, Tier};
use serde::Serialize;
use serde_json::Value;

pub use bound::{Bound, OVERDRAFT, bound};
pub use build::{Machine, resolved};
pub use cluster::{BlobsPlan, ClusterPlan, blobs_fields, queue_fields};
pub use diagnostic::{Diagnostic, Diagnostics, Location, Place, Severity};
pub use draft::MAX_ID;
pub use fields::nearest_or_list;
pub use providers::{ASK_DOCUMENTS, AskPlan, ProviderPlan, ask_fields};
pub use raw::{Origin, RawPipeline, Spans, dotted, locate};
pub use run_table::{MAX_THREADS, run_defaults, run_fields};
pub use serve::{ServePlan, serve_fields};
pub use settings::{EngineField, engine_fields, engine_specs, role};
pub use ui::{AlertPlan, UiPlan, ui_fields};
pub use width::MAX as MAX_WIDTH;

/// The most records that one edge may hold: a queue is there to ride out unevenness, not to store a pile.
pub(crate) const MAX_QUEUE: i64 = 100_000;

/// What will run.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The pipeline's name: its file, without directories.
    pub name: String,
    /// The directory that relative paths are relative to.
    pub base: PathBuf,
    /// What holds for the whole run.
    pub run: RunSettings,
    /// In topological order: every stage stands after its inputs.
    pub stages: Vec<StagePlan>,
    /// The model services in `[providers]`, by name.
    pub providers: Vec<ProviderPlan>,
    /// Who answers questions, where `[ask]` says so.
    pub ask: Option<AskPlan>,
    /// How it is offered over HTTP.
    pub serve: ServePlan,
    /// How a run is shown.
    pub ui: UiPlan,
    /// How several machines share it, where they do.
    pub cluster: Option<ClusterPlan>,
    /// Of all that changes the rows.
    pub fingerprint: Digest,
}

impl Plan {
    /// The stages that list documents.
    pub fn sources(&self) -> impl Iterator<Item = &StagePlan> {
        self.stages.iter().filter(|stage| stage.role == Role::Source)
    }
}

/// The `[run]` table.
#[derive(Clone, Debug, Serialize)]
pub struct RunSettings {
    /// Bytes of documents in flight, all queues and stages together.
    pub memory: u64,
    /// Threads of the CPU pool.
    pub cpu_threads: usize,
    /// Where a run keeps what outlives it; absolute.
    pub state: PathBuf,
    /// What an accepted document survives.
    pub durability: Durability,
    /// How long a stop lets work in hand finish.
    pub drain: Duration,
}

/// One stage of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct StagePlan {
    /// The user's name for it.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Where its work runs.
    pub tier: Tier,
    /// Whether it begins, continues or ends the graph.
    pub role: Role,
    /// What it takes.
    pub takes: Vec<PayloadKind>,
    /// What it gives.
    pub gives: Vec<PayloadKind>,
    /// Positions in [`Plan::stages`] of the stages that it reads, in the file's order.
    pub inputs: Vec<usize>,
    /// Media types that it accepts, with `*` at the end of a pattern; empty for all.
    pub accept: Vec<String>,
    /// How many records or batches it works on at once.
    pub width: Width,
    /// The capacity of each edge into it, in records.
    pub queue: usize,
    /// How long one record or batch may take.
    pub timeout: Duration,
    /// What follows a transient error.
    pub retry: Retry,
    /// How its batches are made, for a stage that takes batches.
    pub batch: Option<Batch>,
    /// Where a CPU stage runs.
    pub isolation: Isolation,
    /// A child's memory limit in bytes, with [`Isolation::Process`].
    pub child_memory: Option<u64>,
    /// Its own fields, defaults filled in.
    pub config: Value,
    /// The table in `[providers]` that some of them come from.
    pub provider: Option<String>,
    /// Of this stage and all before it.
    pub fingerprint: Digest,
    /// The longest way from a source, in stages; a source is at 0.
    pub depth: usize,
    /// The embedding that reaches it (or that it makes).
    pub embedding: Option<Embedding>,
}

/// Where a stage stands in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// No input.
    Source,
    /// Between.
    Stage,
    /// Makes results durable.
    Sink,
}

/// A stage's width: where it starts and between which bounds it may change while the pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Width {
    /// At the start; within the bounds.
    pub start: usize,
    /// The least.
    pub min: usize,
    /// The most.
    pub max: usize,
    /// Whether the tuner may change it.
    pub auto: bool,
}

/// What follows a transient error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// The delay before the second attempt; it doubles from there, with jitter.
    pub min: Duration,
    /// The longest delay.
    pub max: Duration,
    /// The most time that one record's attempts and delays may take together.
    pub total: Duration,
}

/// How batches are made: one is handed over when any of the three is reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Batch {
    /// Items.
    pub items: usize,
    /// Tokens.
    pub tokens: u64,
    /// The age of the oldest item.
    pub wait: Duration,
}

/// Where a CPU stage runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// In the pool of this process.
    Thread,
    /// In child processes.
    Process,
}

impl Plan {
    /// The stage with this id.
    #[must_use]
    pub fn stage(&self, id: &str) -> Option<&StagePlan> {
        self.stages.iter().find(|stage| stage.id == id)
    }
}
