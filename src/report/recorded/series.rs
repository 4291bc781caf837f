//! A run over time: some hundred points of equal length, however long it ran and however often it was looked at.

use serde::Serialize;

use super::words::{float, number, rounded, rounded_rate};
use crate::monitor::Snapshot;

/// How many points a run has at most.
const POINTS: f64 = 180.0;

/// How many seconds a point may be over: what a person counts in.
const STEPS: [f64; 15] =
    [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0];

/// A run over time. Point `i` is over the seconds from `i * step` to `(i + 1) * step`; the last may be shorter.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series {
    /// How many seconds a point is over.
    pub step: f64,
    /// Documents that came to an end, per second.
    pub documents: Vec<f64>,
    /// Bytes that were read, per second.
    pub bytes: Vec<f64>,
    /// Tokens of finished documents, per second.
    pub tokens: Vec<f64>,
    /// The most bytes of documents in flight.
    pub memory_used: Vec<u64>,
    /// The most memory of the process and its children, in bytes.
    pub rss: Vec<u64>,
    /// CPUs in use.
    pub cpus: Vec<f64>,
}

/// A count that only grows, known at some moments and taken as a straight line between them.
#[derive(Clone, Debug)]
pub(super) struct Curve(Vec<(f64, f64)>);

impl Curve {
    /// From points in the order of time.
    #[cfg(test)]
    pub(super) fn new(points: Vec<(f64, f64)>) -> Self {
        Self(points)
    }

    /// A count of the snapshots; a run begins with nothing.
    pub(super) fn of(snapshots: &[Snapshot], count: impl Fn(&Snapshot) -> u64) -> Self {
        let points = snapshots.iter().map(|snapshot| (snapshot.seconds, float(count(snapshot))));
        Self(std::iter::once((0.0, 0.0)).chain(points).collect())
    }

    fn at(&self, time: f64) -> f64 {
        let next = self.0.partition_point(|(at, _)| *at <= time);
        match (next.checked_sub(1).map(|before| self.0[before]), self.0.get(next)) {
            (Some((from, before)), Some((to, after))) => before + (after - before) * (time - from) / (to - from),
            (Some((_, last)), None) => last,
            (None, _) => 0.0,
        }
    }

    /// By how much it grew in a second.
    pub(super) fn rate(&self, from: f64, to: f64) -> f64 {
        if to > from { (self.at(to) - self.at(from)) / (to - from) } else { 0.0 }
    }

    /// From when to when it grew.
    pub(super) fn grew(&self) -> Option<(f64, f64)> {
        let last = self.0.last()?;
        let begin = self.0.iter().rfind(|point| point.1 <= 0.0)?.0;
        let end = self.0.iter().find(|point| point.1 >= last.1)?.0;
        (end > begin).then_some((begin, end))
    }
}

/// How time is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// How many seconds a piece has.
    pub(super) step: f64,
    seconds: f64,
}

impl Cut {
    /// Into pieces of a length that a person counts in, `most` at most.
    pub(super) fn into_at_most(most: f64, least: f64, seconds: f64) -> Self {
        let fits = |step: &f64| *step >= least && seconds / *step <= most;
        let step = STEPS.into_iter().find(fits).unwrap_or(seconds / most);
        Self { step, seconds }
    }

    /// The pieces; one where there is no time.
    pub(super) fn pieces(self) -> impl Iterator<Item = (f64, f64)> {
        let (step, seconds) = (self.step, self.seconds);
        // What is left over at the end and is too short to say anything goes with the piece before.
        let whole = (0..).map(move |index: usize| number(index) * step);
        whole.take_while(move |from| *from == 0.0 || seconds - from > 0.2 * step).map(move |from| {
            let last = seconds - (from + step) <= 0.2 * step;
            (from, if last { seconds } else { from + step })
        })
    }
}

/// How a run's charts cut its time.
pub(super) fn cut(seconds: f64) -> Cut {
    Cut::into_at_most(POINTS, STEPS[0], seconds)
}

