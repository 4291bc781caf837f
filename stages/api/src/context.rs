//! What the engine hands to a stage with each record, and where the stage puts what it makes.

use std::time::Instant;

use crate::{CancellationToken, Clock, Paid, Record, SourceItem, StageError};

/// Handed to an async stage with each record or batch.
#[derive(Clone, Debug)]
pub struct Context {
    /// Set when the document failed elsewhere or the run ends: stop soon, the result is not wanted.
    pub cancel: CancellationToken,
    /// The attempt under way, from 1.
    pub attempt: u32,
    /// What was paid for before, and where to keep what is paid for now.
    pub paid: Paid,
    /// The time that this call may take.
    pub clock: Clock,
}

impl Context {
    /// A context for this attempt that keeps no paid results.
    #[must_use]
    pub fn new(cancel: CancellationToken, attempt: u32) -> Self {
        Self { cancel, attempt, paid: Paid::default(), clock: Clock::default() }
    }

    /// A context that is never cancelled, for tests and one-off calls.
    #[must_use]
    pub fn detached() -> Self {
        Self::new(CancellationToken::new(), 1)
    }
}

/// Handed to a CPU stage with each step.
#[derive(Clone, Debug)]
pub struct StepContext {
    cancel: CancellationToken,
    deadline: Option<Instant>,
}

impl StepContext {
    /// A context that is cancelled by `cancel` and runs out at `deadline`.
    #[must_use]
    pub fn new(cancel: CancellationToken, deadline: Option<Instant>) -> Self {
        Self { cancel, deadline }
    }

    /// A context that is never cancelled, for tests and one-off calls.
    #[must_use]
    pub fn detached() -> Self {
        Self::new(CancellationToken::new(), None)
    }

    /// Whether the result is no longer wanted: cancelled, or past the deadline. The engine asks between steps;
    /// a stage with a long loop inside one step asks as well.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// When the stage's timeout ends, for a stage that shares it between attempts of its own.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// What a stage makes of its input: records, or a reason why there are none.
///
/// The engine hands the records on after the call returns, when there is room downstream: a stage never waits there.
#[derive(Debug, Default)]
pub struct Outputs {
    records: Vec<Record>,
    skip: Option<String>,
    as_known: bool,
    found: Vec<SourceItem>,
    bytes: u64,
    quota: Option<u64>,
}

impl Outputs {
    /// Without a quota: for a stage that gives all it has at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a quota in bytes, after which [`Outputs::is_full`] is true.
    #[must_use]
    pub fn with_quota(bytes: u64) -> Self {
        Self { quota: Some(bytes), ..Self::default() }
    }

    /// Just this record.
    #[must_use]
    pub fn one(record: Record) -> Self {
        let mut outputs = Self::new();
        outputs.emit(record);
        outputs
    }

    /// No record, and why.
    #[must_use]
    pub fn skipped(reason: impl Into<String>) -> Self {
        let mut outputs = Self::new();
        outputs.skip(reason);
        outputs
    }

    /// No record, because the document's content is what it was: see [`crate::Document::known`]. The engine gives the
    /// document the end that it had.
    #[must_use]
    pub fn as_known() -> Self {
        Self { as_known: true, ..Self::default() }
    }

    /// Whether the content is what it was, for the engine.
    #[must_use]
    pub fn is_as_known(&self) -> bool {
        self.as_known
    }

    /// Adds a record.
    pub fn emit(&mut self, record: Record) {
        self.bytes += record.payload.bytes();
        self.records.push(record);
    }

    /// Says why this input gives nothing: empty, of no known type, without text. No failure.
    pub fn skip(&mut self, reason: impl Into<String>) {
        self.skip = Some(reason.into());
    }

    /// Names a further document that was found inside this one: a member of an archive, an attachment. The engine takes
    /// it in as if the source had listed it, with a delivery of its own and the session and user of this one, and
    /// hands it to the same stages. Only a stage that takes references may: its input has not left the source's door.
    ///
    /// Its URI is this document's with a fragment (`file:///a/b.zip#member=c/d.pdf`, see [`crate::MEMBER_MARK`]), or of
    /// the same kind (an object below a prefix): the same stage can open it. How many there are is the stage's to bound.
    pub fn find(&mut self, item: SourceItem) {
        self.found.push(item);
    }

    /// Takes the documents that were found, for the engine.
    pub fn take_found(&mut self) -> Vec<SourceItem> {
        std::mem::take(&mut self.found)
    }

    /// Whether the quota is reached: a [`Work`] returns [`Step::More`] then.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.quota.is_some_and(|quota| self.bytes >= quota)
    }

    /// Bytes of all records.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The records so far.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records and the reason for a skip, for the engine.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Record>, Option<String>) {
        (self.records, self.skip)
    }
}

/// What a step says about the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more; step again when there is room.
    More,
    /// This was the last step.
    Done,
}

/// CPU work on one record, in steps.
///
/// A step works until the outputs are full ([`Outputs::is_full`]) or the work is done. Between two steps the engine
/// hands the outputs on, waits for room, and looks at cancellation and timeout: so a step must not take much longer
/// than its quota needs, and never waits for anything.
pub trait Work: Send {
    /// Does the next part.
    ///
    /// # Errors
    /// The document fails with it; what earlier steps gave is taken back by the engine.
    fn step(&mut self, cx: &StepContext, out: &mut Outputs) -> Result<Step, StageError>;
}

/// The common case: work that is done in one step.
pub fn one_shot<F>(work: F) -> Box<dyn Work>
where
    F: FnOnce(&StepContext, &mut Outputs) -> Result<(), StageError> + Send + 'static,
{
    struct OneShot<F>(Option<F>);
    impl<F> Work for OneShot<F>
    where
        F: FnOnce(&StepContext, &mut Outputs) -> Result<(), StageError> + Send,
    {
        fn step(&mut self, cx: &StepContext, out: &mut Outputs) -> Result<Step, StageError> {
            if let Some(work) = self.0.take() {
                work(cx, out)?;
            }
            Ok(Step::Done)
        }
    }
    Box::new(OneShot(Some(work)))
}
