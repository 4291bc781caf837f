//! The download stage, reading bytes: they are put into a file, for that is the shortest way in that a user has.

use std::path::PathBuf;
use std::sync::Arc;

use docmill_api::{Context, Node, Outputs, Record, SourceItem, Stage, StageError};
use docmill_testkit::records;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A download stage with a place for its documents.
pub struct Download {
    stage: Arc<dyn Stage>,
    runtime: Runtime,
    directory: TempDir,
    count: u64,
}

impl Download {
    /// With these of its fields set.
    ///
    /// # Panics
    /// The machine gives no directory, or no threads.
    #[must_use]
    pub fn new(set: &Value) -> Self {
        let runtime = Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
        let _inside = runtime.enter();
        let Node::Io(stage) = crate::node("download", set) else { panic!("`download` is of the io tier") };
        let directory = tempfile::tempdir().expect("a temporary directory");
        drop(_inside);
        Self { stage, runtime, directory, count: 0 }
    }

    /// Puts bytes into a file. No two have one name: the stage keeps containers open by name, size and time.
    ///
    /// # Panics
    /// The disk is full.
    pub fn put(&mut self, bytes: &[u8]) -> PathBuf {
        self.count += 1;
        let path = self.directory.path().join(self.count.to_string());
        std::fs::write(&path, bytes).expect("room for a file");
        path
    }

    /// What the stage makes of a document.
    ///
    /// # Errors
    /// Those of the stage.
    pub fn take(&self, item: SourceItem) -> Result<Outputs, StageError> {
        let record = self.record(item);
        self.runtime.block_on(self.stage.process(&Context::detached(), record))
    }

    fn record(&self, item: SourceItem) -> Record {
        let mut record = records::reference(&item.uri);
        let document = Arc::make_mut(&mut record.document);
        document.media_type = item.media_type;
        if !item.filename.is_empty() {
            document.filename = item.filename;
        }
        record
    }
}
