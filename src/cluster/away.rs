//! The coordinator's one stage between its sources and its store: gives a document to the queue and waits for what becomes
//! of it.
//!
//! It is a stage like any other: as many documents are away as it is wide, its timeout bounds each, and a queue that does
//! not answer is an overload. What it waits for is looked after: a job that is no longer in the queue and has no answer
//! is given to it again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docmill_api::{
    BuildContext, Context, Digest, Document, MEMBER_MARK, Node, Outputs, PayloadKind, Record, SourceItem, Stage,
    StageError, StageFactory, StageSpec, Tier, async_trait,
};
use futures::StreamExt;
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::blobs::Blobs;
use super::message::{Answer, Job, Outcome};
use super::paid::KEPT;
use super::queue::{Lane, Queue};
use crate::plan::ClusterPlan;

/// Its kind and its id.
pub(super) const AWAY: &str = "cluster";

/// How many answers are fetched at once.
const TOGETHER: usize = 64;

/// How long is waited after the queue did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// How often is looked whether a job is still in the queue.
const LOOK: Duration = Duration::from_secs(5);

pub(super) struct Away;

#[derive(Deserialize)]
pub(super) struct AwayConfig {
    cluster: ClusterPlan,
    pipeline: Digest,
}

#[async_trait]
impl StageFactory for Away {
    type Config = AwayConfig;
    const KIND: &'static str = AWAY;
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Gives documents to workers on other machines.",
            takes: &[PayloadKind::Reference],
            gives: &[PayloadKind::Vectors],
            tier: Tier::Io,
            fields: Vec::new(),
            batch: None,
            width: None,
            timeout: Duration::from_secs(3600),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "A document that a worker loses goes to another.",
            example: "kind = \"cluster\"",
        }
    }

    async fn build(config: AwayConfig, cx: &BuildContext) -> Result<Node, StageError> {
        let queue = Queue::open(&config.cluster).await?;
        let blobs = Blobs::open(&config.cluster)?;
        blobs.probe().await?;
        patiently(|| queue.set_up()).await?;
        alone(&queue, &config.cluster.stream).await?;
        // What is in there was asked for by a process that is gone.
        patiently(|| queue.empty()).await?;
        blobs.clear().await;
        // Some hundred thousand take minutes: nobody waits for that.
        let old = blobs.clone();
        tokio::spawn(async move { old.forget_paid(KEPT).await });
        let waiting = Arc::<Waiting>::default();
        let listens = listen(queue.clone(), blobs.clone(), Arc::clone(&waiting));
        let listener = AbortOnDropHandle::new(tokio::spawn(listens));
        let session = Digest::of(&[&fastrand::u128(..).to_le_bytes()]);
        let (pipeline, uploads) = (config.pipeline, cx.uploads.clone());
        let lost_after = config.cluster.ack_wait;
        let remote = Remote { queue, blobs, waiting, pipeline, uploads, session, lost_after, _listener: listener };
        Ok(Node::Io(Arc::new(remote)))
    }
}

/// Makes sure that nobody else hands out documents on this stream. Who was killed is told apart from who goes on by
/// waiting: what it had asked for runs out.
async fn alone(queue: &Queue, stream: &str) -> Result<(), StageError> {
    let until = tokio::time::Instant::now() + 3 * PAUSE;
    // More than once: between two fetches nobody waits for a moment.
    let mut quiet = 0;
    while quiet < 3 {
        quiet = if queue.is_listened_to().await? { 0 } else { quiet + 1 };
        if quiet == 0 && tokio::time::Instant::now() >= until {
            return Err(StageError::fatal(format!(
                "another process hands out documents on the stream `{stream}`: give each pipeline a `stream` of its own"
            )));
        }
        tokio::time::sleep(PAUSE / 10).await;
    }
    Ok(())
}

/// Tries again while the queue does not answer, for a minute.
async fn patiently<F: Future<Output = Result<(), StageError>>>(mut work: impl FnMut() -> F) -> Result<(), StageError> {
    for _ in 0..60 {
        match work().await {
            Err(error) if error.may_pass() => tracing::warn!("{error}"),
            other => return other,
        }
        tokio::time::sleep(PAUSE).await;
    }
    work().await
}

