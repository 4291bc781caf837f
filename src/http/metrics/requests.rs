//! HTTP requests, counted as they are answered.
//!
//! Labels are bounded, whoever asks: a route is a template of the router's, never a path, and a method is one of those that
//! HTTP names.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Bounds in seconds, from what a health check takes to beyond what `?wait=` may.
const BOUNDS: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The route of what no route matches.
const UNMATCHED: &str = "unmatched";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// The requests of a service, from its start. Shared by all connections.
#[derive(Debug)]
pub struct HttpMetrics {
    requests: Family<Answered, Counter>,
    durations: Family<Route, Histogram, fn() -> Histogram>,
    in_flight: Gauge<i64, AtomicI64>,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
            in_flight: Gauge::default(),
        }
    }
}

impl HttpMetrics {
    /// Counts a request that was answered. `route` is the template that matched (`/v1/documents/{id}`), empty where none
    /// did; `took` is up to the head of the answer, so that a stream of events is no slow request.
    pub(crate) fn record(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let route = if route.is_empty() { UNMATCHED } else { route };
        let answered = Answered { method: name_of(method), route: route.to_owned(), status };
        self.requests.get_or_create(&answered).inc();
        self.durations.get_or_create(&Route { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// Counts a request as under way, until what is returned is dropped: also one whose caller goes away.
    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Puts the figures into a registry. They stay these: a registry may come and go.
    pub(super) fn register(&self, registry: &mut Registry) {
        let requests = "HTTP requests that were answered, by method, route and status";
        registry.register("http_requests", requests, self.requests.clone());
        let durations = "How long an HTTP request took up to the head of its answer, by route";
        registry.register("http_request_duration_seconds", durations, self.durations.clone());
        registry.register("http_requests_in_flight", "HTTP requests under way", self.in_flight.clone());
    }
}

/// A request under way.
#[derive(Debug)]
#[must_use = "it counts for as long as it is held"]
pub(crate) struct InFlight(Gauge<i64, AtomicI64>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The method by its name, where HTTP names it: a caller may send any word.
fn name_of(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "OTHER",
    }
}
