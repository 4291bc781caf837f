//! Requests a minute: as declared, or as refusals teach.
//!
//! A refusal is the matter of the one who was refused, until `evidence` says that the service refuses everyone. That
//! stops everything, for as long as the service says or for a pause that doubles. Then one call is sent, and only when it
//! is let through do the others follow. What was let through from one such moment to the next, pauses included, is what
//! the service allows, whatever its rule: a window that begins with the minute, one that slides, a bucket with a burst. A
//! guess that is too high is refused and corrected; one that is too low is grown out of.

use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::breaker::LONGEST_PAUSE;
use super::bucket::{Bucket, DAY};
use super::evidence::Evidence;
use super::grants::Grants;
use super::growth::Growth;

/// So many more calls refused than not are evidence (its doc derives it). Where one call in ten is refused by chance, a run
/// of 100 a second is stopped by 3 every ten seconds, each time for as long as the service says and at a rate that has not
/// grown back since: it sinks to a twentieth. 5 stop it every 14 minutes, and 95 % are left. The price is two more
/// refusals from a service that is used up.
const EVIDENT: usize = 5;

/// The pause after a first refusal: as long as a service takes to allow one more where it allows two a second.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest pause between two probes: a quarter of the window that most services count over. More would lose more of
/// the next window; less would be refused more often until then.
const LONGEST_BACKOFF: Duration = Duration::from_secs(15);
/// A probe that is not refused after this was let through: a refusal takes one trip over the network, an answer of a
/// model up to minutes, in which nothing else would be sent.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of the measured rate, what is sent: enough below that a service which counts a little differently is not exceeded,
/// and grown back in 25 s if it is not one of those.
const MARGIN: f64 = 0.95;
/// Fewer grants than this measure nothing: a process that begins when another has used the minute up would take one
/// grant in 40 s for the rate. Low enough for the services that allow three a minute.
const MEASURABLE: f64 = 3.0;
/// Below both of these a measurement is not believed if it says less than half of what was sent until then.
const MANY: f64 = 20.0;
const LONG: Duration = Duration::from_secs(5);
/// One a minute: a service that refuses everything is sent a probe more often than that.
const LOWEST: f64 = 1.0 / 60.0;
/// What may be sent.
#[derive(Debug)]
enum Phase {
    /// As much as the bucket allows.
    Flowing,
    /// Nothing until then, and then one.
    Frozen { until: Instant },
    /// Nothing until it is known what comes of this one.
    Probing(Call),
}

/// A call, as the rate sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Calls are numbered in the order in which they are sent.
    pub(super) number: u64,
    pub(super) sent: Instant,
    pub(super) requests: f64,
    /// How many calls were under way when it was sent, itself included.
    pub(super) crowd: usize,
}

/// What a refusal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// What was known.
    Known,
    /// That one call was refused.
    One,
    /// That everyone is: nothing is sent for a while.
    All,
    /// That everyone is who is one too many. The next call that finds room shows whether that is so.
    Crowded,
}

/// Paces requests, and learns from refusals. Rates are per second in here.
#[derive(Debug)]
pub(super) struct Rate {
    declared: Option<f64>,
    learned: Option<f64>,
    bucket: Option<Bucket>,
    phase: Phase,
    /// Nothing is sent until then, though nothing was refused.
    held: Option<Instant>,
    /// Calls with a lower number were sent before the last freeze began.
    frozen_at: u64,
    /// Whether that freeze was for a limit of calls at once: then it had no length, and measures no rate.
    crowded: bool,
    /// How long the next freeze is, where the service does not say.
    backoff: Duration,
    evidence: Evidence,
    grants: Grants,
    growth: Growth,
}

impl Rate {
    /// With what was learned before, per minute.
    pub(super) fn new(learned: Option<f64>) -> Self {
        let mut rate = Self {
            declared: None,
            learned: per_second(learned),
            bucket: None,
            phase: Phase::Flowing,
            held: None,
            frozen_at: 0,
            crowded: false,
            backoff: FIRST_BACKOFF,
            evidence: Evidence::new(EVIDENT),
            grants: Grants::default(),
            growth: Growth::default(),
        };
        rate.growth.measured(rate.learned.unwrap_or_default() / MARGIN, true);
        rate
    }

