//! The runtime: a plan in motion.
//!
//! [`Topology::build`] makes stages and edges and spawns nothing; [`Topology::run`] starts the tasks and gives a
//! [`RunHandle`]. Records flow downstream only. Two things go back: deliveries, by which a document is final
//! (`delivery.rs`, `settle.rs`), and typed [`Command`]s. The runtime writes counters and never waits for a reader.
//!
//! | room | what it knows |
//! |---|---|
//! | `build` | plan to topology |
//! | `intake`, `origin`, `given`, `gone` | where documents enter; those inside others, named by hand, no longer there |
//! | `node`, `serve`, `attempt`, `hand_on` | the loop around every stage; attempts, outcomes, handing on |
//! | `edge`, `gate`, `budget` | bounded channels, live width, memory |
//! | `retry`, `again` | patience, and where records wait for another attempt |
//! | `delivery`, `settle` | when a document is final, and what follows |
//! | `tier` | the CPU pool and child processes |
//! | `memory`, `state` | what earlier runs left: the ledger, and the lock of the state directory |

mod again;
mod attempt;
mod budget;
mod build;
mod delivery;
mod edge;
mod gate;
mod given;
mod gone;
mod hand_on;
mod intake;
mod memory;
mod node;
mod origin;
mod retry;
mod serve;
mod settle;
mod shared;
mod state;
mod tier;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use docmill_api::{Services, SourceItem, StageError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use build::{BuildError, Topology};
pub use memory::item_of;
pub use state::{StateError, StateLock};
pub use tier::child::serve as serve_stage_worker;
pub use tier::process::WorkerProgram;

use crate::control::Command;
use crate::ledger::Ledger;
use crate::monitor::{QueueSnapshot, Snapshot, StageCounters, StageSnapshot, Tally};
use node::{NodeRuntime, supervise};
use origin::Origin;
use shared::Shared;

/// What a run is told besides its plan.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Which program a child process is.
    pub worker: WorkerProgram,
    /// What is remembered of earlier runs; without it every document is done.
    pub ledger: Option<Arc<Ledger>>,
    /// Documents that replace what the sources list.
    pub inputs: Vec<String>,
    /// Documents that are taken in instead of what the sources list, each under the id of its source.
    pub given: Option<Vec<(String, SourceItem)>>,
    /// The model services that are open; with what earlier runs learned of them.
    pub services: Services,
    /// Whether documents that are no longer where a source looks lose their rows.
    pub prune: bool,
    /// Whether documents found inside others are left out: a rehearsal over a sample.
    pub alone: bool,
    /// Whether to keep what each document's caller is told.
    pub results: bool,
    /// Whether to note the longest poll of any task, for a test that the event loop is never blocked.
    pub watch_polls: bool,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum RunEnd {
    /// Every document that the sources list has come to an end.
    Completed,
    /// Told to; what was in hand is finished.
    Drained,
    /// Told to, or the time for draining was up: documents in hand are unfinished.
    Stopped,
    /// A stage said that nothing that follows could succeed.
    Fatal {
        /// Which stage.
        stage: String,
        /// What it said.
        error: StageError,
    },
}

/// A run under way.
pub struct RunHandle {
    commands: mpsc::Sender<Command>,
    view: View,
    finished: JoinHandle<RunEnd>,
}

/// What can be seen of a run, from anywhere and at any time.
#[derive(Clone)]
pub struct View {
    run: String,
    pipeline: String,
    started: chrono::DateTime<chrono::Utc>,
    began: Instant,
    shared: Arc<Shared>,
    stages: Arc<[Seen]>,
}

/// A stage as a snapshot sees it.
enum Seen {
    Source(Box<StageSnapshot>, Arc<StageCounters>),
    Node(Arc<NodeRuntime>),
}

/// How often a queue's length is sampled for its mean: 20 a second tell a full queue from an empty one within a second.
const SAMPLE: Duration = Duration::from_millis(50);

impl Topology {
    /// Starts every task.
    #[must_use]
    pub fn run(self) -> RunHandle {
        let stages = self.seen();
        let Self { plan, shared, intakes, nodes, stores } = self;
        let view = View {
            run: shared.run.clone(),
            pipeline: plan.name.clone(),
            started: shared.started,
            began: Instant::now(),
            shared: Arc::clone(&shared),
            stages,
        };
        let (commands, commanded) = mpsc::channel(16);
        let (all_ended, no_more) = oneshot::channel();
        let settling = shared.spawn(settle::settle(Arc::clone(&shared), stores, no_more));
        let mut widths = Vec::new();
        let mut tasks = Vec::new();
        for node in &nodes {
            let (set, changes) = mpsc::channel(16);
            widths.push((Arc::clone(&node.id), set));
            tasks.push(shared.spawn(supervise(Arc::clone(node), changes)));
        }
        shared.listing.store(intakes.len(), Relaxed);
        let doors = intakes.iter().map(|(intake, _)| (Arc::clone(&intake.id), Arc::clone(&intake.origin))).collect();
        for (intake, source) in intakes {
            tasks.push(shared.spawn(intake.run(source)));
        }
        let controller = tokio::spawn(control(Arc::clone(&shared), commanded, widths, doors, plan.run.drain));
        let sampler = tokio::spawn(sample(nodes));
        let pipeline = plan.name.clone();
        let finished = tokio::spawn(async move {
            for task in tasks {
                if let Err(error) = task.await {
                    shared.halt(&"engine".into(), StageError::fatal(format!("a task broke off: {error}")));
                }
            }
            let told = shared.closing.is_cancelled();
            let _ = all_ended.send(());
            if let Err(error) = settling.await {
                shared.halt(&"engine".into(), StageError::fatal(format!("settling broke off: {error}")));
            }
            if let Some(memory) = shared.memory.get()
                && let Err(error) = memory.note_run(&pipeline, Some(shared.counters.outcome())).await
            {
                shared.halt(&"engine".into(), error);
            }
            controller.abort();
            sampler.abort();
            match shared.fatal() {
                Some((stage, error)) => RunEnd::Fatal { stage: stage.to_string(), error },
                None if shared.board.is_aborted() => RunEnd::Stopped,
                None if told => RunEnd::Drained,
                None => RunEnd::Completed,
            }
        });
        RunHandle { commands, view, finished }
    }

