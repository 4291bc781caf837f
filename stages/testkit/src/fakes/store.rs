//! The fake sink, and the store in memory that a test looks into.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use docmill_api::{
    BatchDefaults, BuildContext, Context, Node, Payload, PayloadKind, Record, Rest, Settled, Sink, StageError,
    StageFactory, StageSpec, Tier, async_trait,
};

use super::{FakeConfig, Faults, spec};

static STORES: LazyLock<Mutex<BTreeMap<String, Arc<MemoryStore>>>> = LazyLock::new(Mutex::default);

/// What a `fake-sink` holds, by the name of its store: a test looks here.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Mutex<BTreeMap<(String, u32), String>>,
    writes: Mutex<Vec<String>>,
    closed: Mutex<bool>,
}

impl MemoryStore {
    /// The store of this name, made at its first mention.
    #[must_use]
    pub fn named(name: &str) -> Arc<Self> {
        Arc::clone(STORES.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default())
    }

    /// The rows: document and ordinal, and the version.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<(String, u32), String> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every row that was ever written, in order: `document/ordinal`.
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the sink was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct FakeSink;
#[async_trait]
impl StageFactory for FakeSink {
    type Config = FakeConfig;
    const KIND: &'static str = "fake-sink";
    const REVISION: u32 = 1;
    fn spec() -> StageSpec {
        let batch = BatchDefaults { items: 100, tokens: 1_000_000, wait: Duration::from_millis(20) };
        let base = spec(&[PayloadKind::Vectors], &[], Tier::Io, "kind = \"fake-sink\"\nstore = \"a\"");
        StageSpec { batch: Some(batch), width: Some(1), ..base }
    }
    async fn build(config: FakeConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        let store = MemoryStore::named(&config.store);
        Ok(Node::Sink(Arc::new(Memory { faults: Faults::new(&config), config, store })))
    }
}

struct Memory {
    config: FakeConfig,
    faults: Faults,
    store: Arc<MemoryStore>,
}

#[async_trait]
impl Sink for Memory {
    async fn write(&self, _cx: &Context, batch: Vec<Record>) -> Vec<Result<u64, StageError>> {
        if !self.config.delay.0.is_zero() {
            tokio::time::sleep(self.config.delay.0).await;
        }
        let mut outcomes = Vec::with_capacity(batch.len());
        for record in batch {
            if let Some(error) = self.faults.due(&record).and_then(|what| Faults::strike(&what)) {
                outcomes.push(Err(error));
                continue;
            }
            let Payload::Vectors(vectors) = &record.payload else {
                outcomes.push(Err(StageError::unexpected(record.payload.kind())));
                continue;
            };
            let version = record.document.version().map(|version| version.to_string()).unwrap_or_default();
            let mut rows = self.store.rows.lock().unwrap_or_else(PoisonError::into_inner);
            let mut writes = self.store.writes.lock().unwrap_or_else(PoisonError::into_inner);
            for chunk in &vectors.chunks.items {
                writes.push(format!("{}/{}", record.document.filename, chunk.ordinal));
                rows.insert((record.document.filename.clone(), chunk.ordinal), version.clone());
            }
            outcomes.push(Ok(vectors.chunks.items.len() as u64));
        }
        outcomes
    }

    async fn settle(&self, _cx: &Context, documents: &[Settled]) -> Result<(), StageError> {
        let at_fault = documents.iter().any(|settled| self.config.on.contains(&settled.document.filename));
        match self.config.what.as_str() {
            "settle-reject" if at_fault => return Err(StageError::rejected("told not to settle")),
            "settle-fatal" if at_fault => return Err(StageError::fatal("told that the store is gone")),
            _ => {}
        }
        let mut rows = self.store.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for settled in documents {
            let version = settled.document.version().map(|version| version.to_string());
            let name = &settled.document.filename;
            rows.retain(|(document, _), of| {
                document != name
                    || match settled.rest {
                        Rest::Done => version.as_ref() == Some(of),
                        Rest::Failed => version.as_ref() != Some(of),
                        Rest::Gone => false,
                    }
            });
        }
        Ok(())
    }

    async fn close(&self, _cx: &Context) -> Result<(), StageError> {
        *self.store.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        Ok(())
    }

    fn identity(&self) -> Option<String> {
        Some(self.config.store.clone())
    }
}
