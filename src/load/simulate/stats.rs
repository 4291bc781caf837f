//! What was asked of a simulated service, and what it answered.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::Endpoint;

/// How many seconds are told apart.
const SECONDS: usize = 120;

/// What was asked of a server since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls that arrived.
    pub calls: Calls,
    /// Calls that were answered whole and well.
    pub answered: u64,
    /// Answers by status. 200 also counts garbage, what broke off and vectors that are too short; calls that hung, or
    /// whose client left, have no answer.
    pub statuses: BTreeMap<u16, u64>,
    /// Calls that were never to be answered, also those whose client has left since.
    pub hung: u64,
    /// Calls between arrival and answer.
    pub in_flight: InFlight,
    /// Tokens of what was answered well.
    pub prompt_tokens: u64,
    /// Tokens of these answers.
    pub completion_tokens: u64,
    /// Images of what was answered well.
    pub images: u64,
    /// Bodies that were answered well at least once.
    pub distinct: u64,
    /// Answers to bodies that had been answered well before: what was paid for twice. After a million bodies an older
    /// one is no longer known again.
    pub repeated: u64,
    /// Calls of the last minute, the present second and the 59 before it, that were granted.
    pub granted_last_minute: u64,
    /// Calls of the last minute that were refused: answered 429 for a cap or by lot, not for the quota.
    pub refused_last_minute: u64,
    /// Granted calls by second, the last 120, oldest first; the last one is not over yet.
    pub granted_per_second: Vec<u64>,
    /// Refused calls by second, likewise.
    pub refused_per_second: Vec<u64>,
}

/// Calls by service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Of `/chat/completions`.
    pub chat: u64,
    /// Of `/embeddings`.
    pub embeddings: u64,
}

/// Calls in flight by service: from the arrival of their headers until their answer is handed to the connection, or
/// the client leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// Of `/chat/completions`.
    pub chat: Gauge,
    /// Of `/embeddings`.
    pub embeddings: Gauge,
}

/// A number that goes up and down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gauge {
    /// What it is.
    pub now: u64,
    /// The most it ever was.
    pub max: u64,
}

/// What an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) prompt_tokens: usize,
    pub(super) completion_tokens: usize,
    pub(super) images: usize,
}

/// The counters behind [`Stats`]. Seconds are counted from the server's start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// All but what the last minute holds.
    totals: Stats,
    granted: Seconds,
    refused: Seconds,
}

impl Counters {
    pub(super) fn arrived(&mut self, endpoint: Endpoint) {
        let (calls, gauge) = match endpoint {
            Endpoint::Chat => (&mut self.totals.calls.chat, &mut self.totals.in_flight.chat),
            Endpoint::Embeddings => (&mut self.totals.calls.embeddings, &mut self.totals.in_flight.embeddings),
        };
        *calls += 1;
        gauge.now += 1;
        gauge.max = gauge.max.max(gauge.now);
    }

    pub(super) fn left(&mut self, endpoint: Endpoint) {
        let gauge = match endpoint {
            Endpoint::Chat => &mut self.totals.in_flight.chat,
            Endpoint::Embeddings => &mut self.totals.in_flight.embeddings,
        };
        gauge.now = gauge.now.saturating_sub(1);
    }

    pub(super) fn granted(&mut self, second: u64) {
        self.granted.add(second);
    }

    pub(super) fn refused(&mut self, second: u64) {
        self.refused.add(second);
    }

    pub(super) fn hung(&mut self) {
        self.totals.hung += 1;
    }

    pub(super) fn status(&mut self, status: u16) {
        *self.totals.statuses.entry(status).or_default() += 1;
    }

    pub(super) fn answered(&mut self, usage: Usage, again: bool) {
        let totals = &mut self.totals;
        totals.answered += 1;
        totals.prompt_tokens += usage.prompt_tokens as u64;
        totals.completion_tokens += usage.completion_tokens as u64;
        totals.images += usage.images as u64;
        *(if again { &mut totals.repeated } else { &mut totals.distinct }) += 1;
    }

    pub(super) fn stats(&mut self, second: u64) -> Stats {
        let granted_per_second = self.granted.until(second);
        let refused_per_second = self.refused.until(second);
        let last_minute = |seconds: &[u64]| seconds[SECONDS - 60..].iter().sum();
        Stats {
            granted_last_minute: last_minute(&granted_per_second),
            refused_last_minute: last_minute(&refused_per_second),
            granted_per_second,
            refused_per_second,
            ..self.totals.clone()
        }
    }
}

/// Counts by second: the newest of them, and the [`SECONDS`] before it at most.
#[derive(Debug, Default)]
struct Seconds {
    /// The last count's second.
    newest: u64,
    counts: VecDeque<u64>,
}

impl Seconds {
    /// Goes on to a second. One that is older than the newest changes nothing: two threads read the clock in one order
    /// and come here in another.
    fn advance(&mut self, second: u64) {
        if self.counts.is_empty() {
            self.counts = VecDeque::from(vec![0; SECONDS]);
        }
        for _ in 0..second.saturating_sub(self.newest).min(SECONDS as u64) {
            self.counts.pop_front();
            self.counts.push_back(0);
        }
        self.newest = self.newest.max(second);
    }

    fn add(&mut self, second: u64) {
        self.advance(second);
        if let Some(count) = self.counts.back_mut() {
            *count += 1;
        }
    }

    fn until(&mut self, second: u64) -> Vec<u64> {
        self.advance(second);
        self.counts.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_move_on_and_fall_out() {
        let mut counters = Counters::default();
        counters.granted(5);
        counters.granted(5);
        counters.granted(7);
        counters.refused(64);
        let stats = counters.stats(64);
        assert_eq!(stats.granted_per_second.len(), SECONDS);
        assert_eq!(stats.granted_per_second[SECONDS - 60], 2, "59 seconds ago");
        assert_eq!(stats.granted_per_second[SECONDS - 58], 1);
        assert_eq!((stats.granted_last_minute, stats.refused_last_minute), (3, 1));
        assert_eq!(counters.stats(65).granted_last_minute, 1);
        assert_eq!(counters.stats(1_000_000).granted_per_second, vec![0; SECONDS]);
    }
}
