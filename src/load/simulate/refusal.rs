//! An error as OpenAI words it: `{"error": {"message", "type", "param", "code"}}`.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a call is not answered.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: String,
    /// Told as `Retry-After`.
    after: Option<Duration>,
}

/// When to come again where nothing tells when it will be better.
const SOON: Duration = Duration::from_secs(1);

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, kind, code, param: None, message: message.into(), after: None }
    }

    /// The request is wrong, and will be.
    pub(super) fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message);
        Self { param: Some(param), ..refusal }
    }

    /// The body is not what it should be.
    pub(super) fn unreadable(error: &serde_json::Error) -> Self {
        let message = format!("We could not parse the JSON body of your request: {error}");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("The body of your request is beyond {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", None, message)
    }

    pub(super) fn context(param: &'static str, message: String) -> Self {
        let code = Some("context_length_exceeded");
        let refusal = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", code, message);
        Self { param: Some(param), ..refusal }
    }

    pub(super) fn key(shown: bool) -> Self {
        let message = if shown { "Incorrect API key provided." } else { "You didn't provide an API key." };
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", Some("invalid_api_key"), message)
    }

    pub(super) fn model(name: &str) -> Self {
        let message = format!("The model `{name}` does not exist or you do not have access to it.");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("model_not_found"), message)
    }

    pub(super) fn route(method: &str, path: &str) -> Self {
        let message = format!("Invalid URL ({method} {path})");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("unknown_url"), message)
    }

    pub(super) fn method(method: &str, path: &str) -> Self {
        let message = format!("Not allowed to {method} on {path}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", Some("method_not_supported"), message)
    }

    pub(super) fn quota() -> Self {
        let message = "You exceeded your current quota, please check your plan and billing details.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", Some("insufficient_quota"), message)
    }

    /// Too many calls: come again `after` so long, or soon.
    pub(super) fn rate(after: Option<Duration>, message: impl Into<String>) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let refusal = Self::new(status, "requests", Some("rate_limit_exceeded"), message);
        Self { after: Some(after.unwrap_or(SOON)), ..refusal }
    }

    pub(super) fn unavailable() -> Self {
        let message = "The engine is currently overloaded, please try again later.";
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", None, message);
        Self { after: Some(SOON), ..refusal }
    }

    pub(super) fn server_error() -> Self {
        let message = "The server had an error while processing your request. Sorry about that!";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, message)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The same without saying when to come again.
    pub(super) fn without_after(self) -> Self {
        Self { after: None, ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = json!({ "message": self.message, "type": self.kind, "param": self.param, "code": self.code });
        let mut response = (self.status, Json(json!({ "error": error }))).into_response();
        if let Some(after) = self.after {
            let seconds = HeaderValue::from(whole_seconds(after).max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

/// A time in seconds, rounded up: who comes after that is not too early.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
