//! The stage: chooses by scheme who reads, then gives the document its digest and its media type.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use docmill_api::units::Size;
use docmill_api::{
    Blob, BuildContext, Context, Digest, Document, Issue, Node, Outputs, Payload, Record, Stage, StageError,
    StageFactory, StageSpec,
};
use serde_json::Value;
use url::Url;

use crate::config::{self, DownloadConfig, SCHEMES};
use crate::guard::Guard;
use crate::http::{Fetched, Http};
use crate::{file, sniff};

/// Above this, hashing and sniffing leave the event loop: BLAKE3 does 128 KiB in about 0.1 ms, which is what a turn of
/// the loop may cost.
const INLINE: usize = 128 << 10;

/// Makes the `download` stage.
#[derive(Debug)]
pub struct DownloadFactory;

#[async_trait]
impl StageFactory for DownloadFactory {
    type Config = DownloadConfig;
    const KIND: &'static str = "download";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        config::spec()
    }

    fn validate(config: &DownloadConfig) -> Vec<Issue> {
        config::validate(config)
    }

    async fn build(config: DownloadConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        let guard = Arc::new(Guard::new(&config.allow).map_err(StageError::fatal)?);
        let http = Http::new(&config, Arc::clone(&guard))?;
        Ok(Node::Io(Arc::new(Download { max_bytes: config.max_bytes.0, guard, http })))
    }
}

struct Download {
    max_bytes: u64,
    guard: Arc<Guard>,
    http: Http,
}

/// What is known of a document once its bytes are.
pub(crate) struct Content {
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
}

impl Content {
    /// Hashes and sniffs: a pass over all bytes, so not for the event loop where they are many.
    pub(crate) fn of(bytes: Bytes, name: &str, declared: Option<&str>) -> Self {
        let digest = Digest::from(*blake3::hash(&bytes).as_bytes());
        let media_type = sniff::media_type(&bytes, name, declared).into_owned();
        Self { bytes, digest, media_type }
    }
}

#[async_trait]
impl Stage for Download {
    async fn process(&self, cx: &Context, input: Record) -> Result<Outputs, StageError> {
        if !matches!(input.payload, Payload::Reference(_)) {
            return Err(StageError::unexpected(input.payload.kind()));
        }
        let location = &input.document.location;
        let url = Url::parse(location)
            .map_err(|error| StageError::rejected(format!("its location is no address: {error}")))?;
        let scheme = url.scheme();
        if !SCHEMES.contains(&scheme) {
            return Err(StageError::rejected(format!("scheme `{scheme}` is not supported")));
        }
        self.guard.scheme(scheme).map_err(|refused| StageError::rejected(refused.0))?;
        let read = async {
            match scheme {
                "file" => self.read_file(cx, &input.document, &url).await,
                _ => self.fetch(&input.document, url.clone()).await,
            }
        };
        match cx.cancel.run_until_cancelled(read).await {
            Some(outputs) => outputs,
            None => Err(StageError::rejected("cancelled")),
        }
    }
}

impl Download {
    async fn read_file(&self, cx: &Context, document: &Document, url: &Url) -> Result<Outputs, StageError> {
        let path = url.to_file_path().map_err(|()| StageError::rejected("its location is no path of this machine"))?;
        // Set when this future is dropped, so that a timeout ends the read as well.
        let cancel = cx.cancel.child_token();
        let _stop = cancel.clone().drop_guard();
        let (max_bytes, name, declared) = (self.max_bytes, document.filename.clone(), document.media_type.clone());
        let content = off_the_loop(move || {
            let bytes = file::read(&path, max_bytes, &|| cancel.is_cancelled())?;
            Ok(Content::of(bytes, &name, declared.as_deref()))
        })
        .await?;
        Ok(finish(document.clone(), content))
    }

    async fn fetch(&self, document: &Document, url: Url) -> Result<Outputs, StageError> {
        let Fetched { bytes, declared, name, etag, last_modified } = self.http.fetch(url).await?;
        let declared = declared.or_else(|| document.media_type.clone());
        let name = if document.extension().is_empty() { name } else { document.filename.clone() };
        let content = if bytes.len() <= INLINE {
            Content::of(bytes, &name, declared.as_deref())
        } else {
            off_the_loop(move || Ok(Content::of(bytes, &name, declared.as_deref()))).await?
        };
        let mut document = document.clone();
        for (key, value) in [("etag", etag), ("last_modified", last_modified)] {
            if let Some(value) = value {
                document.metadata.insert(key.into(), Value::String(value));
            }
        }
        Ok(finish(document, content))
    }
}

fn finish(mut document: Document, content: Content) -> Outputs {
    // Empty content is content: it has a version, so that the rows of what was there before go. Parsing says "empty".
    document.size = Some(content.bytes.len() as u64);
    document.media_type = Some(content.media_type);
    document.content = Some(content.digest);
    Outputs::one(Record { document: Arc::new(document), payload: Payload::Blob(Blob { bytes: content.bytes }) })
}

async fn off_the_loop<T, F>(work: F) -> Result<T, StageError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StageError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(StageError::rejected(format!("reading broke off: {error}"))),
    }
}

/// The error for a document that is larger than `max_bytes`, with its size where that is known.
pub(crate) fn too_large(size: Option<u64>, max_bytes: u64) -> StageError {
    let size = size.map(|size| format!("{}, ", Size(size))).unwrap_or_default();
    StageError::rejected(format!("too large: {size}more than `max_bytes` ({})", Size(max_bytes)))
}
