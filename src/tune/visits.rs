//! How many records of each stage one document makes. From counts since the run's start, never from rates: those
//! collapse where a stage is kept from handing on, and with them every width that is reckoned from them.

use super::shares::{is_source, neighbours};
use crate::monitor::{Snapshot, StageSnapshot};

/// Records that each stage takes in for one document that the sources hand on.
pub(super) fn visits(snapshot: &Snapshot) -> Vec<f64> {
    let stages = &snapshot.stages;
    let listed: f64 = stages.iter().filter(|stage| is_source(stage)).map(|stage| stage.output as f64).sum();
    let mut visits = vec![0.0; stages.len()];
    // In topological order: what is before a stage is known when it is reached.
    for (index, stage) in stages.iter().enumerate() {
        if is_source(stage) {
            visits[index] = if listed > 0.0 { stage.output as f64 / listed } else { 1.0 };
            continue;
        }
        let before = neighbours(snapshot, index).0;
        visits[index] = before.iter().map(|from| visits[*from] * ratio(snapshot, *from, stage)).sum();
    }
    visits
}

/// Records that a stage is done with: what is in its workers' hands was taken in and has cost nothing yet. Of a source,
/// what it handed on: what it lists may be known already.
pub(super) fn finished(stage: &StageSnapshot) -> f64 {
    if is_source(stage) {
        return stage.output as f64;
    }
    let batch = if stage.calls > 0 { (stage.input as f64 / stage.calls as f64).max(1.0) } else { 1.0 };
    (stage.input as f64 - batch * stage.in_hand as f64).max(0.0)
}

/// Records that go from one stage into another for each that the first has finished.
pub(super) fn ratio(snapshot: &Snapshot, from: usize, to: &StageSnapshot) -> f64 {
    let before = &snapshot.stages[from];
    let edge = snapshot.edges.iter().find(|edge| edge.from == before.id && edge.to == to.id);
    let sent = edge.map_or(before.output, |edge| edge.sent) as f64;
    let finished = finished(before);
    if finished >= 1.0 { sent / finished } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::EdgeSnapshot;

    fn stage(id: &str, input: u64, output: u64, in_hand: usize) -> StageSnapshot {
        let role = if id == "source" { "source" } else { "stage" };
        StageSnapshot { id: id.into(), role: role.into(), input, output, in_hand, ..StageSnapshot::default() }
    }

    #[test]
    fn what_branches_and_what_multiplies_is_counted_and_what_is_in_hand_is_not() {
        let edge = |from: &str, to: &str, sent| EdgeSnapshot {
            from: from.into(),
            to: to.into(),
            sent,
            ..EdgeSnapshot::default()
        };
        let snapshot = Snapshot {
            stages: vec![
                stage("source", 100, 100, 0),
                stage("parse", 90, 80, 10),
                stage("vision", 20, 20, 0),
                stage("chunk", 60, 300, 0),
                stage("store", 300, 300, 0),
            ],
            edges: vec![
                edge("source", "parse", 100),
                edge("parse", "vision", 20),
                edge("parse", "chunk", 60),
                edge("chunk", "store", 300),
            ],
            ..Snapshot::default()
        };
        assert_eq!(visits(&snapshot), [1.0, 1.0, 0.25, 0.75, 3.75]);
    }
}
