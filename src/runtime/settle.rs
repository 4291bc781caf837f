//! The settler: brings documents whose records have all come to an end to rest, in the sinks and in the tally.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use docmill_api::crash::crash_point;
use docmill_api::{Context, Durability, Rest, Settled, SourceItem, StageError};
use futures::FutureExt;
use tokio::sync::oneshot;

use super::delivery::Delivery;
use super::memory::Memory;
use super::node::SinkHandle;
use super::retry::{Next, Patience};
use super::shared::{Shared, Turn};
use super::tier::cpu::message_of;
use super::told;
use crate::monitor::{Ended, Event, EventKind, RunCounters, SlowDocument};
use crate::plan::Retry;

/// How many documents are settled in one call: one delete for them all, and one timeout.
const GROUP: usize = 512;

/// How long nothing has come to an end before a run that waits for documents brings its indexes up to date.
const REST: Duration = Duration::from_secs(1);

/// How old what is not in the indexes yet may become where documents never stop coming: a search reads all of it.
const UNINDEXED: Duration = Duration::from_secs(1);

/// A sink as the settler knows it.
pub(crate) struct Store {
    pub(crate) id: Arc<str>,
    pub(crate) handle: Arc<SinkHandle>,
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
}

/// Settles documents until `finished` says that no further record can end, then closes the sinks.
pub(crate) async fn settle(shared: Arc<Shared>, stores: Vec<Store>, mut finished: oneshot::Receiver<()>) {
    let (mut last, mut unindexed) = (false, false);
    let mut turn = Turn::begin();
    let mut due = Instant::now() + UNINDEXED;
    loop {
        let deliveries = shared.board.take();
        if deliveries.is_empty() {
            if last {
                break;
            }
            tokio::select! {
                () = shared.board.arrived() => {}
                () = tokio::time::sleep(REST), if unindexed && shared.waits.load(Relaxed) => {
                    (unindexed, due) = (false, bring_up_to_date(&shared, &stores).await);
                }
                // All stages have ended: what is on the board by now is the last.
                _ = &mut finished => last = true,
            }
            continue;
        }
        unindexed = true;
        for group in deliveries.chunks(GROUP) {
            settle_group(&shared, &stores, group).await;
            for delivery in group {
                turn.pass(Instant::now()).await;
                conclude(&shared, delivery);
            }
        }
        // A run over what there is does this once, at its end.
        if shared.waits.load(Relaxed) && Instant::now() >= due {
            (unindexed, due) = (false, bring_up_to_date(&shared, &stores).await);
        }
    }
    if !shared.board.is_aborted() {
        put_in_order(&shared, &stores).await;
    }
    shared.counters.indexing.store(true, Relaxed);
    close(&shared, &stores).await;
    crash_point("ledger", "closed");
}

/// Brings the indexes up to date in the midst of a run, and says when they are due again: half of the time at most, since the
/// sinks have rows to write as well.
async fn bring_up_to_date(shared: &Shared, stores: &[Store]) -> Instant {
    let begun = Instant::now();
    close(shared, stores).await;
    Instant::now() + UNINDEXED.max(begun.elapsed())
}

/// Brings a group to rest: the ledger is told what is about to be replaced, the stores what became of the documents, and
/// the ledger that they know. Nobody else is told before.
async fn settle_group(shared: &Shared, stores: &[Store], group: &[Arc<Delivery>]) {
    let memory = shared.memory.get();
    if let Some(memory) = memory.filter(|_| !shared.board.is_aborted())
        && let Err(error) = seal_group(shared, stores, memory, group).await
    {
        shared.halt(&"engine".into(), error);
    }
    crash_point("ledger", "sealed");
    for store in stores {
        store.bring_to_rest(shared, group).await;
    }
    crash_point("ledger", "settled");
    if let Some(memory) = memory.filter(|_| !shared.board.is_aborted())
        && let Err(error) = end_group(shared, stores, memory, group).await
    {
        shared.halt(&"engine".into(), error);
    }
    crash_point("ledger", "ended");
    for delivery in group.iter().filter(|delivery| delivery.gone || delivery.is_container()) {
        if let Err(error) = let_out(shared, delivery).await {
            shared.halt(&"engine".into(), error);
        }
    }
}

/// Tells the ledger whose older versions may go, once what takes their place is durable.
async fn seal_group(
    shared: &Shared,
    stores: &[Store],
    memory: &Memory,
    group: &[Arc<Delivery>],
) -> Result<(), StageError> {
    for store in stores {
        store.barrier(shared).await?;
    }
    memory.seal(group).await
}

