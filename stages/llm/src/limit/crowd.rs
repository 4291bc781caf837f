//! Tells a limit of calls at once from a limit of calls a minute: both are refused with the same words.
//!
//! A limit of calls at once refuses whoever comes when so many are under way, and nobody else. So every call that was
//! refused was sent into a larger crowd than nearly every call that was answered. A limit of calls a minute, once used up,
//! refuses small crowds as well.

use std::collections::VecDeque;

/// Of so many calls it is known what came of them: two windows of what most services bear.
const KEPT: usize = 64;
/// One of so many that were let through may have been in a larger crowd: a call that ended while its answer is on its way
/// is one fewer for the service than for us.
const FEW: usize = 4;
/// So many guesses in a row that did not hold for [`KEPT`] calls, and it is another kind of limit: the most that it may be,
/// and the least.
const GUESSES: usize = 2;

/// What came of the calls sent lately, each with how many were under way when it was sent, itself included.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    calls: VecDeque<(usize, bool)>,
    guesses: usize,
    /// Calls that were let through since the last guess.
    since: usize,
}

impl Crowds {
    /// A call that was one of so many was not refused.
    pub(super) fn let_through(&mut self, crowd: usize) {
        self.since += 1;
        if self.since >= KEPT {
            self.guesses = 0;
        }
        self.add(crowd, false);
    }

    /// A call that was one of so many was refused.
    pub(super) fn refused(&mut self, crowd: usize) {
        self.add(crowd, true);
    }

    /// How many calls at once the service takes at most and at least, if the size of the crowd tells who was refused: one
    /// fewer than the smallest crowd that was, and the largest below it that was not. Nothing where larger crowds were let
    /// through as well, or no smaller one.
    pub(super) fn limit(&self) -> Option<(usize, usize)> {
        let of = |refused: bool| self.calls.iter().filter(move |call| call.1 == refused).map(|call| call.0);
        let smallest = of(true).min()?;
        let (below, above): (Vec<_>, Vec<_>) = of(false).partition(|crowd| *crowd < smallest);
        let least = below.iter().max()?;
        (above.len() * FEW <= below.len()).then_some((smallest - 1, *least))
    }

    /// Whether another guess is worth a call. A service that allows some calls a second lets one through now and then
    /// whatever the crowd, which looks as if a guess were right; but it soon refuses the next.
    pub(super) fn may_guess(&self) -> bool {
        self.guesses < GUESSES
    }

    /// A guess was made, which the next calls prove or not.
    pub(super) fn guessed(&mut self) {
        (self.guesses, self.since) = (self.guesses + 1, 0);
    }

    fn add(&mut self, crowd: usize, refused: bool) {
        if self.calls.len() == KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back((crowd, refused));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_the_crowds_that_were_refused_are_larger_than_the_others() {
        let mut crowds = Crowds::default();
        crowds.refused(13);
        assert_eq!(crowds.limit(), None, "nothing to compare with");
        for crowd in 1..=8 {
            crowds.let_through(crowd);
        }
        for crowd in [14, 15, 16, 13] {
            crowds.refused(crowd);
        }
        assert_eq!(crowds.limit(), Some((12, 8)));
        crowds.let_through(13);
        assert_eq!(crowds.limit(), Some((12, 8)), "its answer may have been on its way");
        crowds.let_through(14);
        crowds.let_through(16);
        assert_eq!(crowds.limit(), None);
        for _ in 0..KEPT {
            crowds.let_through(12);
        }
        crowds.refused(13);
        assert_eq!(crowds.limit(), Some((12, 12)), "what is long ago does not count");
        crowds.refused(5);
        assert_eq!(crowds.limit(), None, "a small crowd was refused as well");
    }

    #[test]
    fn a_service_that_refuses_everyone_has_no_limit_of_this_kind() {
        let mut crowds = Crowds::default();
        for _ in 0..5 {
            crowds.refused(1);
        }
        assert_eq!(crowds.limit(), None);
    }
}
