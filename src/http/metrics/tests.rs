//! What `/metrics` says is what the snapshot says, in the format that Prometheus reads.

mod exposition;
mod named;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use docmill_api::ServiceReport;

use super::*;
use crate::monitor::{
    DocumentCounts, EdgeSnapshot, FleetSnapshot, HostSnapshot, QueueSnapshot, RunState, ServiceTimes, StageSnapshot,
    WorkerEnds, WorkerSnapshot, WorkerStage,
};
use exposition::{Described, Sample, read};

/// A name that would end its quotes, its line and its braces.
const HOSTILE: &str = "a\"} 1\n# HELP \\ docmill_x{";

fn stage(id: &str) -> StageSnapshot {
    StageSnapshot {
        id: id.into(),
        kind: "parse".into(),
        tier: "cpu".into(),
        role: "stage".into(),
        service: "model".into(),
        width: 4,
        workers_alive: 5,
        min: 1,
        max: 8,
        auto: true,
        input: 40,
        output: 30,
        calls: 7,
        failed: 3,
        errors: BTreeMap::from([("rejected".into(), 2), ("fatal".into(), 1)]),
        busy_seconds: 12.5,
        held_seconds: 3.0,
        held_by: BTreeMap::from([("cpu".into(), 1.0), ("memory".into(), 2.0)]),
        service_buckets: vec![1, 0, 4, 0, 2],
        queue: QueueSnapshot {
            capacity: 256,
            length: 12,
            bytes: 1 << 20,
            oldest_seconds: 0.5,
            ..QueueSnapshot::default()
        },
        workers: WorkerEnds { crashed: 1, timed_out: 2, out_of_memory: 3 },
        ..StageSnapshot::default()
    }
}

fn worker(id: &str, alive: bool) -> WorkerSnapshot {
    let stages = vec![WorkerStage { id: "embed".into(), width: 3, busy: 0.5 }];
    let (id, in_hand, documents, cpus_used) = (id.to_owned(), 4, 77, 1.5);
    WorkerSnapshot { id, alive, in_hand, documents, cpus_used, rss_bytes: 8192, stages, ..WorkerSnapshot::default() }
}

fn snapshot() -> Snapshot {
    let service = ServiceReport {
        calls: 9,
        errors: BTreeMap::from([("rate_limited".into(), 2)]),
        tokens: 900,
        cost: 0.25,
        breaker: "open".into(),
        ..ServiceReport::default()
    };
    Snapshot {
        run: "20261126-0001".into(),
        pipeline: "library".into(),
        started: "2026-11-26T08:00:00.5Z".into(),
        state: RunState::Draining,
        documents: DocumentCounts {
            seen: 21,
            done: 6,
            unchanged: 5,
            skipped: 4,
            failed: 3,
            cancelled: 2,
            unfinished: 1,
        },
        document_ms: ServiceTimes { p50: 20.0, p95: 95.0, p99: 99.0, max: 1500.0 },
        bytes: (1 << 53) + 1,
        memory_used: 10,
        memory_budget: 100,
        stages: vec![
            StageSnapshot { queue: QueueSnapshot::default(), ..stage("source") },
            stage("parse"),
            stage(HOSTILE),
        ],
        edges: vec![EdgeSnapshot { from: "source".into(), to: HOSTILE.into(), sent: 40, ..EdgeSnapshot::default() }],
        services: BTreeMap::from([("model".into(), service.clone()), (HOSTILE.into(), service)]),
        host: HostSnapshot { cpus: 2.0, rss_bytes: 4096, ..HostSnapshot::default() },
        fleet: FleetSnapshot {
            stage: "cluster".into(),
            alive: 2,
            gone: 1,
            in_hand: 9,
            documents_per_second: 2.5,
            workers: vec![worker("mill-1", true), worker(HOSTILE, true), worker("weir-2", false)],
        },
        ..Snapshot::default()
    }
}

fn figures() -> ServiceFigures {
    let http = HttpMetrics::default();
    http.record(&Method::GET, "/v1/documents/{id}", 200, Duration::from_millis(3));
    http.record(&Method::GET, "/v1/documents/{id}", 500, Duration::from_secs(100));
    http.record(&Method::POST, "/v1/documents", 503, Duration::from_micros(10));
    ServiceFigures {
        queue_length: 50,
        queue_capacity: 50,
        queue_oldest_seconds: 2.5,
        refused: 11,
        ready: true,
        alerts: vec![Alert { rule: "queue_full".into(), stage: "parse".into(), ..Alert::default() }],
        http: Arc::new(http),
        ..ServiceFigures::default()
    }
}