/// Tells the ledger how a group ended, once nothing of it is in doubt.
async fn end_group(
    shared: &Shared,
    stores: &[Store],
    memory: &Memory,
    group: &[Arc<Delivery>],
) -> Result<(), StageError> {
    let settled = memory.in_doubt_still(group).await?;
    for store in stores {
        store.settle(shared, &settled).await?;
        store.barrier(shared).await?;
    }
    memory.end(group).await
}

/// Has what was inside a document and is no longer taken for gone: with the document itself, or by what was found when it
/// was opened.
async fn let_out(shared: &Shared, delivery: &Delivery) -> Result<(), StageError> {
    let Some(memory) = shared.memory.get().filter(|_| delivery.failure().is_none()) else { return Ok(()) };
    for (member, item) in memory.inside(delivery.document(), delivery.gone).await? {
        if delivery.has_lost(&member) {
            delivery.origin.find(SourceItem { gone: true, ..item });
        }
    }
    Ok(())
}

/// Takes back what earlier runs that broke off left in the stores of documents that this run did not list. They stay
/// unfinished, until somebody lists them again.
async fn put_in_order(shared: &Shared, stores: &[Store]) {
    let Some(memory) = shared.memory.get() else { return };
    loop {
        let settled = match memory.in_doubt(GROUP).await {
            Ok(settled) if settled.is_empty() => return,
            Ok(settled) => settled,
            Err(error) => return shared.halt(&"engine".into(), error),
        };
        for store in stores {
            let settled = store.settle(shared, &settled).await;
            if let Err(error) = settled.and(store.barrier(shared).await) {
                return shared.halt(&store.id, error.context("taking back what a run left that broke off"));
            }
        }
        if let Err(error) = memory.rest(&settled).await {
            return shared.halt(&"engine".into(), error);
        }
    }
}

/// Brings the indexes of all stores up to date.
async fn close(shared: &Shared, stores: &[Store]) {
    let mut failed = None;
    for store in stores {
        if let Err(error) = store.close(shared).await {
            failed.get_or_insert((Arc::clone(&store.id), error.context("closing the store")));
        }
    }
    // After every store: one that cannot be closed keeps no other from its index.
    if let Some((stage, error)) = failed {
        shared.halt(&stage, error);
    }
}

/// What a sink is asked for besides writing.
#[derive(Clone, Copy)]
enum Call<'a> {
    Settle(&'a [Settled]),
    Barrier,
}

impl Call<'_> {
    fn timed_out(self) -> &'static str {
        match self {
            Self::Settle(_) => "settling timed out",
            Self::Barrier => "waiting for the disk timed out",
        }
    }
}

impl Store {
    /// Settles a group; where that fails, each of its documents by itself, so that one costs one.
    async fn bring_to_rest(&self, shared: &Shared, group: &[Arc<Delivery>]) {
        let Err(mut error) = self.settle_all(shared, group).await else { return };
        for delivery in group {
            // Not after a fatal error or an abort: no store answers then, and the documents stay unfinished.
            if !error.ends_the_run() && !shared.board.is_aborted() {
                match self.settle_all(shared, std::slice::from_ref(delivery)).await {
                    Ok(()) => continue,
                    Err(own) => error = own,
                }
            }
            if error.ends_the_run() {
                shared.halt(&self.id, error.clone());
            }
            let attempts = if shared.board.is_aborted() { 0 } else { self.retry.attempts };
            delivery.fail(&self.id, error.clone(), attempts);
        }
    }

    async fn settle_all(&self, shared: &Shared, group: &[Arc<Delivery>]) -> Result<(), StageError> {
        // What was never read has no version, and no store holds anything of it; what ended as before has been settled.
        let read = group
            .iter()
            .filter(|delivery| delivery.gone || (delivery.document().content.is_some() && !delivery.is_as_before()));
        let settled: Vec<Settled> = read
            .map(|delivery| {
                let rest = match delivery.failure() {
                    _ if delivery.gone => Rest::Gone,
                    None => Rest::Done,
                    Some(_) => Rest::Failed,
                };
                Settled { document: Arc::clone(delivery.document()), rest }
            })
            .collect();
        self.settle(shared, &settled).await
    }

    async fn settle(&self, shared: &Shared, settled: &[Settled]) -> Result<(), StageError> {
        if settled.is_empty() {
            return Ok(());
        }
        self.call(shared, Call::Settle(settled)).await
    }

