use super::*;
use crate::monitor::{Hand, QueueSnapshot, StageNow, StageSnapshot};
use docmill_api::ServiceReport;

fn stage() -> StageSnapshot {
    StageSnapshot {
        id: "parse".into(),
        role: "stage".into(),
        queue: QueueSnapshot { capacity: 50, length: 3, ..QueueSnapshot::default() },
        ..StageSnapshot::default()
    }
}

/// Looks four times a second; what `make` makes of each second.
fn changes(seconds: f64, make: impl Fn(&mut Snapshot, f64)) -> Vec<(String, bool, f64)> {
    let mut alerts = Alerts::new(AlertRules::default());
    let mut all = Vec::new();
    let mut at = 0.0;
    while at <= seconds {
        let mut snapshot = Snapshot { seconds: at, stages: vec![stage()], ..Snapshot::default() };
        snapshot.documents.seen = 100 + (at * 10.0) as u64;
        snapshot.documents.done = snapshot.documents.seen - 5;
        snapshot.documents.unfinished = 5;
        make(&mut snapshot, at);
        alerts.look(&snapshot);
        all.extend(alerts.changes().into_iter().map(|change| (change.alert.rule, change.raised, at)));
        at += 0.25;
    }
    all
}

fn named(changes: &[(String, bool, f64)]) -> Vec<(&str, bool, f64)> {
    changes.iter().map(|(rule, raised, at)| (rule.as_str(), *raised, *at)).collect()
}

#[test]
fn a_quiet_run_raises_nothing() {
    assert_eq!(changes(120.0, |_, _| {}), []);
}

#[test]
fn a_full_queue_is_told_of_once_and_only_when_it_lasts() {
    let full = |snapshot: &mut Snapshot, at: f64| {
        // Full from 10 to 20, and from 40 to 80 with a moment's room at 75.
        let full = (10.0..20.0).contains(&at) || ((40.0..80.0).contains(&at) && at != 75.0);
        snapshot.stages[0].queue.length = if full { 50 } else { 10 };
    };
    assert_eq!(named(&changes(120.0, full)), [("queue_full", true, 70.0), ("queue_full", false, 85.0)]);
    // Where its stage only waits for room itself, another's queue is the one.
    let waits = |snapshot: &mut Snapshot, _: f64| {
        snapshot.stages[0].queue.length = 50;
        snapshot.stages[0].now = StageNow { blocked: 0.9, ..StageNow::default() };
    };
    assert_eq!(changes(120.0, waits), []);
}

#[test]
fn nothing_that_ends_is_a_stall_unless_the_run_is_paused() {
    let stuck = |snapshot: &mut Snapshot, _: f64| {
        snapshot.documents.seen = 100;
        snapshot.documents.done = 95;
    };
    assert_eq!(named(&changes(40.0, stuck)), [("stalled", true, 30.0)]);
    let paused = |snapshot: &mut Snapshot, at: f64| {
        stuck(snapshot, at);
        snapshot.paused = true;
    };
    assert_eq!(changes(100.0, paused), []);
}

#[test]
fn refusals_failures_memory_and_a_slow_document_are_told_of() {
    let bad = |snapshot: &mut Snapshot, at: f64| {
        let mut report = ServiceReport { calls: (at * 10.0) as u64, ..ServiceReport::default() };
        report.errors.insert("rate_limited".into(), (at * 4.0) as u64);
        snapshot.services.insert("openai".into(), report);
        snapshot.stages[0].now = StageNow { input: 10.0, failed: 2.0, ..StageNow::default() };
        snapshot.stages[0].hands = vec![Hand { document: "file:///big.pdf".into(), seconds: at }];
        snapshot.host.memory_limit = 1000;
        snapshot.host.rss_bytes = 900;
    };
    let mut raised: Vec<String> =
        changes(70.0, bad).into_iter().filter(|change| change.1).map(|change| change.0).collect();
    raised.sort();
    assert_eq!(raised, ["error_rate", "memory", "slow_document", "throttled"]);
}
