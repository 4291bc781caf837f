//! What a worker does with a record or a batch: attempt, hand on, try again or give up. Wrapped around every stage alike.
//! Attempts in the pool and in a child are in `attempt.rs`, handing on is in `hand_on.rs`.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use docmill_api::crash::crash_point;
use docmill_api::{CancellationToken, Context, ErrorClass, Left, Outputs, Part, Payload, Record, StageError};
use futures::FutureExt;

use super::again::Tried;
use super::delivery::{Made, Token};
use super::edge::{Closed, Envelope};
use super::node::{Hands, Job, NodeRuntime, SinkHandle, Taken};
use super::retry::{Next, Patience};
use super::tier::cpu::message_of;
use crate::monitor::Cause;

/// Why an attempt did not end well.
pub(super) enum Trouble {
    /// The stage failed; `emitted` records had been handed on by then.
    Failed { error: StageError, emitted: usize },
    /// The run was aborted.
    Aborted,
}

impl From<Closed> for Trouble {
    fn from(_: Closed) -> Self {
        Self::Aborted
    }
}

impl Trouble {
    pub(super) fn failed(error: StageError) -> Self {
        Self::Failed { error, emitted: 0 }
    }

    fn message(&self) -> Option<&str> {
        match self {
            Self::Failed { error, .. } => Some(&error.message),
            Self::Aborted => None,
        }
    }
}

/// An attempt that ended well: whether anything was handed on, and why not.
#[derive(Default)]
pub(super) struct Went {
    pub(super) emitted: usize,
    pub(super) skip: Option<String>,
}

impl NodeRuntime {
    /// Makes an attempt at one record; it has its outcome then, or waits for another attempt.
    pub(crate) async fn serve(&self, hands: &mut Hands, taken: Taken) {
        let mut taken = Some(taken);
        while let Some((envelope, patience)) = taken.take().and_then(|taken| self.take_in(taken)) {
            let Some(envelope) = self.worth_an_attempt(envelope) else { return };
            let begun = tokio::time::Instant::now();
            let number = patience.as_ref().map_or(1, |patience| patience.attempts());
            let _in_hand = self.counters.takes_in_hand(hands.worker, &envelope.record.document);
            crash_point(&self.id, "before");
            self.notes_visit(&envelope.token, number);
            let attempt = self.attempt(hands, &envelope, number).await;
            crash_point(&self.id, "after");
            self.tells_visit(&envelope.token, begun, number, attempt.as_ref().err().and_then(Trouble::message));
            let (error, emitted) = match attempt {
                Ok(went) => return self.conclude(envelope.token, went),
                Err(Trouble::Aborted) => return,
                Err(Trouble::Failed { error, emitted }) => (error, emitted),
            };
            if emitted > 0 {
                return self.fail(envelope.token, error, number);
            }
            let mut patience = patience.unwrap_or_else(|| Box::new(Patience::since(&self.plan.retry, begun)));
            match patience.after(&error) {
                Next::After(delay) => taken = self.put_back(Tried { envelope, patience }, &error, delay).await,
                end => return self.give_up(envelope.token, error, number, end),
            }
        }
    }

    async fn attempt(&self, hands: &mut Hands, envelope: &Envelope, attempt: u32) -> Result<Went, Trouble> {
        let Envelope { record, token, .. } = envelope;
        match &self.job {
            Job::Async(stage) => {
                let cx = self.context(token.delivery().cancel.clone(), attempt);
                let call = stage.process(&cx, record.clone());
                match self.timed(&cx, call).await {
                    Ok(outputs) => self.hand_on(token, outputs).await,
                    Err(error) => Err(Trouble::failed(error)),
                }
            }
            Job::Process(stage, role) if !stage.trusts(record) => {
                self.serve_in_child(&mut hands.child, role, record, token).await
            }
            Job::Pool(stage) | Job::Process(stage, _) => self.serve_in_pool(stage, record, token).await,
            Job::Sink(_) => Err(Trouble::failed(StageError::fatal("a sink takes batches"))),
        }
    }

    /// Lets a record wait for its next attempt, behind all others; where too many wait already, here and now. Then it is
    /// given back when its time has come.
    async fn put_back(&self, tried: Tried, error: &StageError, delay: Duration) -> Option<Taken> {
        let cause = cause_of(error);
        self.counters.retries.fetch_add(1, Relaxed);
        let tried = self.again.put(tried, delay, cause)?;
        let start = tokio::time::Instant::now();
        let _ = tokio::time::timeout(delay, tried.envelope.token.delivery().cancel.cancelled()).await;
        self.counters.held(cause, start.elapsed());
        Some(Taken::Again(tried))
    }

