//! Delivery: how the engine knows that a document is final.
//!
//! Every record under way holds a [`Token`] of its document's [`Delivery`]. Emitting n records adds n tokens; a record
//! that is durable, was turned into others, or that nobody accepts takes one away. A token that is dropped with no
//! outcome counts as failed. At zero the document is final, and the delivery goes to the [`Board`], from where the
//! settler takes it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use docmill_api::{CancellationToken, Digest, Document, StageError};
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::memory::{AsBefore, Past};
use super::origin::{Doorstop, Origin};
use crate::ledger::State;

/// Why a document failed, and where.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) stage: Arc<str>,
    pub(crate) error: StageError,
    pub(crate) attempts: u32,
}

/// What was made of a document.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    pub(crate) rows: u64,
    pub(crate) chunks: u64,
    pub(crate) tokens: u64,
    pub(crate) summary: Option<String>,
    /// How its text was cut, as the stage that cut it says.
    pub(crate) strategy: Option<String>,
}

#[derive(Debug, Default)]
struct Outcome {
    failure: Option<Failure>,
    skip: Option<(Arc<str>, String)>,
    made: Made,
}

/// A document as the intake lets it in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) sequence: u64,
    pub(crate) document: Arc<Document>,
    pub(crate) origin: Arc<Origin>,
    pub(crate) gone: bool,
    pub(crate) past: Past,
    pub(crate) place: OwnedSemaphorePermit,
}

