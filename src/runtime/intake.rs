//! Intake: where documents enter. Asks a source for the next one when there is room, admits it, and hands it on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use docmill_api::{Context, Digest, Document, Payload, Record, Reference, Source, SourceItem, StageError};
use futures::FutureExt;
use tokio::sync::Semaphore;

use super::budget::Charge;
use super::delivery::{Admitted, Delivery, Token};
use super::edge::{Held, Outlet};
use super::origin::{Doorstop, Origin};
use super::retry::Patience;
use super::shared::{Shared, Turn};
use super::tier::cpu::message_of;
use crate::monitor::{Cause, StageCounters};
use crate::plan::StagePlan;

/// How many documents may be under way at once. More than two full batches of a sink, so that a batch of one-row
/// documents fills before its age is up; what each costs besides its content is about a kilobyte.
pub(crate) const IN_FLIGHT: usize = 16_384;

/// What an admitted document is charged for where its size is not known before it is read.
const UNKNOWN_SIZE: u64 = 64 << 10;

/// A source under way.
pub(crate) struct Intake {
    pub(crate) id: Arc<str>,
    pub(crate) plan: StagePlan,
    pub(crate) outlet: Outlet,
    pub(crate) counters: Arc<StageCounters>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) fingerprint: Digest,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) origin: Arc<Origin>,
    /// Shared by all sources of a run.
    pub(crate) sequence: Arc<AtomicU64>,
}

/// A document that may be admitted: there is a place and memory for it.
struct Listed {
    admitted: Admitted,
    charge: Charge,
    door: Doorstop,
}

/// A source, until its last item.
enum Listing<'a> {
    Open(&'a mut dyn Source),
    Ended,
}

impl Intake {
    /// Lists until the source ends, the run closes, or the source fails for good.
    pub(crate) async fn run(self, mut source: Box<dyn Source>) {
        self.list(source.as_mut()).await;
        self.shared.listing.fetch_sub(1, Relaxed);
        self.outlet.close();
    }

    async fn list(&self, source: &mut dyn Source) {
        let mut turn = Turn::begin();
        let mut source = Listing::Open(source);
        loop {
            turn.pass(Instant::now()).await;
            // What is listed but not yet admitted may be dropped: it was never accepted.
            let listed = tokio::select! {
                biased;
                () = self.shared.closing.cancelled() => None,
                listed = self.listed(&mut source) => listed,
            };
            let Some(listed) = listed else { return };
            let Listed { admitted, charge, door } = listed;
            let (document, gone) = (Arc::clone(&admitted.document), admitted.gone);
            let token = Delivery::begin(admitted, &self.shared.board);
            if gone {
                // Nothing is to be read: the settler has its rows deleted.
                token.consumed();
                continue;
            }
            self.shared.counters.tally(|tally| {
                tally.documents.seen += 1;
                tally.documents.unfinished += 1;
            });
            let bytes = self.admission(&document);
            let held = Held::new(charge, &token, bytes, Some(door));
            // What is admitted is handed on even while the run closes; only an abort leaves it.
            let admitted = tokio::select! {
                biased;
                () = self.shared.board.abort.cancelled() => return,
                admitted = self.admit(document, token, held) => admitted,
            };
            if admitted.is_err() {
                return;
            }
        }
    }

    /// The next document with its place and its memory, or `None` after the last.
    async fn listed(&self, source: &mut Listing<'_>) -> Option<Listed> {
        // The sender lives as long as the run.
        let _ = self.shared.paused.subscribe().wait_for(|paused| !paused).await;
        let start = Instant::now();
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        self.counters.blocked(start.elapsed());
        let (document, gone) = loop {
            let item = self.next_item(source).await?;
            let document = Document::admit(item.clone(), self.fingerprint);
            let id = document.id;
            let Some(item) = self.shared.under_way.enter(id, item, &self.origin) else { continue };
            if !item.gone && self.is_known(id, &item).await? {
                self.shared.under_way.leave(&id);
                continue;
            }
            break (Arc::new(document), item.gone);
        };
        let door = self.origin.keep_open();
        let sequence = self.sequence.fetch_add(1, Relaxed) + 1;
        let bytes = self.admission(&document);
        let start = Instant::now();
        let charge = self.shared.budget.reserve(self.plan.depth, sequence, bytes).await;
        self.counters.held(Cause::Memory, start.elapsed());
        let admitted = Admitted { sequence, document, origin: Arc::clone(&self.origin), gone, place };
        Some(Listed { admitted, charge, door })
    }

