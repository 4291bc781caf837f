//! Attempts off the event loop: on one record in the CPU pool, on a batch there, and in a child process.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use docmill_api::{CpuStage, Outputs, Record, StageError, Step, StepContext, Work};

use super::delivery::Token;
use super::node::NodeRuntime;
use super::serve::{Trouble, Went};
use super::tier::cpu::Ran;
use super::tier::process::{Role, Said, Worker};
use crate::monitor::Cause;

/// What one step in the pool may give before it is handed on: some milliseconds of chunking, so that the next stage
/// begins early and cancellation is seen soon.
const STEP_QUOTA: u64 = 256 << 10;

impl NodeRuntime {
    /// Works on one record in the pool, step by step; what a step gives is handed on before the next.
    pub(super) async fn serve_in_pool(
        &self,
        stage: &Arc<dyn CpuStage>,
        record: &Record,
        token: &Token,
    ) -> Result<Went, Trouble> {
        let mut went = Went::default();
        let mut spent = Duration::ZERO;
        let bytes = record.payload.bytes();
        let mut input = Opening::New(Arc::clone(stage), record.clone());
        loop {
            let remaining = self.timeout().saturating_sub(spent);
            let cancel = token.delivery().cancel.child_token();
            let seen = cancel.clone();
            let stepping = move |until| step(input, &StepContext::new(seen, Some(until)));
            let Some(ran) = self.shared.pool.run(self.plan.depth, bytes, remaining, stepping).await else {
                // The thread cannot be stopped: it sees this at its next step, and its result is dropped.
                cancel.cancel();
                self.counters.timeouts.fetch_add(1, Relaxed);
                self.look_for_stuck_threads();
                return Err(Trouble::Failed { error: StageError::rejected(self.timed_out()), emitted: went.emitted });
            };
            spent += ran.busy;
            let (work, mut outputs, result) = self.account(ran).map_err(Trouble::failed)?;
            self.let_in(token, outputs.take_found())?;
            let (records, skip) = outputs.into_parts();
            went.skip = skip.or(went.skip);
            let step = match result {
                Ok(step) => step,
                Err(error) => return Err(Trouble::Failed { error, emitted: went.emitted }),
            };
            went.emitted += self.send_all(token, records).await?;
            let Some(work) = work.filter(|_| step == Step::More) else { return Ok(went) };
            if self.shared.board.is_aborted() {
                // Not a quiet end: part of the document may be durable, and it must not settle as done.
                return Err(Trouble::Aborted);
            }
            if token.delivery().is_cancelled() {
                return Ok(went);
            }
            if spent >= self.timeout() {
                self.counters.timeouts.fetch_add(1, Relaxed);
                return Err(Trouble::Failed { error: StageError::rejected(self.timed_out()), emitted: went.emitted });
            }
            input = Opening::Open(work);
        }
    }

    pub(super) async fn batch_in_pool(
        &self,
        stage: &Arc<dyn CpuStage>,
        records: Vec<Record>,
    ) -> Result<Vec<Result<Outputs, StageError>>, StageError> {
        let stage = Arc::clone(stage);
        let bytes = records.iter().map(|record| record.payload.bytes()).sum();
        let cancel = self.shared.board.abort.child_token();
        let seen = cancel.clone();
        let stepping = move |until| stage.process_batch(&StepContext::new(seen, Some(until)), records);
        match self.shared.pool.run(self.plan.depth, bytes, self.timeout(), stepping).await {
            Some(ran) => self.account(ran),
            None => {
                cancel.cancel();
                self.counters.timeouts.fetch_add(1, Relaxed);
                self.look_for_stuck_threads();
                Err(StageError::rejected(self.timed_out()))
            }
        }
    }

    /// Ends the run once every thread of the pool works on a step that nobody waits for: nothing would ever go on.
    fn look_for_stuck_threads(&self) {
        if self.shared.pool.is_stuck() {
            let error = "every CPU thread is held by a step that ran out of time; run this stage with \
                         `isolation = \"process\"`, where it can be killed";
            self.shared.halt(&self.id, StageError::fatal(error));
        }
    }

