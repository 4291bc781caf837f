//! A run's report: version 1 of a format that other programs read. JSON here; words for people in `text.rs`; what a
//! recording tells of a whole run, or of two, in `recorded/`.

pub mod recorded;
mod text;

use std::collections::BTreeMap;

use docmill_api::ServiceReport;
use serde::Serialize;

use crate::monitor::{
    DocumentCounts, FleetSnapshot, HostUse, ServiceTimes, Snapshot, StageSnapshot, Tally, WorkerEnds,
};
use crate::tune::{Bottleneck, bottleneck};

pub use text::{count, is_obeyed, place, printable, render, size};

/// The version of the report's format.
pub const VERSION: u32 = 1;

/// A run's report. `in`, `out` and `failed` of a stage count records; sizes are bytes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// The run's id.
    pub run: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took.
    pub seconds: f64,
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
    /// Documents that came to an end, per second.
    pub documents_per_second: f64,
    /// How long documents took from admission to their end, in milliseconds.
    pub document_ms: ServiceTimes,
    /// The most memory that the process held.
    pub peak_rss_bytes: u64,
    /// CPU time of the process and its children.
    pub cpu_seconds: f64,
    /// CPU time of that which the dashboard took, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ui_cpu_seconds: Option<f64>,
    /// What bounded throughput.
    pub bottleneck: Bottleneck,
    /// By id.
    pub stages: BTreeMap<String, StageReport>,
    /// Model services, by the name of their table in `[providers]`, or of the stage that says which.
    pub services: BTreeMap<String, ServiceReport>,
    /// Workers on other machines, where the run was shared by several.
    #[serde(skip_serializing_if = "FleetSnapshot::is_none")]
    pub fleet: FleetSnapshot,
    /// Documents that failed.
    pub failures: Vec<FailureReport>,
    /// Documents that were skipped.
    pub skips: Vec<SkipReport>,
    /// What each document's caller is told, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<serde_json::Value>>,
}

/// A stage's part of a report.
#[derive(Clone, Debug, Serialize)]
pub struct StageReport {
    kind: String,
    tier: String,
    width: usize,
    #[serde(rename = "in")]
    input: u64,
    #[serde(rename = "out")]
    output: u64,
    failed: u64,
    retries: u64,
    timeouts: u64,
    busy_seconds: f64,
    held_seconds: f64,
    held_by: BTreeMap<String, f64>,
    blocked_seconds: f64,
    starved_seconds: f64,
    cpu_seconds: f64,
    service_ms: ServiceTimes,
    queue: QueueReport,
    workers: WorkerEnds,
}

#[derive(Clone, Debug, Serialize)]
struct QueueReport {
    capacity: u64,
    mean: f64,
    max: u64,
}

/// A document that failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailureReport {
    /// Its URI.
    pub document: String,
    /// Where.
    pub stage: String,
    /// `transient`, `rejected` or `fatal`.
    pub class: String,
    /// In words.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// A document that was skipped.
#[derive(Clone, Debug, Serialize)]
pub struct SkipReport {
    /// Its URI.
    pub document: String,
    /// Where.
    pub stage: String,
    /// In words.
    pub reason: String,
}

impl Report {
    /// Puts a finished run into a report.
    #[must_use]
    pub fn new(snapshot: &Snapshot, tally: Tally, host: HostUse, with_results: bool) -> Self {
        let failures = tally.failures.into_iter().map(|ended| FailureReport {
            document: ended.document,
            stage: ended.stage,
            class: ended.class,
            error: ended.reason,
            attempts: ended.attempts,
        });
        let skips = tally.skips.into_iter().map(|ended| SkipReport {
            document: ended.document,
            stage: ended.stage,
            reason: ended.reason,
        });
        Self {
            version: VERSION,
            run: snapshot.run.clone(),
            pipeline: snapshot.pipeline.clone(),
            started: snapshot.started.clone(),
            seconds: snapshot.seconds,
            documents: snapshot.documents,
            bytes: snapshot.bytes,
            chunks: snapshot.chunks,
            tokens: snapshot.tokens,
            rows: snapshot.rows,
            documents_per_second: snapshot.documents_per_second(),
            document_ms: snapshot.document_ms,
            peak_rss_bytes: host.peak_rss_bytes,
            cpu_seconds: host.cpu_seconds,
            ui_cpu_seconds: Some(snapshot.host.ui_cpu_seconds).filter(|seconds| *seconds > 0.0),
            bottleneck: bottleneck(snapshot),
            stages: snapshot.stages.iter().map(|stage| (stage.id.clone(), StageReport::new(stage))).collect(),
            services: snapshot.services.clone(),
            fleet: snapshot.fleet.clone(),
            failures: failures.collect(),
            skips: skips.collect(),
            results: with_results.then_some(tally.results),
        }
    }
}

impl StageReport {
    fn new(stage: &StageSnapshot) -> Self {
        Self {
            kind: stage.kind.clone(),
            tier: stage.tier.clone(),
            width: stage.width,
            input: stage.input,
            output: stage.output,
            failed: stage.failed,
            retries: stage.retries,
            timeouts: stage.timeouts,
            busy_seconds: stage.busy_seconds,
            held_seconds: stage.held_seconds,
            held_by: stage.held_by.clone(),
            blocked_seconds: stage.blocked_seconds,
            starved_seconds: stage.starved_seconds,
            cpu_seconds: stage.cpu_seconds,
            service_ms: stage.service_ms,
            queue: QueueReport { capacity: stage.queue.capacity, mean: stage.queue.mean, max: stage.queue.max },
            workers: stage.workers,
        }
    }
}
