//! The course of a run: what the chart and the small curves are drawn from. Made of the snapshots that came by, a point a
//! second, so that nothing on the screen is measured here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::text::size_float;
use crate::monitor::{EventKind, Snapshot};

/// How many points are kept: an hour.
const POINTS: usize = 3600;
/// How many whole snapshots are kept, for going back in a frozen view: five minutes.
const SNAPSHOTS: usize = 300;
/// How many points a stage's small curve goes back: a minute.
const STAGE: usize = 60;
/// How many changes of width are kept for marks.
const MARKS: usize = 200;
/// A little less than a second: snapshots come four times a second, and not to the millisecond.
const EVERY: f64 = 0.95;

/// Throughput at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// In seconds from the run's start.
    pub(super) at: f64,
    /// Documents that came to an end in a second.
    pub(super) rate: f64,
}

/// A change of width.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) at: f64,
    pub(super) stage: String,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// What was so far.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) points: VecDeque<Point>,
    pub(super) marks: VecDeque<Mark>,
    stages: BTreeMap<String, VecDeque<(f64, f64)>>,
    snapshots: VecDeque<Arc<Snapshot>>,
    /// The number of the last event that was looked at.
    events: u64,
}

impl History {
    /// Takes a snapshot in. One that is earlier than the last forgets what came after it: a recording was turned back.
    pub(super) fn record(&mut self, snapshot: &Arc<Snapshot>) {
        let at = snapshot.seconds;
        self.mark(snapshot);
        if self.points.back().is_some_and(|last| last.at > at) {
            self.forget_after(at);
        }
        // Before there is a window there is no figure of now.
        if snapshot.window <= 0.0 || self.points.back().is_some_and(|last| at - last.at < EVERY) {
            return;
        }
        push(&mut self.points, Point { at, rate: snapshot.rates.documents }, POINTS);
        push(&mut self.snapshots, Arc::clone(snapshot), SNAPSHOTS);
        for stage in &snapshot.stages {
            match self.stages.get_mut(&stage.id) {
                Some(rates) => push(rates, (at, stage.now.output), STAGE),
                None => {
                    self.stages.insert(stage.id.clone(), VecDeque::from([(at, stage.now.output)]));
                }
            }
        }
    }

    fn mark(&mut self, snapshot: &Snapshot) {
        for event in snapshot.events.iter().filter(|event| event.number > self.events) {
            if let (EventKind::Width, Some(from), Some(to)) = (event.kind, event.from, event.to) {
                push(&mut self.marks, Mark { at: event.at, stage: event.stage.clone(), from, to }, MARKS);
            }
        }
        self.events = snapshot.events.last().map_or(self.events, |last| last.number);
    }

    fn forget_after(&mut self, at: f64) {
        self.points.retain(|point| point.at <= at);
        self.marks.retain(|mark| mark.at <= at);
        self.snapshots.retain(|snapshot| snapshot.seconds <= at);
        for rates in self.stages.values_mut() {
            rates.retain(|(then, _)| *then <= at);
        }
    }

    /// The moment of the last snapshot that was taken in.
    pub(super) fn last(&self) -> f64 {
        self.points.back().map_or(-1.0, |point| point.at)
    }

    /// The last snapshot that is kept of a moment or before.
    pub(super) fn before(&self, at: f64) -> Option<&Arc<Snapshot>> {
        let end = self.snapshots.partition_point(|snapshot| snapshot.seconds <= at);
        self.snapshots.get(end.checked_sub(1)?)
    }

    /// The first snapshot that is kept after a moment.
    pub(super) fn after(&self, at: f64) -> Option<&Arc<Snapshot>> {
        self.snapshots.get(self.snapshots.partition_point(|snapshot| snapshot.seconds <= at))
    }

    /// The mean throughput in each of `columns` spans of time of which the last holds `now`; none where nothing is known.
    pub(super) fn columns(&self, now: f64, seconds: f64, columns: usize) -> Vec<Option<f64>> {
        means(self.points.iter().map(|point| (point.at, point.rate)), now, seconds, columns)
    }

