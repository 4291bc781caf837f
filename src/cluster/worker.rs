//! A worker: takes jobs from the queue, lets the pipeline work on them, and answers.
//!
//! To the pipeline it is what feeds it, what takes its rows, and who hears of every end. It keeps nothing: what it has in
//! hand when it is killed goes to another worker once it has said nothing for `ack_wait`.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use docmill_api::{
    Context, Digest, DocumentEnd, Feed, PaidResults, Record, Settled, Sink, SourceItem, StageError, Witness,
    async_trait,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::blobs::{self, Blobs};
use super::desk::{Desk, Hand, abroad};
use super::fleet::{Member, Name};
use super::paid::PaidBlobs;
use super::places::Places;
use super::queue::{AckKind, Queue};
use crate::plan::Plan;

/// From this size on rows leave memory for a blob.
const PART: usize = 8 << 20;

/// How many blobs are put at once.
const TOGETHER: usize = 16;

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
