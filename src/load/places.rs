//! How many documents may be under way at once, changed while a run goes on.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// Places for documents. Those that are not wanted now are held here.
#[derive(Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    most: usize,
    held: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Places {
    /// As many as will ever be wanted, and how many are to be had at first.
    #[must_use]
    pub fn new(most: usize, first: usize) -> Self {
        let all = Arc::new(Semaphore::new(most));
        let held = Arc::clone(&all).try_acquire_many_owned(permits(most.saturating_sub(first))).ok();
        Self { all, most, held: Mutex::new(held) }
    }

    /// What a run takes its places from.
    #[must_use]
    pub fn semaphore(&self) -> Arc<Semaphore> {
        Arc::clone(&self.all)
    }

    /// Changes how many there are. Where they become fewer this waits until as many documents have come to their end; no
    /// further one begins meanwhile.
    pub async fn set(&self, number: usize) {
        let mut held = self.held.lock().await;
        let wanted = self.most.saturating_sub(number);
        let has = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if wanted < has {
            // What is split off is given back.
            let _ = held.as_mut().and_then(|held| held.split(has - wanted));
        } else if let Ok(more) = Arc::clone(&self.all).acquire_many_owned(permits(wanted - has)).await {
            match held.as_mut() {
                Some(held) => held.merge(more),
                None => *held = Some(more),
            }
        }
    }
}

fn permits(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_become_more_and_fewer() {
        let places = Arc::new(Places::new(16, 4));
        let free = || places.semaphore().available_permits();
        assert_eq!(free(), 4);
        places.set(16).await;
        assert_eq!(free(), 16);
        let document = places.semaphore().acquire_many_owned(10).await.expect("open");
        let fewer = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.set(2).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(free(), 0, "none is given out until there are fewer under way");
        drop(document);
        fewer.await.expect("it ends");
        assert_eq!(free(), 2);
    }
}
