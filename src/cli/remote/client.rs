//! A client of docmill's HTTP interface, as far as a dashboard needs one.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, redirect};
use serde::Deserialize;
use url::{Host, Url};

use crate::report::printable;

/// The most of an answer that is read. A snapshot is some ten kilobytes; one of a thousand stages a few megabytes.
const MOST: usize = 16 << 20;
/// The most characters of a service's own words that are shown.
const WORDS: usize = 300;

/// Why there is no answer to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The service said so.
    Refused { status: u16, detail: String },
    /// Nothing came, or nothing that could be read.
    Silent(String),
}

/// Asks one service.
pub(super) struct Client {
    client: reqwest::Client,
    base: Url,
}

impl Client {
    /// For the service at an address, whose answers may each take so long.
    ///
    /// # Errors
    /// A sentence: the key cannot be sent, or there is no client.
    pub(super) fn new(base: &Url, key: Option<&str>, patience: Duration) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(key) = key {
            // Says nothing of the key itself.
            let mut value = HeaderValue::try_from(format!("Bearer {key}"))
                .map_err(|_| "`DOCMILL_API_KEY` holds what no key does: a control character")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // A key goes to the service that was named, and nowhere that its answer points to.
        let builder = reqwest::Client::builder()
            .user_agent(concat!("docmill/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .default_headers(headers)
            .timeout(patience);
        // A proxy does not lead to this machine.
        let builder = if is_near(base) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| format!("no HTTP client: {}", chain(error)))?;
        Ok(Self { client, base: base.clone() })
    }

    /// Asks, and gives the answer's body.
    ///
    /// # Errors
    /// It is refused, or nothing is answered in time.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<serde_json::Value>,
    ) -> Result<Vec<u8>, Failure> {
        let mut url = self.base.clone();
        // A service may be below a path of a proxy's. An address of HTTP has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(|error| Failure::Silent(chain(error)))?;
        let status = answer.status();
        let read = read(answer).await;
        if status.is_success() {
            return read;
        }
        let detail = detail(&read.unwrap_or_default()).unwrap_or_else(|| status.to_string());
        Err(Failure::Refused { status: status.as_u16(), detail })
    }
}

/// Whether it is this machine.
pub(super) fn is_near(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

async fn read(mut answer: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(|error| Failure::Silent(chain(error)))? {
        if body.len() + piece.len() > MOST {
            return Err(Failure::Silent("the answer is larger than 16 MiB".into()));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What a problem's details (RFC 9457) say, as it may be shown.
fn detail(body: &[u8]) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Problem {
        title: String,
        detail: String,
    }
    let problem: Problem = serde_json::from_slice(body).ok()?;
    let words = if problem.detail.is_empty() { problem.title } else { problem.detail };
    let shown: String = printable(&words).chars().take(WORDS).collect();
    (!shown.is_empty()).then_some(shown)
}

/// An error with its causes, on one line; without the address, which is known.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        return "no answer in time".into();
    }
    // The innermost tells most: "connection refused".
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    printable(&cause.to_string())
}
