//! Decides widths. It sees snapshots alone and says what to change and why; who calls it changes it.
//!
//! Once in a window it reckons the most that the run could do with the widths that it may set, and the width that each
//! stage needs for it. What it does of that is bounded, so that a wrong reckoning costs little: see `apply.rs`.

mod apply;
mod history;
mod ideal;

use std::collections::BTreeMap;

use self::apply::Experiment;
use self::history::History;
pub(super) use self::ideal::Ideal;
use super::advice::{Change, Prediction};
use super::estimate::{Estimate, Stage};
use super::meter::{self, Meter, through};
use super::shares::is_source;
use crate::monitor::{EventKind, RunState, Snapshot, StageSnapshot};

/// What calls itself so is the planner: a width that anybody else sets stays as it is.
pub const TUNER: &str = "tuner";

/// What is proposed is for so many times the throughput of now at most: beyond, it is a guess.
const PROPOSED: f64 = 3.0;
/// Before so many calls a stage is not known,
const KNOWN: u64 = 5;
/// unless a call takes so long that it is better to go by what is known, after so many seconds.
const PATIENCE: f64 = 20.0;

/// Whether the planner acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It looks on. Its proposals are advice.
    #[default]
    Observe,
    /// It decides.
    Auto,
}

/// How the planner works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannerSettings {
    /// Whether it acts.
    pub mode: Mode,
    /// Whether it sets the width of every stage that has bounds, not only of those that are `auto`.
    pub all: bool,
    /// The threads of the CPU pool; 0 for as many as there are CPUs.
    pub cpu_threads: usize,
}

/// A width to be set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Which.
    pub change: Change,
    /// Why, with what it was reckoned from.
    pub why: String,
    /// What the run does with it and with all that is decided at the same time.
    pub prediction: Prediction,
    /// Whether this takes back an earlier decision, since it brought too little.
    pub reverts: bool,
}

/// Decides widths, from snapshots in the order in which they were taken.
#[derive(Clone, Debug, Default)]
pub struct Planner {
    settings: PlannerSettings,
    meter: Meter,
    history: History,
    /// Stages that it leaves alone, until when.
    pins: BTreeMap<String, f64>,
    /// Windows still to pass before it decides again.
    hold: usize,
    last_narrowed: f64,
    last_event: u64,
    /// The widths as it knows them: what it set, or what it found.
    known: BTreeMap<String, usize>,
    experiment: Option<Experiment>,
    estimate: Option<Estimate>,
    looks: u64,
}

