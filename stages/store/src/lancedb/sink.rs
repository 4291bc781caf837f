//! The committer: rows go in by appends, and out by deletes, one call at a time.
//!
//! A row is never written twice, and never looked up without need: the documents that the table held at the start are
//! read once, in short; a document that is not among them cannot have rows, so its rows are appended as they come. Only
//! for the others, and after an append of which the outcome is unknown, the table is asked what it holds.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use docmill_api::crash::crash_point;
use docmill_api::{Context, Digest, Record, Rest, Settled, Sink, StageError, async_trait};
use lancedb::Table;
use lancedb::expr::DfExpr;
use lancedb::table::NaNVectorBehavior;
use tokio::sync::Mutex;

use super::event_loop::spawn;
use super::index;
use super::lookup::{self, DOCUMENTS_A_QUERY, one_of};
use super::mark::Mark;
use super::place::{Hold, Opened};
use super::schema::{self, Picked};
use super::tidy::Tidy;
use crate::row::{Incoming, Key, Version, failed, now_micros, row_id};

/// Up to how many rows the documents of a table are read at the start: 64 MB of ids in a million rows take a moment,
/// and some megabytes to remember. In a larger table every document of a batch is looked up through an index.
const READ_DOCUMENTS_UP_TO: usize = 4_000_000;

/// The sink: a committer, and the promise that whoever stops waiting for it does not stop it half-way.
pub(super) struct LanceSink {
    committer: Arc<Mutex<Committer>>,
    /// The store's own id.
    store: Option<String>,
    hold: Hold,
}

impl LanceSink {
    pub(super) async fn new(opened: Opened, dimensions: usize) -> Result<Self, StageError> {
        let Opened { table, hold, mark } = opened;
        let unreadable = |error: lancedb::Error| StageError::fatal(failed("reading the table", &error).message);
        let schema = table.schema().await.map_err(unreadable)?;
        let store = schema::identity(&schema).map(|identity| identity.store);
        let known = match table.count_rows(None).await.map_err(unreadable)? {
            0 => Known::Some(HashSet::new()),
            rows if rows <= READ_DOCUMENTS_UP_TO => Known::Unread,
            _ => Known::Any,
        };
        let held = HashMap::new();
        let committer = Committer {
            table,
            schema,
            dimensions,
            known,
            held,
            moment: 0,
            changed: false,
            tidy: Tidy::default(),
            mark: Arc::new(std::sync::Mutex::new(mark)),
            power: false,
            unsynced: true,
        };
        Ok(Self { committer: Arc::new(Mutex::new(committer)), store, hold })
    }
}

/// Every call runs in a task of its own, which holds the committer. A call that is cancelled (a timeout) leaves its
/// task to the end, and the next one waits for that: so no commit is ever under way while another begins.
#[async_trait]
impl Sink for LanceSink {
    async fn write(&self, _cx: &Context, batch: Vec<Record>) -> Vec<Result<u64, StageError>> {
        let records = batch.len();
        let mut committer = Arc::clone(&self.committer).lock_owned().await;
        match spawn(async move { committer.write(batch).await }).await {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Err(stopped(&error)); records],
        }
    }

    async fn settle(&self, _cx: &Context, documents: &[Settled]) -> Result<(), StageError> {
        let gone: Vec<Digest> =
            documents.iter().filter(|settled| settled.rest == Rest::Gone).map(|settled| settled.document.id).collect();
        let ended: Vec<(Version, bool)> = documents
            .iter()
            .filter(|settled| settled.rest != Rest::Gone)
            .filter_map(|settled| {
                Some(((settled.document.id, settled.document.version()?), settled.rest == Rest::Done))
            })
            .collect();
        let mut committer = Arc::clone(&self.committer).lock_owned().await;
        spawn(async move {
            committer.forget(&gone).await?;
            committer.settle(&ended).await
        })
        .await
        .map_err(|error| stopped(&error))?
    }

    async fn barrier(&self, _cx: &Context) -> Result<(), StageError> {
        let mut committer = Arc::clone(&self.committer).lock_owned().await;
        spawn(async move { committer.begin_or_sync().await }).await.map_err(|error| stopped(&error))?
    }

    async fn close(&self, _cx: &Context) -> Result<(), StageError> {
        let mut committer = Arc::clone(&self.committer).lock_owned().await;
        spawn(async move { committer.close().await }).await.map_err(|error| stopped(&error))??;
        self.hold.rest().await
    }

    fn identity(&self) -> Option<String> {
        self.store.clone()
    }
}

