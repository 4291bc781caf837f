//! The counters that the runtime writes: one set per stage, one per run. Relaxed atomics, because each is read alone
//! and a snapshot needs no order between them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use docmill_api::Document;
use hdrhistogram::Histogram;

use super::event::EventLog;
use super::latency::Latencies;
use super::snapshot::{DocumentCounts, Ended, Hand, QueueSnapshot, ServiceTimes, StageSnapshot, WorkerEnds};

/// Why a worker was held: it had work and was not allowed to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// For a permit of the CPU pool.
    Cpu,
    /// For room in the memory budget.
    Memory,
    /// For the delay before another attempt.
    Retry,
    /// For the limits of a model service, or until it answers again.
    Provider,
}

impl Cause {
    /// All causes, with the names that a report gives them.
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Cpu, "cpu"), (Self::Memory, "memory"), (Self::Retry, "retry"), (Self::Provider, "provider")];
}

/// One stage's counters.
#[derive(Debug)]
pub struct StageCounters {
    /// Records taken in.
    pub input: AtomicU64,
    /// Records handed on, or made durable by a sink.
    pub output: AtomicU64,
    /// Records that failed here.
    pub failed: AtomicU64,
    /// Attempts after the first.
    pub retries: AtomicU64,
    /// Records that ran out of time.
    pub timeouts: AtomicU64,
    /// Children that ended by themselves.
    pub crashed: AtomicU64,
    /// Children that were killed for time.
    pub killed: AtomicU64,
    /// Children that ran out of memory.
    pub out_of_memory: AtomicU64,
    busy: AtomicU64,
    held: [AtomicU64; 4],
    blocked: AtomicU64,
    starved: AtomicU64,
    cpu: AtomicU64,
    queue_max: AtomicU64,
    queue_sum: AtomicU64,
    queue_samples: AtomicU64,
    service: Mutex<Histogram<u64>>,
    errors: Mutex<BTreeMap<String, u64>>,
    /// Bytes of the records in its workers' hands.
    pub held_bytes: Arc<AtomicU64>,
    hands: Hands,
    /// Whether a source is being asked for its next document.
    lists: AtomicBool,
}

/// What the workers of a stage have in hand. A place a worker, so that no worker waits for another.
#[derive(Debug)]
struct Hands(Vec<Place>);

/// What one worker has in hand, and since when.
type Place = Mutex<Option<(Instant, Arc<Document>)>>;

/// How many hands a snapshot tells of.
const HANDS: usize = 4;

/// The longest service time that the histogram tells apart: an hour in microseconds. What is longer counts as an hour.
const LONGEST_SERVICE: u64 = 3_600_000_000;

impl Default for StageCounters {
    fn default() -> Self {
        let service = Histogram::new_with_bounds(1, LONGEST_SERVICE, 2).expect("the bounds are in order");
        Self {
            input: AtomicU64::default(),
            output: AtomicU64::default(),
            failed: AtomicU64::default(),
            retries: AtomicU64::default(),
            timeouts: AtomicU64::default(),
            crashed: AtomicU64::default(),
            killed: AtomicU64::default(),
            out_of_memory: AtomicU64::default(),
            busy: AtomicU64::default(),
            held: Default::default(),
            blocked: AtomicU64::default(),
            starved: AtomicU64::default(),
            cpu: AtomicU64::default(),
            queue_max: AtomicU64::default(),
            queue_sum: AtomicU64::default(),
            queue_samples: AtomicU64::default(),
            service: Mutex::new(service),
            errors: Mutex::default(),
            held_bytes: Arc::default(),
            hands: Hands(Vec::new()),
            lists: AtomicBool::new(false),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a time in seconds is shown, not reckoned with")]
fn seconds(counter: &AtomicU64) -> f64 {
    counter.load(Relaxed) as f64 / 1e9
}

impl StageCounters {
    /// Counters of a stage with this many workers at most.
    #[must_use]
    pub fn for_workers(most: usize) -> Self {
        Self { hands: Hands((0..most).map(|_| Mutex::default()).collect()), ..Self::default() }
    }

    /// Notes that a worker has begun with a document, until what is returned is dropped.
    pub fn takes_in_hand(&self, worker: usize, document: &Arc<Document>) -> impl Drop + '_ {
        let place = self.hands.0.get(worker);
        if let Some(place) = place {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(document)));
        }
        InHand(place)
    }

