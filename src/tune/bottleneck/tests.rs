use super::*;
use crate::monitor::{Hand, QueueSnapshot, StageNow};

fn stage(id: &str, tier: &str, busy: f64, blocked: f64, starved: f64, queue: f64) -> StageSnapshot {
    StageSnapshot {
        id: id.into(),
        tier: tier.into(),
        width: 2,
        input: 10,
        busy_seconds: busy,
        blocked_seconds: blocked,
        starved_seconds: starved,
        queue: QueueSnapshot { capacity: 50, mean: queue, ..QueueSnapshot::default() },
        ..StageSnapshot::default()
    }
}

fn snapshot(stages: Vec<StageSnapshot>) -> Snapshot {
    Snapshot { seconds: 5.0, listed: true, stages, ..Snapshot::default() }
}

#[test]
fn the_busy_stage_with_the_full_queue_is_it_and_what_holds_it_is_the_resource() {
    let mut parse = stage("parse", "cpu", 9.0, 0.1, 0.1, 48.0);
    let stages =
        vec![stage("download", "io", 0.5, 9.0, 0.1, 10.0), parse.clone(), stage("chunk", "cpu", 1.0, 0.0, 9.0, 0.2)];
    let found = bottleneck(&snapshot(stages));
    assert_eq!((found.stage.as_str(), found.resource.as_str()), ("parse", "cpu"));
    parse.held_seconds = 20.0;
    parse.held_by.insert("memory".into(), 20.0);
    assert_eq!(bottleneck(&snapshot(vec![parse])).resource, "memory");
    assert_eq!(bottleneck(&snapshot(vec![])), Bottleneck::default());
}

/// A stage of the last seconds: busy, held, blocked, starved, fill.
fn now(id: &str, tier: &str, width: usize, shares: [f64; 5]) -> StageSnapshot {
    let [busy, held, blocked, starved, queue] = shares;
    let role = if id == "source" { "source" } else { "stage" };
    StageSnapshot {
        id: id.into(),
        tier: tier.into(),
        role: role.into(),
        width,
        max: 256,
        input: 100,
        in_hand: width,
        now: StageNow { busy, held, blocked, starved, queue, ..StageNow::default() },
        queue: QueueSnapshot { capacity: if role == "source" { 0 } else { 50 }, ..QueueSnapshot::default() },
        ..StageSnapshot::default()
    }
}

fn running(stages: Vec<StageSnapshot>) -> Snapshot {
    let mut snapshot = Snapshot { seconds: 60.0, window: 5.0, stages, ..Snapshot::default() };
    snapshot.host.cpus = 2.0;
    snapshot.host.cpus_used = 0.5;
    snapshot
}

#[test]
fn the_sentence_tells_each_sign() {
    let mut parse = now("parse", "cpu", 2, [0.97, 0.0, 0.02, 0.01, 1.0]);
    parse.now.cpus = 1.9;
    let mut snapshot = running(vec![
        now("source", "io", 1, [0.1, 0.0, 0.9, 0.0, 0.0]),
        now("download", "io", 8, [0.2, 0.0, 0.71, 0.09, 0.5]),
        parse,
        now("chunk", "cpu", 2, [0.36, 0.0, 0.0, 0.64, 0.0]),
    ]);
    snapshot.host.cpus_used = 1.9;
    let (found, confidence) = bottleneck_now(&snapshot);
    assert_eq!((found.stage.as_str(), found.resource.as_str(), confidence.as_str()), ("parse", "cpu", "high"));
    assert_eq!(
        found.because,
        "its 2 workers are busy 97% of the time, its queue holds 50 of 50, download before it waits 71% for room, chunk \
         after it waits 64% for input; 1.9 of 2.0 CPUs are in use"
    );
    snapshot.host.cpus = 8.0;
    assert_eq!(bottleneck_now(&snapshot).0.resource, "width");
}

#[test]
fn a_slow_source_starves_all() {
    let snapshot = running(vec![
        now("source", "io", 1, [0.99, 0.0, 0.01, 0.0, 0.0]),
        now("download", "io", 8, [0.1, 0.0, 0.0, 0.9, 0.0]),
        now("parse", "cpu", 2, [0.3, 0.0, 0.0, 0.7, 0.0]),
    ]);
    let (found, _) = bottleneck_now(&snapshot);
    assert_eq!((found.stage.as_str(), found.resource.as_str()), ("source", "source"));
}

#[test]
fn one_document_that_everything_waits_for_is_named() {
    let mut parse = now("parse", "cpu", 2, [0.5, 0.0, 0.0, 0.5, 0.0]);
    parse.in_hand = 1;
    parse.service_ms.p95 = 800.0;
    parse.hands = vec![Hand { document: "file:///huge.pdf".into(), seconds: 41.0 }];
    let mut others = running(vec![
        now("source", "io", 1, [0.0, 0.0, 1.0, 0.0, 0.0]),
        parse,
        now("chunk", "cpu", 2, [0.0, 0.0, 0.0, 1.0, 0.0]),
    ]);
    let (found, _) = bottleneck_now(&others);
    assert_eq!(found.resource, "document");
    assert!(found.because.contains("huge.pdf") && found.because.contains("41s"), "{}", found.because);
    // Where the other workers go on, it is one of many.
    others.stages[1].in_hand = 2;
    assert_ne!(bottleneck_now(&others).0.resource, "document");
}

#[test]
fn a_stage_that_its_service_holds_is_bound_by_the_provider_and_memory_needs_no_busy_stage() {
    let mut embed = now("embed", "service", 16, [0.5, 0.5, 0.0, 0.0, 0.9]);
    embed.now.held_by = "provider".into();
    let mut source = now("source", "io", 1, [0.1, 0.0, 0.9, 0.0, 0.0]);
    let found = bottleneck_now(&running(vec![source.clone(), embed])).0;
    assert_eq!((found.stage.as_str(), found.resource.as_str()), ("embed", "provider"));
    source.now = StageNow { held: 0.95, busy: 0.05, held_by: "memory".into(), ..StageNow::default() };
    let found = bottleneck_now(&running(vec![source, now("parse", "cpu", 2, [0.4, 0.0, 0.0, 0.6, 0.1])])).0;
    assert_eq!((found.stage.as_str(), found.resource.as_str()), ("source", "memory"));
}