    /// Sends no more than so many a minute from now on.
    pub(super) fn declare(&mut self, per_minute: Option<f64>, now: Instant) {
        self.declared = per_second(per_minute);
        self.learn(self.learned, now);
    }

    /// Per minute, where it is known.
    pub(super) fn per_minute(&self) -> Option<f64> {
        self.pace().map(|pace| pace * 60.0)
    }

    /// Per minute, where refusals taught it.
    pub(super) fn learned(&self) -> Option<f64> {
        self.learned.map(|learned| learned * 60.0)
    }

    /// Until when nothing at all is sent.
    pub(super) fn frozen(&self, now: Instant) -> Option<Instant> {
        let frozen = match self.phase {
            Phase::Frozen { until } => Some(until),
            _ => None,
        };
        frozen.max(self.held).filter(|until| *until > now)
    }

    /// When a call of so many requests may be sent, as far as is known; it may be sooner if something is heard.
    pub(super) fn ready(&mut self, requests: f64, now: Instant) -> Instant {
        if let Phase::Probing(probe) = self.phase {
            if now < probe.sent + PATIENCE {
                return probe.sent + PATIENCE;
            }
            self.flow(probe, now);
        }
        if let Some(until) = self.frozen(now) {
            return until;
        }
        let Some(pace) = self.pace() else { return now };
        let ready = self.bucket.get_or_insert_with(|| Bucket::new(pace, 1.0, now)).ready(requests, now);
        if ready > now {
            self.growth.waited();
        }
        let grown = self.growth.step(now);
        self.learn(self.learned.map(|learned| learned * grown), now);
        ready
    }

