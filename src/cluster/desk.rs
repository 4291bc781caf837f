//! What a worker has in hand: jobs that it took, and how they end. Apart from the worker, which is what the pipeline sees of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use docmill_api::crash::crash_point;
use docmill_api::{Digest, Document, DocumentEnd, MEMBER_MARK, SourceItem, StageError};
use futures::StreamExt;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;

use super::blobs::{self, Blobs};
use super::message::{Answer, Job, Outcome};
use super::places::Places;
use super::queue::{AckKind, Lane, Message, Queue};

/// How long is waited after the queue did not answer, and by how much a job is put off that cannot be taken now.
const PAUSE: Duration = Duration::from_secs(1);

/// A job that a document of this process is.
pub(super) struct Hand {
    pub(super) job: Job,
    pub(super) message: Message,
    /// Rows that are in no blob yet, and how many blobs there are.
    pub(super) rows: Vec<u8>,
    pub(super) parts: u32,
    pub(super) found: Vec<SourceItem>,
    _place: OwnedSemaphorePermit,
}

/// What a worker's parts share.
pub(super) struct Desk {
    pub(super) queue: Queue,
    pub(super) blobs: Blobs,
    pub(super) pipeline: Digest,
    pub(super) deliveries: i64,
    pub(super) ack_wait: Duration,
    pub(super) uploads: PathBuf,
    /// By document: one document is one job here.
    pub(super) hands: Mutex<HashMap<Digest, Hand>>,
    pub(super) places: Places,
    pub(super) items: mpsc::Sender<SourceItem>,
    pub(super) ended: mpsc::Sender<DocumentEnd>,
    pub(super) refused: OnceLock<StageError>,
    pub(super) refuses: Notify,
}

impl Desk {
    pub(super) fn hands(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Hand>> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes jobs for as long as there are places for them.
    pub(super) async fn take(self: Arc<Self>) {
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
    pub(super) async fn say_progress(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.ack_wait / 3).await;
            let ackers: Vec<_> = self.hands().values().map(|hand| hand.message.clone()).collect();
            for message in ackers {
                let _ = message.ack_with(AckKind::Progress).await;
            }
        }
    }

    pub(super) async fn keep_right(self: Arc<Self>) {
        self.places.keep_right().await;
    }

    /// Answers for documents that have come to their ends, each when it is known.
    pub(super) async fn answer(self: Arc<Self>, mut ends: mpsc::Receiver<DocumentEnd>) {
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
pub(super) fn abroad(job: &Job, mut item: SourceItem) -> SourceItem {
    if job.bytes
        && let Some(member) = item.uri.strip_prefix(&upload(job))
    {
        item.uri = format!("{}{member}", parts(job).0);
    }
    item
}
