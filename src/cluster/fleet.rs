//! Who works: each worker tells of itself now and then, and hears the others and what is wanted of it. Nothing of it is kept,
//! and nothing depends on it but what is shown, widths that a person turns, and the share of a model service's limits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use docmill_api::StageError;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::away::AWAY;
use super::queue::Queue;
use crate::monitor::{Fleet, FleetSnapshot, TOLD, WorkerSnapshot};
use crate::plan::ClusterPlan;

/// How often a worker tells of itself.
pub const BEAT: Duration = Duration::from_secs(2);

/// After which silence it has gone.
const GONE: Duration = Duration::from_secs(7);

/// How many are remembered. Beyond, those that went first are forgotten.
const KNOWN: usize = 4096;

/// How many orders may wait for the queue.
const ORDERS: usize = 64;

/// Where workers tell of themselves, and where they hear what is wanted.
const TOLD_AT: &str = "workers";
const ORDERED_AT: &str = "orders";

/// A width that is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    /// Empty for all.
    worker: String,
    stage: String,
    width: usize,
}

/// What a worker brings to its fleet.
pub trait Member: Send + Sync {
    /// What it tells of itself; its name, machine and process are filled in.
    fn told(&self) -> WorkerSnapshot;

    /// A person wants another width of a stage.
    fn wanted(&self, stage: &str, width: usize);

    /// So many workers share what a model service allows, this one counted.
    fn among(&self, workers: usize);
}

/// The workers that were heard of.
#[derive(Default)]
struct Heard(BTreeMap<String, (WorkerSnapshot, Instant)>);

impl Heard {
    fn hear(&mut self, mut told: WorkerSnapshot) {
        told.heard_seconds = 0.0;
        self.0.insert(told.id.clone(), (told, Instant::now()));
        if self.0.len() > KNOWN {
            let first = self.0.iter().min_by_key(|(_, (_, when))| *when).map(|(id, _)| id.clone());
            first.map(|id| self.0.remove(&id));
        }
    }

    /// As they are now: those that are there, and then the others, each by its name.
    fn now(&self) -> Vec<WorkerSnapshot> {
        let mut all: Vec<WorkerSnapshot> = self
            .0
            .values()
            .map(|(told, when)| {
                let ago = when.elapsed();
                WorkerSnapshot { alive: told.alive && ago < GONE, heard_seconds: ago.as_secs_f64(), ..told.clone() }
            })
            .collect();
        all.sort_by(|one, other| (other.alive, &one.id).cmp(&(one.alive, &other.id)));
        all
    }
}

fn snapshot(mut workers: Vec<WorkerSnapshot>) -> FleetSnapshot {
    let there = || workers.iter().filter(|worker| worker.alive);
    let (alive, known) = (there().count(), workers.len());
    let (in_hand, documents_per_second) =
        (there().map(|worker| worker.in_hand).sum(), there().map(|worker| worker.documents_per_second).sum());
    workers.truncate(TOLD);
    FleetSnapshot { stage: AWAY.into(), alive, gone: known - alive, in_hand, documents_per_second, workers }
}

/// Listens to the workers of a pipeline, for as long as it is there.
pub struct Watch {
    heard: Arc<Mutex<Heard>>,
    orders: mpsc::Sender<Order>,
    _task: AbortOnDropHandle<()>,
}

