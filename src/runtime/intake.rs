//! Intake: where documents enter. Asks a source for the next one when there is room, admits it, and hands it on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use docmill_api::{Context, Digest, Document, Payload, Record, Reference, Source, SourceItem, StageError};
use futures::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::budget::Charge;
use super::delivery::{Delivery, Token};
use super::edge::{Held, Outlet};
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
    /// Shared by all sources of a run.
    pub(crate) sequence: Arc<AtomicU64>,
}

/// A document that may be admitted: there is a place and memory for it.
struct Listed {
    document: Arc<Document>,
    place: OwnedSemaphorePermit,
    sequence: u64,
    charge: Charge,
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
        loop {
            turn.pass(Instant::now()).await;
            // What is listed but not yet admitted may be dropped: it was never accepted.
            let listed = tokio::select! {
                biased;
                () = self.shared.closing.cancelled() => None,
                listed = self.listed(source) => listed,
            };
            let Some(listed) = listed else { return };
            let bytes = listed.document.size.unwrap_or(UNKNOWN_SIZE);
            let token =
                Delivery::begin(listed.sequence, Arc::clone(&listed.document), &self.shared.board, listed.place);
            self.shared.counters.tally(|tally| {
                tally.documents.seen += 1;
                tally.documents.unfinished += 1;
            });
            let held = Held::new(listed.charge, &token, bytes);
            // What is admitted is handed on even while the run closes; only an abort leaves it.
            let admitted = tokio::select! {
                biased;
                () = self.shared.board.abort.cancelled() => return,
                admitted = self.admit(listed.document, token, held) => admitted,
            };
            if admitted.is_err() {
                return;
            }
        }
    }

    /// The next document with its place and its memory, or `None` after the last.
    async fn listed(&self, source: &mut dyn Source) -> Option<Listed> {
        // The sender lives as long as the run.
        let _ = self.shared.paused.subscribe().wait_for(|paused| !paused).await;
        let start = Instant::now();
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        self.counters.blocked(start.elapsed());
        let item = self.next(source).await?;
        let document = Arc::new(Document::admit(item, self.fingerprint));
        let sequence = self.sequence.fetch_add(1, Relaxed) + 1;
        let bytes = document.size.unwrap_or(UNKNOWN_SIZE);
        let start = Instant::now();
        let charge = self.shared.budget.reserve(self.plan.depth, sequence, bytes).await;
        self.counters.held(Cause::Memory, start.elapsed());
        Some(Listed { document, place, sequence, charge })
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
        loop {
            let cx = Context { cancel: self.shared.closing.child_token(), attempt: patience.attempts() };
            let start = Instant::now();
            let asked = AssertUnwindSafe(source.next(&cx)).catch_unwind();
            let answer = match tokio::time::timeout(self.plan.timeout, asked).await {
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
