//! The stage: chooses by scheme who reads, and gives a document its digest and its media type; or, for one that only
//! holds others, names those.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use docmill_api::{
    Blob, BuildContext, Context, Document, Issue, Node, Outputs, Payload, Record, SourceItem, Stage, StageError,
    StageFactory, StageSpec,
};
use serde_json::Value;

use crate::archive::{self, Cache, Limits};
use crate::body::too_large;
use crate::config::{self, DownloadConfig};
use crate::http::Http;
use crate::load::{About, Holds, Loaded, Source, container_key, is_store, slot_key};
use crate::member::{Address, DEPTH, file_name};
use crate::store::{Environment, Place, Stores, Target};
use docmill_net::Guard;

/// Makes the `download` stage.
#[derive(Debug)]
pub struct DownloadFactory;

#[async_trait]
impl StageFactory for DownloadFactory {
    type Config = DownloadConfig;
    const KIND: &'static str = "download";
    // 2: archives and messages are opened; some documents are told better from archives.
    const REVISION: u32 = 2;

    fn spec() -> StageSpec {
        config::spec()
    }

    fn validate(config: &DownloadConfig) -> Vec<Issue> {
        config::validate(config)
    }

    async fn build(config: DownloadConfig, cx: &BuildContext) -> Result<Node, StageError> {
        let pairs = std::env::vars_os();
        let environment = pairs.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let download = Download { uploads: cx.uploads.clone(), ..Download::new(&config, environment.collect())? };
        Ok(Node::Io(Arc::new(download)))
    }
}

pub(crate) struct Download {
    pub(crate) limits: Limits,
    pub(crate) guard: Arc<Guard>,
    pub(crate) http: Http,
    pub(crate) stores: Stores,
    pub(crate) archives: Cache,
    /// Where documents are that were handed in.
    pub(crate) uploads: Option<PathBuf>,
}

#[async_trait]
impl Stage for Download {
    async fn process(&self, cx: &Context, input: Record) -> Result<Outputs, StageError> {
        if !matches!(input.payload, Payload::Reference(_)) {
            return Err(StageError::unexpected(input.payload.kind()));
        }
        match cx.cancel.run_until_cancelled(self.take(cx, &input.document)).await {
            Some(outputs) => outputs,
            None => Err(StageError::rejected("cancelled")),
        }
    }
}

impl Download {
    pub(crate) fn new(config: &DownloadConfig, environment: Environment) -> Result<Self, StageError> {
        let guard = Arc::new(Guard::new(&config.allow.rules(), "allow.").map_err(StageError::fatal)?);
        let http = Http::new(config, Arc::clone(&guard));
        let stores = Stores::new(config, Arc::clone(&guard), environment);
        Ok(Self { limits: Limits::of(config), guard, http, stores, archives: Cache::new(), uploads: None })
    }

    async fn take(&self, cx: &Context, document: &Document) -> Result<Outputs, StageError> {
        let address = Address::parse(&document.location)?;
        let scheme = self.scheme(&address.base)?;
        if is_store(&scheme) && address.path.is_empty() {
            let place = Place::parse(&address.base)?;
            if matches!(place.target, Target::Listing(..)) {
                return self.stores.list(&place, document).await;
            }
        }
        let mut key = if address.path.is_empty() { String::new() } else { self.key(&address).await };
        let known = document.known.as_ref().map(|known| known.stamp.clone());
        let about = About { name: document.filename.clone(), declared: document.media_type.clone(), known };
        let loaded = self.load(cx, &address, &key, about).await?;
        if address.path.is_empty() && loaded.source.holds() != Holds::Itself {
            key = container_key(loaded.state, &address);
        }
        self.conclude(cx, document, &address, &key, loaded).await
    }

    /// A document's bytes; the members of a container; or both, for a message.
    async fn conclude(
        &self,
        cx: &Context,
        document: &Document,
        address: &Address,
        key: &str,
        loaded: Loaded,
    ) -> Result<Outputs, StageError> {
        if matches!(loaded.source, Source::AsKnown) {
            return Ok(Outputs::as_known());
        }
        let holds = loaded.source.holds();
        if holds == Holds::Itself {
            return Ok(loaded.emit(document));
        }
        let is_deepest = address.path.len() >= DEPTH;
        if is_deepest && holds == Holds::Others {
            return Err(StageError::rejected(format!("an archive within {DEPTH} others, which is not opened")));
        }
        let archive = if is_deepest { None } else { self.open(cx, address, key, &loaded.source).await? };
        let mut outputs = match (&loaded.source, &archive) {
            (Source::Large(window), None) => return Err(too_large(Some(window.length()), self.limits.max_bytes)),
            (_, Some(_)) if holds == Holds::Others => Outputs::new(),
            _ => loaded.emit(document),
        };
        let Some(archive) = archive else { return Ok(outputs) };
        let mut count: u64 = 0;
        for member in archive.members() {
            outputs.find(item(document, address, member));
            count += 1;
        }
        if count > 0 {
            self.archives.put(&slot_key(key, address), Arc::new(archive));
        }
        if holds == Holds::Others {
            outputs.skip(match count {
                0 => "an archive without documents".to_owned(),
                1 => "an archive: its one document is taken by itself".to_owned(),
                count => format!("an archive: its {count} documents are taken by themselves"),
            });
        }
        Ok(outputs)
    }
}

/// A member as a document of its own, with what is known of the one that it is in.
fn item(document: &Document, address: &Address, member: &archive::Member) -> SourceItem {
    let mut metadata = document.metadata.clone();
    // As it is called, not where it was read: that may carry a signature.
    metadata.insert("container".into(), Value::String(document.uri.clone()));
    SourceItem {
        uri: address.member(&member.name),
        filename: file_name(&member.name),
        size: Some(member.size),
        media_type: member.media_type.clone(),
        metadata,
        ..SourceItem::default()
    }
}

impl Loaded {
    /// The document's own record.
    fn emit(self, document: &Document) -> Outputs {
        let Source::Document(content, _) = self.source else { return Outputs::new() };
        let mut document = document.clone();
        // Empty content is content: it has a version, so that the rows of what was there before go. Parsing says
        // "empty".
        document.metadata.extend(self.marks.into_iter().map(|(key, value)| (key.to_owned(), Value::String(value))));
        document.size = Some(content.bytes.len() as u64);
        document.media_type = Some(content.media_type);
        document.content = Some(content.digest);
        document.stamp = document.stamp.or(self.stamp);
        Outputs::one(Record { document: Arc::new(document), payload: Payload::Blob(Blob { bytes: content.bytes }) })
    }
}
