//! The run and the machine: documents, what was made of them, memory, CPU.

use super::family::{Family, Labels, counter, gauge, label};
use crate::monitor::{HostSnapshot, RunState, Snapshot};

/// All states of a run, with the names that the snapshot gives them.
const STATES: [(RunState, &str); 8] = [
    (RunState::Running, "running"),
    (RunState::Paused, "paused"),
    (RunState::Draining, "draining"),
    (RunState::Indexing, "indexing"),
    (RunState::Completed, "completed"),
    (RunState::Drained, "drained"),
    (RunState::Stopped, "stopped"),
    (RunState::Failed, "failed"),
];

/// What the snapshot says of the whole run.
pub(super) fn families(snapshot: &Snapshot) -> Vec<Family> {
    let parts = [identity(snapshot), documents(snapshot), memory(snapshot), machine(&snapshot.host)];
    parts.into_iter().flatten().collect()
}

fn identity(snapshot: &Snapshot) -> Vec<Family> {
    let run = vec![("run", snapshot.run.clone()), ("pipeline", snapshot.pipeline.clone())];
    let now = STATES.iter().find(|(state, _)| *state == snapshot.state).map_or("", |(_, name)| *name);
    let started = chrono::DateTime::parse_from_rfc3339(&snapshot.started).ok();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53 for 285,000 years")]
    let started = started.map(|at| (Labels::new(), at.timestamp_millis() as f64 / 1000.0));
    vec![
        gauge("build_info", "Always 1; its label is docmill's version.")
            .with(label("version", env!("CARGO_PKG_VERSION")), 1_u64),
        gauge("run_info", "Always 1; its labels are the run's id and the pipeline's name.").with(run, 1_u64),
        gauge("run_start_time_seconds", "When the run began, in seconds since 1970.").with_all(started),
        gauge("run_state", "1 for what the run does now, 0 for the other states.").with_states(
            &Labels::new(),
            STATES.map(|(_, name)| name),
            now,
        ),
    ]
}

fn documents(snapshot: &Snapshot) -> Vec<Family> {
    let counts = &snapshot.documents;
    let ended = [
        ("done", counts.done),
        ("unchanged", counts.unchanged),
        ("skipped", counts.skipped),
        ("failed", counts.failed),
        ("cancelled", counts.cancelled),
    ];
    let times = &snapshot.document_ms;
    let times = [("50", times.p50), ("95", times.p95), ("99", times.p99), ("100", times.max)];
    vec![
        counter("documents_seen", "Documents that were admitted.").is(counts.seen),
        counter("documents", "Documents that came to an end, by how.")
            .with_all(ended.map(|(state, count)| (label("state", state), count))),
        gauge("documents_unfinished", "Documents that are under way.").is(counts.unfinished),
        gauge(
            "document_time_seconds",
            "How long documents took from admission to their end, by percentile, over the whole run.",
        )
        .with_all(times.map(|(percentile, ms)| (label("percentile", percentile), ms / 1000.0))),
        counter("document_bytes", "Bytes of the documents that were read.").is(snapshot.bytes),
        counter("chunks", "Chunks of finished documents.").is(snapshot.chunks),
        counter("tokens", "Tokens of finished documents.").is(snapshot.tokens),
        counter("rows", "Rows of finished documents.").is(snapshot.rows),
    ]
}

fn memory(snapshot: &Snapshot) -> Vec<Family> {
    vec![
        gauge("memory_used_bytes", "Bytes of documents in flight.").is(snapshot.memory_used),
        gauge("memory_peak_bytes", "The most bytes of documents in flight at once, over the whole run.")
            .is(snapshot.memory_peak),
        gauge("memory_budget_bytes", "How many bytes of documents may be in flight.").is(snapshot.memory_budget),
    ]
}

fn machine(host: &HostSnapshot) -> Vec<Family> {
    vec![
        gauge("cpus", "CPUs that may be used.").is(host.cpus),
        gauge("cpus_used", "CPUs in use by the process and its children.").is(host.cpus_used),
        counter("process_cpu_seconds", "CPU time of the process and its children.").is(host.cpu_seconds),
        gauge("process_resident_memory_bytes", "Memory of the process.").is(host.rss_bytes),
        gauge("children_resident_memory_bytes", "Memory of its children together.").is(host.children_rss_bytes),
        gauge(
            "resident_memory_peak_bytes",
            "The most memory that process and children held together whenever it was looked.",
        )
        .is(host.peak_rss_bytes),
        gauge(
            "memory_limit_bytes",
            "Memory that may be used: the control group's, or the machine's; 0 where it is not known.",
        )
        .is(host.memory_limit),
        gauge("children", "Child processes.").is(host.children),
        gauge("disk_read_bytes_per_second", "What the process reads from storage.").is(host.disk_read),
        gauge("disk_written_bytes_per_second", "What the process has written to storage.").is(host.disk_written),
        gauge("network_received_bytes_per_second", "What the machine receives from others.").is(host.network_in),
        gauge("network_sent_bytes_per_second", "What the machine sends to others.").is(host.network_out),
    ]
}
