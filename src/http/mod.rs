//! The pipeline over HTTP: documents and commands in, what became of them and snapshots out.
//!
//! | file | holds |
//! |---|---|
//! | `state`, `keys` | what all handlers share; who may ask, and whose documents they see |
//! | `queue`, `spool`, `hear` | where documents wait; their bytes on disk; hearing of their ends |
//! | `api` | the handlers, a file for each kind of thing |
//! | `listen`, `guard` | connections and their limits; what holds for every request and answer |
//! | `metrics`, `page`, `openapi`, `problem` | for Prometheus; for a browser; the description; errors |
//!
//! Nothing here knows the runtime: documents go in by `docmill_api::Intake` and are taken by the pipeline from the
//! [`Queue`], which is a `docmill_api::Feed`.

mod api;
mod guard;
mod hear;
mod keys;
mod listen;
mod metrics;
mod openapi;
mod page;
mod problem;
mod queue;
mod spool;
mod state;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use axum::middleware::{Next, from_fn};
use docmill_api::CancellationToken;
use tokio::net::TcpListener;

pub use hear::Heard;
pub use keys::{KEY_VARIABLE, Keys};
pub use listen::Connections;
pub use metrics::HttpMetrics;
pub use queue::Queue;
pub use spool::Spool;
pub use state::{Asked, Questions, ServiceParts};

use guard::GuardSettings;
use listen::Limits;

/// Serves until `closing`, and then until all that is in hand is answered, for `drain` at most.
///
/// # Errors
/// The listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    parts: ServiceParts,
    closing: CancellationToken,
    drain: Duration,
) -> io::Result<()> {
    let settings = &parts.settings;
    let limits = Limits {
        connections: settings.connections,
        header: settings.header_timeout,
        idle: settings.idle_timeout,
        ..Limits::default()
    };
    let guards = GuardSettings {
        address: listener.local_addr()?,
        open: parts.keys.is_empty(),
        hosts: settings.hosts.clone(),
        origins: settings.origins.clone(),
    };
    let connections = Arc::clone(&parts.connections);
    let metrics = Arc::clone(&parts.metrics);
    let service = state::Service::new(parts, closing.clone());
    let counted = Arc::clone(&metrics);
    let routes = api::routes(Arc::clone(&service)).layer(from_fn(move |request, next: Next| {
        let counted = Arc::clone(&counted);
        async move {
            let _under_way = counted.begin();
            next.run(request).await
        }
    }));
    let observe =
        Arc::new(move |method: &Method, route: &str, status, took| metrics.record(method, route, status, took));
    let app = guard::guarded(routes, &guards, observe);
    let sweeping = hear::sweep(&service.parts.spool, service.parts.intake.as_ref(), &service.parts.ledger);
    tokio::select! {
        served = listen::serve(listener, app, limits, connections, closing, drain) => served,
        () = sweeping => Ok(()),
        () = service.watch_alerts() => Ok(()),
    }
}
