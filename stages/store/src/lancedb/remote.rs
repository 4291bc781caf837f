//! Tables in an object store. Its client is docmill's own, so that table and variables mean the same here as for documents
//! that are read from one; and it is where a writer is kept from writing beside another.
//!
//! A commit of LanceDB is the object of a new manifest, made only where there is none (which is why the store has to know
//! conditional writes). Just before it, [`Fenced`] makes sure that the lease is still held, and it marks the manifest with
//! the epoch of the lease: appends, deletes, compaction and indexes alike.

use std::sync::Arc;

use docmill_api::StageError;
use docmill_objects::{Lease, Own, Stores, probe};
use futures::StreamExt;
use futures::stream::BoxStream;
use lance_io::object_store::{
    DEFAULT_CLOUD_IO_PARALLELISM, DEFAULT_DOWNLOAD_RETRY_COUNT, ObjectStore as LanceStore, ObjectStoreParams,
    ObjectStoreProvider,
};
use lancedb::ObjectStoreRegistry;
use object_store::path::Path;
use object_store::{
    Attribute, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use url::Url;

/// Where LanceDB keeps the manifests of a table, below its directory.
const VERSIONS: &str = "_versions";

/// What the epoch is called among the properties of a manifest's object.
const EPOCH: &str = "docmill-epoch";

/// A place for tables in a bucket.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    pub(super) uri: String,
    own: Own,
}

impl Remote {
    pub(super) fn open(uri: &str, stores: &Stores) -> std::result::Result<Self, StageError> {
        let own = Own::open(uri, stores, &std::env::vars().collect())?;
        Ok(Self { uri: uri.trim_end_matches('/').to_owned(), own })
    }

    /// Whether a table is there.
    pub(super) async fn holds(&self, table: &str) -> std::result::Result<bool, StageError> {
        let versions = self.own.key(&format!("{table}.lance")).join(VERSIONS);
        let first = self.own.bucket.list(Some(&versions)).next().await.transpose();
        let first = first.map_err(|error| {
            StageError::fatal(format!("`{}` cannot be read: {}", self.uri, docmill_objects::reason(&error)))
        })?;
        Ok(first.is_some())
    }

    /// Makes sure that the store keeps writers apart, and becomes the writer of a table.
    pub(super) async fn lease(
        &self,
        table: &str,
        holder: String,
        name: String,
    ) -> std::result::Result<Arc<Lease>, StageError> {
        probe(&self.own.bucket, &self.own.prefix, &self.uri).await?;
        let directory = self.own.key(&format!("{table}.writer"));
        Ok(Arc::new(Lease::take(Arc::clone(&self.own.bucket), directory, holder, name).await?))
    }

    /// What LanceDB is given to open addresses with; with a lease it is the writer's.
    pub(super) fn registry(&self, lease: Option<&Arc<Lease>>) -> ObjectStoreRegistry {
        let registry = ObjectStoreRegistry::empty();
        let scheme = self.uri.split("://").next().unwrap_or_default();
        let bucket = match lease {
            Some(lease) => Arc::new(Fenced { inner: Arc::clone(&self.own.bucket), lease: Arc::clone(lease) }) as _,
            None => Arc::clone(&self.own.bucket),
        };
        registry.insert(scheme, Arc::new(Provider(bucket)));
        registry
    }
}

/// Gives LanceDB the one bucket that it is to see.
#[derive(Debug)]
struct Provider(Arc<dyn ObjectStore>);

#[async_trait::async_trait]
impl ObjectStoreProvider for Provider {
    async fn new_store(&self, base: Url, params: &ObjectStoreParams) -> lance::Result<LanceStore> {
        let (constant_parts, lexical) = (false, true);
        Ok(LanceStore::new(
            Arc::clone(&self.0),
            base,
            params.block_size,
            params.object_store_wrapper.clone(),
            constant_parts,
            lexical,
            DEFAULT_CLOUD_IO_PARALLELISM,
            DEFAULT_DOWNLOAD_RETRY_COUNT,
            params.storage_options(),
        ))
    }
}

/// A bucket in which only who holds the lease commits.
#[derive(Debug)]
struct Fenced {
    inner: Arc<dyn ObjectStore>,
    lease: Arc<Lease>,
}

impl std::fmt::Display for Fenced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Fenced {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        if location.parts().any(|part| part.as_ref() == VERSIONS) {
            let held = self.lease.check().await;
            let epoch = held
                .map_err(|error| object_store::Error::Generic { store: "the writer's lease", source: error.into() })?;
            options.attributes.insert(Attribute::Metadata(EPOCH.into()), epoch.to_string().into());
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