    /// Whether a listed document is as it was when it was stored: then it is counted, and not read.
    async fn is_known(&self, document: Digest, item: &SourceItem) -> Option<bool> {
        let Some(memory) = self.shared.memory.get() else { return Some(false) };
        match memory.knows(document, item).await {
            Ok(known) => {
                if known {
                    self.shared.counters.tally(|tally| {
                        tally.documents.seen += 1;
                        tally.documents.unchanged += 1;
                    });
                }
                Some(known)
            }
            Err(error) => {
                self.shared.halt(&self.id, error);
                None
            }
        }
    }

    /// The next document: of those found inside others first, so that few of them wait; then what the source lists.
    /// `None` once the source has ended and nothing can be found any more.
    async fn next_item(&self, source: &mut Listing<'_>) -> Option<SourceItem> {
        loop {
            if let Some(item) = self.origin.next() {
                return Some(item);
            }
            match source {
                Listing::Open(open) => {
                    // A source loses nothing when its future is dropped: that is its contract.
                    tokio::select! {
                        biased;
                        () = self.origin.changed() => {}
                        item = self.next(&mut **open) => match item {
                            Some(item) => return Some(item),
                            None => *source = Listing::Ended,
                        },
                    }
                }
                Listing::Ended if self.origin.is_quiet() => return None,
                Listing::Ended => self.origin.changed().await,
            }
        }
    }

    /// What a document is charged for before it is read. Half the budget at most: what is larger is refused by the stage
    /// that reads, or is an archive, of which only members are ever in memory.
    fn admission(&self, document: &Document) -> u64 {
        document.size.unwrap_or(UNKNOWN_SIZE).min(self.shared.budget.capacity() / 2)
    }

    async fn admit(&self, document: Arc<Document>, token: Token, held: Arc<Held>) -> Result<(), super::edge::Closed> {
        let record = Record { document, payload: Payload::Reference(Reference::default()) };
        let (sent, blocked) = self.outlet.send(record, &token, Some(held)).await?;
        self.counters.blocked(blocked);
        if sent == 0 {
            token.skipped(&self.id, "no stage accepts it".into());
        } else {
            self.counters.output.fetch_add(1, Relaxed);
            token.consumed();
        }
        Ok(())
    }

    /// The next item, tried again after transient errors; `None` after the last, and when the source fails for good.
    async fn next(&self, source: &mut dyn Source) -> Option<SourceItem> {
        let mut patience = Patience::new(&self.plan.retry);
        let limit = if source.waits() { Duration::MAX } else { self.plan.timeout };
        self.shared.waits.fetch_or(source.waits(), Relaxed);
        loop {
            let cx = Context { cancel: self.shared.closing.child_token(), attempt: patience.attempts() };
            let start = Instant::now();
            let asked = AssertUnwindSafe(source.next(&cx)).catch_unwind();
            let answer = match tokio::time::timeout(limit, asked).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(panic)) => Err(StageError::fatal(format!("crashed: {}", message_of(panic.as_ref())))),
                Err(_) => {
                    self.counters.timeouts.fetch_add(1, Relaxed);
                    Err(StageError::transient("listing timed out"))
                }
            };
            self.counters.served(start.elapsed());
            match answer {
                Ok(item) => {
                    self.counters.input.fetch_add(u64::from(item.is_some()), Relaxed);
                    return item;
                }
                Err(error) => {
                    let transient = error.class == docmill_api::ErrorClass::Transient;
                    let delay = if transient { patience.next_delay(error.retry_after) } else { None };
                    let Some(delay) = delay else {
                        self.counters.failed.fetch_add(1, Relaxed);
                        self.shared.halt_listing(&self.id, error);
                        return None;
                    };
                    self.counters.retries.fetch_add(1, Relaxed);
                    tokio::time::sleep(delay).await;
                    self.counters.held(Cause::Retry, delay);
                }
            }
        }
    }
}
