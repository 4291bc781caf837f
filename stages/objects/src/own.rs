//! A place in an object store that the operator named: it is written to, and wherever its client is sent is trusted.

use std::sync::Arc;
use std::time::Duration;

use docmill_api::StageError;
use http_body_util::BodyExt;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use crate::config::Stores;
use crate::settings::{Environment, open, plain};

/// Schemes of object stores.
pub const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// How long a store may say nothing in the midst of an answer.
const SILENCE: Duration = Duration::from_secs(30);

/// How often and for how long a request is tried again below the engine, which bounds all of it.
const RETRIES: (usize, Duration) = (5, Duration::from_secs(30));

/// Whether an address names a place in an object store.
#[must_use]
pub fn is_store(uri: &str) -> bool {
    uri.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

/// A place in a bucket.
#[derive(Clone, Debug)]
pub struct Own {
    /// The client of its bucket.
    pub bucket: Arc<dyn ObjectStore>,
    /// What all keys of the place begin with.
    pub prefix: Path,
}

impl Own {
    /// Opens `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`. Nothing is asked yet.
    ///
    /// # Errors
    /// Fatal: it is no such address, or table and environment make no client.
    pub fn open(uri: &str, stores: &Stores, environment: &Environment) -> Result<Self, StageError> {
        let wrong = || StageError::fatal(format!("`{uri}` is no place in an object store: write `s3://bucket/prefix`"));
        let (scheme, rest) = uri.split_once("://").filter(|(scheme, _)| SCHEMES.contains(scheme)).ok_or_else(wrong)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if bucket.is_empty() || !bucket.bytes().all(is_name) {
            return Err(wrong());
        }
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|_| wrong())?;
        let client = docmill_net::builder(docmill_net::USER_AGENT).read_timeout(SILENCE).no_gzip().build();
        let client =
            client.map_err(|error| StageError::fatal(format!("no HTTP client: {}", docmill_net::chain(&error))))?;
        let retry = RetryConfig { max_retries: RETRIES.0, retry_timeout: RETRIES.1, ..RetryConfig::default() };
        let bucket = open(scheme, bucket, stores, environment, retry, |_| Direct(client))
            .map_err(|error| StageError::fatal(error.message))?;
        Ok(Self { bucket, prefix })
    }

    /// A key below the place.
    #[must_use]
    pub fn key(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }
}

/// What a store said, in words that show no address and no key.
#[must_use]
pub fn reason(error: &object_store::Error) -> String {
    use object_store::Error;
    match error {
        Error::NotFound { .. } => "not found".into(),
        Error::PermissionDenied { .. } => "permission denied".into(),
        Error::Unauthenticated { .. } => "it refuses the credentials".into(),
        other => {
            let mut cause: &dyn std::error::Error = other;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            plain(&cause.to_string())
        }
    }
}

/// Carries requests as they are, and brings answers as they are: the client knows what they mean, and tries again.
#[derive(Clone, Debug)]
struct Direct(reqwest::Client);

impl HttpConnector for Direct {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait::async_trait]
impl HttpService for Direct {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = match body.as_bytes() {
            Some(bytes) => reqwest::Body::from(bytes.clone()),
            None => reqwest::Body::wrap(body),
        };
        let sent = self.0.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body).send().await;
        let response = sent.map_err(broken)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = HttpResponse::new(HttpResponseBody::new(reqwest::Body::from(response).map_err(broken)));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

fn broken(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, docmill_net::FetchError::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(uri: &str) -> Result<Own, StageError> {
        Own::open(uri, &Stores::default(), &Vec::new())
    }

    #[test]
    fn a_place_is_a_bucket_and_what_keys_begin_with() {
        assert_eq!(opened("s3://bucket/a/b/").unwrap().key("c").as_ref(), "a/b/c");
        assert_eq!(opened("s3://bucket").unwrap().key("c").as_ref(), "c");
        for wrong in
            ["s3://", "s3:///a", "s3://a@b/c", "http://bucket/a", "bucket/a", "s3://bucket/a//b", "s3://bucket/.."]
        {
            assert!(opened(wrong).is_err(), "{wrong}");
        }
        assert!(is_store("gs://x") && !is_store("/s3/x") && !is_store("file:///x"));
    }
}
