//! The stage, or the resource, that bounds throughput now.

use serde::{Deserialize, Serialize};

use crate::monitor::{Snapshot, StageSnapshot};

/// What bounds throughput, and the evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// The stage; empty where nothing has run.
    pub stage: String,
    /// What of it is scarce: `cpu`, `memory`, `width`, `source`, or what it is held by (`retry`, `provider`).
    pub resource: String,
    /// The evidence, in a sentence.
    pub because: String,
}

/// Names the bottleneck of a run so far.
///
/// A stage that bounds throughput works all the time while the stages before it wait for room and those after it wait
/// for input: so it is the stage whose workers are busy or held the largest share of the run, weighed with how full
/// its queue is. What it is held by is the resource.
#[must_use]
pub fn bottleneck(snapshot: &Snapshot) -> Bottleneck {
    let load = |stage: &StageSnapshot| load(stage, capacity(stage, snapshot.seconds));
    let worked = snapshot.stages.iter().filter(|stage| stage.input > 0 && stage.busy_seconds > 0.0);
    let Some(stage) = worked.max_by(|a, b| load(a).total_cmp(&load(b))) else { return Bottleneck::default() };
    let share = |seconds: f64| (100.0 * seconds / capacity(stage, snapshot.seconds)).min(100.0);
    let held =
        stage.held_by.iter().max_by(|a, b| a.1.total_cmp(b.1)).filter(|(_, seconds)| **seconds > stage.busy_seconds);
    let resource = match (held, stage.tier.as_str()) {
        (Some((cause, _)), _) => cause.clone(),
        (None, "cpu") => "cpu".to_owned(),
        (None, _) if stage.queue.capacity == 0 => "source".to_owned(),
        (None, _) => "width".to_owned(),
    };
    let mut because = format!("{} busy {:.0}% of the time", workers(stage), share(stage.busy_seconds));
    if share(stage.held_seconds) >= 1.0 {
        because.push_str(&format!(", held {:.0}%", share(stage.held_seconds)));
    }
    if stage.queue.capacity > 0 {
        because.push_str(&format!("; its queue holds {:.0} of {} on average", stage.queue.mean, stage.queue.capacity));
    }
    Bottleneck { stage: stage.id.clone(), resource, because }
}

fn workers(stage: &StageSnapshot) -> String {
    if stage.width == 1 { "its worker is".to_owned() } else { format!("its {} workers are", stage.width) }
}

/// The time that a stage's workers have had: its width for as long as the run, or more where the width was larger.
fn capacity(stage: &StageSnapshot, seconds: f64) -> f64 {
    let told = stage.busy_seconds + stage.held_seconds + stage.blocked_seconds + stage.starved_seconds;
    #[expect(clippy::cast_precision_loss, reason = "a width of some hundreds")]
    let full = stage.width as f64 * seconds;
    told.max(full).max(f64::MIN_POSITIVE)
}

fn load(stage: &StageSnapshot, capacity: f64) -> f64 {
    let working = (stage.busy_seconds + stage.held_seconds) / capacity;
    #[expect(clippy::cast_precision_loss, reason = "a queue of some thousands")]
    let fill = if stage.queue.capacity == 0 { 0.0 } else { stage.queue.mean / stage.queue.capacity as f64 };
    working + fill
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::QueueSnapshot;

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
        let stages = vec![
            stage("download", "io", 0.5, 9.0, 0.1, 10.0),
            parse.clone(),
            stage("chunk", "cpu", 1.0, 0.0, 9.0, 0.2),
        ];
        let found = bottleneck(&snapshot(stages));
        assert_eq!((found.stage.as_str(), found.resource.as_str()), ("parse", "cpu"));
        parse.held_seconds = 20.0;
        parse.held_by.insert("memory".into(), 20.0);
        assert_eq!(bottleneck(&snapshot(vec![parse])).resource, "memory");
        assert_eq!(bottleneck(&snapshot(vec![])), Bottleneck::default());
    }
}
