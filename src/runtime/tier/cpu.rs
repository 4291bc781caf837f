//! The CPU pool: rayon threads, and the steps that wait for one, later stages first.
//!
//! Nothing queues inside rayon, so that what is nearly done is finished before more is begun. A thread that ends a step
//! takes the next one that waits itself: were it handed on by the event loop, its CPU would stand still until a thread of
//! the loop is given one. A pool thread runs one step and returns: it never waits on a channel.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The stack of a pool thread. Parsers recurse as deep as a document nests; 2 MiB, rayon's default, is what a few
/// hundred nested elements use up in an unoptimised build.
const STACK_BYTES: usize = 16 << 20;

pub(crate) struct CpuPool {
    threads: rayon::ThreadPool,
    queue: Arc<Queue>,
    /// Steps that still run although nobody waits for them any more.
    abandoned: Arc<AtomicUsize>,
}

/// A step that panicked: what it said.
#[derive(Debug)]
pub(crate) struct Panicked(pub(crate) String);

/// What a step gave, and what it cost.
#[derive(Debug)]
pub(crate) struct Ran<T> {
    pub(crate) result: Result<T, Panicked>,
    /// Waiting for a thread.
    pub(crate) held: Duration,
    /// CPU time of the pool thread.
    pub(crate) cpu: Duration,
    /// Wall time of the step.
    pub(crate) busy: Duration,
}

impl CpuPool {
    pub(crate) fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .stack_size(STACK_BYTES)
            .thread_name(|index| format!("cpu-{index}"))
            .build()?;
        Ok(Self { threads: pool, queue: Arc::new(Queue::new(threads)), abandoned: Arc::default() })
    }

    /// Runs a step once a thread is free, those of later stages (`depth`) first. The step is told until when it may take:
    /// `limit` from its begin, whatever it waited before. `None` when it has not ended by then; the step is abandoned, as
    /// it is when the future is dropped: it ends by itself and its result is dropped.
    pub(crate) async fn run<T, F>(&self, depth: usize, limit: Duration, step: F) -> Option<Ran<T>>
    where
        T: Send + 'static,
        F: FnOnce(Instant) -> T + Send + 'static,
    {
        let asked = Instant::now();
        let (sender, mut receiver) = oneshot::channel();
        let (begun, ended) = (Arc::new(OnceLock::new()), Arc::<AtomicBool>::default());
        let (begins, ends, abandoned) = (Arc::clone(&begun), Arc::clone(&ended), Arc::clone(&self.abandoned));
        let job = move || {
            let (start, cpu_start) = (*begins.get_or_init(Instant::now), thread_cpu());
            let result = catch_unwind(AssertUnwindSafe(|| step(start + limit)))
                .map_err(|panic| Panicked(message_of(panic.as_ref())));
            let cpu = thread_cpu().saturating_sub(cpu_start);
            let ran = Ran { result, held: start - asked, cpu, busy: start.elapsed() };
            if ends.swap(true, Ordering::SeqCst) {
                abandoned.fetch_sub(1, Ordering::SeqCst);
            }
            let _ = sender.send(ran);
        };
        let turn = match self.queue.submit(depth, Box::new(job)) {
            Submitted::Next(job) => {
                let queue = Arc::clone(&self.queue);
                self.threads.spawn(move || run_and_go_on(queue, job));
                None
            }
            Submitted::Waits(turn) => Some(turn),
        };
        let mut waiting = Waiting { pool: self, turn, ended, waits: true };
        let mut left = limit;
        loop {
            if let Ok(ran) = timeout(left, &mut receiver).await {
                waiting.waits = false;
                return Some(ran.expect("the closure always sends: a panic of the step is caught"));
            }
            // Where it began late, once more for as long as it waited.
            left = begun.get().map_or(limit, |begun| limit.saturating_sub(begun.elapsed()));
            if left.is_zero() {
                return None;
            }
        }
    }

    /// Whether every thread works on a step that was abandoned.
    pub(crate) fn is_stuck(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst) >= self.threads.current_num_threads()
    }
}

/// Runs a step, then has its thread begin the next. That one is spawned and not called: where this step runs within another,
/// which waits for a part of itself, that one must go on first.
fn run_and_go_on(queue: Arc<Queue>, job: Job) {
    job();
    if let Some(next) = queue.next() {
        rayon::spawn(move || run_and_go_on(queue, next));
    }
}

