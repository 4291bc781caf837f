//! From what would be best to what is done now: deadband, limits of a step, holding still, taking back what brought
//! nothing. Hard caps come after the deadband, so that none of it keeps a width beyond them.

use super::super::advice::{Change, Prediction};
use super::super::estimate::{Estimate, Term};
use super::super::meter::through;
use super::super::shares::Shares;
use super::{Decision, Ideal, Planner};
use crate::monitor::Snapshot;

/// A width that is off by less than this share, or by less than one, is right.
const DEADBAND: f64 = 0.15;
/// A step widens by so many times at most,
const WIDER: f64 = 2.0;
/// and narrows to so much of it at least.
const NARROWER: f64 = 0.7;
/// After a change so many windows pass before the next: the first shows work that was begun before it.
const HOLD: usize = 2;
/// Widening is worth it from this gain on,
const GAIN: f64 = 1.03;
/// or where a stage would have less than this share of its time to spare.
const TIGHT: f64 = 0.9;
/// A stage whose output waits for room so much of the time is not widened, whatever the reckoning says.
const BLOCKED: f64 = 0.5;
/// Between two narrowings so many seconds pass. They bring no throughput: nothing presses.
const NARROW_EVERY: f64 = 120.0;
/// Less than this share of what was expected of a change is nothing,
const EFFECT: f64 = 0.1;
/// which is believed if what was expected is so many times the error of what was measured: at half as many, one change in
/// fifty would be taken back by chance, and its stage left as it was for minutes.
const SURE: f64 = 3.5;
/// At this share it has brought something, and the next may follow.
const CLEAR: f64 = 0.5;
/// Until it is known, a stage is widened to so many times what it was at most.
const UNTIL_KNOWN: usize = 4;
/// A stage that is occupied so much of its time has none to spare.
const NO_TIME: f64 = 0.7;
/// A run that goes at this share of what was reckoned goes as it was reckoned.
const EXPLAINED: f64 = 0.8;
/// A change whose effect is not clear after so many seconds is not judged.
const JUDGED_WITHIN: f64 = 60.0;
/// A stage whose change was taken back is left alone for so many seconds.
const PINNED: f64 = 300.0;

/// Widenings whose effect is awaited. Those that follow before it is known belong to it.
#[derive(Clone, Debug)]
pub(super) struct Experiment {
    at: f64,
    /// From when on what comes out shows them, and how many documents had ended by then.
    pub(super) since: Option<(f64, f64)>,
    changes: Vec<Change>,
    /// Documents a second before, and its standard error.
    before: (f64, f64),
    /// Documents a second that were predicted.
    expected: f64,
}

impl Experiment {
    fn add(&mut self, changes: &[Change]) {
        for change in changes {
            match self.changes.iter_mut().find(|other| other.stage == change.stage) {
                Some(other) => other.to = change.to,
                None => self.changes.push(change.clone()),
            }
        }
    }

    /// The width that a stage may have until the effect is known.
    fn most(&self, stage: &str) -> usize {
        let change = self.changes.iter().find(|change| change.stage == stage);
        change.map_or(usize::MAX, |change| UNTIL_KNOWN * change.from)
    }
}

impl Planner {
    pub(super) fn decide(&mut self, snapshot: &Snapshot) -> Vec<Decision> {
        let Some(estimate) = self.estimate.clone() else { return Vec::new() };
        let taken_back = self.judge(snapshot, &estimate);
        if !taken_back.is_empty() {
            return self.carry(snapshot, &estimate, taken_back, None);
        }
        let ideal = Ideal::of(&estimate, self.threads(&estimate), WIDER, |stage| self.may_set(stage));
        let mut changes = self.to_the_caps(&estimate);
        changes.extend(self.wider(snapshot, &estimate, &ideal));
        if changes.is_empty() {
            changes.extend(self.narrower(snapshot, &estimate));
        }
        self.carry(snapshot, &estimate, changes, Some(&ideal))
    }