/// One document under way.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Its place in the order of admission, from 1.
    pub(crate) sequence: u64,
    admitted: Arc<Document>,
    read: OnceLock<Arc<Document>>,
    outstanding: AtomicUsize,
    failed: AtomicBool,
    taken_back: AtomicBool,
    /// The stage that had it in hand last, and its attempt.
    at: Mutex<(Option<Arc<str>>, u32)>,
    outcome: Mutex<Outcome>,
    /// Cancelled when the document fails or the run is aborted.
    pub(crate) cancel: CancellationToken,
    began: Instant,
    bytes: AtomicU64,
    peak_bytes: AtomicU64,
    board: Arc<Board>,
    /// The door that it came in by, where documents found inside it come in too.
    pub(crate) origin: Arc<Origin>,
    /// Whether it is no longer there, and only its rows are to go.
    pub(crate) gone: bool,
    /// What was known of it when it was admitted.
    pub(crate) past: Past,
    unchanged: AtomicBool,
    as_before: AtomicBool,
    /// The documents that were found inside it, where it was opened.
    members: Mutex<Option<Vec<Digest>>>,
    /// Keeps its source's door open, by which what was inside it and is no longer leaves.
    door: Mutex<Option<Doorstop>>,
    /// The document's place among those in flight.
    place: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Delivery {
    /// Begins a delivery with one token.
    pub(crate) fn begin(admitted: Admitted, board: &Arc<Board>) -> Token {
        let Admitted { sequence, document, origin, gone, past, place } = admitted;
        let delivery = Arc::new(Self {
            sequence,
            admitted: document,
            origin,
            gone,
            past,
            read: OnceLock::new(),
            outstanding: AtomicUsize::new(1),
            failed: AtomicBool::new(false),
            taken_back: AtomicBool::new(false),
            at: Mutex::default(),
            unchanged: AtomicBool::new(false),
            as_before: AtomicBool::new(false),
            members: Mutex::default(),
            door: Mutex::default(),
            outcome: Mutex::default(),
            cancel: board.abort.child_token(),
            began: Instant::now(),
            bytes: AtomicU64::new(0),
            peak_bytes: AtomicU64::new(0),
            board: Arc::clone(board),
            place: Mutex::new(Some(place)),
        });
        Token { delivery, settled: false }
    }

    /// How long ago it was admitted.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// The document with its content, once a stage has read it; as admitted before.
    pub(crate) fn document(&self) -> &Arc<Document> {
        self.read.get().unwrap_or(&self.admitted)
    }

    /// Notes the document as a stage hands it on: the first with content gives the version. Says whether this was it.
    pub(crate) fn note(&self, document: &Arc<Document>) -> bool {
        document.content.is_some() && self.read.get().is_none() && self.read.set(Arc::clone(document)).is_ok()
    }

    /// Gives it the end that it had before, without further work.
    pub(crate) fn end_as_before(&self, before: AsBefore) {
        self.as_before.store(true, Ordering::Relaxed);
        let stage: Arc<str> = before.stage.as_str().into();
        match before.state {
            State::Failed => self.fail(&stage, StageError::rejected(before.reason), before.attempts),
            State::Skipped => drop(self.outcome().skip.get_or_insert((stage, before.reason))),
            State::Done | State::Unfinished => self.unchanged.store(true, Ordering::Relaxed),
        }
    }

    /// Whether it ended as an earlier run had it, its content being the same.
    pub(crate) fn is_as_before(&self) -> bool {
        self.as_before.load(Ordering::Relaxed)
    }

    /// Notes documents that were found inside it.
    pub(crate) fn note_members(&self, members: impl Iterator<Item = Digest>) {
        let mut noted = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get_or_insert_default().extend(members);
    }

    /// Keeps the door of its source open until the document is at its end.
    pub(crate) fn hold_door(&self, door: Doorstop) {
        self.door.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(door);
    }

    pub(crate) fn is_container(&self) -> bool {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether a document that was inside it is inside it no longer.
    pub(crate) fn has_lost(&self, member: &Digest) -> bool {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        self.gone || members.as_ref().is_some_and(|members| !members.contains(member))
    }

    pub(crate) fn is_unchanged(&self) -> bool {
        self.unchanged.load(Ordering::Relaxed)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.cancel.is_cancelled()
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.outcome().failure.clone()
    }

    pub(crate) fn skip(&self) -> Option<(Arc<str>, String)> {
        self.outcome().skip.clone()
    }

    pub(crate) fn made(&self) -> Made {
        self.outcome().made.clone()
    }

    /// The most bytes that its records held at once.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    /// Whether it ended because the run does: it is unfinished then, not failed.
    pub(crate) fn is_unfinished(&self) -> bool {
        let aborted = self.board.is_aborted();
        self.failure().is_some_and(|failure| failure.error.ends_the_run() || (aborted && failure.attempts == 0))
    }

    /// Takes the document back: its records stop at the next stage boundary, and what is stored of it goes.
    pub(crate) fn take_back(&self) {
        // First: whoever sees the failure looks at this.
        self.taken_back.store(true, Ordering::Release);
        self.fail(&Arc::from("engine"), StageError::rejected("it was taken back"), 1);
    }

    pub(crate) fn is_taken_back(&self) -> bool {
        self.taken_back.load(Ordering::Acquire)
    }

    /// Notes which stage has it in hand.
    pub(crate) fn is_at(&self, stage: &Arc<str>, attempt: u32) {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner) = (Some(Arc::clone(stage)), attempt);
    }

    /// The stage that had it in hand last, and its attempt; nothing before the first.
    pub(crate) fn at(&self) -> (String, u32) {
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        (at.0.as_deref().unwrap_or_default().to_owned(), at.1)
    }

    /// Fails the document outside a token: when its settling failed.
    pub(crate) fn fail(&self, stage: &Arc<str>, error: StageError, attempts: u32) {
        self.outcome().failure.get_or_insert(Failure { stage: Arc::clone(stage), error, attempts });
        self.failed.store(true, Ordering::Relaxed);
        self.cancel.cancel();
    }

    /// Gives its place to the next document, and lets the door go.
    pub(crate) fn leave(&self) {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.door.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(crate) fn holds(&self, bytes: u64) {
        let now = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak_bytes.fetch_max(now, Ordering::Relaxed);
    }

    pub(crate) fn releases(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One record's share in its document's delivery.
#[derive(Debug)]
pub(crate) struct Token {
    delivery: Arc<Delivery>,
    settled: bool,
}

impl Token {
    pub(crate) fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }

    /// A token for one more record of the same document.
    pub(crate) fn split(&self) -> Self {
        self.delivery.outstanding.fetch_add(1, Ordering::Relaxed);
        Self { delivery: Arc::clone(&self.delivery), settled: false }
    }

    /// The record was turned into others, which hold tokens of their own; or the document is cancelled.
    pub(crate) fn consumed(mut self) {
        self.settle();
    }

    /// The record gave nothing, for a reason that is no failure.
    pub(crate) fn skipped(mut self, stage: &Arc<str>, reason: String) {
        self.delivery.outcome().skip.get_or_insert((Arc::clone(stage), reason));
        self.settle();
    }

    /// The record is durable.
    pub(crate) fn durable(mut self, made: Made) {
        {
            let mut outcome = self.delivery.outcome();
            outcome.made.rows += made.rows;
            outcome.made.chunks += made.chunks;
            outcome.made.tokens += made.tokens;
            if made.summary.is_some() {
                outcome.made.summary = made.summary;
            }
            if made.strategy.is_some() {
                outcome.made.strategy = made.strategy;
            }
        }
        self.settle();
    }

    /// The record failed for good: so does the document, and its other records stop at the next stage boundary.
    pub(crate) fn failed(mut self, stage: &Arc<str>, error: StageError, attempts: u32) {
        self.delivery.fail(stage, error, attempts);
        self.settle();
    }

    fn settle(&mut self) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        if self.delivery.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.delivery.board.push(Arc::clone(&self.delivery));
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if !self.settled {
            // 0 attempts: nobody tried. With the run aborted this is an unfinished document, else a defect of a stage.
            self.delivery.fail(
                &Arc::from("engine"),
                StageError::rejected("lost: a record ended without an outcome"),
                0,
            );
            self.settle();
        }
    }
}

/// Where deliveries wait to be settled. Bounded by the number of documents in flight.
#[derive(Debug, Default)]
pub(crate) struct Board {
    waiting: Mutex<Vec<Arc<Delivery>>>,
    arrived: Notify,
    /// Cancelled when the run is aborted; every document's token is its child.
    pub(crate) abort: CancellationToken,
}

impl Board {
    pub(crate) fn is_aborted(&self) -> bool {
        self.abort.is_cancelled()
    }

    fn push(&self, delivery: Arc<Delivery>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(delivery);
        self.arrived.notify_one();
    }

    /// All that wait now, without waiting.
    pub(crate) fn take(&self) -> Vec<Arc<Delivery>> {
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something may have arrived.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docmill_api::SourceItem;
    use tokio::sync::Semaphore;

    fn begin(board: &Arc<Board>) -> Token {
        let item = SourceItem { uri: "file:///a".into(), ..SourceItem::default() };
        let document = Arc::new(Document::admit(item, Digest::of(&[])));
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("one place");
        let admitted =
            Admitted { sequence: 1, document, origin: Arc::default(), gone: false, past: Past::default(), place };
        Delivery::begin(admitted, board)
    }

    #[test]
    fn a_document_is_final_when_its_last_token_has_an_outcome() {
        let board = Arc::new(Board::default());
        let token = begin(&board);
        let parts: Vec<Token> = (0..3).map(|_| token.split()).collect();
        token.consumed();
        let stage: Arc<str> = "store".into();
        for (index, part) in parts.into_iter().enumerate() {
            assert!(board.take().is_empty(), "{index} of 3 parts are durable");
            part.durable(Made { rows: 2, ..Made::default() });
        }
        let settled = board.take();
        assert_eq!(settled.len(), 1);
        assert_eq!(settled[0].made().rows, 6);
        assert!(settled[0].failure().is_none());
        drop(stage);
    }

    #[test]
    fn one_failed_part_fails_the_document_and_cancels_the_others() {
        let board = Arc::new(Board::default());
        let token = begin(&board);
        let other = token.split();
        token.failed(&"parse".into(), StageError::rejected("broken"), 1);
        assert!(other.delivery().is_cancelled());
        assert!(board.take().is_empty(), "the other part still has a token");
        other.consumed();
        let failure = board.take()[0].failure().expect("it failed");
        assert_eq!((&*failure.stage, failure.error.message.as_str()), ("parse", "broken"));
    }

    #[test]
    fn a_token_dropped_without_an_outcome_is_a_failure() {
        let board = Arc::new(Board::default());
        drop(begin(&board));
        assert!(board.take()[0].failure().is_some_and(|failure| failure.error.message.starts_with("lost")));
    }

    #[test]
    fn a_token_dropped_by_an_aborted_run_leaves_the_document_unfinished() {
        let board = Arc::new(Board::default());
        let token = begin(&board);
        board.abort.cancel();
        drop(token);
        assert!(board.take()[0].is_unfinished());
    }
}
