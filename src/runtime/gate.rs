//! The gate: how many workers of a stage are alive. It is what a width is, and it changes while the pipeline runs.
//!
//! Workers are numbered from 0; those below the width run. Growing names the numbers to start; shrinking wakes the
//! workers beyond the width, and each leaves after the record in its hands. No permit is taken per record, so a steady
//! width costs nothing.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct Gate {
    min: usize,
    max: usize,
    running: Mutex<Vec<bool>>,
    width: watch::Sender<usize>,
}

impl Gate {
    /// A closed gate with bounds: no worker runs until the width is set.
    pub(crate) fn new(min: usize, max: usize) -> Self {
        Self { min, max: max.max(min), running: Mutex::default(), width: watch::Sender::new(0) }
    }

    pub(crate) fn width(&self) -> usize {
        *self.width.borrow()
    }

    /// The least and the largest width.
    pub(crate) fn bounds(&self) -> (usize, usize) {
        (self.min, self.max)
    }

    /// How many workers run.
    pub(crate) fn alive(&self) -> usize {
        self.lock().iter().filter(|running| **running).count()
    }

    /// Sets the width within the bounds and names the workers to start.
    pub(crate) fn set_width(&self, width: usize) -> Vec<usize> {
        let width = width.clamp(self.min, self.max);
        let mut running = self.lock();
        if running.len() < width {
            running.resize(width, false);
        }
        let started = (0..width).filter(|id| !std::mem::replace(&mut running[*id], true)).collect();
        // Under the lock, so that a worker that asks to leave sees the width its number was judged by.
        self.width.send_replace(width);
        started
    }

    /// Waits until worker `id` is beyond the width.
    pub(crate) async fn beyond(&self, id: usize) {
        let mut width = self.width.subscribe();
        // The sender lives in `self`: the channel cannot close while this waits.
        let _ = width.wait_for(|width| id >= *width).await;
    }

    /// Lets worker `id` leave if it is still beyond the width. If not, the width has grown again and it goes on.
    pub(crate) fn leave(&self, id: usize) -> bool {
        let mut running = self.lock();
        let leaves = id >= self.width();
        if leaves {
            running[id] = false;
        }
        leaves
    }

    /// Notes that no worker runs any more: the input has ended.
    pub(crate) fn end(&self) {
        self.lock().fill(false);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<bool>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Whatever the order of width changes and of workers noticing them: no number runs twice at once, and once
        /// all have noticed, exactly the workers below the width run.
        #[test]
        fn exactly_the_workers_below_the_width_run(steps in prop::collection::vec((0_usize..9, prop::bool::ANY), 1..80)) {
            let gate = Gate::new(1, 8);
            let mut alive = BTreeSet::new();
            for (number, sets) in steps {
                if sets {
                    for id in gate.set_width(number) {
                        prop_assert!(alive.insert(id), "worker {id} was started while it ran");
                    }
                } else if alive.contains(&number) && gate.leave(number) {
                    alive.remove(&number);
                }
                prop_assert!((0..gate.width()).all(|id| alive.contains(&id)), "a worker below the width is missing");
            }
            let late: Vec<usize> = alive.iter().copied().filter(|id| gate.leave(*id)).collect();
            for id in late {
                alive.remove(&id);
            }
            prop_assert_eq!(alive, (0..gate.width()).collect::<BTreeSet<_>>());
        }
    }

    #[tokio::test]
    async fn a_worker_beyond_the_width_is_woken_and_bounds_hold() {
        let gate = std::sync::Arc::new(Gate::new(2, 4));
        assert_eq!(gate.set_width(9), vec![0, 1, 2, 3]);
        let waiting = {
            let gate = std::sync::Arc::clone(&gate);
            tokio::spawn(async move { gate.beyond(2).await })
        };
        assert!(gate.set_width(0).is_empty());
        assert_eq!(gate.width(), 2);
        waiting.await.expect("worker 2 is beyond a width of 2");
    }
}
