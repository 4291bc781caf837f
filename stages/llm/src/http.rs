//! The way to the service: what async-openai's client speaks through. One call is one request: nothing is tried again
//! here, no redirect is followed, and what comes back is bounded.
//!
//! The client's own transport tries three times by itself and drops the headers of an error; this one classes what it
//! gets with its headers, and leaves the rest to the engine.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_openai::middleware::HttpRequestFactory;
use docmill_api::StageError;
use docmill_net::{USER_AGENT, chain};
use http::header::{CONTENT_TYPE, HeaderMap};
use reqwest_13::{Client, Proxy, Response, redirect};

use crate::error::{CallError, Class, classify, nothing_remains};
use crate::limit::Limits;
use crate::settings::Settings;

/// The longest answer that is read: 4,096 vectors of 4,096 numbers take some 200 MB as JSON, and no batch is that large.
const MAX_ANSWER: usize = 64 << 20;
/// The longest error that is read.
const MAX_ERROR: usize = 64 << 10;

/// The client that all calls of one table go through: connections are kept between them.
pub(crate) fn client(settings: &Settings) -> Result<Client, StageError> {
    // The program's other clients bring ring along; reqwest asks for a choice where it has none. Whoever embeds docmill
    // may have made it: then that one holds.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(settings.timeouts().0);
    builder = match settings.proxy.as_str() {
        "" => builder.no_proxy(),
        proxy => {
            let proxy = Proxy::all(proxy).map_err(|error| StageError::fatal(format!("`proxy`: {}", chain(&error))))?;
            builder.proxy(proxy)
        }
    };
    builder.build().map_err(|error| StageError::fatal(format!("no HTTP client: {}", chain(&error))))
}

/// Sends requests, and classes what comes back.
#[derive(Clone)]
pub(crate) struct Transport {
    pub(crate) client: Client,
    pub(crate) limits: Arc<Limits>,
}

type Sent = Pin<Box<dyn Future<Output = Result<Response, tower::BoxError>> + Send>>;

impl tower::Service<HttpRequestFactory> for Transport {
    type Response = Response;
    type Error = tower::BoxError;
    type Future = Sent;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The turn was waited for before the call was made.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        let transport = self.clone();
        Box::pin(async move {
            let request = request.build().await?;
            let response = transport.client.execute(request).await.map_err(|error| failed(&error))?;
            transport.take(response).await.map_err(Into::into)
        })
    }
}

impl Transport {
    async fn take(&self, response: Response) -> Result<Response, CallError> {
        let (status, headers) = (response.status(), response.headers().clone());
        if let Some(until) = nothing_remains(&headers) {
            self.limits.nothing_remains(until);
        }
        if !status.is_success() {
            let body = read(response, MAX_ERROR, true).await.unwrap_or_default();
            return Err(classify(status, &headers, &body));
        }
        if is_stream(&headers) {
            return Ok(response);
        }
        let body = read(response, MAX_ANSWER, false).await?;
        Ok(http::Response::new(body).into())
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|ty| ty.starts_with("text/event-stream"))
}

/// Reads a body to its end, or to `most`: what is beyond is cut off, or an error.
async fn read(mut response: Response, most: usize, cut: bool) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > most {
            if cut {
                break;
            }
            let message = format!("answered with more than {}", docmill_api::units::Size(most as u64));
            return Err(CallError::new(Class::Garbage, message));
        }
    }
    Ok(body)
}

/// A request that got no answer. Without the address, which the user knows and which may hold what is secret.
pub(crate) fn failed(error: &reqwest_13::Error) -> CallError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut refused = false;
    let mut words = Vec::new();
    while let Some(inner) = cause {
        refused |=
            inner.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
        if !inner.is::<reqwest_13::Error>() {
            words.push(inner.to_string());
        }
        cause = inner.source();
    }
    words.dedup();
    let why = if words.is_empty() { String::new() } else { format!(": {}", words.join(": ")) };
    match () {
        () if refused => CallError::new(Class::Unreachable, "does not listen: the connection is refused"),
        () if error.is_connect() => CallError::new(Class::Unreachable, format!("cannot be reached{why}")),
        () if error.is_timeout() => CallError::new(Class::Timeout, "did not answer in time"),
        () if error.is_builder() => CallError::new(Class::BadRequest, format!("cannot be asked{why}")),
        () => CallError::new(Class::Connection, format!("broke the connection{why}")),
    }
}

fn broken(error: &reqwest_13::Error) -> CallError {
    if error.is_timeout() {
        return CallError::new(Class::Timeout, "did not finish its answer in time");
    }
    CallError::new(Class::Connection, "broke off in the middle of its answer")
}
