//! Widths that a person changes: what was asked for and is not yet, what can be taken back, and what the file does not say.

use std::collections::BTreeMap;

use crate::monitor::Snapshot;
use crate::tune::Change;

/// How many seconds a width that was asked for is believed in before a snapshot tells of it: two of them and a slow socket.
const PATIENCE: f64 = 2.0;

/// What is remembered of widths.
#[derive(Debug, Default)]
pub(super) struct Widths {
    /// As at the start, or as last written to the file.
    saved: BTreeMap<String, usize>,
    /// Asked for: the width, and when by the dashboard's clock.
    wanted: BTreeMap<String, (usize, f64)>,
    done: Vec<Vec<Change>>,
    undone: Vec<Vec<Change>>,
}

impl Widths {
    /// With what the file says.
    pub(super) fn saved(saved: BTreeMap<String, usize>) -> Self {
        Self { saved, ..Self::default() }
    }

    /// Takes note of the widths that there are.
    pub(super) fn see(&mut self, snapshot: &Snapshot, clock: f64) {
        for stage in &snapshot.stages {
            if !self.saved.contains_key(&stage.id) {
                self.saved.insert(stage.id.clone(), stage.width);
            }
        }
        self.wanted.retain(|id, (width, at)| {
            let arrived = snapshot.stage(id).is_some_and(|stage| stage.width == *width);
            !arrived && clock - *at < PATIENCE
        });
    }

    /// A stage's width, or what it will be in a moment.
    pub(super) fn of(&self, snapshot: &Snapshot, id: &str) -> usize {
        let now = snapshot.stage(id).map_or(0, |stage| stage.width);
        self.wanted.get(id).map_or(now, |(width, _)| *width)
    }

    /// Whether a width is not what the file says.
    pub(super) fn changed(&self, id: &str, width: usize) -> bool {
        self.saved.get(id).is_some_and(|saved| *saved != width)
    }

    /// All that the file does not say, in the order of the stages.
    pub(super) fn unsaved(&self, snapshot: &Snapshot) -> Vec<(String, usize)> {
        let changed = snapshot.stages.iter().filter(|stage| self.changed(&stage.id, stage.width));
        changed.map(|stage| (stage.id.clone(), stage.width)).collect()
    }

    /// How many the file does not say.
    pub(super) fn unsaved_count(&self, snapshot: &Snapshot) -> usize {
        snapshot.stages.iter().filter(|stage| self.changed(&stage.id, stage.width)).count()
    }

    /// They are in the file now.
    pub(super) fn written(&mut self, widths: &[(String, usize)]) {
        self.saved.extend(widths.iter().cloned());
    }

    /// A change was asked for.
    pub(super) fn change(&mut self, changes: Vec<Change>, clock: f64) {
        self.want(&changes, clock);
        self.undone.clear();
        self.done.push(changes);
    }

    /// The changes that take the last one back.
    pub(super) fn undo(&mut self, clock: f64) -> Option<Vec<Change>> {
        let last = self.done.pop()?;
        let back: Vec<Change> = last.iter().map(reversed).collect();
        self.want(&back, clock);
        self.undone.push(last);
        Some(back)
    }

    /// The changes that were taken back last.
    pub(super) fn redo(&mut self, clock: f64) -> Option<Vec<Change>> {
        let last = self.undone.pop()?;
        self.want(&last, clock);
        self.done.push(last.clone());
        Some(last)
    }

    /// The run would not have it.
    pub(super) fn refused(&mut self, id: &str) {
        self.wanted.remove(id);
    }

    fn want(&mut self, changes: &[Change], clock: f64) {
        self.wanted.extend(changes.iter().map(|change| (change.stage.clone(), (change.to, clock))));
    }
}

fn reversed(change: &Change) -> Change {
    Change { stage: change.stage.clone(), from: change.to, to: change.from }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::StageSnapshot;

    fn snapshot(width: usize) -> Snapshot {
        let stage = StageSnapshot { id: "parse".into(), width, ..StageSnapshot::default() };
        Snapshot { stages: vec![stage], ..Snapshot::default() }
    }

    fn change(from: usize, to: usize) -> Vec<Change> {
        vec![Change { stage: "parse".into(), from, to }]
    }

    #[test]
    fn what_was_asked_for_counts_until_it_is_there_or_long_ago() {
        let mut widths = Widths::default();
        widths.see(&snapshot(4), 0.0);
        widths.change(change(4, 5), 0.0);
        assert_eq!(widths.of(&snapshot(4), "parse"), 5);
        widths.see(&snapshot(4), 1.0);
        assert_eq!(widths.of(&snapshot(4), "parse"), 5);
        widths.see(&snapshot(4), 2.5);
        assert_eq!(widths.of(&snapshot(4), "parse"), 4, "the run did not do it");
    }

    #[test]
    fn changes_are_taken_back_and_made_again() {
        let mut widths = Widths::default();
        widths.see(&snapshot(4), 0.0);
        widths.change(change(4, 5), 0.0);
        widths.change(change(5, 10), 0.0);
        assert_eq!(widths.undo(0.0), Some(change(10, 5)));
        assert_eq!(widths.redo(0.0), Some(change(5, 10)));
        assert_eq!(widths.undo(0.0), Some(change(10, 5)));
        widths.change(change(5, 6), 0.0);
        assert_eq!(widths.redo(0.0), None, "a new change forgets what was taken back");
        assert_eq!(widths.unsaved(&snapshot(6)), [("parse".to_owned(), 6)]);
        widths.written(&[("parse".to_owned(), 6)]);
        assert_eq!(widths.unsaved_count(&snapshot(6)), 0);
    }
}
