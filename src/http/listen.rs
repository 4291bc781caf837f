//! Connections: who is let in, how long one may be slow, and how all come to an end.
//!
//! The loop is the service's own because what an open port must survive is decided here, before any handler: heads,
//! bodies and readers that are slow on purpose, more connections than there is room for, a process without descriptors.
//! It knows nothing of documents; what is answered is the [`Router`]'s affair.
//!
//! What happens when there is no room, in this order:
//!
//! 1. The connection that has asked nothing for longest, and for [`Limits::grace`] at least, is closed for the new one.
//! 2. The new one gets one of a few spare seats. There `/health/*` is answered as ever, and all else with `503` and
//!    `Retry-After`, after which the connection is closed.
//! 3. It waits until one of both is possible. Those behind it wait in the kernel's queue, and none of them is reset.

mod body;
mod connection;
mod seats;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use docmill_api::CancellationToken;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub(crate) use body::drop_body;
pub use seats::Connections;

use connection::{Terms, attend};
use seats::Seats;

/// Descriptors that are not for connections: the store's files, the spool, the ledger, children, calls to models.
const OTHERS: u64 = 256;

/// How long nobody is accepted after the machine had no descriptor or no memory for it. Long enough for one to come
/// free, short enough that nobody who knocks meanwhile gives up.
const PAUSE: Duration = Duration::from_millis(50);

/// What a peer may take of time and room.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Connections at once; fewer where the process may not have the descriptors. 1024 by default.
    pub(crate) connections: usize,
    /// Seats beyond them, in which health is answered and all else told to come again. 64.
    pub(crate) spare: usize,
    /// How long the head of a request may take, and how long a connection may be kept without one. 10 s.
    pub(crate) header: Duration,
    /// How long no byte of a body may come, and how long a peer may take next to nothing of an answer. 30 s.
    pub(crate) idle: Duration,
    /// How long a whole body may take. 10 min: 10 MiB at 18 kB a second.
    pub(crate) body: Duration,
    /// How long a connection may be without a request before it is closed for another. 5 s: who has just connected and is
    /// about to ask is not who must go.
    pub(crate) grace: Duration,
    /// Bytes of a request's head, its first line included; more is `431`. 32 KiB. Of headers there may be 100.
    pub(crate) head: usize,
    /// Bytes of an address; more is `414`. 8 KiB.
    pub(crate) address: usize,
    /// What is still read and dropped after an answer that was given before the body had come, so that the peer reads the
    /// answer and not a reset. 32 MiB.
    pub(crate) leftover: u64,
    /// How long that may take in all. 30 s. It ends earlier when nothing comes for two seconds.
    pub(crate) linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            spare: 64,
            header: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            body: Duration::from_secs(600),
            grace: Duration::from_secs(5),
            head: 32 << 10,
            address: 8 << 10,
            leftover: 32 << 20,
            linger: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// The same, with no more connections than this process may have descriptors for. Its soft limit is raised as far as
    /// they need and the hard one lets it.
    fn within_descriptors(self) -> Self {
        let wanted = (self.connections + self.spare) as u64 + OTHERS;
        let limit = getrlimit(Resource::Nofile);
        if limit.current.is_some_and(|current| current < wanted) {
            let current = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
            // Where it is not raised there are fewer connections.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum });
        }
        self.within(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
    }

    /// The same, in a process that may have so many descriptors.
    fn within(mut self, descriptors: u64) -> Self {
        // A process with very few still serves: a quarter of them is for connections.
        let ours = descriptors.saturating_sub(OTHERS).max(descriptors / 4);
        let ours = usize::try_from(ours).unwrap_or(usize::MAX);
        self.spare = self.spare.min(ours / 8).max(1);
        self.connections = self.connections.min(ours - self.spare.min(ours)).max(1);
        self
    }
}

/// Serves until `closing`; then nobody is accepted, who waits for nothing is let go, and requests in hand may end within
/// `drain`. What is left after that is closed. No task and no descriptor remains when it returns, or is dropped.
///
/// A stream of events has no end of its own: its handler ends it at `closing`, or it is cut when `drain` is over.
///
/// # Errors
/// The listener is none. What the machine lacks for a moment is waited for.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    connections: Arc<Connections>,
    closing: CancellationToken,
    drain: Duration,
) -> io::Result<()> {
    let limits = limits.within_descriptors();
    let seats = Arc::new(Seats::new(&limits, connections));
    let cut = CancellationToken::new();
    let _cut = cut.clone().drop_guard();
    let terms = Arc::new(Terms { limits, app, closing: closing.clone(), cut: cut.clone() });
    let tasks = TaskTracker::new();
    let accepted = tokio::select! {
        // Who is closing accepts nobody, however many knock.
        biased;
        () = closing.cancelled() => Ok(()),
        failed = accept(&listener, &seats, &terms, &tasks) => failed,
    };
    drop(listener);
    // Also when the listener failed.
    closing.cancel();
    tasks.close();
    if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "requests in hand are cut: the time to end them is over");
        cut.cancel();
        tasks.wait().await;
    }
    accepted
}

/// Accepts for as long as the listener is one.
async fn accept(listener: &TcpListener, seats: &Arc<Seats>, terms: &Arc<Terms>, tasks: &TaskTracker) -> io::Result<()> {
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                told = false;
                let seat = seats.take().await;
                tasks.spawn(attend(stream, peer, seat, Arc::clone(terms)));
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP) => return Err(error),
                Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    if !told {
                        tracing::warn!(%error, "no connection can be accepted; the one idle for longest is closed");
                    }
                    told = true;
                    seats.short_of_descriptors();
                    tokio::time::sleep(PAUSE).await;
                }
                // One that was gone before it was accepted is no concern of the others.
                _ => tokio::task::yield_now().await,
            },
        }
    }
}

#[cfg(test)]
mod tests;
