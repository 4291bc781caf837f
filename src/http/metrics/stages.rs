//! Stages and the edges between them.

use std::collections::BTreeMap;

use super::family::{Family, Labels, Number, counter, gauge, histogram, label};
use crate::monitor::{Cause, EdgeSnapshot, StageSnapshot};

/// The classes of failures that every stage has a figure for, also before the first: a rate needs the 0 before the 1.
const CLASSES: [&str; 5] = ["rejected", "transient", "overload", "fatal", "exhausted"];

/// How many bounds the histogram of call times has: the snapshot counts by powers of two of microseconds, and its longest
/// time is an hour, which is below 2^32. All are always there: sums over stages need the same bounds in each.
const BOUNDS: u32 = 32;

/// What is said of each stage, by its id.
pub(super) fn families(stages: &[StageSnapshot]) -> Vec<Family> {
    let parts = [widths(stages), records(stages), times(stages), queues(stages)];
    parts.into_iter().flatten().collect()
}

fn stage(stage: &StageSnapshot) -> Labels {
    label("stage", &stage.id)
}

fn each(family: Family, stages: &[StageSnapshot], of: fn(&StageSnapshot) -> Number) -> Family {
    family.with_all(stages.iter().map(|one| (stage(one), of(one))))
}

fn widths(stages: &[StageSnapshot]) -> Vec<Family> {
    let about = |one: &StageSnapshot| -> Labels {
        let more = [("kind", &one.kind), ("tier", &one.tier), ("role", &one.role), ("service", &one.service)];
        stage(one).into_iter().chain(more.map(|(name, value)| (name, value.clone()))).collect()
    };
    let info = gauge("stage_info", "Always 1; its labels are the stage's kind, tier and role, and its model service.");
    let of = |family, figure| each(family, stages, figure);
    vec![
        info.with_all(stages.iter().map(|one| (about(one), 1_u64))),
        of(gauge("stage_width", "How many records or batches the stage works on at once at most."), |one| {
            one.width.into()
        }),
        of(gauge("stage_width_min", "The least width that may be set."), |one| one.min.into()),
        of(gauge("stage_width_max", "The largest width that may be set."), |one| one.max.into()),
        of(gauge("stage_width_auto", "1 where the tuner may change the width."), |one| one.auto.into()),
        of(gauge("stage_workers", "Workers that are alive."), |one| one.workers_alive.into()),
        of(gauge("stage_workers_in_hand", "Workers that have something in hand."), |one| one.in_hand.into()),
    ]
}

fn records(stages: &[StageSnapshot]) -> Vec<Family> {
    let of = |family, figure| each(family, stages, figure);
    let failed = stages.iter().flat_map(|one| {
        let mut classes: BTreeMap<&str, u64> = CLASSES.iter().map(|class| (*class, 0)).collect();
        classes.extend(one.errors.iter().map(|(class, count)| (class.as_str(), *count)));
        classes.into_iter().map(|(class, count)| (with(stage(one), "class", class), count))
    });
    let ended = stages.iter().flat_map(|one| {
        let ends = &one.workers;
        let causes = [("crashed", ends.crashed), ("timed_out", ends.timed_out), ("out_of_memory", ends.out_of_memory)];
        causes.map(|(cause, count)| (with(stage(one), "cause", cause), count))
    });
    vec![
        of(counter("stage_records_in", "Records that the stage took in."), |one| one.input.into()),
        of(counter("stage_records_out", "Records that it handed on, or that a sink made durable."), |one| {
            one.output.into()
        }),
        counter("stage_records_failed", "Records that failed in it, by class.").with_all(failed),
        of(counter("stage_retries", "Attempts after the first."), |one| one.retries.into()),
        of(counter("stage_timeouts", "Records that ran out of time."), |one| one.timeouts.into()),
        counter("stage_children_ended", "Children that ended without being told to, by cause.").with_all(ended),
    ]
}

