//! What changes of width brought: throughput before and after, held against what was predicted. So trust is earned.

use std::collections::VecDeque;

use super::advice::{Change, Outcome, Prediction};
use super::meter::through;
use super::planner::TUNER;
use crate::monitor::{Event, EventKind, Snapshot};

/// For so long after a change nothing is measured: what comes out was begun before.
const SETTLES: f64 = 4.0;
/// Measured over so many seconds before and after,
const MEASURED: f64 = 20.0;
/// or less where something else happens; below this nothing is said.
const AT_LEAST: f64 = 4.0;
/// Changes within so many seconds count as one.
const TOGETHER: f64 = 1.0;
/// How many outcomes are kept.
const KEPT: usize = 16;
/// Nine of ten of a normal distribution lie within so many standard errors.
const NINE_OF_TEN: f64 = 1.645;

/// Follows changes of width.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcomes {
    /// Documents that had ended, by second.
    ended: VecDeque<(f64, f64)>,
    last_event: u64,
    open: Option<Open>,
    /// Nothing before this time is of one set of widths with what follows.
    changed_at: f64,
    told: VecDeque<Outcome>,
}

/// Changes whose effect is awaited.
#[derive(Clone, Debug)]
struct Open {
    at: f64,
    events: Vec<Event>,
    before: Option<(f64, f64)>,
    predicted: Option<f64>,
}

impl Outcomes {
    /// Looks at a snapshot; whether there is something new to tell. `predict` says what the run was expected to do with
    /// changes that were just made.
    pub(super) fn look(&mut self, snapshot: &Snapshot, predict: impl Fn(&[Change]) -> Option<Prediction>) -> bool {
        let at = snapshot.seconds;
        if self.ended.back().is_none_or(|(last, _)| at - last >= 1.0) {
            self.ended.push_back((at, through(snapshot)));
            while self.ended.front().is_some_and(|(first, _)| at - first > 3.0 * MEASURED) {
                self.ended.pop_front();
            }
        }
        let new = |event: &&Event| event.number > self.last_event && event.kind == EventKind::Width;
        let events: Vec<Event> = snapshot.events.iter().filter(new).cloned().collect();
        self.last_event = snapshot.events.last().map_or(self.last_event, |event| event.number);
        let mut said = false;
        for event in events {
            said |= self.changed(event, &predict);
        }
        if self.open.as_ref().is_some_and(|open| at >= open.at + SETTLES + MEASURED) {
            said |= self.close(at);
        }
        said
    }

    /// The outcomes so far, the latest at the end.
    pub(super) fn told(&self) -> Vec<Outcome> {
        self.told.iter().cloned().collect()
    }

    fn changed(&mut self, event: Event, predict: &impl Fn(&[Change]) -> Option<Prediction>) -> bool {
        if let Some(open) = self.open.as_mut().filter(|open| event.at - open.at < TOGETHER) {
            open.events.push(event);
            open.predicted = predicted(&open.events, predict);
            return false;
        }
        let said = self.close(event.at);
        let reverted = |told: &&mut Outcome| told.change.stage == event.stage && Some(told.change.to) == event.from;
        if event.by == TUNER
            && let Some(last) = self.told.iter_mut().rev().find(reverted)
            && Some(last.change.from) == event.to
        {
            last.reverted = true;
        }
        let since = self.changed_at.max(event.at - MEASURED);
        let before = self.rate(since, event.at);
        self.changed_at = event.at + SETTLES;
        let events = vec![event];
        let predicted = predicted(&events, predict);
        self.open = Some(Open { at: events[0].at, events, before, predicted });
        said
    }

    /// Ends the measurement of what is open. Whether it gave anything.
    fn close(&mut self, at: f64) -> bool {
        let Some(open) = self.open.take() else { return false };
        let (Some(before), Some(after)) = (open.before, self.rate(open.at + SETTLES, at)) else { return false };
        if before.0 <= 0.0 {
            return false;
        }
        let ratio = after.0 / before.0;
        // The relative error of a ratio is that of both together.
        let error = NINE_OF_TEN * ratio * (before.1 / before.0).hypot(after.1 / after.0.max(f64::MIN_POSITIVE));
        for event in open.events {
            if self.told.len() == KEPT {
                self.told.pop_front();
            }
            let (from, to) = (event.from.unwrap_or_default(), event.to.unwrap_or_default());
            self.told.push_back(Outcome {
                change: Change { stage: event.stage, from, to },
                by: event.by,
                at: event.at,
                predicted: open.predicted,
                measured: ratio - 1.0,
                within: (ratio - 1.0 - error, ratio - 1.0 + error),
                reverted: false,
            });
        }
        true
    }

    /// Documents a second in a span, and the standard error; none where the span is too short.
    fn rate(&self, from: f64, to: f64) -> Option<(f64, f64)> {
        let within: Vec<(f64, f64)> = self.ended.iter().copied().filter(|(at, _)| *at >= from && *at <= to).collect();
        let (first, last) = (within.first()?, within.last()?);
        let span = last.0 - first.0;
        if span < AT_LEAST {
            return None;
        }
        let mean = (last.1 - first.1) / span;
        let rates: Vec<f64> = within.windows(2).map(|two| (two[1].1 - two[0].1) / (two[1].0 - two[0].0)).collect();
        let many = rates.len() as f64;
        let spread = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>();
        let error = if many > 1.0 { (spread / (many - 1.0) / many).sqrt() } else { mean };
        Some((mean, error))
    }
}

fn predicted(events: &[Event], predict: &impl Fn(&[Change]) -> Option<Prediction>) -> Option<f64> {
    let change = |event: &Event| Some(Change { stage: event.stage.clone(), from: event.from?, to: event.to? });
    let changes: Vec<Change> = events.iter().filter_map(change).collect();
    let prediction = predict(&changes)?;
    (prediction.now > 0.0).then(|| prediction.then / prediction.now - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(outcomes: &mut Outcomes, predicted: f64, changed: f64) -> Vec<Outcome> {
        for step in 0..240_u32 {
            let seconds = f64::from(step) / 4.0;
            let mut snapshot = Snapshot { seconds, ..Snapshot::default() };
            // Ten a second, and so many from the thirtieth on.
            let ended = 10.0 * seconds.min(30.0) + changed * (seconds - 30.0).max(0.0);
            snapshot.documents.seen = ended as u64;
            snapshot.documents.done = ended as u64;
            if step >= 120 {
                snapshot.events = vec![Event {
                    number: 1,
                    at: 30.0,
                    kind: EventKind::Width,
                    stage: "parse".into(),
                    by: "you".into(),
                    from: Some(2),
                    to: Some(3),
                    ..Event::default()
                }];
            }
            outcomes.look(&snapshot, |_| Some(Prediction { now: 10.0, then: predicted, ..Prediction::default() }));
        }
        outcomes.told()
    }

    #[test]
    fn a_change_is_held_against_its_prediction() {
        let told = run(&mut Outcomes::default(), 13.5, 13.0);
        assert_eq!(told.len(), 1);
        assert!((told[0].measured - 0.3).abs() < 0.02, "{told:?}");
        assert!(told[0].predicted.is_some_and(|share| (share - 0.35).abs() < 1e-9));
        assert!(told[0].within.0 <= told[0].measured && told[0].measured <= told[0].within.1 && told[0].within.1 < 0.4);
        let told = run(&mut Outcomes::default(), 13.5, 10.0);
        assert!(told[0].measured.abs() < 0.02 && !told[0].reverted);
    }
}
