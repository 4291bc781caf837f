//! What all tasks of a run share: budget, pool, board, counters, and the way a fatal error ends the run.

use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use docmill_api::{CancellationToken, Durability, Paid, Services, StageError, Witness};
use tokio::task::{JoinHandle, JoinSet};

use super::budget::Budget;
use super::delivery::Board;
use super::door::Lobby;
use super::memory::Memory;
use super::origin::UnderWay;
use super::tier::cpu::{CpuPool, thread_cpu};
use super::{RuntimeOptions, Workers};
use crate::monitor::{RunCounters, RunState};

pub(crate) struct Shared {
    /// The run's id.
    pub(crate) run: String,
    pub(crate) started: chrono::DateTime<chrono::Utc>,
    /// What an accepted document survives.
    pub(crate) durability: Durability,
    pub(crate) budget: Arc<Budget>,
    pub(crate) pool: CpuPool,
    pub(crate) board: Arc<Board>,
    pub(crate) counters: Arc<RunCounters>,
    /// Cancelled when sources are to list no more.
    pub(crate) closing: CancellationToken,
    /// Cancelled when a service has nothing more to give: what does not need it is finished within the drain time.
    pub(crate) winding_down: CancellationToken,
    /// The model services that are open.
    pub(crate) services: Services,
    /// Sources that still list.
    pub(crate) listing: AtomicUsize,
    /// Documents under way, by id.
    pub(crate) under_way: UnderWay,
    /// What is remembered of earlier runs, once all stores are open.
    pub(crate) memory: OnceLock<Memory>,
    /// What model calls gave before.
    pub(crate) paid: Paid,
    /// Whether a source waits for what may be long in coming: the run has moments of rest then, and no near end.
    pub(crate) waits: AtomicBool,
    pub(crate) paused: tokio::sync::watch::Sender<bool>,
    /// Whether documents found inside others are left out.
    pub(crate) alone: bool,
    /// Whether documents that are no longer there lose their rows.
    pub(crate) prune: bool,
    /// Whether what each document's caller is told is made.
    pub(crate) wants_results: bool,
    /// Whether it is kept until the run's end.
    pub(crate) keeps_results: bool,
    /// Who knows the workers on other machines.
    pub(crate) fleet: Option<Workers>,
    /// Who hears what becomes of documents.
    pub(crate) witness: Option<Arc<dyn Witness>>,
    /// Documents that were handed in and accepted, and that the intake has not taken yet.
    pub(crate) accepted: Lobby,
    pub(crate) watches_polls: bool,
    /// How the run ended, once it has, and after how many seconds.
    pub(crate) ended: OnceLock<(RunState, f64)>,
    fatal: Mutex<Option<(Arc<str>, StageError)>>,
}

impl Shared {
    pub(crate) fn new(durability: Durability, budget: Arc<Budget>, pool: CpuPool, options: &RuntimeOptions) -> Self {
        let started = chrono::Utc::now();
        Self {
            // Runs on one state directory follow one another, and a process may hold several directories.
            run: format!("{}-{}", started.format("%Y%m%dT%H%M%S%3f"), std::process::id()),
            started,
            durability,
            budget,
            pool,
            board: Arc::new(Board::default()),
            counters: Arc::new(RunCounters::default()),
            closing: CancellationToken::new(),
            winding_down: CancellationToken::new(),
            services: options.services.clone(),
            listing: AtomicUsize::new(0),
            under_way: UnderWay::default(),
            memory: OnceLock::new(),
            paid: options.ledger.clone().map_or_else(|| options.paid.clone(), |ledger| Paid::kept_in(ledger)),
            waits: AtomicBool::new(false),
            paused: tokio::sync::watch::Sender::new(false),
            alone: options.alone,
            prune: options.prune,
            wants_results: options.results || options.witness.is_some(),
            keeps_results: options.results,
            fleet: options.fleet.clone(),
            witness: options.witness.clone(),
            accepted: Lobby::default(),
            watches_polls: options.watch_polls,
            ended: OnceLock::new(),
            fatal: Mutex::default(),
        }
    }

    /// Ends the run because nothing that follows could succeed. The first error is the one that is told.
    pub(crate) fn halt(&self, stage: &Arc<str>, error: StageError) {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((Arc::clone(stage), error));
        self.closing.cancel();
        self.board.abort.cancel();
    }

    /// Ends the run because a service has nothing more to give; what does not need it is finished.
    pub(crate) fn wind_down(&self, stage: &Arc<str>, error: StageError) {
        self.halt_listing(stage, error);
        self.winding_down.cancel();
    }

    /// Ends the listing because a source failed; what was listed so far is finished.
    pub(crate) fn halt_listing(&self, stage: &Arc<str>, error: StageError) {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((Arc::clone(stage), error));
        self.closing.cancel();
    }

    pub(crate) fn fatal(&self) -> Option<(Arc<str>, StageError)> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Spawns a task of the run, its polls watched where that is wanted.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if self.watches_polls {
            return tokio::spawn(Watched { task: Box::pin(task), counters: Arc::clone(&self.counters) });
        }
        tokio::spawn(task)
    }

    /// The same, within a set.
    pub(crate) fn spawn_in<F>(&self, set: &mut JoinSet<F::Output>, task: F)
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if self.watches_polls {
            set.spawn(Watched { task: Box::pin(task), counters: Arc::clone(&self.counters) });
        } else {
            set.spawn(task);
        }
    }
}

/// How long a task works before it lets others of its thread have a turn. A channel that is never empty or full would
/// keep a worker going for ever; a tenth of what a blocked event loop is taken to be.
const TURN: Duration = Duration::from_millis(1);

/// A task's turn on its thread.
pub(crate) struct Turn(Instant);

impl Turn {
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    /// Lets others go first once the turn is over. `now` is a moment that the caller has at hand.
    pub(crate) async fn pass(&mut self, now: Instant) {
        if now.saturating_duration_since(self.0) >= TURN {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
    }
}

/// A task whose longest poll is noted by CPU time of its thread, which another busy process does not disturb.
struct Watched<F> {
    task: Pin<Box<F>>,
    counters: Arc<RunCounters>,
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let start = thread_cpu();
        let polled = self.task.as_mut().poll(cx);
        let took = thread_cpu().saturating_sub(start);
        self.counters.longest_poll.fetch_max(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        polled
    }
}