    fn seen(&self) -> Arc<[Seen]> {
        let of = |id: &str| {
            let source = self.intakes.iter().find(|(intake, _)| &*intake.id == id).map(|(intake, _)| {
                let snapshot = StageSnapshot {
                    id: id.to_owned(),
                    kind: intake.plan.kind.clone(),
                    tier: intake.plan.tier.as_str().to_owned(),
                    width: 1,
                    ..StageSnapshot::default()
                };
                Seen::Source(Box::new(snapshot), Arc::clone(&intake.counters))
            });
            source.or_else(|| self.nodes.iter().find(|node| &*node.id == id).map(|node| Seen::Node(Arc::clone(node))))
        };
        self.plan.stages.iter().filter_map(|stage| of(&stage.id)).collect()
    }
}

async fn sample(nodes: Vec<Arc<NodeRuntime>>) {
    let mut tick = tokio::time::interval(SAMPLE);
    loop {
        tick.tick().await;
        for node in &nodes {
            node.counters.queue_sample(node.inlet.len());
        }
    }
}

/// Carries commands out.
async fn control(
    shared: Arc<Shared>,
    mut commands: mpsc::Receiver<Command>,
    widths: Vec<(Arc<str>, mpsc::Sender<usize>)>,
    doors: Vec<(Arc<str>, Arc<Origin>)>,
    drain: Duration,
) {
    let (mut until, mut open) = (None, true);
    loop {
        let time_is_up = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = time_is_up => shared.board.abort.cancel(),
            () = shared.winding_down.cancelled(), if until.is_none() => {
                until = Some(tokio::time::Instant::now() + drain);
            }
            command = commands.recv(), if open => match command {
                Some(Command::SetWidth { stage, width }) => {
                    if let Some((_, set)) = widths.iter().find(|(id, _)| **id == *stage) {
                        // A stage that has ended has no width to change.
                        let _ = set.send(width).await;
                    }
                }
                Some(Command::Retry { documents }) => retry(&shared, &doors, documents).await,
                Some(Command::Pause) => { shared.paused.send_replace(true); }
                Some(Command::Resume) => { shared.paused.send_replace(false); }
                Some(Command::Drain) => {
                    shared.closing.cancel();
                    until.get_or_insert(tokio::time::Instant::now() + drain);
                }
                Some(Command::Stop) => {
                    shared.closing.cancel();
                    shared.board.abort.cancel();
                }
                // Nobody can say more; a drain that is under way still has its limit.
                None => open = false,
            },
        }
        if shared.board.is_aborted() || (!open && until.is_none()) {
            break;
        }
    }
}

