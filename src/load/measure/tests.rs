//! Marks are put together by hand, and what lies between them is known.

use std::time::Duration;

use super::*;
use crate::monitor::{DocumentCounts, QueueSnapshot};

/// A run at some second: documents that ended, took so many milliseconds each, and are under way.
fn mark(seconds: f64, ended: &[u64], under_way: u64) -> Mark {
    let mut times = Histogram::new_with_bounds(1, 86_400_000_000, 2).expect("in order");
    for ms in ended {
        times.record(ms * 1000).expect("in bounds");
    }
    let done = ended.len() as u64;
    let documents = DocumentCounts { seen: done + under_way, done, unfinished: under_way, ..DocumentCounts::default() };
    let stage = StageSnapshot {
        id: "parse".into(),
        input: done,
        busy_seconds: seconds / 2.0,
        queue: QueueSnapshot { capacity: 10, mean: 2.0, ..QueueSnapshot::default() },
        ..StageSnapshot::default()
    };
    let bytes = 100 * done;
    let snapshot = Snapshot { seconds, documents, bytes, stages: vec![stage], ..Snapshot::default() };
    Mark { snapshot, times, cpu_seconds: seconds * 1.5, memory: 1 << 10 }
}

fn step(rate: Option<f64>, at_once: Option<usize>, warm_up: bool) -> Step {
    Step { rate, at_once, lasts: Some(Duration::from_secs(10)), warm_up }
}

fn ended(first: usize, second: usize) -> Vec<u64> {
    let mut times = vec![100; first];
    times.extend(vec![1000; second]);
    times
}

#[test]
fn each_step_has_its_own_times_and_the_warm_up_is_left_out() {
    let mut meter = Meter::default();
    meter.begin(step(Some(10.0), None, true), mark(0.0, &[], 0));
    meter.look(7 << 30);
    meter.begin(step(Some(10.0), None, false), mark(10.0, &ended(90, 0), 10));
    meter.half(mark(15.0, &ended(90, 20), 10));
    meter.look(1 << 20);
    meter.over(mark(20.0, &ended(90, 50), 60));
    meter.look(2 << 20);
    let Results { stretches, measured } = meter.finish(&mark(25.0, &ended(90, 110), 0));
    let (warm, main, rest) = (&stretches[0], &stretches[1], &stretches[2]);
    assert_eq!((warm.documents, main.documents, rest.documents), (90, 50, 60));
    assert!(warm.document_ms.p95 < 110.0 && main.document_ms.p50 > 900.0, "{:?}", main.document_ms);
    let near = |value: f64, wanted: f64| assert!((value - wanted).abs() < 1e-9, "{value} against {wanted}");
    near(main.achieved, 5.0);
    near(main.settled, 6.0);
    near(main.taken_in, 10.0);
    near(main.cpus, 1.5);
    near(main.seen.stages[0].busy_seconds, 5.0);
    near(main.seen.stages[0].queue.mean, 2.0);
    assert!(rest.finishing && !main.finishing && main.under_way == 60);
    // Rates are of the steps, times and counts of what ended later as well, memory without the warm-up.
    near(measured.documents_per_second, 5.0);
    near(measured.bytes_per_second, 500.0);
    assert_eq!((measured.ended, measured.failed, measured.memory), (110, 0, 2 << 20));
    assert!(measured.document_ms.p50 > 900.0);
}

#[test]
fn a_run_that_ends_early_leaves_the_steps_that_were() {
    let mut meter = Meter::default();
    meter.begin(step(Some(10.0), None, false), mark(0.0, &[], 0));
    let results = meter.finish(&mark(4.0, &ended(40, 0), 0));
    assert_eq!((results.stretches.len(), results.measured.ended), (1, 40));
    assert!((results.stretches[0].achieved - 10.0).abs() < 1e-9);
    assert_eq!(Meter::default().finish(&mark(1.0, &[], 0)).measured, Measured::default());
}

fn stretch_of(step: Step, settled: f64) -> Stretch {
    let begun = Begun { step, begin: mark(0.0, &[], 0), half: None, peak: 0 };
    Stretch { settled, half: 60.0, ..stretch(&begun, &mark(10.0, &[], 0)) }
}

#[test]
fn the_knee_of_rates_is_where_less_ends_than_is_offered() {
    let rates = |settled: [f64; 3]| -> Vec<Stretch> {
        [10.0, 20.0, 50.0]
            .into_iter()
            .zip(settled)
            .map(|(rate, of)| stretch_of(step(Some(rate), None, false), of))
            .collect()
    };
    assert_eq!(knee(&rates([10.0, 19.5, 31.0])), Some(Knee { kept_up: Some(1), fell_behind: Some(2) }));
    assert_eq!(knee(&rates([10.0, 20.0, 50.0])), Some(Knee { kept_up: Some(2), fell_behind: None }));
    let mut short = rates([10.0, 19.0, 45.0]);
    short.iter_mut().for_each(|stretch| stretch.half = 1.0);
    assert_eq!(knee(&short).and_then(|knee| knee.fell_behind), None, "a document or five of fifty is chance");
    assert_eq!(knee(&rates([9.0, 9.0, 9.0])), Some(Knee { kept_up: None, fell_behind: Some(0) }));
    assert_eq!(knee(&rates([9.0; 3])[..1]), None, "one step has no knee");
    let mut warm = rates([1.0, 20.0, 50.0]);
    warm[0].step.warm_up = true;
    assert_eq!(knee(&warm), Some(Knee { kept_up: Some(2), fell_behind: None }));
}

#[test]
fn the_knee_of_documents_at_once_is_where_more_bring_no_more() {
    let at_once = |settled: [f64; 4]| -> Vec<Stretch> {
        [2, 4, 8, 16].into_iter().zip(settled).map(|(many, of)| stretch_of(step(None, Some(many), false), of)).collect()
    };
    assert_eq!(knee(&at_once([10.0, 19.0, 30.0, 31.0])), Some(Knee { kept_up: Some(2), fell_behind: Some(3) }));
    assert_eq!(knee(&at_once([10.0, 18.0, 33.0, 60.0])), Some(Knee { kept_up: Some(3), fell_behind: None }));
}
