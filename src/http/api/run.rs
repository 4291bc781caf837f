//! The run behind the service: looked at, and told what to do.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use docmill_api::SourceItem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::documents::path;
use super::view::unreadable;
use crate::control::Command;
use crate::http::keys::Caller;
use crate::http::problem::Problem;
use crate::http::state::{Service, Shared};
use crate::ledger::{State as Stands, item_of};
use crate::monitor::Snapshot;

/// Who changes a width, where the request does not say.
const BY: &str = "http";
/// How many documents that failed are tried again at once.
const MOST: usize = 10_000;

/// Another width for a stage.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WidthRequest {
    /// How many records or batches it is to work on at once.
    #[serde(default)]
    width: Option<usize>,
    /// Hands the width over to the tuner.
    #[serde(default)]
    auto: bool,
    /// Who wants it.
    #[serde(default)]
    by: String,
    /// Why.
    #[serde(default)]
    why: String,
}

/// A stage's width.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WidthSet {
    /// The stage.
    id: String,
    /// Its width from now on.
    width: usize,
    /// Whether the tuner may change it.
    auto: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RunState {
    /// What the run does: `running`, `paused`, `draining`, …
    state: String,
    /// How many documents are tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents: Option<usize>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryRequest {
    /// Only documents that failed at this stage.
    #[serde(default)]
    stage: Option<String>,
}

/// The run at this moment. To a key that is bound to a user without what names documents.
pub(super) async fn snapshot(State(service): State<Shared>, caller: Caller) -> Json<Snapshot> {
    let mut snapshot = (*service.snapshot()).clone();
    if caller.user().is_some() {
        snapshot.slowest.clear();
        snapshot.failures.clear();
        snapshot.events.clear();
        snapshot.stages.iter_mut().for_each(|stage| stage.hands.clear());
    }
    Json(snapshot)
}

pub(super) async fn set_width(
    State(service): State<Shared>,
    caller: Caller,
    of: Result<Path<String>, PathRejection>,
    asked: Result<Json<WidthRequest>, JsonRejection>,
) -> Result<Json<WidthSet>, Problem> {
    caller.must_see_all()?;
    let id = path(of)?;
    let Json(asked) = asked.map_err(|refused| Problem::new(refused.status(), refused.body_text()))?;
    let snapshot = service.snapshot();
    let stage = snapshot.stage(&id).filter(|stage| stage.role != "source");
    let Some(stage) = stage else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "there is no stage of this name with a width"));
    };
    let by = if asked.by.is_empty() { BY.to_owned() } else { crate::report::printable(&asked.by) };
    match (asked.width, asked.auto) {
        (Some(width), false) if (stage.min..=stage.max).contains(&width) => {
            let why = crate::report::printable(&asked.why);
            service.tell(Command::SetWidth { stage: id.clone(), width, by, why }).await?;
            Ok(Json(WidthSet { id, width, auto: stage.auto }))
        }
        (Some(_), false) => {
            Err(Problem::unprocessable(format!("the width of `{id}` is from {} to {}", stage.min, stage.max)))
        }
        (None, true) => {
            service.tell(Command::HandOver { stage: id.clone(), by }).await?;
            Ok(Json(WidthSet { id, width: stage.width, auto: true }))
        }
        _ => Err(Problem::unprocessable("give one of `width` and `auto`")),
    }
}

pub(super) async fn pause(
    State(service): State<Shared>,
    caller: Caller,
) -> Result<(StatusCode, Json<RunState>), Problem> {
    told(&service, &caller, Command::Pause, "paused").await
}

pub(super) async fn resume(
    State(service): State<Shared>,
    caller: Caller,
) -> Result<(StatusCode, Json<RunState>), Problem> {
    told(&service, &caller, Command::Resume, "running").await
}

pub(super) async fn drain(
    State(service): State<Shared>,
    caller: Caller,
) -> Result<(StatusCode, Json<RunState>), Problem> {
    let answer = told(&service, &caller, Command::Drain, "draining").await?;
    service.parts.queue.close();
    Ok(answer)
}

async fn told(
    service: &Service,
    caller: &Caller,
    command: Command,
    state: &str,
) -> Result<(StatusCode, Json<RunState>), Problem> {
    caller.must_see_all()?;
    service.tell(command).await?;
    Ok((StatusCode::ACCEPTED, Json(RunState { state: state.to_owned(), documents: None })))
}

/// Tries documents again that failed, all or those of one stage, whose bytes are still to be had.
pub(super) async fn retry_failed(
    State(service): State<Shared>,
    caller: Caller,
    asked: Result<Json<RetryRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<RunState>), Problem> {
    caller.must_see_all()?;
    let Json(asked) = asked.map_err(|refused| Problem::new(refused.status(), refused.body_text()))?;
    let (failed, _) = service.parts.ledger.list(Some(Stands::Failed), None, MOST).await.map_err(unreadable)?;
    let documents: Vec<(String, SourceItem)> = failed
        .iter()
        .filter(|entry| asked.stage.as_ref().is_none_or(|stage| *stage == entry.stage))
        .filter(|entry| service.parts.spool.has(&entry.uri))
        .map(|entry| (entry.source.clone(), item_of(entry)))
        .collect();
    let count = documents.len();
    if count > 0 {
        service.tell(Command::Retry { documents }).await?;
    }
    let state = RunState { state: "running".into(), documents: Some(count) };
    Ok((StatusCode::ACCEPTED, Json(state)))
}

/// A command as the run takes it, for another docmill.
pub(super) async fn command(
    State(service): State<Shared>,
    caller: Caller,
    asked: Result<Json<Command>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    caller.must_see_all()?;
    let Json(command) = asked.map_err(|refused| Problem::new(refused.status(), refused.body_text()))?;
    // What names documents would let a caller have this machine's files read.
    if matches!(command, Command::Retry { .. } | Command::Stop) {
        return Err(Problem::unprocessable("this command is not taken from afar"));
    }
    service.tell(command).await?;
    Ok(StatusCode::ACCEPTED)
}
