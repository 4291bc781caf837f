//! Where records wait for another attempt: behind all that came meanwhile, so that one that keeps failing holds up
//! nobody. Their worker goes on with the next; any worker of the stage takes one whose time has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::edge::Envelope;
use super::retry::Patience;
use crate::monitor::Cause;

/// A record that was tried and is to be tried again.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) envelope: Envelope,
    pub(crate) patience: Box<Patience>,
}

/// The records of one stage that wait for another attempt. Bounded: where there is no room the worker waits with the
/// record in its hands.
#[derive(Debug)]
pub(crate) struct Again {
    waiting: Mutex<BinaryHeap<Reverse<Waiting>>>,
    /// How many wait, to be read without the lock.
    length: AtomicUsize,
    room: usize,
    /// How many of them a worker with nothing else to do waits for.
    claimed: AtomicUsize,
    changed: Notify,
}

#[derive(Debug)]
struct Waiting {
    at: Instant,
    cause: Cause,
    tried: Tried,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

/// How often it is looked whether a waiting record is still wanted: its document may have failed elsewhere, and its end
/// is not to wait for a long delay.
const LOOK: Duration = Duration::from_secs(1);

impl Again {
    pub(crate) fn new(room: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            length: AtomicUsize::new(0),
            room,
            claimed: AtomicUsize::new(0),
            changed: Notify::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length.load(Ordering::Acquire) == 0
    }

    /// Lets a record wait; gives it back where there is no room.
    pub(crate) fn put(&self, tried: Tried, delay: Duration, cause: Cause) -> Option<Tried> {
        let mut waiting = self.lock();
        if waiting.len() >= self.room {
            return Some(tried);
        }
        waiting.push(Reverse(Waiting { at: Instant::now() + delay, cause, tried }));
        self.length.store(waiting.len(), Ordering::Release);
        drop(waiting);
        // All of them: each has its own moment to wait for.
        self.changed.notify_waiters();
        None
    }

    /// One whose time has come, or whose document needs no further attempt. With `all`, any.
    pub(crate) fn due(&self, all: bool) -> Option<Tried> {
        if self.is_empty() {
            return None;
        }
        let mut waiting = self.lock();
        let now = Instant::now();
        let found = match waiting.peek() {
            Some(Reverse(first)) if all || first.at <= now => waiting.pop(),
            _ => {
                let unwanted = |one: &Waiting| one.tried.envelope.token.delivery().is_cancelled();
                if waiting.iter().any(|Reverse(one)| unwanted(one)) {
                    let (mut gone, kept): (Vec<_>, Vec<_>) = waiting.drain().partition(|Reverse(one)| unwanted(one));
                    let found = gone.pop();
                    waiting.extend(kept);
                    waiting.extend(gone);
                    found
                } else {
                    None
                }
            }
        };
        self.length.store(waiting.len(), Ordering::Release);
        let is_empty = waiting.is_empty();
        drop(waiting);
        if is_empty {
            self.changed.notify_waiters();
        }
        found.map(|Reverse(one)| one.tried)
    }

    /// Waits until one may be due, or none is left.
    pub(crate) async fn changed(&self) {
        let changed = self.changed.notified();
        tokio::pin!(changed);
        // Registered before the look, so that nothing is missed in between.
        changed.as_mut().enable();
        let next = self.lock().peek().map(|Reverse(first)| first.at);
        match next {
            None => changed.await,
            Some(at) => {
                let look = at.min(Instant::now() + LOOK);
                let _ = tokio::time::timeout_at(look, changed).await;
            }
        }
    }

    /// Says that a worker has nothing else to do: why it waits, where there is a waiting record for it to wait for.
    pub(crate) fn idle(&self) -> Idle<'_> {
        let waiting = self.length.load(Ordering::Acquire);
        let one_more = |claimed: usize| (claimed < waiting).then_some(claimed + 1);
        let claims = self.claimed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
        let cause = if claims { self.lock().peek().map(|Reverse(first)| first.cause) } else { None };
        Idle { again: self, claims, cause }
    }

    /// Wakes whoever waits, because all are due now.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Drops all: the run was aborted.
    pub(crate) fn abort(&self) {
        let dropped = std::mem::take(&mut *self.lock());
        self.length.store(0, Ordering::Release);
        self.changed.notify_waiters();
        drop(dropped);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BinaryHeap<Reverse<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that has nothing else to do.
pub(crate) struct Idle<'a> {
    again: &'a Again,
    claims: bool,
    pub(crate) cause: Option<Cause>,
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        if self.claims {
            self.again.claimed.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
