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
/// And so many in a window are none either: of a width of 5, one in a hundred would see one in every 20 windows.
const FEW_LATE: usize = 1;
/// What an answer makes up for of a refusal. A service that refuses one call in ten at random, whatever is sent, must not
/// be sent less: there a refusal comes with nine answers, which make up for it nearly twice. One that refuses a sixth or
/// more is sent less and less.
const MADE_UP: f64 = 0.2;
/// So many refusals that were not made up for are a signal: at one in ten that comes once in thousands of calls, and a
/// service that bears 8 and is sent 16 is there within two windows.
const BEARABLE: f64 = 4.0;
/// And one more for so many calls at once: at one in ten a ninth of a width is refused at once, long before the answers
/// come that make up for it.
const BEARABLE_OF_WIDTH: f64 = 1.0 / 8.0;
/// Of a window's calls, so many may be refused and the width still grows.
const ONE_REFUSED_IN: usize = 10;
/// How long a ceiling is kept to before one call more is tried: each try costs a refusal. Doubled by each that fails.
const FIRST_TRY: Duration = Duration::from_secs(5);
/// The longest time between two tries: a service that grew is used within this.
const LAST_TRY: Duration = Duration::from_secs(300);

/// The number of calls at once, changed once in a window of one round trip.
#[derive(Debug)]
pub(super) struct Width {
    limit: usize,
    declared: Option<usize>,
    /// Whether `limit` is more than a beginning: it was grown, shrunk, or learned before.
    learned: bool,
    slow_start: bool,
    round_trip: Option<Duration>,
    /// Refusals that no answers made up for.
    refusals: f64,
    ceiling: Option<Ceiling>,
    /// Whether a ceiling was found, and never taken for something else since.
    found: bool,
    window: Window,
}

/// A limit of calls at once that the service keeps to, as refusals showed.
#[derive(Debug)]
struct Ceiling {
    at: usize,
    /// When one more is tried, and how long it is until the try after that.
    try_at: Instant,
    pause: Duration,
}

/// What was seen since `begun`.
#[derive(Debug, Default)]
struct Window {
    begun: Option<Instant>,
    reached: bool,
    signalled: bool,
    refused: usize,
    late: usize,
}

impl Width {
    pub(super) fn new(learned: Option<usize>) -> Self {
        let learned = learned.filter(|limit| *limit > 0);
        Self {
            limit: learned.unwrap_or(FIRST),
            declared: None,
            learned: learned.is_some(),
            // What was learned has met its signal, or the most that was needed: from there one step at a time.
            slow_start: learned.is_none(),
            round_trip: None,
            refusals: 0.0,
            ceiling: None,
            found: false,
            window: Window::default(),
        }
    }

    /// Keeps to so many from now on; to [`MOST`] where nothing is declared.
    pub(super) fn declare(&mut self, most: Option<usize>) {
        self.declared = most.filter(|most| *most > 0);
        self.limit = self.limit.min(self.most());
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
        self.refusals = (self.refusals - MADE_UP).max(0.0);
        self.roll(in_flight, now);
    }

    /// The service said that it is too much: a signal where it is `evident`, or more than what comes by chance.
    pub(super) fn overloaded(&mut self, evident: bool, in_flight: usize, now: Instant) {
        if self.refused(in_flight, now) || evident {
            self.slow_start = false;
            self.shrink();
        }
    }

    /// The service refused for its rate, which is not known yet: like an overload, but it leaves the slow start be. Once
    /// the rate is known it holds back; and where an answer takes 20 s, one step in that time would take half an hour to
    /// fill it. Whether that is a signal.
    pub(super) fn refused(&mut self, in_flight: usize, now: Instant) -> bool {
        self.roll(in_flight, now);
        self.window.refused += 1;
        let bearable = BEARABLE + BEARABLE_OF_WIDTH * self.limit as f64;
        // No further: what was much is made up for within a few windows after it.
        self.refusals = (self.refusals + 1.0).min(bearable + 1.0);
        let signal = self.refusals > bearable;
        if signal {
            self.shrink();
        }
        signal
    }

    /// The service takes so many calls at once and refuses the next.
    pub(super) fn found_ceiling(&mut self, at: usize, now: Instant) {
        (self.slow_start, self.learned, self.found) = (false, true, true);
        (self.limit, self.refusals) = (self.limit.min(at), 0.0);
        self.ceiling = Some(Ceiling { at, try_at: now + FIRST_TRY, pause: FIRST_TRY });
        self.window = Window::default();
    }

    /// It was something else.
    pub(super) fn forget_ceiling(&mut self) {
        (self.ceiling, self.found) = (None, false);
    }

    /// A tenth less than now, where a ceiling was found before.
    pub(super) fn below_what_was_found(&self) -> Option<usize> {
        Some(self.limit * 9 / 10).filter(|less| self.found && *less > 0)
    }

    /// How many calls at once the service takes, if refusals showed that.
    pub(super) fn ceiling(&self) -> Option<usize> {
        self.ceiling.as_ref().map(|ceiling| ceiling.at)
    }

    /// Whether the ceiling explains that one of so many calls was refused.
    pub(super) fn is_above_ceiling(&self, crowd: usize) -> bool {
        self.ceiling().is_some_and(|ceiling| crowd > ceiling)
    }

    /// A call above the ceiling was refused: if that was the try, it is still where it was.
    pub(super) fn one_too_many(&mut self, now: Instant) {
        if let Some(ceiling) = &mut self.ceiling
            && self.limit > ceiling.at
        {
            self.limit = ceiling.at;
            ceiling.pause = (ceiling.pause * 2).min(LAST_TRY);
            ceiling.try_at = now + ceiling.pause;
            self.window = Window::default();
        }
    }

