//! `docmill run`: documents in, rows out, a report at the end.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use docmill_api::{Registry, StageError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::ENVIRONMENT;
use super::pipeline_args::{CONFIGURATION, Format, PipelineArgs};
use super::progress::{Progress, Ui};
use crate::control::Command;
use crate::monitor::HostUse;
use crate::plan::Plan;
use crate::report::{Report, render};
use crate::runtime::{BuildError, RunEnd, RunHandle, RuntimeOptions, StateLock, Topology, View, WorkerProgram};

/// The exit code of a run that was interrupted; what it left can be taken up again.
const INTERRUPTED: u8 = 130;
/// The exit code of a run in which more documents failed than were allowed.
const FAILED: u8 = 1;

/// Runs a pipeline.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill run                              the pipeline.toml here
  docmill run docs/ notes.md               its stages, over these files and directories
  docmill run other.toml 'papers/*.pdf'    another pipeline, over a glob
  docmill run --set stages.embed.width=8   with a value changed
  docmill run --format json | jq .documents")]
pub struct Args {
    /// A pipeline file, where the first ends in `.toml`; all others are documents that replace what the source lists
    #[arg(value_name = "PIPELINE | INPUT")]
    pub positionals: Vec<String>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// How progress is shown, on standard error
    #[arg(long, value_enum, default_value_t)]
    ui: Ui,
    /// How the report is printed, on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Writes the report as JSON to a file as well
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Adds to the JSON report what became of every document
    #[arg(long)]
    results: bool,
    /// How many documents may fail before the exit code is 1; it never stops the run
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_failed: u64,
}

/// Runs the pipeline and writes its report to `out`.
///
/// # Errors
/// The event loop cannot start, or a report cannot be written.
pub fn run(mut args: Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    args.pipeline.take_from(&mut args.positionals);
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    if let Some(path) = &args.report {
        // Before the work: a report that cannot be written is not to be found out after a night.
        std::fs::File::create(path).with_context(|| format!("cannot write the report `{}`", path.display()))?;
    }
    let _lock = match StateLock::take(&loaded.plan.run.state) {
        Ok(lock) => lock,
        Err(error) => {
            writeln!(err, "error: {error}")?;
            return Ok(ENVIRONMENT);
        }
    };
    let options = RuntimeOptions {
        worker: WorkerProgram::current().context("cannot tell which program is running")?,
        inputs: args.positionals.clone(),
        results: args.results,
        watch_polls: false,
    };
    let event_loop = super::event_loop().context("cannot start the event loop")?;
    let ran = event_loop.block_on(execute(loaded.plan, registry, &options, args.ui));
    // What still blocks a thread (a step that ran out of time) is not waited for.
    event_loop.shutdown_background();
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) => {
            writeln!(err, "error: {error}")?;
            return Ok(ENVIRONMENT);
        }
    };
    if ran.view.snapshot().documents.seen == 0 && matches!(ran.end, RunEnd::Completed) {
        writeln!(err, "warning: nothing to do: the source listed no document")?;
    }
    let report = Report::new(&ran.view.snapshot(), ran.view.tally(), ran.host, args.results);
    print(&report, &args, out)?;
    exit_code(&ran.end, &report, args.max_failed, err)
}

struct Ran {
    end: RunEnd,
    view: View,
    host: HostUse,
}

async fn execute(plan: Plan, registry: &Registry, options: &RuntimeOptions, ui: Ui) -> Result<Ran, BuildError> {
    let drain = docmill_api::units::Span(plan.run.drain);
    // Before any work, so that no signal finds nobody listening.
    let mut interrupts = Interrupts::listen()?;
    let mut progress = Progress::new(ui);
    let topology = tokio::select! {
        topology = Topology::build(plan, registry, options) => topology?,
        () = interrupts.next() => {
            return Err(BuildError { stage: "run".into(), error: StageError::fatal("interrupted before any work") });
        }
    };
    let handle = topology.run();
    let view = handle.view();
    let commands = handle.commands();
    let end = follow(handle, &view, &commands, &mut progress, (&mut interrupts, drain)).await;
    Ok(Ran { end, view, host: progress.finish() })
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

fn print(report: &Report, args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.format {
        Format::Text => write!(out, "{}", render(report))?,
        Format::Json => {
            serde_json::to_writer(&mut *out, report)?;
            writeln!(out)?;
        }
    }
    // Last: where the file fails, the report has been shown.
    args.report.as_deref().map_or(Ok(()), |path| write_report(report, path))
}

fn write_report(report: &Report, path: &Path) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    std::fs::write(path, json + "\n").with_context(|| format!("cannot write the report `{}`", path.display()))
}

fn exit_code(end: &RunEnd, report: &Report, max_failed: u64, err: &mut dyn Write) -> anyhow::Result<u8> {
    Ok(match end {
        RunEnd::Fatal { stage, error } => {
            writeln!(err, "error: stage `{stage}`: {error}")?;
            writeln!(err, "hint: mend it and run the same command again: what is stored stays")?;
            ENVIRONMENT
        }
        RunEnd::Drained | RunEnd::Stopped => {
            writeln!(
                err,
                "interrupted: {} documents unfinished; the same command takes them up, with what was not listed yet",
                report.documents.unfinished
            )?;
            INTERRUPTED
        }
        RunEnd::Completed if report.documents.failed > max_failed => FAILED,
        RunEnd::Completed => 0,
    })
}
