//! The stage, or the resource, that bounds throughput: now, or over a whole run. What to do about it is not said here.

use serde::{Deserialize, Serialize};

use super::evidence;
use super::shares::{Shares, has_a_queue, is_source, neighbours};
use crate::monitor::{ServiceTimes, Snapshot, StageSnapshot};

/// What bounds throughput, and the evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// The stage; empty where nothing has run.
    pub stage: String,
    /// What is scarce: `cpu`, `provider`, `memory`, `source`, `sink`, `width`, `retry` or `document`.
    pub resource: String,
    /// The evidence, in a sentence.
    pub because: String,
}

/// From this share of all CPUs in use on, they are what is scarce.
const CPUS_FULL: f64 = 0.88;
/// From this share of a stage's time on, what holds it is what is scarce: below, it is in passing.
const HELD: f64 = 0.1;
/// A stage that is occupied less than this bounds nothing.
const OCCUPIED: f64 = 0.5;
/// A document is a bottleneck of its own from so many seconds in one worker's hands on,
const LONG_SECONDS: f64 = 10.0;
/// if that is so many times as long as 95 of 100 calls take.
const LONG_TIMES: f64 = 5.0;

/// Names the bottleneck of a run so far.
#[must_use]
pub fn bottleneck(snapshot: &Snapshot) -> Bottleneck {
    let shares: Vec<Shares> = snapshot.stages.iter().map(|stage| Shares::of_run(stage, snapshot.seconds)).collect();
    let cpus = snapshot.host.cpu_seconds / snapshot.seconds.max(f64::MIN_POSITIVE);
    Case { snapshot, shares, cpus, now: false }.judge().0
}

/// Names the bottleneck of the last seconds, and how sure that is: `high`, `medium` or `low`.
///
/// A stage that bounds throughput works all the time, its queue is full, the stages before it wait for room and those after
/// it wait for input. Each of the four is told of in the sentence; the more of them hold, the surer it is.
#[must_use]
pub fn bottleneck_now(snapshot: &Snapshot) -> (Bottleneck, String) {
    let shares = snapshot.stages.iter().map(Shares::now).collect();
    let case = Case { snapshot, shares, cpus: snapshot.host.cpus_used, now: true };
    let (found, confidence) = case.judge();
    (found, confidence.to_owned())
}

/// What is looked at: a snapshot, with the shares over one span or the other.
pub(super) struct Case<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) shares: Vec<Shares>,
    /// CPUs in use by the process and its children.
    pub(super) cpus: f64,
    /// Whether this is about the last seconds.
    pub(super) now: bool,
}

/// A stage under suspicion.
#[derive(Clone, Copy)]
pub(super) struct Suspect {
    pub(super) index: usize,
    /// The largest share of time that a stage before it waits for room; none where there is none before it.
    pub(super) before: Option<f64>,
    /// The least share of time that a stage after it waits for input; none where there is none after it.
    pub(super) after: Option<f64>,
    score: f64,
}

