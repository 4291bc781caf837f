//! Which calls are granted: the quota, how many at once, how many a minute. It knows no clock: the caller says when.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use docmill_api::Digest;
use tokio::time::Instant;

use super::fate::{Draw, Fate};
use super::{Endpoint, Settings};

/// What `requests_per_minute` counts over.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// How many bodies are remembered. At some 50 bytes each they are within 100 MB; beyond, the gate starts afresh, and a
/// body that comes again is taken for a new one.
const BODIES: usize = 1_000_000;

/// Why a call is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// As many calls as the quota allows were answered.
    Quota,
    /// Too many at once.
    Busy,
    /// Too many a minute: the time until one more is granted.
    Rate(Duration),
    /// By lot.
    Overload,
}

/// What is left of the calls a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    /// Until all of it is there again.
    pub(super) reset: Duration,
}

/// A call that was granted. Its fate is no overload: that refuses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    pub(super) fate: Fate,
    pub(super) draw: Draw,
}

/// How often a body was granted, and answered well.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    granted: u32,
    answered: u32,
}

/// The state behind the decisions.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// When the calls of the last minute were granted; kept where there is a cap, and never longer than it.
    log: VecDeque<Instant>,
    working: usize,
    /// Calls that were granted to be answered well. Counted here and not when they are answered, so that no more are
    /// under way than the quota allows.
    promised: u64,
    bodies: HashMap<Digest, Seen>,
}

impl Gate {
    /// Decides about a call. One that is granted works until [`Gate::leave`].
    pub(super) fn enter(
        &mut self,
        settings: &Settings,
        endpoint: Endpoint,
        body: &Digest,
        now: Instant,
    ) -> Result<Granted, Refused> {
        self.forget(now);
        if settings.quota.is_some_and(|quota| self.promised >= quota) {
            return Err(Refused::Quota);
        }
        if settings.concurrency.is_some_and(|limit| self.working >= limit) {
            return Err(Refused::Busy);
        }
        if settings.requests_per_minute.is_some_and(|limit| self.log.len() as u64 >= limit) {
            let oldest = self.log.front().map_or(now, |granted| *granted);
            return Err(Refused::Rate((oldest + WINDOW).saturating_duration_since(now)));
        }
        // The body counts as having come only where it is drawn for: when a cap refuses it depends on the others.
        let seen = self.seen(body);
        let draw = Draw::new(settings.seed, body, seen.granted);
        seen.granted = seen.granted.wrapping_add(1);
        let fate = draw.fate(settings, endpoint);
        if fate == Fate::Overload {
            return Err(Refused::Overload);
        }
        if settings.requests_per_minute.is_some() {
            self.log.push_back(now);
        }
        self.promised += u64::from(fate == Fate::Answer);
        self.working += 1;
        Ok(Granted { fate, draw })
    }

    /// A granted call is over.
    pub(super) fn leave(&mut self) {
        self.working = self.working.saturating_sub(1);
    }

    /// A body was answered well; true where it was before.
    pub(super) fn answered(&mut self, body: &Digest) -> bool {
        let seen = self.seen(body);
        seen.answered = seen.answered.saturating_add(1);
        seen.answered > 1
    }

    /// What is left, where there is a cap.
    pub(super) fn room(&mut self, settings: &Settings, now: Instant) -> Option<Room> {
        let limit = settings.requests_per_minute?;
        self.forget(now);
        let reset = self.log.back().map_or(Duration::ZERO, |newest| (*newest + WINDOW).saturating_duration_since(now));
        Some(Room { limit, remaining: limit.saturating_sub(self.log.len() as u64), reset })
    }

    fn forget(&mut self, now: Instant) {
        while self.log.front().is_some_and(|granted| *granted + WINDOW <= now) {
            self.log.pop_front();
        }
    }

    fn seen(&mut self, body: &Digest) -> &mut Seen {
        if self.bodies.len() >= BODIES && !self.bodies.contains_key(body) {
            self.bodies.clear();
        }
        self.bodies.entry(*body).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(number: u32) -> Digest {
        Digest::of(&[&number.to_le_bytes()])
    }

    #[test]
    fn the_cap_slides() {
        let settings = Settings { requests_per_minute: Some(3), ..Settings::default() };
        let mut gate = Gate::default();
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut enter = |when: Instant| {
            let entered = gate.enter(&settings, Endpoint::Chat, &body(1), when).map(|granted| granted.fate);
            (entered, gate.room(&settings, when).unwrap())
        };
        assert_eq!(enter(at(0.0)).0, Ok(Fate::Answer));
        assert_eq!(enter(at(20.0)).0, Ok(Fate::Answer));
        let (third, room) = enter(at(30.0));
        assert_eq!(third, Ok(Fate::Answer));
        assert_eq!(room, Room { limit: 3, remaining: 0, reset: Duration::from_secs(60) });
        assert_eq!(enter(at(59.5)).0, Err(Refused::Rate(Duration::from_millis(500))));
        let (again, room) = enter(at(60.0));
        assert_eq!(again, Ok(Fate::Answer), "the first has left the window");
        assert_eq!(room.remaining, 0, "and the second has not");
        assert_eq!(enter(at(60.0)).0, Err(Refused::Rate(Duration::from_secs(20))));
    }

    #[test]
    fn a_refused_call_changes_nothing_for_the_next() {
        let settings = Settings { errors: 0.5, concurrency: Some(1), ..Settings::default() };
        let now = Instant::now();
        let fates = |between: usize| {
            let mut gate = Gate::default();
            let mut fates = Vec::new();
            for _ in 0..20 {
                fates.push(gate.enter(&settings, Endpoint::Chat, &body(1), now).unwrap().fate);
                for _ in 0..between {
                    assert_eq!(gate.enter(&settings, Endpoint::Chat, &body(1), now).unwrap_err(), Refused::Busy);
                }
                gate.leave();
            }
            fates
        };
        assert_eq!(fates(0), fates(3));
    }

    #[test]
    fn an_overload_takes_no_place() {
        let settings = Settings { overloads: 1.0, requests_per_minute: Some(1), ..Settings::default() };
        let mut gate = Gate::default();
        for number in 0..5 {
            let entered = gate.enter(&settings, Endpoint::Chat, &body(number), Instant::now());
            assert_eq!(entered.unwrap_err(), Refused::Overload);
        }
    }

    #[test]
    fn a_quota_is_not_overdrawn_by_calls_under_way() {
        let settings = Settings { quota: Some(2), ..Settings::default() };
        let mut gate = Gate::default();
        let mut enter = |number| gate.enter(&settings, Endpoint::Chat, &body(number), Instant::now());
        assert!(enter(1).is_ok());
        assert!(enter(2).is_ok());
        assert_eq!(enter(3).unwrap_err(), Refused::Quota);
    }

    #[test]
    fn an_answer_is_known_again() {
        let mut gate = Gate::default();
        assert!(!gate.answered(&body(1)));
        assert!(!gate.answered(&body(2)));
        assert!(gate.answered(&body(1)));
    }
}
