//! LanceDB's own event loop: what it does computes between two waits, for milliseconds, and would keep the records of a
//! pipeline and the answers of its services waiting on theirs.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use docmill_api::{Filter, Hit, Listed, Search, StageError, StoreInfo, async_trait};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::cpus;
use super::search::LanceSearch;
use crate::row::failed;

/// LanceDB's futures are deep in an unoptimised build.
const STACK: usize = 16 << 20;

/// As many threads as there are CPUs, for as long as the process lives.
static OWN: OnceLock<Option<Runtime>> = OnceLock::new();

/// As [`tokio::spawn`], on that loop.
pub(super) fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let own = OWN.get_or_init(|| {
        let mut own = Builder::new_multi_thread();
        own.worker_threads(cpus()).thread_name("lance-io").thread_stack_size(STACK).enable_all().build().ok()
    });
    // Without threads for a loop of its own, the caller's does.
    own.as_ref().map_or_else(Handle::current, |own| own.handle().clone()).spawn(work)
}

/// Reads on that loop. A call that nobody waits for any more is stopped.
pub(super) struct Reader(Arc<LanceSearch>);

impl Reader {
    pub(super) fn new(search: LanceSearch) -> Self {
        Self(Arc::new(search))
    }

    async fn apart<T, F>(&self, read: impl FnOnce(Arc<LanceSearch>) -> F) -> Result<T, StageError>
    where
        F: Future<Output = Result<T, StageError>> + Send + 'static,
        T: Send + 'static,
    {
        let read = AbortOnDropHandle::new(spawn(read(Arc::clone(&self.0))));
        read.await.map_err(|error| failed("reading the table", &error))?
    }
}

#[async_trait]
impl Search for Reader {
    async fn info(&self) -> Result<StoreInfo, StageError> {
        self.apart(|search| async move { search.info().await }).await
    }

    async fn nearest(&self, vector: &[f32], limit: usize, filter: &Filter) -> Result<Vec<Hit>, StageError> {
        let (vector, filter) = (vector.to_vec(), filter.clone());
        self.apart(move |search| async move { search.nearest(&vector, limit, &filter).await }).await
    }

    async fn matching(&self, text: &str, limit: usize, filter: &Filter) -> Result<Vec<Hit>, StageError> {
        let (text, filter) = (text.to_owned(), filter.clone());
        self.apart(move |search| async move { search.matching(&text, limit, &filter).await }).await
    }

    async fn rows(
        &self,
        documents: &[String],
        part: Option<&str>,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<Hit>, StageError> {
        let (documents, part, filter) = (documents.to_vec(), part.map(str::to_owned), filter.clone());
        self.apart(move |search| async move { search.rows(&documents, part.as_deref(), limit, &filter).await }).await
    }

    async fn documents(&self, after: Option<&str>, limit: usize, filter: &Filter) -> Result<Listed, StageError> {
        let (after, filter) = (after.map(str::to_owned), filter.clone());
        self.apart(move |search| async move { search.documents(after.as_deref(), limit, &filter).await }).await
    }
}
