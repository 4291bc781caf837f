//! What follows a transient error: how long to wait, and when to give up.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::plan::Retry;

/// One record's patience: exponential delays with jitter on top, bounded in number and in total time.
#[derive(Debug)]
pub(crate) struct Patience {
    delays: ExponentialBackoff,
    until: Instant,
    attempts: u32,
}

impl Patience {
    pub(crate) fn new(retry: &Retry) -> Self {
        let delays = ExponentialBuilder::default()
            .with_min_delay(retry.min)
            .with_max_delay(retry.max)
            .with_max_times(retry.attempts.saturating_sub(1) as usize)
            .with_jitter()
            .build();
        Self { delays, until: Instant::now() + retry.total, attempts: 1 }
    }

    /// The attempt under way, from 1.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long to wait before the next attempt, or `None` when there is none. What the other side asked for is
    /// honoured where it is longer.
    pub(crate) fn next_delay(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        let delay = self.delays.next()?.max(retry_after.unwrap_or_default());
        if Instant::now() + delay > self.until {
            return None;
        }
        self.attempts += 1;
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(attempts: u32, total: u64) -> Retry {
        Retry {
            attempts,
            min: Duration::from_millis(10),
            max: Duration::from_millis(40),
            total: Duration::from_secs(total),
        }
    }

    #[test]
    fn attempts_and_total_time_are_bounded_and_the_other_side_is_heard() {
        let mut patience = Patience::new(&retry(3, 60));
        assert!(patience.next_delay(None).is_some_and(|delay| delay >= Duration::from_millis(10)));
        assert_eq!(patience.next_delay(Some(Duration::from_secs(5))), Some(Duration::from_secs(5)));
        assert_eq!(patience.attempts(), 3);
        assert_eq!(patience.next_delay(None), None, "three attempts are all there are");
        let mut patience = Patience::new(&retry(9, 1));
        assert_eq!(patience.next_delay(Some(Duration::from_secs(2))), None, "longer than the total");
    }
}
