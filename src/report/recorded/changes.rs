//! What each change of a width brought: throughput before it and after it.

use serde::Serialize;

use super::series::Curve;
use super::statistics::{Effect, Mean};
use super::words::{clipped, rounded};
use crate::monitor::{Event, EventKind, Snapshot};

/// How long a run takes to feel a change: workers start at once, what they do shows after a call or two.
const SETTLES: f64 = 2.0;

/// How far it is looked before and behind a change: longer, and other documents are compared with.
const LOOKED_AT: f64 = 60.0;

/// A change of a stage's width.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WidthChange {
    /// Its number, from 1 on, as the charts have it.
    pub number: usize,
    /// When, in seconds from the run's start.
    pub at: f64,
    /// Of which stage.
    pub stage: String,
    /// The width before.
    pub from: usize,
    /// The width after.
    pub to: usize,
    /// Who changed it.
    pub by: String,
    /// Why; may be empty.
    pub why: String,
    /// What the tuner said of it, before the next change of the same stage.
    pub advice: Vec<String>,
    /// What it brought.
    pub effect: Effect,
}

impl WidthChange {
    /// All changes of a run, in the order of time.
    pub(super) fn all(snapshots: &[Snapshot], events: &[Event]) -> Vec<Self> {
        let documents = Curve::of(snapshots, |snapshot| snapshot.documents.ended());
        let Some((begin, end)) = documents.grew() else { return Self::list(events).collect() };
        let mut all: Vec<Self> = Self::list(events).collect();
        let times: Vec<f64> = all.iter().map(|change| change.at).collect();
        for (index, change) in all.iter_mut().enumerate() {
            // Changes that are made together are one to the throughput.
            let together = |other: &&f64| (**other - change.at).abs() <= SETTLES / 2.0;
            let before = times[..index].iter().rev().find(|other| !together(other)).map_or(begin, |at| at + SETTLES);
            let after = times[index + 1..].iter().find(|other| !together(other)).copied().unwrap_or(end);
            let from = before.max(change.at - LOOKED_AT).max(begin);
            let to = after.min(change.at + SETTLES + LOOKED_AT).min(end);
            let first = Mean::of(&documents, from, change.at);
            let then = Mean::of(&documents, change.at + SETTLES, to);
            change.effect = if then.seconds > 0.0 {
                Effect::between(first, then, 0.0)
            } else {
                Effect { before: first, ..Effect::default() }
            };
        }
        all
    }

    fn list(events: &[Event]) -> impl Iterator<Item = Self> {
        let changes = events.iter().filter(|event| event.kind == EventKind::Width);
        changes.enumerate().map(|(index, event)| Self {
            number: index + 1,
            at: rounded(event.at),
            stage: event.stage.clone(),
            from: event.from.unwrap_or_default(),
            to: event.to.unwrap_or_default(),
            by: clipped(&event.by),
            why: clipped(&event.text),
            advice: advice(event, events),
            effect: Effect::default(),
        })
    }

    /// In words: what it brought, or that nothing came after it.
    #[must_use]
    pub fn outcome(&self) -> String {
        if self.effect.after.seconds > 0.0 {
            self.effect.words()
        } else {
            "nothing ended after it to measure".to_owned()
        }
    }
}

/// What the tuner said of a change: its findings for the stage from the change on, up to the stage's next.
fn advice(change: &Event, events: &[Event]) -> Vec<String> {
    let of_stage = |event: &&Event| event.number > change.number && event.stage == change.stage;
    let until_next = events.iter().filter(of_stage).take_while(|event| event.kind != EventKind::Width);
    until_next.filter(|event| event.kind == EventKind::Advice).map(|event| clipped(&event.text)).collect()
}
