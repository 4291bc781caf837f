//! A run's recording in the numbers and words that a report has.

use std::collections::BTreeMap;

use docmill_api::ServiceReport;
use serde::Serialize;

use super::changes::WidthChange;
use super::failures::{self, FailureGroup, SkipGroup};
use super::series::{Curve, Series};
use super::stages::StageDigest;
use super::statistics::Mean;
use super::verdict::Verdict;
use super::words::{clipped, rounded, rounded_rate, span};
use crate::monitor::{DocumentCounts, Event, EventKind, Recording, RunState, ServiceTimes, SlowDocument, Snapshot};

/// How many events a report has; single failures are no part of them.
const EVENTS: usize = 300;

/// A recorded run, digested.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Digest {
    /// The run's id.
    pub run: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it ran, as far as it was recorded.
    pub seconds: f64,
    /// What it did last.
    pub state: RunState,
    /// What a reader has to know of the recording; empty where it is whole.
    pub incomplete: String,
    /// What it comes to, in words.
    pub verdict: Verdict,
    /// Over the whole run.
    pub totals: Totals,
    /// Documents that came to an end in a second, and how sure that mean is.
    pub throughput: Mean,
    /// Over time.
    pub series: Series,
    /// Changes of widths, and what each brought.
    pub changes: Vec<WidthChange>,
    /// In topological order.
    pub stages: Vec<StageDigest>,
    /// The documents that took longest, the longest first.
    pub slowest: Vec<SlowDocument>,
    /// What failed, the most frequent first.
    pub failures: Vec<FailureGroup>,
    /// What was skipped, the most frequent first.
    pub skips: Vec<SkipGroup>,
    /// Model services, by name.
    pub services: BTreeMap<String, ServiceReport>,
    /// What happened, single failures left out.
    pub events: Vec<Event>,
    /// How many events there were beyond these.
    pub events_left_out: usize,
}

/// A run's totals. Sizes are bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Totals {
    /// Documents, by state.
    pub documents: DocumentCounts,
    /// Documents that came to an end, per second.
    pub documents_per_second: f64,
    /// Bytes of the documents that were read.
    pub bytes: u64,
    /// Chunks of finished documents.
    pub chunks: u64,
    /// Tokens of finished documents.
    pub tokens: u64,
    /// Rows of finished documents.
    pub rows: u64,
    /// How long documents take from admission to their end.
    pub document_ms: ServiceTimes,
    /// CPU time of the process and its children.
    pub cpu_seconds: f64,
    /// The CPUs that it may use.
    pub cpus: f64,
    /// The most memory of the process and its children.
    pub peak_rss: u64,
    /// The memory that may be used; 0 where that is not known.
    pub memory_limit: u64,
    /// The most bytes of documents in flight.
    pub memory_peak: u64,
    /// The memory budget.
    pub memory_budget: u64,
    /// What model services cost.
    pub cost: f64,
}

impl Digest {
    /// Digests a recording.
    #[must_use]
    pub fn of(recording: &Recording) -> Self {
        let snapshots = recording.snapshots.as_slice();
        let Some(last) = snapshots.last() else { return Self::default() };
        let told = |event: &&Event| event.kind != EventKind::Failure;
        let events = recording.events.iter().filter(told).take(EVENTS).map(bare).collect();
        let mut digest = Self {
            run: last.run.clone(),
            pipeline: clipped(&last.pipeline),
            started: last.started.clone(),
            seconds: rounded(last.seconds),
            state: last.state,
            incomplete: incomplete(recording, last),
            verdict: Verdict::default(),
            totals: Totals::of(last),
            throughput: Mean::of(&Curve::of(snapshots, |snapshot| snapshot.documents.ended()), 0.0, last.seconds),
            series: Series::of(snapshots),
            changes: WidthChange::all(snapshots, &recording.events),
            stages: StageDigest::all(snapshots),
            slowest: last.slowest.iter().map(slow).collect(),
            failures: failures::failures(recording),
            skips: failures::skips(recording),
            services: last.services.clone(),
            events,
            events_left_out: recording.events.iter().filter(told).count().saturating_sub(EVENTS),
        };
        digest.verdict = Verdict::of(&digest, snapshots);
        digest
    }

    /// The stage with this id.
    #[must_use]
    pub fn stage(&self, id: &str) -> Option<&StageDigest> {
        self.stages.iter().find(|stage| stage.id == id)
    }

    /// How it ended, in a word or two.
    #[must_use]
    pub fn end(&self) -> &'static str {
        end(self.state)
    }
}

/// How a run ended, in a word or two.
#[must_use]
pub fn end(state: RunState) -> &'static str {
    match state {
        RunState::Completed => "completed",
        RunState::Drained => "drained",
        RunState::Stopped => "stopped",
        RunState::Failed => "failed",
        RunState::Running | RunState::Paused | RunState::Draining | RunState::Indexing => "not over",
    }
}

fn incomplete(recording: &Recording, last: &Snapshot) -> String {
    let after = span(last.seconds);
    match (recording.cut_off, &recording.report) {
        (_, Some(_)) => String::new(),
        (true, None) => format!(
            "The recording was cut off in the middle of a line after {after}: this is the run as far as it goes. The \
             run came to a sudden end, or is still going."
        ),
        (false, None) if last.state.is_over() => {
            "The run is over, and the recording lacks its report: failures are those \
             that the snapshots name."
                .to_owned()
        }
        (false, None) => format!(
            "The recording ends after {after} without the run's report: this is the run as far as it goes. The run came \
             to a sudden end, or is still going."
        ),
    }
}

fn bare(event: &Event) -> Event {
    Event { text: clipped(&event.text), by: clipped(&event.by), at: rounded(event.at), ..event.clone() }
}

fn slow(document: &SlowDocument) -> SlowDocument {
    SlowDocument { document: clipped(&document.document), seconds: rounded(document.seconds), ..document.clone() }
}

impl Totals {
    fn of(last: &Snapshot) -> Self {
        Self {
            documents: last.documents,
            documents_per_second: rounded_rate(last.documents_per_second()),
            bytes: last.bytes,
            chunks: last.chunks,
            tokens: last.tokens,
            rows: last.rows,
            document_ms: last.document_ms,
            cpu_seconds: rounded(last.host.cpu_seconds),
            cpus: last.host.cpus,
            peak_rss: last.host.peak_rss_bytes,
            memory_limit: last.host.memory_limit,
            memory_peak: last.memory_peak,
            memory_budget: last.memory_budget,
            cost: last.services.values().fold(0.0, |sum, service| sum + service.cost),
        }
    }
}
