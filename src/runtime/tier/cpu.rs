//! The CPU pool: rayon threads, and the steps that wait for one, later stages first (`queue.rs`).
//!
//! Nothing queues inside rayon, so that what is nearly done is finished before more is begun. A thread that ends a step
//! takes the next one that waits itself: were it handed on by the event loop, its CPU would stand still until a thread of
//! the loop is given one. A step never waits on a channel.
//!
//! Steps let all else go first: what hands work on, and what writes, is little and is waited for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::queue::{Job, Queue, Submitted, Turn};

/// The stack of a pool thread. Parsers recurse as deep as a document nests; 2 MiB, rayon's default, is what a few
/// hundred nested elements use up in an unoptimised build.
const STACK_BYTES: usize = 16 << 20;

/// A step on less than this is run by one thread: others would come too late for parts of it.
const WIDE: u64 = 128 << 10;

/// How much less of a CPU a step gets than what hands work on, where both want it: niceness of 5 is a third. With 3 a CPU
/// stood still for 4 % of the time that rows were written, with none for 10 %, with 10 for no less than with 5.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 5;

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
            .start_handler(|_| let_others_go_first())
            .build()?;
        Ok(Self { threads: pool, queue: Arc::new(Queue::new(threads)), abandoned: Arc::default() })
    }

    /// Runs a step on so many `bytes` once a thread is free, those of later stages (`depth`) first. The step is told until
    /// when it may take: `limit` from its begin, whatever it waited before. `None` when it has not ended by then; the step
    /// is abandoned, as it is when the future is dropped: it ends by itself and its result is dropped.
    pub(crate) async fn run<T, F>(&self, depth: usize, bytes: u64, limit: Duration, step: F) -> Option<Ran<T>>
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
        let turn = match self.queue.submit(depth, Job { run: Box::new(job), wide: bytes >= WIDE }) {
            Submitted::Next(job) => {
                let queue = Arc::clone(&self.queue);
                self.threads.spawn(move || queue.run_and_go_on(job));
                None
            }
            Submitted::Given => None,
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

impl Drop for CpuPool {
    fn drop(&mut self) {
        self.queue.close();
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

/// Gives the calling thread, and all that it starts from now on, less of a CPU that others want. Where a thread has no
/// niceness of its own nothing is done.
pub(super) fn let_others_go_first() {
    // Nobody is refused to ask for less.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICENESS);
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use super::*;

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
        let first = pool.run(0, 1, LONG, move |_| gone.recv());
        let (early, late) = (pool.run(1, 1, LONG, notes(1)), pool.run(5, 1, LONG, notes(5)));
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
        let first = pool.run(0, 1, limit, move |_| gone.recv());
        let second = pool.run(0, 1, limit, |until| until.saturating_duration_since(Instant::now()));
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

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn steps_let_others_go_first() {
        let niceness = || rustix::process::getpriority_process(None).expect("a thread may know its own");
        let pool = CpuPool::new(1).expect("a pool of one");
        let ran = pool.run(0, 1, LONG, move |_| niceness()).await.expect("in time");
        assert_eq!(ran.result.ok(), Some((niceness() + NICENESS).min(19)));
    }

    #[tokio::test]
    async fn a_panic_is_caught_and_the_pool_goes_on() {
        let pool = CpuPool::new(1).expect("a pool of one");
        let ran: Ran<()> = pool.run(0, 1, LONG, |_| panic!("broken table")).await.expect("in time");
        assert!(ran.result.is_err_and(|panicked| panicked.0 == "broken table"));
        assert!(pool.run(0, 1, LONG, |_| 7).await.is_some_and(|ran| ran.result.is_ok_and(|seven| seven == 7)));
    }

    /// A step that is done once two threads are in it.
    fn for_two() -> impl FnOnce(Instant) + Send {
        let both = Barrier::new(2);
        move |_| {
            rayon::join(|| both.wait(), || both.wait());
        }
    }

    #[tokio::test]
    async fn threads_that_wait_take_parts_of_a_step() {
        let pool = CpuPool::new(2).expect("a pool of two");
        for _ in 0..20 {
            // Two small ones at once, after which both threads wait for the next.
            let both = Arc::new(Barrier::new(2));
            let small = || {
                let both = Arc::clone(&both);
                pool.run(0, 1, LONG, move |_| both.wait())
            };
            let (one, other) = tokio::join!(small(), small());
            assert!(one.is_some() && other.is_some());
            assert!(pool.run(0, WIDE, LONG, for_two()).await.is_some());
        }
        // Of a small one as well, if not at once.
        assert!(pool.run(0, 1, LONG, |_| ()).await.is_some() && pool.run(0, 1, LONG, for_two()).await.is_some());
    }

    #[tokio::test]
    async fn a_step_within_another_does_not_hold_that_one_up() {
        let pool = CpuPool::new(2).expect("a pool of two");
        let both = Arc::new(Barrier::new(2));
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        // Its part is held by the other thread; waiting for that, its own thread takes the next step.
        let outer = pool.run(0, 1, LONG, move |_| {
            let also = Arc::clone(&both);
            let part = move || {
                also.wait();
                gone.recv()
            };
            let rest = || {
                both.wait();
                begun.send(()).expect("waited for");
            };
            rayon::join(rest, part).1
        });
        let inner = async {
            begins.await.expect("sent");
            let inner = pool.run(0, 1, LONG, |_| 7).await.expect("in time");
            go.send(()).expect("waited for");
            inner.result.is_ok_and(|seven| seven == 7)
        };
        let (outer, inner) = tokio::join!(outer, inner);
        assert!(inner && outer.is_some_and(|outer| outer.result.is_ok_and(|gone| gone.is_ok())));
    }
}
