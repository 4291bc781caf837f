//! How the workers of each stage spent their time: of the last seconds, or of the whole run. The bottleneck is found in
//! either alike.

use crate::monitor::{Snapshot, StageSnapshot};

/// A stage's time, as shares of what its workers had: they add up to 1, or to 0 where nothing is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shares {
    pub(super) busy: f64,
    pub(super) held: f64,
    pub(super) blocked: f64,
    pub(super) starved: f64,
    /// What it was held by most.
    pub(super) held_by: String,
    /// How full its queue was on average, from 0 to 1.
    pub(super) fill: f64,
    /// CPUs in use.
    pub(super) cpus: f64,
    /// Calls a second.
    pub(super) calls: f64,
}

impl Shares {
    /// Of the last seconds.
    pub(super) fn now(stage: &StageSnapshot) -> Self {
        let now = &stage.now;
        Self {
            busy: now.busy,
            held: now.held,
            blocked: now.blocked,
            starved: now.starved,
            held_by: now.held_by.clone(),
            fill: now.queue.clamp(0.0, 1.0),
            cpus: now.cpus,
            calls: now.calls,
        }
    }

    /// Of the whole run. The time that nobody told of counts as work of what is in hand, and as waiting otherwise.
    pub(super) fn of_run(stage: &StageSnapshot, seconds: f64) -> Self {
        let told = stage.busy_seconds + stage.held_seconds + stage.blocked_seconds + stage.starved_seconds;
        let all = told.max(stage.width as f64 * seconds).max(f64::MIN_POSITIVE);
        let most = stage.held_by.iter().max_by(|a, b| a.1.total_cmp(b.1)).filter(|(_, time)| **time > 0.0);
        let queue = &stage.queue;
        Self {
            busy: stage.busy_seconds / all,
            held: stage.held_seconds / all,
            blocked: stage.blocked_seconds / all,
            starved: (all - told + stage.starved_seconds) / all,
            held_by: most.map(|(cause, _)| cause.clone()).unwrap_or_default(),
            fill: if queue.capacity == 0 { 0.0 } else { (queue.mean / queue.capacity as f64).min(1.0) },
            cpus: stage.cpu_seconds / seconds.max(f64::MIN_POSITIVE),
            calls: stage.calls as f64 / seconds.max(f64::MIN_POSITIVE),
        }
    }

    /// The share in which it had work and was not kept from handing it on.
    pub(super) fn occupied(&self) -> f64 {
        self.busy + self.held
    }

    /// The same, without the time that it waits for memory: that is no sign that more workers would bring anything.
    pub(super) fn at_work(&self) -> f64 {
        if self.held_by == "memory" { self.busy } else { self.busy + self.held }
    }
}

/// The stages right before and right after one, by index.
pub(super) fn neighbours(snapshot: &Snapshot, index: usize) -> (Vec<usize>, Vec<usize>) {
    let id = &snapshot.stages[index].id;
    let find = |id: &str| snapshot.stages.iter().position(|stage| stage.id == id);
    if snapshot.edges.is_empty() {
        // Recorded by something that tells no edges: the order is all there is to go by.
        let after = (index + 1 < snapshot.stages.len()).then_some(index + 1);
        return (index.checked_sub(1).into_iter().collect(), after.into_iter().collect());
    }
    let before = snapshot.edges.iter().filter(|edge| edge.to == *id).filter_map(|edge| find(&edge.from));
    let after = snapshot.edges.iter().filter(|edge| edge.from == *id).filter_map(|edge| find(&edge.to));
    (before.collect(), after.collect())
}

/// Whether a stage only lists.
pub(super) fn is_source(stage: &StageSnapshot) -> bool {
    stage.role == "source"
}

/// Whether records wait for a stage. Where memory is scarce none do: what waits for a stage that is too slow fills memory as
/// well, and then it is the stage.
pub(super) fn has_a_queue(stage: &StageSnapshot) -> bool {
    stage.now.queue * stage.queue.capacity as f64 >= 1.0
}
