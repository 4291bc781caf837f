//! Whether the service is well: for who looks after it, and for who sends it work.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::keys::Caller;
use crate::http::metrics::{self, ServiceFigures};
use crate::http::problem::Problem;
use crate::http::queue::QueueView;
use crate::http::state::{Service, Shared};
use crate::monitor::Snapshot;

/// From this share of its budget on memory is a reason to look.
const MEMORY_ALERT: f64 = 0.8;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Status {
    /// `live`, `ready`, `starting`, `draining` or `over`.
    status: &'static str,
}

/// The queue in front of the pipeline.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QueueState {
    /// Documents that wait.
    length: usize,
    /// How many may.
    capacity: usize,
    /// How long the one that came first has waited.
    oldest_seconds: f64,
    /// Documents a second that the pipeline takes, lately.
    drain_per_second: f64,
    /// `ok`, `full` or `draining`.
    state: &'static str,
    /// When to come again, should it be full.
    retry_after_seconds: u64,
}

/// Memory.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Memory {
    /// Bytes of documents in flight.
    used_bytes: u64,
    /// The most that there were.
    peak_bytes: u64,
    /// How many there may be (`run.memory`).
    budget_bytes: u64,
    /// Of the process and its children, as the system counts it.
    rss_bytes: u64,
    /// What a document in flight holds, in the mean.
    per_document_bytes: u64,
    /// Of the budget, from 0 to 1.
    share: f64,
    /// Whether more than four fifths of the budget are in use.
    alert: bool,
}

/// The process answers.
pub(super) async fn live() -> Json<Status> {
    Json(Status { status: "live" })
}

/// It takes documents in.
pub(super) async fn ready(State(service): State<Shared>) -> Response {
    let snapshot = service.snapshot();
    let status = if snapshot.state.is_over() {
        "over"
    } else if service.parts.queue.view().closed {
        "draining"
    } else if snapshot.run.is_empty() {
        "starting"
    } else {
        return Json(Status { status: "ready" }).into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(Status { status })).into_response()
}

pub(super) async fn queue(State(service): State<Shared>) -> Json<QueueState> {
    let view = service.parts.queue.view();
    let state = match view {
        QueueView { closed: true, .. } => "draining",
        QueueView { length, capacity, .. } if length >= capacity => "full",
        _ => "ok",
    };
    Json(QueueState {
        length: view.length,
        capacity: view.capacity,
        oldest_seconds: view.oldest.as_secs_f64(),
        drain_per_second: view.drain_rate,
        state,
        retry_after_seconds: view.retry_after.as_secs(),
    })
}

pub(super) async fn memory(State(service): State<Shared>) -> Json<Memory> {
    Json(Memory::of(&service.snapshot()))
}

impl Memory {
    #[expect(clippy::cast_precision_loss, reason = "a share is shown, not reckoned with")]
    fn of(snapshot: &Snapshot) -> Self {
        let (used, budget) = (snapshot.memory_used, snapshot.memory_budget);
        let share = if budget == 0 { 0.0 } else { used as f64 / budget as f64 };
        Self {
            used_bytes: used,
            peak_bytes: snapshot.memory_peak,
            budget_bytes: budget,
            rss_bytes: snapshot.host.rss_bytes + snapshot.host.children_rss_bytes,
            per_document_bytes: used.checked_div(snapshot.documents.unfinished).unwrap_or_default(),
            share,
            alert: share > MEMORY_ALERT,
        }
    }
}

/// For Prometheus.
pub(super) async fn metrics(State(service): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    caller.must_see_all()?;
    let text = metrics::render(&service.snapshot(), &service.figures());
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

impl Service {
    fn figures(&self) -> ServiceFigures {
        let view = self.parts.queue.view();
        ServiceFigures {
            queue_length: view.length as u64,
            queue_capacity: view.capacity as u64,
            queue_oldest_seconds: view.oldest.as_secs_f64(),
            refused: view.refused,
            connections: self.parts.connections.now() as u64,
            connections_limit: self.parts.settings.connections as u64,
            spool_bytes: self.parts.spool.used(),
            memory_alert: Memory::of(&self.snapshot()).alert,
            ready: !view.closed,
            alerts: self.raised.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            connections_refused: self.parts.connections.refused(),
            http: Arc::clone(&self.parts.metrics),
        }
    }
}