/// Counts a step as abandoned when its future is dropped before its end; one that has not begun is not run at all. `ended`
/// is set by whoever comes first: the step that ends, or the future that is dropped.
struct Waiting<'a> {
    pool: &'a CpuPool,
    turn: Option<Turn>,
    ended: Arc<AtomicBool>,
    waits: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.waits || self.turn.is_some_and(|turn| self.pool.queue.withdraw(turn)) {
            return;
        }
        // Counted first, so that a step that ends at this moment finds what to take back.
        self.pool.abandoned.fetch_add(1, Ordering::SeqCst);
        if self.ended.swap(true, Ordering::SeqCst) {
            self.pool.abandoned.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// What a panic said.
pub(crate) fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panicked without a message").to_owned()
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// A step, to be run by a thread of the pool.
type Job = Box<dyn FnOnce() + Send>;

/// Later stages first, then in the order in which they came.
type Turn = (std::cmp::Reverse<usize>, u64);

/// The steps that wait, and how many threads have none.
struct Queue {
    state: Mutex<QueueState>,
}

struct QueueState {
    free: usize,
    tickets: u64,
    waiting: BTreeMap<Turn, Job>,
}

/// What became of a step that was handed in.
enum Submitted {
    /// A thread is free: it is to be run, and the next after it.
    Next(Job),
    Waits(Turn),
}

impl Queue {
    fn new(threads: usize) -> Self {
        Self { state: Mutex::new(QueueState { free: threads, tickets: 0, waiting: BTreeMap::new() }) }
    }

    fn submit(&self, depth: usize, job: Job) -> Submitted {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            return Submitted::Next(job);
        }
        state.tickets += 1;
        let turn = (std::cmp::Reverse(depth), state.tickets);
        state.waiting.insert(turn, job);
        Submitted::Waits(turn)
    }

    /// The next step for a thread that ended one; without any the thread is free.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        let next = state.waiting.pop_first();
        state.free += usize::from(next.is_none());
        next.map(|(_, job)| job)
    }

    /// Takes a step back; says whether it had not begun.
    fn withdraw(&self, turn: Turn) -> bool {
        let withdrawn = self.lock().waiting.remove(&turn);
        // What it holds is dropped after the lock.
        withdrawn.is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order of handing in, taking back and ending: never more steps at once than threads, none lost, none
        /// run twice, none run that was taken back, and no thread is free while a step waits.
        #[test]
        fn steps_are_neither_lost_nor_run_twice(steps in prop::collection::vec((0_u8..3, 0_usize..6), 1..120)) {
            let queue = Queue::new(3);
            let ran = Arc::new(Mutex::new(Vec::new()));
            let (mut running, mut waiting, mut withdrawn, mut handed_in) = (Vec::new(), Vec::new(), Vec::new(), 0);
            let end = |job: Job, running: &mut Vec<Job>| {
                job();
                running.extend(queue.next());
            };
            for (what, which) in steps {
                match what {
                    0 => {
                        let (number, log) = (handed_in, Arc::clone(&ran));
                        handed_in += 1;
                        match queue.submit(which, Box::new(move || log.lock().expect("not poisoned").push(number))) {
                            Submitted::Next(job) => running.push(job),
                            Submitted::Waits(turn) => waiting.push((turn, number)),
                        }
                    }
                    1 if !running.is_empty() => {
                        let job = running.swap_remove(which % running.len());
                        end(job, &mut running);
                    }
                    2 if !waiting.is_empty() => {
                        let (turn, number) = waiting.swap_remove(which % waiting.len());
                        if queue.withdraw(turn) {
                            withdrawn.push(number);
                        }
                    }
                    _ => {}
                }
                let state = queue.lock();
                prop_assert_eq!(running.len() + state.free, 3);
                prop_assert!(state.waiting.is_empty() || state.free == 0);
            }
            while let Some(job) = running.pop() {
                end(job, &mut running);
            }
            let mut seen = ran.lock().expect("not poisoned").clone();
            seen.extend(withdrawn);
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..handed_in).collect::<Vec<_>>());
            prop_assert_eq!(queue.lock().free, 3);
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn later_stages_go_first() {
        let pool = CpuPool::new(1).expect("a pool of one");
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let order = Arc::new(Mutex::new(Vec::new()));
        let notes = |depth: usize| {
            let order = Arc::clone(&order);
            move |_: Instant| order.lock().expect("not poisoned").push(depth)
        };
        let first = pool.run(0, LONG, move |_| gone.recv());
        let (early, late) = (pool.run(1, LONG, notes(1)), pool.run(5, LONG, notes(5)));
        // Polled in this order: the thread is taken, then both wait.
        let release = async { go.send(()).expect("the first waits") };
        let (first, early, late, ()) = tokio::join!(biased; first, early, late, release);
        assert!(first.is_some() && early.is_some() && late.is_some());
        assert_eq!(*order.lock().expect("not poisoned"), [5, 1]);
    }

    #[tokio::test]
    async fn a_step_has_its_time_from_its_begin_and_one_that_takes_longer_is_abandoned() {
        let pool = CpuPool::new(1).expect("a pool of one");
        let limit = Duration::from_millis(100);
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let first = pool.run(0, limit, move |_| gone.recv());
        let second = pool.run(0, limit, |until| until.saturating_duration_since(Instant::now()));
        let release = async {
            tokio::time::sleep(limit * 4).await;
            assert!(pool.is_stuck(), "nobody waits for the first any more");
            go.send(()).expect("the first waits still");
        };
        let (first, second, ()) = tokio::join!(biased; first, second, release);
        assert!(first.is_none());
        let second = second.expect("it began late, and not too late");
        assert!(second.held >= limit, "{second:?}");
        assert!(second.result.is_ok_and(|left| !left.is_zero()));
        assert!(!pool.is_stuck());
    }

    #[tokio::test]
    async fn a_panic_is_caught_and_the_pool_goes_on() {
        let pool = CpuPool::new(1).expect("a pool of one");
        let ran: Ran<()> = pool.run(0, LONG, |_| panic!("broken table")).await.expect("in time");
        assert!(ran.result.is_err_and(|panicked| panicked.0 == "broken table"));
        assert!(pool.run(0, LONG, |_| 7).await.is_some_and(|ran| ran.result.is_ok_and(|seven| seven == 7)));
    }
}
