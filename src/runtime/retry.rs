//! What follows an error that may pass: how long to wait, and when to give up.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use docmill_api::{ErrorClass, StageError};
use tokio::time::Instant;

use crate::plan::Retry;

/// One record's patience: exponential delays with full jitter, bounded in number and in total time.
///
/// An overload is not the record's fault: it uses up none of the attempts, and is bounded by the total time alone.
#[derive(Debug)]
pub(crate) struct Patience {
    retry: Retry,
    /// The upper ends of the delays after errors that use up an attempt, and after overloads.
    delays: ExponentialBackoff,
    overloads: ExponentialBackoff,
    jitter: fastrand::Rng,
    until: Instant,
    attempts: u32,
}

/// What follows an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt, after so long.
    After(Duration),
    /// None: the record fails.
    Never,
    /// None, and not because of the record: the other side was overloaded for all the time that there was.
    Exhausted,
}

impl Patience {
    /// For a record whose first attempt begins now.
    pub(crate) fn new(retry: &Retry) -> Self {
        Self::since(retry, Instant::now())
    }

    /// For a record whose first attempt began then.
    pub(crate) fn since(retry: &Retry, begun: Instant) -> Self {
        // Doubled from the least delay on, so that the first has room for its jitter.
        let delays = ExponentialBuilder::default()
            .with_min_delay(retry.min * 2)
            .with_max_delay(retry.max.max(retry.min))
            .without_max_times();
        let until = begun + retry.total;
        let jitter = fastrand::Rng::new();
        Self { retry: *retry, delays: delays.build(), overloads: delays.build(), jitter, until, attempts: 1 }
    }

    /// The attempt under way, from 1.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What follows this error. What the other side asked for is honoured where it is longer.
    pub(crate) fn after(&mut self, error: &StageError) -> Next {
        let overload = match error.class {
            ErrorClass::Transient if self.attempts < self.retry.attempts => false,
            ErrorClass::Overload => true,
            _ => return Next::Never,
        };
        let delays = if overload { &mut self.overloads } else { &mut self.delays };
        let most = delays.next().unwrap_or(self.retry.max);
        let asked = error.retry_after.unwrap_or_default();
        // Everybody who was told the same time would come back at once: jitter lies on top of it.
        let delay = asked + self.jittered(most);
        if Instant::now() + delay > self.until {
            return if overload { Next::Exhausted } else { Next::Never };
        }
        self.attempts += u32::from(!overload);
        Next::After(delay)
    }

    /// Between the least delay and the upper end, evenly.
    fn jittered(&mut self, most: Duration) -> Duration {
        let least = self.retry.min.min(most);
        least + (most - least).mul_f64(self.jitter.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(attempts: u32, total: u64) -> Retry {
        let (min, max) = (Duration::from_millis(10), Duration::from_millis(40));
        Retry { attempts, min, max, total: Duration::from_secs(total) }
    }

    #[test]
    fn attempts_and_total_time_are_bounded_and_the_other_side_is_heard() {
        let passing = StageError::transient("busy");
        let mut patience = Patience::new(&retry(3, 60));
        let Next::After(delay) = patience.after(&passing) else { panic!("a second attempt") };
        assert!((10..=20).contains(&delay.as_millis()), "{delay:?}");
        let Next::After(delay) = patience.after(&passing.clone().after(Duration::from_secs(5))) else {
            panic!("a third")
        };
        assert!((5010..=5040).contains(&delay.as_millis()), "{delay:?}");
        assert_eq!(patience.attempts(), 3);
        assert_eq!(patience.after(&passing), Next::Never, "three attempts are all there are");
        let mut patience = Patience::new(&retry(9, 1));
        assert_eq!(patience.after(&passing.after(Duration::from_secs(2))), Next::Never, "longer than the total");
        assert_eq!(Patience::new(&retry(9, 60)).after(&StageError::rejected("broken")), Next::Never);
    }

    #[tokio::test(start_paused = true)]
    async fn an_overload_uses_up_no_attempt_and_ends_with_the_time() {
        let overload = StageError::overload("busy");
        let mut patience = Patience::new(&retry(2, 60));
        let mut times = 0;
        loop {
            match patience.after(&overload) {
                Next::After(delay) => tokio::time::advance(delay).await,
                Next::Exhausted => break,
                Next::Never => panic!("it is nobody's fault"),
            }
            times += 1;
        }
        assert!(times > 1000 && patience.attempts() == 1, "{times} times in a minute, 40 ms apart at most");
        let broken = StageError::transient("broken").after(Duration::from_secs(1));
        assert_eq!(patience.after(&broken), Next::Never, "and the time is over for all");
    }
}