impl Watch {
    /// Begins to listen, on the event loop that it is called on. A queue that is away is waited for without a word: who needs
    /// it says so.
    #[must_use]
    pub fn start(plan: &ClusterPlan) -> Arc<Self> {
        let heard = Arc::<Mutex<Heard>>::default();
        let (orders, wanted) = mpsc::channel(ORDERS);
        let task = tokio::spawn(listen(plan.clone(), Arc::clone(&heard), wanted));
        Arc::new(Self { heard, orders, _task: AbortOnDropHandle::new(task) })
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Fleet for Watch {
    fn workers(&self) -> FleetSnapshot {
        snapshot(lock(&self.heard).now())
    }

    fn order(&self, worker: &str, stage: &str, width: usize) -> Result<(), String> {
        check(&lock(&self.heard).now(), worker, stage)?;
        let order = Order { worker: worker.to_owned(), stage: stage.to_owned(), width };
        self.orders.try_send(order).map_err(|_| "the queue does not answer".to_owned())
    }
}

/// Whether there is somebody to obey an order.
fn check(workers: &[WorkerSnapshot], worker: &str, stage: &str) -> Result<(), String> {
    let there: Vec<&WorkerSnapshot> =
        workers.iter().filter(|one| one.alive && (worker.is_empty() || one.id == worker)).collect();
    if there.is_empty() {
        return Err(if worker.is_empty() {
            "no worker is there".into()
        } else {
            format!("no worker `{worker}` is there")
        });
    }
    let stages: Vec<&str> = there.iter().flat_map(|one| &one.stages).map(|stage| stage.id.as_str()).collect();
    if stages.contains(&stage) {
        return Ok(());
    }
    let mut known: Vec<&str> = stages;
    known.sort_unstable();
    known.dedup();
    Err(format!("workers have no stage `{stage}` with a width: {}", known.join(", ")))
}

fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(plan: ClusterPlan, heard: Arc<Mutex<Heard>>, mut orders: mpsc::Receiver<Order>) {
    loop {
        let Ok(queue) = Queue::open_quietly(&plan).await else { return };
        let listened: Result<(), StageError> = async {
            let mut told = queue.hear(TOLD_AT).await?;
            loop {
                tokio::select! {
                    message = told.next() => match message {
                        Some(message) => hear(&heard, &message.payload),
                        None => return Ok(()),
                    },
                    order = orders.recv() => match order {
                        Some(order) => queue.say(ORDERED_AT, &order).await?,
                        None => return Ok(()),
                    },
                }
            }
        }
        .await;
        if let Err(error) = listened {
            tracing::debug!("{error}");
        }
        tokio::time::sleep(BEAT).await;
    }
}

fn hear(heard: &Mutex<Heard>, payload: &[u8]) {
    if let Ok(told) = serde_json::from_slice::<WorkerSnapshot>(payload) {
        lock(heard).hear(told);
    }
}

/// The workers that tell of themselves within a beat and a half.
///
/// # Errors
/// The queue refuses the credentials, or does not answer.
pub async fn workers(plan: &ClusterPlan) -> Result<FleetSnapshot, StageError> {
    let queue = Queue::open(plan).await?;
    listen_for_a_moment(&queue).await.map(snapshot)
}

/// Has a stage's width changed, of the worker of this name or of all.
///
/// # Errors
/// Rejected: there is no such worker or stage. Otherwise the queue refuses the credentials, or does not answer.
pub async fn order(plan: &ClusterPlan, worker: &str, stage: &str, width: usize) -> Result<usize, StageError> {
    let queue = Queue::open(plan).await?;
    let there = listen_for_a_moment(&queue).await?;
    check(&there, worker, stage).map_err(StageError::rejected)?;
    queue.say(ORDERED_AT, &Order { worker: worker.to_owned(), stage: stage.to_owned(), width }).await?;
    queue.flush().await;
    Ok(there.iter().filter(|one| one.alive && (worker.is_empty() || one.id == worker)).count())
}

async fn listen_for_a_moment(queue: &Queue) -> Result<Vec<WorkerSnapshot>, StageError> {
    let heard = Mutex::<Heard>::default();
    let mut told = queue.hear(TOLD_AT).await?;
    let all = async {
        while let Some(message) = told.next().await {
            hear(&heard, &message.payload);
        }
    };
    let _ = tokio::time::timeout(BEAT + BEAT / 2, all).await;
    let now = lock(&heard).now();
    Ok(now)
}

/// A worker's name and machine, for its whole life.
#[derive(Clone, Debug)]
pub(super) struct Name {
    id: String,
    host: String,
    began: Instant,
}

impl Name {
    pub(super) fn new() -> Self {
        let sound = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
        let host: String = docmill_objects::host().chars().filter(sound).take(48).collect();
        let id = format!("{}-{:04x}", host.split('.').next().unwrap_or_default(), fastrand::u16(..));
        Self { id, host, began: Instant::now() }
    }

    fn of(&self, told: WorkerSnapshot, alive: bool) -> WorkerSnapshot {
        WorkerSnapshot {
            id: self.id.clone(),
            host: self.host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seconds: self.began.elapsed().as_secs_f64(),
            alive,
            ..told
        }
    }

    /// Tells of a worker, hears the others, and obeys, until it is dropped.
    pub(super) async fn take_part(self, queue: Queue, member: Arc<dyn Member>) {
        loop {
            if let Err(error) = self.take_part_once(&queue, &*member).await {
                tracing::debug!("{error}");
            }
            tokio::time::sleep(BEAT).await;
        }
    }

    async fn take_part_once(&self, queue: &Queue, member: &dyn Member) -> Result<(), StageError> {
        let (mut told, mut orders) = (queue.hear(TOLD_AT).await?, queue.hear(ORDERED_AT).await?);
        let heard = Mutex::<Heard>::default();
        let mut beat = tokio::time::interval(BEAT);
        let mut among = 0;
        loop {
            tokio::select! {
                _ = beat.tick() => {
                    queue.say(TOLD_AT, &WorkerSnapshot { among, ..self.of(member.told(), true) }).await?;
                    let now = lock(&heard).now().iter().filter(|one| one.alive).count().max(1);
                    if now != among {
                        among = now;
                        member.among(now);
                    }
                }
                message = told.next() => match message {
                    Some(message) => hear(&heard, &message.payload),
                    None => return Ok(()),
                },
                message = orders.next() => {
                    let Some(message) = message else { return Ok(()) };
                    if let Ok(order) = serde_json::from_slice::<Order>(&message.payload)
                        && (order.worker.is_empty() || order.worker == self.id)
                    {
                        member.wanted(&order.stage, order.width);
                    }
                }
            }
        }
    }

    /// Says that it goes.
    pub(super) async fn leave(&self, queue: &Queue, member: Option<&dyn Member>) {
        let told = member.map(Member::told).unwrap_or_default();
        let _ = queue.say(TOLD_AT, &self.of(told, false)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::WorkerStage;

    fn worker(id: &str, alive: bool) -> WorkerSnapshot {
        let stages = vec![WorkerStage { id: "embed".into(), width: 2, busy: 0.5 }];
        WorkerSnapshot {
            id: id.into(),
            alive,
            in_hand: 3,
            documents_per_second: 1.5,
            stages,
            ..WorkerSnapshot::default()
        }
    }

    #[test]
    fn those_that_are_there_come_first_and_count() {
        let mut heard = Heard::default();
        for told in [worker("c", true), worker("a", false), worker("b", true), worker("b", true)] {
            heard.hear(told);
        }
        let fleet = snapshot(heard.now());
        let names: Vec<&str> = fleet.workers.iter().map(|one| one.id.as_str()).collect();
        assert_eq!((fleet.alive, fleet.gone, fleet.in_hand), (2, 1, 6));
        assert_eq!((names.as_slice(), fleet.documents_per_second), (&["b", "c", "a"][..], 3.0));
    }

    #[test]
    fn an_order_needs_somebody_to_obey_it() {
        let there = [worker("b", true), worker("gone", false)];
        assert_eq!(check(&there, "", "embed"), Ok(()));
        assert_eq!(check(&there, "b", "embed"), Ok(()));
        assert_eq!(check(&there, "gone", "embed").unwrap_err(), "no worker `gone` is there");
        assert_eq!(check(&there, "", "parse").unwrap_err(), "workers have no stage `parse` with a width: embed");
        assert_eq!(check(&[], "", "embed").unwrap_err(), "no worker is there");
    }
}
