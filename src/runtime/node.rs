//! A stage under way: its workers, and what a worker does with a record. The same loop for every stage.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docmill_api::{CpuStage, Sink, Stage};
use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::edge::{Envelope, Inlet, Outlet};
use super::gate::Gate;
use super::shared::{Shared, Turn};
use super::tier::cpu::message_of;
use super::tier::process::{Role, Worker};
use crate::monitor::StageCounters;
use crate::plan::{Batch, StagePlan};

/// What a stage does, and where.
pub(crate) enum Job {
    /// On the event loop.
    Async(Arc<dyn Stage>),
    /// In the CPU pool.
    Pool(Arc<dyn CpuStage>),
    /// In child processes; inputs that the stage trusts in the pool.
    Process(Arc<dyn CpuStage>, Role),
    /// On the event loop, one call at a time.
    Sink(Arc<SinkHandle>),
}

/// A sink, with the lock that makes its calls follow one another: writes here, settling in the settler.
pub(crate) struct SinkHandle {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) turn: tokio::sync::Mutex<()>,
}

/// A stage under way.
pub(crate) struct NodeRuntime {
    pub(crate) id: Arc<str>,
    pub(crate) plan: StagePlan,
    pub(crate) job: Job,
    pub(crate) inlet: Inlet,
    pub(crate) outlet: Outlet,
    pub(crate) gate: Gate,
    pub(crate) counters: Arc<StageCounters>,
    pub(crate) shared: Arc<Shared>,
}

/// What one worker keeps between records.
#[derive(Default)]
pub(crate) struct Hands {
    pub(crate) child: Option<Worker>,
}

/// Why a worker ended.
enum Ended {
    /// The width shrank.
    Left,
    /// No further record comes.
    Drained,
}

/// Keeps a stage's workers until its input ends: starts and ends them as the width changes, replaces one that broke.
pub(crate) async fn supervise(node: Arc<NodeRuntime>, mut widths: mpsc::Receiver<usize>) {
    let mut workers = JoinSet::new();
    let mut drained = false;
    start(&node, node.plan.width.start, &mut workers);
    while !(drained && workers.is_empty()) {
        tokio::select! {
            biased;
            () = node.shared.board.abort.cancelled() => break,
            Some(width) = widths.recv() => if !drained { start(&node, width, &mut workers); },
            Some(ended) = workers.join_next() => match ended {
                Ok(Ended::Left) | Err(_) => {}
                Ok(Ended::Drained) => drained = true,
            },
        }
    }
    // Aborted: what the workers hold is dropped with them, what waits is dropped here.
    workers.shutdown().await;
    node.inlet.abort();
    node.outlet.close();
}

fn start(node: &Arc<NodeRuntime>, width: usize, workers: &mut JoinSet<Ended>) {
    for id in node.gate.set_width(width) {
        node.shared.spawn_in(workers, work(Arc::clone(node), id));
    }
}

/// A worker, started again where it broke off: what it held is counted as lost, and the stage goes on.
async fn work(node: Arc<NodeRuntime>, id: usize) -> Ended {
    loop {
        match AssertUnwindSafe(work_on(&node, id)).catch_unwind().await {
            Ok(ended) => return ended,
            Err(panic) => tracing::error!(stage = %node.id, error = message_of(panic.as_ref()), "a worker broke off"),
        }
    }
}

async fn work_on(node: &NodeRuntime, id: usize) -> Ended {
    let mut hands = Hands::default();
    let mut beyond = std::pin::pin!(node.gate.beyond(id));
    let mut turn = Turn::begin();
    loop {
        turn.pass(Instant::now()).await;
        let start = Instant::now();
        let first = tokio::select! {
            biased;
            () = &mut beyond => {
                if node.gate.leave(id) {
                    return Ended::Left;
                }
                beyond.set(node.gate.beyond(id));
                continue;
            }
            first = node.inlet.receive() => first,
        };
        let Some(first) = first else {
            node.counters.starved(start.elapsed());
            return Ended::Drained;
        };
        match node.plan.batch {
            // Not under the select above: a batch in the making must not be dropped.
            Some(limits) => {
                let batch = node.gather(first, &limits).await;
                node.counters.starved(start.elapsed());
                node.serve_batch(batch).await;
            }
            None => {
                node.counters.starved(start.elapsed());
                if let Some(envelope) = node.take_in(first) {
                    node.serve(&mut hands, envelope).await;
                }
            }
        }
    }
}

impl NodeRuntime {
    /// Counts a record in, unless its document has failed elsewhere.
    fn take_in(&self, envelope: Envelope) -> Option<Envelope> {
        let envelope = self.still_wanted(envelope)?;
        self.counters.input.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(envelope)
    }

    /// The record, unless its document has failed elsewhere.
    pub(crate) fn still_wanted(&self, envelope: Envelope) -> Option<Envelope> {
        if envelope.token.delivery().is_cancelled() && !self.shared.board.is_aborted() {
            envelope.token.consumed();
            return None;
        }
        Some(envelope)
    }

    /// Gathers a batch across documents, until it is large enough, old enough, memory is waited for, or no more comes.
    async fn gather(&self, first: Envelope, limits: &Batch) -> Vec<Envelope> {
        let mut pressure = self.shared.budget.pressure();
        let oldest = tokio::time::sleep(limits.wait);
        tokio::pin!(oldest);
        let mut batch = Gathered::default();
        let mut next = Some(first);
        while let Some(envelope) = next {
            if let Some(envelope) = self.take_in(envelope) {
                batch.add(envelope);
            }
            if batch.is_full(limits) {
                break;
            }
            next = match self.inlet.try_receive() {
                Some(envelope) => Some(envelope),
                None if *pressure.borrow_and_update() => None,
                None => tokio::select! {
                    biased;
                    envelope = self.inlet.receive() => envelope,
                    () = &mut oldest => None,
                    _ = pressure.wait_for(|waits| *waits) => None,
                },
            };
        }
        batch.envelopes
    }

    /// The longest that one record or batch may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.plan.timeout
    }
}

#[derive(Default)]
struct Gathered {
    envelopes: Vec<Envelope>,
    items: usize,
    tokens: u64,
}

impl Gathered {
    fn add(&mut self, envelope: Envelope) {
        self.items += envelope.record.payload.items();
        self.tokens += envelope.record.payload.tokens();
        self.envelopes.push(envelope);
    }

    fn is_full(&self, limits: &Batch) -> bool {
        self.items >= limits.items || self.tokens >= limits.tokens
    }
}