    /// The record, unless this stage has given up: then its document stays unfinished.
    fn worth_an_attempt(&self, envelope: Envelope) -> Option<Envelope> {
        match self.gave_up.get() {
            None => Some(envelope),
            Some(error) => {
                envelope.token.failed(&self.id, error.clone(), 0);
                None
            }
        }
    }

    fn give_up(&self, token: Token, error: StageError, attempts: u32, end: Next) {
        let error = match end {
            Next::Exhausted => {
                let total = docmill_api::units::Span(self.plan.retry.total);
                StageError::exhausted(format!("{}; nothing else came for {total} (`retry.total`)", error.message))
            }
            _ => error,
        };
        self.fail(token, error, attempts);
    }

    fn context(&self, cancel: CancellationToken, attempt: u32) -> Context {
        Context { paid: self.shared.paid.clone(), ..Context::new(cancel, attempt) }
    }

    /// Makes an attempt at a batch; every item has its outcome then, or waits for another attempt, each by itself.
    pub(crate) async fn serve_batch(&self, worker: usize, mut pending: Vec<(Envelope, Option<Box<Patience>>)>) {
        while let Some((first, _)) = pending.first() {
            let _in_hand = self.counters.takes_in_hand(worker, &first.record.document);
            let begun = tokio::time::Instant::now();
            let worth = |(envelope, patience)| Some((self.worth_an_attempt(envelope)?, patience));
            let batch: Vec<(Envelope, Option<Box<Patience>>)> = pending.into_iter().filter_map(worth).collect();
            let records: Vec<Record> = batch.iter().map(|(envelope, _)| envelope.record.clone()).collect();
            let number = |patience: &Option<Box<Patience>>| patience.as_ref().map_or(1, |patience| patience.attempts());
            let Some(attempt) = batch.iter().map(|(_, patience)| number(patience)).max() else { return };
            crash_point(&self.id, "before");
            batch.iter().for_each(|(envelope, patience)| self.notes_visit(&envelope.token, number(patience)));
            let outcomes = self.attempt_batch(records, attempt).await;
            crash_point(&self.id, "after");
            for ((envelope, patience), outcome) in batch.iter().zip(&outcomes) {
                let failed = outcome.as_ref().err().map(|error| error.message.as_str());
                self.tells_visit(&envelope.token, begun, number(patience), failed);
            }
            let mut here = Vec::new();
            for ((envelope, patience), outcome) in batch.into_iter().zip(outcomes) {
                let error = match outcome {
                    Ok(done) => {
                        self.conclude_item(envelope, done).await;
                        continue;
                    }
                    Err(error) => error,
                };
                let before = number(&patience);
                let mut patience = patience.unwrap_or_else(|| Box::new(Patience::since(&self.plan.retry, begun)));
                match patience.after(&error) {
                    Next::After(delay) => here.push((Tried { envelope, patience }, error, delay)),
                    end => self.give_up(envelope.token, error, before, end),
                }
            }
            pending = self.put_back_all(here).await;
        }
    }

    /// Lets records wait for their next attempt; gives back those for which there was no room, when their time has come.
    async fn put_back_all(&self, tried: Vec<(Tried, StageError, Duration)>) -> Vec<(Envelope, Option<Box<Patience>>)> {
        let mut here = Vec::new();
        let mut wait = (Duration::ZERO, Cause::Retry);
        for (one, error, delay) in tried {
            let cause = cause_of(&error);
            self.counters.retries.fetch_add(1, Relaxed);
            if let Some(one) = self.again.put(one, delay, cause) {
                wait = if delay > wait.0 { (delay, cause) } else { wait };
                here.push(one);
            }
        }
        if !here.is_empty() {
            let start = tokio::time::Instant::now();
            let _ = tokio::time::timeout(wait.0, self.shared.board.abort.cancelled()).await;
            self.counters.held(wait.1, start.elapsed());
        }
        here.into_iter().filter_map(|one| self.take_in(Taken::Again(one))).collect()
    }

    async fn attempt_batch(&self, records: Vec<Record>, attempt: u32) -> Vec<Result<Done, StageError>> {
        let count = records.len();
        let cx = self.context(self.shared.board.abort.child_token(), attempt);
        let outcome: Result<Vec<Result<Done, StageError>>, StageError> = match &self.job {
            Job::Async(stage) => self
                .timed(&cx, async { Ok(stage.process_batch(&cx, records).await) })
                .await
                .map(|outcomes| outcomes.into_iter().map(|outcome| outcome.map(Done::Outputs)).collect()),
            Job::Pool(stage) | Job::Process(stage, _) => self
                .batch_in_pool(stage, records)
                .await
                .map(|outcomes| outcomes.into_iter().map(|outcome| outcome.map(Done::Outputs)).collect()),
            Job::Sink(handle) => self.batch_into_sink(handle, &cx, records).await,
        };
        match outcome {
            Ok(outcomes) if outcomes.len() == count => outcomes,
            Ok(outcomes) => {
                let message = format!("the stage gave {} outcomes for a batch of {count}", outcomes.len());
                (0..count).map(|_| Err(StageError::rejected(message.clone()))).collect()
            }
            Err(error) => (0..count).map(|_| Err(error.clone())).collect(),
        }
    }

