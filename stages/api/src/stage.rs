//! The four traits that a stage author chooses from, and the enum whose variant is the tier.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use crate::{Context, Document, Outputs, Record, SourceItem, StageError, Step, StepContext, Work};

/// Lists documents.
///
/// The engine asks for the next item only when there is room for it: a source needs no queue of its own. Listing that
/// blocks (a directory walk) goes through `tokio::task::spawn_blocking`.
#[async_trait]
pub trait Source: Send {
    /// The next document, or `None` after the last.
    ///
    /// The future may be dropped and the call made again, when a document was found inside another meanwhile: what was
    /// under way is kept in `self`, so that no item is lost.
    ///
    /// # Errors
    /// `Transient` is retried; anything else ends the run with what was listed so far. One item that cannot be read is
    /// no error here: list it, and let the stage that reads it say so.
    async fn next(&mut self, cx: &Context) -> Result<Option<SourceItem>, StageError>;

    /// Whether the next document may be long in coming though nothing is wrong: a directory that is watched, a pipe
    /// whose writer pauses. The engine puts no timeout on listing then, and lets the store build its indexes whenever
    /// there is nothing else to do.
    fn waits(&self) -> bool {
        false
    }

    /// Whether the listing, which has come to its end, would have named the document at this address, were it there: only
    /// then a document that an earlier run listed can be told to be gone (`--prune`). No, unless the source says so; and
    /// no where part of the listing failed.
    fn covers(&self, _uri: &str) -> bool {
        false
    }
}

/// A stage that waits: on network, disk or a model. Runs on the event loop, so it must not compute for long.
///
/// Implement [`Stage::process`]; or, where the other side takes batches, [`Stage::process_batch`] with
/// `batch` in the spec.
#[async_trait]
pub trait Stage: Send + Sync {
    /// Turns one record into others.
    ///
    /// Wrong, because it hides a failure from the engine, which would have retried it:
    /// ```text
    /// let page = match fetch(&url).await { Ok(page) => page, Err(_) => return Ok(Outputs::new()) };
    /// ```
    /// Right: `let page = fetch(&url).await.map_err(|error| StageError::transient(error.to_string()))?;`
    ///
    /// # Errors
    /// See [`crate::ErrorClass`]. Retry, backoff and timeout are the engine's.
    async fn process(&self, cx: &Context, input: Record) -> Result<Outputs, StageError>;

    /// Turns a batch into one outcome per item, of the same length and in the same order.
    async fn process_batch(&self, cx: &Context, inputs: Vec<Record>) -> Vec<Result<Outputs, StageError>> {
        let mut outcomes = Vec::with_capacity(inputs.len());
        for input in inputs {
            outcomes.push(self.process(cx, input).await);
        }
        outcomes
    }
}

/// A stage that computes. Runs on the bounded CPU pool, or in child processes with `isolation = "process"`.
///
/// It is synchronous, so that blocking work cannot end up on the event loop. It never waits: not on a channel, not on
/// a lock held over a step, not on work of its own in the pool. What it has to load it loads when it is built: a child
/// process may then read no file, open no connection and start no program.
pub trait CpuStage: Send + Sync {
    /// Computes what the first record would wait for otherwise, such as the tables of a vocabulary. Called in the pool, at the
    /// most once, while a run's first documents are still on their way; records may come meanwhile, and a stage works
    /// without it too. Nothing, unless the stage says so.
    fn warm_up(&self) {}

    /// Begins the work on one record. Cheap: the work itself belongs in the steps.
    ///
    /// # Errors
    /// The document fails with it.
    fn open(&self, cx: &StepContext, input: Record) -> Result<Box<dyn Work>, StageError>;

    /// Works on a batch in one step: one outcome per item, of the same length and in the same order. For stages
    /// with `batch` in the spec.
    fn process_batch(&self, cx: &StepContext, inputs: Vec<Record>) -> Vec<Result<Outputs, StageError>> {
        inputs.into_iter().map(|input| run_to_end(self, cx, input)).collect()
    }

    /// Whether this input may be worked on in a thread although the stage is isolated: its format is read by code
    /// that neither hangs nor overflows. No, unless the stage says so.
    fn trusts(&self, _input: &Record) -> bool {
        false
    }
}

fn run_to_end<S: CpuStage + ?Sized>(stage: &S, cx: &StepContext, input: Record) -> Result<Outputs, StageError> {
    let mut outputs = Outputs::new();
    let mut work = stage.open(cx, input)?;
    while work.step(cx, &mut outputs)? == Step::More {
        if cx.is_over() {
            return Err(StageError::rejected("cancelled"));
        }
    }
    Ok(outputs)
}

/// What an accepted document survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The end of the process, however it ends.
    #[default]
    Process,
    /// A power cut.
    Power,
}

/// What became of a document, as a sink is told once all its records came to an end.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Which document, with its version where its content was read.
    pub document: Arc<Document>,
    /// How it came to its end.
    pub rest: Rest,
}

/// How a document came to its end, and so which of its rows stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// All of it is durable: the rows of its other versions go.
    Done,
    /// Part of it failed: the rows that this run wrote for this version go.
    Failed,
    /// It is no longer there: all its rows go. It has no content and no version.
    Gone,
}

/// Makes rows durable.
///
/// One committer calls it, never two calls at once. Every method may be called again after a crash with what it was
/// given before: rows are told apart by `blake3(document, version, part, ordinal)`.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Makes a batch of vectors durable: when it returns, the rows survive the process. One outcome per record,
    /// the rows that it holds in the store. Rows that are there already are not written twice.
    async fn write(&self, cx: &Context, batch: Vec<Record>) -> Vec<Result<u64, StageError>>;

    /// Brings documents to rest, each as its [`Rest`] says.
    ///
    /// # Errors
    /// `Transient` is retried; otherwise the documents fail with it.
    async fn settle(&self, cx: &Context, documents: &[Settled]) -> Result<(), StageError>;

    /// Makes all that was written and settled so far survive a power cut, which a write alone need not. Called with
    /// `durability = "power"` only: once before the first write, then before the ledger is told that a document is stored
    /// or that its older version may go. What a power cut leaves of later writes is put right when the sink is built
    /// again: the store is then as this call left it.
    ///
    /// # Errors
    /// Fatal, unless the sink says otherwise: it knows no such thing, and the run is refused before it begins.
    async fn barrier(&self, _cx: &Context) -> Result<(), StageError> {
        Err(StageError::fatal(
            "this kind of store cannot promise to survive a power cut: use `durability = \"process\"`",
        ))
    }

    /// Brings the store's indexes up to date. Called after the last settle of a run, and whenever a run that waits for
    /// documents (a watched directory) has nothing in hand.
    ///
    /// # Errors
    /// Reported as the run's; what was written stays.
    async fn close(&self, cx: &Context) -> Result<(), StageError>;

    /// Which store it is, for good: another one, or one that was made anew in its place, has another name. The engine
    /// takes a document for unchanged only where the same stores hold it; without a name, never.
    fn identity(&self) -> Option<String> {
        None
    }
}

/// A built stage. The variant is the tier: where its work runs.
pub enum Node {
    /// Lists documents.
    Source(Box<dyn Source>),
    /// Tier 1: async tasks.
    Io(Arc<dyn Stage>),
    /// Tier 2: the CPU pool, or child processes.
    Cpu(Arc<dyn CpuStage>),
    /// Tier 3: async calls to a model service.
    Service(Arc<dyn Stage>),
    /// Makes rows durable.
    Sink(Arc<dyn Sink>),
}
