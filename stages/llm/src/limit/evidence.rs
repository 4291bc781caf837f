//! Tells a service that refuses from one that fails now and then: the rule by which a single refusal is none of ours.

use std::collections::VecDeque;
use std::time::Duration;

/// As many calls are looked back on as can be under way at once where nothing is declared.
const KEPT: usize = 256;

/// The calls that were refused lately, in the order in which they were sent.
///
/// A service refuses where, of some stretch of calls that were sent one after the other, so many more were refused than
/// were not. It is a walk, one step up for a refusal and one down for anything else, and never below 0: a service that
/// refuses one call in ten at random comes to 3 once in 1,000 calls, which is every ten seconds of a fast run, to 5 once
/// in 83,000, and to 8 once in 60 million. One that is used up refuses everything and is there with as many calls,
/// whether one worker sends them or a hundred; one that refuses more than half of what it is sent, a little later.
///
/// The order is that of sending, because refusals come at once and the answers of a model after a minute: in the order
/// of coming, everyone who begins at the same time would see refusals only. For the same reason a call of which nothing
/// is known counts as not refused.
#[derive(Debug)]
pub(super) struct Evidence {
    /// So many more.
    enough: usize,
    /// The number of the first of `calls`.
    first: u64,
    /// Of each that was refused, how long the service said to wait.
    calls: VecDeque<Option<Duration>>,
}

impl Evidence {
    pub(super) fn new(enough: usize) -> Self {
        Self { enough, first: 0, calls: VecDeque::new() }
    }

    /// Begins anew: calls with a lower number say nothing any more.
    pub(super) fn restart(&mut self, next: u64) {
        self.first = next;
        self.calls.clear();
    }

    /// The call was refused. If that is enough, the longest time that was said in the stretch that shows it.
    pub(super) fn refused(&mut self, number: u64, after: Duration) -> Option<Duration> {
        let mut at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        if at >= self.calls.len() + KEPT {
            self.restart(number);
            at = 0;
        }
        self.calls.resize(self.calls.len().max(at + 1), None);
        let before = self.calls.len().saturating_sub(KEPT);
        self.calls.drain(..before);
        self.first += before as u64;
        at = at.checked_sub(before)?;
        self.calls[at] = Some(after);

        let (since, more) = furthest(self.calls.iter().take(at).rev());
        let (until, yet_more) = furthest(self.calls.iter().skip(at + 1));
        let stretch = self.calls.range(at - since..=at + until);
        (1 + more + yet_more >= self.enough).then(|| stretch.flatten().max().copied().unwrap_or_default())
    }
}

/// How many of these calls belong to the stretch, and how many more of them were refused than not.
fn furthest<'a>(calls: impl Iterator<Item = &'a Option<Duration>>) -> (usize, usize) {
    let (mut refused, mut best) = (0_usize, (0, 0));
    for (seen, call) in (1..).zip(calls) {
        refused += usize::from(call.is_some());
        // Of `seen`, `refused` were, and the rest were not.
        if 2 * refused > seen + best.1 {
            best = (seen, 2 * refused - seen);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn so_many_more_refusals_than_others_in_the_order_of_sending_are_enough() {
        let mut evidence = Evidence::new(3);
        // Of 0, 3 and 4 nothing is known; then 3 is the one that makes it three in a row, though not the last that was sent.
        for (number, after) in [(1, 1), (7, 90), (2, 3)] {
            assert_eq!(evidence.refused(number, seconds(after)), None, "{number}");
        }
        assert_eq!(evidence.refused(3, seconds(0)), Some(seconds(3)));
        evidence.restart(10);
        assert_eq!(evidence.refused(9, seconds(1)), None);
        assert_eq!(evidence.refused(10, seconds(1)), None);
        assert_eq!(evidence.refused(11, seconds(1)), None);
        assert_eq!(evidence.refused(12, seconds(1)), Some(seconds(1)));
        // What was enough is not for a refusal that comes after many that were none.
        assert_eq!(evidence.refused(30, seconds(1)), None);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_older_says_nothing() {
        let mut evidence = Evidence::new(2);
        assert_eq!(evidence.refused(0, seconds(9)), None);
        assert_eq!(evidence.refused(300, seconds(1)), None);
        assert_eq!(evidence.refused(1, seconds(1)), None);
        assert_eq!(evidence.refused(1_000_000_000_000, seconds(1)), None);
        assert_eq!(evidence.refused(1_000_000_000_001, seconds(2)), Some(seconds(2)));
        for number in 0..2_000 {
            evidence.refused(1_000_000_000_000 + 2 * number, seconds(0));
        }
        assert!(evidence.calls.len() <= KEPT && evidence.calls.capacity() <= 4 * KEPT);
    }

    #[test]
    fn one_refusal_in_ten_is_enough_about_once_in_83_000_calls() {
        let mut random = crate::limit::tests::Random(1);
        let mut evidence = Evidence::new(5);
        let mut alarms = 0;
        for number in 0..2_000_000 {
            if random.unit() < 0.1 && evidence.refused(number, seconds(0)).is_some() {
                alarms += 1;
                evidence.restart(number + 1);
            }
        }
        assert!((12..=40).contains(&alarms), "{alarms}");
    }
}
