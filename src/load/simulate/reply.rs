//! What a call is sent: an answer, a part of one, or what is none. The call is in flight until its last byte is handed
//! to the connection.

use std::io;
use std::time::Duration;

use axum::body::{self, Bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt};
use tokio::time::sleep;

use super::answer::{Answer, Body};
use super::call::Call;
use super::gate::Room;
use super::refusal::whole_seconds;

/// What is sent.
pub(super) enum Reply {
    Answer(Answer),
    Garbage,
    /// The first half of an answer.
    Half(Answer),
}

/// What a service says that has lost its way: a proxy's page, as it is often seen.
const GARBAGE: &[u8] = b"<html><body><h1>It works!</h1></body></html>\n";

/// Sends a reply; one in events at a pace of so many tokens a second.
pub(super) fn send(call: Call, reply: Reply, pace: f64) -> Response {
    let (body, half) = match reply {
        Reply::Garbage => (Body::Whole(Bytes::from_static(GARBAGE)), false),
        Reply::Answer(answer) => (answer.body, false),
        Reply::Half(answer) => (answer.body, true),
    };
    match body {
        Body::Whole(bytes) => whole(call, bytes, half),
        Body::Events(events) => streamed(call, events, half, pace),
    }
}

/// A body of known length; the second half of it can be missing.
fn whole(call: Call, bytes: Bytes, half: bool) -> Response {
    let length = HeaderValue::from(bytes.len());
    let body = if half {
        let first = bytes.slice(..bytes.len() / 2);
        body::Body::from_stream(stream::iter([Ok(first)]).chain(stream::once(broken_off(call))))
    } else {
        body::Body::from_stream(stream::once(async move {
            drop(call);
            Ok::<_, io::Error>(bytes)
        }))
    };
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_LENGTH, length)], body).into_response()
}

fn streamed(call: Call, mut events: Vec<(Bytes, usize)>, half: bool, pace: f64) -> Response {
    if half {
        events.truncate(events.len() / 2);
    }
    let events = stream::iter(events).then(move |(event, tokens)| async move {
        let time = time_of(tokens, pace);
        if !time.is_zero() {
            sleep(time).await;
        }
        Ok(event)
    });
    let last = async move {
        if half {
            return broken_off(call).await;
        }
        drop(call);
        Ok(Bytes::new())
    };
    let kind = HeaderValue::from_static("text/event-stream");
    ([(header::CONTENT_TYPE, kind)], body::Body::from_stream(events.chain(stream::once(last)))).into_response()
}

/// The error by which a connection is closed in the middle of a body.
async fn broken_off(call: Call) -> io::Result<Bytes> {
    // What came before is written while this waits: an error at once would throw it away.
    tokio::task::yield_now().await;
    drop(call);
    Err(io::ErrorKind::ConnectionReset.into())
}

/// How long so many tokens take to write.
pub(super) fn time_of(tokens: usize, pace: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "no answer has 2^52 tokens")]
    let seconds = if pace > 0.0 { tokens as f64 / pace } else { 0.0 };
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_hours(24))
}

/// Says how much is left.
pub(super) fn tell(room: &Room, headers: &mut HeaderMap) {
    headers.insert("x-ratelimit-limit-requests", HeaderValue::from(room.limit));
    headers.insert("x-ratelimit-remaining-requests", HeaderValue::from(room.remaining));
    let seconds = whole_seconds(room.reset);
    let reset = if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) };
    if let Ok(reset) = HeaderValue::from_str(&reset) {
        headers.insert("x-ratelimit-reset-requests", reset);
    }
}
