//! Carries a run out for a command: opens what it needs, shows it, listens to signals and to other commands, and tells how
//! it ended.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use docmill_api::{Feed, Intake, Paid, Registry, Services, Several, SourceItem, StageError, Witness};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::ENVIRONMENT;
use super::dashboard::{Dashboard, Looks, Shown};
use super::pipeline_args::{CONFIGURATION, USAGE};
use super::progress::{Progress, Ui};
use super::recorder::Records;
use super::services;
use super::socket::Socket;
use super::tuner::Tuner;
use crate::cluster;
use crate::control::{Command, Pace};
use crate::ledger::Ledger;
use crate::monitor::HostUse;
use crate::otlp::{self, Exporter};
use crate::plan::Plan;
use crate::report::Report;
use crate::runtime::{
    BuildError, Outside, RunEnd, RunHandle, RuntimeOptions, StateLock, Topology, View, WorkerProgram, Workers,
};

/// The state directory in the hands of this process, which is the one that writes it.
pub(super) struct State {
    _lock: StateLock,
    pub(super) ledger: Arc<Ledger>,
}

impl State {
    /// Opens it, or says on `err` why not and gives the exit code.
    ///
    /// # Errors
    /// `err` cannot be written.
    pub(super) fn open(plan: &Plan, fresh: bool, err: &mut dyn Write) -> anyhow::Result<Result<Self, u8>> {
        let lock = match StateLock::take(&plan.run.state) {
            Ok(lock) => lock,
            Err(error) => {
                writeln!(err, "error: {error}")?;
                return Ok(Err(ENVIRONMENT));
            }
        };
        match Ledger::open_for(&ledger_file(plan), fresh, plan.run.durability) {
            Ok(ledger) => Ok(Ok(Self { _lock: lock, ledger: Arc::new(ledger) })),
            Err(error) => {
                writeln!(err, "error: {error}")?;
                writeln!(
                    err,
                    "hint: a full or read-only disk? then mend that and run again; a ledger that is broken is moved away, \
                     and every document done again"
                )?;
                Ok(Err(ENVIRONMENT))
            }
        }
    }
}

/// Where a pipeline's ledger is.
pub(super) fn ledger_file(plan: &Plan) -> PathBuf {
    plan.run.state.join("ledger.db")
}

/// Which documents a run is over, and what it does with them.
#[derive(Default)]
pub(super) struct Work {
    pub(super) inputs: Vec<String>,
    pub(super) given: Option<Vec<(String, SourceItem)>>,
    pub(super) prune: bool,
    pub(super) results: bool,
    /// Where the run is recorded besides its state directory.
    pub(super) record: Option<PathBuf>,
    /// The state directory whose runs it is kept with, where that is not its own.
    pub(super) kept_in: Option<PathBuf>,
    /// Whether the dashboard stays when the run has come to its end, until its user leaves it.
    pub(super) stays: bool,
    /// How many are under way at once, where it is not left to the runtime.
    pub(super) places: Option<Arc<Semaphore>>,
    /// When they are taken in.
    pub(super) pace: Option<Arc<dyn Pace>>,
    /// Told on the event loop that the run has begun.
    pub(super) begun: Option<Begun>,
    /// What gives documents in place of the sources.
    pub(super) feed: Option<Arc<dyn Feed>>,
    /// What takes the rows in place of the stores: it is a worker, which remembers nothing.
    pub(super) sink: Option<Outside>,
    /// Who hears what becomes of documents.
    pub(super) witness: Option<Arc<dyn Witness>>,
    /// What model calls gave before, where that is not in the ledger.
    pub(super) paid: Paid,
    /// The model services that it begins with, where somebody else has to do with them as well.
    pub(super) services: Option<Services>,
    /// Whether it is not kept with the last runs: it may go on for months.
    pub(super) passing: bool,
}

/// What is done once a run has begun; what it gives is waited for, for a moment, when the run is over.
pub(super) type Begun = Box<dyn FnOnce(Started) -> Option<JoinHandle<()>> + Send>;

/// A run that has begun.
pub(super) struct Started {
    pub(super) view: View,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) intake: Option<Arc<dyn Intake>>,
}

/// How long what goes on beside a run has after its end.
const AFTERWARDS: std::time::Duration = std::time::Duration::from_secs(10);

