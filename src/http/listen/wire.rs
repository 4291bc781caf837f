//! The bytes of one connection: a peer that takes nothing is given up, and one that is still sending when it has been
//! answered is heard out, within bounds.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::Limits;
use super::seats::Seat;

/// What a peer must take of an answer in [`Limits::idle`] while more is ready for it. Less is a peer that reads slowly on
/// purpose: 16 KiB in 30 s is half a kilobyte a second, below any modem.
const LEAST: usize = 16 << 10;

/// How long somebody who has been answered may send nothing before it is taken to have read the answer.
const QUIET: Duration = Duration::from_secs(2);

/// A connection's stream, with what holds for it however it is used.
pub(super) struct Wire {
    stream: TcpStream,
    seat: Arc<Seat>,
    idle: Duration,
    leftover: u64,
    linger: Duration,
    /// One timer for both: it is never written and lingered at once.
    timer: Pin<Box<Sleep>>,
    /// What was taken since the peer was first waited for; `None` while it is not waited for.
    taken: Option<usize>,
    /// Until when the peer is heard out, once it was told that no more will come.
    until: Option<Instant>,
    ended: bool,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, seat: Arc<Seat>, limits: &Limits) -> Self {
        // Each is a help and no need: without them a peer that is gone is noticed later.
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
        #[cfg(target_os = "linux")]
        {
            let patience = u32::try_from(limits.idle.as_millis()).unwrap_or(u32::MAX);
            let _ = rustix::net::sockopt::set_tcp_keepidle(&stream, limits.idle.max(Duration::from_secs(1)));
            // Bytes that nobody acknowledges, in the kernel's hands already: those of an event for a peer that is gone.
            let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, patience);
        }
        Self {
            stream,
            seat,
            idle: limits.idle,
            leftover: limits.leftover,
            linger: limits.linger,
            timer: Box::pin(tokio::time::sleep(limits.idle)),
            taken: None,
            until: None,
            ended: false,
        }
    }

    /// Looks at what a write came to, and ends it when the peer has taken too little for too long.
    fn judge(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.taken = self.taken.map(|taken| taken + bytes).filter(|taken| *taken < LEAST);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                if self.taken.is_none() {
                    self.taken = Some(0);
                    self.timer.as_mut().reset(Instant::now() + self.idle);
                }
                ready!(self.timer.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not take the answer")))
            }
        }
    }

    /// Reads and drops what still comes, until the peer ends, is quiet, or has had enough time and bytes.
    fn hear_out(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        let mut dropped = [0_u8; 16 << 10];
        while !self.ended && self.leftover > 0 && Instant::now() < until {
            let mut buffer = ReadBuf::new(&mut dropped);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.leftover = self.leftover.saturating_sub(buffer.filled().len() as u64);
                    self.timer.as_mut().reset((Instant::now() + QUIET).min(until));
                }
                Poll::Ready(_) => self.ended = true,
                Poll::Pending => {
                    ready!(self.timer.as_mut().poll(context));
                    return Poll::Ready(());
                }
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.seat.hears();
        } else if read.is_err() || buffer.remaining() > 0 {
            self.ended = true;
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has written all that it had: the peer is waited for no longer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.taken = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Says that no more will come, and hears the peer out: a socket that is closed with bytes unread resets the
    /// connection, and the peer may lose the answer that it has not read yet.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let until = if let Some(until) = self.until {
            until
        } else {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            let now = Instant::now();
            let until = now + self.linger;
            self.until = Some(until);
            self.timer.as_mut().reset((now + QUIET).min(until));
            // Whoever is still sending is not idle.
            self.seat.is_busy();
            until
        };
        // Nobody is waited for who was answered and is not in the middle of anything.
        if !self.seat.may_be_sent_more() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.hear_out(context, until));
        Poll::Ready(Ok(()))
    }
}