    /// The same of what a stage handed on.
    pub(super) fn stage(&self, id: &str, now: f64, seconds: f64, columns: usize) -> Vec<Option<f64>> {
        let rates = self.stages.get(id).into_iter().flatten().copied();
        means(rates, now, seconds, columns)
    }
}

fn push<T>(to: &mut VecDeque<T>, item: T, most: usize) {
    if to.len() == most {
        to.pop_front();
    }
    to.push_back(item);
}

/// Where the first of so many columns begins, which together are so long and hold `now` in the last. Columns begin at
/// multiples of their length: what is in one stays in it while time goes on, and the picture does not shimmer.
pub(super) fn start(now: f64, seconds: f64, columns: usize) -> f64 {
    let length = seconds / size_float(columns.max(1));
    ((now / length).floor() + 1.0) * length - seconds
}

fn means(points: impl Iterator<Item = (f64, f64)>, now: f64, seconds: f64, columns: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_u32); columns];
    let start = start(now, seconds, columns);
    for (at, value) in points.filter(|(at, _)| *at >= start && *at <= now) {
        let column = super::text::cells((at - start) / seconds, columns).min(columns.saturating_sub(1));
        if let Some(sum) = sums.get_mut(column) {
            *sum = (sum.0 + value, sum.1 + 1);
        }
    }
    let mut means: Vec<_> =
        sums.into_iter().map(|(sum, number)| (number > 0).then(|| sum / f64::from(number))).collect();
    fill_gaps(&mut means, seconds / size_float(columns.max(1)));
    means
}

/// A column may be narrower than the second between two points: then it goes on with the one before it.
fn fill_gaps(means: &mut [Option<f64>], seconds: f64) {
    // Two seconds without a point are still no gap; more are.
    let reach = super::text::whole((2.0 / seconds.max(0.01)).ceil());
    let mut last = None;
    for mean in means {
        match (*mean, last) {
            (Some(value), _) => last = Some((value, 0)),
            (None, Some((value, missing))) if missing < reach => {
                *mean = Some(value);
                last = Some((value, missing + 1));
            }
            (None, _) => last = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::{Event, Rates};

    fn snapshot(seconds: f64, documents: f64) -> Arc<Snapshot> {
        let change = Event {
            number: 1,
            at: 2.0,
            kind: EventKind::Width,
            stage: "parse".into(),
            from: Some(8),
            to: Some(12),
            ..Event::default()
        };
        let events = if seconds >= 2.0 { vec![change] } else { Vec::new() };
        let rates = Rates { documents, ..Rates::default() };
        Arc::new(Snapshot { seconds, window: 5.0, rates, events, ..Snapshot::default() })
    }

    #[test]
    fn a_point_a_second_and_each_change_once() {
        let mut history = History::default();
        for step in 0..40_u32 {
            history.record(&snapshot(f64::from(step) / 4.0, 10.0));
        }
        assert_eq!((history.points.len(), history.marks.len()), (10, 1));
        assert_eq!(history.before(4.5).map(|snapshot| snapshot.seconds), Some(4.0));
        history.record(&snapshot(3.5, 10.0));
        assert!(history.last() <= 3.5, "a recording that is turned back forgets");
    }

    #[test]
    fn columns_hold_means_and_narrow_ones_have_no_holes() {
        let mut history = History::default();
        for second in 1..=10_u32 {
            history.record(&snapshot(f64::from(second), f64::from(second)));
        }
        assert_eq!(history.columns(10.0, 10.0, 2), [Some(7.0), Some(10.0)]);
        let fine = history.columns(10.0, 10.0, 40);
        assert!(fine[4..].iter().all(Option::is_some), "{fine:?}");
        assert_eq!(history.columns(30.0, 10.0, 2), [None, None]);
    }
}
