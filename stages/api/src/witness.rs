//! Hearing what becomes of documents: for who answers their callers, and for traces.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::{Digest, Document, SourceItem};

/// Hears what becomes of documents. Called by the run's tasks: it must not block, and what it does costs the run time.
pub trait Witness: Send + Sync + Debug {
    /// A stage has had a record of a document in hand.
    fn visited(&self, visit: &Visit) {
        let _ = visit;
    }

    /// Further documents were found inside a document.
    fn found(&self, document: &Digest, items: &[SourceItem]) {
        let _ = (document, items);
    }

    /// A document has come to its end, and the ledger knows.
    fn ended(&self, end: &DocumentEnd);
}

/// One record's stay in a stage's hands: an attempt.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The document's id.
    pub document: Digest,
    /// The stage's id.
    pub stage: Arc<str>,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Why it failed, where it did.
    pub failed: Option<String>,
}

/// A document's end.
#[derive(Clone, Debug)]
pub struct DocumentEnd {
    /// The document, as it was known at its end.
    pub document: Arc<Document>,
    /// `done`, `unchanged`, `skipped`, `failed`, `cancelled` or `deleted`.
    pub state: &'static str,
    /// Where it failed or was skipped; empty otherwise.
    pub stage: String,
    /// The class of its failure; empty otherwise.
    pub class: String,
    /// Why it failed or was skipped; empty otherwise.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was taken in.
    pub began: SystemTime,
    /// How long it took from there.
    pub took: Duration,
    /// What its caller is told, as in a run's report; none where nothing was made of it in this run.
    pub result: Option<Value>,
}
