//! Object stores: S3 and its like, Google Cloud Storage, Azure Blob Storage.
//!
//! [`location`] says what an address stands for, [`service`] carries the requests of a client under the guard. Clients are kept by bucket; this file asks them for objects and for listings.

mod location;
mod service;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use docmill_api::{Document, Outputs, SourceItem, StageError};
use docmill_net::{Guard, Late, Resolver};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore};
use serde_json::Value;

pub(crate) use docmill_objects::Environment;
pub(crate) use location::{Place, Target};

use self::service::{Clients, Service, unwrap};
use crate::archive::Limits;
use crate::body::{Body, Collector};
use crate::config::DownloadConfig;
use crate::http;
use crate::load::{finish_body, off_the_loop};

/// Clients that are kept: those of so many buckets. Beyond, all are made anew, which costs no more than their tokens.
const KEPT: usize = 64;

pub(crate) struct Stores {
    config: DownloadConfig,
    environment: Environment,
    guard: Arc<Guard>,
    clients: Late<Clients>,
    limits: Limits,
    open: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

/// An object, read to its end.
pub(crate) struct Object {
    pub(crate) body: Body,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: String,
}

/// An object is what it is, packed or not: a length that counts something else would only confuse.
fn clients(guard: &Arc<Guard>, user_agent: &str) -> Result<Clients, String> {
    let build = |client: reqwest::ClientBuilder| {
        client.no_gzip().build().map_err(|error| format!("no HTTP client: {}", docmill_net::chain(&error)))
    };
    let client = || docmill_net::builder(user_agent);
    Ok(Clients {
        guarded: build(client().dns_resolver(Arc::new(Resolver::new(Arc::clone(guard)))))?,
        plain: build(client())?,
        guard: Arc::clone(guard),
    })
}

impl Stores {
    pub(crate) fn new(config: &DownloadConfig, guard: Arc<Guard>, environment: Environment) -> Self {
        let (checked, user_agent) = (Arc::clone(&guard), config.user_agent.clone());
        let clients = Late::new(move || clients(&checked, &user_agent));
        let open = Mutex::new(HashMap::new());
        Self { config: config.clone(), environment, guard, clients, limits: Limits::of(config), open }
    }

    async fn client(&self, place: &Place) -> Result<Arc<dyn ObjectStore>, StageError> {
        self.guard.bucket(&place.bucket).map_err(|refused| StageError::rejected(refused.0))?;
        let clients = self.clients.get().await.map_err(StageError::fatal)?.clone();
        let key = format!("{}://{}", place.scheme, place.bucket);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = open.get(&key) {
            return Ok(Arc::clone(client));
        }
        let (stores, retry) = (self.config.stores(), docmill_objects::no_retries());
        let client = docmill_objects::open(&place.scheme, &place.bucket, &stores, &self.environment, retry, |asked| {
            Service { clients, asked }
        })?;
        if open.len() >= KEPT {
            open.clear();
        }
        open.insert(key, Arc::clone(&client));
        Ok(client)
    }

    /// Reads one object.
    pub(crate) async fn get(&self, place: &Place, key: &Path, name: &str) -> Result<Object, StageError> {
        let client = self.client(place).await?;
        let found = client.get_opts(key, GetOptions::default()).await.map_err(|error| unwrap(&error))?;
        let ObjectMeta { size, e_tag, last_modified, .. } = found.meta.clone();
        let mut collector = Collector::new(self.limits, name.to_owned(), Some(size));
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| collector.broken(unwrap(&error)))?;
            collector.push(&piece)?;
            if collector.is_due() {
                collector = off_the_loop(move || collector.flush().map(|()| collector)).await?;
            }
        }
        let body = finish_body(collector).await?;
        let etag = e_tag.filter(|etag| etag.len() <= http::KEPT);
        Ok(Object { body, etag, last_modified: last_modified.to_rfc2822() })
    }

    /// Names the objects of a prefix or a pattern.
    pub(crate) async fn list(&self, place: &Place, document: &Document) -> Result<Outputs, StageError> {
        let Target::Listing(prefix, pattern) = &place.target else {
            return Err(StageError::rejected("its location is one object"));
        };
        let client = self.client(place).await?;
        let mut listing = client.list(prefix.as_ref());
        let mut outputs = Outputs::new();
        let mut count: u64 = 0;
        while let Some(object) = listing.next().await {
            let object = object.map_err(|error| unwrap(&error))?;
            let is_wanted = pattern.as_ref().is_none_or(|pattern| pattern.is_match(object.location.as_ref()));
            // Nothing is in an empty one: consoles make them to show a folder.
            if !is_wanted || object.size == 0 {
                continue;
            }
            count += 1;
            if count > u64::from(self.config.max_objects) {
                return Err(StageError::rejected(format!(
                    "it stands for more than `max_objects` ({}) objects: name less, or allow more",
                    self.config.max_objects
                )));
            }
            outputs.find(item(place, document, object));
        }
        let what = if pattern.is_some() { "a pattern" } else { "a prefix" };
        outputs.skip(match count {
            0 => format!("{what} that no object is found by"),
            1 => format!("{what}: its one object is a document of its own"),
            count => format!("{what}: its {count} objects are documents of their own"),
        });
        Ok(outputs)
    }
}

fn item(place: &Place, document: &Document, object: ObjectMeta) -> SourceItem {
    let mut metadata = document.metadata.clone();
    let stamp = object.e_tag.as_ref().map(|etag| format!("{} {etag}", object.size));
    if let Some(etag) = object.e_tag.filter(|etag| etag.len() <= http::KEPT) {
        metadata.insert("etag".into(), Value::String(etag));
    }
    SourceItem {
        uri: place.object(&object.location),
        filename: object.location.filename().unwrap_or_default().to_owned(),
        size: Some(object.size),
        stamp,
        metadata,
        ..SourceItem::default()
    }
}
