//! Which child works on which input.
//!
//! There are at most as many children as there were ever calls at once, which is the stage's width: one is started only
//! where more calls wait than children are starting, and is kept when its call is over. A start goes on when the call
//! that asked for it is given up: a program that takes long to load is not loaded again for every attempt.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docmill_api::{ErrorClass, StageError};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::child::{self, Child, NotStarted};
use crate::program::Program;

/// How many starts in a row may fail before nobody believes in the next one.
const STARTS: u32 = 3;

/// All children of a stage that work on nothing.
#[derive(Debug)]
pub(crate) struct Pool {
    program: Arc<Program>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// A child became idle, or a start has ended.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Child>,
    /// Children that are not ready yet.
    starting: u32,
    /// Calls that want a child.
    waiting: u32,
    /// Errors of starts, each for one call that waits.
    failures: Vec<StageError>,
    /// Starts that failed since the last that did not.
    failed_in_a_row: u32,
    /// Why no child will ever start.
    hopeless: Option<StageError>,
    /// The starts themselves; they end with the stage.
    starts: JoinSet<()>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self, outcome: Result<Child, NotStarted>) {
        let mut state = self.lock();
        state.starting -= 1;
        match outcome {
            Ok(child) => {
                state.failed_in_a_row = 0;
                state.idle.push(child);
            }
            Err(NotStarted::Never(error)) => state.hopeless = Some(error),
            Err(NotStarted::Busy(error)) => state.fail_one(error),
            Err(NotStarted::Died(mut error)) => {
                state.failed_in_a_row += 1;
                if state.failed_in_a_row >= STARTS {
                    error.class = ErrorClass::Fatal;
                    state.hopeless = Some(error.context(format!("gave up after {STARTS} starts in a row")));
                } else {
                    state.fail_one(error);
                }
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }
}

impl State {
    fn fail_one(&mut self, error: StageError) {
        if self.failures.len() < self.waiting as usize {
            self.failures.push(error);
        }
    }
}

impl Pool {
    pub(crate) fn new(program: Program) -> Self {
        Self { program: Arc::new(program), shared: Arc::default() }
    }

    /// A child that is ready.
    ///
    /// # Errors
    /// None could be started.
    pub(crate) async fn take(&self) -> Result<Child, StageError> {
        let _waiting = Waiting::new(&self.shared);
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if let Some(outcome) = self.try_take() {
                return outcome;
            }
            changed.await;
        }
    }

    fn try_take(&self) -> Option<Result<Child, StageError>> {
        let mut state = self.shared.lock();
        if let Some(error) = &state.hopeless {
            return Some(Err(error.clone()));
        }
        while let Some(mut child) = state.idle.pop() {
            if child.is_alive() {
                return Some(Ok(child));
            }
        }
        if let Some(error) = state.failures.pop() {
            return Some(Err(error));
        }
        if state.starting < state.waiting {
            state.starting += 1;
            self.start(&mut state);
        }
        None
    }

    fn start(&self, state: &mut State) {
        while state.starts.try_join_next().is_some() {}
        let program = Arc::clone(&self.program);
        // Weak: the task is one of the state's own.
        let shared = Arc::downgrade(&self.shared);
        state.starts.spawn(async move {
            let outcome = Child::start(&program).await;
            if let Some(shared) = shared.upgrade() {
                shared.started(outcome);
            }
        });
    }

    /// Takes a child back that waits for its next input.
    pub(crate) fn give_back(&self, child: Child) {
        self.shared.lock().idle.push(child);
        self.shared.changed.notify_waiters();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut self.shared.lock().idle);
        if idle.is_empty() {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            // The runtime waits for it when it ends, so no child is left behind.
            Ok(runtime) => drop(runtime.spawn_blocking(|| child::end(idle))),
            Err(_) => child::end(idle),
        }
    }
}

/// A call that wants a child.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.lock().waiting += 1;
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiting -= 1;
        // An error that nobody waits for is old news to whoever comes next.
        let waiting = state.waiting as usize;
        state.failures.truncate(waiting);
    }
}
