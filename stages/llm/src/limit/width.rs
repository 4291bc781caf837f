//! How many calls a service is sent at once: additive increase, multiplicative decrease, with a slow start.
//!
//! It listens to explicit signals only. How long an answer takes says more of its length than of the service's load.

use std::time::Duration;

use tokio::time::Instant;

/// Where nothing is known: what any service bears, and two doublings away from what most do.
const FIRST: usize = 4;
/// Where nothing is declared. More connections than this to one host hit other walls first (file descriptors, the
/// streams of one HTTP/2 connection, of which servers allow 100 to 256).
const MOST: usize = 256;
/// The weight of the newest answer in the mean round trip: the last ten or so count.
const NEWEST: f64 = 0.2;
/// Of this many calls one may time out without it being a sign of congestion. Some requests take longer than anyone
/// waits, on an idle service too: at 1 % of them, a width of 100 would see one in nearly every window, shrink by ten and
/// grow by one, down to where both are equal: w²·0.01·0.1 = 1, a width of 31 whatever the service could bear. With one
/// in twenty allowed, a width of 100 shrinks when 6 of 100 time out: at 1 %, one window in 1,900.
const ONE_LATE_IN: usize = 20;

/// The number of calls at once, changed once in a window of one round trip.
#[derive(Debug)]
pub(super) struct Width {
    limit: usize,
    most: usize,
    /// Whether `limit` is more than a beginning: it was grown, shrunk, or learned before.
    learned: bool,
    slow_start: bool,
    round_trip: Option<Duration>,
    window: Window,
}

/// What was seen since `begun`.
#[derive(Debug, Default)]
struct Window {
    begun: Option<Instant>,
    reached: bool,
    signalled: bool,
    late: usize,
}

impl Width {
    pub(super) fn new(declared: Option<usize>, learned: Option<usize>) -> Self {
        let most = declared.filter(|most| *most > 0).unwrap_or(MOST);
        let learned = learned.filter(|limit| *limit > 0);
        Self {
            limit: learned.unwrap_or(FIRST).min(most),
            most,
            learned: learned.is_some(),
            // What was learned has met its signal, or the most that was needed: from there one step at a time.
            slow_start: learned.is_none(),
            round_trip: None,
            window: Window::default(),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn learned(&self) -> Option<usize> {
        self.learned.then_some(self.limit)
    }

    /// A call was sent, and `in_flight` are under way with it.
    pub(super) fn sent(&mut self, in_flight: usize, now: Instant) {
        self.window.begun.get_or_insert(now);
        self.window.reached |= in_flight >= self.limit;
    }

    /// A call was answered that took so long; `in_flight` are under way without it.
    pub(super) fn answered(&mut self, took: Duration, in_flight: usize, now: Instant) {
        let mean = self.round_trip.map_or(took, |mean| mean.mul_f64(1.0 - NEWEST) + took.mul_f64(NEWEST));
        self.round_trip = Some(mean);
        self.roll(in_flight, now);
    }

    /// The service said that it is too much.
    pub(super) fn signal(&mut self, in_flight: usize, now: Instant) {
        self.refused(in_flight, now);
        self.slow_start = false;
    }

    /// The service refused for its rate, which is not known yet: a signal that leaves the slow start be. Once the rate is
    /// known it holds back; and where an answer takes 20 s, one step in that time would take half an hour to fill it.
    pub(super) fn refused(&mut self, in_flight: usize, now: Instant) {
        self.roll(in_flight, now);
        self.learned = true;
        if !self.window.signalled {
            self.window.signalled = true;
            self.limit = (self.limit * 9 / 10).max(1);
        }
    }

    /// A call was not answered in time: a signal where it is more than one of many.
    pub(super) fn late(&mut self, in_flight: usize, now: Instant) {
        self.roll(in_flight, now);
        self.window.late += 1;
        if self.window.late * ONE_LATE_IN > self.limit {
            self.signal(in_flight, now);
        }
    }

    /// The service is back after it was gone: whatever it was that it did not bear, half as much comes now.
    pub(super) fn halve(&mut self) {
        self.limit = (self.limit / 2).max(1);
        self.window = Window::default();
    }

    /// Ends a window that lasted a round trip, and grows if it may.
    fn roll(&mut self, in_flight: usize, now: Instant) {
        let (Some(round_trip), Some(begun)) = (self.round_trip, self.window.begun) else { return };
        if now < begun + round_trip {
            return;
        }
        if self.window.reached && !self.window.signalled && self.limit < self.most {
            self.limit = if self.slow_start { self.limit * 2 } else { self.limit + 1 }.min(self.most);
            self.learned = true;
        }
        self.window = Window { begun: Some(now), reached: in_flight >= self.limit, ..Window::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(100);

    /// One window in which the limit is reached.
    fn window(width: &mut Width, now: &mut Instant) {
        width.sent(width.limit(), *now);
        *now += ROUND_TRIP;
        width.answered(ROUND_TRIP, 0, *now);
    }

    #[test]
    fn doubles_until_the_first_signal_then_grows_by_one_and_shrinks_once_a_window() {
        let (mut width, mut now) = (Width::new(Some(40), None), Instant::now());
        assert_eq!((width.limit(), width.learned()), (4, None));
        for expected in [8, 16, 32, 40, 40] {
            window(&mut width, &mut now);
            assert_eq!(width.limit(), expected);
        }
        width.signal(30, now);
        width.signal(30, now);
        assert_eq!((width.limit(), width.learned()), (36, Some(36)));
        window(&mut width, &mut now);
        assert_eq!(width.limit(), 36, "there was a signal in that window");
        window(&mut width, &mut now);
        assert_eq!(width.limit(), 37);
        width.sent(36, now);
        now += ROUND_TRIP;
        width.answered(ROUND_TRIP, 0, now);
        assert_eq!(width.limit(), 37, "not reached");
        for _ in 0..100 {
            now += ROUND_TRIP;
            width.signal(0, now);
        }
        assert_eq!(width.limit(), 1);
    }

    #[test]
    fn a_refusal_shrinks_once_and_the_slow_start_goes_on() {
        let (mut width, mut now) = (Width::new(None, Some(20)), Instant::now());
        width.slow_start = true;
        width.refused(19, now);
        width.refused(18, now);
        assert_eq!(width.limit(), 18);
        window(&mut width, &mut now);
        window(&mut width, &mut now);
        assert_eq!(width.limit(), 36);
    }

    #[test]
    fn begins_with_what_is_declared_or_learned() {
        assert_eq!(Width::new(Some(2), None).limit(), 2);
        assert_eq!(Width::new(None, Some(60)).limit(), 60);
        assert_eq!(Width::new(Some(20), Some(60)).limit(), 20);
        assert_eq!(Width::new(Some(0), Some(0)).limit(), FIRST);
    }

    #[test]
    fn one_late_answer_of_twenty_is_no_signal_and_one_of_few_is() {
        let now = Instant::now();
        let mut wide = Width::new(None, Some(20));
        wide.late(19, now);
        assert_eq!(wide.limit(), 20);
        wide.late(18, now);
        assert_eq!(wide.limit(), 18);
        let mut narrow = Width::new(None, Some(4));
        narrow.late(3, now);
        assert_eq!(narrow.limit(), 3);
    }
}
