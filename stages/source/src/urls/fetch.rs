//! Gets the bytes of a sitemap: from disk, or over the network past the guard. Time and size are bounded, and what costs
//! time besides waiting is done off the event loop.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use docmill_net::{FetchError, Guard, USER_AGENT};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::{config, local};
use crate::pattern;

/// The largest sitemap, on the wire and unpacked: the standard's 50 MiB.
const LARGEST: u64 = 50 << 20;

/// How long a sitemap may take: less than the source's timeout, which would not say what took so long.
const LONGEST: Duration = Duration::from_secs(45);

/// How many redirects are followed, as for documents.
const REDIRECTS: u32 = 5;

/// Where a sitemap is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    Web(Url),
    File(PathBuf),
    /// An address of something else.
    Nowhere(String),
}

impl Place {
    /// Of an entry as a person writes it.
    pub(super) fn of(entry: &str, base: &Path) -> Self {
        match Url::parse(entry) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Self::Web(url),
            Ok(url) if url.scheme() != "file" && pattern::is_address(entry) => Self::Nowhere(entry.to_owned()),
            _ => Self::File(local(entry, base)),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) => f.write_str(&docmill_api::canonical_uri(url.as_str())),
            Self::File(path) => path.display().fmt(f),
            Self::Nowhere(entry) => f.write_str(entry),
        }
    }
}

/// Why there are no bytes.
#[derive(Debug)]
pub(super) enum Failure {
    /// It will be so next time.
    Final(String),
    /// It may be better next time.
    Passing(String),
}

/// The client and its rules.
pub(super) struct Fetch {
    client: Client,
    guard: Arc<Guard>,
}

impl Fetch {
    pub(super) fn new(cidrs: &[String]) -> Result<Self, String> {
        let guard = Arc::new(config::guard(cidrs)?);
        Ok(Self { client: docmill_net::client(&guard, USER_AGENT)?, guard })
    }

    /// Gets the bytes and has them read.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        place: &Place,
        read: impl FnOnce(&[u8]) -> Result<T, String> + Send + 'static,
    ) -> Result<T, Failure> {
        let source: Box<dyn FnOnce() -> Result<Vec<u8>, String> + Send> = match place {
            Place::Web(url) => {
                let fetched = tokio::time::timeout(LONGEST, self.fetch(url.clone())).await;
                let late = || Failure::Passing(format!("not there after {} s", LONGEST.as_secs()));
                let bytes = fetched.map_err(|_| late())??;
                Box::new(move || Ok(bytes))
            }
            Place::File(path) => {
                let path = path.clone();
                Box::new(move || open(&path).and_then(within_limits).map_err(|error| error.to_string()))
            }
            Place::Nowhere(_) => return Err(Failure::Final("a sitemap is a file or a web address".to_owned())),
        };
        let reading = tokio::task::spawn_blocking(move || read(&unpacked(source()?)?));
        match reading.await {
            Ok(done) => done.map_err(Failure::Final),
            Err(error) => Err(Failure::Final(format!("reading it broke off: {error}"))),
        }
    }

    async fn fetch(&self, url: Url) -> Result<Vec<u8>, Failure> {
        let (response, _) = docmill_net::follow(&self.client, &self.guard, url, REDIRECTS).await.map_err(failure)?;
        let status = response.status();
        if status.is_success() {
            return body(response).await;
        }
        let reason = format!("the server answered {status}");
        let passes = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY);
        Err(if passes { Failure::Passing(reason) } else { Failure::Final(reason) })
    }
}

fn failure(error: FetchError) -> Failure {
    match error {
        FetchError::Refused(reason) => Failure::Final(reason),
        FetchError::Failed(reason) => Failure::Passing(reason),
    }
}

/// Counted as it comes, which is after the decompression that the transfer may have.
async fn body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(error.into()))? {
        if (bytes.len() + chunk.len()) as u64 > LARGEST {
            return Err(Failure::Final(too_large()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
    }
    File::open(path)
}

/// A sitemap that is gzipped says so by its first bytes, whatever its name.
fn unpacked(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let unpacked = within_limits(flate2::read::MultiGzDecoder::new(bytes.as_slice()));
    unpacked.map_err(|error| format!("cannot be unpacked: {error}"))
}

fn within_limits(input: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(too_large()));
    }
    Ok(bytes)
}

fn too_large() -> String {
    format!("larger than {} MiB, which no sitemap may be", LARGEST >> 20)
}
