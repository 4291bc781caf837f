//! What carries the requests of the store clients: our own HTTP client, under our own rules.
//!
//! What the operator set (an endpoint, the metadata service where it is turned on) is trusted by name and dialled as it
//! is. Everything else passes the guard: TLS, and public addresses alone. Whatever goes wrong becomes the stage's own
//! error here, where status and headers are at hand; the client hands it on, and [`unwrap`] finds it again.

use std::error::Error;
use std::sync::Arc;

use docmill_api::StageError;
use http_body_util::{BodyExt, Limited};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, StatusCode};
use url::Url;

use crate::http;
use docmill_net::Guard;
use docmill_objects::{Asked, plain};

/// The longest answer that is no object: a page of a listing has a thousand keys of a kilobyte at most.
const ANSWER: usize = 16 << 20;

/// How much of an error's text is looked at for its code.
const ERROR: usize = 8 << 10;

/// Two clients, one behind the guard.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) guard: Arc<Guard>,
    pub(super) guarded: Client,
    pub(super) plain: Client,
}

/// Carries the requests of one store.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) clients: Clients,
    pub(super) asked: Asked,
}

impl HttpConnector for Service {
    fn connect(&self, _options: &object_store::ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait::async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string())
            .map_err(|_| carried(StageError::rejected("its store is asked at what is no address")))?;
        let client = self.client(&url).map_err(carried)?;
        let Some(body) = body.as_bytes().cloned() else {
            return Err(carried(StageError::rejected("nothing is written to a store here")));
        };
        let is_object = parts.method == Method::GET && !url.query().is_some_and(|query| query.contains("list"));
        let sent = client.request(parts.method, url).headers(parts.headers).body(body).send().await;
        let response = sent.map_err(|error| carried(http::failure(error)))?;
        if !response.status().is_success() {
            return Err(carried(self.refusal(response).await));
        }
        let status = response.status();
        let headers = response.headers().clone();
        let most = if is_object { usize::MAX } else { ANSWER };
        let body = Limited::new(reqwest::Body::from(response), most).map_err(|error| {
            match error.downcast::<reqwest::Error>() {
                Ok(error) => carried(http::failure(*error)),
                Err(_) => carried(StageError::rejected("its store answers without end")),
            }
        });
        let mut answer = HttpResponse::new(HttpResponseBody::new(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

impl Service {
    fn client(&self, url: &Url) -> Result<&Client, StageError> {
        if self.asked.trusted.contains(&url.origin()) {
            return Ok(&self.clients.plain);
        }
        self.clients.guard.store(url).map_err(|refused| StageError::rejected(refused.0))?;
        Ok(&self.clients.guarded)
    }

    /// What a status other than success means.
    async fn refusal(&self, mut response: reqwest::Response) -> StageError {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut text = Vec::new();
        while text.len() < ERROR {
            match response.chunk().await {
                Ok(Some(chunk)) => text.extend_from_slice(&chunk),
                _ => break,
            }
        }
        self.explain(status, &headers, code(&text))
    }

    fn explain(&self, status: StatusCode, headers: &HeaderMap, code: Option<&str>) -> StageError {
        let said = code.map(|code| format!(" ({code})")).unwrap_or_default();
        match (status.as_u16(), code) {
            (404, Some("NoSuchBucket" | "ContainerNotFound")) => StageError::rejected("its bucket is not found"),
            (404, _) => StageError::rejected("not found"),
            (401 | 403, _) | (400, Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired")) => {
                StageError::rejected(format!("permission denied{said}: {}", self.asked.hint.0))
            }
            (301 | 307 | 308, _) | (400, Some("AuthorizationHeaderMalformed")) => {
                let region = http::text(headers, &reqwest::header::HeaderName::from_static("x-amz-bucket-region"));
                match region.filter(|region| region.len() < 64) {
                    Some(region) => StageError::rejected(format!(
                        "its bucket is in another region: set `s3.region` to \"{region}\""
                    )),
                    None => {
                        StageError::rejected(format!("its store points elsewhere{said}: set its endpoint or region"))
                    }
                }
            }
            _ if http::passes(status) => http::later(format!("the store answered {status}{said}"), headers),
            _ => StageError::rejected(format!("the store answered {status}{said}")),
        }
    }
}

/// The code in an error's XML or JSON: a word, so nothing secret can be in it.
fn code(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(&text[..text.len().min(ERROR)]).ok()?;
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    (code.len() < 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(code)
}

/// Of a kind that no client tries again: that is the engine's.
fn carried(error: StageError) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, error)
}

/// The stage's error in what a client says; or what the client itself could not make sense of.
pub(super) fn unwrap(error: &object_store::Error) -> StageError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(inner) = cause {
        if let Some(own) = inner.downcast_ref::<StageError>() {
            return own.clone();
        }
        last = inner.to_string();
        cause = inner.source();
    }
    if matches!(error, object_store::Error::NotFound { .. }) {
        return StageError::rejected("not found");
    }
    // The innermost alone: those around it show addresses, and an address may carry a signature.
    StageError::rejected(format!("the store's answer cannot be read: {}", plain(&last)))
}