/// Runs a pipeline to its end, or says on `err` what this machine lacks and gives the exit code.
///
/// # Errors
/// The event loop cannot start, or `err` cannot be written.
pub(super) fn carry_out(
    plan: Plan,
    registry: &Registry,
    state: &State,
    work: Work,
    ui: Ui,
    err: &mut dyn Write,
) -> anyhow::Result<Result<Ran, u8>> {
    let looks = match looks(&plan, ui) {
        Ok(looks) => looks,
        Err((message, code)) => {
            writeln!(err, "error: {message}")?;
            return Ok(Err(code));
        }
    };
    let traces = match traces() {
        Ok(traces) => traces,
        Err(message) => {
            writeln!(err, "error: {message}")?;
            return Ok(Err(CONFIGURATION));
        }
    };
    let witnesses = work.witness.into_iter().chain(traces.clone().map(|traces| traces as Arc<dyn Witness>));
    let services = work.services.unwrap_or_else(|| services::open(&plan));
    let records = if work.passing {
        Records::passing(work.record.as_deref())
    } else {
        Records::open(work.kept_in.as_deref().unwrap_or(&plan.run.state), work.record.as_deref())
    }?;
    let worker = WorkerProgram::current().context("cannot tell which program is running")?;
    let mut registry = registry.clone();
    let plan = match &plan.cluster {
        Some(_) if work.sink.is_none() => match cluster::coordinator(&plan) {
            Ok(cut) => {
                cluster::stages(&mut registry);
                cut
            }
            Err(unfit) => {
                writeln!(err, "error: {unfit}")?;
                return Ok(Err(CONFIGURATION));
            }
        },
        _ => plan,
    };
    let mut options = RuntimeOptions {
        services: services.clone(),
        // A worker is asked by who knows what is to be done, and takes in nothing of its own.
        ledger: work.sink.is_none().then(|| Arc::clone(&state.ledger)),
        paid: work.paid,
        alone: work.sink.is_some(),
        inputs: work.inputs,
        given: work.given,
        prune: work.prune,
        results: work.results,
        feed: work.feed,
        sink: work.sink,
        witness: Several::of(witnesses.collect()),
        pace: work.pace,
        ..RuntimeOptions::new(worker)
    };
    if let Some(places) = work.places {
        options.places = places;
    }
    let event_loop = super::event_loop().context("cannot start the event loop")?;
    if let Some(cluster) = plan.cluster.as_ref().filter(|_| options.sink.is_none()) {
        let _within = event_loop.enter();
        options.fleet = Some(Workers(cluster::Watch::start(cluster)));
    }
    let state = plan.run.state.clone();
    let beside = (records, work.begun, traces);
    let ran = event_loop.block_on(execute(plan, &registry, &options, (ui, looks, work.stays), beside));
    services::keep(&state, &services);
    // What still blocks a thread (a step that ran out of time) is not waited for.
    event_loop.shutdown_background();
    match ran {
        Ok(ran) => Ok(Ok(ran)),
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(Err(ENVIRONMENT))
        }
    }
}

/// A run that has ended.
pub(super) struct Ran {
    pub(super) end: RunEnd,
    pub(super) view: View,
    pub(super) host: HostUse,
}

impl Ran {
    /// Its report, with what became of every document where that is wanted.
    pub(super) fn report(&self, results: bool) -> Report {
        // The last that was published knows the machine as well: whether CPUs were short is read off it.
        let published = Arc::clone(&self.view.published().borrow());
        let last = if published.state.is_over() { (*published).clone() } else { self.view.snapshot() };
        Report::new(&last, self.view.tally(), self.host, results)
    }
}

/// How long the last traces may take to be sent.
const LAST_TRACES: std::time::Duration = std::time::Duration::from_secs(5);

