//! Reads what is at an address: from disk, the web or a store, and through containers where it is in some. Containers are
//! opened here, and kept, so that their members find them open.
//!
//! What becomes of it is for [`crate::download`] to say.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use docmill_api::{Context, Digest, StageError};
use futures::FutureExt;
use futures::future::BoxFuture;
use url::Url;

use crate::archive::{self, Archive, Kind, Window};
use crate::body::{Body, Collector};
use crate::config::SCHEMES;
use crate::download::Download;
use crate::file;
use crate::http::Fetched;
use crate::member::Address;
use crate::sniff::{self, HEAD};
use crate::store::{Place, Target};

/// Above this, hashing and sniffing leave the event loop: BLAKE3 does 128 KiB in about 0.1 ms, which is what a turn of
/// the loop may cost.
const INLINE: usize = 128 << 10;

/// The scheme of documents that were handed in: `upload://HASH/NAME`.
const UPLOAD: &str = "upload";

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

/// What a place gave.
pub(crate) struct Loaded {
    pub(crate) source: Source,
    /// What the server says of it, for the rows.
    pub(crate) marks: Vec<(&'static str, String)>,
    /// What tells this content from others without reading it.
    pub(crate) stamp: Option<String>,
    /// The state of the file that it was read from.
    pub(crate) state: Option<file::State>,
}

impl From<Source> for Loaded {
    fn from(source: Source) -> Self {
        Self { source, marks: Vec::new(), stamp: None, state: None }
    }
}

pub(crate) enum Source {
    /// A document, with the file that it is in, where it is in one.
    Document(Content, Option<Window>),
    /// What begins as an archive, and is too large for anything else.
    Large(Window),
    /// What it was, by the server's word.
    AsKnown,
}

/// Which documents there are in what was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Itself,
    Others,
    /// A message and what is attached to it.
    Both,
}

impl Source {
    pub(crate) fn holds(&self) -> Holds {
        match self {
            Self::AsKnown => Holds::Itself,
            Self::Large(_) => Holds::Others,
            Self::Document(content, _) => match Kind::of(&content.media_type) {
                None => Holds::Itself,
                Some(Kind::Mail) => Holds::Both,
                Some(_) => Holds::Others,
            },
        }
    }
}

impl Download {
    /// The scheme of a place, if it is known and allowed.
    pub(crate) fn scheme(&self, base: &str) -> Result<String, StageError> {
        let no_address =
            |error: &dyn std::fmt::Display| StageError::rejected(format!("its location is no address: {error}"));
        // The key of an object may hold what no other address may.
        let scheme = match base.split_once("://") {
            Some((scheme, _)) if is_store(&scheme.to_ascii_lowercase()) => scheme.to_ascii_lowercase(),
            _ => Url::parse(base).map_err(|error| no_address(&error))?.scheme().to_owned(),
        };
        // No rule is asked: whoever handed it in has put it there, and its hash tells nothing else of this machine.
        if scheme == UPLOAD && self.uploads.is_some() {
            return Ok(scheme);
        }
        if !SCHEMES.contains(&scheme.as_str()) {
            return Err(StageError::rejected(format!("scheme `{scheme}` is not supported")));
        }
        self.guard.scheme(&scheme).map_err(|refused| StageError::rejected(refused.0))?;
        Ok(scheme)
    }

    /// What the container is known by that an address leads through, before anything of it is read.
    pub(crate) async fn key(&self, address: &Address) -> String {
        let path = Url::parse(&address.base).ok().filter(|url| url.scheme() == "file");
        let state = match path.and_then(|url| url.to_file_path().ok()) {
            Some(path) => tokio::fs::metadata(path).await.ok().map(|metadata| file::state_of(&metadata)),
            None => None,
        };
        container_key(state, address)
    }

    /// Reads what is at an address, through containers where it is in some.
    pub(crate) async fn load(
        &self,
        cx: &Context,
        address: &Address,
        key: &str,
        about: About,
    ) -> Result<Loaded, StageError> {
        let Some((member, outer)) = address.path.split_last() else {
            return self.load_base(cx, &address.base, about).await;
        };
        let outer = Address { base: address.base.clone(), path: outer.to_vec() };
        let archive = self.container(cx, outer, key.to_owned()).await?;
        let (limits, member) = (self.limits, member.clone());
        let source = blocking(cx, move |is_cancelled| about.source(archive.read(&member, limits, is_cancelled)?));
        Ok(source.await?.into())
    }

    async fn load_base(&self, cx: &Context, base: &str, about: About) -> Result<Loaded, StageError> {
        if is_store(&self.scheme(base)?) {
            let place = Place::parse(base)?;
            let Target::Object(path) = &place.target else {
                return Err(StageError::rejected("a prefix or a pattern is no archive"));
            };
            let object = self.stores.get(&place, path, &about.name).await?;
            let marks = object.etag.map(|etag| ("etag", etag)).into_iter();
            let marks = marks.chain([("last_modified", object.last_modified)]).collect();
            return Ok(Loaded { source: about.source_of(object.body).await?, marks, stamp: None, state: None });
        }
        let url =
            Url::parse(base).map_err(|error| StageError::rejected(format!("its location is no address: {error}")))?;
        if matches!(url.scheme(), "file" | UPLOAD) {
            let path = self.path_of(&url)?;
            let (limits, is_file) = (self.limits, url.scheme() == "file");
            return blocking(cx, move |is_cancelled| {
                let (body, state) = file::read(&path, &about.name, &limits, is_cancelled)?;
                Ok(Loaded { state: is_file.then_some(state), ..about.source(body)?.into() })
            })
            .await;
        }
        let Some(fetched) = self.http.fetch(url, &about.name, about.known.as_deref()).await? else {
            return Ok(Source::AsKnown.into());
        };
        let Fetched { body, declared, name, etag, last_modified, stamp } = fetched;
        let name = if about.name.contains('.') { about.name } else { name };
        let about = About { name, declared: declared.or(about.declared), known: None };
        let marks = [("etag", etag), ("last_modified", last_modified)];
        let marks = marks.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        Ok(Loaded { source: about.source_of(body).await?, marks, stamp, state: None })
    }

