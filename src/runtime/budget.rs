//! The memory budget: bytes of documents in flight, all queues and stages together.
//!
//! Memory is waited for at two places only: when a document is admitted, and when a stage hands a record on. Never by
//! a pool thread, a child or a part-filled batch.
//!
//! **Why it cannot deadlock.** Waiters are served deepest stage first, then oldest document; and at each depth one
//! grant may exceed the budget (the overdraft of that depth) until its bytes come back. Take the deepest stage with a
//! waiter. If its overdraft is free, the waiter goes on. If not, the record that holds it is beyond that stage, where
//! nobody waits for memory: it moves on, ends, and gives the overdraft back. So something always moves, even when one
//! document is larger than the budget. The bound is the budget plus one hand-over per stage.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

/// Deepest first, then oldest document, then first come.
type Turn = (std::cmp::Reverse<usize>, u64, u64);

#[derive(Debug)]
struct Waiter {
    bytes: u64,
    grant: oneshot::Sender<Charge>,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    peak: u64,
    tickets: u64,
    /// By depth: whether that depth's overdraft is out.
    overdrafts: Vec<bool>,
    waiters: BTreeMap<Turn, Waiter>,
}

#[derive(Debug)]
pub(crate) struct Budget {
    capacity: u64,
    state: Mutex<State>,
    pressure: watch::Sender<bool>,
}

/// Bytes taken from the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
    overdraft: Option<usize>,
}

