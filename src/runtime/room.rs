//! Room in an edge: what a sender waits for where its consumer is slower.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::monitor::FULL;

/// For how many records room is given back at once at most.
const TOGETHER: usize = 16;

/// Room in an edge, given back for several records together: what waited for room works on several before it waits again,
/// and threads that it wakes are woken once for all of them. An edge whose senders wait is at least [`FULL`].
#[derive(Debug)]
pub(super) struct Room {
    places: Semaphore,
    received: AtomicUsize,
    /// For how many records room is given back at once.
    together: usize,
}

impl Room {
    /// Room for `capacity` records.
    pub(super) fn new(capacity: usize) -> Self {
        let together = (((1.0 - FULL) * capacity as f64) as usize).clamp(1, TOGETHER);
        Self { places: Semaphore::new(capacity), received: AtomicUsize::new(0), together }
    }

    /// Takes a place; says how long it waited for it. `None` once the edge is closed.
    pub(super) async fn take(&self) -> Option<Duration> {
        if let Ok(place) = self.places.try_acquire() {
            place.forget();
            return Some(Duration::ZERO);
        }
        let start = Instant::now();
        self.places.acquire().await.ok()?.forget();
        Some(start.elapsed())
    }

    /// Gives back the place of a record that was taken out: now, or together with the next ones'.
    pub(super) fn give_back(&self) {
        let before = self.received.fetch_add(1, Ordering::Relaxed);
        if before % self.together == self.together - 1 {
            self.places.add_permits(self.together);
        }
    }

    /// Nothing is taken any more: whoever waits is told.
    pub(super) fn close(&self) {
        self.places.close();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::{FutureExt, poll};

    use super::*;

    #[tokio::test]
    async fn a_full_edge_has_room_again_for_several_records_at_once() {
        let room = Room::new(16);
        for _ in 0..16 {
            assert!(room.take().now_or_never().flatten().is_some());
        }
        let mut waiting = pin!(room.take());
        for _ in 0..3 {
            room.give_back();
            assert!(poll!(waiting.as_mut()).is_pending(), "a quarter of it is given back together");
        }
        room.give_back();
        assert!(poll!(waiting).is_ready());
        for _ in 0..3 {
            assert!(room.take().now_or_never().flatten().is_some());
        }
        assert!(room.take().now_or_never().is_none(), "no more than it holds");
    }

    #[tokio::test]
    async fn a_short_edge_has_room_again_for_each_record_and_a_closed_one_none() {
        let room = Room::new(7);
        for _ in 0..7 {
            assert!(room.take().now_or_never().flatten().is_some());
        }
        room.give_back();
        assert!(matches!(room.take().now_or_never(), Some(Some(_))));
        let mut waiting = pin!(room.take());
        assert!(poll!(waiting.as_mut()).is_pending());
        room.close();
        assert!(waiting.await.is_none());
    }
}