/// Who waits for the answer to which job.
type Waiting = Mutex<HashMap<Digest, oneshot::Sender<Answer>>>;

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, HashMap<Digest, oneshot::Sender<Answer>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands answers to those who wait for them.
async fn listen(queue: Queue, blobs: Blobs, waiting: Arc<Waiting>) {
    loop {
        let heard = async {
            let consumer = queue.consumer(Lane::Answers).await?;
            loop {
                let mut messages = queue.fetch(&consumer, TOGETHER).await?;
                while let Some(message) = messages.next().await {
                    let message = message?;
                    if let Ok(answer) = serde_json::from_slice::<Answer>(&message.payload) {
                        let job = answer.job;
                        let waits = lock(&waiting).remove(&job);
                        if waits.is_none_or(|waits| waits.send(answer).is_err()) {
                            // Answered before, or nobody wants it any more.
                            blobs.remove(job).await;
                        }
                    }
                    let _ = message.ack().await;
                }
            }
        };
        let ended: Result<(), StageError> = heard.await;
        if let Err(error) = ended {
            tracing::warn!("{error}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Remote {
    queue: Queue,
    blobs: Blobs,
    waiting: Arc<Waiting>,
    pipeline: Digest,
    uploads: Option<PathBuf>,
    /// Of this process: its jobs are no other's.
    session: Digest,
    lost_after: Duration,
    _listener: AbortOnDropHandle<()>,
}

#[async_trait]
impl Stage for Remote {
    async fn process(&self, cx: &Context, input: Record) -> Result<Outputs, StageError> {
        let document = input.document;
        let id = Digest::of(&[self.session.as_bytes(), document.id.as_bytes(), &fastrand::u64(..).to_le_bytes()]);
        let file = self.file(&document)?;
        let job = Job { id, pipeline: self.pipeline, item: item(&document), bytes: file.is_some() };
        let mut published = Published { remote: self, job: &job, sequence: None, times: 0, over: false };
        let answers = self.expect(id);
        if let Some(path) = file {
            self.blobs.put_input(id, &path).await?;
        }
        published.publish().await?;
        let answer = published.answer(answers, cx).await?;
        // Whether it is known which blobs there are: who failed may have left some.
        let is_done = matches!(answer.outcome, Outcome::Done { .. });
        let known = is_done && !answer.again && published.times == 1;
        let outputs = self.outputs(&job, answer, known).await;
        if !known || outputs.is_err() {
            self.blobs.remove(id).await;
        }
        published.over = true;
        outputs
    }
}

impl Remote {
    fn expect(&self, job: Digest) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting).insert(job, sender);
        receiver
    }

    /// The file in which a document is, where only this machine can read it.
    fn file(&self, document: &Document) -> Result<Option<PathBuf>, StageError> {
        let base = document.location.split(MEMBER_MARK).next().unwrap_or_default();
        let no_path = || StageError::rejected("its location is no path of this machine");
        if let Some(rest) = base.strip_prefix("upload://") {
            let hash = rest.split('/').next().filter(|hash| hash.parse::<Digest>().is_ok());
            return self.uploads.as_ref().zip(hash).map(|(uploads, hash)| Some(uploads.join(hash))).ok_or_else(no_path);
        }
        match url::Url::parse(base) {
            Ok(url) if url.scheme() == "file" => url.to_file_path().map(Some).map_err(|()| no_path()),
            _ => Ok(None),
        }
    }

    async fn outputs(&self, job: &Job, answer: Answer, known: bool) -> Result<Outputs, StageError> {
        let mut outputs = Outputs::new();
        let parts = if let Outcome::Done { parts } = answer.outcome { parts } else { 0 };
        let records = if known {
            self.blobs.take(job.id, job.bytes, parts).await?
        } else {
            self.blobs.get(job.id, parts).await?
        };
        records.into_iter().for_each(|record| outputs.emit(record));
        match answer.outcome {
            Outcome::Done { .. } => {}
            Outcome::Skipped { reason } => outputs.skip(reason),
            Outcome::Failed { stage, reason } => {
                return Err(StageError::rejected(format!("stage `{stage}`: {reason}")));
            }
        }
        for item in answer.found {
            outputs.find(item);
        }
        Ok(outputs)
    }
}

/// A document as its source listed it.
fn item(document: &Document) -> SourceItem {
    SourceItem {
        uri: document.location.clone(),
        filename: document.filename.clone(),
        size: document.size,
        media_type: document.media_type.clone(),
        session_id: document.session_id.clone(),
        user_id: document.user_id.clone(),
        metadata: document.metadata.clone(),
        stamp: document.stamp.clone(),
        ..SourceItem::default()
    }
}

/// A job that is away. Dropped before it is over, it is taken back.
struct Published<'a> {
    remote: &'a Remote,
    job: &'a Job,
    sequence: Option<u64>,
    times: u32,
    over: bool,
}

impl Published<'_> {
    async fn publish(&mut self) -> Result<(), StageError> {
        self.times += 1;
        let id = format!("{}-{}", self.job.id, self.times);
        self.sequence = Some(self.remote.queue.publish(Lane::Jobs, &id, self.job).await?);
        Ok(())
    }

    /// Waits for the answer; gives the job to the queue again where that has lost it.
    async fn answer(&mut self, mut answers: oneshot::Receiver<Answer>, cx: &Context) -> Result<Answer, StageError> {
        let mut missing = None;
        loop {
            tokio::select! {
                answer = &mut answers => {
                    return answer.map_err(|_| StageError::transient("its answer went to nobody"));
                }
                () = cx.cancel.cancelled() => return Err(StageError::rejected("cancelled")),
                () = tokio::time::sleep(LOOK) => {}
            }
            let Some(sequence) = self.sequence else { continue };
            match self.remote.queue.holds(sequence, self.job.id).await {
                Ok(true) => missing = None,
                // Its answer may be on its way.
                Ok(false) => {
                    let since = missing.get_or_insert_with(tokio::time::Instant::now);
                    if since.elapsed() >= self.remote.lost_after.min(2 * LOOK) {
                        tracing::info!(job = %self.job.id, "the queue has lost a job: it is given to it again");
                        // The stream may be gone with it.
                        let again = self.remote.queue.make().await.and(self.publish().await);
                        if again.is_ok() {
                            missing = None;
                        }
                    }
                }
                Err(_) => {}
            }
        }
    }
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        lock(&self.remote.waiting).remove(&self.job.id);
        let (queue, blobs, sequence, job) =
            (self.remote.queue.clone(), self.remote.blobs.clone(), self.sequence, self.job.id);
        tokio::spawn(async move {
            if let Some(sequence) = sequence {
                queue.withdraw(sequence, job).await;
            }
            blobs.remove(job).await;
        });
    }
}
