//! Documents that come in while a pipeline runs, other than by its sources: how they are accepted, and how they are asked
//! after. The engine implements [`Intake`]; a service hands documents in by it and lines them up in a [`Feed`].

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{Digest, SourceItem, StageError};

/// Where documents are handed in.
#[async_trait]
pub trait Intake: Send + Sync {
    /// The id that a document has here.
    fn id_of(&self, item: &SourceItem) -> Digest;

    /// Accepts a document: when this returns [`Acceptance::Taken`], it survives what `run.durability` says, counts as seen,
    /// and the [`Feed`] is to give it to the pipeline, in this process or in the next.
    ///
    /// # Errors
    /// The ledger cannot be written.
    async fn accept(&self, item: &SourceItem) -> Result<Acceptance, StageError>;

    /// Where a document is that was accepted and has not come to its end; `None` for any other.
    fn progress(&self, document: &Digest) -> Option<Progress>;

    /// Takes a document back that has not come to its end: no stage begins anything further with it, and what is stored
    /// of it in this version goes. Says whether there was one.
    fn cancel(&self, document: &Digest) -> bool;

    /// Whether a document whose address begins like this was accepted and has not come to its end, or was found inside
    /// another and waits for its turn.
    fn holds_within(&self, prefix: &str) -> bool;
}

/// What came of handing a document in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is accepted.
    Taken,
    /// It ended before just as it is, and nothing is to be done.
    AsBefore,
    /// It was accepted before, and has not come to its end.
    UnderWay,
}

/// Where a document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The stage that had it in hand last; empty while it waits for the first.
    pub stage: String,
    /// How often that stage has begun with a record of it again.
    pub attempts: u32,
    /// Whether it was taken back, and is on its way out.
    pub cancelled: bool,
}

/// Gives a pipeline the documents that were accepted, in place of what its sources list.
#[async_trait]
pub trait Feed: Send + Sync + Debug {
    /// The next document; waits for one. The future may be dropped and the call made again: no document is lost by that.
    async fn next(&self) -> SourceItem;
}
