//! Puts advice together: what bounds the run, what is worth changing, what changes brought. It changes nothing itself.

use super::advice::{Advice, Change, Prediction, Proposal};
use super::bottleneck::{Bottleneck, bottleneck_now};
use super::estimate::Estimate;
use super::meter;
use super::outcomes::Outcomes;
use super::planner::{Ideal, Planner, PlannerSettings};
use crate::monitor::Snapshot;

/// The bottleneck is named anew so often, in seconds: a sentence that changes faster is not read.
const NAMED_EVERY: f64 = 1.0;
/// A proposal is worth its place from this gain on.
const GAIN: f64 = 1.05;
/// A width is called too wide where it is at least so many times what was needed in a minute,
const TOO_WIDE: usize = 2;
/// and by at least so many workers.
const TOO_MANY: usize = 4;
/// How often the width that binds is widened before a proposal is given up: more stages than any pipeline has.
const STEPS: usize = 32;

/// Makes advice of the snapshots of a run, in the order in which they were taken, four times a second or slower.
#[derive(Clone, Debug)]
pub struct Advisor {
    planner: Planner,
    outcomes: Outcomes,
    named_at: f64,
    reckoned: u64,
    advice: Advice,
}

impl Default for Advisor {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Advisor {
    /// An advisor of a run whose CPU pool has so many threads; 0 for as many as there are CPUs.
    #[must_use]
    pub fn new(cpu_threads: usize) -> Self {
        let settings = PlannerSettings { cpu_threads, all: true, ..PlannerSettings::default() };
        Self {
            planner: Planner::new(settings),
            outcomes: Outcomes::default(),
            named_at: f64::NEG_INFINITY,
            reckoned: 0,
            advice: Advice::default(),
        }
    }

    /// Looks at a snapshot.
    pub fn look(&mut self, snapshot: &Snapshot) -> Advice {
        self.update(snapshot);
        self.advice.clone()
    }

    /// Looks at a snapshot, and lends what it makes of it: for who looks often and keeps nothing.
    pub fn update(&mut self, snapshot: &Snapshot) -> &Advice {
        if snapshot.seconds < self.named_at {
            *self = Self::new(self.planner.cpu_threads());
        }
        let before = self.planner.estimate();
        if self.outcomes.look(snapshot, |changes| before?.predict(changes)) {
            self.advice.outcomes = self.outcomes.told();
        }
        if snapshot.seconds - self.named_at >= NAMED_EVERY {
            self.named_at = snapshot.seconds;
            (self.advice.bottleneck, self.advice.confidence) = bottleneck_now(snapshot);
        }
        self.planner.look(snapshot);
        if self.reckoned != self.planner.looks() {
            self.reckoned = self.planner.looks();
            self.reckon();
        }
        &self.advice
    }

    /// What the run would do with other widths; `None` before there is anything to say, and for a stage that there is not.
    #[must_use]
    pub fn what_if(&self, snapshot: &Snapshot, changes: &[Change]) -> Option<Prediction> {
        let Some(estimate) = self.planner.estimate() else { return meter::of_run(snapshot)?.predict(changes) };
        let mut estimate = estimate.clone();
        // The widths may have changed since it was measured.
        for stage in &mut estimate.stages {
            stage.width = snapshot.stage(&stage.id).map_or(stage.width, |now| now.width.max(1));
        }
        estimate.predict(changes)
    }

    fn reckon(&mut self) {
        let (Some(estimate), Some(ideal)) = (self.planner.estimate(), self.planner.ideal()) else { return };
        self.advice.proposals = proposals(estimate, &ideal);
        self.advice.notes = self.notes(estimate);
    }

    fn notes(&self, estimate: &Estimate) -> Vec<String> {
        let mut notes = Vec::new();
        for (index, stage) in estimate.stages.iter().enumerate() {
            let Some(needed) = self.planner.needed_lately(index) else { continue };
            if stage.width >= TOO_WIDE * needed && stage.width >= needed + TOO_MANY {
                notes.push(format!("{} {}→{needed} is safe: more was not needed in a minute", stage.id, stage.width));
            }
        }
        notes
    }
}

/// What is worth changing: the fewest widths that bring the most, and the first of them alone where that helps already.
fn proposals(estimate: &Estimate, ideal: &Ideal) -> Vec<Proposal> {
    let mut widths = estimate.widths();
    let (now, _) = estimate.limit(&widths);
    let mut first = None;
    let mut best = now;
    for _ in 0..STEPS {
        let (_, term) = estimate.limit(&widths);
        let super::estimate::Term::Width(index) = term else { break };
        let before = widths[index];
        widths[index] = ideal.needed[index].max(before);
        let (then, _) = estimate.limit(&widths);
        if widths[index] == before || then <= best {
            widths[index] = before;
            break;
        }
        best = then;
        first.get_or_insert_with(|| widths.clone());
    }
    let mut found: Vec<Proposal> = Vec::new();
    for widths in [Some(widths), first].into_iter().flatten() {
        let proposal = proposal(estimate, &widths);
        let worth = proposal.prediction.then >= GAIN * proposal.prediction.now.max(f64::MIN_POSITIVE)
            && estimate.limit(&widths).0 >= GAIN * now;
        if worth && found.iter().all(|other| other.changes != proposal.changes) {
            found.push(proposal);
        }
    }
    found
}

fn proposal(estimate: &Estimate, widths: &[usize]) -> Proposal {
    let changed = estimate.stages.iter().zip(widths).filter(|(stage, width)| stage.width != **width);
    let changes: Vec<Change> =
        changed.map(|(stage, width)| Change { stage: stage.id.clone(), from: stage.width, to: *width }).collect();
    let extrapolated = changes
        .iter()
        .any(|change| estimate.index(&change.stage).is_some_and(|at| change.to > 2 * estimate.stages[at].cost.widest));
    let prediction = estimate.prediction(widths, extrapolated);
    let (rate, term) = estimate.limit(&estimate.widths());
    let Bottleneck { stage, because, .. } = estimate.told(&term, &estimate.widths(), rate);
    Proposal { changes, prediction, because: format!("at {stage} {because}") }
}

#[cfg(test)]
mod tests;
