//! Where a table is, and whether it is ours: everything that can be wrong with it is found here, before any work.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use docmill_api::{BuildContext, Embedding, StageError};
use lancedb::{Connection, Error, ObjectStoreRegistry, Session, Table};

use super::mark::Mark;
use super::schema::{self, fits};
use super::{LanceDbConfig, index};
use crate::lock::StoreLock;
use crate::row::{Identity, failed};

/// What LanceDB may keep of indexes and of metadata. Its own defaults (6 GiB and 1 GiB) are made for a server that
/// does nothing else; these hold the full-text index of some hundred thousand rows.
const INDEX_CACHE: usize = 128 << 20;
const METADATA_CACHE: usize = 32 << 20;

/// The same for who writes: the committer looks at each new manifest once, so what is kept of old ones is memory that
/// grows with the length of a run for nothing.
const WRITER_METADATA_CACHE: usize = 4 << 20;

/// A table that is open for writing.
pub(super) struct Opened {
    pub(super) table: Table,
    pub(super) lock: StoreLock,
    pub(super) mark: Mark,
}

/// A table in a directory of tables.
pub(super) struct Place {
    directory: PathBuf,
    table: String,
}

impl Place {
    /// Resolves the configuration against the directory of the pipeline.
    pub(super) fn new(config: &LanceDbConfig, cx: &BuildContext) -> Result<Self, StageError> {
        let path = config.uri.strip_prefix("file://").unwrap_or(&config.uri);
        // Absolute, because LanceDB reads a relative path that begins with `db` as the name of a server.
        let directory = std::path::absolute(cx.base.join(path))
            .map_err(|error| StageError::fatal(format!("`uri` = `{path}` is no directory: {error}")))?;
        Ok(Self { directory, table: config.table.clone() })
    }

    /// How messages call it.
    fn name(&self) -> String {
        format!("table `{}` in `{}`", self.table, self.directory.display())
    }

    /// The note of what of the table is on disk for good.
    fn mark(&self) -> PathBuf {
        self.directory.join(format!(".{}.mark", self.table))
    }

    fn files(&self) -> PathBuf {
        self.directory.join(format!("{}.lance", self.table))
    }

    async fn connect(&self, fresh: bool) -> Result<Connection, StageError> {
        let path = self.directory.to_str().ok_or_else(|| {
            StageError::fatal(format!("`{}` is not UTF-8, which LanceDB needs", self.directory.display()))
        })?;
        let metadata = if fresh { METADATA_CACHE } else { WRITER_METADATA_CACHE };
        let session = Session::new(INDEX_CACHE, metadata, Arc::new(ObjectStoreRegistry::default()));
        let mut connecting = lancedb::connect(path).session(Arc::new(session));
        if fresh {
            connecting = connecting.read_consistency_interval(Duration::ZERO);
        }
        connecting.execute().await.map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &Error) -> StageError {
        StageError::fatal(failed(&self.name(), error).message)
    }

    /// Opens the table for writing, and makes it where it is missing.
    ///
    /// # Errors
    /// Fatal: the directory holds something else, the table is not ours or was made with another model, or it cannot
    /// be written.
    pub(super) async fn open_or_create(&self, embedding: &Embedding) -> Result<Opened, StageError> {
        if !fits(embedding) {
            return Err(StageError::fatal(format!("vectors of {} dimensions cannot be stored", embedding.dimensions)));
        }
        let (directory, name) = (self.directory.clone(), self.name());
        let lock = self.directory.join(format!(".{}.lock", self.table));
        let (mark, files) = (self.mark(), self.files());
        let (lock, mut mark) = tokio::task::spawn_blocking(move || {
            ours_to_write(&directory)?;
            let lock = StoreLock::take(&lock, &name)?;
            let recovered = Mark::recover(mark, &files);
            Ok((lock, recovered.map_err(|error| StageError::fatal(format!("recovering {name}: {error}")))?))
        })
        .await
        .map_err(|error| StageError::fatal(error.to_string()))??;
        let database = self.connect(false).await?;
        match database.open_table(&self.table).execute().await {
            Ok(table) => {
                self.identity(&table).await?.accepts(embedding, &self.name())?;
                Ok(Opened { table, lock, mark })
            }
            Err(Error::TableNotFound { .. }) => {
                let mark = tokio::task::spawn_blocking(move || mark.making().map(|()| mark)).await;
                let mark = mark.map_err(std::io::Error::other).flatten();
                let mark = mark.map_err(|error| StageError::fatal(format!("{}: {error}", self.name())))?;
                let schema = schema::schema(&Identity::new(embedding));
                let made = database.create_empty_table(&self.table, schema).execute().await;
                let table = made.map_err(|error| self.unusable(&error))?;
                index::declare(&table).await.map_err(|error| self.unusable(&error))?;
                Ok(Opened { table, lock, mark })
            }
            Err(error) => Err(self.unusable(&error)),
        }
    }

    /// Opens the table for reading; what others write to it is seen by every call.
    ///
    /// # Errors
    /// Fatal: there is no such table, or it is not ours.
    pub(super) async fn open_to_read(&self) -> Result<(Table, Identity), StageError> {
        let missing = || {
            let (table, directory) = (&self.table, self.directory.display());
            StageError::fatal(format!("no table `{table}` in `{directory}`: run `docmill run` first"))
        };
        // Asked first, because LanceDB makes the directory that it connects to.
        if !self.files().is_dir() {
            return Err(missing());
        }
        let database = self.connect(true).await?;
        match database.open_table(&self.table).execute().await {
            Ok(table) => {
                let identity = self.identity(&table).await?;
                Ok((table, identity))
            }
            Err(Error::TableNotFound { .. }) => Err(missing()),
            Err(error) => Err(self.unusable(&error)),
        }
    }

    async fn identity(&self, table: &Table) -> Result<Identity, StageError> {
        let schema = table.schema().await.map_err(|error| self.unusable(&error))?;
        schema::identity(&schema)
            .ok_or_else(|| StageError::fatal(format!("{} was not made by docmill: name another `table`", self.name())))
    }
}

/// Refuses a directory that holds something other than tables, and one that cannot be written.
fn ours_to_write(directory: &Path) -> Result<(), StageError> {
    let name = directory.display();
    let unusable = |error: std::io::Error| StageError::fatal(format!("directory `{name}` cannot be used: {error}"));
    std::fs::create_dir_all(directory).map_err(unusable)?;
    let mut foreign = None;
    for entry in std::fs::read_dir(directory).map_err(unusable)? {
        let file = entry.map_err(unusable)?.file_name();
        let file = file.to_string_lossy();
        if file.ends_with(".lance") {
            foreign = None;
            break;
        }
        // Hidden files say nothing: file managers leave theirs everywhere.
        if !file.starts_with('.') {
            foreign = Some(file.into_owned());
        }
    }
    if let Some(file) = foreign {
        return Err(StageError::fatal(format!(
            "directory `{name}` holds `{file}` and no table: name an empty or a new directory in `uri`"
        )));
    }
    let probe = directory.join(format!(".docmill-{}", std::process::id()));
    std::fs::write(&probe, b"")
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|error| StageError::fatal(format!("directory `{name}` cannot be written: {error}")))
}
