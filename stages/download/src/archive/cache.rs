//! The containers that were opened last, so that their members do not each open them again.
//!
//! Each has a cell that one opener fills while the others wait; an opener that is given up lets the next one in. A
//! container that fails to open leaves its cell empty.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use super::Archive;

/// How many are kept open. The members of a container come one after another, so few are in use at a time; each may
/// hold `archive_bytes` of the temporary directory.
const KEPT: usize = 4;

/// How many are opened at once: an opener may unpack gigabytes, and takes a window of memory to do so.
const OPENERS: usize = 4;

type Slot = Arc<OnceCell<Arc<Archive>>>;

#[derive(Debug)]
pub(crate) struct Cache {
    slots: Mutex<VecDeque<(String, Slot)>>,
    /// Held while a container is opened, and for nothing else.
    pub(crate) openers: Semaphore,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { slots: Mutex::new(VecDeque::new()), openers: Semaphore::new(OPENERS) }
    }

    /// The cell of a container; the one that was asked for least lately makes room.
    pub(crate) fn slot(&self, key: &str) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match slots.iter().position(|(known, _)| known == key) {
            Some(at) => slots.remove(at).map(|(_, slot)| slot).unwrap_or_default(),
            None => Slot::default(),
        };
        slots.push_back((key.to_owned(), Arc::clone(&slot)));
        while slots.len() > KEPT {
            slots.pop_front();
        }
        slot
    }

    /// Keeps a container that was just opened, in place of what was known by that key.
    pub(crate) fn put(&self, key: &str, archive: Arc<Archive>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|(known, _)| known != key);
        slots.push_back((key.to_owned(), Arc::new(OnceCell::new_with(Some(archive)))));
        while slots.len() > KEPT {
            slots.pop_front();
        }
    }
}
