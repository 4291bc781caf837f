//! What all handlers share.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use docmill_api::{CancellationToken, Intake, Provider, Search, StageError, async_trait};
use tokio::sync::{mpsc, watch};

use super::hear::Heard;
use super::keys::{Caller, Keys, Refused};
use super::listen::Connections;
use super::metrics::HttpMetrics;
use super::problem::Problem;
use super::queue::Queue;
use super::spool::Spool;
use crate::control::Command;
use crate::ledger::Ledger;
use crate::monitor::Snapshot;
use crate::plan::ServePlan;
use crate::tune::{Alert, AlertRules, Alerts};

/// A store, and the model that embeds questions to it, where they are embedded.
pub type Asked = (Arc<dyn Search>, Option<Arc<dyn Provider>>);

/// Opens what questions are put to.
#[async_trait]
pub trait Questions: Send + Sync {
    /// The store as it is now, and the model that embeds questions to it.
    ///
    /// # Errors
    /// There is no store yet, or it or the model cannot be opened.
    async fn open(&self) -> Result<Asked, StageError>;
}

/// What a service is made of.
pub struct ServiceParts {
    /// How it is offered.
    pub settings: ServePlan,
    /// Who may ask.
    pub keys: Keys,
    /// Where documents are handed in.
    pub intake: Arc<dyn Intake>,
    /// Where they wait.
    pub queue: Arc<Queue>,
    /// Where uploads are.
    pub spool: Arc<Spool>,
    /// What became of documents.
    pub ledger: Arc<Ledger>,
    /// Who hears of their ends.
    pub heard: Arc<Heard>,
    /// Where commands go.
    pub commands: mpsc::Sender<Command>,
    /// What the run looks like.
    pub published: watch::Receiver<Arc<Snapshot>>,
    /// When an alert is raised.
    pub alerts: AlertRules,
    /// Who answers questions.
    pub questions: Arc<dyn Questions>,
    /// Who is connected.
    pub connections: Arc<Connections>,
    /// What was asked.
    pub metrics: Arc<HttpMetrics>,
}

/// What all handlers share.
pub(crate) struct Service {
    pub(crate) parts: ServiceParts,
    /// Idempotency keys whose first request is being answered.
    pub(crate) answering: Mutex<HashSet<String>>,
    /// The alerts that are on.
    pub(crate) raised: Mutex<Vec<Alert>>,
    /// Cancelled when the service ends: what has no end of its own ends then.
    pub(crate) closing: CancellationToken,
}

pub(crate) type Shared = Arc<Service>;

impl Service {
    pub(crate) fn new(parts: ServiceParts, closing: CancellationToken) -> Shared {
        Arc::new(Self { parts, answering: Mutex::default(), raised: Mutex::default(), closing })
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.parts.published.borrow())
    }

    /// Keeps the alerts that are on, for as long as it is polled and the run goes on.
    pub(crate) async fn watch_alerts(&self) {
        let mut alerts = Alerts::new(self.parts.alerts.clone());
        let mut published = self.parts.published.clone();
        loop {
            let snapshot = Arc::clone(&published.borrow_and_update());
            let raised = alerts.look(&snapshot);
            // Nobody asks for the changes here: kept, they would grow for as long as the service runs.
            drop(alerts.changes());
            *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = raised;
            if published.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Tells the run something.
    pub(crate) async fn tell(&self, command: Command) -> Result<(), Problem> {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
        match tokio::time::timeout(PATIENCE, self.parts.commands.send(command)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Problem::new(StatusCode::CONFLICT, "the run is over")),
            Err(_) => Err(Problem::full("the run still works on what it was told before", PATIENCE)),
        }
    }
}

/// Lets nobody pass without a key, where there are keys.
pub(crate) async fn authorised(
    axum::extract::State(service): axum::extract::State<Shared>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match service.parts.keys.caller(request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(next.run(request).await)
        }
        Err(refused) => {
            // What comes of the body is read, so that the answer is.
            super::listen::drop_body(request.into_body()).await;
            Err(match refused {
                Refused::Unknown => Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "this service wants a key: send it as `Authorization: Bearer KEY`",
                ),
                Refused::TooMany(after) => Problem::too_many("this key has made its requests of the minute", after),
            })
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // A route that forgot to ask for a key answers nobody.
        let missing = || Problem::new(StatusCode::UNAUTHORIZED, "this service wants a key");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

impl Caller {
    /// Lets only those on who see all documents.
    pub(crate) fn must_see_all(&self) -> Result<(), Problem> {
        match self.user() {
            None => Ok(()),
            Some(user) => Err(Problem::forbidden(format!("this key is `{user}`'s: it may not change what all use"))),
        }
    }
}