    /// Beyond a hard cap a width brings nothing and costs: it goes there at once.
    fn to_the_caps(&self, estimate: &Estimate) -> Vec<Change> {
        let mut changes = Vec::new();
        for (index, stage) in estimate.stages.iter().enumerate().filter(|(_, stage)| self.may_set(stage)) {
            let Some(cap) = self.history.cap(index) else { continue };
            // A cap that follows what a service takes moves; one that is left as it is need not be hit to the one.
            let slack = if stage.service.is_empty() { 0.0 } else { DEADBAND * cap as f64 };
            if stage.width as f64 > cap as f64 + slack {
                changes.push(Change { stage: stage.id.clone(), from: stage.width, to: cap });
            }
        }
        changes
    }

    fn wider(&self, snapshot: &Snapshot, estimate: &Estimate, ideal: &Ideal) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut widths = estimate.widths();
        let target = ideal.rate.min(WIDER * estimate.rate);
        let mut tight = false;
        for (index, stage) in estimate.stages.iter().enumerate().filter(|(_, stage)| self.may_set(stage)) {
            let needed = ideal.needed[index];
            let more = needed.saturating_sub(stage.width) as f64;
            let blocked = Shares::now(&snapshot.stages[index]).blocked > BLOCKED;
            if more < (DEADBAND * stage.width as f64).max(1.0) || blocked {
                continue;
            }
            let known = self.experiment.as_ref().map_or(usize::MAX, |experiment| experiment.most(&stage.id));
            let to = needed.min((WIDER * stage.width as f64) as usize).min(ideal.caps[index]).min(known);
            if to <= stage.width {
                continue;
            }
            tight |= target * (stage.demand + stage.wait) > TIGHT * stage.width as f64;
            widths[index] = to;
            changes.push(Change { stage: stage.id.clone(), from: stage.width, to });
        }
        let gains = estimate.limit(&widths).0 >= GAIN * estimate.limit(&estimate.widths()).0;
        if gains || tight { changes } else { Vec::new() }
    }

    /// The stage that is most too wide, one step narrower.
    fn narrower(&self, snapshot: &Snapshot, estimate: &Estimate) -> Option<Change> {
        if self.experiment.is_some() || snapshot.seconds - self.last_narrowed < NARROW_EVERY {
            return None;
        }
        let surplus = |index: usize| {
            let (stage, needed) = (&estimate.stages[index], self.history.most_needed(index)?);
            let less = stage.width.saturating_sub(needed) as f64;
            let enough = less >= (DEADBAND * stage.width as f64).max(1.0) && self.may_set(stage);
            enough.then(|| (less / stage.width as f64, index, needed))
        };
        let (_, index, needed) = (0..estimate.stages.len()).filter_map(surplus).max_by(|a, b| a.0.total_cmp(&b.0))?;
        let stage = &estimate.stages[index];
        let to = needed.max((NARROWER * stage.width as f64).ceil() as usize).max(stage.min);
        (to < stage.width).then(|| Change { stage: stage.id.clone(), from: stage.width, to })
    }

    /// What is taken back, because it brought next to nothing of what was expected, and nothing that is known now says why.
    fn judge(&mut self, snapshot: &Snapshot, estimate: &Estimate) -> Vec<Change> {
        let Some(experiment) = self.experiment.take() else { return Vec::new() };
        let Some((since, ended)) = experiment.since else {
            self.experiment = Some(experiment);
            return Vec::new();
        };
        let span = (snapshot.seconds - since).max(f64::MIN_POSITIVE);
        let after = (through(snapshot) - ended) / span;
        let error = experiment.before.1.hypot((after.max(1.0 / span) / span).sqrt());
        let (expected, got) = (experiment.expected - experiment.before.0, after - experiment.before.0);
        if got >= CLEAR * expected {
            return Vec::new();
        }
        if expected < SURE * error {
            if snapshot.seconds - experiment.at < JUDGED_WITHIN {
                self.experiment = Some(experiment);
            }
            return Vec::new();
        }
        if got >= EFFECT * expected || explained(estimate, &experiment.changes) {
            return Vec::new();
        }
        // Where the client of a service knows a limit, that limit is what bounds, and the cap follows it: two that turn one
        // knob would chase each other.
        let limited = |change: &Change| {
            let index = estimate.index(&change.stage);
            let limits = index.and_then(|index| estimate.services.get(&estimate.stages[index].service));
            limits.is_some_and(|limits| limits.concurrency.is_some() || limits.rate.is_some())
        };
        // One that has time to spare now is wide enough: that it brought nothing is another's doing.
        let still = |change: &Change| {
            let stage = snapshot.stage(&change.stage);
            stage.is_some_and(|stage| stage.width == change.to && Shares::now(stage).occupied() >= NO_TIME)
        };
        let back = |change: Change| Change { from: change.to, to: change.from, ..change };
        let taken_back: Vec<Change> =
            experiment.changes.into_iter().filter(|change| still(change) && !limited(change)).map(back).collect();
        for change in &taken_back {
            self.pins.insert(change.stage.clone(), snapshot.seconds + PINNED);
        }
        taken_back
    }

    /// Makes decisions of changes, and remembers them.
    fn carry(
        &mut self,
        snapshot: &Snapshot,
        estimate: &Estimate,
        changes: Vec<Change>,
        ideal: Option<&Ideal>,
    ) -> Vec<Decision> {
        let Some(prediction) = estimate.predict(&changes).filter(|_| !changes.is_empty()) else { return Vec::new() };
        let before = self.meter.rate(15.0).unwrap_or((estimate.rate, estimate.rate));
        let wider = changes.iter().any(|change| change.to > change.from);
        if ideal.is_some() && wider {
            let started = Experiment {
                at: snapshot.seconds,
                since: None,
                changes: Vec::new(),
                before,
                expected: prediction.then,
            };
            self.experiment.get_or_insert(started).add(&changes);
        }
        if !wider {
            self.last_narrowed = snapshot.seconds;
        }
        self.hold = HOLD;
        self.meter.forget_rates();
        let reverts = ideal.is_none();
        let decision = |change: Change| {
            let why = why(estimate, &change, ideal, &prediction);
            Decision { why, prediction: prediction.clone(), change, reverts }
        };
        changes.into_iter().map(decision).collect()
    }
}

