//! How many documents a worker has in hand. A document that is long keeps a CPU busy, and whatever else is in hand waits for
//! it while another worker may be idle; documents that are short end faster than the queue hands out others, and a batch is
//! never full. So there are as many places as documents ended in the last moment, between two bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much work is kept in hand.
const MOMENT: Duration = Duration::from_millis(250);

/// More than this brings nothing: batches are full, and the queue is asked once for so many.
const MOST: usize = 64;

/// The places of a worker; a document holds one until it is answered.
#[derive(Debug)]
pub(super) struct Places {
    semaphore: Arc<Semaphore>,
    least: usize,
    most: usize,
    now: AtomicUsize,
    /// Documents that have ended since the last look.
    ended: AtomicUsize,
}

impl Places {
    /// At least so many; more, if they may be, while documents are short.
    pub(super) fn new(least: usize, may_grow: bool) -> Self {
        let least = least.max(1);
        let most = if may_grow { least.max(MOST) } else { least };
        let (now, ended) = (AtomicUsize::new(least), AtomicUsize::new(0));
        Self { semaphore: Arc::new(Semaphore::new(least)), least, most, now, ended }
    }

    /// How many there are.
    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// How many there may be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Waits for one, and gives all that are free then: a request for each job would be half of what the queue hears.
    pub(super) async fn free(&self) -> Vec<OwnedSemaphorePermit> {
        let mut places: Vec<_> = Arc::clone(&self.semaphore).acquire_owned().await.into_iter().collect();
        while let Ok(place) = Arc::clone(&self.semaphore).try_acquire_owned() {
            places.push(place);
        }
        places
    }

    /// Counts a document that has ended.
    pub(super) fn ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps their number right for as long as it is polled.
    pub(super) async fn keep_right(&self) {
        if self.most == self.least {
            return;
        }
        loop {
            tokio::time::sleep(MOMENT).await;
            self.adapt();
        }
    }

    fn adapt(&self) {
        let (now, ended) = (self.now(), self.ended.swap(0, Ordering::Relaxed));
        let wanted = ended.clamp(self.least, self.most);
        // Places that documents hold go when those have ended.
        let right = if wanted >= now {
            self.semaphore.add_permits(wanted - now);
            wanted
        } else {
            now - self.semaphore.forget_permits(now - wanted)
        };
        self.now.store(right, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn places_grow_while_documents_are_short_and_go_when_they_are_given_back() {
        let places = Places::new(6, true);
        let held = places.free().await;
        assert_eq!((held.len(), places.now()), (6, 6));
        (0..40).for_each(|_| places.ended());
        places.adapt();
        let more = places.free().await;
        assert_eq!((more.len(), places.now()), (34, 40));
        (0..1000).for_each(|_| places.ended());
        places.adapt();
        assert_eq!((places.now(), places.most()), (64, 64));
        drop(held);
        places.adapt();
        assert_eq!(places.now(), 34, "those in hand stay until they are given back");
        drop(more);
        places.adapt();
        assert_eq!((places.now(), places.free().await.len()), (6, 6));
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_that_somebody_gave_stays() {
        let places = Places::new(3, false);
        places.keep_right().await;
        assert_eq!((places.now(), places.most()), (3, 3));
    }
}
