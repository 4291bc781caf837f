//! How many requests a service let through, and at what rate.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Requests are counted by this much time: finer would tell nothing of a rate a minute.
const SLOT: Duration = Duration::from_secs(1);
/// The longest time over which services count: a rate that was held for it is one that they allow.
const WINDOW: Duration = Duration::from_secs(60);
/// What is older than this tells nothing of now: a window, what is waited for the next one, and as much again.
const KEPT: Duration = Duration::from_secs(300);

/// What was let through since a time.
///
/// Requests count when they are sent, and are struck where they are refused. A refusal comes at once, an answer of a
/// model after a minute: who counted answers would take the service for slower than it is.
#[derive(Debug, Default)]
pub(super) struct Grants {
    since: Option<Instant>,
    slots: VecDeque<(Instant, f64)>,
}

impl Grants {
    /// Begins anew.
    pub(super) fn restart(&mut self, now: Instant) {
        self.since = Some(now);
        self.slots.clear();
    }

    pub(super) fn sent(&mut self, requests: f64, now: Instant) {
        self.since.get_or_insert(now);
        while self.slots.front().is_some_and(|(at, _)| *at + KEPT < now) {
            self.slots.pop_front();
        }
        match self.slots.back_mut() {
            Some((at, count)) if now < *at + SLOT => *count += requests,
            _ => self.slots.push_back((now, requests)),
        }
    }

    /// Strikes what was sent then; nothing, where it was before the beginning.
    pub(super) fn strike(&mut self, requests: f64, sent: Instant) {
        if let Some((_, count)) = self.slots.iter_mut().rev().find(|(at, _)| *at <= sent) {
            *count = (*count - requests).max(0.0);
        }
    }

    pub(super) fn count(&self) -> f64 {
        self.slots.iter().map(|(_, count)| count).sum()
    }

    /// How long it was counted.
    pub(super) fn span(&self, now: Instant) -> Duration {
        self.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default()
    }

    /// Requests a second: the most of any stretch that ends now and is no shorter than a window, or than all that was
    /// counted. The most, because a stretch in which nobody had anything to send says nothing of what is allowed.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        let shortest = self.span(now).min(WINDOW).max(Duration::from_millis(1));
        let (mut count, mut most) = (0.0, 0.0_f64);
        for (at, requests) in self.slots.iter().rev() {
            count += requests;
            most = most.max(count / now.saturating_duration_since(*at).max(shortest).as_secs_f64());
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_before_does_not_lower_the_rate_and_what_is_struck_does() {
        let begun = Instant::now();
        let mut grants = Grants::default();
        grants.sent(1.0, begun);
        let burst = begun + Duration::from_secs(3600);
        grants.sent(600.0, burst);
        grants.sent(20.0, burst + Duration::from_millis(500));
        grants.strike(20.0, burst + Duration::from_millis(500));
        assert_eq!(grants.per_second(burst + Duration::from_secs(60)), 10.0);
        grants.restart(burst + Duration::from_secs(60));
        grants.strike(5.0, burst);
        assert_eq!(grants.count(), 0.0);
        // Less than a window was counted: all of it is the stretch.
        grants.sent(30.0, burst + Duration::from_secs(61));
        assert_eq!(grants.per_second(burst + Duration::from_secs(70)), 3.0);
    }
}
