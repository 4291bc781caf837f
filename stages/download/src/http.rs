//! Fetches over HTTP: one client, redirects followed here so that each hop passes the guard. Bodies go to a collector,
//! which counts them as they come.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use docmill_api::StageError;
use docmill_net::{FetchError, Guard, Late};
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::archive::Limits;
use crate::body::{Body, Collector};
use crate::config::DownloadConfig;
use crate::load::{finish_body, off_the_loop};

/// The longest header that is kept with the rows.
pub(crate) const KEPT: usize = 256;

/// The longest wait that a server can ask for; beyond it the engine's own limits have long spoken.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct Http {
    client: Late<Client>,
    guard: Arc<Guard>,
    limits: Limits,
    redirects: u32,
}

/// An answer, read to its end.
pub(crate) struct Fetched {
    pub(crate) body: Body,
    /// The media type that the server says, without parameters.
    pub(crate) declared: Option<String>,
    /// The last part of the address that answered.
    pub(crate) name: String,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// What a later request may ask with, for nothing but other content.
    pub(crate) stamp: Option<String>,
}

/// How a stamp of each kind begins.
const BY_TAG: &str = "etag ";
const BY_TIME: &str = "modified ";

/// How long before the answer a content must have been written for its time to tell: these times are in whole seconds,
/// and what was written twice within one has one time for two contents.
const SETTLED: chrono::TimeDelta = chrono::TimeDelta::seconds(2);

/// What tells an answer's content from others, by the server's word: its tag, or the time of its last change.
fn stamp(headers: &HeaderMap) -> Option<String> {
    if let Some(tag) = text(headers, &ETAG).filter(|tag| tag.len() <= KEPT) {
        return Some(format!("{BY_TAG}{tag}"));
    }
    let modified = text(headers, &LAST_MODIFIED)?;
    let time = |text: &str| DateTime::parse_from_rfc2822(text).ok();
    // By the server's own clock, where it says what that is.
    let now = text(headers, &DATE).and_then(time).unwrap_or_else(|| Utc::now().into());
    (now - time(modified)? >= SETTLED).then(|| format!("{BY_TIME}{modified}"))
}

/// The header that asks for nothing but other content.
fn condition(known: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = match (known.strip_prefix(BY_TAG), known.strip_prefix(BY_TIME)) {
        (Some(tag), _) => (IF_NONE_MATCH, tag),
        (_, Some(time)) => (IF_MODIFIED_SINCE, time),
        _ => return None,
    };
    Some((name, HeaderValue::from_str(value).ok()?))
}

impl Http {
    pub(crate) fn new(config: &DownloadConfig, guard: Arc<Guard>) -> Self {
        let (checked, user_agent) = (Arc::clone(&guard), config.user_agent.clone());
        let client = Late::new(move || docmill_net::client(&checked, &user_agent));
        Self { client, guard, limits: Limits::of(config), redirects: config.redirects }
    }

    /// Follows redirects to an answer and reads it; `None` where the server says that the content is what `known` stamped.
    pub(crate) async fn fetch(&self, url: Url, name: &str, known: Option<&str>) -> Result<Option<Fetched>, StageError> {
        let condition = known.and_then(condition);
        let is_conditional = condition.is_some();
        let headers: HeaderMap = condition.into_iter().collect();
        let client = self.client.get().await.map_err(StageError::fatal)?;
        let answer = docmill_net::follow_with(client, &self.guard, url, self.redirects, &headers).await;
        let (response, url) = answer.map_err(failure)?;
        if is_conditional && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        self.read(response, &url, name).await.map(Some)
    }

    async fn read(&self, mut response: Response, url: &Url, name: &str) -> Result<Fetched, StageError> {
        check_status(&response)?;
        let last = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        let last = percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned();
        let name = if name.contains('.') { name.to_owned() } else { last.clone() };
        let announced = text(response.headers(), &CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        let mut collector = Collector::new(self.limits, name, announced);
        // Chunks are decompressed already: what is counted is what memory has to hold.
        loop {
            let chunk = response.chunk().await.map_err(|error| collector.broken(failure(error)))?;
            let Some(chunk) = chunk else { break };
            collector.push(&chunk)?;
            if collector.is_due() {
                collector = off_the_loop(move || collector.flush().map(|()| collector)).await?;
            }
        }
        let body = finish_body(collector).await?;
        let headers = response.headers();
        let stamp = stamp(headers);
        let kept = |name: &HeaderName| text(headers, name).filter(|value| value.len() <= KEPT).map(str::to_owned);
        Ok(Fetched {
            body,
            declared: text(headers, &CONTENT_TYPE).and_then(essence),
            name: last,
            etag: kept(&ETAG),
            last_modified: kept(&LAST_MODIFIED),
            stamp,
        })
    }
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `text/html` of `Text/HTML; charset=utf-8`.
fn essence(content_type: &str) -> Option<String> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.contains('/').then_some(essence)
}

fn check_status(response: &Response) -> Result<(), StageError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let message = format!("the server answered {status}");
    if passes(status) { Err(later(message, response.headers())) } else { Err(StageError::rejected(message)) }
}

/// Whether a status means that the same request may do better later.
pub(crate) fn passes(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY)
}

/// The error for a server that wants to be left alone, for as long as it says.
pub(crate) fn later(message: String, headers: &HeaderMap) -> StageError {
    let error = StageError::transient(message);
    match text(headers, &RETRY_AFTER).and_then(|value| retry_after(value, Utc::now())) {
        Some(delay) => error.after(delay),
        None => error,
    }
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

/// What was refused stays refused; all else is the network, which may be better next time.
pub(crate) fn failure(error: impl Into<FetchError>) -> StageError {
    match error.into() {
        FetchError::Refused(message) => StageError::rejected(message),
        FetchError::Failed(message) => StageError::transient(message),
    }
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
