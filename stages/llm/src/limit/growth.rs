//! When a rate that refusals taught may rise, and which refusals say that it has risen too far.

use std::time::Duration;

use tokio::time::Instant;

/// How often the rate grows.
const STEP: Duration = Duration::from_secs(5);
/// By how much: 12.7 % in a minute, so that a window of a minute is exceeded by half of that at most.
const GROWTH: f64 = 0.01;
/// The growth rises by as much again every so many steps (a minute): a rate that was not refused for minutes is far too
/// low. From a hundredth of what is allowed it takes 8 minutes, and at 1 % it would take 38.
const STEPS_OF_A_PACE: u32 = 12;
/// What it rises to at most, in multiples: 10 % every 5 s.
const FASTEST: u32 = 10;
/// So many times the usual share of refusals is no chance any more. At the usual share itself every second look would
/// find more than it.
const UNUSUAL: f64 = 2.0;
/// Fewer calls than this tell no share: of a few, one that is refused is a large one.
const ENOUGH: f64 = 50.0;

/// How long it went well, and what was refused meanwhile.
///
/// A service that refuses one call in ten whatever is sent must not hold the rate down, and one that refuses one in
/// fifty because the rate is 2 % too high must. What tells them apart is what is refused below the rate that was last
/// measured: there the rate is not the reason. So much is usual, and twice as much above it is too much.
///
/// What was measured may be too high itself: a service that saved up for an hour lets more through than it keeps on
/// letting through. So a share is usual only if it was there below the measurement before as well.
#[derive(Debug, Default)]
pub(super) struct Growth {
    stepped: Option<Instant>,
    steps: u32,
    /// Whether a call waited for its turn since the last step.
    bound: bool,
    /// What the service let through when that was last measured.
    measured: f64,
    /// Whether there were refusals below the measurement before, too.
    sure: bool,
    below: Count,
    above: Count,
}

#[derive(Debug, Default)]
struct Count {
    sent: f64,
    refused: f64,
}

impl Growth {
    /// Begins anew below a rate that was measured; nothing is usual any more where that was because `all` was refused.
    pub(super) fn measured(&mut self, per_second: f64, all: bool) {
        if all {
            (self.sure, self.below) = (false, Count::default());
        } else if self.below.sent >= ENOUGH {
            // What is usual changes as well: of what is known, at least half is of this measurement and the last.
            let kept = if self.sure { 0.5 } else { 0.0 };
            self.sure = self.below.refused > 0.0;
            self.below = Count { sent: self.below.sent * kept, refused: self.below.refused * kept };
        }
        self.above = Count::default();
        self.measured = per_second;
    }

    /// Begins anew, slowly.
    pub(super) fn restart(&mut self, now: Instant) {
        (self.stepped, self.steps, self.bound) = (Some(now), 0, false);
    }

    /// A call had to wait for its turn.
    pub(super) fn waited(&mut self) {
        self.bound = true;
    }

    /// A call was sent at this rate.
    pub(super) fn sent(&mut self, pace: f64) {
        self.count(pace).sent += 1.0;
    }

    /// A call was refused at this rate. Whether that is too much.
    pub(super) fn refused(&mut self, pace: f64) -> bool {
        self.count(pace).refused += 1.0;
        let Count { sent, refused } = self.below;
        // One more than the share, because a share of the first few calls is less than one.
        let known = self.sure && sent >= ENOUGH && refused > 0.0;
        let usual = if known { 1.0 + UNUSUAL * refused / sent * self.above.sent } else { 0.0 };
        self.above.refused > usual
    }

    /// How many times as much may be sent from now on: more, where it is the rate that holds back.
    pub(super) fn step(&mut self, now: Instant) -> f64 {
        if self.stepped.is_some_and(|stepped| now < stepped + STEP) {
            return 1.0;
        }
        let grows = self.bound && self.stepped.is_some();
        (self.stepped, self.bound) = (Some(now), false);
        if !grows {
            return 1.0;
        }
        let times = (1 + self.steps / STEPS_OF_A_PACE).min(FASTEST);
        self.steps += 1;
        1.0 + GROWTH * f64::from(times)
    }

    fn count(&mut self, pace: f64) -> &mut Count {
        if pace <= self.measured { &mut self.below } else { &mut self.above }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_too_much_where_none_is_usual_and_twice_the_usual_share_is() {
        let mut growth = Growth::default();
        growth.measured(10.0, true);
        for _ in 0..100 {
            growth.sent(9.5);
            growth.sent(10.1);
        }
        assert!(growth.refused(10.1));
        growth.measured(10.0, false);
        // Below what was measured refusals are never too much: they are what is usual, if they come again.
        for _ in 0..100 {
            growth.sent(9.5);
        }
        assert!(!growth.refused(9.5) && growth.refused(10.1));
        growth.measured(10.0, false);
        for _ in 0..10 {
            assert!(!growth.refused(9.5));
        }
        for _ in 0..100 {
            growth.sent(9.5);
            growth.sent(10.1);
        }
        // 10 of 100, twice, and one.
        assert_eq!((0..).take_while(|_| !growth.refused(10.1)).count(), 21);
        growth.measured(10.0, true);
        assert!(growth.refused(10.1), "nothing is usual any more");
    }

    #[test]
    fn grows_only_where_calls_wait_and_ever_faster() {
        let (mut growth, mut now) = (Growth::default(), Instant::now());
        growth.restart(now);
        let mut step = |waits: bool| {
            if waits {
                growth.waited();
            }
            now += STEP;
            (growth.step(now) * 100.0).round() - 100.0
        };
        assert_eq!((step(false), step(true)), (0.0, 1.0));
        assert_eq!((1..200).map(|_| step(true)).fold((0.0, 0.0), |(sum, _), by| (sum + by, by)).1, 10.0);
    }
}
