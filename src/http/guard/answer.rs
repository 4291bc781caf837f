//! What every answer has: words for what went wrong, and headers for browsers.

use axum::body::{Body, HttpBody};
use axum::http::header::{self, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::problem::Problem;

/// The most of an extractor's own words that is kept as a detail.
const WORDS: usize = 4 << 10;

/// An answer without a say of its own may load nothing and be framed by nobody. A page has its own policy.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// The answer; as problem details where it is an error in plain words or none, as the router's and the extractors' are.
pub(super) async fn explained(response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() || !is_in_plain_words(response.headers()) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let said = read(body).await;
    let detail = if said.is_empty() { in_words(status).to_owned() } else { said };
    let problem = Problem::new(status, detail).into_response();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(CONTENT_TYPE);
    let (mut explained, body) = problem.into_parts();
    // What the handler set stays: `Allow`, `Retry-After`.
    for (name, value) in &parts.headers {
        explained.headers.insert(name, value.clone());
    }
    explained.extensions = parts.extensions;
    Response::from_parts(explained, body)
}

fn is_in_plain_words(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

async fn read(body: Body) -> String {
    if body.is_end_stream() {
        return String::new();
    }
    let bytes = axum::body::to_bytes(body, WORDS).await.unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn in_words(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "there is nothing at this address; `/openapi.json` lists what there is",
        StatusCode::METHOD_NOT_ALLOWED => "there is something at this address, and not for this method: see `Allow`",
        status => status.canonical_reason().unwrap_or("the request could not be answered"),
    }
}

/// The answer, with what a browser is to be told. What a handler has set itself stays.
pub(super) fn with_headers(mut response: Response, path: &str) -> Response {
    let headers = response.headers_mut();
    headers.remove(header::SERVER);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let mut unless_set = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    unless_set(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    unless_set(header::CONTENT_SECURITY_POLICY, NOTHING);
    unless_set(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    if path.starts_with("/v1") {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    } else {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    }
    response
}