fn stopped(error: &tokio::task::JoinError) -> StageError {
    StageError::transient(format!("the store's committer stopped: {error}"))
}

/// Which documents the table may hold rows of.
enum Known {
    /// Not read yet: a run that writes nothing never asks.
    Unread,
    /// These, in short; a mistake costs one look-up.
    Some(HashSet<u64>),
    /// Too many to remember.
    Any,
}

/// What is known of one version of one document, from its first row or its end until it is settled.
#[derive(Default)]
struct Held {
    /// Its rows in the table.
    rows: HashSet<Key>,
    /// Those of them that were there before this run wrote any.
    earlier: HashSet<Key>,
    /// The document's other versions in the table.
    others: Vec<Digest>,
    /// The moment that its rows carry: one for all, later than that of any version before.
    moment: i64,
    /// An append was begun and its end is not known: ask the table before believing `rows`.
    doubt: bool,
}

/// Rows to be deleted: those versions of a document, while others of the same document stay.
struct Removal {
    document: Digest,
    remove: Vec<Digest>,
    keep: Vec<Digest>,
}

struct Committer {
    table: Table,
    schema: SchemaRef,
    dimensions: usize,
    known: Known,
    held: HashMap<Version, Held>,
    moment: i64,
    changed: bool,
    tidy: Tidy,
    mark: Arc<std::sync::Mutex<Mark>>,
    /// Whether there are barriers.
    power: bool,
    /// Whether a commit was made, or the table itself, since the last of them.
    unsynced: bool,
}

