//! A stage under way: its workers, and what a worker does with a record. The same loop for every stage.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use docmill_api::{CpuStage, Sink, Stage, StageError};
use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::again::{Again, Idle, Tried};
use super::edge::{Envelope, Inlet, Outlet};
use super::gate::Gate;
use super::retry::Patience;
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
    /// Whether its width is the tuner's to set.
    pub(crate) auto: AtomicBool,
    /// Records that wait for another attempt.
    pub(crate) again: Again,
    /// Why no record is worth an attempt any more.
    pub(crate) gave_up: OnceLock<StageError>,
    pub(crate) counters: Arc<StageCounters>,
    pub(crate) shared: Arc<Shared>,
}

/// What one worker keeps between records.
pub(crate) struct Hands {
    /// The worker's number.
    pub(crate) worker: usize,
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
    let warming = node.shared.spawn(warm_up(Arc::clone(&node)));
    start(&node, node.plan.width.start, &mut workers);
    while !(drained && workers.is_empty()) {
        tokio::select! {
            biased;
            () = node.shared.board.abort.cancelled() => break,
            Some(width) = widths.recv() => if !drained { start(&node, width, &mut workers); },
            Some(ended) = workers.join_next() => match ended {
                Ok(Ended::Left) | Err(_) => {}
                Ok(Ended::Drained) => {
                    drained = true;
                    // Whoever wants another width is told that there is none to change.
                    widths.close();
                }
            },
        }
    }
    // What no record has waited for need not be there.
    warming.abort();
    // Aborted: what the workers hold is dropped with them, what waits is dropped here.
    workers.shutdown().await;
    node.gate.end();
    node.inlet.abort();
    node.again.abort();
    node.outlet.close();
}

/// Has a stage of the pool load what its first record would wait for.
async fn warm_up(node: Arc<NodeRuntime>) {
    let Job::Pool(stage) = &node.job else { return };
    let stage = Arc::clone(stage);
    if let Some(ran) = node.shared.pool.run(node.plan.depth, 0, node.timeout(), move |_| stage.warm_up()).await {
        node.counters.cpu(ran.cpu);
    }
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
    let mut hands = Hands { worker: id, child: None };
    let mut beyond = std::pin::pin!(node.gate.beyond(id));
    let mut turn = Turn::begin();
    loop {
        turn.pass(std::time::Instant::now()).await;
        let first = tokio::select! {
            biased;
            () = &mut beyond => {
                // Once the input has ended all leave together, when nothing is tried again any more.
                if !node.inlet.is_drained() && node.gate.leave(id) {
                    return Ended::Left;
                }
                beyond.set(node.gate.beyond(id));
                if !node.inlet.is_drained() {
                    continue;
                }
                node.next().await
            }
            first = node.next() => first,
        };
        let Some(first) = first else { return Ended::Drained };
        match node.plan.batch {
            // Not under the select above: a batch in the making must not be dropped.
            Some(limits) => {
                let batch = node.gather(first, &limits).await;
                node.serve_batch(id, batch).await;
            }
            None => node.serve(&mut hands, first).await,
        }
    }
}

/// A record to be worked on: for the first time, or again.
pub(crate) enum Taken {
    New(Envelope),
    Again(Tried),
}

impl NodeRuntime {
    /// The next record: one whose time for another attempt has come, otherwise one that comes in. `None` after the last
    /// of both. Dropping the future loses nothing.
    async fn next(&self) -> Option<Taken> {
        if let Some(taken) = self.due() {
            return Some(taken);
        }
        if let Some(envelope) = self.inlet.try_receive() {
            return Some(Taken::New(envelope));
        }
        let mut open = true;
        loop {
            if let Some(taken) = self.due() {
                return Some(taken);
            }
            if !open && self.again.is_empty() {
                return None;
            }
            let _waited = self.waiting();
            tokio::select! {
                biased;
                envelope = self.inlet.receive(), if open => match envelope {
                    Some(envelope) => return Some(Taken::New(envelope)),
                    None => open = false,
                },
                () = self.again.changed() => {}
            }
        }
    }

    fn due(&self) -> Option<Taken> {
        self.again.due(self.gave_up.get().is_some()).map(Taken::Again)
    }

    /// Counts the time until it is dropped, by what is waited for: input, or a record's next attempt.
    fn waiting(&self) -> impl Drop + '_ {
        Waits { node: self, idle: self.again.idle(), start: Instant::now() }
    }

    /// Counts a record in, unless its document has failed elsewhere.
    pub(super) fn take_in(&self, taken: Taken) -> Option<(Envelope, Option<Box<Patience>>)> {
        let (envelope, patience) = match taken {
            Taken::New(envelope) => (envelope, None),
            Taken::Again(Tried { envelope, patience }) => (envelope, Some(patience)),
        };
        if envelope.token.delivery().is_cancelled() && !self.shared.board.is_aborted() {
            envelope.token.consumed();
            return None;
        }
        self.counters.input.fetch_add(u64::from(patience.is_none()), Relaxed);
        Some((envelope, patience))
    }

    /// Gathers a batch across documents, until it is large enough, old enough, memory is waited for, or no more comes.
    async fn gather(&self, first: Taken, limits: &Batch) -> Vec<(Envelope, Option<Box<Patience>>)> {
        let start = Instant::now();
        let mut pressure = self.shared.budget.pressure();
        let oldest = tokio::time::sleep(limits.wait);
        tokio::pin!(oldest);
        let mut batch = Gathered::default();
        let mut next = Some(first);
        while let Some(taken) = next {
            if let Some(record) = self.take_in(taken) {
                batch.add(record);
            }
            if batch.is_full(limits) {
                break;
            }
            next = match self.due().or_else(|| self.inlet.try_receive().map(Taken::New)) {
                Some(taken) => Some(taken),
                None if *pressure.borrow_and_update() => None,
                None => tokio::select! {
                    biased;
                    envelope = self.inlet.receive() => envelope.map(Taken::New),
                    () = &mut oldest => None,
                    _ = pressure.wait_for(|waits| *waits) => None,
                },
            };
        }
        self.counters.starved(start.elapsed());
        batch.records
    }

    /// The longest that one record or batch may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.plan.timeout
    }
}

struct Waits<'a> {
    node: &'a NodeRuntime,
    idle: Idle<'a>,
    start: Instant,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        match self.idle.cause {
            Some(cause) => self.node.counters.held(cause, self.start.elapsed()),
            None => self.node.counters.starved(self.start.elapsed()),
        }
    }
}

#[derive(Default)]
struct Gathered {
    records: Vec<(Envelope, Option<Box<Patience>>)>,
    items: usize,
    tokens: u64,
}

impl Gathered {
    fn add(&mut self, record: (Envelope, Option<Box<Patience>>)) {
        self.items += record.0.record.payload.items();
        self.tokens += record.0.record.payload.tokens();
        self.records.push(record);
    }

    fn is_full(&self, limits: &Batch) -> bool {
        self.items >= limits.items || self.tokens >= limits.tokens
    }
}
