//! `docmill top`: the dashboard of a run that another process carries out, here or behind an address, or of one that was
//! recorded.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Context;
use docmill_api::{Registry, SourceItem};
use tokio::signal::unix::{SignalKind, signal};

use super::ENVIRONMENT;
use super::dashboard::{Looks, Tuned, WidthFile, widths};
use super::failed::read;
use super::pipeline_args::{CONFIGURATION, PipelineArgs, refuse_usage};
use super::recorded;
use super::remote::{self, Remote};
use super::run::INTERRUPTED;
use super::socket::{self, Watched};
use crate::config::DEFAULT_FILE;
use crate::control::Command;
use crate::ledger::State;
use crate::monitor::Snapshot;
use crate::plan::{Plan, UiPlan};
use crate::runtime::item_of;
use crate::tui::{Ending, FileChange, Link, Options, Replay, Seat, ThemeName, close, picture};

/// Shows a run while it goes on in another process.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill top                          the run of the pipeline.toml here, in another terminal or in the background
  docmill top --read-only              the same, without keys that change anything
  docmill top http://host:8080         a service's run; a key, where it wants one, is read from DOCMILL_API_KEY
  docmill top --replay last            the last run, played again: left and right go back and forth, space stops
  docmill top --replay run.jsonl       a recording made with --record

`?` in the dashboard lists its keys. It leaves the run alone when it is left.")]
pub struct Args {
    /// A service's address: `docmill serve` there; no pipeline file is needed here
    #[arg(value_name = "URL", conflicts_with = "replay")]
    url: Option<String>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Plays a recording: a file, the beginning of a kept run's id, or `last`
    #[arg(long, value_name = "RUN")]
    replay: Option<String>,
    /// Only looks: no key changes the run or a file
    #[arg(long)]
    read_only: bool,
    /// Draws one moment of the recording as SVG to standard output instead of playing it
    #[arg(long, requires = "replay", value_name = "SECONDS")]
    picture: Option<f64>,
    /// The picture's size in columns and rows
    #[arg(long, requires = "picture", value_name = "COLUMNSxROWS", default_value = "120x40", value_parser = size)]
    size: (u16, u16),
    /// The stage that is selected in the picture
    #[arg(long, requires = "picture", value_name = "STAGE")]
    select: Option<String>,
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let parts = text.split_once('x').and_then(|(columns, rows)| Some((columns.parse().ok()?, rows.parse().ok()?)));
    let fits = |size: &(u16, u16)| (1..=500).contains(&size.0) && (1..=200).contains(&size.1);
    parts.filter(fits).ok_or_else(|| format!("`{text}` is no size such as 120x40"))
}

/// Shows the run.
///
/// # Errors
/// The terminal or a file fails.
pub fn run(args: &Args, registry: &Registry, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    if let Some(url) = &args.url {
        return service(url, args, registry, err);
    }
    let Some(loaded) = args.pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let plan = loaded.plan;
    let looks = match Looks::of(&plan.ui) {
        Ok(looks) => looks,
        Err(message) => return complain(&message, CONFIGURATION, err),
    };
    let mut tuned = Tuned::of(plan.run.cpu_threads, &plan.ui.alerts);
    if args.picture.is_none() && !std::io::stderr().is_terminal() {
        return refuse_usage(NO_TERMINAL, err);
    }
    let widths = widths(&plan);
    let options = Options { seat: Seat::Visitor, read_only: args.read_only, stay: true, widths, ..Options::default() };
    let ended = match &args.replay {
        Some(name) => {
            let recording = match recorded::read(name, &args.pipeline, registry) {
                Ok(recording) => recording,
                Err(error) => return complain(&error.to_string(), ENVIRONMENT, err),
            };
            if let Some(at) = args.picture {
                let select = args.select.as_deref();
                let svg = picture(&recording, &mut tuned, (at, select), args.size, ThemeName::Dark);
                out.write_all(svg.as_bytes())?;
                return Ok(0);
            }
            restore_on_signals().context("cannot listen for signals")?;
            looks.show(&mut Replay::new(recording), &mut tuned, options)
        }
        None => match Elsewhere::watch(plan) {
            Ok(mut run) => {
                restore_on_signals().context("cannot listen for signals")?;
                looks.show(&mut run, &mut tuned, options)
            }
            Err(message) => return complain(&message, ENVIRONMENT, err),
        },
    };
    tell(ended, err)
}

const NO_TERMINAL: &str =
    "the dashboard needs a terminal on standard error; `docmill report` tells of a run without one";

/// Shows the run of a service.
fn service(url: &str, args: &Args, registry: &Registry, err: &mut dyn Write) -> anyhow::Result<u8> {
    let address = match remote::address(url) {
        Ok(address) => address,
        Err(message) => return refuse_usage(&message, err),
    };
    let Some(ui) = ui_here(args, registry, err)? else { return Ok(CONFIGURATION) };
    let looks = match Looks::of(&ui) {
        Ok(looks) => looks,
        Err(message) => return complain(&message, CONFIGURATION, err),
    };
    let key = std::env::var(remote::KEY).ok().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
    let mut run = match Remote::watch(&address, key.as_deref()) {
        Ok(run) => run,
        Err(message) => return complain(&message, ENVIRONMENT, err),
    };
    if !std::io::stderr().is_terminal() {
        return refuse_usage(NO_TERMINAL, err);
    }
    if key.is_some() && remote::is_open(&address) {
        tracing::warn!("the key goes over the network unencrypted: an `https://` address keeps it secret");
    }
    // Of the machine that the run is on, not of this one.
    let mut tuned = Tuned::of(run.cpus(), &ui.alerts);
    let options = Options { seat: Seat::Visitor, read_only: args.read_only, stay: true, ..Options::default() };
    restore_on_signals().context("cannot listen for signals")?;
    tell(looks.show(&mut run, &mut tuned, options), err)
}