/// The snapshots of a piece of time; the next one where there is none in it, since it looks back.
pub(super) fn within(snapshots: &[Snapshot], from: f64, to: f64) -> &[Snapshot] {
    // A run's first piece has its first moment as well.
    let begin = if from == 0.0 { 0 } else { snapshots.partition_point(|snapshot| snapshot.seconds <= from) };
    let end = snapshots.partition_point(|snapshot| snapshot.seconds <= to).max(begin);
    if begin < end {
        return &snapshots[begin..end];
    }
    let next = begin.min(snapshots.len().saturating_sub(1));
    snapshots.get(next..=next).unwrap_or_default()
}

/// The mean of something over snapshots; 0 of none.
pub(super) fn mean(of: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = of.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

impl Series {
    /// Of a run's snapshots.
    pub(super) fn of(snapshots: &[Snapshot]) -> Self {
        let cut = cut(snapshots.last().map_or(0.0, |last| last.seconds));
        let documents = Curve::of(snapshots, |snapshot| snapshot.documents.ended());
        let bytes = Curve::of(snapshots, |snapshot| snapshot.bytes);
        let tokens = Curve::of(snapshots, |snapshot| snapshot.tokens);
        let mut series = Self { step: cut.step, ..Self::default() };
        for (from, to) in cut.pieces() {
            let looked = within(snapshots, from, to);
            let most = |of: fn(&Snapshot) -> u64| looked.iter().map(of).max().unwrap_or_default();
            series.documents.push(rounded_rate(documents.rate(from, to)));
            series.bytes.push(bytes.rate(from, to).round());
            series.tokens.push(tokens.rate(from, to).round());
            series.memory_used.push(most(|snapshot| snapshot.memory_used));
            series.rss.push(most(|snapshot| snapshot.host.rss_bytes + snapshot.host.children_rss_bytes));
            series.cpus.push(rounded(mean(looked.iter().map(|snapshot| snapshot.host.cpus_used))));
        }
        series
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::DocumentCounts;

    fn at(seconds: f64, done: u64, memory: u64) -> Snapshot {
        let documents = DocumentCounts { seen: done, done, ..DocumentCounts::default() };
        Snapshot { seconds, documents, memory_used: memory, ..Snapshot::default() }
    }

    #[test]
    fn the_points_hold_as_many_documents_as_the_run() {
        for seconds in [0.1, 0.9, 7.3, 60.0, 89.95, 600.0, 3600.0, 40_000.0] {
            let snapshots: Vec<Snapshot> =
                (1..=500_u32).map(|step| at(seconds * f64::from(step) / 500.0, u64::from(step) * 3, 1)).collect();
            let series = Series::of(&snapshots);
            let cut = cut(seconds);
            let sum: f64 = cut.pieces().zip(&series.documents).map(|((from, to), rate)| rate * (to - from)).sum();
            assert!((sum / 1500.0 - 1.0).abs() < 0.01, "{seconds} s: {sum}");
            assert!(series.documents.len() <= 181 && series.documents.len() == cut.pieces().count(), "{seconds} s");
            assert!(cut.pieces().last().is_some_and(|(_, to)| (to - seconds).abs() < 1e-9), "{seconds} s");
        }
    }

    #[test]
    fn a_peak_between_two_points_is_not_lost_and_a_gap_is_no_zero() {
        let mut snapshots: Vec<Snapshot> = (1..=400_u32).map(|step| at(f64::from(step), u64::from(step), 5)).collect();
        snapshots[201].memory_used = 99;
        snapshots.drain(250..300);
        let series = Series::of(&snapshots);
        assert_eq!(series.memory_used.iter().max(), Some(&99));
        assert!(series.memory_used.iter().all(|bytes| *bytes > 0));
        assert!(series.documents.iter().all(|rate| (rate - 1.0).abs() < 0.01), "{:?}", series.documents);
    }

    #[test]
    fn one_snapshot_is_one_point() {
        let series = Series::of(&[at(0.25, 4, 7)]);
        assert_eq!((series.documents, series.memory_used), (vec![16.0], vec![7]));
        assert_eq!(Series::of(&[at(0.0, 0, 7)]).documents, [0.0]);
    }
}
