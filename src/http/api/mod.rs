//! The handlers, and which address leads to which.

mod body;
mod documents;
mod events;
mod health;
mod questions;
mod run;
mod upload;
mod view;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, patch, post};

pub(super) use documents::{DocumentsQuery, WaitQuery};
pub(super) use health::{Memory, QueueState, Status};
pub(super) use questions::{ContextAnswer, ContextRequest, Hits, SearchQuery};
pub(super) use run::{RetryRequest, RunState, WidthRequest, WidthSet};
pub(super) use upload::Submission;
pub(super) use view::{DocumentList, DocumentView};

use super::state::{Shared, authorised};
use super::{openapi, page};

/// The most bytes of a JSON body: a submission with its metadata, a question.
pub(super) const JSON: usize = 1 << 20;

/// All addresses of the service.
pub(super) fn routes(service: Shared) -> Router {
    let asked = Router::new()
        .route("/v1/documents", get(documents::list))
        .route("/v1/documents/{id}", get(documents::show).delete(documents::delete))
        .route("/v1/documents/{id}/retry", post(documents::retry))
        .route("/v1/documents/{id}/events", get(events::of_document))
        .route("/v1/events", get(events::of_all))
        .route("/v1/search", get(questions::search))
        .route("/v1/context", post(questions::context))
        .route("/v1/snapshot", get(run::snapshot))
        .route("/v1/stages/{id}", patch(run::set_width))
        .route("/v1/run/pause", post(run::pause))
        .route("/v1/run/resume", post(run::resume))
        .route("/v1/run/drain", post(run::drain))
        .route("/v1/run/retry", post(run::retry_failed))
        .route("/v1/commands", post(run::command))
        .route("/metrics", get(health::metrics))
        .layer(DefaultBodyLimit::max(JSON))
        // Bounded by `serve.max_bytes`, as it is read.
        .route("/v1/documents", post(upload::submit))
        .layer(from_fn_with_state(service.clone(), authorised));
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/queue", get(health::queue))
        .route("/health/memory", get(health::memory))
        .route("/openapi.json", get(openapi::get))
        .merge(page::routes())
        .merge(asked)
        .with_state(service)
}
