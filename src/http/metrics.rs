//! What `/metrics` says: the run's snapshot, the service's own figures and the HTTP requests, as Prometheus reads them.
//!
//! Nothing is counted here that is counted elsewhere: every total comes out of the [`Snapshot`] that all views share, and
//! only requests, which nobody else knows of, have counters of their own ([`HttpMetrics`]). The figures are laid out as
//! data ([`Family`]), so that a test can compare what there is with what the dashboards, the alert rules and the guide name.

mod family;
mod fleet;
mod requests;
mod run;
mod serving;
mod stages;

use std::sync::Arc;

use prometheus_client::encoding::prometheus_text::{self, encode};
use prometheus_client::registry::Registry;

use crate::monitor::Snapshot;
use crate::tune::Alert;
use family::{Families, Family};

pub use requests::HttpMetrics;

/// The `Content-Type` of what [`render`] gives.
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// What stands before every name.
const PREFIX: &str = "docmill";

/// What the service itself knows at one moment, and no snapshot says.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceFigures {
    /// Documents that were accepted and wait for the run to take them.
    pub(crate) queue_length: u64,
    /// How many may wait.
    pub(crate) queue_capacity: u64,
    /// How long the oldest of them has waited; 0 where none waits.
    pub(crate) queue_oldest_seconds: f64,
    /// Documents that were answered with 503, from the service's start.
    pub(crate) refused: u64,
    /// Connections that are open now.
    pub(crate) connections: u64,
    /// How many may be open.
    pub(crate) connections_limit: u64,
    /// Connections that were turned away, from the service's start.
    pub(crate) connections_refused: u64,
    /// Bytes of uploads that are kept on disk.
    pub(crate) spool_bytes: u64,
    /// Whether more of the memory budget is in use than `/health/memory` finds well.
    pub(crate) memory_alert: bool,
    /// Whether `/health/ready` says 200.
    pub(crate) ready: bool,
    /// The alerts that are on.
    pub(crate) alerts: Vec<Alert>,
    /// The requests that were answered.
    pub(crate) http: Arc<HttpMetrics>,
}

/// Everything, in the text format that [`CONTENT_TYPE`] names.
pub(crate) fn render(snapshot: &Snapshot, service: &ServiceFigures) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Families(families(snapshot, service))));
    service.http.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes what is written to it");
    text
}

fn families(snapshot: &Snapshot, service: &ServiceFigures) -> Vec<Family> {
    let parts = [
        run::families(snapshot),
        stages::families(&snapshot.stages),
        stages::edges(&snapshot.edges),
        fleet::families(&snapshot.fleet),
        serving::models(&snapshot.services),
        serving::families(service),
    ];
    parts.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
