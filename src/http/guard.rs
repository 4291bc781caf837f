//! What holds for every request and every answer, whichever handler it is for: who may ask from where, what an answer says
//! besides itself, and that a handler's panic is one answer and no more.
//!
//! A page that somebody has open must not reach a service on their machine. Two things keep it out: the **host** by which
//! the service is called (a name of the page's own that has come to mean 127.0.0.1 is none of the service's), and the
//! **origin** of the page. Where every request needs a key, a page that has none gets nothing, and any name will do.

mod answer;
mod names;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tower_http_07::cors::CorsLayer;

use crate::http::problem::Problem;
use names::Names;

/// The status by which a request is counted whose peer has gone before it was answered (nginx's).
const GONE: u16 = 499;

/// The route of what no route is for.
const UNMATCHED: &str = "unmatched";

/// How long a browser may remember what it was told of another site's requests.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Is told of every request, when its answer begins: the method (`OTHER` for one that HTTP does not know), the template of
/// the route (`/v1/documents/{id}`; `unmatched`), the status (499: the peer had gone) and how long it took.
pub(crate) type Observe = Arc<dyn Fn(&Method, &str, u16, Duration) + Send + Sync>;

/// Who may ask.
#[derive(Clone, Debug)]
pub(crate) struct GuardSettings {
    /// Where the service listens.
    pub(crate) address: SocketAddr,
    /// No key is wanted. With a loopback address the service then answers to its own names only.
    pub(crate) open: bool,
    /// Names besides `localhost`, `127.0.0.1`, `[::1]` and the address, with any port.
    pub(crate) hosts: Vec<String>,
    /// Other sites (`https://docs.example`) whose pages may ask. Without any, there is no CORS.
    pub(crate) origins: Vec<String>,
}

struct Guard {
    names: Names,
    observe: Observe,
}

/// The routes with all of it around them. Routes that are added later are without.
pub(crate) fn guarded(app: Router, settings: &GuardSettings, observe: Observe) -> Router {
    let names = Names::new(settings);
    let app = match names.origins() {
        [] => app,
        origins => app.layer(shared_with(origins)),
    };
    app.layer(middleware::from_fn_with_state(Arc::new(Guard { names, observe }), attend))
}

fn shared_with(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static("idempotency-key")])
        .expose_headers([LOCATION, RETRY_AFTER])
        .max_age(REMEMBERED)
}

/// Counts a request when it is dropped, so that one whose peer went is counted as well.
struct Counted<'a> {
    guard: &'a Guard,
    method: Method,
    route: Option<MatchedPath>,
    begun: Instant,
    status: u16,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let route = self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
        (self.guard.observe)(&self.method, route, self.status, self.begun.elapsed());
    }
}

async fn attend(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut counted = Counted {
        guard: &guard,
        method: known(request.method()),
        route: request.extensions().get::<MatchedPath>().cloned(),
        begun: Instant::now(),
        status: GONE,
    };
    let response = match guard.names.admit(&request) {
        Err(refused) => refused.into_response(),
        Ok(()) => match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => answer::explained(response).await,
            Err(_) => {
                // What it said may have been of somebody's document; the panic hook has told it to the operator.
                let route = counted.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
                tracing::error!(route, "a handler panicked");
                let detail = "the service failed at this request, and goes on";
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
            }
        },
    };
    counted.status = response.status().as_u16();
    answer::with_headers(response, &path)
}

/// A method as it is counted: whoever makes one up makes no series of its own.
fn known(method: &Method) -> Method {
    let known = [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS, Method::PUT];
    if known.contains(method) { method.clone() } else { Method::from_bytes(b"OTHER").unwrap_or_default() }
}

#[cfg(test)]
mod tests;