    fn path_of(&self, url: &Url) -> Result<PathBuf, StageError> {
        if url.scheme() != UPLOAD {
            return url.to_file_path().map_err(|()| StageError::rejected("its location is no path of this machine"));
        }
        let hash = url.host_str().filter(|host| host.parse::<Digest>().is_ok());
        let path = self.uploads.as_ref().zip(hash).map(|(uploads, hash)| uploads.join(hash));
        path.ok_or_else(|| StageError::rejected("its location names no upload"))
    }

    /// An open container: the one that is kept, or opened now, by one of all who want it.
    fn container<'a>(
        &'a self,
        cx: &'a Context,
        address: Address,
        key: String,
    ) -> BoxFuture<'a, Result<Arc<Archive>, StageError>> {
        async move {
            let slot = self.archives.slot(&slot_key(&key, &address));
            let open = async {
                let about = About { name: address.name(), declared: None, known: None };
                let loaded = self.load(cx, &address, &key, about).await?;
                match self.open(cx, &address, &key, &loaded.source).await? {
                    Some(archive) => Ok(Arc::new(archive)),
                    None => Err(StageError::rejected("what it is said to be in is no archive")),
                }
            };
            slot.get_or_try_init(|| open).await.cloned()
        }
        .boxed()
    }

    /// Opens what was loaded, where it is a container. One within another has its share of what may come out of that,
    /// which is open still, or opened again.
    pub(crate) async fn open(
        &self,
        cx: &Context,
        address: &Address,
        key: &str,
        source: &Source,
    ) -> Result<Option<Archive>, StageError> {
        let name = address.name();
        let (kind, place) = match source {
            Source::Document(content, file) => match Kind::of(&content.media_type) {
                Some(kind) => (Some(kind), file.clone().ok_or_else(|| content.bytes.clone())),
                None => return Ok(None),
            },
            Source::Large(window) => (None, Ok(window.clone())),
            Source::AsKnown => return Ok(None),
        };
        let share = match address.path.split_last() {
            Some((member, outer)) => {
                let outer = Address { base: address.base.clone(), path: outer.to_vec() };
                Some(self.container(cx, outer, key.to_owned()).await?.share(member))
            }
            None => None,
        };
        let Ok(_permit) = self.archives.openers.acquire().await else {
            return Err(StageError::rejected("cancelled"));
        };
        let limits = self.limits.with_share(share);
        blocking(cx, move |is_cancelled| {
            let window = place.or_else(|bytes| archive::spooled(&bytes))?;
            let kind = match kind {
                Some(kind) => Some(kind),
                None => sniff::archive(&window.head(HEAD).unwrap_or_default(), &name),
            };
            match kind {
                Some(kind) => Archive::open(kind, &window, &name, &limits, is_cancelled),
                None => Ok(None),
            }
        })
        .await
    }
}

pub(crate) fn is_store(scheme: &str) -> bool {
    matches!(scheme, "s3" | "gs" | "az")
}

/// What an open container is known by: its place, and for a file what changes with its content.
pub(crate) fn container_key(state: Option<file::State>, address: &Address) -> String {
    format!("{state:?} {}", address.base)
}

/// What an open container is kept by: what it is known by, and the way to it from there.
pub(crate) fn slot_key(key: &str, address: &Address) -> String {
    match address.path.split_last() {
        Some((last, outer)) => {
            let outer = Address { base: String::new(), path: outer.to_vec() };
            format!("{key}{}", outer.fragment(last))
        }
        None => key.to_owned(),
    }
}

/// What is known of a document besides its bytes.
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) declared: Option<String>,
    /// The stamp of the content that an earlier run ended with.
    pub(crate) known: Option<String>,
}

impl About {
    fn source(&self, body: Body) -> Result<Source, StageError> {
        Ok(match body {
            Body::Whole(bytes, file) => {
                Source::Document(Content::of(bytes, &self.name, self.declared.as_deref()), file)
            }
            Body::Large(window) => Source::Large(window),
        })
    }

    /// Where bytes are few on the event loop, else beside it.
    async fn source_of(self, body: Body) -> Result<Source, StageError> {
        match &body {
            Body::Whole(bytes, _) if bytes.len() > INLINE => off_the_loop(move || self.source(body)).await,
            _ => self.source(body),
        }
    }
}

/// Ends a body, beside the event loop where that means writing.
pub(crate) async fn finish_body(collector: Collector) -> Result<Body, StageError> {
    if collector.is_large() { off_the_loop(move || collector.finish()).await } else { collector.finish() }
}

/// Work that blocks, told when it is no longer wanted: cancelled, or its future dropped, as a timeout does.
async fn blocking<T, F>(cx: &Context, work: F) -> Result<T, StageError>
where
    T: Send + 'static,
    F: FnOnce(&dyn Fn() -> bool) -> Result<T, StageError> + Send + 'static,
{
    let cancel = cx.cancel.child_token();
    let _stop = cancel.clone().drop_guard();
    off_the_loop(move || work(&|| cancel.is_cancelled())).await
}

pub(crate) async fn off_the_loop<T, F>(work: F) -> Result<T, StageError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StageError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(StageError::rejected(format!("reading broke off: {error}"))),
    }
}