    /// A call was not answered in time: a signal where it is more than one of many.
    pub(super) fn late(&mut self, in_flight: usize, now: Instant) {
        self.roll(in_flight, now);
        self.window.late += 1;
        if self.window.late > FEW_LATE && self.window.late * ONE_LATE_IN > self.limit {
            self.slow_start = false;
            self.shrink();
        }
    }

    /// The service is back after it was gone: whatever it was that it did not bear, half as much comes now.
    pub(super) fn halve(&mut self) {
        self.limit = (self.limit / 2).max(1);
        self.refusals = 0.0;
        self.window = Window::default();
    }

    /// Ends a window that lasted a round trip, and grows if it may.
    fn roll(&mut self, in_flight: usize, now: Instant) {
        let (Some(round_trip), Some(begun)) = (self.round_trip, self.window.begun) else { return };
        if now < begun + round_trip {
            return;
        }
        if self.window.reached && self.is_calm() {
            self.grow(now);
        }
        self.window = Window { begun: Some(now), reached: in_flight >= self.limit, ..Window::default() };
    }

    fn grow(&mut self, now: Instant) {
        // A whole window above the ceiling, and nobody was refused: it is gone.
        self.ceiling.take_if(|ceiling| self.limit > ceiling.at);
        let ceiling = self.ceiling.as_ref().map_or(MOST, |ceiling| ceiling.at + usize::from(now >= ceiling.try_at));
        let most = self.most().min(ceiling);
        if self.limit < most {
            self.limit = if self.slow_start { self.limit * 2 } else { self.limit + 1 }.min(most);
            self.learned = true;
        }
    }

    /// Whether nothing of the last window speaks against more.
    fn is_calm(&self) -> bool {
        !self.window.signalled && self.window.refused * ONE_REFUSED_IN < self.limit && self.refusals <= 1.0
    }

    /// Once in a window: what is refused after that was sent before.
    fn shrink(&mut self) {
        self.learned = true;
        if !self.window.signalled {
            self.window.signalled = true;
            self.limit = (self.limit * 9 / 10).max(1);
        }
    }

    fn most(&self) -> usize {
        self.declared.unwrap_or(MOST)
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

    fn declared(most: usize) -> Width {
        let mut width = Width::new(None);
        width.declare(Some(most));
        width
    }

    #[test]
    fn doubles_until_the_first_signal_then_grows_by_one_and_shrinks_once_a_window() {
        let (mut width, mut now) = (declared(40), Instant::now());
        assert_eq!((width.limit(), width.learned()), (4, None));
        for expected in [8, 16, 32, 40, 40] {
            window(&mut width, &mut now);
            assert_eq!(width.limit(), expected);
        }
        // 4, and one for eight of 40, are borne; the next says it.
        for expected in [40, 40, 40, 40, 40, 40, 40, 40, 40, 36, 36, 36] {
            width.overloaded(false, 30, now);
            assert_eq!(width.limit(), expected);
        }
        assert_eq!(width.learned(), Some(36));
        window(&mut width, &mut now);
        assert_eq!(width.limit(), 36, "there was a signal in that window");
        for _ in 0..45 {
            width.answered(ROUND_TRIP, 0, now);
        }
        window(&mut width, &mut now);
        assert_eq!(width.limit(), 37);
        width.sent(36, now);
        now += ROUND_TRIP;
        width.answered(ROUND_TRIP, 0, now);
        assert_eq!(width.limit(), 37, "not reached");
        for _ in 0..100 {
            now += ROUND_TRIP;
            width.overloaded(false, 0, now);
        }
        assert_eq!(width.limit(), 1);
    }

    #[test]
    fn refusals_shrink_once_and_the_slow_start_goes_on() {
        let (mut width, mut now) = (Width::new(Some(20)), Instant::now());
        width.slow_start = true;
        for refusal in 1..=9 {
            assert_eq!(width.refused(19, now), refusal > 6);
        }
        assert_eq!(width.limit(), 18);
        for _ in 0..40 {
            width.answered(ROUND_TRIP, 0, now);
        }
        window(&mut width, &mut now);
        window(&mut width, &mut now);
        assert_eq!(width.limit(), 36);
    }

    #[test]
    fn begins_with_what_is_declared_or_learned_and_keeps_to_what_is_declared_last() {
        assert_eq!(declared(2).limit(), 2);
        assert_eq!(declared(0).limit(), FIRST);
        let mut width = Width::new(Some(300));
        width.declare(None);
        assert_eq!((width.limit(), width.most()), (MOST, MOST));
        for (most, expected) in [(Some(500), 500), (Some(20), 20), (Some(30), 30), (Some(0), MOST), (None, MOST)] {
            width.declare(most);
            assert_eq!(width.most(), expected);
        }
        assert_eq!(width.limit(), 20, "what was taken away is grown back");
        assert_eq!(Width::new(Some(0)).limit(), FIRST);
    }

    #[test]
    fn one_late_answer_of_twenty_is_no_signal_and_two_of_few_are() {
        let now = Instant::now();
        for (width, shrunk) in [(20, 18), (4, 3)] {
            let mut width = Width::new(Some(width));
            let limit = width.limit();
            width.late(3, now);
            assert_eq!(width.limit(), limit);
            width.late(3, now);
            assert_eq!(width.limit(), shrunk);
        }
    }
}
