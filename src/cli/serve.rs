//! `docmill serve`: the pipeline as a service over HTTP.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use docmill_api::{CancellationToken, Registry, Services, SourceItem, StageError, async_trait};
use tokio::sync::OnceCell;

use super::carry_out::{Begun, Started, State, Work, carry_out};
use super::pipeline_args::{CONFIGURATION, PipelineArgs, refuse_usage};
use super::progress::Ui;
use super::tuner::rules;
use super::{ENVIRONMENT, open, services};
use crate::http::{Asked, Heard, KEY_VARIABLE, Keys, Questions, Queue, ServiceParts, Spool};
use crate::ledger;
use crate::monitor::RunState;
use crate::plan::{Plan, Role};
use crate::report::{count, printable};
use crate::runtime::{RunEnd, item_of};

/// How many may knock before they are let in; the system allows fewer where it is set so.
const BACKLOG: i32 = 4096;

/// How long requests that are being answered have once the run is over.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Offers a pipeline over HTTP: documents in, what became of them, search.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Documents come in by requests; the pipeline's source lists nothing. What was accepted is finished, also after a crash.

Examples:
  docmill serve                                     on http://127.0.0.1:8080, for this machine alone
  curl -F file=@report.pdf http://127.0.0.1:8080/v1/documents
  curl 'http://127.0.0.1:8080/v1/search?q=how+are+queues+bounded'
  DOCMILL_API_KEY=$(openssl rand -hex 24) docmill serve --listen 0.0.0.0:8080
  docmill top http://127.0.0.1:8080                 the dashboard, from anywhere