/// Has documents tried again: by this run where their source still takes documents in, otherwise by the next.
async fn retry(shared: &Shared, doors: &[(Arc<str>, Arc<Origin>)], documents: Vec<(String, SourceItem)>) {
    let Some(memory) = shared.memory.get() else { return };
    if let Err(error) = memory.reopen(documents.iter().map(|(_, item)| item)).await {
        return shared.halt(&"engine".into(), error);
    }
    for (source, item) in documents {
        let door = doors.iter().find(|(id, _)| **id == *source).or(doors.first());
        if let Some((_, door)) = door {
            // Where it is closed the document stays open in the ledger, which is what the next run looks at.
            let _ = door.find_from_outside(item);
        }
    }
}

impl RunHandle {
    /// Where commands go.
    #[must_use]
    pub fn commands(&self) -> mpsc::Sender<Command> {
        self.commands.clone()
    }

    /// What can be seen of it.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Waits for its end.
    pub async fn wait(self) -> RunEnd {
        let Self { commands, finished, view: _view } = self;
        let end = finished.await.unwrap_or_else(|error| RunEnd::Fatal {
            stage: "engine".into(),
            error: StageError::fatal(format!("the run broke off: {error}")),
        });
        drop(commands);
        end
    }
}

impl View {
    /// The run as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let counters = &self.shared.counters;
        let (memory_used, memory_peak) = self.shared.budget.used();
        let (documents, chunks, tokens, rows) =
            counters.tally(|tally| (tally.documents, tally.chunks, tally.tokens, tally.rows));
        Snapshot {
            run: self.run.clone(),
            pipeline: self.pipeline.clone(),
            started: self.started.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            seconds: self.began.elapsed().as_secs_f64(),
            listed: self.shared.listing.load(Relaxed) == 0,
            indexing: counters.indexing.load(Relaxed),
            paused: *self.shared.paused.borrow(),
            documents,
            bytes: counters.bytes.load(Relaxed),
            chunks,
            tokens,
            rows,
            memory_used,
            memory_peak,
            memory_budget: self.shared.budget.capacity(),
            stages: self.stages.iter().map(Seen::snapshot).collect(),
            services: self.shared.services.reports(),
        }
    }

    /// What became of the documents.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.counters.tally(|tally| tally.clone())
    }

    /// The longest poll of any task by CPU time, where polls are watched.
    #[must_use]
    pub fn longest_poll(&self) -> Duration {
        Duration::from_nanos(self.shared.counters.longest_poll.load(Relaxed))
    }
}

impl Seen {
    fn snapshot(&self) -> StageSnapshot {
        match self {
            Self::Source(snapshot, counters) => counters.snapshot((**snapshot).clone()),
            Self::Node(node) => node.counters.snapshot(StageSnapshot {
                id: node.id.to_string(),
                kind: node.plan.kind.clone(),
                tier: node.plan.tier.as_str().to_owned(),
                width: node.gate.width(),
                queue: QueueSnapshot {
                    capacity: node.inlet.capacity() as u64,
                    length: node.inlet.len() as u64,
                    ..QueueSnapshot::default()
                },
                ..StageSnapshot::default()
            }),
        }
    }
}
