//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use docmill_api::CancellationToken;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower::Service;

use super::Limits;
use super::body::{Arriving, InHand, Leaving};
use super::seats::{Kind, Seat};
use super::wire::Wire;
use crate::http::problem::Problem;

/// How long the head of a request may take on a spare seat: there are few of them.
const SPARE_HEADER: Duration = Duration::from_secs(5);

/// What hyper keeps of a connection's bytes, each way: 1024 connections then hold 128 MiB at the very worst. It must hold
/// a head.
const BUFFER: usize = 64 << 10;

/// When somebody for whom there was no seat may come again.
const AGAIN: Duration = Duration::from_secs(1);

/// What holds for every connection of a listener.
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) app: Router,
    /// Nobody is accepted any more, and connections that wait for nothing end.
    pub(super) closing: CancellationToken,
    /// All of them end.
    pub(super) cut: CancellationToken,
}

/// Attends to a connection until it ends, has to leave its seat to another, or is cut.
pub(super) async fn attend(stream: TcpStream, peer: SocketAddr, seat: Arc<Seat>, terms: Arc<Terms>) {
    let limits = &terms.limits;
    let wire = Wire::new(stream, Arc::clone(&seat), limits);
    let mut builder = http1::Builder::new();
    // hyper's time for a head begins with the wait for it, so it also ends a connection that is kept and not used.
    // A peer that shuts its half is taken to have gone: what it asked for is not worked on for nobody.
    builder
        .timer(TokioTimer::new())
        .max_header_size(limits.head)
        .max_buf_size(BUFFER.max(limits.head))
        .half_close(false);
    match seat.kind() {
        Kind::Full => builder.header_read_timeout(limits.header),
        Kind::Spare => builder.header_read_timeout(limits.header.min(SPARE_HEADER)).keep_alive(false),
    };
    let service = {
        let (seat, terms) = (Arc::clone(&seat), Arc::clone(&terms));
        service_fn(move |request| -> Pin<Box<dyn Future<Output = _> + Send>> {
            // In hand from this moment, and not from when the answer is first asked for.
            let in_hand = InHand::new(&seat);
            Box::pin(answer(request, peer, Arc::clone(&seat), Arc::clone(&terms), in_hand))
        })
    };
    let mut connection = pin!(builder.serve_connection(TokioIo::new(wire), service));
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            () = terms.cut.cancelled() => return,
            () = seat.leave().cancelled() => return,
            () = terms.closing.cancelled(), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    seat: Arc<Seat>,
    terms: Arc<Terms>,
    in_hand: InHand,
) -> Result<Response<Leaving>, Infallible> {
    let limits = &terms.limits;
    let stalled = Arc::new(AtomicBool::new(false));
    let mut request =
        request.map(|incoming| Body::new(Arriving::new(incoming, Arc::clone(&seat), limits, Arc::clone(&stalled))));
    let address = request.uri();
    let length = address.path_and_query().map_or(0, |path| path.as_str().len());
    let response = if length > limits.address {
        let most = limits.address;
        let detail = format!("the address has {length} bytes, and may have {most}");
        Problem::new(StatusCode::URI_TOO_LONG, detail).into_response()
    } else if seat.kind() == Kind::Spare && !address.path().starts_with("/health/") {
        seat.counts().count_refused();
        Problem::full("too many connections are open: come again", AGAIN).into_response()
    } else {
        request.extensions_mut().insert(ConnectInfo(peer));
        let mut app = terms.app.clone();
        let Ok(response) = app.call(request).await;
        response
    };
    // Whatever the handler made of a body that broke off, the peer is told the reason.
    let response = if stalled.load(Relaxed) && response.status().is_client_error() {
        Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time").into_response()
    } else {
        response
    };
    let mut response = response;
    if seat.has_unread() {
        // The connection ends with this answer: a peer that is not told would send its next request into nothing.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Leaving::new(body, in_hand)))
}
