//! What a person should look at. Alerts are raised and cleared, each once: what flickers is raised for as long as it does.

use super::advice::Alert;
use super::shares::is_source;
use crate::monitor::{FULL, RunState, Snapshot};

/// When an alert is raised. A rule is off where its figure is infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRules {
    /// `queue_full`: a queue is full for so many seconds, and its stage is not kept from handing on. Default 30.
    pub queue_full_seconds: f64,
    /// `stalled`: documents are in hand and none has ended for so many seconds. Default 30.
    pub stalled_seconds: f64,
    /// `error_rate`: this share of what a stage takes in fails. Default 0.1.
    pub error_share: f64,
    /// `throttled`: a model service refuses this share of the calls of the last ten seconds. Default 0.2.
    pub refused_share: f64,
    /// `memory`: process and children hold this share of the memory that may be used. Default 0.85.
    pub memory_share: f64,
    /// `slow_document`: a worker has had a document in hand for so many seconds. Default 60.
    pub slow_document_seconds: f64,
    /// An alert is over when its cause has been gone for so many seconds. Default 5.
    pub clears_after_seconds: f64,
}

impl Default for AlertRules {
    fn default() -> Self {
        Self {
            queue_full_seconds: 30.0,
            stalled_seconds: 30.0,
            error_share: 0.1,
            refused_share: 0.2,
            memory_share: 0.85,
            slow_document_seconds: 60.0,
            clears_after_seconds: 5.0,
        }
    }
}

/// A stage that waits for room so much of its time is not why its queue is full.
const BLOCKED: f64 = 0.5;
/// A share of failures is of at least so many records a second, so that the first failure is no rate.
const FEW: f64 = 1.0;
/// Refusals are counted over so many seconds,
const BURST: f64 = 10.0;
/// and fewer than so many are none.
const REFUSED: u64 = 5;

/// An alert that was raised, or is over.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertChange {
    /// Which.
    pub alert: Alert,
    /// Whether it was raised; otherwise it is over.
    pub raised: bool,
}

/// Watches for alerts, in snapshots in the order in which they were taken.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    rules: AlertRules,
    causes: Vec<Cause>,
    changes: Vec<AlertChange>,
    /// Documents that have ended, and when that number last changed.
    ended: (u64, f64),
    /// Calls and refusals of services, by time.
    services: std::collections::VecDeque<(f64, Vec<(u64, u64)>)>,
}

/// Why an alert may be raised.
#[derive(Clone, Debug)]
struct Cause {
    rule: &'static str,
    stage: String,
    text: String,
    since: f64,
    seen: f64,
    raised: bool,
}