impl Planner {
    /// A planner that knows nothing yet.
    #[must_use]
    pub fn new(settings: PlannerSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Looks at a snapshot, and says which widths to set. Empty in most cases: it decides once in some seconds at most,
    /// and never in [`Mode::Observe`].
    pub fn look(&mut self, snapshot: &Snapshot) -> Vec<Decision> {
        if !self.measure(snapshot) {
            return Vec::new();
        }
        if self.settings.mode == Mode::Observe {
            return Vec::new();
        }
        self.decide(snapshot)
    }

    /// Changes whether it acts.
    pub fn set_mode(&mut self, mode: Mode) {
        self.settings.mode = mode;
    }

    /// Takes a stage up again whose width somebody else set, or which it had given up.
    pub fn release(&mut self, stage: &str) {
        self.pins.remove(stage);
    }

    /// Leaves a stage alone until it is released.
    pub fn pin(&mut self, stage: &str) {
        self.pins.insert(stage.to_owned(), f64::INFINITY);
    }

    /// The stages that it leaves alone, and until which second of the run; infinite where only [`Planner::release`] ends it.
    #[must_use]
    pub fn pinned(&self) -> &BTreeMap<String, f64> {
        &self.pins
    }

    /// The widths that would be best, by what was measured, where they differ from those of now: for the most that the run
    /// could do, within the bounds of each stage. Where it has not looked on for long enough, by all that the run did so far.
    #[must_use]
    pub fn best(&self, snapshot: &Snapshot) -> Vec<Change> {
        let Some(estimate) = self.estimate.clone().or_else(|| meter::of_run(snapshot)) else { return Vec::new() };
        let ideal = Ideal::of(&estimate, self.threads(&estimate), f64::INFINITY, |stage| stage.min < stage.max);
        let needed = estimate.stages.iter().zip(ideal.needed);
        needed
            .filter(|(stage, to)| stage.width != *to)
            .map(|(stage, to)| Change { stage: stage.id.clone(), from: stage.width, to })
            .collect()
    }

    /// What it reckons with; none before there was enough to measure.
    pub(super) fn estimate(&self) -> Option<&Estimate> {
        self.estimate.as_ref()
    }

    /// How often it has reckoned.
    pub(super) fn looks(&self) -> u64 {
        self.looks
    }

    pub(super) fn cpu_threads(&self) -> usize {
        self.settings.cpu_threads
    }

    /// What would be best, if it could set every stage that has bounds.
    pub(super) fn ideal(&self) -> Option<Ideal> {
        let estimate = self.estimate.as_ref()?;
        Some(Ideal::of(estimate, self.threads(estimate), PROPOSED, |stage| stage.min < stage.max))
    }

    /// The most that each stage needed over the last minute, by index; none before it has looked on for so long.
    pub(super) fn needed_lately(&self, index: usize) -> Option<usize> {
        self.history.most_needed(index)
    }

    /// Measures. Whether there is something new to decide on.
    fn measure(&mut self, snapshot: &Snapshot) -> bool {
        let changed = self.widths_were_changed(snapshot);
        if changed || !is_under_way(snapshot) {
            self.meter.skip(snapshot);
            if changed {
                self.meter.forget_rates();
                self.hold = self.hold.max(2);
            }
            return false;
        }
        if !self.meter.look(snapshot) {
            return false;
        }
        if self.hold > 0 {
            self.hold -= 1;
            if self.hold > 0 {
                // What comes out in this window was begun with the widths of before.
                self.meter.forget_rates();
                if let Some(experiment) = &mut self.experiment {
                    experiment.since.get_or_insert((snapshot.seconds, through(snapshot)));
                }
                return false;
            }
        }
        self.estimate = self.meter.estimate(snapshot);
        if let Some(estimate) = &self.estimate {
            let ideal = Ideal::of(estimate, self.threads(estimate), 2.0, |stage| self.may_set(stage));
            self.history.add(snapshot.seconds, &ideal);
            self.looks += 1;
        }
        self.estimate.is_some()
    }

    fn threads(&self, estimate: &Estimate) -> usize {
        let all = if estimate.cpus > 0.0 { estimate.cpus.ceil() as usize } else { usize::MAX / 2 };
        if self.settings.cpu_threads == 0 { all } else { self.settings.cpu_threads }
    }

    fn may_set(&self, stage: &Stage) -> bool {
        stage.min < stage.max
            && (stage.auto || self.settings.all || self.settings.mode == Mode::Observe)
            && !self.pins.contains_key(&stage.id)
    }

    /// Whether a width is another than it was when last looked. One that somebody else set stays as it is.
    fn widths_were_changed(&mut self, snapshot: &Snapshot) -> bool {
        for event in snapshot.events.iter().filter(|event| event.number > self.last_event) {
            if event.kind == EventKind::HandOver {
                self.pins.remove(&event.stage);
            }
        }
        let by_others: Vec<String> = snapshot
            .events
            .iter()
            .filter(|event| event.number > self.last_event && event.kind == EventKind::Width && event.by != TUNER)
            .map(|event| event.stage.clone())
            .collect();
        self.last_event = snapshot.events.last().map_or(self.last_event, |event| event.number);
        if self.settings.mode == Mode::Auto {
            for stage in by_others {
                self.pins.insert(stage, f64::INFINITY);
            }
        }
        self.pins.retain(|_, until| *until > snapshot.seconds);
        let mut changed = false;
        for stage in &snapshot.stages {
            match self.known.get_mut(&stage.id) {
                Some(known) => changed |= std::mem::replace(known, stage.width) != stage.width,
                None => drop(self.known.insert(stage.id.clone(), stage.width)),
            }
        }
        changed
    }
}

/// Whether every stage that has something to do has shown what it costs.
fn is_known(snapshot: &Snapshot) -> bool {
    let unknown = |stage: &&StageSnapshot| {
        !is_source(stage) && stage.calls < KNOWN && (stage.in_hand > 0 || stage.queue.length > 0)
    };
    snapshot.seconds >= PATIENCE || snapshot.stages.iter().find(unknown).is_none()
}

/// Whether what is measured now says something of the run: not while it warms up, is paused, or runs dry.
pub(super) fn is_under_way(snapshot: &Snapshot) -> bool {
    let begun = snapshot.seconds >= 3.0 && through(snapshot) >= 1.0;
    let ends = snapshot.listed
        && snapshot.stages.iter().any(|stage| {
            let first = snapshot
                .edges
                .iter()
                .any(|edge| edge.to == stage.id && snapshot.stage(&edge.from).is_some_and(is_source));
            first && stage.queue.length == 0
        });
    begun
        && is_known(snapshot)
        && !ends
        && !snapshot.paused
        && !snapshot.indexing
        && snapshot.state == RunState::Running
}

#[cfg(test)]
mod tests;
