//! The counters that the runtime writes: one set per stage, one per run. Relaxed atomics, because each is read alone
//! and a snapshot needs no order between them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::snapshot::{DocumentCounts, Ended, QueueSnapshot, ServiceTimes, StageSnapshot, WorkerEnds};

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
}

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
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(clippy::cast_precision_loss, reason = "a service time is shown, not reckoned with")]
        let ms = |micros: u64| (micros as f64) / 1000.0;
        let service_ms = ServiceTimes {
            p50: ms(service.value_at_quantile(0.5)),
            p95: ms(service.value_at_quantile(0.95)),
            p99: ms(service.value_at_quantile(0.99)),
            max: ms(service.max()),
        };
        let held_by =
            Cause::ALL.iter().map(|(cause, name)| ((*name).to_owned(), seconds(&self.held[*cause as usize]))).collect();
        let samples = self.queue_samples.load(Relaxed).max(1);
        #[expect(clippy::cast_precision_loss, reason = "a mean is shown, not reckoned with")]
        let mean = self.queue_sum.load(Relaxed) as f64 / samples as f64;
        StageSnapshot {
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

/// How many failures and skips a run remembers one by one. Beyond it they are counted only: a run over millions of
/// broken files must not fill memory with their names.
const REMEMBERED: usize = 100_000;

/// One run's counters: documents by what became of them, and what was made.
#[derive(Debug, Default)]
pub struct RunCounters {
    tally: Mutex<Tally>,
    /// Bytes of the documents that were read.
    pub bytes: AtomicU64,
    /// Whether the stores build their indexes.
    pub indexing: std::sync::atomic::AtomicBool,
    /// The longest poll of any task by thread-CPU time, in nanoseconds, where polls are watched.
    pub longest_poll: AtomicU64,
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
