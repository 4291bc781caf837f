//! A model service, and the client that finds out what it takes: the rule is that of the real client, without its finer
//! points. Twice as many calls at once per round trip until the first refusal; one more from then on, a tenth less at each
//! refusal, once in a round trip.

use std::collections::{BTreeMap, VecDeque};

use super::model::ServiceModel;

/// Calls at once where nothing is known.
const FIRST: usize = 4;
/// And the most.
const MOST: usize = 256;

/// A service under way.
#[derive(Clone, Debug)]
pub(super) struct Service {
    model: ServiceModel,
    pub(super) limit: usize,
    slow_start: bool,
    pub(super) in_flight: usize,
    answering: usize,
    round_trip: f64,
    window: (f64, bool, bool),
    /// When the next call may go, by the rate.
    next: f64,
    pub(super) waiting: VecDeque<(usize, usize)>,
    pub(super) calls: u64,
    pub(super) errors: BTreeMap<String, u64>,
}

/// Whether a call may go.
pub(super) enum Leave {
    /// Now. The service refuses it, or not.
    Go { refused: bool },
    /// When another has ended.
    Wait,
    /// At this time at the earliest.
    At(f64),
}

impl Service {
    pub(super) fn new(model: ServiceModel) -> Self {
        let limit = if model.concurrency > 0 { model.concurrency.min(FIRST) } else { FIRST };
        Self {
            model,
            limit,
            slow_start: true,
            in_flight: 0,
            answering: 0,
            round_trip: 0.0,
            window: (0.0, false, false),
            next: 0.0,
            waiting: VecDeque::new(),
            calls: 0,
            errors: BTreeMap::new(),
        }
    }

    pub(super) fn ask(&mut self, now: f64) -> Leave {
        if self.in_flight >= self.limit {
            self.window.1 = true;
            return Leave::Wait;
        }
        if self.model.per_minute > 0.0 {
            if self.next > now {
                return Leave::At(self.next);
            }
            self.next = self.next.max(now - 1.0) + 60.0 / self.model.per_minute;
        }
        self.calls += 1;
        self.in_flight += 1;
        self.window.1 |= self.in_flight >= self.limit;
        let refused = self.model.capacity > 0 && self.answering >= self.model.capacity;
        self.answering += usize::from(!refused);
        Leave::Go { refused }
    }

    pub(super) fn refuses_after(&self) -> f64 {
        self.model.refuses_after
    }

    pub(super) fn retry_after(&self) -> f64 {
        self.model.retry_after
    }

    pub(super) fn per_minute(&self) -> f64 {
        self.model.per_minute
    }

    pub(super) fn answered(&mut self, took: f64, now: f64) {
        self.in_flight -= 1;
        self.answering -= 1;
        self.round_trip = if self.round_trip > 0.0 { 0.8 * self.round_trip + 0.2 * took } else { took };
        let (begun, reached, signalled) = self.window;
        if now - begun < self.round_trip {
            return;
        }
        if reached && !signalled {
            let grown = if self.slow_start { 2 * self.limit } else { self.limit + 1 };
            let most = if self.model.concurrency > 0 { self.model.concurrency } else { MOST };
            self.limit = grown.min(most);
        }
        self.window = (now, false, false);
    }

    pub(super) fn refused(&mut self, now: f64) {
        self.in_flight -= 1;
        *self.errors.entry("rate_limited".to_owned()).or_default() += 1;
        self.slow_start = false;
        if !self.window.2 || now - self.window.0 >= self.round_trip {
            self.limit = (self.limit * 9 / 10).max(1);
            self.window = (now, false, true);
        }
    }
}