impl Alerts {
    /// Watches by these rules.
    #[must_use]
    pub fn new(rules: AlertRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Looks at a snapshot. The alerts that are on, the oldest first.
    pub fn look(&mut self, snapshot: &Snapshot) -> Vec<Alert> {
        let at = snapshot.seconds;
        let mut found = Vec::new();
        if !snapshot.state.is_over() {
            self.queues(snapshot, &mut found);
            self.stalled(snapshot, &mut found);
            self.errors(snapshot, &mut found);
            self.throttled(snapshot, &mut found);
            self.memory(snapshot, &mut found);
            self.slow_documents(snapshot, &mut found);
        }
        for (rule, stage, lasts, text) in found {
            self.seen(rule, stage, lasts, text, at);
        }
        let (clears, over) = (self.rules.clears_after_seconds, snapshot.state.is_over());
        let changes = &mut self.changes;
        self.causes.retain(|cause| {
            // One that is not raised yet has to last without a gap.
            let patience = if cause.raised && !over { clears } else { 0.0 };
            let stays = at - cause.seen <= patience;
            if !stays && cause.raised {
                changes.push(AlertChange { alert: cause.alert(), raised: false });
            }
            stays
        });
        let mut on: Vec<Alert> = self.causes.iter().filter(|cause| cause.raised).map(Cause::alert).collect();
        on.sort_by(|a, b| a.since.total_cmp(&b.since));
        on
    }

    /// The alerts that were raised or cleared since this was last asked.
    pub fn changes(&mut self) -> Vec<AlertChange> {
        std::mem::take(&mut self.changes)
    }

    fn seen(&mut self, rule: &'static str, stage: String, lasts: f64, text: String, at: f64) {
        let index = self.causes.iter().position(|cause| cause.rule == rule && cause.stage == stage);
        let index = index.unwrap_or_else(|| {
            self.causes.push(Cause { rule, stage, text: String::new(), since: at, seen: at, raised: false });
            self.causes.len() - 1
        });
        let cause = &mut self.causes[index];
        (cause.seen, cause.text) = (at, text);
        if !cause.raised && at - cause.since >= lasts {
            cause.raised = true;
            let alert = cause.alert();
            self.changes.push(AlertChange { alert, raised: true });
        }
    }

    fn queues(&self, snapshot: &Snapshot, found: &mut Vec<Found>) {
        for stage in &snapshot.stages {
            let queue = &stage.queue;
            let full = queue.capacity > 0 && queue.length as f64 >= FULL * queue.capacity as f64;
            if full && stage.now.blocked < BLOCKED {
                let text = format!("the queue of {} has been full, {} of {}", stage.id, queue.length, queue.capacity);
                found.push(("queue_full", stage.id.clone(), self.rules.queue_full_seconds, text));
            }
        }
    }

    fn stalled(&mut self, snapshot: &Snapshot, found: &mut Vec<Found>) {
        let ended = snapshot.documents.ended();
        let works = snapshot.documents.unfinished > 0 && snapshot.state == RunState::Running && !snapshot.paused;
        if ended != self.ended.0 || !works || snapshot.indexing {
            self.ended = (ended, snapshot.seconds);
        }
        let still = snapshot.seconds - self.ended.1;
        if still >= self.rules.stalled_seconds {
            let text =
                format!("{} documents are in hand, and none has ended for {still:.0}s", snapshot.documents.unfinished);
            found.push(("stalled", String::new(), 0.0, text));
        }
    }

    fn errors(&self, snapshot: &Snapshot, found: &mut Vec<Found>) {
        for stage in snapshot.stages.iter().filter(|stage| !is_source(stage)) {
            let share = stage.now.failed / stage.now.input.max(FEW);
            if share >= self.rules.error_share && stage.now.failed > 0.0 {
                let text = format!("{:.0}% of what {} takes in fails", 100.0 * share.min(1.0), stage.id);
                found.push(("error_rate", stage.id.clone(), 0.0, text));
            }
        }
    }

    fn throttled(&mut self, snapshot: &Snapshot, found: &mut Vec<Found>) {
        let at = snapshot.seconds;
        let refused = |report: &docmill_api::ServiceReport| {
            ["rate_limited", "overloaded"].iter().filter_map(|class| report.errors.get(*class)).sum::<u64>()
        };
        let now: Vec<(u64, u64)> = snapshot.services.values().map(|report| (report.calls, refused(report))).collect();
        if self.services.back().is_none_or(|(last, _)| at - last >= 1.0) {
            self.services.push_back((at, now.clone()));
        }
        while self.services.len() > 1 && self.services.front().is_some_and(|(then, _)| at - then > BURST) {
            self.services.pop_front();
        }
        let Some((_, before)) = self.services.front() else { return };
        for ((name, now), before) in snapshot.services.keys().zip(&now).zip(before) {
            let (calls, refused) = (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
            let share = refused as f64 / calls.max(1) as f64;
            if refused >= REFUSED && share >= self.rules.refused_share {
                let stage = snapshot.stages.iter().find(|stage| stage.service == *name);
                let stage = stage.map(|stage| stage.id.clone()).unwrap_or_default();
                let text = format!("{name} refuses {:.0}% of the calls: {refused} of {calls}", 100.0 * share.min(1.0));
                found.push(("throttled", stage, 0.0, text));
            }
        }
    }

    fn memory(&self, snapshot: &Snapshot, found: &mut Vec<Found>) {
        let host = &snapshot.host;
        let held = (host.rss_bytes + host.children_rss_bytes) as f64;
        if host.memory_limit > 0 && held >= self.rules.memory_share * host.memory_limit as f64 {
            let share = 100.0 * held / host.memory_limit as f64;
            let text = format!("{share:.0}% of the memory that may be used is in use");
            found.push(("memory", String::new(), 0.0, text));
        }
    }

    fn slow_documents(&self, snapshot: &Snapshot, found: &mut Vec<Found>) {
        for stage in snapshot.stages.iter().filter(|stage| !is_source(stage)) {
            let Some(hand) = stage.hands.first() else { continue };
            if hand.seconds >= self.rules.slow_document_seconds {
                let text = format!("{} has had `{}` in hand for {:.0}s", stage.id, hand.document, hand.seconds);
                found.push(("slow_document", stage.id.clone(), 0.0, text));
            }
        }
    }
}

/// A rule, where, for how long it has to last, and in words.
type Found = (&'static str, String, f64, String);

impl Cause {
    fn alert(&self) -> Alert {
        Alert { rule: self.rule.into(), stage: self.stage.clone(), text: self.text.clone(), since: self.since }
    }
}

#[cfg(test)]
mod tests;
