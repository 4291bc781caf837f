//! A document as its caller sees it.

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat};
use docmill_api::{Digest, Progress, SourceItem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::keys::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::ledger::{Entry, State, item_of};

/// A document, and what became of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Document")]
pub(crate) struct DocumentView {
    /// Its id: 64 hexadecimal digits, the same for the same content under the same name of the same user and session.
    pub(crate) id: String,
    /// How it stands.
    pub(crate) state: DocumentState,
    /// The stage that has it in hand, or in which it failed or was skipped; empty otherwise.
    pub(crate) stage: String,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// What was made of it, once it has come to an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DocumentResult>")]
    pub(crate) result: Option<Value>,
    /// Its name.
    pub(crate) filename: String,
    /// Where it is: a URL, or `upload://HASH/NAME`.
    pub(crate) uri: String,
    /// The session it belongs to.
    pub(crate) session_id: Option<String>,
    /// The user it belongs to.
    pub(crate) user_id: Option<String>,
    /// When this was noted, RFC 3339.
    pub(crate) changed: String,
}

/// How a document stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DocumentState {
    /// It waits for the pipeline.
    Queued,
    /// A stage has it, or it waits for one.
    Running,
    /// The store holds all of it.
    Done,
    /// The store held all of it already.
    Unchanged,
    /// It has nothing to store.
    Skipped,
    /// It failed for good.
    Failed,
    /// It was taken back.
    Cancelled,
}

impl DocumentState {
    /// Whether nothing further comes.
    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What was made of a document, as in a run's report.
#[derive(JsonSchema)]
#[schemars(rename = "Result")]
#[expect(dead_code, reason = "it describes what the runtime writes as JSON")]
pub(crate) struct DocumentResult {
    /// Whether it went well.
    success: bool,
    /// Where the document is.
    document: String,
    /// Its name.
    filename: String,
    /// Its extension, without the dot.
    filetype: String,
    /// Whether it is source code.
    is_code_file: bool,
    /// How many chunks were stored.
    total_chunks: u64,
    /// Tokens of all chunks.
    token_count: u64,
    /// How its text was cut.
    strategy: Option<String>,
    /// Its summary; empty where none was made.
    summary: String,
    /// Why it failed or was skipped; empty otherwise.
    message: String,
    /// The most bytes that it held in memory at once.
    peak_bytes: u64,
}

/// Some documents.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DocumentList {
    /// In the order of their addresses.
    pub(crate) documents: Vec<DocumentView>,
    /// How many there are in all that were asked for.
    pub(crate) total: u64,
    /// What to give as `after` for those that follow; null where none do.
    pub(crate) next: Option<String>,
}

impl DocumentView {
    /// From what the ledger knows of it and where it is now.
    pub(crate) fn of(entry: &Entry, progress: Option<&Progress>) -> Self {
        let item = item_of(entry);
        let state = state_of(entry, progress);
        let ended = state.is_final();
        let stage = progress.map_or_else(|| entry.stage.clone(), |progress| progress.stage.clone());
        let result = entry.result.as_deref().filter(|_| ended).and_then(|result| serde_json::from_str(result).ok());
        Self {
            id: entry.document.to_string(),
            state,
            stage: if entry.open && progress.is_none() { String::new() } else { stage },
            attempts: progress.map_or(entry.attempts, |progress| progress.attempts),
            error: (state == DocumentState::Failed).then(|| entry.reason.clone()),
            result,
            filename: name_of(&item),
            uri: entry.uri.clone(),
            session_id: item.session_id,
            user_id: item.user_id,
            changed: moment(entry.changed),
        }
    }
}

fn state_of(entry: &Entry, progress: Option<&Progress>) -> DocumentState {
    match progress {
        Some(progress) if progress.cancelled => DocumentState::Cancelled,
        Some(progress) if progress.stage.is_empty() => DocumentState::Queued,
        Some(_) => DocumentState::Running,
        None => match entry.state() {
            // It was accepted, and this process has not come to it.
            State::Unfinished => DocumentState::Queued,
            State::Done => DocumentState::Done,
            State::Skipped => DocumentState::Skipped,
            State::Failed if entry.class == "cancelled" => DocumentState::Cancelled,
            State::Failed => DocumentState::Failed,
        },
    }
}

fn name_of(item: &SourceItem) -> String {
    if !item.filename.is_empty() {
        return item.filename.clone();
    }
    item.uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
}

fn moment(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The id in an address; 404 where it is none.
pub(crate) fn id(text: &str) -> Result<Digest, Problem> {
    text.parse().map_err(|_| Problem::no_document())
}

impl Service {
    /// A document, if there is one that the caller sees.
    pub(crate) async fn entry(&self, id: Digest, caller: &Caller) -> Result<Entry, Problem> {
        let mut found = self.parts.ledger.look(vec![id]).await.map_err(unreadable)?;
        let entry = found.pop().flatten();
        entry.filter(|entry| caller.sees(item_of(entry).user_id.as_deref())).ok_or_else(Problem::no_document)
    }

    /// The same as it is shown.
    pub(crate) async fn document(&self, id: Digest, caller: &Caller) -> Result<DocumentView, Problem> {
        // First where it is: what ends meanwhile is shown as ended, never as lost.
        let progress = self.parts.intake.progress(&id);
        let entry = self.entry(id, caller).await?;
        Ok(DocumentView::of(&entry, progress.filter(|_| entry.open).as_ref()))
    }
}

/// The ledger fails: nothing of ours to tell the world in detail.
#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
pub(crate) fn unreadable(error: crate::ledger::LedgerError) -> Problem {
    tracing::error!(%error, "the ledger cannot be used");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service cannot read or write what it remembers of documents")
}
