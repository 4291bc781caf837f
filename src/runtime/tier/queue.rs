//! The steps that wait for a thread of the pool, later stages first, and the threads that wait for a step.
//!
//! A thread without a step waits here, and one that hands in a step wakes exactly one. rayon's own threads look for work
//! some thirty times before they sleep, each giving the CPU to the next, and a step that begins wakes two of them: where
//! steps are small and come one by one, that was as much as the steps. While a step runs that may be cut into parts, and
//! whenever nothing comes for a while, threads wait in rayon, which hands parts out.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a thread waits here before it goes back to rayon: a small step that is cut into parts all the same, or a part
/// within which a step was run, is held up no longer.
const LONGEST: Duration = Duration::from_millis(100);

/// A step, to be run by a thread of the pool.
pub(super) struct Job {
    pub(super) run: Box<dyn FnOnce() + Send>,
    /// Whether other threads may be wanted for parts of it.
    pub(super) wide: bool,
}

/// Later stages first, then in the order in which they came.
pub(super) type Turn = (std::cmp::Reverse<usize>, u64);

/// The steps that wait, and how many threads have none.
pub(super) struct Queue {
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// Of the free ones, those that wait here: whoever began to wait last is called first, its caches are warm.
    parked: Vec<Thread>,
    /// What those are to run that were called and are not there yet.
    given: VecDeque<Job>,
    /// Steps that run and may be cut into parts.
    wide: usize,
    is_closed: bool,
    tickets: u64,
    waiting: BTreeMap<Turn, Job>,
}

/// What became of a step that was handed in.
pub(super) enum Submitted {
    /// A thread of rayon is free: it is to be run there, and the next after it.
    Next(Job),
    /// A thread that waited here has it.
    Given,
    Waits(Turn),
}

thread_local! {
    /// Whether this thread runs a step.
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

impl Queue {
    pub(super) fn new(threads: usize) -> Self {
        let state = State {
            free: threads,
            parked: Vec::with_capacity(threads),
            given: VecDeque::with_capacity(threads),
            wide: 0,
            is_closed: false,
            tickets: 0,
            waiting: BTreeMap::new(),
        };
        Self { state: Mutex::new(state) }
    }

    pub(super) fn submit(&self, depth: usize, job: Job) -> Submitted {
        let mut state = self.lock();
        if state.free > 0 {
            state.free -= 1;
            let Some(thread) = state.parked.pop() else { return Submitted::Next(job) };
            state.given.push_back(job);
            drop(state);
            thread.unpark();
            return Submitted::Given;
        }
        state.tickets += 1;
        let turn = (std::cmp::Reverse(depth), state.tickets);
        state.waiting.insert(turn, job);
        Submitted::Waits(turn)
    }

    /// Runs a step, then those that wait, then waits for more; called by a thread of rayon.
    ///
    /// Where this step runs within another, which waits for a part of itself, that one must go on first: the next is left
    /// to rayon, and nothing is waited for.
    pub(super) fn run_and_go_on(self: Arc<Self>, mut job: Job) {
        let is_within = RUNS.replace(true);
        loop {
            self.run(job);
            match self.next(!is_within) {
                Some(next) if is_within => {
                    rayon::spawn(move || self.run_and_go_on(next));
                    return;
                }
                Some(next) => job = next,
                None => break,
            }
        }
        RUNS.set(is_within);
    }

    fn run(&self, job: Job) {
        if job.wide {
            let mut state = self.lock();
            state.wide += 1;
            state.parked.iter().for_each(Thread::unpark);
        }
        (job.run)();
        if job.wide {
            self.lock().wide -= 1;
        }
    }

    /// The next step for a thread that ended one; without any the thread is free, and waits where it may.
    fn next(&self, may_wait: bool) -> Option<Job> {
        let mut state = self.lock();
        if let Some((_, next)) = state.waiting.pop_first() {
            return Some(next);
        }
        state.free += 1;
        if !may_wait || state.is_wanted_in_rayon() {
            return None;
        }
        let (this, until) = (thread::current(), Instant::now() + LONGEST);
        state.parked.push(this.clone());
        loop {
            drop(state);
            let left = until.saturating_duration_since(Instant::now());
            thread::park_timeout(left);
            state = self.lock();
            match state.parked.iter().position(|parked| parked.id() == this.id()) {
                None => return state.given.pop_front(),
                Some(at) if left.is_zero() || state.is_wanted_in_rayon() => {
                    state.parked.remove(at);
                    return None;
                }
                Some(_) => {}
            }
        }
    }

    /// Takes a step back; says whether it had not begun.
    pub(super) fn withdraw(&self, turn: Turn) -> bool {
        let withdrawn = self.lock().waiting.remove(&turn);
        // What it holds is dropped after the lock.
        withdrawn.is_some()
    }

    /// No thread waits here any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.parked.iter().for_each(Thread::unpark);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_wanted_in_rayon(&self) -> bool {
        self.wide > 0 || self.is_closed
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
                queue.run(job);
                running.extend(queue.next(false));
            };
            for (what, which) in steps {
                match what {
                    0 => {
                        let (number, log) = (handed_in, Arc::clone(&ran));
                        handed_in += 1;
                        let run = Box::new(move || log.lock().expect("not poisoned").push(number));
                        match queue.submit(which, Job { run, wide: number % 2 == 0 }) {
                            Submitted::Next(job) => running.push(job),
                            Submitted::Given => prop_assert!(false, "nobody waits"),
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
            let state = queue.lock();
            prop_assert_eq!((state.free, state.wide), (3, 0));
        }
    }
}
