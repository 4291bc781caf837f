//! The time that one call of a stage may take, and what of it does not count.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The clock of one call, shared by the stage, which says when it waits for what it is granted, and the engine, which
/// stops a call that takes too long.
///
/// A stage that asks a model waits for the provider's limits before it asks. That wait is no work: under
/// [`Clock::held`] it counts as `held`, and the stage's timeout stands still. A stage whose work on one record is several
/// calls says [`Clock::restart`] between them: the timeout is that of one.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Since when the time that counts runs; `None` before the first look.
    since: Option<Instant>,
    /// What was held since then, and before.
    held: Duration,
    held_before: Duration,
    /// How many waits are under way, and since when.
    waits: usize,
    waiting_since: Option<Instant>,
}

/// What is left of a call's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The call may go on until then, unless more is held meanwhile.
    Until(Instant),
    /// It waits for what it is granted: the time stands still.
    Held,
    /// None.
    Nothing,
}

impl Clock {
    /// Waits for what the stage is granted by others: not counted as work, nor by the timeout.
    pub async fn held<T>(&self, wait: impl Future<Output = T>) -> T {
        let _waiting = Waiting::begin(self);
        wait.await
    }

    /// Gives the call its whole time again: the next of several calls for one record begins.
    pub fn restart(&self) {
        let mut state = self.lock();
        state.since = Some(Instant::now());
        let held = std::mem::take(&mut state.held);
        state.held_before += held;
        drop(state);
        self.0.changed.notify_one();
    }

    /// What is left of `limit`, for the engine.
    #[must_use]
    pub fn left(&self, limit: Duration) -> Left {
        let mut state = self.lock();
        if state.waits > 0 {
            return Left::Held;
        }
        let now = Instant::now();
        let until = *state.since.get_or_insert(now) + limit + state.held;
        if until > now { Left::Until(until) } else { Left::Nothing }
    }

    /// How long was waited in all.
    #[must_use]
    pub fn time_held(&self) -> Duration {
        let state = self.lock();
        let open = state.waiting_since.map(|since| since.elapsed()).unwrap_or_default();
        state.held_before + state.held + open
    }

    /// Waits until a wait has ended or the clock was restarted, for the engine.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the wait also where its future is dropped.
struct Waiting<'a>(&'a Clock);

impl<'a> Waiting<'a> {
    fn begin(clock: &'a Clock) -> Self {
        let mut state = clock.lock();
        let now = Instant::now();
        state.since.get_or_insert(now);
        state.waits += 1;
        state.waiting_since.get_or_insert(now);
        Self(clock)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waits -= 1;
        if state.waits == 0
            && let Some(since) = state.waiting_since.take()
        {
            state.held += since.elapsed();
        }
        drop(state);
        self.0.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn what_is_held_does_not_count_and_a_restart_gives_the_whole_time() {
        let clock = Clock::default();
        let begun = Instant::now();
        assert_eq!(clock.left(LIMIT), Left::Until(begun + LIMIT));
        tokio::time::advance(Duration::from_secs(4)).await;
        clock
            .held(async {
                assert_eq!(clock.left(LIMIT), Left::Held);
                tokio::time::sleep(Duration::from_secs(60)).await;
            })
            .await;
        assert_eq!(clock.left(LIMIT), Left::Until(begun + Duration::from_secs(70)));
        assert_eq!(clock.time_held(), Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(clock.left(LIMIT), Left::Nothing);
        clock.restart();
        assert_eq!(clock.left(LIMIT), Left::Until(Instant::now() + LIMIT));
        assert_eq!(clock.time_held(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_dropped_has_ended() {
        let clock = Clock::default();
        let waited = tokio::time::timeout(Duration::from_secs(1), clock.held(std::future::pending::<()>())).await;
        assert!(waited.is_err() && clock.left(LIMIT) != Left::Held);
        assert_eq!(clock.time_held(), Duration::from_secs(1));
    }
}