    async fn batch_into_sink(
        &self,
        handle: &SinkHandle,
        cx: &Context,
        records: Vec<Record>,
    ) -> Result<Vec<Result<Done, StageError>>, StageError> {
        let _turn = handle.turn.lock().await;
        let written = self.timed(cx, async { Ok(handle.sink.write(cx, records).await) }).await?;
        Ok(written.into_iter().map(|outcome| outcome.map(Done::Rows)).collect())
    }

    async fn conclude_item(&self, envelope: Envelope, done: Done) {
        let Envelope { record, token, charge, .. } = envelope;
        match done {
            Done::Outputs(outputs) => {
                if let Ok(went) = self.hand_on(&token, outputs).await {
                    self.conclude(token, went);
                }
            }
            Done::Rows(rows) => {
                self.counters.output.fetch_add(1, Relaxed);
                token.durable(made(&record, rows, self.shared.wants_results));
            }
        }
        drop(charge);
    }

    fn conclude(&self, token: Token, went: Went) {
        match went {
            Went { emitted: 0, skip: Some(reason) } => token.skipped(&self.id, reason),
            _ => token.consumed(),
        }
    }

    /// Ends a record for good. A fatal error ends the run: the document stays unfinished then.
    pub(crate) fn fail(&self, token: Token, error: StageError, attempts: u32) {
        if self.shared.board.is_aborted() && !error.ends_the_run() {
            // What an abort cut short is unfinished, not failed: the token is dropped.
            return;
        }
        self.counters.failed_with(&error.class.to_string());
        match error.class {
            ErrorClass::Fatal => self.shared.halt(&self.id, error),
            ErrorClass::Exhausted => {
                self.shared.wind_down(&self.id, error.clone());
                token.failed(&self.id, error.clone(), attempts);
                // What waits here for another attempt ends as this did.
                let _ = self.gave_up.set(error);
                self.again.wake();
            }
            _ => token.failed(&self.id, error, attempts),
        }
    }

    /// Runs an async call under the stage's timeout, which stands still while the stage waits for what it is granted. A
    /// panic is the document's failure, not the run's.
    async fn timed<T>(&self, cx: &Context, call: impl Future<Output = Result<T, StageError>>) -> Result<T, StageError> {
        let start = Instant::now();
        let mut call = pin!(AssertUnwindSafe(call).catch_unwind());
        let outcome = loop {
            let until = match cx.clock.left(self.timeout()) {
                Left::Until(until) => Some(until),
                Left::Held => None,
                Left::Nothing => break None,
            };
            let time_is_up = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => cx.clock.changed().await,
                }
            };
            tokio::select! {
                biased;
                outcome = &mut call => break Some(outcome),
                () = time_is_up => {}
            }
        };
        let held = cx.clock.time_held();
        self.counters.served(start.elapsed().saturating_sub(held));
        if !held.is_zero() {
            self.counters.held(Cause::Provider, held);
        }
        match outcome {
            Some(Ok(result)) => result,
            Some(Err(panic)) => Err(StageError::rejected(format!("crashed: {}", message_of(panic.as_ref())))),
            None => {
                self.counters.timeouts.fetch_add(1, Relaxed);
                Err(StageError::transient(self.timed_out()))
            }
        }
    }

    pub(super) fn timed_out(&self) -> String {
        format!("timed out after {}", docmill_api::units::Span(self.timeout()))
    }
}

/// What a record waits for before its next attempt.
fn cause_of(error: &StageError) -> Cause {
    if error.class == ErrorClass::Overload { Cause::Provider } else { Cause::Retry }
}

/// What an item of a batch came to.
pub(super) enum Done {
    Outputs(Outputs),
    Rows(u64),
}

fn made(record: &Record, rows: u64, wants_results: bool) -> Made {
    let chunks = match &record.payload {
        Payload::Vectors(vectors) => &vectors.chunks,
        Payload::Chunks(chunks) => chunks,
        _ => return Made { rows, ..Made::default() },
    };
    let strategy = record.document.metadata.get("strategy").and_then(|strategy| strategy.as_str());
    let strategy = strategy.filter(|_| wants_results).map(str::to_owned);
    match chunks.part {
        Part::Chunk => {
            Made { rows, chunks: chunks.items.len() as u64, tokens: chunks.tokens(), strategy, ..Made::default() }
        }
        Part::Summary => {
            let summary = chunks.items.first().filter(|_| wants_results).map(|chunk| chunk.text.to_string());
            Made { rows, summary, ..Made::default() }
        }
    }
}
