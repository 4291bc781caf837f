//! Fetches over HTTP: one client, redirects followed here so that each hop passes the guard, bodies counted as they
//! come.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use docmill_api::StageError;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED, LOCATION, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::config::DownloadConfig;
use crate::download::too_large;
use crate::guard::{Guard, Refused, Resolver};

/// How long name, connection and handshake may take together: what takes longer is down, not slow.
const CONNECT: Duration = Duration::from_secs(10);

/// The most that is reserved on the word of a `Content-Length`: a server that announces much and sends little gets no
/// more memory than this.
const RESERVE: u64 = 1 << 20;

/// The longest header that is kept with the rows.
const KEPT: usize = 256;

/// The longest wait that a server can ask for; beyond it the engine's own limits have long spoken.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct Http {
    client: Client,
    guard: Arc<Guard>,
    max_bytes: u64,
    redirects: u32,
}

/// An answer, read to its end.
pub(crate) struct Fetched {
    pub(crate) bytes: Bytes,
    /// The media type that the server says, without parameters.
    pub(crate) declared: Option<String>,
    /// The last part of the address that answered.
    pub(crate) name: String,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

impl Http {
    pub(crate) fn new(config: &DownloadConfig, guard: Arc<Guard>) -> Result<Self, StageError> {
        let client = Client::builder()
            .user_agent(&config.user_agent)
            // A proxy would resolve names itself, past the guard.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .dns_resolver(Arc::new(Resolver(Arc::clone(&guard))))
            .build()
            .map_err(|error| StageError::fatal(format!("no HTTP client: {}", chain(&error))))?;
        Ok(Self { client, guard, max_bytes: config.max_bytes.0, redirects: config.redirects })
    }

    /// Follows redirects to an answer and reads it.
    pub(crate) async fn fetch(&self, mut url: Url) -> Result<Fetched, StageError> {
        for _ in 0..=self.redirects {
            self.guard.check(&url).map_err(|refused| StageError::rejected(refused.0))?;
            let response = self.client.get(url.clone()).send().await.map_err(failure)?;
            // The resolver has seen to it; should a client ever dial past it, nothing of the answer is read.
            if let Some(peer) = response.remote_addr() {
                self.guard.address(peer.ip(), url.host_str()).map_err(|refused| StageError::rejected(refused.0))?;
            }
            match redirect(&response, &url)? {
                Some(next) => url = next,
                None => return self.read(response, &url).await,
            }
        }
        Err(StageError::rejected(format!("more than {} redirects", self.redirects)))
    }

    async fn read(&self, mut response: Response, url: &Url) -> Result<Fetched, StageError> {
        check_status(&response)?;
        let announced = text(response.headers(), &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if let Some(length) = announced.filter(|length| *length > self.max_bytes) {
            return Err(too_large(Some(length), self.max_bytes));
        }
        let reserve = announced.unwrap_or_default().min(RESERVE);
        let mut body = Vec::with_capacity(usize::try_from(reserve).unwrap_or_default());
        // Chunks are decompressed already: what is counted is what memory has to hold.
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            if (body.len() + chunk.len()) as u64 > self.max_bytes {
                return Err(too_large(None, self.max_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        // The budget counts what is used, so what is not is given back.
        body.shrink_to_fit();
        let headers = response.headers();
        let kept = |name: &HeaderName| text(headers, name).filter(|value| value.len() <= KEPT).map(str::to_owned);
        Ok(Fetched {
            bytes: body.into(),
            declared: text(headers, &CONTENT_TYPE).and_then(essence),
            name: url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default().to_owned(),
            etag: kept(&ETAG),
            last_modified: kept(&LAST_MODIFIED),
        })
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `text/html` of `Text/HTML; charset=utf-8`.
fn essence(content_type: &str) -> Option<String> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.contains('/').then_some(essence)
}

/// Where the answer points, for the statuses that mean a GET elsewhere.
fn redirect(response: &Response, from: &Url) -> Result<Option<Url>, StageError> {
    let status = response.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = text(response.headers(), &LOCATION) else {
        return Err(StageError::rejected(format!("answered {status} without saying where to")));
    };
    from.join(location)
        .map(Some)
        .map_err(|error| StageError::rejected(format!("was redirected to what is no address: {error}")))
}

fn check_status(response: &Response) -> Result<(), StageError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let message = format!("the server answered {status}");
    let passes = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY);
    if !passes {
        return Err(StageError::rejected(message));
    }
    let error = StageError::transient(message);
    Err(match text(response.headers(), &RETRY_AFTER).and_then(|value| retry_after(value, Utc::now())) {
        Some(delay) => error.after(delay),
        None => error,
    })
}

/// Seconds, or a date; a date that is over means at once.
fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    let delay = if let Ok(seconds) = value.parse::<u64>() {
        Duration::from_secs(seconds)
    } else {
        let until = DateTime::parse_from_rfc2822(value).ok()?;
        (until.with_timezone(&Utc) - now).to_std().unwrap_or_default()
    };
    Some(delay.min(LONGEST))
}

/// What the guard refused stays refused; all else is the network, which may be better next time.
fn failure(error: reqwest::Error) -> StageError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return StageError::rejected(refused.to_string());
        }
        cause = inner.source();
    }
    let what = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "the connection broke"
    };
    // Without its address: that may carry a signature.
    StageError::transient(format!("{what}: {}", chain(&error.without_url())))
}

/// An error with its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_until_a_date() {
        let now = DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z").unwrap().with_timezone(&Utc);
        let seconds = |value| retry_after(value, now).map(|delay| delay.as_secs());
        assert_eq!(seconds("7"), Some(7));
        assert_eq!(seconds("Sun, 01 Mar 2026 12:01:30 GMT"), Some(90));
        assert_eq!(seconds("Sun, 01 Mar 2026 11:00:00 GMT"), Some(0));
        assert_eq!(seconds("99999999999"), Some(LONGEST.as_secs()));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("-1"), None);
    }

    #[test]
    fn a_content_type_is_cut_to_its_essence() {
        assert_eq!(essence("Text/HTML; charset=utf-8").as_deref(), Some("text/html"));
        assert_eq!(essence("nonsense"), None);
    }
}
