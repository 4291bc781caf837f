//! A simulated service from the moment it has an address until its last connection is closed.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use docmill_api::CancellationToken;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant};

use super::connection::Closable;
use super::gate::Gate;
use super::routes::router;
use super::stats::Counters;
use super::{Settings, Stats};

/// A service that has an address, and answers once it is started.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A service that answers. Dropping it stops it, without waiting.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

/// What all calls of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    /// Once it is cancelled, no call is answered.
    pub(super) closing: CancellationToken,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) gate: Gate,
    pub(super) counters: Counters,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The second since the start in which an instant is.
    pub(super) fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }

    pub(super) fn stats(&self) -> Stats {
        let second = self.second(Instant::now());
        self.state().counters.stats(second)
    }
}

impl Server {
    /// Takes an address; port 0 takes any that is free. From here on connections are taken, and wait for the start.
    ///
    /// A port that a stopped server had can be taken again at once.
    ///
    /// # Errors
    /// The address cannot be had, or the settings cannot be ([`Settings::check`]; `InvalidInput`).
    pub async fn bind(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        settings.check().map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))?;
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (closing, started, state) = (CancellationToken::new(), Instant::now(), Mutex::default());
        Ok(Self { listener, address, shared: Arc::new(Shared { settings, closing, started, state }) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to answer, in a task of the present event loop.
    ///
    /// # Panics
    /// There is no event loop.
    #[must_use = "a server stops when it is dropped"]
    pub fn start(self) -> Running {
        let Self { listener, address, shared } = self;
        let closing = shared.closing.clone();
        let listener = Closable { listener, closing: closing.clone() };
        let serving =
            axum::serve(listener, router(Arc::clone(&shared))).with_graceful_shutdown(closing.cancelled_owned());
        let task = tokio::spawn(async move {
            // It never fails: an error of one connection ends that one.
            let _ = serving.await;
        });
        Running { address, shared, task: Some(task) }
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client is given as its `base_url`: `http://ADDRESS/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What was asked of it until now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Closes the listener and every connection, whatever is under way, and tells what was asked.
    ///
    /// Once it returns, connections are refused.
    pub async fn stop(mut self) -> Stats {
        self.shared.closing.cancel();
        if let Some(task) = self.task.take() {
            // A panic in there is told of by the event loop, and what was counted until then is still there.
            let _ = task.await;
        }
        // A connection is closed a moment before its task has dropped the call.
        for _ in 0..100 {
            let in_flight = self.shared.stats().in_flight;
            if in_flight.chat.now + in_flight.embeddings.now == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.shared.stats()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.closing.cancel();
    }
}