/// Who sends traces, where the environment names a collector.
fn traces() -> Result<Option<Arc<Exporter>>, String> {
    let settings =
        otlp::Settings::from_variables(|name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
    let exporter = settings.map(Exporter::start).transpose();
    exporter.map(|exporter| exporter.map(Arc::new)).map_err(|error| format!("traces cannot be sent: {error}"))
}

/// How long those who watch by the socket have to take the last snapshot.
const LAST_LOOK: std::time::Duration = std::time::Duration::from_millis(200);

/// How the dashboard looks, where there is to be one; or why there cannot be, with the exit code.
fn looks(plan: &Plan, ui: Ui) -> Result<Option<Looks>, (String, u8)> {
    if ui != Ui::Tui {
        return Ok(None);
    }
    if !std::io::stderr().is_terminal() {
        return Err(("`--ui tui` needs a terminal on standard error; `--ui plain` does without".to_owned(), USAGE));
    }
    Looks::of(&plan.ui).map(Some).map_err(|message| (message, CONFIGURATION))
}

async fn execute(
    plan: Plan,
    registry: &Registry,
    options: &RuntimeOptions,
    (ui, looks, stays): (Ui, Option<Looks>, bool),
    (records, begun, traces): (Records, Option<Begun>, Option<Arc<Exporter>>),
) -> Result<Ran, BuildError> {
    let drain = docmill_api::units::Span(plan.run.drain);
    let mut tuner = Tuner::new(&plan);
    // Before any work, so that no signal finds nobody listening.
    let mut interrupts = Interrupts::listen()?;
    let mut progress = Progress::new(ui);
    let socket = Socket::bind(&plan.run.state);
    if let Err(error) = &socket {
        tracing::warn!(%error, "no control socket: other commands cannot reach this run");
    }
    let of_plan = plan.clone();
    let topology = tokio::select! {
        topology = Topology::build(plan, registry, options) => topology?,
        () = interrupts.next() => {
            return Err(BuildError { stage: "run".into(), error: StageError::fatal("interrupted before any work") });
        }
    };
    let handle = topology.run();
    let view = handle.view();
    let commands = handle.commands();
    if let Some(traces) = &traces {
        traces.begin(&view.snapshot().run);
    }
    let beside_it = begun
        .and_then(|begun| begun(Started { view: view.clone(), commands: commands.clone(), intake: handle.intake() }));
    let published = view.published();
    let recording = records.follow(&view.snapshot().run, published.clone());
    if let (Some(looks), Some(ledger)) = (looks, &options.ledger) {
        let shown = Shown { plan: &of_plan, view: &view, commands: &commands, ledger };
        let dashboard = Dashboard::start(looks, &shown, stays).map_err(|error| BuildError {
            stage: "run".into(),
            error: StageError::fatal(format!("no thread for the dashboard: {error}")),
        })?;
        progress.show_by(dashboard);
    }
    let told = async {
        match &socket {
            Ok(socket) => socket.serve(&commands, &published).await,
            Err(_) => std::future::pending().await,
        }
    };
    let mut beside = Box::pin(futures::future::join(tuner.tune(&published, &commands), told));
    let end = tokio::select! {
        end = follow(handle, &view, &commands, &mut progress, (&mut interrupts, drain)) => end,
        _ = &mut beside => {
            let error = StageError::fatal("what goes on beside the run has ended before it");
            return Err(BuildError { stage: "run".into(), error });
        }
    };
    if socket.as_ref().is_ok_and(Socket::is_busy) {
        let _ = tokio::time::timeout(LAST_LOOK, &mut beside).await;
    }
    // Whoever comes while the dashboard still stands is told at once that nobody runs.
    drop(beside);
    drop(socket);
    if let Some(beside_it) = beside_it {
        // It has a bound of its own; should that not hold, this one does.
        let _ = tokio::time::timeout(AFTERWARDS, beside_it).await;
    }
    if let Some(traces) = &traces {
        let sent = traces.finish(LAST_TRACES).await;
        tracing::info!(?sent, "traces");
    }
    let host = progress.used(&view);
    let ran = Ran { end, view, host };
    recording.finish(&ran.report(false));
    if stays && matches!(ran.end, RunEnd::Completed) {
        tokio::select! {
            () = progress.linger() => {}
            () = interrupts.next() => {}
        }
    }
    progress.finish();
    Ok(ran)
}

async fn follow(
    handle: RunHandle,
    view: &View,
    commands: &mpsc::Sender<Command>,
    progress: &mut Progress,
    (interrupts, drain): (&mut Interrupts, docmill_api::units::Span),
) -> RunEnd {
    let ended = handle.wait();
    tokio::pin!(ended);
    let mut times = 0;
    loop {
        tokio::select! {
            biased;
            end = &mut ended => return end,
            () = interrupts.next() => {
                times += 1;
                let (command, sentence) = if times == 1 {
                    (Command::Drain, format!("stopping: finishing what is in hand, {drain} at most; once more to stop now"))
                } else {
                    (Command::Stop, "stopping now".to_owned())
                };
                progress.say(&sentence);
                // A run that has just ended takes no command, and needs none.
                let _ = commands.send(command).await;
            }
            () = progress.follow(view) => {}
        }
    }
}

/// Ctrl-C and requests to end, listened to from the start so that none is lost between two waits.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn listen() -> Result<Self, BuildError> {
        let listen = |kind| {
            signal(kind).map_err(|error| BuildError {
                stage: "run".into(),
                error: StageError::fatal(format!("cannot listen for signals: {error}")),
            })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