impl Budget {
    pub(crate) fn new(capacity: u64) -> Arc<Self> {
        Arc::new(Self { capacity, state: Mutex::default(), pressure: watch::Sender::new(false) })
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Bytes in flight now, and the most there were.
    pub(crate) fn used(&self) -> (u64, u64) {
        let state = self.lock();
        (state.used, state.peak)
    }

    /// Whether somebody waits: a part-filled batch is handed over then.
    pub(crate) fn pressure(&self) -> watch::Receiver<bool> {
        self.pressure.subscribe()
    }

    /// Takes bytes at once where they are there and nobody waits.
    pub(crate) fn try_reserve(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        let mut state = self.lock();
        if !state.waiters.is_empty() || state.used.saturating_add(bytes) > self.capacity {
            return None;
        }
        Some(self.take(&mut state, bytes, None))
    }

    /// Takes bytes for document `sequence` at a stage of this depth, waiting in turn. Dropping the future leaves the
    /// queue.
    pub(crate) async fn reserve(self: &Arc<Self>, depth: usize, sequence: u64, bytes: u64) -> Charge {
        if let Some(charge) = self.try_reserve(bytes) {
            return charge;
        }
        let (grant, granted) = oneshot::channel();
        let mut leaving = {
            let mut state = self.lock();
            state.tickets += 1;
            let turn = (std::cmp::Reverse(depth), sequence, state.tickets);
            state.waiters.insert(turn, Waiter { bytes, grant });
            self.serve(state);
            Leaving { budget: self, turn: Some(turn) }
        };
        let charge = granted.await.expect("a waiter is dropped by its own future only");
        leaving.turn = None;
        charge
    }

    /// Grants whatever can be granted, then tells batches whether somebody still waits.
    fn serve(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        while let Some((turn, waiter)) = state.waiters.first_key_value() {
            let (turn, bytes, depth) = (*turn, waiter.bytes, turn.0.0);
            if state.overdrafts.len() <= depth {
                state.overdrafts.resize(depth + 1, false);
            }
            let fits = state.used.saturating_add(bytes) <= self.capacity;
            if !fits && state.overdrafts[depth] {
                break;
            }
            let waiter = state.waiters.remove(&turn).expect("it is the first");
            let charge = self.take(&mut state, bytes, (!fits).then_some(depth));
            if let Err(unwanted) = waiter.grant.send(charge) {
                // Its future was dropped a moment ago: take the bytes back here, for the lock is held.
                unwanted.give_back(&mut state);
            }
        }
        let waits = !state.waiters.is_empty();
        // Under the lock, so that the last word is that of the last change.
        self.pressure.send_if_modified(|pressure| std::mem::replace(pressure, waits) != waits);
        drop(state);
    }

    fn take(self: &Arc<Self>, state: &mut State, bytes: u64, overdraft: Option<usize>) -> Charge {
        state.used += bytes;
        state.peak = state.peak.max(state.used);
        if let Some(depth) = overdraft {
            state.overdrafts[depth] = true;
        }
        Charge { budget: Arc::clone(self), bytes, overdraft }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Charge {
    fn give_back(mut self, state: &mut State) {
        Self::release(&mut self.bytes, &mut self.overdraft, state);
    }

    fn release(bytes: &mut u64, overdraft: &mut Option<usize>, state: &mut State) {
        state.used -= std::mem::take(bytes);
        if let Some(depth) = overdraft.take() {
            state.overdrafts[depth] = false;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes == 0 && self.overdraft.is_none() {
            return;
        }
        let budget = Arc::clone(&self.budget);
        let mut state = budget.lock();
        Self::release(&mut self.bytes, &mut self.overdraft, &mut state);
        if !state.waiters.is_empty() {
            budget.serve(state);
        }
    }
}

/// Takes a waiter out of the queue when its future is dropped.
struct Leaving<'a> {
    budget: &'a Arc<Budget>,
    turn: Option<Turn>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn {
            let mut state = self.budget.lock();
            state.waiters.remove(&turn);
            self.budget.serve(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn what_fits_is_granted_at_once_and_what_does_not_waits_for_bytes_to_come_back() {
        let budget = Budget::new(100);
        let first = budget.reserve(1, 1, 60).await;
        let over = budget.reserve(1, 2, 60).await;
        assert_eq!(budget.used(), (120, 120), "one overdraft a depth");
        let mut third = Box::pin(budget.reserve(1, 3, 60));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(*budget.pressure().borrow());
        drop(first);
        assert!(third.as_mut().now_or_never().is_none(), "60 of 100 are used and the overdraft is out");
        drop(over);
        drop(third.await);
        assert_eq!(budget.used().0, 0);
        assert!(!*budget.pressure().borrow());
    }

    #[tokio::test]
    async fn deeper_stages_go_first_then_older_documents() {
        let budget = Budget::new(10);
        let full = budget.reserve(3, 1, 10).await;
        let overdrafts = [budget.reserve(1, 9, 10).await, budget.reserve(2, 9, 10).await];
        let mut shallow = Box::pin(budget.reserve(1, 1, 10));
        let mut younger = Box::pin(budget.reserve(2, 3, 10));
        let mut older = Box::pin(budget.reserve(2, 2, 10));
        for waiting in [&mut shallow, &mut younger, &mut older] {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        drop(overdrafts);
        drop(full);
        let deepest = older.as_mut().now_or_never().expect("the deeper stage's older document goes first");
        assert!(budget.used().0 >= 10);
        drop(deepest);
        drop((younger.await, shallow.await));
        assert_eq!(budget.used().0, 0);
    }

    #[tokio::test]
    async fn a_record_larger_than_the_budget_goes_on() {
        let budget = Budget::new(10);
        drop(budget.reserve(0, 1, 1000).await);
        assert_eq!(budget.used(), (0, 1000));
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_leaves_the_queue_to_the_next() {
        let budget = Budget::new(10);
        let held = [budget.reserve(1, 1, 10).await, budget.reserve(1, 2, 10).await];
        let mut gone = Box::pin(budget.reserve(1, 3, 10));
        let mut next = Box::pin(budget.reserve(1, 4, 1));
        assert!(gone.as_mut().now_or_never().is_none());
        assert!(next.as_mut().now_or_never().is_none());
        drop(gone);
        drop(held);
        drop(next.await);
        assert_eq!(budget.used().0, 0);
    }
}