    /// Notes that a source is asked for its next document, until what is returned is dropped.
    pub fn lists(&self) -> impl Drop + '_ {
        self.lists.store(true, Relaxed);
        Lists(&self.lists)
    }

    fn hands(&self) -> (Vec<Hand>, usize) {
        let of = |place: &Place| place.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut hands: Vec<(Instant, Arc<Document>)> = self.hands.0.iter().filter_map(of).collect();
        let all = hands.len();
        hands.sort_unstable_by_key(|(since, _)| *since);
        hands.truncate(HANDS);
        let shown = hands
            .into_iter()
            .map(|(since, document)| Hand { document: document.uri.clone(), seconds: since.elapsed().as_secs_f64() });
        (shown.collect(), all)
    }

    /// Counts a record that failed here.
    pub fn failed_with(&self, class: &str) {
        self.failed.fetch_add(1, Relaxed);
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(class.to_owned()).or_default() += 1;
    }

    /// Adds time spent working, and counts it as one service time.
    pub fn served(&self, time: Duration) {
        self.busy.fetch_add(nanos(time), Relaxed);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.service.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros.max(1));
    }

    /// Adds time spent waiting for what the engine grants.
    pub fn held(&self, cause: Cause, time: Duration) {
        self.held[cause as usize].fetch_add(nanos(time), Relaxed);
    }

    /// Adds time spent waiting for room downstream.
    pub fn blocked(&self, time: Duration) {
        self.blocked.fetch_add(nanos(time), Relaxed);
    }

    /// Adds time spent waiting for input.
    pub fn starved(&self, time: Duration) {
        self.starved.fetch_add(nanos(time), Relaxed);
    }

    /// Adds CPU time of a pool thread.
    pub fn cpu(&self, time: Duration) {
        self.cpu.fetch_add(nanos(time), Relaxed);
    }

    /// Notes how full the stage's queue is: at each arrival for the most it held, and by a sampler for the mean.
    pub fn queue_reached(&self, length: usize) {
        self.queue_max.fetch_max(length as u64, Relaxed);
    }

    /// Adds one sample of the queue's length, taken at a steady rate.
    pub fn queue_sample(&self, length: usize) {
        self.queue_sum.fetch_add(length as u64, Relaxed);
        self.queue_samples.fetch_add(1, Relaxed);
    }

    /// What the counters say now.
    #[must_use]
    pub fn snapshot(&self, stage: StageSnapshot) -> StageSnapshot {
        // A copy: who records waits for no percentiles.
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let service_ms = ServiceTimes::of(&service);
        let held_by =
            Cause::ALL.iter().map(|(cause, name)| ((*name).to_owned(), seconds(&self.held[*cause as usize]))).collect();
        let samples = self.queue_samples.load(Relaxed).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a mean is shown, not reckoned with")]
        let mean = self.queue_sum.load(Relaxed) as f64 / samples as f64;
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (hands, in_hand) = self.hands();
        StageSnapshot {
            calls: service.len(),
            service_buckets: buckets(&service),
            errors,
            held_bytes: self.held_bytes.load(Relaxed),
            hands,
            in_hand: in_hand + usize::from(self.lists.load(Relaxed)),
            input: self.input.load(Relaxed),
            output: self.output.load(Relaxed),
            failed: self.failed.load(Relaxed),
            retries: self.retries.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            busy_seconds: seconds(&self.busy),
            held_seconds: self.held.iter().map(seconds).sum(),
            held_by,
            blocked_seconds: seconds(&self.blocked),
            starved_seconds: seconds(&self.starved),
            cpu_seconds: seconds(&self.cpu),
            service_ms,
            queue: QueueSnapshot { mean, max: self.queue_max.load(Relaxed), ..stage.queue },
            workers: WorkerEnds {
                crashed: self.crashed.load(Relaxed),
                timed_out: self.killed.load(Relaxed),
                out_of_memory: self.out_of_memory.load(Relaxed),
            },
            ..stage
        }
    }
}

struct Lists<'a>(&'a AtomicBool);

impl Drop for Lists<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

struct InHand<'a>(Option<&'a Place>);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// How many service times lie between a power of two of microseconds and the next.
fn buckets(service: &Histogram<u64>) -> Vec<u64> {
    let mut buckets = Vec::new();
    for step in service.iter_recorded() {
        let power = step.value_iterated_to().max(1).ilog2() as usize;
        if buckets.len() <= power {
            buckets.resize(power + 1, 0);
        }
        buckets[power] += step.count_at_value();
    }
    buckets
}