impl Case<'_> {
    fn judge(&self) -> (Bottleneck, &'static str) {
        if let Some((found, index)) = self.one_document() {
            return (evidence::document(self, found, index), "high");
        }
        let mut suspects: Vec<Suspect> = (0..self.shares.len()).filter_map(|index| self.suspect(index)).collect();
        suspects.sort_by(|a, b| b.score.total_cmp(&a.score));
        let memory = self.held_by_memory();
        let Some(first) = suspects.first().copied() else {
            return match memory {
                Some(index) => (evidence::memory(self, index), "low"),
                None => (Bottleneck::default(), "low"),
            };
        };
        let occupied = self.shares[first.index].at_work();
        let stage = &self.snapshot.stages[first.index];
        let idle = occupied < 0.8 || is_source(stage) || (self.now && !has_a_queue(stage));
        if let Some(index) = memory.filter(|_| idle) {
            return (evidence::memory(self, index), if occupied < OCCUPIED { "high" } else { "medium" });
        }
        let resource = self.resource(first.index);
        let named = if resource == "cpu" { self.hungriest().map(|index| self.alike(index, first)) } else { None };
        let chosen = named.unwrap_or(first);
        let margin = suspects.iter().find(|other| other.index != first.index).map_or(first.score, |second| {
            // Two that share the CPUs are no rivals.
            let shared = resource == "cpu" && self.resource(second.index) == "cpu";
            if shared { first.score } else { first.score - second.score }
        });
        (evidence::stage(self, chosen, resource), self.confidence(first, margin))
    }

    fn alike(&self, index: usize, otherwise: Suspect) -> Suspect {
        self.suspect(index).unwrap_or(otherwise)
    }

    fn confidence(&self, first: Suspect, margin: f64) -> &'static str {
        let occupied = self.shares[first.index].occupied();
        if self.now && self.snapshot.window < 2.0 {
            "low"
        } else if occupied > 0.8 && first.score > 0.55 && margin > 0.15 {
            "high"
        } else if occupied > 0.6 && margin > 0.05 {
            "medium"
        } else {
            "low"
        }
    }

    fn suspect(&self, index: usize) -> Option<Suspect> {
        let (stage, shares) = (&self.snapshot.stages[index], &self.shares[index]);
        if shares.occupied() <= 0.0 || (stage.input == 0 && stage.in_hand == 0) {
            return None;
        }
        let (before, after) = neighbours(self.snapshot, index);
        let waits = |of: &usize| {
            let shares = &self.shares[*of];
            // A source that waits for memory waits for room as well: what came before fills it.
            if is_source(&self.snapshot.stages[*of]) { shares.blocked + shares.held } else { shares.blocked }
        };
        let before = before.iter().map(waits).reduce(f64::max);
        let after = after.iter().map(|of| self.shares[*of].starved).reduce(f64::min);
        let fill = (!is_source(stage)).then_some(shares.fill);
        let told: Vec<f64> = [fill, before, after].into_iter().flatten().collect();
        let evidence = if told.is_empty() { 0.5 } else { told.iter().sum::<f64>() / told.len() as f64 };
        let occupied = shares.at_work();
        // Work is what bounds; the signs around it tell two busy stages apart.
        let score = occupied * occupied * (0.4 + 0.6 * evidence);
        Some(Suspect { index, before, after, score })
    }

    /// What of a stage is scarce.
    fn resource(&self, index: usize) -> &'static str {
        let (stage, shares) = (&self.snapshot.stages[index], &self.shares[index]);
        if is_source(stage) {
            return "source";
        }
        let held = |cause: &str, share: f64| shares.held_by == cause && shares.held >= share;
        if held("provider", HELD) || self.at_the_providers_limit(index) {
            return "provider";
        }
        if held("retry", 0.3) && shares.held > shares.busy {
            return "retry";
        }
        if held("memory", 0.3) && shares.held > shares.busy {
            return "memory";
        }
        if stage.tier == "cpu" && (self.cpus_are_full() || held("cpu", 0.4)) {
            return "cpu";
        }
        if stage.role == "sink" { "sink" } else { "width" }
    }

    /// Whether all CPUs are in use, as far as it is known.
    pub(super) fn cpus_are_full(&self) -> bool {
        let all = self.snapshot.host.cpus;
        let stages: f64 = self.shares.iter().map(|shares| shares.cpus).sum();
        all <= 0.0 || self.cpus.max(stages) >= CPUS_FULL * all
    }

    fn at_the_providers_limit(&self, index: usize) -> bool {
        let (stage, shares) = (&self.snapshot.stages[index], &self.shares[index]);
        let Some(service) = self.snapshot.services.get(&stage.service) else { return false };
        let rate = service.requests_per_minute > 0.0 && 60.0 * shares.calls >= 0.9 * service.requests_per_minute;
        let refused = ["rate_limited", "overloaded"].iter().any(|class| service.errors.contains_key(*class));
        let concurrency = service.concurrency as f64;
        let limit = refused && concurrency > 0.0 && stage.width as f64 * shares.occupied() >= 0.9 * concurrency;
        self.now && (service.breaker == "open" || rate || limit)
    }

    /// The stage that uses the most CPU.
    fn hungriest(&self) -> Option<usize> {
        let most = self.shares.iter().enumerate().max_by(|a, b| a.1.cpus.total_cmp(&b.1.cpus))?;
        (most.1.cpus > 0.0).then_some(most.0)
    }

    fn held_by_memory(&self) -> Option<usize> {
        let held = self.shares.iter().enumerate().filter(|(_, shares)| shares.held_by == "memory");
        held.filter(|(_, shares)| shares.held >= 0.4)
            .max_by(|a, b| a.1.held.total_cmp(&b.1.held))
            .map(|(index, _)| index)
    }

    /// One document that one worker has had in hand for long while next to nothing else goes on.
    fn one_document(&self) -> Option<(f64, usize)> {
        if !self.now {
            return None;
        }
        let stages = &self.snapshot.stages;
        let longest = |stage: &StageSnapshot| stage.hands.first().map_or(0.0, |hand| hand.seconds);
        let (index, stage) = stages
            .iter()
            .enumerate()
            .filter(|(_, stage)| !is_source(stage))
            .max_by(|a, b| longest(a.1).total_cmp(&longest(b.1)))?;
        let seconds = longest(stage);
        let ServiceTimes { p95, .. } = stage.service_ms;
        let unusual = seconds >= LONG_SECONDS && seconds * 1000.0 >= LONG_TIMES * p95;
        let alone = stage.in_hand == 1
            && self.shares.iter().enumerate().all(|(other, shares)| {
                other == index || is_source(&stages[other]) || shares.busy * stages[other].width as f64 <= 0.2
            });
        (unusual && alone).then_some((seconds, index))
    }
}

#[cfg(test)]
mod tests;
