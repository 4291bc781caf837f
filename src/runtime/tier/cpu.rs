//! The CPU pool: rayon threads behind one gate with as many permits as threads.
//!
//! Work waits at the gate, later stages first, so that nothing queues inside rayon and what is nearly done is finished
//! before more is begun. A pool thread runs one step and returns: it never waits on a channel.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

/// The stack of a pool thread. Parsers recurse as deep as a document nests; 2 MiB, rayon's default, is what a few
/// hundred nested elements use up in an unoptimised build.
const STACK_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(crate) struct CpuPool {
    threads: rayon::ThreadPool,
    gate: Arc<CpuGate>,
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
    /// Waiting at the gate.
    pub(crate) held: Duration,
    /// CPU time of the pool thread.
    pub(crate) cpu: Duration,
    /// Wall time of the step.
    pub(crate) busy: Duration,
}

/// The right to run one step, and how long it was waited for.
#[derive(Debug)]
pub(crate) struct Admission {
    permit: Permit,
    held: Duration,
}

impl CpuPool {
    pub(crate) fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .stack_size(STACK_BYTES)
            .thread_name(|index| format!("cpu-{index}"))
            .build()?;
        Ok(Self { threads: pool, gate: CpuGate::new(threads), abandoned: Arc::default() })
    }

    /// Waits for the right to run one step, later stages first.
    pub(crate) async fn admit(&self, depth: usize) -> Admission {
        let asked = Instant::now();
        let permit = self.gate.acquire(depth).await;
        Admission { permit, held: asked.elapsed() }
    }

    /// Runs a step in the pool. Dropping the future abandons the step: it ends by itself and its result is dropped.
    pub(crate) async fn run<T, F>(&self, admission: Admission, step: F) -> Ran<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let Admission { permit, held } = admission;
        let (sender, receiver) = oneshot::channel();
        let mut waiting = Waiting { abandoned: Arc::clone(&self.abandoned), ended: Arc::default(), waits: true };
        let (abandoned, ended) = (Arc::clone(&self.abandoned), Arc::clone(&waiting.ended));
        self.threads.spawn(move || {
            let (start, cpu_start) = (Instant::now(), thread_cpu());
            let result = catch_unwind(AssertUnwindSafe(step)).map_err(|panic| Panicked(message_of(panic.as_ref())));
            let ran = Ran { result, held, cpu: thread_cpu().saturating_sub(cpu_start), busy: start.elapsed() };
            if ended.swap(true, Ordering::SeqCst) {
                abandoned.fetch_sub(1, Ordering::SeqCst);
            }
            // The permit first: whoever waits for the result may ask for the next one at once.
            drop(permit);
            let _ = sender.send(ran);
        });
        let ran = receiver.await.expect("the closure always sends: a panic of the step is caught");
        waiting.waits = false;
        ran
    }

    /// Whether every thread works on a step that was abandoned.
    pub(crate) fn is_stuck(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst) >= self.threads.current_num_threads()
    }
}

/// Counts a step as abandoned when its future is dropped before its end. `ended` is set by whoever comes first: the
/// step that ends, or the future that is dropped.
struct Waiting {
    abandoned: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    waits: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.waits {
            // Counted first, so that a step that ends at this moment finds what to take back.
            self.abandoned.fetch_add(1, Ordering::SeqCst);
            if self.ended.swap(true, Ordering::SeqCst) {
                self.abandoned.fetch_sub(1, Ordering::SeqCst);
            }
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

type Turn = (std::cmp::Reverse<usize>, u64);

#[derive(Debug)]
struct CpuGate {
    state: Mutex<GateState>,
}

#[derive(Debug)]
struct GateState {
    free: usize,
    tickets: u64,
    waiters: BTreeMap<Turn, oneshot::Sender<Permit>>,
}

/// The right to run one step in the pool.
#[derive(Debug)]
struct Permit {
    gate: Option<Arc<CpuGate>>,
}

impl CpuGate {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(GateState { free: permits, tickets: 0, waiters: BTreeMap::new() }) })
    }

    async fn acquire(self: &Arc<Self>, depth: usize) -> Permit {
        let (granted, mut leaving) = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                return Permit { gate: Some(Arc::clone(self)) };
            }
            let (grant, granted) = oneshot::channel();
            state.tickets += 1;
            let turn = (std::cmp::Reverse(depth), state.tickets);
            state.waiters.insert(turn, grant);
            (granted, Leaving { gate: self, turn: Some(turn) })
        };
        let permit = granted.await.expect("a waiter is dropped by its own future only");
        leaving.turn = None;
        permit
    }

    fn release(self: &Arc<Self>) {
        let mut state = self.lock();
        while let Some((_, grant)) = state.waiters.pop_first() {
            match grant.send(Permit { gate: Some(Arc::clone(self)) }) {
                Ok(()) => return,
                // Its future was dropped a moment ago; the permit goes to the next, and must not release itself.
                Err(mut unwanted) => unwanted.gate = None,
            }
        }
        state.free += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.release();
        }
    }
}

struct Leaving<'a> {
    gate: &'a Arc<CpuGate>,
    turn: Option<Turn>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn {
            self.gate.lock().waiters.remove(&turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order of asking, giving up and giving back: never more permits than there are, none lost,
        /// and a free permit is never withheld.
        #[test]
        fn permits_are_neither_lost_nor_made(steps in prop::collection::vec((0_u8..3, 0_usize..6), 1..120)) {
            let gate = CpuGate::new(3);
            let mut waiting: Vec<futures::future::BoxFuture<'static, Permit>> = Vec::new();
            let mut held: Vec<Permit> = Vec::new();
            for (what, which) in steps {
                match what {
                    0 => {
                        let gate = Arc::clone(&gate);
                        waiting.push(async move { gate.acquire(which).await }.boxed());
                    }
                    1 if !held.is_empty() => drop(held.swap_remove(which % held.len())),
                    2 if !waiting.is_empty() => drop(waiting.swap_remove(which % waiting.len())),
                    _ => {}
                }
                waiting.retain_mut(|future| match future.now_or_never() {
                    Some(permit) => { held.push(permit); false }
                    None => true,
                });
                prop_assert!(held.len() <= 3);
                prop_assert!(waiting.is_empty() || held.len() == 3, "{} wait, {} held", waiting.len(), held.len());
            }
            drop((held, waiting));
            prop_assert_eq!(gate.lock().free, 3);
        }
    }

    #[tokio::test]
    async fn later_stages_go_first() {
        let gate = CpuGate::new(1);
        let only = gate.acquire(0).await;
        let mut early = Box::pin(gate.acquire(1));
        let mut late = Box::pin(gate.acquire(5));
        assert!(early.as_mut().now_or_never().is_none());
        assert!(late.as_mut().now_or_never().is_none());
        drop(only);
        assert!(late.as_mut().now_or_never().is_some());
        drop(late);
        drop(early.await);
    }

    #[tokio::test]
    async fn a_panic_is_caught_and_the_pool_goes_on() {
        let pool = CpuPool::new(1).expect("a pool of one");
        let ran: Ran<()> = pool.run(pool.admit(0).await, || panic!("broken table")).await;
        assert!(ran.result.is_err_and(|panicked| panicked.0 == "broken table"));
        assert!(pool.run(pool.admit(0).await, || 7).await.result.is_ok_and(|seven| seven == 7));
    }
}
