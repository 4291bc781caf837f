//! The limits of one model service: requests and tokens a minute, calls at once, and a breaker.
//!
//! They are found out as well as kept: what a service allows is rarely known, and what it answers tells. `state` decides,
//! as a pure machine over the time that it is given, from three parts that know nothing of each other: `rate` (with
//! `bucket`, `grants` and `growth`), `width` and `breaker`; `evidence` serves two of them, and `crowd` says which of the
//! first two a refusal is for. This file is the only one that waits. Nothing here sends a call or reads an answer: whoever
//! does says what came of it.

mod breaker;
mod bucket;
mod crowd;
mod evidence;
mod grants;
mod growth;
mod rate;
mod state;
#[cfg(test)]
mod tests;
mod width;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use self::state::{State, Ticket, Turn};

/// What is declared of a service. `None` or 0 leaves a limit to be found out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    /// Requests a minute: never exceeded, and lowered where the service refuses all the same.
    pub(crate) requests_per_minute: Option<f64>,
    /// Tokens a minute, of prompts and answers together.
    pub(crate) tokens_per_minute: Option<f64>,
    /// Calls at once: what is found out stays below.
    pub(crate) concurrency: Option<usize>,
}

/// What a call will use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// 1; or its items, where the service counts those.
    pub(crate) requests: f64,
    /// An estimate; [`Outcome::Answered`] corrects it.
    pub(crate) tokens: f64,
}

/// What came of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// Answered well.
    Answered {
        /// What it really used, where the service says so.
        tokens: Option<f64>,
    },
    /// 429.
    RateLimited {
        /// How long to wait, as the service said.
        after: Option<Duration>,
    },
    /// 503 and the like.
    Overloaded {
        /// How long to wait, as the service said.
        after: Option<Duration>,
    },
    /// No answer in time.
    TimedOut,
    /// Nobody listens, or the connection broke before an answer.
    Unreachable,
    /// 500, 502, 504: the service is there, and failed. No sign of congestion, but one for the breaker.
    Failed,
    /// Refused for what was asked (400, 401 …): says nothing of the load, and proves that the service is alive.
    Refused,
}

/// The service is left alone, because it did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// How long until another call may be tried, jitter included.
    pub(crate) after: Duration,
}

/// The limits as they are now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    /// Calls under way.
    pub(crate) in_flight: usize,
    /// How many there may be at once.
    pub(crate) concurrency: usize,
    /// How many requests a minute are sent at most; 0 for any number.
    pub(crate) requests_per_minute: f64,
    /// `ok`, `probing` or `open`.
    pub(crate) breaker: &'static str,
    /// How often the breaker went from closed to open.
    pub(crate) opened: u64,
    /// How long nothing is sent, where the breaker is open or the service said to wait.
    pub(crate) next_try: Option<Duration>,
}

/// The limits of one service, shared by all who call it.
///
/// A caller asks for a [`Permit`], sends its call, and says with [`Permit::ended`] what came of it. Whoever asks first is
/// let through first, whatever its cost: a large call is not starved by small ones.
///
/// A future of [`Limits::permit`] that was polled must be polled on or dropped. One that is put aside keeps its place,
/// and with it all behind it:
///
/// ```ignore
/// let mut turn = pin!(limits.permit(cost));
/// select! { permit = &mut turn => …, _ = stop => {} }
/// clean_up().await; // wrong: all other callers wait for this one, until `turn` is dropped
/// ```
#[derive(Debug)]
pub(crate) struct Limits {
    state: Mutex<State>,
    /// Held by the one whose turn it is. A lock of tokio goes to those who wait in their order, and a wait that is dropped
    /// gives its place up.
    turn: tokio::sync::Mutex<()>,
    /// Wakes the one whose turn it is. Told after every change, kept until it is heard.
    changed: Notify,
}

impl Limits {
    /// With what an earlier process [learned](Limits::learned); what is not understood of it is not used.
    pub(crate) fn new(declared: Settings, learned: Option<&Value>) -> Arc<Self> {
        let limits = Self {
            state: Mutex::new(State::new(learned)),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        };
        limits.tighten(declared);
        Arc::new(limits)
    }

    /// Keeps to what another table of settings declares of the same service as well: of each limit the lower one holds,
    /// and what is not declared changes nothing.
    pub(crate) fn tighten(&self, declared: Settings) {
        self.lock().tighten(Instant::now(), declared);
        self.changed.notify_one();
    }

    /// Keeps to an equal part of what is declared: so many processes, this one counted, share it.
    pub(crate) fn share_among(&self, processes: usize) {
        self.lock().share_among(Instant::now(), processes);
        self.changed.notify_one();
    }

    /// Waits until a call may be sent: for the rate, for the end of what a refusal froze, for others to end.
    ///
    /// Dropping the future gives its place up.
    ///
    /// # Errors
    /// The breaker is open: said at once, also to those who wait already.
    pub(crate) async fn permit(self: &Arc<Self>, cost: Cost) -> Result<Permit, Open> {
        let _turn = self.turn.lock().await;
        loop {
            let turn = self.lock().turn(Instant::now(), cost);
            match turn {
                Turn::Granted(ticket) => return Ok(Permit { limits: Arc::clone(self), ticket: Some(ticket) }),
                Turn::Open(after) => return Err(Open { after }),
                // Either the time comes or something changed: both are reasons to look again.
                Turn::Wait(Some(until)) => drop(tokio::time::timeout_at(until, self.changed.notified()).await),
                Turn::Wait(None) => self.changed.notified().await,
            }
        }
    }

    /// Sends nothing for so long: the headers of an answer told that nothing remains until then.
    pub(crate) fn nothing_remains(&self, until: Duration) {
        self.lock().hold(Instant::now(), until);
        self.changed.notify_one();
    }

    /// What was found out, for the next process: `{"concurrency": n, "requests_per_minute": r}`, each where it was really
    /// found out, by this process or by an earlier one.
    pub(crate) fn learned(&self) -> Option<Value> {
        self.lock().learned()
    }

    /// The limits as they are now.
    pub(crate) fn view(&self) -> View {
        self.lock().view(Instant::now())
    }

    fn end(&self, ticket: &Ticket, outcome: Outcome) {
        self.lock().ended(Instant::now(), ticket, outcome);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to send one call.
///
/// Dropped without a word it counts as [`Outcome::TimedOut`]: that is how a call ends that takes too long.
#[derive(Debug)]
#[must_use = "a permit that is dropped counts as a call that timed out"]
pub(crate) struct Permit {
    limits: Arc<Limits>,
    /// Taken by whoever ends it.
    ticket: Option<Ticket>,
}

impl Permit {
    /// Says what came of the call.
    pub(crate) fn ended(mut self, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            self.limits.end(&ticket, outcome);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.limits.end(&ticket, Outcome::TimedOut);
        }
    }
}