    /// The call was sent.
    pub(super) fn sent(&mut self, call: Call) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(call.requests, call.sent);
        }
        if let Phase::Frozen { .. } = self.phase {
            self.phase = Phase::Probing(call);
        } else {
            self.grants.sent(call.requests, call.sent);
            if let Some(learned) = self.learned {
                self.growth.sent(learned);
            }
        }
    }

    /// The call was let through, whatever was answered.
    pub(super) fn granted(&mut self, call: Call, now: Instant) {
        if self.is_probe(call) {
            self.flow(call, now);
        }
        if call.number >= self.frozen_at {
            self.backoff = FIRST_BACKOFF;
        }
    }

    /// The call was refused; `next` is the number of the next call. `crowded` is whether a limit of calls at once would
    /// explain it as well as a rate.
    ///
    /// Calls that were under way when a freeze began are refused as well: that is the same refusal, told again.
    pub(super) fn refused(
        &mut self,
        call: Call,
        next: u64,
        after: Option<Duration>,
        crowded: bool,
        now: Instant,
    ) -> Refusal {
        if self.is_probe(call) {
            let guessed = self.crowded;
            if guessed && crowded {
                self.doubt(next, now);
                return Refusal::Crowded;
            }
            self.freeze(next, after.unwrap_or_default(), now);
            return if guessed { Refusal::All } else { Refusal::Known };
        }
        self.grants.strike(call.requests, call.sent);
        if call.number < self.frozen_at {
            if !self.crowded {
                self.hold(after.unwrap_or_default(), now);
            }
            return Refusal::Known;
        }
        if let Some(longest) = self.evidence.refused(call.number, after.unwrap_or_default()) {
            if crowded {
                self.doubt(next, now);
                return Refusal::Crowded;
            }
            self.freeze(next, longest, now);
            return Refusal::All;
        }
        if let Some(learned) = self.learned
            && self.growth.refused(learned)
        {
            self.measure(false, now);
            self.growth.restart(now);
        }
        Refusal::One
    }

    /// The service said that it is too much for it. Of several servers behind one name one may say so: nobody waits for
    /// longer than the breaker would, and all wait where it is evident. Whether it is.
    pub(super) fn overloaded(&mut self, call: Call, after: Option<Duration>, now: Instant) -> bool {
        let after = after.unwrap_or_default().min(LONGEST_PAUSE);
        let probe = self.is_probe(call);
        self.unserved(call, now);
        let longest = self.evidence.refused(call.number, after);
        if let Some(hold) = if probe { Some(after) } else { longest } {
            self.hold(hold, now);
        }
        longest.is_some()
    }

    /// The call was not served, for another reason than the rate.
    pub(super) fn unserved(&mut self, call: Call, now: Instant) {
        if self.is_probe(call) {
            self.phase = Phase::Frozen { until: now };
        } else {
            self.grants.strike(call.requests, call.sent);
        }
    }

    /// Sends nothing for so long.
    pub(super) fn hold(&mut self, time: Duration, now: Instant) {
        self.held = self.held.max(Some(now + time.min(DAY)));
    }

    fn is_probe(&self, call: Call) -> bool {
        matches!(self.phase, Phase::Probing(probe) if probe.number == call.number)
    }

    fn pace(&self) -> Option<f64> {
        self.learned.or(self.declared)
    }

    /// One call, as soon as there is room for it, and nothing else until it is known what comes of it: if it is refused, it
    /// was the rate after all.
    fn doubt(&mut self, next: u64, now: Instant) {
        self.phase = Phase::Frozen { until: now };
        (self.frozen_at, self.crowded) = (next, true);
        self.evidence.restart(next);
    }

    /// Nothing for so long; `next` is the number of the next call.
    fn freeze(&mut self, next: u64, after: Duration, now: Instant) {
        // The service is believed, until it refuses what it called for.
        let after = after.min(DAY);
        let said = self.backoff == FIRST_BACKOFF && !after.is_zero();
        let pause = if said { after } else { self.backoff.max(after) };
        self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
        self.phase = Phase::Frozen { until: now + pause };
        (self.frozen_at, self.crowded) = (next, false);
        self.evidence.restart(next);
    }

    /// The probe was let through: measures what was since the last one, and lets the others follow.
    fn flow(&mut self, probe: Call, now: Instant) {
        self.phase = Phase::Flowing;
        if !self.crowded {
            self.measure(true, now);
        }
        // The probe is the first of the next measurement: a fence has one post more than gaps.
        self.grants.sent(probe.requests, now);
        self.growth.restart(now);
    }

    /// Sends by what was let through since the last time, where that tells enough; now that `all` is refused, or some.
    fn measure(&mut self, all: bool, now: Instant) {
        let Some(measured) = self.measured(now) else { return };
        self.growth.measured(measured / MARGIN, all);
        self.learn(Some(measured), now);
        // What the bucket saved up meanwhile was not there to be saved.
        self.bucket = self.pace().map(|pace| Bucket::new(pace, 1.0, now));
        self.grants.restart(now);
        debug!(requests_per_minute = measured * 60.0, "the model service refused calls, their rate was measured");
    }

    /// What may be sent by what was let through, or nothing if that is too little to tell: then it is counted on.
    fn measured(&self, now: Instant) -> Option<f64> {
        let (count, span) = (self.grants.count(), self.grants.span(now));
        if count < MEASURABLE {
            return None;
        }
        let believed = count > MANY || span >= LONG;
        let half = self.pace().filter(|_| !believed).map_or(LOWEST, |pace| pace / 2.0);
        Some((MARGIN * self.grants.per_second(now)).max(half).max(LOWEST))
    }

    /// Sends at this rate from now on; at the declared one, if that is lower.
    fn learn(&mut self, per_second: Option<f64>, now: Instant) {
        self.learned = per_second.filter(|learned| self.declared.is_none_or(|declared| *learned < declared));
        if let (Some(pace), Some(bucket)) = (self.pace(), &mut self.bucket) {
            bucket.pace(pace, now);
        }
    }
}

fn per_second(per_minute: Option<f64>) -> Option<f64> {
    per_minute.filter(|rate| rate.is_finite() && *rate > 0.0).map(|rate| rate / 60.0)
}
