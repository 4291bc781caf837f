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
//! | `door`, `told` | documents that are handed in while it runs; what is told of each |
//! | `node`, `serve`, `attempt`, `hand_on` | the loop around every stage; attempts, outcomes, handing on |
//! | `edge`, `gate`, `budget` | bounded channels, live width, memory |
//! | `retry`, `again` | patience, and where records wait for another attempt |
//! | `delivery`, `settle` | when a document is final, and what follows |
//! | `tier` | the CPU pool and child processes |
//! | `command`, `view` | what is said to a run, and what it shows |
//! | `memory`, `state` | what earlier runs left: the ledger, and the lock of the state directory |

mod again;
mod attempt;
mod budget;
mod build;
mod command;
mod delivery;
mod door;
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
mod room;
mod serve;
mod settle;
mod shared;
mod state;
mod tier;
mod told;
mod view;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use docmill_api::{Feed, Intake, Paid, Services, Sink, SourceItem, StageError, Witness};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

pub use crate::ledger::item_of;
pub use build::{BuildError, Topology};
pub use state::{StateError, StateLock};
pub use tier::child::serve as serve_stage_worker;
pub use tier::process::{STAGE_WORKER, WorkerProgram};
pub use view::View;

use crate::control::{Command, Pace};
use crate::ledger::Ledger;
use crate::monitor::Fleet;
use command::{Controller, Lever};
use node::supervise;

/// What a run is told besides its plan.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Which program a child process is.
    pub worker: WorkerProgram,
    /// What is remembered of earlier runs; without it every document is done.
    pub ledger: Option<Arc<Ledger>>,
    /// What model calls gave before, where that is not the ledger's.
    pub paid: Paid,
    /// Documents that replace what the sources list.
    pub inputs: Vec<String>,
    /// Documents that are taken in instead of what the sources list, each under the id of its source.
    pub given: Option<Vec<(String, SourceItem)>>,
    /// What gives documents that were handed in, instead of what the sources list.
    pub feed: Option<Arc<dyn Feed>>,
    /// What takes the rows, instead of the pipeline's stores.
    pub sink: Option<Outside>,
    /// Who hears what becomes of documents; then what each one's caller is told is kept in the ledger.
    pub witness: Option<Arc<dyn Witness>>,
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
    /// One permit for each document that may be under way at once; whoever holds some of them makes it fewer.
    pub places: Arc<Semaphore>,
    /// Who knows the workers on other machines, where there are some.
    pub fleet: Option<Workers>,
    /// When documents are taken in; as soon as there is room where nothing is said.
    pub pace: Option<Arc<dyn Pace>>,
}

impl RuntimeOptions {
    /// Those of a run that does what its plan says and remembers nothing: no ledger, the documents that the sources list,
    /// 16,384 of them under way at most.
    #[must_use]
    pub fn new(worker: WorkerProgram) -> Self {
        Self {
            worker,
            ledger: None,
            paid: Paid::default(),
            inputs: Vec::new(),
            given: None,
            feed: None,
            sink: None,
            witness: None,
            services: Services::default(),
            prune: false,
            alone: false,
            results: false,
            watch_polls: false,
            places: Arc::new(Semaphore::new(intake::IN_FLIGHT)),
            fleet: None,
            pace: None,
        }
    }
}

/// Who knows the workers on other machines.
#[derive(Clone)]
pub struct Workers(pub Arc<dyn Fleet>);

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Workers")
    }
}

/// A sink that stands for the pipeline's own.
#[derive(Clone)]
pub struct Outside(pub Arc<dyn Sink>);

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outside")
    }
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
    door: Option<Arc<dyn Intake>>,
    finished: JoinHandle<RunEnd>,
}

impl Topology {
    /// Starts every task.
    #[must_use]
    pub fn run(self) -> RunHandle {
        // Before anybody looks: a run that has begun has not listed all.
        self.shared.listing.store(self.intakes.len(), Relaxed);
        let (view, watch) = View::begin(&self);
        let Self { plan, shared, intakes, nodes, stores } = self;
        let (commands, commanded) = mpsc::channel(16);
        let (all_ended, no_more) = oneshot::channel();
        let settling = shared.spawn(settle::settle(Arc::clone(&shared), stores, no_more));
        let mut gates = Vec::new();
        let mut tasks = Vec::new();
        for node in &nodes {
            let (set, changes) = mpsc::channel(16);
            gates.push(Lever::new(node, set));
            tasks.push(shared.spawn(supervise(Arc::clone(node), changes)));
        }
        let door = intakes.first().map(|(intake, _)| door::of(intake));
        let doors = intakes.iter().map(|(intake, _)| (Arc::clone(&intake.id), Arc::clone(&intake.origin))).collect();
        for (intake, source) in intakes {
            tasks.push(shared.spawn(intake.run(source)));
        }
        let controller = Controller { shared: Arc::clone(&shared), gates, doors, drain: plan.run.drain };
        let controller = tokio::spawn(controller.carry_out(commanded));
        let queues = tokio::spawn(view::sample_queues(nodes));
        let sampler = watch.spawn(view.clone());
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
            queues.abort();
            let end = match shared.fatal() {
                Some((stage, error)) => RunEnd::Fatal { stage: stage.to_string(), error },
                None if shared.board.is_aborted() => RunEnd::Stopped,
                None if told => RunEnd::Drained,
                None => RunEnd::Completed,
            };
            shared.note_end(&end);
            sampler.finish().await;
            end
        });
        RunHandle { commands, view, door, finished }
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

    /// Where documents are handed in, for a [`Feed`] to give; `None` for a pipeline without a source.
    #[must_use]
    pub fn intake(&self) -> Option<Arc<dyn Intake>> {
        self.door.clone()
    }

    /// Waits for its end.
    pub async fn wait(self) -> RunEnd {
        let Self { commands, finished, door, view: _view } = self;
        let end = finished.await.unwrap_or_else(|error| RunEnd::Fatal {
            stage: "engine".into(),
            error: StageError::fatal(format!("the run broke off: {error}")),
        });
        drop((commands, door));
        end
    }
}
