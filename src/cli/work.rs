//! `docmill work`: the stages between a pipeline's sources and its store, for documents that another process hands out.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use docmill_api::{Paid, Registry, Services, StageError};
use tokio::sync::{mpsc, watch};

use super::ENVIRONMENT;
use super::carry_out::{Begun, Started, State, Work, carry_out};
use super::pipeline_args::{CONFIGURATION, PipelineArgs, refuse_usage};
use super::progress::Ui;
use crate::cluster::{self, Member, Worker};
use crate::control::Command;
use crate::monitor::{Snapshot, StageSnapshot, WorkerSnapshot, WorkerStage};
use crate::report::count;
use crate::runtime::{Outside, RunEnd};

/// Works for a pipeline that is shared by a queue.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill work                            for the pipeline.toml here, until Ctrl-C
  docmill work shared/pipeline.toml       for another one
  docmill work --at-once 16               more documents in hand: for stages that wait for a model

The pipeline file has the tables `[queue]` and `[blobs]`, and is the same as that of `docmill run` or `docmill serve`, which
hands out the documents, keeps the ledger and writes the store. A worker keeps nothing: it may be killed at any time, and
what it had in hand goes to another.")]
pub struct Args {
    /// A pipeline file [default: pipeline.toml in the current directory]
    #[arg(value_name = "PIPELINE")]
    positional: Option<PathBuf>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How progress is shown, on standard error
    #[arg(long, value_enum, default_value_t)]
    ui: Ui,
    /// How many documents it has in hand at most [default: twice the threads of the CPU pool and two, and up to 64 while documents are short]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    at_once: Option<u16>,
}

/// Works until it is told to end.
///
/// # Errors
/// The event loop cannot start, or `err` cannot be written.
pub fn run(args: &Args, registry: &Registry, err: &mut dyn Write) -> anyhow::Result<u8> {
    let pipeline = match args.pipeline.with_positional(args.positional.as_deref()) {
        Ok(pipeline) => pipeline,
        Err(message) => return refuse_usage(&message, err),
    };
    let Some(loaded) = pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    if let Err(unfit) = cluster::coordinator(&loaded.plan) {
        writeln!(err, "error: {unfit}")?;
        return Ok(CONFIGURATION);
    }
    let mut plan = cluster::worker_plan(&loaded.plan);
    let place = Place::make()?;
    plan.run.state = place.0.clone();
    let state = match State::open(&plan, true, err)? {
        Ok(state) => state,
        Err(code) => return Ok(code),
    };
    // The queue has an event loop of its own: it is there before the run and after it.
    let queue = super::event_loop()?;
    let worker = match queue.block_on(Worker::open(&plan, args.at_once.map(usize::from))) {
        Ok(worker) => worker,
        Err(error) => return complain(&error, err),
    };
    let (least, most) = (worker.places(), worker.most_places());
    let at_once = if most > least { format!("{least} to {most}") } else { least.to_string() };
    writeln!(err, "working: {at_once} documents at once; Ctrl-C to leave")?;
    let services = super::services::open(&plan);
    let work = Work {
        feed: Some(Arc::clone(&worker) as _),
        witness: Some(Arc::clone(&worker) as _),
        sink: Some(Outside(Arc::clone(&worker) as _)),
        paid: Paid::kept_in(worker.paid()),
        services: Some(services.clone()),
        begun: Some(take_part(Arc::clone(&worker), services)),
        passing: true,
        ..Work::default()
    };
    let ran = carry_out(plan, registry, &state, work, args.ui, err)?;
    queue.block_on(worker.leave());
    let ran = match ran {
        Ok(ran) => ran,
        Err(code) => return Ok(code),
    };
    if let Some(error) = worker.refused() {
        return complain(&error, err);
    }
    if let RunEnd::Fatal { stage, error } = &ran.end {
        writeln!(err, "error: stage `{stage}`: {error}")?;
        return Ok(ENVIRONMENT);
    }
    let counts = ran.view.tally().documents;
    writeln!(err, "left: {} documents worked on, {} given back", count(counts.seen), count(counts.unfinished))?;
    Ok(0)
}

fn complain(error: &StageError, err: &mut dyn Write) -> anyhow::Result<u8> {
    writeln!(err, "error: {error}")?;
    Ok(ENVIRONMENT)
}

/// Lets the worker take its part, and ends the run once it takes nothing any more.
fn take_part(worker: Arc<Worker>, services: Services) -> Begun {
    Box::new(move |started: Started| {
        let Started { view, commands, .. } = started;
        let member = Itself { worker: Arc::downgrade(&worker), published: view.published(), commands, services };
        let commands = member.commands.clone();
        worker.take_part(Arc::new(member));
        tokio::spawn(async move {
            worker.until_refused().await;
            let _ = commands.send(Command::Drain).await;
        });
        None
    })
}

/// What this process tells of itself, and does when it is told to.
struct Itself {
    /// Not held: it holds this.
    worker: Weak<Worker>,
    published: watch::Receiver<Arc<Snapshot>>,
    commands: mpsc::Sender<Command>,
    services: Services,
}

impl Member for Itself {
    fn told(&self) -> WorkerSnapshot {
        let now = Arc::clone(&self.published.borrow());
        let has_width = |stage: &&StageSnapshot| stage.role == "stage";
        let stage =
            |stage: &StageSnapshot| WorkerStage { id: stage.id.clone(), width: stage.width, busy: stage.now.busy };
        let (at_once, in_hand) = self.worker.upgrade().map_or((0, 0), |worker| (worker.places(), worker.in_hand()));
        WorkerSnapshot {
            at_once,
            in_hand,
            documents: now.documents.ended(),
            failed: now.documents.failed,
            documents_per_second: now.rates.documents,
            cpus_used: now.host.cpus_used,
            cpus: now.host.cpus,
            rss_bytes: now.host.rss_bytes + now.host.children_rss_bytes,
            stages: now.stages.iter().filter(has_width).map(stage).collect(),
            ..WorkerSnapshot::default()
        }
    }

    fn wanted(&self, stage: &str, width: usize) {
        let why = "for the workers of this pipeline".to_owned();
        let command = Command::SetWidth { stage: stage.to_owned(), width, by: "the coordinator".into(), why };
        // A run that has so much to obey already, or none, is told again by who asked.
        let _ = self.commands.try_send(command);
    }

    fn among(&self, workers: usize) {
        tracing::debug!(workers, "the limits of model services are shared");
        self.services.share_among(workers);
    }
}

/// A directory for what is under way, which goes with the process.
struct Place(PathBuf);

impl Place {
    fn make() -> std::io::Result<Self> {
        // Nobody else's, and nobody's before: documents are in it, and others may write to the directory it is in.
        let path = std::env::temp_dir().join(format!("docmill-worker-{:016x}", fastrand::u64(..)));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        if let Err(error) = std::fs::remove_dir_all(path) {
            tracing::warn!(%error, "`{}` stays", path.display());
        }
    }
}