    fn account<T>(&self, ran: Ran<T>) -> Result<T, StageError> {
        self.counters.held(Cause::Cpu, ran.held);
        self.counters.cpu(ran.cpu);
        self.counters.served(ran.busy);
        ran.result.map_err(|panicked| StageError::rejected(format!("crashed: {}", panicked.0)))
    }

    /// Works on one record in a child; what it gives is handed on as it comes. The timeout counts the child's time
    /// only, not the waiting for room.
    pub(super) async fn serve_in_child(
        &self,
        child: &mut Option<Worker>,
        role: &Role,
        record: &Record,
        token: &Token,
    ) -> Result<Went, Trouble> {
        let mut worker = match child.take().and_then(Worker::if_alive) {
            Some(worker) => worker,
            None => Worker::start(role).await.map_err(Trouble::failed)?,
        };
        let mut went = Went::default();
        let mut spent = Duration::ZERO;
        let mut sent = false;
        let ended = loop {
            let start = Instant::now();
            let exchange = async {
                if !std::mem::replace(&mut sent, true) {
                    worker.send(record, self.timeout()).await?;
                }
                worker.next().await
            };
            let remaining = self.timeout().saturating_sub(spent);
            let said = tokio::select! {
                // Its document failed elsewhere, or the run is aborted: the child goes, its work is not wanted.
                () = token.delivery().cancel.cancelled() => {
                    break if self.shared.board.is_aborted() { Err(Trouble::Aborted) } else { Ok(()) };
                }
                said = tokio::time::timeout(remaining, exchange) => said,
            };
            spent += start.elapsed();
            self.counters.cpu(worker.cpu_since());
            match said {
                Ok(Ok(Said::Output(output))) if output.document.id != record.document.id => {
                    let error = StageError::rejected("the stage worker answered for another document");
                    break Err(Trouble::Failed { error, emitted: went.emitted });
                }
                Ok(Ok(Said::Broken(error))) => break Err(Trouble::Failed { error, emitted: went.emitted }),
                Ok(Ok(Said::Output(output))) => match self.send_all(token, vec![output]).await {
                    Ok(emitted) => went.emitted += emitted,
                    Err(closed) => break Err(closed.into()),
                },
                Ok(Ok(Said::End { skip })) => {
                    went.skip = skip;
                    *child = worker.after_document();
                    break Ok(());
                }
                Ok(Ok(Said::Failed(error))) => {
                    *child = worker.after_document();
                    break Err(Trouble::Failed { error, emitted: went.emitted });
                }
                Ok(Err(gone)) => {
                    let counter =
                        if gone.out_of_memory { &self.counters.out_of_memory } else { &self.counters.crashed };
                    counter.fetch_add(1, Relaxed);
                    let error = StageError::rejected(gone.message);
                    break Err(Trouble::Failed { error, emitted: went.emitted });
                }
                Err(_) => {
                    self.counters.timeouts.fetch_add(1, Relaxed);
                    self.counters.killed.fetch_add(1, Relaxed);
                    worker.kill().await;
                    let error = StageError::rejected(self.timed_out());
                    break Err(Trouble::Failed { error, emitted: went.emitted });
                }
            }
        };
        self.counters.served(spent);
        ended.map(|()| went)
    }
}

/// Work that is to be opened, or goes on.
enum Opening {
    New(Arc<dyn CpuStage>, Record),
    Open(Box<dyn Work>),
}

type Stepped = (Option<Box<dyn Work>>, Outputs, Result<Step, StageError>);

fn step(input: Opening, cx: &StepContext) -> Stepped {
    let mut outputs = Outputs::with_quota(STEP_QUOTA);
    let mut work = match input {
        Opening::Open(work) => work,
        Opening::New(stage, record) => match stage.open(cx, record) {
            Ok(work) => work,
            Err(error) => return (None, outputs, Err(error)),
        },
    };
    let result = work.step(cx, &mut outputs);
    (Some(work), outputs, result)
}