fn filled() -> Vec<Described> {
    read(&render(&snapshot(), &figures()))
}

fn samples() -> Vec<Sample> {
    filled().into_iter().flat_map(|family| family.samples).collect()
}

/// The figure of a series, whose labels are written as `stage=parse,class=fatal`.
fn figure(samples: &[Sample], name: &str, labels: &str) -> f64 {
    let wanted: BTreeMap<String, String> = labels
        .split_terminator(',')
        .filter_map(|label| label.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let found = samples.iter().find(|sample| sample.name == format!("docmill_{name}") && sample.labels == wanted);
    found.unwrap_or_else(|| panic!("no `{name}` of `{labels}`")).value
}

#[test]
fn every_figure_is_the_snapshots() {
    let samples = samples();
    let of = |name: &str, labels: &str| figure(&samples, name, labels);
    let ended: f64 = ["done", "unchanged", "skipped", "failed", "cancelled"]
        .iter()
        .map(|state| of("documents_total", &format!("state={state}")))
        .sum();
    assert_eq!((ended, ended + of("documents_unfinished", "")), (20.0, of("documents_seen_total", "")));
    assert_eq!((of("run_state", "state=draining"), of("run_state", "state=running")), (1.0, 0.0));
    assert_eq!((of("fleet_workers", ""), of("fleet_workers_gone", ""), of("fleet_in_hand", "")), (2.0, 1.0, 9.0));
    assert_eq!(
        (of("fleet_worker_documents", "worker=mill-1"), of("fleet_worker_cpus_used", "worker=mill-1")),
        (77.0, 1.5)
    );
    assert_eq!(of("fleet_worker_stage_width", "stage=embed,worker=mill-1"), 3.0);
    assert!(!samples.iter().any(|sample| sample.labels.get("worker").is_some_and(|id| id == "weir-2")), "it has gone");
    assert_eq!(of("run_start_time_seconds", ""), 1_795_680_000.5);
    assert_eq!(of("document_time_seconds", "percentile=100"), 1.5);
    assert_eq!(of("stage_records_failed_total", "stage=parse,class=rejected"), 2.0);
    assert_eq!(of("stage_records_failed_total", "stage=parse,class=transient"), 0.0);
    assert_eq!(of("stage_held_seconds_total", "stage=parse,cause=memory"), 2.0);
    assert_eq!(of("stage_held_seconds_total", "stage=parse,cause=provider"), 0.0);
    assert_eq!(of("stage_children_ended_total", "stage=parse,cause=out_of_memory"), 3.0);
    assert_eq!(of("service_errors_total", "service=model,class=rate_limited"), 2.0);
    assert_eq!(of("service_breaker_state", "service=model,state=open"), 1.0);
    assert_eq!(of("service_cost_total", "service=model"), 0.25);
    assert_eq!((of("queue_length", ""), of("queue_refused_total", ""), of("ready", "")), (50.0, 11.0, 1.0));
    assert_eq!((of("alerts", "rule=queue_full,stage=parse"), of("alerts", "rule=stalled,stage=")), (1.0, 0.0));
    assert!(
        render(&snapshot(), &figures()).contains("docmill_document_bytes_total 9007199254740993\n"),
        "whole numbers"
    );
    assert!(
        samples.iter().all(|sample| sample.name != "docmill_stage_queue_length" || sample.labels["stage"] != "source")
    );
}

#[test]
fn a_run_that_has_just_begun_can_be_asked() {
    let told = read(&render(&Snapshot::default(), &ServiceFigures::default()));
    assert!(told.iter().any(|family| family.name == "docmill_documents_total" && family.samples.len() == 5));
}

#[test]
fn the_states_of_a_run_are_named_as_the_snapshot_names_them() {
    for state in [
        RunState::Running,
        RunState::Paused,
        RunState::Draining,
        RunState::Indexing,
        RunState::Completed,
        RunState::Drained,
        RunState::Stopped,
        RunState::Failed,
    ] {
        let name = serde_json::to_value(state).unwrap();
        let told = read(&render(&Snapshot { state, ..Snapshot::default() }, &ServiceFigures::default()));
        let now: Vec<&Sample> = told
            .iter()
            .flat_map(|family| &family.samples)
            .filter(|one| one.name == "docmill_run_state" && one.value == 1.0)
            .collect();
        assert_eq!(now.len(), 1, "{state:?}");
        assert_eq!(now[0].labels["state"], name.as_str().unwrap());
    }
}

/// Counts up to bounds, the sum and the count.
type Times = (Vec<(f64, f64)>, f64, f64);

#[test]
fn histograms_are_cumulative_and_consistent() {
    let mut seen = 0;
    for family in filled().into_iter().filter(|family| family.kind == "histogram") {
        let mut series: BTreeMap<BTreeMap<String, String>, Times> = BTreeMap::new();
        for mut sample in family.samples {
            let bound = sample.labels.remove("le");
            let (buckets, sum, count) = series.entry(sample.labels).or_default();
            match bound {
                Some(bound) => buckets.push((bound.parse().unwrap(), sample.value)),
                None if sample.name.ends_with("_sum") => *sum = sample.value,
                None => *count = sample.value,
            }
        }
        for (labels, (buckets, sum, count)) in series {
            seen += 1;
            assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{} {labels:?}: {buckets:?}", family.name);
            assert_eq!(*buckets.last().unwrap(), (f64::INFINITY, count), "{} {labels:?}", family.name);
            assert!(count > 0.0 && sum > 0.0, "{} {labels:?}", family.name);
        }
    }
    assert_eq!(seen, 3 + 2, "three stages and two routes");
}

#[test]
fn a_call_is_in_the_bucket_of_its_time() {
    let samples = samples();
    let upto = |bound: &str| figure(&samples, "stage_call_duration_seconds_bucket", &format!("stage=parse,le={bound}"));
    // One of 1 us, four of 4 to 7 us, two of 16 to 31 us.
    assert_eq!(
        [upto("2e-06"), upto("4e-06"), upto("8e-06"), upto("1.6e-05"), upto("3.2e-05"), upto("+Inf")],
        [1.0, 1.0, 5.0, 5.0, 7.0, 7.0]
    );
    assert_eq!(figure(&samples, "stage_call_duration_seconds_sum", "stage=parse"), 12.5);
    let long = StageSnapshot { service_buckets: [vec![0; 40], vec![6]].concat(), ..stage("long") };
    let told = read(&render(&Snapshot { stages: vec![long], ..Snapshot::default() }, &ServiceFigures::default()));
    let samples: Vec<Sample> = told.into_iter().flat_map(|family| family.samples).collect();
    let upto = |bound: &str| figure(&samples, "stage_call_duration_seconds_bucket", &format!("stage=long,le={bound}"));
    assert_eq!((upto("4294.967296"), upto("+Inf")), (0.0, 6.0), "what is beyond the last bound is counted");
}

#[test]
fn a_hostile_name_stays_a_name() {
    let samples = samples();
    for (name, label) in [
        ("docmill_stage_width", "stage"),
        ("docmill_stage_call_duration_seconds_bucket", "stage"),
        ("docmill_edge_records_sent_total", "to"),
        ("docmill_service_calls_total", "service"),
    ] {
        assert!(samples.iter().any(|one| one.name == name && one.labels[label] == HOSTILE), "{name}");
    }
}

#[test]
fn requests_are_counted_by_bounded_labels() {
    let http = Arc::new(HttpMetrics::default());
    for word in ["BREW", "PURGE"] {
        http.record(&Method::from_bytes(word.as_bytes()).unwrap(), "", 404, Duration::from_millis(1));
    }
    let under_way = http.begin();
    let told = |http: &Arc<HttpMetrics>| -> Vec<Sample> {
        let figures = ServiceFigures { http: Arc::clone(http), ..ServiceFigures::default() };
        read(&render(&Snapshot::default(), &figures)).into_iter().flat_map(|family| family.samples).collect()
    };
    let before = told(&http);
    assert_eq!(figure(&before, "http_requests_total", "method=OTHER,route=unmatched,status=404"), 2.0);
    assert_eq!(figure(&before, "http_request_duration_seconds_count", "route=unmatched"), 2.0);
    assert_eq!(figure(&before, "http_requests_in_flight", ""), 1.0);
    drop(under_way);
    assert_eq!(figure(&told(&http), "http_requests_in_flight", ""), 0.0);
}

#[test]
fn names_are_as_prometheus_wants_them() {
    for family in filled() {
        let name = family.name.as_str();
        assert!(
            name.starts_with("docmill_") && name.chars().all(|one| one.is_ascii_lowercase() || one == '_'),
            "{name}"
        );
        assert_eq!(family.kind == "counter", name.ends_with("_total"), "{name} is a {}", family.kind);
        assert!(family.help.ends_with('.') && family.help.len() > 10, "{name}: {}", family.help);
        let units = ["_ms", "_millis", "_milliseconds", "_mb", "_mib", "_percent"];
        assert!(units.iter().all(|unit| !name.contains(unit)), "{name}");
    }
}
