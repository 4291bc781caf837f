//! Which part of a recorded run is measured: one in which it went steadily with the widths that it ended with, or else all
//! of it. A run's beginning and end say little of what a longer one would do.

use crate::monitor::{EventKind, Recording, Snapshot};
use crate::tune::meter::through;
use crate::tune::planner::is_under_way;

use super::ProjectError;

/// A projection takes so many documents in so many seconds: below, one slow document decides.
const DOCUMENTS: u64 = 30;
const SECONDS: f64 = 1.0;
/// A stretch that is measured by itself is so long, and holds so many documents.
const STEADY_SECONDS: f64 = 3.0;
const STEADY_DOCUMENTS: f64 = 20.0;
/// So long after a change of width what comes out was begun before it.
const SETTLES: f64 = 2.0;

/// A part of a run.
#[derive(Debug)]
pub(super) struct Stretch<'a> {
    /// Its beginning; none for the run's.
    from: Option<&'a Snapshot>,
    /// Its end.
    pub(super) to: &'a Snapshot,
    /// What is known at the end of the run: all counts.
    pub(super) last: &'a Snapshot,
    /// All snapshots in it.
    pub(super) all: &'a [Snapshot],
    /// Whether the run was under way all the time.
    pub(super) steady: bool,
    /// Whether a width changed while the run went on.
    pub(super) changed: bool,
}

impl<'a> Stretch<'a> {
    /// Finds it.
    pub(super) fn of(recording: &'a Recording) -> Result<Self, ProjectError> {
        let snapshots = &recording.snapshots;
        let short = |documents, seconds| ProjectError::TooShort {
            documents,
            seconds,
            least: DOCUMENTS,
            least_seconds: SECONDS,
        };
        let last = snapshots.last().ok_or_else(|| short(0, 0.0))?;
        // Before its sources begin to list, a run looks as if they had listed all.
        let goes_on = |snapshot: &Snapshot| !(snapshot.listed && snapshot.documents.unfinished == 0);
        let end = snapshots.iter().rposition(goes_on).map_or(0, |last| (last + 1).min(snapshots.len() - 1));
        let documents = through(&snapshots[end]) as u64;
        if documents < DOCUMENTS || snapshots[end].seconds < SECONDS {
            return Err(short(documents, snapshots[end].seconds));
        }
        let changes = recording.events.iter().filter(|event| event.kind == EventKind::Width);
        let changed = changes.map(|event| event.at).reduce(f64::max);
        let since = changed.map_or(0.0, |at| at + SETTLES);
        let begins = snapshots.iter().position(|one| one.seconds >= since && is_under_way(one));
        let ends = snapshots.iter().rposition(is_under_way);
        if let Some((begins, ends)) = begins.zip(ends).filter(|(begins, ends)| begins < ends) {
            let (from, to) = (&snapshots[begins], &snapshots[ends]);
            let enough = through(to) - through(from) >= STEADY_DOCUMENTS && to.seconds - from.seconds >= STEADY_SECONDS;
            if enough {
                let all = &snapshots[begins..=ends];
                return Ok(Self { from: Some(from), to, last, all, steady: true, changed: changed.is_some() });
            }
        }
        let all = &snapshots[..=end];
        Ok(Self { from: None, to: &snapshots[end], last, all, steady: false, changed: changed.is_some() })
    }

    /// How long it is.
    pub(super) fn seconds(&self) -> f64 {
        self.to.seconds - self.from.map_or(0.0, |from| from.seconds)
    }

    /// The documents that came to their end in it.
    pub(super) fn documents(&self) -> f64 {
        through(self.to) - self.from.map_or(0.0, through)
    }

    /// CPU seconds of the process and its children in it.
    pub(super) fn cpu_seconds(&self) -> f64 {
        self.to.host.cpu_seconds - self.from.map_or(0.0, |from| from.host.cpu_seconds)
    }

    /// What a stage did in it.
    pub(super) fn work(&self, index: usize) -> Work {
        let to = Work::of(self.to, index);
        match self.from {
            None => to,
            Some(from) => to.since(&Work::of(from, index)),
        }
    }
}

/// What a stage did, summed up.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// Records; of a source, those that it handed on.
    pub(super) records: f64,
    pub(super) calls: f64,
    pub(super) busy: f64,
    pub(super) cpu: f64,
    /// Held by a CPU or a model service.
    pub(super) gate: f64,
    pub(super) provider: f64,
    pub(super) buckets: Vec<u64>,
}

impl Work {
    pub(super) fn of(snapshot: &Snapshot, index: usize) -> Self {
        // A recording is a file that anybody may have written: a snapshot without the stage says nothing of it.
        let Some(stage) = snapshot.stages.get(index) else { return Self::default() };
        let held = |cause: &str| stage.held_by.get(cause).copied().unwrap_or_default();
        Self {
            records: if stage.role == "source" { stage.output } else { stage.input } as f64,
            calls: stage.calls as f64,
            busy: stage.busy_seconds,
            cpu: stage.cpu_seconds,
            gate: held("cpu"),
            provider: held("provider"),
            buckets: stage.service_buckets.clone(),
        }
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        let buckets = self.buckets.iter().enumerate();
        Self {
            records: (self.records - before.records).max(0.0),
            calls: (self.calls - before.calls).max(0.0),
            busy: (self.busy - before.busy).max(0.0),
            cpu: (self.cpu - before.cpu).max(0.0),
            gate: (self.gate - before.gate).max(0.0),
            provider: (self.provider - before.provider).max(0.0),
            buckets: buckets
                .map(|(power, count)| count.saturating_sub(before.buckets.get(power).copied().unwrap_or(0)))
                .collect(),
        }
    }
}
