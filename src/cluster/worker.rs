//! A worker: takes jobs from the queue, lets the pipeline work on them, and answers.
//!
//! To the pipeline it is what feeds it, what takes its rows, and who hears of every end. It keeps nothing: what it has in
//! hand when it is killed goes to another worker once it has said nothing for `ack_wait`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use docmill_api::crash::crash_point;
use docmill_api::{
    Context, Digest, Document, DocumentEnd, Feed, MEMBER_MARK, PaidResults, Record, Settled, Sink, SourceItem,
    StageError, Witness, async_trait,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::blobs::{self, Blobs};
use super::fleet::{Member, Name};
use super::message::{Answer, Job, Outcome};
use super::paid::PaidBlobs;
use super::places::Places;
use super::queue::{AckKind, Lane, Message, Queue};
use crate::plan::Plan;

/// From this size on rows leave memory for a blob.
const PART: usize = 8 << 20;

/// How many blobs are put at once.
const TOGETHER: usize = 16;

/// How long is waited after the queue did not answer, and by how much a job is put off that cannot be taken now.
const PAUSE: Duration = Duration::from_secs(1);

/// A job that a document of this process is.
struct Hand {
    job: Job,
    message: Message,
    /// Rows that are in no blob yet, and how many blobs there are.
    rows: Vec<u8>,
    parts: u32,
    found: Vec<SourceItem>,
    _place: OwnedSemaphorePermit,
}

/// What a worker's parts share.
struct Desk {
    queue: Queue,
    blobs: Blobs,
    pipeline: Digest,
    deliveries: i64,
    ack_wait: Duration,
    uploads: PathBuf,
    /// By document: one document is one job here.
    hands: Mutex<HashMap<Digest, Hand>>,
    places: Places,
    items: mpsc::Sender<SourceItem>,
    ended: mpsc::Sender<DocumentEnd>,
    refused: OnceLock<StageError>,
    refuses: Notify,
}

/// What feeds a pipeline from the queue, takes its rows and answers.
pub struct Worker {
    desk: Arc<Desk>,
    items: tokio::sync::Mutex<mpsc::Receiver<SourceItem>>,
    tasks: Mutex<Vec<AbortOnDropHandle<()>>>,
    name: Name,
    member: OnceLock<Arc<dyn Member>>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    /// Reaches the queue and begins to take jobs: `at_once` of them at a time, or where that is not said, as suits what they
    /// are: twice the threads of the CPU pool and two, or what calls model services at once if that is more, and up to 64
    /// while a quarter of a second ends so many.
    ///
    /// # Errors
    /// Fatal: the plan has no `[queue]`, the queue refuses the credentials or does not answer for ten minutes, or the blobs
    /// cannot be opened.
    pub async fn open(plan: &Plan, at_once: Option<usize>) -> Result<Arc<Self>, StageError> {
        let cluster = plan.cluster.as_ref().ok_or_else(|| StageError::fatal("the pipeline has no `[queue]`"))?;
        let (queue, blobs) = (Queue::open(cluster).await?, Blobs::open(cluster)?);
        blobs.probe().await?;
        let uploads = plan.run.state.join("uploads");
        std::fs::create_dir_all(&uploads)
            .map_err(|error| StageError::fatal(format!("cannot make `{}`: {error}", uploads.display())))?;
        let (items, given) = mpsc::channel(1);
        let places = Places::new(at_once.unwrap_or_else(|| least(plan)), at_once.is_none());
        let (ended, ends) = mpsc::channel(places.most());
        let desk = Arc::new(Desk {
            queue,
            blobs,
            pipeline: plan.fingerprint,
            deliveries: i64::from(cluster.deliveries),
            ack_wait: cluster.ack_wait,
            uploads,
            hands: Mutex::default(),
            places,
            items,
            ended,
            refused: OnceLock::new(),
            refuses: Notify::new(),
        });
        let tasks = vec![
            AbortOnDropHandle::new(tokio::spawn(Arc::clone(&desk).take())),
            AbortOnDropHandle::new(tokio::spawn(Arc::clone(&desk).say_progress())),
            AbortOnDropHandle::new(tokio::spawn(Arc::clone(&desk).keep_right())),
            AbortOnDropHandle::new(tokio::spawn(Arc::clone(&desk).answer(ends))),
        ];
        let (items, tasks) = (tokio::sync::Mutex::new(given), Mutex::new(tasks));
        Ok(Arc::new(Self { desk, items, tasks, name: Name::new(), member: OnceLock::new() }))
    }

    /// Why it takes no more jobs, where it does not.
    #[must_use]
    pub fn refused(&self) -> Option<StageError> {
        self.desk.refused.get().cloned()
    }

    /// Tells of itself to who watches, hears the others, and has widths set that a person wants.
    pub fn take_part(&self, member: Arc<dyn Member>) {
        let part = self.name.clone().take_part(self.desk.queue.clone(), Arc::clone(&member));
        if self.member.set(member).is_ok() {
            let task = AbortOnDropHandle::new(tokio::spawn(part));
            self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        }
    }

    /// What all workers paid a model for.
    #[must_use]
    pub fn paid(&self) -> Arc<dyn PaidResults> {
        Arc::new(PaidBlobs(self.desk.blobs.clone()))
    }

    /// How many documents it has in hand.
    #[must_use]
    pub fn in_hand(&self) -> usize {
        self.desk.hands().len()
    }

    /// How many it has in hand at most, as of now.
    #[must_use]
    pub fn places(&self) -> usize {
        self.desk.places.now()
    }

    /// How many it may have in hand at most.
    #[must_use]
    pub fn most_places(&self) -> usize {
        self.desk.places.most()
    }

    /// Waits until it takes no more jobs.
    pub async fn until_refused(&self) {
        self.desk.refuses.notified().await;
    }

    /// Gives back what is not finished: another worker takes it at once.
    pub async fn leave(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let left: Vec<Hand> = self.desk.hands().drain().map(|(_, hand)| hand).collect();
        for hand in left {
            let _ = hand.message.ack_with(AckKind::Nak(None)).await;
        }
        self.name.leave(&self.desk.queue, self.member.get().map(|member| &**member)).await;
        self.desk.queue.flush().await;
    }
}

/// The documents in hand with which none of a pipeline's threads is idle, and no call that a model service would take is
/// left out.
fn least(plan: &Plan) -> usize {
    let calls = plan.stages.iter().filter(|stage| stage.provider.is_some()).map(|stage| stage.width.start);
    calls.chain([2 * plan.run.cpu_threads]).max().unwrap_or(1) + 2
}

impl Desk {
    fn hands(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Hand>> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes jobs for as long as there are places for them.
    async fn take(self: Arc<Self>) {
        loop {
            if let Err(error) = self.take_all().await {
                if !error.may_pass() {
                    tracing::error!("{error}");
                    let _ = self.refused.set(error);
                    self.refuses.notify_one();
                    return;
                }
                tracing::warn!("{error}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn take_all(self: &Arc<Self>) -> Result<(), StageError> {
        let consumer = self.queue.consumer(Lane::Jobs).await?;
        // As many as there are places: where bytes come from afar, one after the other would be slow.
        let mut beginning = JoinSet::new();
        loop {
            while let Some(begun) = beginning.try_join_next() {
                begun.map_err(|error| StageError::transient(format!("a job was not begun: {error}")))??;
            }
            let mut places = self.places.free().await;
            let mut messages = self.queue.fetch(&consumer, places.len()).await?;
            while let Some(message) = messages.next().await {
                let message = message?;
                let Some(place) = places.pop() else { break };
                let Some(job) = self.job(&message).await? else { continue };
                crash_point("worker", "taken");
                let desk = Arc::clone(self);
                beginning.spawn(async move { desk.begin(job, message, place).await });
            }
        }
    }

    /// What a message asks for; nothing if nobody could do it.
    async fn job(&self, message: &Message) -> Result<Option<Job>, StageError> {
        let Ok(job) = serde_json::from_slice::<Job>(&message.payload) else {
            let _ = message.ack_with(AckKind::Term).await;
            return Ok(None);
        };
        if job.pipeline != self.pipeline {
            let _ = message.ack_with(AckKind::Nak(Some(PAUSE))).await;
            return Err(StageError::fatal(
                "the queue holds documents of another pipeline: give worker and coordinator the same pipeline file",
            ));
        }
        Ok(Some(job))
    }

    async fn begin(&self, job: Job, message: Message, place: OwnedSemaphorePermit) -> Result<(), StageError> {
        let delivered = message.info().map_or(1, |info| info.delivered);
        if delivered > self.deliveries {
            let reason = format!("{} workers took it and did not finish it", delivered - 1);
            let answer = Answer::failed(job.id, "worker", reason);
            self.queue.publish(Lane::Answers, &job.id.to_string(), &answer).await?;
            let _ = message.double_ack().await;
            return Ok(());
        }
        let mut item = job.item.clone();
        if job.bytes {
            let fetched = self.blobs.get_input(job.id, &blobs::local(&self.uploads, job.id)).await;
            if let Err(error) = fetched {
                tracing::warn!("{error}");
                let _ = message.ack_with(AckKind::Nak(Some(PAUSE))).await;
                return Ok(());
            }
            item.location = Some(format!("{}{}", upload(&job), parts(&job).1));
        }
        let document = Document::admit(item.clone(), self.pipeline).id;
        let hand = Hand { job, message, rows: Vec::new(), parts: 0, found: Vec::new(), _place: place };
        let twice = {
            let mut hands = self.hands();
            match hands.entry(document) {
                std::collections::hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(hand);
                    None
                }
                std::collections::hash_map::Entry::Occupied(_) => Some(hand),
            }
        };
        match twice {
            Some(hand) => {
                self.forget(&hand.job).await;
                let _ = hand.message.ack_with(AckKind::Nak(Some(self.ack_wait))).await;
            }
            // The pipeline takes it, or is at its end, and then it is given back.
            None => drop(self.items.send(item).await),
        }
        Ok(())
    }

    /// Removes what this machine holds of a job.
    async fn forget(&self, job: &Job) {
        if job.bytes {
            let _ = tokio::fs::remove_file(blobs::local(&self.uploads, job.id)).await;
        }
    }

    /// Says of all jobs in hand that they are being worked on.
    async fn say_progress(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.ack_wait / 3).await;
            let ackers: Vec<_> = self.hands().values().map(|hand| hand.message.clone()).collect();
            for message in ackers {
                let _ = message.ack_with(AckKind::Progress).await;
            }
        }
    }

    async fn keep_right(self: Arc<Self>) {
        self.places.keep_right().await;
    }

    /// Answers for documents that have come to their ends, each when it is known.
    async fn answer(self: Arc<Self>, mut ends: mpsc::Receiver<DocumentEnd>) {
        let mut answering = JoinSet::new();
        while let Some(end) = ends.recv().await {
            while answering.try_join_next().is_some() {}
            let Some(hand) = self.hands().remove(&end.document.id) else { continue };
            // Each holds a place until it is answered, so that there are no more of them than places.
            let desk = Arc::clone(&self);
            answering.spawn(async move { desk.answer_one(hand, end).await });
        }
    }

    async fn answer_one(&self, mut hand: Hand, end: DocumentEnd) {
        let outcome = match end.state {
            "failed" | "cancelled" => Outcome::Failed { stage: end.stage, reason: end.reason },
            "skipped" => Outcome::Skipped { reason: end.reason },
            _ => Outcome::Done { parts: hand.parts },
        };
        let again = hand.message.info().map_or(true, |info| info.delivered > 1);
        let answer = Answer { job: hand.job.id, outcome, found: std::mem::take(&mut hand.found), again };
        crash_point("worker", "answering");
        // Until the queue has it: what else was to be done with it?
        while let Err(error) = self.queue.publish(Lane::Answers, &hand.job.id.to_string(), &answer).await {
            tracing::warn!("{error}");
            tokio::time::sleep(PAUSE).await;
            // The stream may be gone with the disk that it was on.
            let _ = self.queue.make().await;
        }
        crash_point("worker", "answered");
        // Not waited for: where it is lost the job is done again, and its second answer goes to nobody.
        if let Err(error) = hand.message.ack().await {
            tracing::warn!("a job's end was not acknowledged, it is done again: {error}");
        }
        self.forget(&hand.job).await;
    }
}

/// The address of what a job's bytes are, and the place of the document within it.
fn parts(job: &Job) -> (&str, &str) {
    let uri = job.item.uri.as_str();
    uri.find(MEMBER_MARK).map_or((uri, ""), |at| uri.split_at(at))
}

/// Where `download` finds a job's bytes on this machine.
fn upload(job: &Job) -> String {
    let name = parts(job).0.rsplit('/').next().unwrap_or_default();
    format!("upload://{}/{name}", job.id)
}

/// A document that was found inside a job's, as the coordinator knows it.
fn abroad(job: &Job, mut item: SourceItem) -> SourceItem {
    if job.bytes
        && let Some(member) = item.uri.strip_prefix(&upload(job))
    {
        item.uri = format!("{}{member}", parts(job).0);
    }
    item
}

#[async_trait]
impl Feed for Worker {
    async fn next(&self) -> SourceItem {
        match self.items.lock().await.recv().await {
            Some(item) => item,
            None => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Sink for Worker {
    async fn write(&self, _cx: &Context, batch: Vec<Record>) -> Vec<Result<u64, StageError>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        for record in batch {
            outcomes.push(self.write_one(&record).await);
        }
        outcomes
    }

    async fn settle(&self, _cx: &Context, documents: &[Settled]) -> Result<(), StageError> {
        let is_done = |settled: &&Settled| settled.rest == docmill_api::Rest::Done;
        let done: Vec<Digest> = documents.iter().filter(is_done).map(|settled| settled.document.id).collect();
        let puts: Vec<_> = done.into_iter().map(|document| self.put_part(document, 1)).collect();
        futures::stream::iter(puts).buffer_unordered(TOGETHER).try_collect().await
    }

    async fn close(&self, _cx: &Context) -> Result<(), StageError> {
        Ok(())
    }
}

impl Worker {
    async fn write_one(&self, record: &Record) -> Result<u64, StageError> {
        {
            let mut hands = self.desk.hands();
            let Some(hand) = hands.get_mut(&record.document.id) else {
                return Err(StageError::rejected("a row of a document that is no job"));
            };
            blobs::append(&mut hand.rows, record)?;
        }
        self.put_part(record.document.id, PART).await?;
        Ok(record.payload.items() as u64)
    }

    /// Makes a blob of a document's rows where they are so many bytes.
    async fn put_part(&self, document: Digest, least: usize) -> Result<(), StageError> {
        let (job, part, rows) = {
            let mut hands = self.desk.hands();
            let Some(hand) = hands.get_mut(&document).filter(|hand| hand.rows.len() >= least) else { return Ok(()) };
            (hand.job.id, hand.parts, std::mem::take(&mut hand.rows))
        };
        let rows = bytes::Bytes::from(rows);
        let put = self.desk.blobs.put_part(job, part, rows.clone()).await;
        if let Some(hand) = self.desk.hands().get_mut(&document) {
            match put {
                Ok(()) => hand.parts += 1,
                // It is called again, and then has them again.
                Err(_) => hand.rows.splice(0..0, rows).for_each(drop),
            }
        }
        put
    }
}

impl Witness for Worker {
    fn found(&self, document: &Digest, items: &[SourceItem]) {
        if let Some(hand) = self.desk.hands().get_mut(document) {
            let items = items.iter().map(|item| abroad(&hand.job, item.clone())).collect::<Vec<_>>();
            hand.found.extend(items);
        }
    }

    fn ended(&self, end: &DocumentEnd) {
        self.desk.places.ended();
        // There is room for all that are in hand.
        let _ = self.desk.ended.try_send(end.clone());
    }
}
