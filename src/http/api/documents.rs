//! Documents that were handed in: shown, listed, deleted, tried again.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use docmill_api::units::Span;
use docmill_api::{Digest, SourceItem};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::view::{DocumentList, DocumentState, DocumentView, id, unreadable};
use crate::control::Command;
use crate::http::keys::Caller;
use crate::http::problem::Problem;
use crate::http::state::{Service, Shared};
use crate::ledger::{self, Page, item_of};

/// The longest that a request waits for a document's end.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How long a deletion is waited for before it is said that it goes on.
const DELETION: Duration = Duration::from_secs(10);
/// How long it is waited for that a document is taken up again.
const BEGINNING: Duration = Duration::from_secs(2);
/// How often a document is looked at that somebody waits for, besides when something is heard of it.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitQuery {
    /// How long to wait for the document's end, such as `30s`; at most `5m`.
    #[serde(default)]
    wait: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DocumentsQuery {
    /// Only those that stand so.
    #[serde(default)]
    state: Option<DocumentState>,
    /// Only those of this session.
    #[serde(default)]
    session_id: Option<String>,
    /// Only those of this user.
    #[serde(default)]
    user_id: Option<String>,
    /// How many at most, from 1 to 1000.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[serde(default)]
    after: Option<String>,
}

pub(crate) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    query.map(|Query(query)| query).map_err(|refused| Problem::bad(refused.body_text()))
}

pub(crate) fn path(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    path.map(|Path(path)| path).map_err(|refused| Problem::bad(refused.body_text()))
}

pub(super) async fn show(
    State(service): State<Shared>,
    caller: Caller,
    of: Result<Path<String>, PathRejection>,
    asked: Result<Query<WaitQuery>, QueryRejection>,
) -> Result<Json<DocumentView>, Problem> {
    let (id, asked) = (id(&path(of)?)?, query(asked)?);
    let Some(wait) = asked.wait else { return service.document(id, &caller).await.map(Json) };
    let wait: Span =
        serde_json::from_value(wait.into()).map_err(|error| Problem::unprocessable(format!("`wait`: {error}")))?;
    service.wait_for(id, &caller, wait.0.min(LONGEST_WAIT)).await.map(Json)
}

impl Service {
    /// The document once it has come to its end, or as it is after so long.
    async fn wait_for(&self, id: Digest, caller: &Caller, wait: Duration) -> Result<DocumentView, Problem> {
        let until = tokio::time::Instant::now() + wait;
        let mut happened = self.parts.heard.listen();
        loop {
            let document = self.document(id, caller).await?;
            if document.state.is_final() || tokio::time::Instant::now() >= until {
                return Ok(document);
            }
            let something = async {
                loop {
                    match happened.recv().await {
                        Ok(happened) if happened.document != id => {}
                        // What was missed may have been of this one.
                        Ok(_) | Err(RecvError::Lagged(_)) => return,
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            let _ = tokio::time::timeout_at(until.min(tokio::time::Instant::now() + LOOK), something).await;
        }
    }
}

pub(super) async fn list(
    State(service): State<Shared>,
    caller: Caller,
    asked: Result<Query<DocumentsQuery>, QueryRejection>,
) -> Result<Json<DocumentList>, Problem> {
    let asked = query(asked)?;
    let limit = asked.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::unprocessable("`limit` is from 1 to 1000"));
    }
    let user_id = match (caller.user(), asked.user_id) {
        (Some(own), Some(other)) if own != other => return Ok(Json(DocumentList::none())),
        (Some(own), _) => Some(own.to_owned()),
        (None, asked) => asked,
    };
    let after = asked.after.as_deref().map(id).transpose();
    let after = after.map_err(|_| Problem::unprocessable("`after` is the `next` of the page before"))?;
    let page = Page { states: states(asked.state), user_id, session_id: asked.session_id, after, limit };
    let (entries, total) = service.parts.ledger.page(page).await.map_err(unreadable)?;
    let next = entries.last().map(|last| last.document.to_string()).filter(|_| entries.len() == limit);
    let view = |entry: &crate::ledger::Entry| {
        let progress = service.parts.intake.progress(&entry.document);
        DocumentView::of(entry, progress.filter(|_| entry.open).as_ref())
    };
    Ok(Json(DocumentList { documents: entries.iter().map(view).collect(), total, next }))
}

impl DocumentList {
    fn none() -> Self {
        Self { documents: Vec::new(), total: 0, next: None }
    }
}

/// The ledger's states for one of ours: it does not know where in the pipeline a document is.
fn states(state: Option<DocumentState>) -> Option<ledger::Standing> {
    Some(match state? {
        DocumentState::Queued | DocumentState::Running => ledger::Standing::Open,
        DocumentState::Done | DocumentState::Unchanged => ledger::Standing::Done,
        DocumentState::Skipped => ledger::Standing::Skipped,
        DocumentState::Failed => ledger::Standing::Failed,
        DocumentState::Cancelled => ledger::Standing::Cancelled,
    })
}

pub(super) async fn delete(
    State(service): State<Shared>,
    caller: Caller,
    of: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = id(&path(of)?)?;
    let entry = service.entry(id, &caller).await?;
    let mut happened = service.parts.heard.listen();
    service.parts.intake.cancel(&id);
    service.parts.queue.first(SourceItem { gone: true, ..item_of(&entry) });
    let gone = async {
        loop {
            match happened.recv().await {
                Ok(happened) if happened.document == id && happened.deleted => return,
                Ok(_) => {}
                Err(_) => std::future::pending().await,
            }
        }
    };
    if tokio::time::timeout(DELETION, gone).await.is_ok() || service.entry(id, &caller).await.is_err() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let document = DocumentView { state: DocumentState::Cancelled, ..service.document(id, &caller).await? };
    Ok((StatusCode::ACCEPTED, Json(document)).into_response())
}

pub(super) async fn retry(
    State(service): State<Shared>,
    caller: Caller,
    of: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let id = id(&path(of)?)?;
    let entry = service.entry(id, &caller).await?;
    if entry.open {
        return Err(Problem::new(StatusCode::CONFLICT, "it has not come to its end"));
    }
    if !service.parts.spool.has(&entry.uri) {
        return Err(Problem::new(StatusCode::CONFLICT, "its bytes are kept no longer: upload it again"));
    }
    service.tell(Command::Retry { documents: vec![(entry.source.clone(), item_of(&entry))] }).await?;
    // Whoever asks next is not to hear of the end before this.
    let begun = async {
        while service.entry(id, &caller).await?.changed == entry.changed {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, Problem>(())
    };
    // A run that is paused begins later.
    tokio::time::timeout(BEGINNING, begun).await.unwrap_or(Ok(()))?;
    let again = crate::ledger::Entry { open: true, result: None, ..entry };
    Ok((StatusCode::ACCEPTED, Json(DocumentView::of(&again, None))).into_response())
}
