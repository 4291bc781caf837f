//! What the ledger holds of a document, and how that changes.

use docmill_api::{Digest, SourceItem};
use serde::Serialize;

/// How a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepted, and not at its end: under way, or left so by a run that was stopped or killed.
    Unfinished,
    /// The stores hold all of it.
    Done,
    /// It has nothing to store.
    Skipped,
    /// It failed for good: a dead letter.
    Failed,
}

impl State {
    /// Its name in the ledger and in every list.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Unfinished, Self::Done, Self::Skipped, Self::Failed].into_iter().find(|state| state.as_str() == name)
    }
}

/// What is known of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The document's id.
    pub document: Digest,
    /// Where it is, without signature.
    pub uri: String,
    /// The source that listed it.
    pub source: String,
    /// How it was listed: a `SourceItem` as JSON.
    pub item: String,
    /// Whether it was accepted and has not come to its end: its rows are in doubt unless a run has it in hand.
    pub open: bool,
    /// Its last end; `None` where there was none, or where it is to be forgotten.
    pub ended: Option<State>,
    /// The content that it ended with, where it was read.
    pub content: Option<Digest>,
    /// The pipeline that it ended under.
    pub fingerprint: Option<Digest>,
    /// What told, before it was read, that it is this content: see `SourceItem::stamp`.
    pub stamp: Option<String>,
    /// Content and pipeline of what the stores hold in full, which a later failure leaves there.
    pub kept: Option<(Digest, Digest)>,
    /// Which stores all of this is about.
    pub stores: String,
    /// Where it failed or was skipped.
    pub stage: String,
    /// The class of its failure.
    pub class: String,
    /// Why it failed or was skipped, in words.
    pub reason: String,
    /// How often it was tried, over all runs since it last went well.
    pub attempts: u32,
    /// The run that accepted it last; empty where it was brought to rest unfinished.
    pub run: String,
    /// When this was written, in microseconds since 1970.
    pub changed: i64,
    /// What its caller is told, as JSON, where that is kept.
    pub result: Option<String>,
}

impl Entry {
    /// How it stands.
    #[must_use]
    pub fn state(&self) -> State {
        if self.open { State::Unfinished } else { self.ended.unwrap_or(State::Unfinished) }
    }
}

/// The item that a document of the ledger was listed as.
#[must_use]
pub fn item_of(entry: &Entry) -> SourceItem {
    serde_json::from_str(&entry.item).unwrap_or_else(|_| SourceItem { uri: entry.uri.clone(), ..SourceItem::default() })
}

/// A document that a run takes in hand.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The document's id.
    pub document: Digest,
    /// Where it is, without signature.
    pub uri: String,
    /// The source that listed it.
    pub source: String,
    /// How it was listed: a `SourceItem` as JSON, without signature.
    pub item: String,
    /// The stores that the run writes.
    pub stores: String,
    /// The run.
    pub run: String,
}

/// How a document came to its end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The document's id.
    pub document: Digest,
    /// Any but `Unfinished`.
    pub state: State,
    /// Its content, where it was read.
    pub content: Option<Digest>,
    /// The run's pipeline.
    pub fingerprint: Digest,
    /// What tells that it is this content; `None` where it has to be read to be sure.
    pub stamp: Option<String>,
    /// Where it failed or was skipped.
    pub stage: String,
    /// The class of its failure.
    pub class: String,
    /// Why it failed or was skipped.
    pub reason: String,
    /// How often it was tried in this run.
    pub attempts: u32,
    /// What its caller is told, as JSON; `None` leaves what is there.
    pub result: Option<String>,
}

/// A run, at its start or at its end.
#[derive(Clone, Debug)]
pub struct RunEntry {
    /// Its id.
    pub run: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// At its end: how it ended, as JSON.
    pub outcome: Option<String>,
}

/// A change of the ledger.
#[derive(Clone, Debug)]
pub enum Change {
    /// A document is taken in hand: it is open.
    Accept(Accepted),
    /// All rows of a new version are durable, and those of the version before are about to go.
    Seal {
        /// The document's id.
        document: Digest,
        /// Its content.
        content: Digest,
        /// The run's pipeline.
        fingerprint: Digest,
    },
    /// A document has come to its end: it is open no longer.
    End(Ended),
    /// A document is to be done again, whatever it ended with.
    Reopen(Digest),
    /// Nobody is to know that a document failed: it stands as if it had not been tried since it went well last.
    Drop(Digest),
    /// The stores hold what they keep of a document that is still open, and nothing else: it is in doubt no longer.
    Rest(Digest),
    /// No store holds anything of a document, and nobody is to remember it.
    Forget(Digest),
    /// A run begins or ends.
    Run(RunEntry),
    /// A request handed a document in.
    HandIn(super::HandedIn),
}
