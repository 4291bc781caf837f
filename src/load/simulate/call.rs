//! One call: counted from its arrival on, answered or not as was drawn for it.

use std::sync::Arc;
use std::time::Duration;

use axum::body;
use axum::extract::Request as HttpRequest;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use docmill_api::Digest;
use futures::StreamExt;
use futures_timer::Delay;
use tokio::time::Instant;

use super::answer::{Answer, Body, Request};
use super::fate::Fate;
use super::gate::{Granted, Refused, Room};
use super::refusal::{Refusal, whole_seconds};
use super::reply::{Reply, send, tell, time_of};
use super::server::Shared;
use super::{Endpoint, Settings};

/// How large a request may be: a page's image is some megabytes, a batch of texts of 300,000 tokens less than two.
const MAX_BODY: usize = 64 << 20;

/// From how many bytes on a request is worked on beside the event loop. Below it takes less than a millisecond.
const LARGE: usize = 64 << 10;

/// A call in flight. It is counted until this is dropped, which the event loop also does where the client leaves.
pub(super) struct Call {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    granted: bool,
    room: Option<Room>,
}

/// Serves a call, `deployment` being the model that its address names.
pub(super) async fn serve(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    deployment: Option<String>,
    request: HttpRequest,
) -> Response {
    let mut call = Call::arrive(shared, endpoint);
    let closing = call.shared.closing.clone();
    let result = tokio::select! {
        result = call.reply(deployment, request) => result,
        // Nobody gets to read it: the connection is closed as well.
        () = closing.cancelled() => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    };
    let (pace, advertises) = (call.shared.settings.tokens_per_second, call.shared.settings.retry_after);
    let room = call.room.filter(|_| advertises);
    let mut response = match result {
        Ok(reply) => send(call, reply, pace),
        Err(refusal) if advertises => refusal.into_response(),
        Err(refusal) => refusal.without_after().into_response(),
    };
    if let Some(room) = room {
        tell(&room, response.headers_mut());
    }
    response
}

impl Call {
    fn arrive(shared: Arc<Shared>, endpoint: Endpoint) -> Self {
        shared.state().counters.arrived(endpoint);
        Self { shared, endpoint, granted: false, room: None }
    }

    async fn reply(&mut self, deployment: Option<String>, request: HttpRequest) -> Result<Reply, Refusal> {
        let result = self.work(deployment, request).await;
        let status = result.as_ref().map_or_else(Refusal::status, |_| StatusCode::OK);
        self.shared.state().counters.status(status.as_u16());
        result
    }

    async fn work(&mut self, deployment: Option<String>, request: HttpRequest) -> Result<Reply, Refusal> {
        let (head, body) = request.into_parts();
        if let Err(refusal) = authorise(&self.shared.settings, &head.headers) {
            discard(body).await;
            return Err(refusal);
        }
        let body = body::to_bytes(body, MAX_BODY).await.map_err(|_| Refusal::too_large(MAX_BODY))?;
        let endpoint = self.endpoint;
        let which: &[u8] = if endpoint == Endpoint::Chat { b"chat" } else { b"embeddings" };
        let (size, shared, named) = (body.len(), Arc::clone(&self.shared), deployment.clone());
        let (asked, request) = apart(size, move || {
            let asked = Digest::of(&[which, named.as_deref().unwrap_or_default().as_bytes(), &body]);
            (asked, Request::read(endpoint, &body, deployment.as_deref(), &shared.settings))
        })
        .await?;
        let request = request?;
        let Granted { fate, draw } = self.enter(&asked)?;
        let due = Instant::now() + draw.latency(&self.shared.settings);
        match fate {
            Fate::Hang => {
                self.shared.state().counters.hung();
                return std::future::pending().await;
            }
            Fate::Unavailable => return Err(Refusal::unavailable()),
            _ => {}
        }
        let answer = apart(size, move || request.answer(fate == Fate::WrongLength)).await?;
        let due = due + self.generation(&answer);
        // Not with tokio's timer: it counts whole milliseconds, and so makes every call one to two longer than was said.
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            Delay::new(left).await;
        }
        match fate {
            Fate::Error => return Err(Refusal::server_error()),
            Fate::Garbage => return Ok(Reply::Garbage),
            Fate::Half => return Ok(Reply::Half(answer)),
            _ => {}
        }
        if fate == Fate::Answer {
            let mut state = self.shared.state();
            let again = state.gate.answered(&asked);
            state.counters.answered(answer.usage, again);
        }
        Ok(Reply::Answer(answer))
    }

    /// Asks to be granted.
    fn enter(&mut self, asked: &Digest) -> Result<Granted, Refusal> {
        let settings = &self.shared.settings;
        let now = Instant::now();
        let second = self.shared.second(now);
        let mut state = self.shared.state();
        let entered = state.gate.enter(settings, self.endpoint, asked, now);
        self.room = state.gate.room(settings, now);
        self.granted = entered.is_ok();
        match entered {
            Ok(_) => state.counters.granted(second),
            Err(Refused::Quota) => {}
            Err(_) => state.counters.refused(second),
        }
        drop(state);
        entered.map_err(|refused| match refused {
            Refused::Quota => Refusal::quota(),
            Refused::Busy => Refusal::rate(None, "Rate limit reached on concurrent requests."),
            Refused::Overload => Refusal::rate(None, "The engine is currently overloaded, please try again later."),
            Refused::Rate(after) => {
                let seconds = whole_seconds(after).max(1);
                let limit = settings.requests_per_minute.unwrap_or_default();
                let message = format!(
                    "Rate limit reached on requests per min (RPM): Limit {limit}. Please try again in {seconds}s."
                );
                Refusal::rate(Some(after), message)
            }
        })
    }

    /// How long an answer is being written that is sent as a whole. One that streams takes this time while it does.
    fn generation(&self, answer: &Answer) -> Duration {
        match answer.body {
            Body::Whole(_) => time_of(answer.usage.completion_tokens, self.shared.settings.tokens_per_second),
            Body::Events(_) => Duration::ZERO,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.counters.left(self.endpoint);
        if self.granted {
            state.gate.leave();
        }
    }
}

/// Work that takes long with much to do: beside the event loop, then.
async fn apart<T: Send + 'static>(size: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    if size < LARGE {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::server_error())
}

/// Reads a body that nobody wants, as far as one may be long: a client that is still writing when the connection closes
/// does not get to read why.
async fn discard(body: body::Body) {
    let mut left = MAX_BODY;
    let mut chunks = body.into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        let Some(rest) = left.checked_sub(chunk.len()) else { return };
        left = rest;
    }
}

/// Looks for the key, in either place where services look for it.
pub(super) fn authorise(settings: &Settings, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(key) = settings.key.as_deref() else { return Ok(()) };
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let shown = bearer.or_else(|| headers.get("api-key").map(HeaderValue::as_bytes));
    // Hashes are compared: how long that takes tells nothing of the key.
    match shown {
        Some(shown) if Digest::of(&[shown]) == Digest::of(&[key.as_bytes()]) => Ok(()),
        _ => Err(Refusal::key(shown.is_some())),
    }
}
