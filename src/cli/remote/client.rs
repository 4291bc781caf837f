//! A client of docmill's HTTP interface, as far as a dashboard needs one.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response, redirect};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use url::{Host, Url};

use crate::report::printable;

/// The most of an answer that is read. A snapshot is some ten kilobytes; one of a thousand stages a few megabytes.
const MOST: usize = 16 << 20;
/// How much of a file is read at once.
const PIECE: usize = 64 << 10;
/// The most characters of a service's own words that are shown.
const WORDS: usize = 300;

/// Why there is no answer to go on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Failure {
    /// The service said so.
    Refused { status: u16, detail: String, after: Option<Duration> },
    /// Nothing came, or nothing that could be read.
    Silent(String),
}

/// Asks one service.
pub(in super::super) struct Client {
    client: reqwest::Client,
    base: Url,
}

impl Client {
    /// For the service at an address, whose answers may each take so long.
    ///
    /// # Errors
    /// A sentence: the key cannot be sent, or there is no client.
    pub(in super::super) fn new(base: &Url, key: Option<&str>, patience: Duration) -> Result<Self, String> {
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
    pub(in super::super) async fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<serde_json::Value>,
    ) -> Result<Vec<u8>, Failure> {
        let mut request = self.client.request(method, self.url(path));
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        answered(request).await
    }

    /// The same, with a query.
    ///
    /// # Errors
    /// It is refused, or nothing is answered in time.
    pub(in super::super) async fn ask_with(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Vec<u8>, Failure> {
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(query);
        answered(self.client.request(method, url)).await
    }

    /// Sends a form with a file, which is read as it is sent.
    ///
    /// # Errors
    /// The file cannot be read, it is refused, or nothing is answered in time.
    pub(in super::super) async fn upload(
        &self,
        path: &[&str],
        texts: &[(&str, &str)],
        file: &Path,
    ) -> Result<Vec<u8>, Failure> {
        let unreadable = |error: std::io::Error| Failure::Refused { status: 0, detail: error.to_string(), after: None };
        let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let bytes = opened.metadata().await.map_err(unreadable)?.len();
        let boundary = format!("docmill-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let mut head = String::new();
        for (name, text) in texts {
            head.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n"
            ));
        }
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file\"\r\n\r\n"
        ));
        let tail = format!("\r\n--{boundary}--\r\n");
        let length = head.len() as u64 + bytes + tail.len() as u64;
        // A file that grows while it is sent ends where it ended when it was opened; one that shrinks breaks the request.
        let content = ReaderStream::with_capacity(opened.take(bytes), PIECE);
        let once = |text: String| futures::stream::iter([Ok(Bytes::from(text))]);
        let body = reqwest::Body::wrap_stream(once(head).chain(content).chain(once(tail)));
        let request = self
            .client
            .post(self.url(path))
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .header(CONTENT_LENGTH, length)
            .body(body);
        answered(request).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // A service may be below a path of a proxy's. An address of HTTP has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Result<Vec<u8>, Failure> {
    let answer = request.send().await.map_err(|error| Failure::Silent(chain(error)))?;
    let status = answer.status();
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let read = read(answer).await;
    if status.is_success() {
        return read;
    }
    let detail = detail(&read.unwrap_or_default()).unwrap_or_else(|| status.to_string());
    Err(Failure::Refused { status: status.as_u16(), detail, after: after.map(Duration::from_secs) })
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