    /// Makes what the store was told so far survive a power cut, where the run is to.
    pub(crate) async fn barrier(&self, shared: &Shared) -> Result<(), StageError> {
        if shared.durability == Durability::Process {
            return Ok(());
        }
        self.call(shared, Call::Barrier).await
    }

    /// Calls the sink under its timeout, again where that may help.
    async fn call(&self, shared: &Shared, call: Call<'_>) -> Result<(), StageError> {
        let mut patience = Patience::new(&self.retry);
        loop {
            let cx = Context::new(shared.board.abort.child_token(), patience.attempts());
            let error = {
                let _turn = self.handle.turn.lock().await;
                let sink = &self.handle.sink;
                let called = match call {
                    Call::Settle(settled) => sink.settle(&cx, settled),
                    Call::Barrier => sink.barrier(&cx),
                };
                let called = tokio::time::timeout(self.timeout, called);
                match AssertUnwindSafe(called).catch_unwind().await {
                    Ok(Ok(Ok(()))) => return Ok(()),
                    Ok(Ok(Err(error))) => error,
                    Ok(Err(_)) => StageError::transient(call.timed_out()),
                    Err(panic) => StageError::rejected(format!("crashed: {}", message_of(panic.as_ref()))),
                }
            };
            let delay = match patience.after(&error) {
                Next::After(delay) if !shared.board.is_aborted() => delay,
                _ => return Err(error),
            };
            let _ = tokio::time::timeout(delay, shared.board.abort.cancelled()).await;
        }
    }

    /// Not under the stage's timeout, which is a batch's: an index over a large table takes as long as it takes, or
    /// until the run is told to stop.
    async fn close(&self, shared: &Shared) -> Result<(), StageError> {
        let abort = &shared.board.abort;
        let closing = async {
            let _turn = self.handle.turn.lock().await;
            let cx = Context::new(abort.child_token(), 1);
            crash_point(&self.id, "closing");
            match AssertUnwindSafe(self.handle.sink.close(&cx)).catch_unwind().await {
                Ok(closed) => closed,
                Err(panic) => Err(StageError::fatal(format!("crashed: {}", message_of(panic.as_ref())))),
            }
        };
        tokio::select! {
            biased;
            () = abort.cancelled() => Ok(()),
            closed = closing => closed,
        }
    }
}

/// Says what became of a document and gives its place to the next.
fn conclude(shared: &Shared, delivery: &Delivery) {
    let document = delivery.document();
    let made = delivery.made();
    let failure = delivery.failure();
    let skip = delivery.skip().filter(|_| made.rows == 0);
    note_end(shared, delivery);
    shared.under_way.leave(&document.id);
    if delivery.gone && failure.is_none() {
        tracing::info!(document = document.uri, "is no longer there, its rows were deleted");
        shared.counters.tally(|tally| tally.gone += 1);
        told::ended(shared, delivery);
        delivery.leave();
        return;
    }
    shared.counters.tally(|tally| {
        if delivery.is_unfinished() {
            return;
        }
        if delivery.gone {
            tally.documents.seen += 1;
        } else {
            tally.documents.unfinished -= 1;
        }
        tally.chunks += made.chunks;
        tally.tokens += made.tokens;
        if let Some(failure) = failure {
            if delivery.is_taken_back() {
                tally.documents.cancelled += 1;
                return;
            }
            tally.remembered += u64::from(delivery.is_as_before());
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
                let ended = Ended {
                    document: document.uri.clone(),
                    stage: stage.to_string(),
                    class: String::new(),
                    reason,
                    attempts: 1,
                };
                RunCounters::skipped(tally, ended);
            } else if delivery.is_unchanged() {
                tally.documents.unchanged += 1;
            } else {
                tally.documents.done += 1;
            }
        }
        if shared.keeps_results {
            tally.results.extend(told::result(delivery));
        }
    });
    told::ended(shared, delivery);
    delivery.leave();
}

/// Notes how long a document took, and that it failed, if it has come to an end in this run.
fn note_end(shared: &Shared, delivery: &Delivery) {
    if delivery.is_unfinished() {
        return;
    }
    let document = delivery.document();
    shared.counters.latencies.add(delivery.age(), || SlowDocument {
        document: document.uri.clone(),
        bytes: delivery.peak_bytes(),
        chunks: delivery.made().chunks,
        ..SlowDocument::default()
    });
    if let Some(failure) = delivery.failure().filter(|_| !delivery.is_as_before()) {
        shared.counters.events.add(Event {
            kind: EventKind::Failure,
            stage: failure.stage.to_string(),
            by: "run".into(),
            text: format!("{}: {}", document.uri, failure.error.message),
            ..Event::default()
        });
    }
}
