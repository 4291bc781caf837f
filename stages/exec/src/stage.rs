//! The stage: a record in, a child's answer out.

use std::sync::Arc;

use docmill_api::{Context, Outputs, PayloadKind, Record, Stage, StageError, async_trait};

use crate::answer::{Answer, Terms};
use crate::child::Trouble;
use crate::factory::Config;
use crate::pool::Pool;
use crate::program::Program;

/// Hands records to children.
#[derive(Debug)]
pub(crate) struct Exec {
    takes: Vec<PayloadKind>,
    terms: Arc<Terms>,
    pool: Pool,
}

impl Exec {
    pub(crate) fn new(program: Program, config: &Config, dimensions: Option<usize>) -> Self {
        let terms = Terms { gives: config.gives.clone(), limit: config.max_output.0, dimensions };
        Self { takes: config.takes.clone(), terms: Arc::new(terms), pool: Pool::new(program) }
    }

    async fn converse(&self, input: &Record) -> Result<Outputs, StageError> {
        let mut child = self.pool.take().await?;
        match child.work(input, Answer::new(&self.terms, input)).await {
            Ok((answer, skip)) => {
                self.pool.give_back(child);
                Ok(answer.into_outputs(skip))
            }
            Err(Trouble::Failed(error)) => {
                self.pool.give_back(child);
                Err(error)
            }
            Err(Trouble::Lost(error)) => Err(error),
        }
    }
}

#[async_trait]
impl Stage for Exec {
    /// A call that is dropped or cancelled drops its child, which is in the middle of something, and so kills it.
    async fn process(&self, cx: &Context, input: Record) -> Result<Outputs, StageError> {
        if !self.takes.contains(&input.payload.kind()) {
            return Err(StageError::unexpected(input.payload.kind()));
        }
        tokio::select! {
            () = cx.cancel.cancelled() => Err(StageError::rejected("cancelled")),
            outcome = self.converse(&input) => outcome,
        }
    }
}