A browser finds a page at the address. `/openapi.json` describes every request; `[serve]` in pipeline.toml has the limits.")]
pub struct Args {
    /// A pipeline file [default: pipeline.toml in the current directory]
    #[arg(value_name = "PIPELINE")]
    positional: Option<PathBuf>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Where it listens, instead of `serve.listen`; port 0 for any that is free
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// How the run behind it is shown, on standard error
    #[arg(long, value_enum, default_value = "none")]
    ui: Ui,
    /// Records the run: snapshots and events as JSON lines
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Serves until it is told to end.
///
/// # Errors
/// The event loop cannot start, or `err` cannot be written.
pub fn run(args: &Args, registry: &Registry, err: &mut dyn Write) -> anyhow::Result<u8> {
    let pipeline = match args.pipeline.with_positional(args.positional.as_deref()) {
        Ok(pipeline) => pipeline,
        Err(message) => return refuse_usage(&message, err),
    };
    let Some(loaded) = pipeline.load_or_complain(registry, err)? else { return Ok(CONFIGURATION) };
    let mut plan = loaded.plan;
    plan.serve.listen = args.listen.unwrap_or(plan.serve.listen);
    let keys = match Keys::read(plan.serve.keys.as_deref()) {
        Ok(keys) => keys,
        Err(message) => return complain(&message, CONFIGURATION, err),
    };
    if let Some(message) = unfit(&plan, &keys) {
        return complain(&message, CONFIGURATION, err);
    }
    let listener = match listen(plan.serve.listen) {
        Ok(listener) => listener,
        Err(error) => {
            let message = format!(
                "cannot listen on {}: {error}\nhint: another program may; `--listen 127.0.0.1:0` takes a free port",
                plan.serve.listen
            );
            return complain(&message, ENVIRONMENT, err);
        }
    };
    let address = listener.local_addr()?;
    let state = match State::open(&plan, false, err)? {
        Ok(state) => state,
        Err(code) => return Ok(code),
    };
    let left = match super::event_loop()?.block_on(left(&state.ledger)) {
        Ok(left) => left,
        Err(error) => return complain(&error.to_string(), ENVIRONMENT, err),
    };
    let spool = match Spool::open(&plan.run.state, plan.serve.spool, plan.run.durability) {
        Ok(spool) => spool,
        Err(error) => return complain(&format!("the directory of uploads: {error}"), ENVIRONMENT, err),
    };
    tell(address, keys.is_empty(), left.len(), err)?;
    let queue = Queue::new(plan.serve.queue, left);
    let heard = Heard::new(Arc::clone(&spool));
    let drain = docmill_api::units::Span(plan.run.drain);
    let parts = Parts { plan: plan.clone(), registry: registry.clone(), keys, spool, heard: Arc::clone(&heard) };
    let work = Work {
        record: args.record.clone(),
        passing: true,
        begun: Some(parts.begin(listener, Arc::clone(&queue), Arc::clone(&state.ledger))),
        feed: Some(queue),
        witness: Some(heard),
        ..Work::default()
    };
    let ran = match carry_out(plan, registry, &state, work, args.ui, err)? {
        Ok(ran) => ran,
        Err(code) => return Ok(code),
    };
    match &ran.end {
        RunEnd::Fatal { stage, error } => {
            writeln!(err, "error: stage `{stage}`: {}", printable(&error.message))?;
            writeln!(err, "hint: mend it and start it again: what was accepted is finished then")?;
            Ok(ENVIRONMENT)
        }
        _ => {
            let counts = ran.view.tally().documents;
            let ended = counts.done + counts.unchanged + counts.skipped + counts.failed + counts.cancelled;
            writeln!(err, "ended: {} documents came to their ends, {} failed", count(ended), count(counts.failed))?;
            if counts.unfinished > 0 {
                writeln!(
                    err,
                    "{} were not finished within {drain}: the next start takes them up",
                    count(counts.unfinished)
                )?;
            }
            Ok(0)
        }
    }
}

fn complain(message: &str, code: u8, err: &mut dyn Write) -> anyhow::Result<u8> {
    writeln!(err, "error: {message}")?;
    Ok(code)
}

/// Why this pipeline cannot be served like this.
fn unfit(plan: &Plan, keys: &Keys) -> Option<String> {
    let address = plan.serve.listen;
    if keys.is_empty() && !address.ip().is_loopback() {
        return Some(format!(
            "{address} can be reached from other machines, and there is no key\n\
             hint: set `{KEY_VARIABLE}`, or `keys` in `[serve]`; or listen on 127.0.0.1"
        ));
    }
    let sources = plan.stages.iter().filter(|stage| stage.role == Role::Source).count();
    (sources == 0).then(|| "the pipeline has no source, in whose place documents would come in".to_owned())
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    // Many may knock at once; who waits is answered, and who finds no room to wait is told nothing.
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn tell(address: SocketAddr, open: bool, left: usize, err: &mut dyn Write) -> std::io::Result<()> {
    writeln!(err, "listening on http://{address}")?;
    if open {
        writeln!(err, "no key is set: whoever can reach this address may use it")?;
    }
    if left > 0 {
        writeln!(err, "{} documents that were accepted before are taken up", count(left as u64))?;
    }
    Ok(())
}

/// What an earlier process accepted and did not finish.
async fn left(ledger: &ledger::Ledger) -> Result<Vec<SourceItem>, ledger::LedgerError> {
    let (open, _) = ledger.list(Some(ledger::State::Unfinished), None, usize::MAX).await?;
    Ok(open.iter().map(item_of).collect())
}

/// What a service is made of before its run begins.
struct Parts {
    plan: Plan,
    registry: Registry,
    keys: Keys,
    spool: Arc<Spool>,
    heard: Arc<Heard>,
}

impl Parts {
    /// Serves once the run has begun, until it is over.
    fn begin(self, listener: TcpListener, queue: Arc<Queue>, ledger: Arc<ledger::Ledger>) -> Begun {
        Box::new(move |started: Started| {
            let intake = started.intake?;
            let closing = CancellationToken::new();
            let mut published = started.view.published();
            let (over, lines) = (closing.clone(), Arc::clone(&queue));
            tokio::spawn(async move {
                loop {
                    let state = published.borrow_and_update().state;
                    if state == RunState::Draining || state.is_over() {
                        lines.close();
                    }
                    if state.is_over() || published.changed().await.is_err() {
                        return over.cancel();
                    }
                }
            });
            let questions = Opened {
                services: services::open(&self.plan),
                plan: self.plan.clone(),
                registry: self.registry,
                opened: OnceCell::new(),
            };
            let parts = ServiceParts {
                settings: self.plan.serve,
                keys: self.keys,
                intake,
                queue,
                spool: self.spool,
                ledger,
                heard: self.heard,
                commands: started.commands,
                published: started.view.published(),
                alerts: rules(&self.plan.ui.alerts),
                questions: Arc::new(questions),
                connections: Arc::default(),
                metrics: Arc::default(),
            };
            Some(tokio::spawn(async move {
                let served = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => crate::http::serve(listener, parts, closing, LAST_ANSWERS).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = served {
                    tracing::error!(%error, "the service cannot be reached any more");
                }
            }))
        })
    }
}

/// The store and the model that questions go to, opened by the first.
struct Opened {
    plan: Plan,
    registry: Registry,
    services: Services,
    opened: OnceCell<Asked>,
}

#[async_trait]
impl Questions for Opened {
    async fn open(&self) -> Result<Asked, StageError> {
        let opened = self.opened.get_or_try_init(|| async {
            let (store, stage) = open::store(&self.plan, &self.registry).await?;
            let provider = open::provider_before(&self.plan, &self.registry, stage, &self.services).await?;
            Ok((store, provider))
        });
        opened.await.cloned()
    }
}
