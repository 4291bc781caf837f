//! Leaves a service alone that does not answer, and looks now and then whether it is back.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::evidence::Evidence;

/// So many calls in a row that met nobody: a service that restarts refuses connections, and three are no coincidence.
const UNREACHABLE: u32 = 3;
/// So many more calls that failed in any way than did not. At one failure in ten that comes once in 60 million calls; 5
/// would come once in 83,000, which is one run (the doc of `Evidence`).
const SIGNS: usize = 8;
/// The first pause: a restart of a small service takes about this.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest: what is lost at most after the service is back, at four probes a minute.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// When to ask again while a probe is under way: an answer may come at any time, and who asks costs the service nothing.
pub(super) const SHORT: Duration = Duration::from_millis(250);

/// What may be sent now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Closed,
    /// One call, to see whether the service is back.
    Probe,
    /// Nothing, for so long.
    Open(Duration),
}

#[derive(Debug)]
enum Phase {
    Closed,
    Open { until: Instant, pause: Duration },
    Probing { number: u64, pause: Duration },
}

/// Opens after many signs, from calls that were sent after the last good answer: one that was sent before it, and
/// gives up only now, says nothing that the answer has not refuted.
#[derive(Debug)]
pub(super) struct Breaker {
    phase: Phase,
    unreachable: u32,
    signs: Evidence,
    /// Calls with a lower number were sent before the last good answer.
    alive_at: u64,
    opened: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { phase: Phase::Closed, unreachable: 0, signs: Evidence::new(SIGNS), alive_at: 0, opened: 0 }
    }
}

impl Breaker {
    pub(super) fn gate(&self, now: Instant) -> Gate {
        match self.phase {
            Phase::Closed => Gate::Closed,
            Phase::Open { until, .. } if now < until => Gate::Open(until - now),
            Phase::Open { .. } => Gate::Probe,
            Phase::Probing { .. } => Gate::Open(SHORT),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// `ok`, `probing` or `open`.
    pub(super) fn name(&self, now: Instant) -> &'static str {
        match self.phase {
            Phase::Closed => "ok",
            Phase::Open { until, .. } if now < until => "open",
            Phase::Open { .. } | Phase::Probing { .. } => "probing",
        }
    }

    /// How often it went from closed to open.
    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    /// The call with this number was sent.
    pub(super) fn sent(&mut self, number: u64) {
        if let Phase::Open { pause, .. } = self.phase {
            self.phase = Phase::Probing { number, pause };
            debug!("one call is sent to see whether the model service answers again");
        }
    }

    /// The service answered, whatever it said; `next` is the number of the next call. Whether it closed by that.
    ///
    /// While it is open only the probe counts: other answers are of calls that were sent before.
    pub(super) fn good(&mut self, number: u64, next: u64) -> bool {
        let closes = self.is_probe(number);
        if closes {
            self.phase = Phase::Closed;
            info!("the model service answers again");
        }
        if self.is_closed() {
            self.unreachable = 0;
            self.signs.restart(next);
            self.alive_at = next;
        }
        closes
    }

    /// The service did not answer, or failed.
    pub(super) fn sign(&mut self, number: u64, unreachable: bool, now: Instant) {
        match self.phase {
            Phase::Probing { number: probe, pause } if probe == number => {
                self.open((pause * 2).min(LONGEST_PAUSE), now);
            }
            Phase::Closed if number >= self.alive_at => {
                let many = self.signs.refused(number, Duration::ZERO).is_some();
                self.unreachable = if unreachable { self.unreachable + 1 } else { 0 };
                if many || self.unreachable >= UNREACHABLE {
                    self.opened += 1;
                    self.open(FIRST_PAUSE, now);
                }
            }
            _ => {}
        }
    }

    fn is_probe(&self, number: u64) -> bool {
        matches!(self.phase, Phase::Probing { number: probe, .. } if probe == number)
    }

    fn open(&mut self, pause: Duration, now: Instant) {
        let again = !self.is_closed();
        warn!(again, ?pause, "the model service does not answer and is left alone");
        self.phase = Phase::Open { until: now + pause, pause };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_enough_signs_and_doubles_its_pause_with_each_bad_probe() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        for number in 0..7 {
            breaker.sign(number, false, now);
        }
        assert!(!breaker.good(7, 8) && breaker.gate(now) == Gate::Closed);
        for number in 8..8 + u64::from(UNREACHABLE) {
            assert_eq!(breaker.gate(now), Gate::Closed);
            breaker.sign(number, true, now);
        }
        for (number, pause) in [1, 2, 4, 8, 15, 15].into_iter().enumerate() {
            let number = 11 + number as u64;
            assert_eq!(breaker.gate(now), Gate::Open(Duration::from_secs(pause)));
            now += Duration::from_secs(pause);
            assert_eq!(breaker.gate(now), Gate::Probe);
            breaker.sent(number);
            assert_eq!(breaker.gate(now), Gate::Open(SHORT));
            breaker.sign(number, true, now);
        }
        now += LONGEST_PAUSE;
        breaker.sent(17);
        assert!(breaker.good(17, 18) && breaker.gate(now) == Gate::Closed);
        assert_eq!(breaker.opened(), 1);
    }

    #[test]
    fn calls_from_before_the_last_good_answer_say_nothing() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.good(20, 40);
        for number in 0..40 {
            breaker.sign(number, true, now);
        }
        assert_eq!(breaker.gate(now), Gate::Closed);
        for number in 40..43 {
            breaker.sign(number, true, now);
        }
        // Nor does an answer, while it is open, of a call that is not the probe.
        assert!(!breaker.good(39, 43));
        assert_eq!(breaker.gate(now), Gate::Open(FIRST_PAUSE));
    }
}
