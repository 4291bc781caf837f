//! What each stage did with its workers' time, over the whole run and over the course of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::series::{cut, mean, within};
use super::words::{float, rounded};
use crate::monitor::{ServiceTimes, Snapshot, StageSnapshot, WorkerEnds};

/// How workers spent their time, as shares of it: they add up to 1, or to 0 where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Shares {
    /// Working.
    pub busy: f64,
    /// Waiting for what the engine grants.
    pub held: f64,
    /// Waiting for room downstream.
    pub blocked: f64,
    /// Waiting for input.
    pub starved: f64,
}

/// A stage's part of a digest.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StageDigest {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// `io`, `cpu` or `service`.
    pub tier: String,
    /// The model service that it asks; empty for none.
    pub service: String,
    /// Its width at the beginning.
    pub width_before: usize,
    /// Its width at the end.
    pub width: usize,
    /// The least and the largest width that it may have.
    pub bounds: (usize, usize),
    /// Records taken in.
    #[serde(rename = "in")]
    pub input: u64,
    /// Records handed on.
    #[serde(rename = "out")]
    pub output: u64,
    /// How often it was at work.
    pub calls: u64,
    /// Records that failed here.
    pub failed: u64,
    /// The same, by class.
    pub errors: BTreeMap<String, u64>,
    /// Attempts after the first.
    pub retries: u64,
    /// Records that ran out of time.
    pub timeouts: u64,
    /// How its children ended, besides being told to.
    pub workers: WorkerEnds,
    /// CPU time of its pool threads and children.
    pub cpu_seconds: f64,
    /// How long one call takes.
    pub service_ms: ServiceTimes,
    /// What its queue can hold; 0 for a source, which has none.
    pub queue_capacity: u64,
    /// What it held on average.
    pub queue_mean: f64,
    /// The most it held.
    pub queue_max: u64,
    /// Its workers' time over the whole run.
    pub shares: Shares,
    /// What it was held by, in seconds.
    pub held_by: BTreeMap<String, f64>,
    /// The same over time.
    pub series: StageSeries,
}

/// A stage over time: the points are those of the run's series.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StageSeries {
    /// Working, as a share of its workers' time.
    pub busy: Vec<f64>,
    /// Waiting for what the engine grants.
    pub held: Vec<f64>,
    /// Waiting for room downstream.
    pub blocked: Vec<f64>,
    /// Waiting for input.
    pub starved: Vec<f64>,
    /// How full its queue was, as a share of what it can hold.
    pub queue: Vec<f64>,
    /// Its width.
    pub width: Vec<usize>,
}

impl Shares {
    fn of_seconds([busy, held, blocked, starved]: [f64; 4]) -> Self {
        let all = busy + held + blocked + starved;
        if all <= 0.0 {
            return Self::default();
        }
        Self { busy: busy / all, held: held / all, blocked: blocked / all, starved: starved / all }
    }

    /// Over the whole run up to a snapshot.
    pub(super) fn so_far(stage: &StageSnapshot) -> Self {
        Self::of_seconds([stage.busy_seconds, stage.held_seconds, stage.blocked_seconds, stage.starved_seconds])
    }

    /// Of a stage in the last seconds before each of some snapshots. Not from the totals: those grow only when a call is
    /// over, and a long one would seem to be no work and then more than there was time.
    pub(super) fn over(looked: &[Snapshot], index: usize) -> Self {
        let now = |snapshot: &Snapshot| {
            let stage = snapshot.stages.get(index)?;
            let now = &stage.now;
            let told = Self::of_seconds([now.busy, now.held, now.blocked, now.starved]);
            Some(if told == Self::default() { Self::so_far(stage) } else { told })
        };
        let all: Vec<Self> = looked.iter().filter_map(now).filter(|shares| *shares != Self::default()).collect();
        let mean = |of: fn(&Self) -> f64| mean(all.iter().map(of));
        Self {
            busy: mean(|all| all.busy),
            held: mean(|all| all.held),
            blocked: mean(|all| all.blocked),
            starved: mean(|all| all.starved),
        }
    }

    fn rounded(self) -> Self {
        Self {
            busy: rounded(self.busy),
            held: rounded(self.held),
            blocked: rounded(self.blocked),
            starved: rounded(self.starved),
        }
    }
}

/// How full a stage's queue is, as a share.
pub(super) fn fill(stage: &StageSnapshot) -> f64 {
    float(stage.queue.length) / float(stage.queue.capacity.max(1))
}

impl StageDigest {
    /// All stages of a run, in topological order.
    pub(super) fn all(snapshots: &[Snapshot]) -> Vec<Self> {
        let Some(last) = snapshots.last() else { return Vec::new() };
        let stages = last.stages.iter().enumerate();
        stages.map(|(index, stage)| Self::of(snapshots, index, stage)).collect()
    }

    fn of(snapshots: &[Snapshot], index: usize, last: &StageSnapshot) -> Self {
        let first = snapshots.first().and_then(|first| first.stages.get(index));
        Self {
            id: last.id.clone(),
            kind: last.kind.clone(),
            tier: last.tier.clone(),
            service: last.service.clone(),
            width_before: first.map_or(last.width, |first| first.width),
            width: last.width,
            bounds: (last.min, last.max),
            input: last.input,
            output: last.output,
            calls: last.calls,
            failed: last.failed,
            errors: last.errors.clone(),
            retries: last.retries,
            timeouts: last.timeouts,
            workers: last.workers,
            cpu_seconds: rounded(last.cpu_seconds),
            service_ms: last.service_ms,
            queue_capacity: last.queue.capacity,
            queue_mean: rounded(last.queue.mean),
            queue_max: last.queue.max,
            shares: Shares::so_far(last).rounded(),
            held_by: last.held_by.iter().map(|(cause, seconds)| (cause.clone(), rounded(*seconds))).collect(),
            series: StageSeries::of(snapshots, index),
        }
    }

    /// What it was held by most.
    pub(super) fn most_held_by(&self) -> Option<&str> {
        let most = self.held_by.iter().max_by(|a, b| a.1.total_cmp(b.1));
        most.filter(|(_, seconds)| **seconds > 0.0).map(|(cause, _)| cause.as_str())
    }

    /// How full its queue was on average, as a share; none for a source.
    pub(super) fn fill(&self) -> Option<f64> {
        (self.queue_capacity > 0).then(|| self.queue_mean / float(self.queue_capacity))
    }
}

impl StageSeries {
    fn of(snapshots: &[Snapshot], index: usize) -> Self {
        let seconds = snapshots.last().map_or(0.0, |last| last.seconds);
        let mut series = Self::default();
        for (from, to) in cut(seconds).pieces() {
            let looked = within(snapshots, from, to);
            let stages = || looked.iter().filter_map(|snapshot| snapshot.stages.get(index));
            let shares = Shares::over(looked, index).rounded();
            series.busy.push(shares.busy);
            series.held.push(shares.held);
            series.blocked.push(shares.blocked);
            series.starved.push(shares.starved);
            series.queue.push(rounded(mean(stages().map(fill))));
            series.width.push(stages().next_back().map_or(0, |stage| stage.width));
        }
        series
    }
}