/// Whether the run is bound by something else than what was widened, and goes as fast as that allows. Then the widening was
/// right, and what was expected of it too much: another stage costs more than it seemed to.
fn explained(estimate: &Estimate, changes: &[Change]) -> bool {
    let (rate, term) = estimate.limit(&estimate.widths());
    let widened = |index: usize| changes.iter().any(|change| change.stage == estimate.stages[index].id);
    estimate.rate >= EXPLAINED * rate && !matches!(term, Term::Width(index) if widened(index))
}

/// What a change was reckoned from.
fn why(estimate: &Estimate, change: &Change, ideal: Option<&Ideal>, prediction: &Prediction) -> String {
    let Change { stage, from, to } = change;
    let Some(ideal) = ideal else {
        return format!("{stage} {from}→{to}: the change before brought next to nothing");
    };
    let limit = estimate.told(&ideal.term, &ideal.caps, ideal.rate);
    let bound = match limit.stage.as_str() {
        "" => limit.resource,
        of => format!("{} of {of}", limit.resource),
    };
    let index = estimate.index(stage).unwrap_or_default();
    let (demand, needed) = (estimate.stages[index].demand, ideal.needed[index]);
    format!(
        "{stage} {from}→{to}: {:.1} documents a second are possible, bound by {bound}; it is {:.1} now; {stage} takes \
         {:.1}ms a document and needs {needed}; {:.1} are predicted",
        ideal.rate,
        prediction.now,
        1000.0 * demand,
        prediction.then
    )
}