fn times(stages: &[StageSnapshot]) -> Vec<Family> {
    let of = |family, figure| each(family, stages, figure);
    let held = stages.iter().flat_map(|one| {
        let mut causes: BTreeMap<&str, f64> = Cause::ALL.iter().map(|(_, name)| (*name, 0.0)).collect();
        causes.extend(one.held_by.iter().map(|(cause, seconds)| (cause.as_str(), *seconds)));
        causes.into_iter().map(|(cause, seconds)| (with(stage(one), "cause", cause), seconds))
    });
    let calls = histogram("stage_call_duration_seconds", "How long a call took: a record, a step of one, or a batch.");
    let calls = stages
        .iter()
        .fold(calls, |family, one| family.with_times(stage(one), one.busy_seconds, buckets(&one.service_buckets)));
    vec![
        of(counter("stage_busy_seconds", "Time that its workers spent working."), |one| one.busy_seconds.into()),
        counter("stage_held_seconds", "Time that its workers waited for what the engine grants, by cause.")
            .with_all(held),
        of(counter("stage_blocked_seconds", "Time that its workers waited for room downstream."), |one| {
            one.blocked_seconds.into()
        }),
        of(counter("stage_starved_seconds", "Time that its workers waited for input."), |one| {
            one.starved_seconds.into()
        }),
        of(counter("stage_cpu_seconds", "CPU time of its pool threads and children."), |one| one.cpu_seconds.into()),
        calls,
    ]
}

fn queues(stages: &[StageSnapshot]) -> Vec<Family> {
    // A source has no queue, and a share of nothing is not asked for.
    let queued = |family: Family, figure: fn(&StageSnapshot) -> Number| {
        family.with_all(stages.iter().filter(|one| one.queue.capacity > 0).map(|one| (stage(one), figure(one))))
    };
    vec![
        queued(gauge("stage_queue_length", "Records in the queues into the stage."), |one| one.queue.length.into()),
        queued(gauge("stage_queue_capacity", "How many records may be in them."), |one| one.queue.capacity.into()),
        queued(gauge("stage_queue_bytes", "Bytes of the records in them."), |one| one.queue.bytes.into()),
        queued(gauge("stage_queue_oldest_seconds", "How long the oldest record in them has waited."), |one| {
            one.queue.oldest_seconds.into()
        }),
        each(gauge("stage_held_bytes", "Bytes of the records in its workers' hands."), stages, |one| {
            one.held_bytes.into()
        }),
    ]
}

/// What is said of each edge, by the stages that it joins.
pub(super) fn edges(edges: &[EdgeSnapshot]) -> Vec<Family> {
    let of = |family: Family, figure: fn(&EdgeSnapshot) -> Number| {
        family.with_all(edges.iter().map(|edge| (with(label("from", &edge.from), "to", &edge.to), figure(edge))))
    };
    vec![
        of(counter("edge_records_sent", "Records that went into the edge."), |edge| edge.sent.into()),
        of(gauge("edge_queue_length", "Records in the edge's queue."), |edge| edge.length.into()),
        of(gauge("edge_queue_capacity", "How many records may be in it."), |edge| edge.capacity.into()),
        of(gauge("edge_queue_bytes", "Bytes of the records in it."), |edge| edge.bytes.into()),
        of(gauge("edge_queue_oldest_seconds", "How long the oldest record in it has waited."), |edge| {
            edge.oldest_seconds.into()
        }),
    ]
}

fn with(mut labels: Labels, name: &'static str, value: &str) -> Labels {
    labels.push((name, value.to_owned()));
    labels
}

/// Counts by powers of two of microseconds as counts up to bounds in seconds. What is beyond the last bound is in a bucket
/// without one.
fn buckets(powers: &[u64]) -> Vec<(f64, u64)> {
    let count = |power: u32| powers.get(power as usize).copied().unwrap_or(0);
    let bounded = (0..BOUNDS).map(|power| (f64::from(power + 1).exp2() / 1e6, count(power)));
    let beyond = powers.iter().skip(BOUNDS as usize).sum();
    bounded.chain([(f64::INFINITY, beyond)]).collect()
}
