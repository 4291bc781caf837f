//! Bodies: one that comes is given up when it stalls, one that goes keeps its connection's seat, and one that nobody
//! wants is dropped.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures::StreamExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use super::Limits;
use super::seats::Seat;

/// The most that [`drop_body`] reads, and for how long.
const DROPPED: usize = 1 << 20;
const DROPPED_WITHIN: Duration = Duration::from_secs(2);

/// Reads and drops a body that nobody wants, a megabyte of it or two seconds at most, so that the connection can serve the
/// next request. One that is declared larger is left alone.
///
/// An answer reaches the peer without it, too: what still comes after an answer is dropped by the listener, which then
/// closes the connection. This is for small bodies, where a new connection would cost more than their bytes. It has no
/// part in `Expect: 100-continue` with a large body: that peer waits, gets its answer, and sends nothing.
pub(crate) async fn drop_body(body: Body) {
    if body.size_hint().lower() > DROPPED as u64 {
        return;
    }
    let mut frames = body.into_data_stream();
    let reading = async {
        let mut read = 0;
        while let Some(Ok(bytes)) = frames.next().await {
            read += bytes.len();
            if read > DROPPED {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DROPPED_WITHIN, reading).await;
}

/// A body did not come in time.
#[derive(Debug)]
pub(super) struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the body did not come in time")
    }
}

impl std::error::Error for Stalled {}

/// The body of a request. It fails with [`Stalled`] when nothing comes of it for [`Limits::idle`] while it is read, or when
/// it takes longer than [`Limits::body`]. A handler that does not read is not the peer's fault, and no time runs.
pub(super) struct Arriving {
    incoming: Incoming,
    seat: Arc<Seat>,
    stalled: Arc<AtomicBool>,
    idle: Duration,
    deadline: Instant,
    timer: Pin<Box<Sleep>>,
    waited_for: bool,
    over: bool,
}

impl Arriving {
    /// `stalled` is set when it fails so.
    pub(super) fn new(incoming: Incoming, seat: Arc<Seat>, limits: &Limits, stalled: Arc<AtomicBool>) -> Self {
        let deadline = Instant::now() + limits.body;
        let over = incoming.is_end_stream();
        let timer = Box::pin(tokio::time::sleep(limits.idle));
        Self { incoming, seat, stalled, idle: limits.idle, deadline, timer, waited_for: false, over }
    }

    fn stall(&mut self) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.stalled.store(true, Relaxed);
        Poll::Ready(Some(Err(axum::Error::new(Stalled))))
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.stalled.load(Relaxed) {
            return Poll::Ready(None);
        }
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(_))) if self.deadline <= Instant::now() => self.stall(),
            Poll::Ready(frame) => {
                self.waited_for = false;
                // Of a body that broke off nothing more will come either.
                self.over = !matches!(frame, Some(Ok(_))) || self.incoming.is_end_stream();
                Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new)))
            }
            Poll::Pending => {
                if !self.waited_for {
                    self.waited_for = true;
                    let until = (Instant::now() + self.idle).min(self.deadline);
                    self.timer.as_mut().reset(until);
                }
                ready!(self.timer.as_mut().poll(context));
                self.stall()
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.over {
            self.seat.leaves_unread();
        }
    }
}

/// A request that is being answered. The seat is kept until it is dropped.
pub(super) struct InHand(Arc<Seat>);

impl InHand {
    pub(super) fn new(seat: &Arc<Seat>) -> Self {
        seat.is_busy();
        Self(Arc::clone(seat))
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.has_answered();
    }
}

/// The body of an answer, with the request that it answers in hand until all of it is given away.
pub(super) struct Leaving {
    body: Body,
    _in_hand: InHand,
}

impl Leaving {
    pub(super) fn new(body: Body, in_hand: InHand) -> Self {
        Self { body, _in_hand: in_hand }
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
