//! The door of one source: documents that were found inside others wait here until the intake takes them in, and the
//! intake stays open while there are records that may still find some.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use docmill_api::{Digest, Progress, SourceItem};
use tokio::sync::Notify;

use super::delivery::Delivery;

/// What an intake shares with the records that it let in.
///
/// The queue has no bound of its own: a stage cannot wait for room here, since the intake waits for room in that
/// stage's queue. It holds at most what the documents of one queue and one stage's workers name, each bounded by its
/// stage (`max_members` of `download`), and the intake takes from here before it lists anything further.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    found: Mutex<Found>,
    outside: AtomicUsize,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Found {
    items: VecDeque<SourceItem>,
    /// Nobody takes anything from here any more.
    closed: bool,
}

impl Origin {
    /// Takes note of a document that was found.
    pub(crate) fn find(&self, item: SourceItem) {
        self.found().items.push_back(item);
        self.changed.notify_one();
    }

    /// The same for a document that nobody inside knows of. Says whether somebody takes it in.
    pub(crate) fn find_from_outside(&self, item: SourceItem) -> bool {
        let mut found = self.found();
        if !found.closed {
            found.items.push_back(item);
            self.changed.notify_one();
        }
        !found.closed
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next of those that were found.
    pub(crate) fn next(&self) -> Option<SourceItem> {
        self.found().items.pop_front()
    }

    /// Whether a document whose address begins like this waits here.
    pub(crate) fn holds_within(&self, prefix: &str) -> bool {
        self.found().items.iter().any(|item| item.uri.starts_with(prefix))
    }

    /// Keeps the intake open for as long as the result lives.
    pub(crate) fn keep_open(self: &Arc<Self>) -> Doorstop {
        self.outside.fetch_add(1, Ordering::Relaxed);
        Doorstop(Arc::clone(self))
    }

    /// Whether nothing waits here and nothing can still come.
    pub(crate) fn is_quiet(&self) -> bool {
        // In this order: whoever finds something does so before it lets the door go.
        self.outside.load(Ordering::Acquire) == 0 && self.found().items.is_empty()
    }

    /// Closes the door for good, where it is quiet. Says whether it did.
    pub(crate) fn close_if_quiet(&self) -> bool {
        let quiet = self.outside.load(Ordering::Acquire) == 0;
        let mut found = self.found();
        found.closed = quiet && found.items.is_empty();
        found.closed
    }

    /// Waits until something was found or the door was let go.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// A record that may still find documents, or a document that waits for its turn.
#[derive(Debug)]
pub(crate) struct Doorstop(Arc<Origin>);

impl Drop for Doorstop {
    fn drop(&mut self) {
        self.0.outside.fetch_sub(1, Ordering::Release);
        self.0.changed.notify_one();
    }
}

/// Which documents are under way: one that is listed again meanwhile waits for its turn, so that two versions of one
/// document are never written at once. Of several that wait the last is the one that counts.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<HashMap<Digest, Hand>>);

/// A document under way.
#[derive(Debug)]
struct Hand {
    uri: Box<str>,
    /// Its delivery, once that has begun.
    delivery: Weak<Delivery>,
    again: Option<Again>,
}

#[derive(Debug)]
struct Again {
    item: SourceItem,
    door: Doorstop,
}

impl UnderWay {
    /// Enters a document; gives nothing where it is under way already, and keeps the item for later.
    pub(crate) fn enter(&self, id: Digest, item: SourceItem, origin: &Arc<Origin>) -> Option<SourceItem> {
        use std::collections::hash_map::Entry;
        match self.hands().entry(id) {
            Entry::Vacant(vacant) => {
                vacant.insert(Hand { uri: item.uri.as_str().into(), delivery: Weak::new(), again: None });
                Some(item)
            }
            Entry::Occupied(mut occupied) => {
                occupied.get_mut().again = Some(Again { item, door: origin.keep_open() });
                None
            }
        }
    }

    /// Notes the delivery of a document that was entered.
    pub(crate) fn began(&self, id: &Digest, delivery: &Arc<Delivery>) {
        if let Some(hand) = self.hands().get_mut(id) {
            hand.delivery = Arc::downgrade(delivery);
        }
    }

    /// Where a document is, if it is under way.
    pub(crate) fn progress(&self, id: &Digest) -> Option<Progress> {
        let delivery = self.hands().get(id)?.delivery.upgrade();
        let at = delivery.as_ref().map(|delivery| (delivery.at(), delivery.is_taken_back()));
        let ((stage, attempts), cancelled) = at.unwrap_or_default();
        Some(Progress { stage, attempts, cancelled })
    }

    /// Takes a document back, if it is under way and its delivery has begun.
    pub(crate) fn cancel(&self, id: &Digest) -> bool {
        let delivery = self.hands().get(id).and_then(|hand| hand.delivery.upgrade());
        delivery.is_some_and(|delivery| {
            delivery.take_back();
            true
        })
    }

    /// Whether a document whose address begins like this is under way.
    pub(crate) fn holds_within(&self, prefix: &str) -> bool {
        let within = |hand: &Hand| {
            hand.uri.starts_with(prefix) || hand.again.as_ref().is_some_and(|again| again.item.uri.starts_with(prefix))
        };
        self.hands().values().any(within)
    }

    fn hands(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Hand>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a document; one that waited for it goes back to its source's door.
    pub(crate) fn leave(&self, id: &Digest) {
        let again = self.hands().remove(id).and_then(|hand| hand.again);
        if let Some(Again { item, door }) = again {
            door.0.find(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(uri: &str) -> SourceItem {
        SourceItem { uri: uri.into(), ..SourceItem::default() }
    }

    #[test]
    fn the_door_is_quiet_once_nothing_can_come() {
        let origin = Arc::new(Origin::default());
        let door = origin.keep_open();
        assert!(!origin.is_quiet());
        origin.find(item("a"));
        drop(door);
        assert!(!origin.is_quiet(), "one waits");
        assert_eq!(origin.next().map(|item| item.uri).as_deref(), Some("a"));
        assert!(origin.is_quiet());
        assert!(origin.find_from_outside(item("b")) && !origin.close_if_quiet(), "one came in before it closed");
        assert!(origin.next().is_some() && origin.close_if_quiet());
        assert!(!origin.find_from_outside(item("c")) && origin.next().is_none(), "nobody would take it");
    }

    #[test]
    fn a_document_listed_again_waits_for_its_turn_and_the_last_listing_counts() {
        let (origin, under_way, id) = (Arc::new(Origin::default()), UnderWay::default(), Digest::of(&[b"a"]));
        assert!(under_way.enter(id, item("first"), &origin).is_some());
        assert!(under_way.enter(id, item("second"), &origin).is_none());
        assert!(under_way.enter(id, item("third"), &origin).is_none());
        assert!(!origin.is_quiet(), "it waits outside");
        under_way.leave(&id);
        assert_eq!(origin.next().map(|item| item.uri).as_deref(), Some("third"));
        assert!(origin.next().is_none() && origin.is_quiet());
        assert!(under_way.enter(id, item("fourth"), &origin).is_some());
    }
}