/// How the dashboard looks here: as the pipeline says that is named, or that lies here; as usual where there is none. One
/// that only lies here and has errors is no reason not to look at a service.
fn ui_here(args: &Args, registry: &Registry, err: &mut dyn Write) -> anyhow::Result<Option<UiPlan>> {
    if args.pipeline.pipeline.is_some() || !args.pipeline.set.is_empty() {
        return Ok(args.pipeline.load_or_complain(registry, err)?.map(|loaded| loaded.plan.ui));
    }
    if !Path::new(DEFAULT_FILE).exists() {
        return Ok(Some(UiPlan::default()));
    }
    Ok(Some(match args.pipeline.load(registry) {
        Ok(loaded) => loaded.plan.ui,
        Err(_) => {
            writeln!(err, "warning: `{DEFAULT_FILE}` has errors, so that its `[ui]` is not looked at")?;
            UiPlan::default()
        }
    }))
}

/// Says how a dashboard ended.
fn tell(ended: std::io::Result<Ending>, err: &mut dyn Write) -> anyhow::Result<u8> {
    let ending = match ended {
        // Told to end.
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(INTERRUPTED),
        ended => ended.context("the dashboard has ended")?,
    };
    if let Some(screen) = ending.screen {
        write!(err, "{screen}")?;
    }
    Ok(0)
}

/// Has the terminal given back when this process is told to end, which the dashboard then notices.
fn restore_on_signals() -> std::io::Result<()> {
    let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _entered = event_loop.enter();
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal)
    };
    if let Some(error) = signals.iter_mut().find_map(|one| one.as_mut().err()) {
        return Err(std::io::Error::new(error.kind(), error.to_string()));
    }
    let waits = move || {
        let next = signals.iter_mut().flatten().map(|signal| Box::pin(signal.recv()));
        event_loop.block_on(futures::future::select_all(next));
        close();
    };
    thread::Builder::new().name("signals".into()).spawn(waits).map(drop)
}

fn complain(message: &str, code: u8, err: &mut dyn Write) -> anyhow::Result<u8> {
    writeln!(err, "error: {message}")?;
    Ok(code)
}

/// A run of another process. A thread reads what it sends, so that the newest is at hand whenever it is asked for.
struct Elsewhere {
    plan: Plan,
    latest: Arc<Mutex<Arc<Snapshot>>>,
    live: Arc<AtomicBool>,
    file: WidthFile,
}

impl Elsewhere {
    fn watch(plan: Plan) -> Result<Self, String> {
        let nobody = |error: std::io::Error| {
            let state = plan.run.state.display();
            format!(
                "no run is under way on the state directory `{state}` ({error})\n\
                 hint: start one with `docmill run`, or look at the last with `docmill top --replay last`"
            )
        };
        let mut watched = Watched::begin(&plan.run.state).map_err(nobody)?;
        let first = watched.next().map_err(nobody)?.unwrap_or_default();
        let (latest, live) = (Arc::new(Mutex::new(Arc::new(first))), Arc::new(AtomicBool::new(true)));
        let (store, ends) = (Arc::clone(&latest), Arc::clone(&live));
        let reads = move || {
            while let Ok(Some(snapshot)) = watched.next() {
                *store.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
            }
            ends.store(false, Ordering::Relaxed);
        };
        thread::Builder::new().name("watched".into()).spawn(reads).map_err(|error| format!("no thread: {error}"))?;
        let file = WidthFile::of(&plan);
        Ok(Self { plan, latest, live, file })
    }

    fn state(&self) -> &Path {
        &self.plan.run.state
    }
}

impl Link for Elsewhere {
    fn latest(&mut self) -> Arc<Snapshot> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn send(&mut self, command: Command) -> Result<(), String> {
        socket::tell(self.state(), &command).map_err(|error| format!("the run cannot be told: {error}"))
    }

    fn propose(&mut self, widths: &[(String, usize)]) -> Result<FileChange, String> {
        self.file.propose(widths)
    }

    fn write(&mut self, change: &FileChange) -> Result<(), String> {
        self.file.write(change)
    }

    fn retry_failed(&mut self, stage: &str) -> Result<usize, String> {
        let listed = read(&self.plan, Some(State::Failed), None, usize::MAX).map_err(|error| error.to_string())?;
        let (failed, _) = listed.map_err(|error| error.to_string())?;
        let of_stage = failed.iter().filter(|entry| entry.stage == stage);
        let documents: Vec<(String, SourceItem)> =
            of_stage.map(|entry| (entry.source.clone(), item_of(entry))).collect();
        let count = documents.len();
        if count > 0 {
            self.send(Command::Retry { documents })?;
        }
        Ok(count)
    }

    fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::pipeline_args::testing::{registry, run_with};
    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    fn top(line: &[&str]) -> (u8, String) {
        let args = Program::try_parse_from([&["top"], line].concat()).expect("a line that can be").args;
        let (code, out, err) = run_with(|out, err| run(&args, &registry(), out, err));
        assert_eq!(out, "");
        (code, err)
    }

    #[test]
    fn what_is_no_address_is_a_usage_and_where_nobody_answers_an_environment() {
        let (code, err) = top(&["localhost:8080"]);
        assert_eq!(code, 2);
        assert!(err.contains("`localhost:8080` is no address of a service"), "{err}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        drop(listener);
        let (code, err) = top(&[&url]);
        assert_eq!(code, ENVIRONMENT);
        assert!(err.contains("error: no service at") && err.contains("\nhint: "), "{err}");
        assert!(Program::try_parse_from(["top", &url, "--replay", "last"]).is_err());
    }
}
