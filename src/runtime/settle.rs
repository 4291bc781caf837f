//! The settler: brings documents whose records have all come to an end to rest, in the sinks and in the tally.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use docmill_api::{Context, ErrorClass, Settled, StageError};
use serde_json::json;
use tokio::sync::oneshot;

use super::delivery::Delivery;
use super::node::SinkHandle;
use super::retry::Patience;
use super::shared::{Shared, Turn};
use crate::monitor::{Ended, RunCounters};
use crate::plan::Retry;

/// A sink as the settler knows it.
pub(crate) struct Store {
    pub(crate) id: Arc<str>,
    pub(crate) handle: Arc<SinkHandle>,
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
}

/// Settles documents until `finished` says that no further record can end, then closes the sinks.
pub(crate) async fn settle(shared: Arc<Shared>, stores: Vec<Store>, mut finished: oneshot::Receiver<()>) {
    let mut last = false;
    let mut turn = Turn::begin();
    loop {
        let deliveries = shared.board.take();
        if deliveries.is_empty() {
            if last {
                break;
            }
            tokio::select! {
                () = shared.board.arrived() => {}
                // All stages have ended: what is on the board by now is the last.
                _ = &mut finished => last = true,
            }
            continue;
        }
        let settled: Vec<Settled> = deliveries
            .iter()
            .filter(|delivery| delivery.document().content.is_some())
            .map(|delivery| Settled { document: Arc::clone(delivery.document()), done: delivery.failure().is_none() })
            .collect();
        if !settled.is_empty() {
            for store in &stores {
                if let Err(error) = store.settle(&shared, &settled).await {
                    give_up(&shared, store, &deliveries, &error);
                }
            }
        }
        for delivery in deliveries {
            turn.pass(Instant::now()).await;
            conclude(&shared, &delivery);
        }
    }
    shared.counters.indexing.store(true, Relaxed);
    for store in &stores {
        store.close(&shared).await;
    }
}

impl Store {
    async fn settle(&self, shared: &Shared, settled: &[Settled]) -> Result<(), StageError> {
        let mut patience = Patience::new(&self.retry);
        loop {
            let cx = Context { cancel: shared.board.abort.child_token(), attempt: patience.attempts() };
            let result = {
                let _turn = self.handle.turn.lock().await;
                tokio::time::timeout(self.timeout, self.handle.sink.settle(&cx, settled)).await
            };
            let error = match result {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => StageError::transient("settling timed out"),
            };
            let transient = error.class == ErrorClass::Transient;
            let delay = if transient { patience.next_delay(error.retry_after) } else { None };
            let Some(delay) = delay else { return Err(error) };
            tokio::time::sleep(delay).await;
        }
    }

    /// Not under the stage's timeout, which is a batch's: an index over a large table takes as long as it takes.
    async fn close(&self, shared: &Shared) {
        if shared.board.is_aborted() {
            return;
        }
        let _turn = self.handle.turn.lock().await;
        if let Err(error) = self.handle.sink.close(&Context::detached()).await {
            shared.halt(&self.id, error.context("closing the store"));
        }
    }
}

fn give_up(shared: &Shared, store: &Store, deliveries: &[Arc<Delivery>], error: &StageError) {
    if error.class == ErrorClass::Fatal {
        shared.halt(&store.id, error.clone());
    }
    for delivery in deliveries {
        delivery.fail(&store.id, error.clone(), 1);
    }
}

/// Says what became of a document and gives its place to the next.
fn conclude(shared: &Shared, delivery: &Delivery) {
    let document = delivery.document();
    let made = delivery.made();
    let failure = delivery.failure();
    let skip = delivery.skip().filter(|_| made.rows == 0);
    shared.counters.tally(|tally| {
        let fatal = failure.as_ref().is_some_and(|failure| failure.error.class == ErrorClass::Fatal);
        if delivery.is_unfinished() || fatal {
            return;
        }
        tally.documents.unfinished -= 1;
        tally.chunks += made.chunks;
        tally.tokens += made.tokens;
        let mut message = String::new();
        let mut error = None;
        if let Some(failure) = failure {
            error = Some(failure.error.message.clone());
            RunCounters::failed(
                tally,
                Ended {
                    document: document.uri.clone(),
                    stage: failure.stage.to_string(),
                    class: failure.error.class.to_string(),
                    reason: failure.error.message,
                    attempts: failure.attempts,
                },
            );
        } else {
            tally.rows += made.rows;
            if let Some((stage, reason)) = skip {
                message.clone_from(&reason);
                let ended = Ended {
                    document: document.uri.clone(),
                    stage: stage.to_string(),
                    class: String::new(),
                    reason,
                    attempts: 1,
                };
                RunCounters::skipped(tally, ended);
            } else {
                tally.documents.done += 1;
            }
        }
        if shared.wants_results {
            tally.results.push(json!({
                "success": error.is_none(),
                "document": document.uri,
                "filename": document.filename,
                "filetype": document.extension(),
                "is_code_file": is_code(document.media_type.as_deref()),
                "total_chunks": made.chunks,
                "token_count": made.tokens,
                "summary": made.summary.unwrap_or_default(),
                "message": error.unwrap_or(message),
                "peak_bytes": delivery.peak_bytes(),
            }));
        }
    });
    let (used, peak) = shared.budget.used();
    shared.counters.in_flight.store(used, Relaxed);
    shared.counters.in_flight_peak.fetch_max(peak, Relaxed);
    delivery.leave();
}

/// Whether a media type is that of source code: `text/x-rust` and the like.
fn is_code(media_type: Option<&str>) -> bool {
    media_type.is_some_and(|media_type| {
        media_type.starts_with("text/x-") || matches!(media_type, "text/javascript" | "application/javascript")
    })
}