/// How many failures and skips a run remembers one by one. Beyond it they are counted only: a run over millions of
/// broken files must not fill memory with their names.
const REMEMBERED: usize = 100_000;

/// How many of the latest failures a snapshot tells of.
const LATEST: usize = 32;

/// One run's counters: documents by what became of them, and what was made.
#[derive(Debug, Default)]
pub struct RunCounters {
    tally: Mutex<Tally>,
    /// Bytes of the documents that were read.
    pub bytes: AtomicU64,
    /// Whether the stores build their indexes.
    pub indexing: AtomicBool,
    /// The longest poll of any task by thread-CPU time, in nanoseconds, where polls are watched.
    pub longest_poll: AtomicU64,
    /// CPU time that the dashboard used, in nanoseconds.
    pub ui_cpu: AtomicU64,
    /// What happened.
    pub events: EventLog,
    /// How long documents take.
    pub latencies: Latencies,
}

/// Documents by what became of them. Changed under one lock, so that the sum holds at every moment.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Documents, by state.
    pub documents: DocumentCounts,
    /// Chunks of finished documents.
    pub chunks: u64,
    /// Tokens of finished documents.
    pub tokens: u64,
    /// Rows of finished documents.
    pub rows: u64,
    /// Documents that are no longer there, and whose rows were deleted. They are none of those that are counted.
    pub gone: u64,
    /// Of those that failed, how many failed in an earlier run and were not tried again, since nothing changed.
    pub remembered: u64,
    /// The documents that failed, as far as they are remembered.
    pub failures: Vec<Ended>,
    /// The documents that failed last, the latest at the end.
    pub latest: VecDeque<Ended>,
    /// The documents that were skipped, as far as they are remembered.
    pub skips: Vec<Ended>,
    /// What each document's caller is told, where results are wanted.
    pub results: Vec<serde_json::Value>,
}

impl RunCounters {
    /// Reads or changes the tally.
    pub fn tally<T>(&self, with: impl FnOnce(&mut Tally) -> T) -> T {
        with(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What became of the documents, as JSON.
    #[must_use]
    pub fn outcome(&self) -> String {
        serde_json::to_string(&self.tally(|tally| tally.documents)).unwrap_or_default()
    }

    /// Remembers a failure, within bounds.
    pub fn failed(tally: &mut Tally, ended: Ended) {
        tally.documents.failed += 1;
        if tally.latest.len() == LATEST {
            tally.latest.pop_front();
        }
        tally.latest.push_back(ended.clone());
        if tally.failures.len() < REMEMBERED {
            tally.failures.push(ended);
        }
    }

    /// Remembers a skip, within bounds.
    pub fn skipped(tally: &mut Tally, ended: Ended) {
        tally.documents.skipped += 1;
        if tally.skips.len() < REMEMBERED {
            tally.skips.push(ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docmill_api::{Digest, SourceItem};

    fn document(uri: &str) -> Arc<Document> {
        let item = SourceItem { uri: uri.into(), ..SourceItem::default() };
        Arc::new(Document::admit(item, Digest::of(&[])))
    }

    #[test]
    fn service_times_are_counted_by_powers_of_two() {
        let counters = StageCounters::default();
        for micros in [1, 1, 3, 1_000, 1_000_000] {
            counters.served(Duration::from_micros(micros));
        }
        let snapshot = counters.snapshot(StageSnapshot::default());
        assert_eq!(snapshot.calls, 5);
        let counted: Vec<(usize, u64)> =
            snapshot.service_buckets.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(0, 2), (1, 1), (9, 1), (19, 1)]);
    }

    #[test]
    fn what_is_in_hand_is_told_until_it_is_put_down() {
        let counters = StageCounters::for_workers(8);
        let documents: Vec<Arc<Document>> = (0..6).map(|index| document(&format!("file:///{index}"))).collect();
        let held: Vec<_> =
            documents.iter().enumerate().map(|(worker, one)| counters.takes_in_hand(worker, one)).collect();
        let snapshot = counters.snapshot(StageSnapshot::default());
        assert_eq!((snapshot.in_hand, snapshot.hands.len()), (6, HANDS));
        assert_eq!(snapshot.hands[0].document, "file:///0");
        drop(held);
        assert_eq!(counters.snapshot(StageSnapshot::default()).in_hand, 0);
    }
}