impl Committer {
    async fn write(&mut self, batch: Vec<Record>) -> Vec<Result<u64, StageError>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut accepted = Vec::with_capacity(batch.len());
        for record in batch {
            outcomes.push(Incoming::admit(record, self.dimensions).map(|incoming| {
                let rows = incoming.vectors.chunks.items.len() as u64;
                accepted.push(incoming);
                rows
            }));
        }
        if let Err(error) = self.commit(accepted).await {
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_ok()) {
                *outcome = Err(error.clone());
            }
        }
        if self.tidy.is_due()
            && let Err(error) = self.tidy_up().await
        {
            // The rows are durable whatever becomes of this: it is done again later, and at the end.
            tracing::warn!(%error, "merging small files of the table failed, it is done later");
        }
        outcomes
    }

    /// Merges small files and drops old versions, beside the writing where nothing is against it.
    async fn tidy_up(&mut self) -> Result<(), StageError> {
        self.tidy.ended().await;
        // A barrier notes the version of the table: where there are any, nothing is committed but in turn.
        if !self.power && !self.tidy.lost() {
            self.tidy.begin(&self.table);
            return Ok(());
        }
        self.tidy.merge(&self.table).await?;
        self.barrier().await?;
        self.tidy.prune(&self.table).await
    }

    /// Appends the rows that are not there yet, in one commit.
    async fn commit(&mut self, accepted: Vec<Incoming>) -> Result<(), StageError> {
        let keys: Vec<Version> = accepted.iter().map(Incoming::key).collect();
        self.hold(&keys).await?;
        let mut picked = Vec::with_capacity(accepted.len());
        for incoming in accepted {
            let Some(held) = self.held.get_mut(&incoming.key()) else { continue };
            let rows = incoming.vectors.chunks.items.len();
            let items: Vec<usize> = (0..rows).filter(|&index| held.rows.insert(incoming.row(index))).collect();
            if !items.is_empty() {
                held.doubt = true;
                picked.push(Picked { incoming, items, ingested_at: held.moment });
            }
        }
        if picked.is_empty() {
            return Ok(());
        }
        let written: Vec<Version> = picked.iter().map(|picked| picked.incoming.key()).collect();
        let (schema, dimensions) = (Arc::clone(&self.schema), self.dimensions);
        // Hashing and copying some tens of megabytes is no work for the event loop.
        let batches = tokio::task::spawn_blocking(move || schema::batches(&schema, dimensions, &picked))
            .await
            .map_err(|error| stopped(&error))?
            .map_err(|error| failed("building rows", &error))?;
        self.before_commit().await?;
        // One writer, so that a commit leaves one file; vectors were looked at when their records were admitted.
        let adding = self.table.add(batches).write_parallelism(1).on_nan_vectors(NaNVectorBehavior::Keep);
        adding.execute().await.map_err(|error| failed("writing rows", &error))?;
        self.changed = true;
        self.tidy.committed();
        for version in &written {
            if let Some(held) = self.held.get_mut(version) {
                held.doubt = false;
            }
        }
        Ok(())
    }

    /// Makes sure that what the table holds of these versions is known.
    async fn hold(&mut self, versions: &[Version]) -> Result<(), StageError> {
        let unreadable = |error: lancedb::Error| failed("reading rows", &error);
        if matches!(self.known, Known::Unread) {
            self.known = Known::Some(lookup::documents(&self.table).await.map_err(unreadable)?);
        }
        let (mut ask, mut doubt) = (Vec::new(), false);
        for version in versions {
            let may_have_rows = match &mut self.known {
                Known::Some(documents) => !documents.insert(lookup::short(&version.0)),
                Known::Unread | Known::Any => true,
            };
            match self.held.get(version) {
                Some(held) if !held.doubt => {}
                Some(_) => {
                    doubt = true;
                    ask.push(*version);
                }
                None if may_have_rows => ask.push(*version),
                None => {
                    let moment = self.next_moment();
                    self.held.insert(*version, Held { moment, ..Held::default() });
                }
            }
        }
        if ask.is_empty() {
            return Ok(());
        }
        if doubt {
            self.table.checkout_latest().await.map_err(unreadable)?;
        }
        let mut documents: Vec<Digest> = ask.iter().map(|version| version.0).collect();
        documents.sort_unstable();
        documents.dedup();
        let found = lookup::rows(&self.table, &documents).await.map_err(unreadable)?;
        for version in ask {
            self.learn(version, found.get(&version.0));
        }
        Ok(())
    }

    /// Takes over what the table holds of a document.
    fn learn(&mut self, version: Version, found: Option<&lookup::Rows>) {
        let rows = found.and_then(|found| found.get(&version.1)).cloned().unwrap_or_default();
        let others = found.into_iter().flat_map(|found| found.keys()).filter(|other| **other != version.1);
        let others = others.copied().collect();
        let moment = self.next_moment();
        let held =
            self.held.entry(version).or_insert_with(|| Held { earlier: rows.clone(), moment, ..Held::default() });
        held.rows = rows;
        held.others = others;
        held.doubt = false;
    }

    /// Now, and later than every moment before, even when the clock was set back.
    fn next_moment(&mut self) -> i64 {
        self.moment = now_micros().max(self.moment + 1);
        self.moment
    }

    async fn settle(&mut self, ended: &[(Version, bool)]) -> Result<(), StageError> {
        let versions: Vec<Version> = ended.iter().map(|(version, _)| *version).collect();
        self.hold(&versions).await?;
        let (mut removals, mut ids) = (Vec::new(), Vec::new());
        for (version, done) in ended {
            let Some(held) = self.held.get(version) else { continue };
            let (document, this, others) = (version.0, vec![version.1], held.others.clone());
            if *done {
                if !others.is_empty() {
                    removals.push(Removal { document, remove: others, keep: this });
                }
            } else if held.rows.len() > held.earlier.len() || !others.is_empty() {
                // Rows of this version that were there before beside another version are what a crash left: had they
                // been complete, the other version would be gone. Alone, they may be the document's only good rows.
                if held.earlier.is_empty() || !others.is_empty() {
                    removals.push(Removal { document, remove: this, keep: others });
                } else {
                    ids.extend(held.rows.difference(&held.earlier).map(|key| row_id(*version, *key)));
                }
            }
        }
        for removals in removals.chunks(DOCUMENTS_A_QUERY) {
            for predicate in predicates(removals) {
                self.delete(&predicate).await?;
            }
        }
        for ids in ids.chunks(DOCUMENTS_A_QUERY) {
            self.delete(&one_of("id", ids)).await?;
        }
        for version in &versions {
            self.held.remove(version);
        }
        Ok(())
    }

    /// Deletes all rows of documents that are no longer there.
    async fn forget(&mut self, documents: &[Digest]) -> Result<(), StageError> {
        for documents in documents.chunks(DOCUMENTS_A_QUERY) {
            self.delete(&one_of("document", documents)).await?;
            self.held.retain(|(document, _), _| !documents.contains(document));
        }
        Ok(())
    }

    async fn delete(&mut self, predicate: &DfExpr) -> Result<(), StageError> {
        self.before_commit().await?;
        self.table.delete(predicate).await.map_err(|error| failed("deleting rows", &error))?;
        self.changed = true;
        self.tidy.committed();
        Ok(())
    }

    async fn close(&mut self) -> Result<(), StageError> {
        let indexing = |error: lancedb::Error| failed("indexing the table", &error);
        self.tidy.ended().await;
        if index::is_due(&self.table, self.changed).await.map_err(indexing)? {
            self.before_commit().await?;
            index::bring_up_to_date(&self.table, self.dimensions).await.map_err(indexing)?;
            // Before old versions go: what a power cut brings the table back to has to be there still.
            self.barrier().await?;
            self.tidy.prune(&self.table).await?;
            crash_point("lancedb", "pruned");
        }
        self.changed = false;
        if self.power { self.sync(true).await } else { self.before_commit().await }
    }

    /// Makes what was committed so far survive a power cut. The first call says that there will be others.
    async fn begin_or_sync(&mut self) -> Result<(), StageError> {
        self.tidy.ended().await;
        if std::mem::replace(&mut self.power, true) { self.barrier().await } else { self.sync(true).await }
    }

    async fn barrier(&mut self) -> Result<(), StageError> {
        if self.power && self.unsynced { self.sync(false).await } else { Ok(()) }
    }

    async fn sync(&mut self, closed: bool) -> Result<(), StageError> {
        let version = self.table.version().await.map_err(|error| failed("reading the table", &error))?;
        crash_point("lancedb", "syncing");
        self.with_mark(move |mark| mark.barrier(version, closed)).await?;
        crash_point("lancedb", "synced");
        self.unsynced = false;
        Ok(())
    }

    /// Notes that the table is about to be more than its mark says.
    async fn before_commit(&mut self) -> Result<(), StageError> {
        let keep = self.power;
        self.with_mark(move |mark| mark.before_commit(keep)).await?;
        self.unsynced = true;
        Ok(())
    }

    async fn with_mark(
        &self,
        work: impl FnOnce(&mut Mark) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), StageError> {
        let mark = Arc::clone(&self.mark);
        let work = move || work(&mut mark.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let worked = tokio::task::spawn_blocking(work).await.map_err(|error| stopped(&error))?;
        worked.map_err(|error| failed("syncing the table", &error))
    }
}

/// The fewest predicates that delete these rows: one for all documents together, as `document IN (…) AND version IN
/// (…)`. Versions are hashes of content, which two documents may share: a document that has to keep what another has
/// to lose gets a predicate of its own.
fn predicates(removals: &[Removal]) -> Vec<DfExpr> {
    let removed: HashSet<Digest> = removals.iter().flat_map(|removal| removal.remove.iter().copied()).collect();
    let (alone, together): (Vec<&Removal>, Vec<&Removal>) =
        removals.iter().partition(|removal| removal.keep.iter().any(|version| removed.contains(version)));
    let mut predicates: Vec<DfExpr> = alone
        .iter()
        .map(|removal| one_of("document", [removal.document]).and(one_of("version", &removal.remove)))
        .collect();
    if !together.is_empty() {
        let versions: HashSet<&Digest> = together.iter().flat_map(|removal| &removal.remove).collect();
        let documents = together.iter().map(|removal| removal.document);
        predicates.push(one_of("document", documents).and(one_of("version", versions)));
    }
    predicates
}
