//! Where a table is, and whether it is ours: everything that can be wrong with it is found here, before any work.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use docmill_api::{BuildContext, Embedding, StageError};
use docmill_objects::{Lease, is_store};
use lancedb::{Connection, Error, ObjectStoreRegistry, Session, Table};

use super::mark::Mark;
use super::remote::Remote;
use super::schema::{self, fits};
use super::{LanceDbConfig, index};
use crate::lock::StoreLock;
use crate::power;
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
    pub(super) hold: Hold,
    pub(super) mark: Mark,
}

/// What keeps other writers away.
pub(super) enum Hold {
    /// In a directory: a lock that ends with the process.
    Lock { _lock: StoreLock },
    /// In an object store.
    Lease(Arc<Lease>),
}

impl Hold {
    /// Nothing is written for now: another may.
    pub(super) async fn rest(&self) -> Result<(), StageError> {
        match self {
            Self::Lock { .. } => Ok(()),
            Self::Lease(lease) => lease.free().await,
        }
    }
}

/// A table in a directory of tables.
pub(super) struct Place {
    root: Root,
    table: String,
    /// Who writes, for those who come after; it is asked for when it is needed.
    state: Option<PathBuf>,
}

/// Where the tables are.
enum Root {
    Directory(PathBuf),
    Store(Remote),
}

impl Place {
    /// Resolves the configuration against the directory of the pipeline.
    pub(super) fn new(config: &LanceDbConfig, cx: &BuildContext) -> Result<Self, StageError> {
        let root = if is_store(&config.uri) {
            Root::Store(Remote::open(&config.uri, &config.stores())?)
        } else {
            let path = config.uri.strip_prefix("file://").unwrap_or(&config.uri);
            // Absolute, because LanceDB reads a relative path that begins with `db` as the name of a server.
            let directory = std::path::absolute(cx.base.join(path))
                .map_err(|error| StageError::fatal(format!("`uri` = `{path}` is no directory: {error}")))?;
            Root::Directory(directory)
        };
        Ok(Self { root, table: config.table.clone(), state: cx.state.clone() })
    }

    /// How messages call where it is.
    fn whereabouts(&self) -> String {
        match &self.root {
            Root::Directory(directory) => directory.display().to_string(),
            Root::Store(remote) => remote.uri.clone(),
        }
    }

    /// How messages call it.
    fn name(&self) -> String {
        format!("table `{}` in `{}`", self.table, self.whereabouts())
    }

    async fn connect(&self, fresh: bool, lease: Option<&Arc<Lease>>) -> Result<Connection, StageError> {
        let metadata = if fresh { METADATA_CACHE } else { WRITER_METADATA_CACHE };
        let registry = match &self.root {
            Root::Directory(_) => ObjectStoreRegistry::default(),
            Root::Store(remote) => remote.registry(lease),
        };
        let place = self.whereabouts();
        if let Root::Directory(directory) = &self.root
            && directory.to_str().is_none()
        {
            return Err(StageError::fatal(format!("`{place}` is not UTF-8, which LanceDB needs")));
        }
        let session = Session::new(INDEX_CACHE, metadata, Arc::new(registry));
        let mut connecting = lancedb::connect(&place).session(Arc::new(session));
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
        let (hold, mark) = self.hold().await?;
        match self.open_held(embedding, &hold, mark).await {
            Ok((table, mark)) => Ok(Opened { table, hold, mark }),
            Err(error) => {
                // Who cannot write the table keeps nobody else from it.
                if let Err(kept) = hold.rest().await {
                    tracing::warn!("{kept}");
                }
                Err(error)
            }
        }
    }

    async fn open_held(&self, embedding: &Embedding, hold: &Hold, mut mark: Mark) -> Result<(Table, Mark), StageError> {
        let lease = match hold {
            Hold::Lease(lease) => Some(lease),
            Hold::Lock { .. } => None,
        };
        let database = self.connect(false, lease).await?;
        match database.open_table(&self.table).execute().await {
            Ok(table) => {
                self.identity(&table).await?.accepts(embedding, &self.name())?;
                Ok((table, mark))
            }
            Err(Error::TableNotFound { .. }) => {
                let mark = tokio::task::spawn_blocking(move || mark.making().map(|()| mark)).await;
                let mark = mark.map_err(std::io::Error::other).flatten();
                let mark = mark.map_err(|error| StageError::fatal(format!("{}: {error}", self.name())))?;
                let schema = schema::schema(&Identity::new(embedding));
                let made = database.create_empty_table(&self.table, schema).execute().await;
                let table = made.map_err(|error| self.unusable(&error))?;
                index::declare(&table).await.map_err(|error| self.unusable(&error))?;
                Ok((table, mark))
            }
            Err(error) => Err(self.unusable(&error)),
        }
    }

    /// Makes sure that nobody else writes.
    async fn hold(&self) -> Result<(Hold, Mark), StageError> {
        let (table, name, state) = (self.table.clone(), self.name(), self.state.clone());
        let blocking = |error: tokio::task::JoinError| StageError::fatal(error.to_string());
        match &self.root {
            Root::Directory(directory) => {
                let directory = directory.clone();
                tokio::task::spawn_blocking(move || lock(&directory, &table, &name)).await.map_err(blocking)?
            }
            Root::Store(remote) => {
                let holder =
                    tokio::task::spawn_blocking(move || holder(state.as_deref())).await.map_err(blocking)??;
                Ok((Hold::Lease(remote.lease(&table, holder, name).await?), Mark::none()))
            }
        }
    }

    /// Opens the table for reading; what others write to it is seen by every call.
    ///
    /// # Errors
    /// Fatal: there is no such table, or it is not ours.
    pub(super) async fn open_to_read(&self) -> Result<(Table, Identity), StageError> {
        let missing = || {
            let (table, place) = (&self.table, self.whereabouts());
            StageError::fatal(format!("no table `{table}` in `{place}`: run `docmill run` first"))
        };
        // Asked first, because LanceDB makes the directory that it connects to.
        let is_there = match &self.root {
            Root::Directory(directory) => files(directory, &self.table).is_dir(),
            Root::Store(remote) => remote.holds(&self.table).await?,
        };
        if !is_there {
            return Err(missing());
        }
        let database = self.connect(true, None).await?;
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

/// Keeps other writers away from a directory, and brings the table back to what is on its disk for good.
fn lock(directory: &Path, table: &str, name: &str) -> Result<(Hold, Mark), StageError> {
    ours_to_write(directory)?;
    let lock = StoreLock::take(&directory.join(format!(".{table}.lock")), name)?;
    let mark = Mark::recover(directory.join(format!(".{table}.mark")), &files(directory, table));
    let mark = mark.map_err(|error| StageError::fatal(format!("recovering {name}: {error}")))?;
    Ok((Hold::Lock { _lock: lock }, mark))
}

fn files(directory: &Path, table: &str) -> PathBuf {
    directory.join(format!("{table}.lance"))
}

/// The name of a state directory, which it keeps for good: who has it is the successor of who had it before.
fn holder(state: Option<&Path>) -> Result<String, StageError> {
    let new = format!("{:016x}", fastrand::u64(..));
    let Some(file) = state.map(|state| state.join("writer")) else { return Ok(new) };
    let named = match std::fs::read_to_string(&file) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Ok(_) => power::replace(&file, new.as_bytes()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => power::replace(&file, new.as_bytes()),
        Err(error) => Err(error),
    };
    named.map(|()| new).map_err(|error| StageError::fatal(format!("`{}`: {error}", file.display())))
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
