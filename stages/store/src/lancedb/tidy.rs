//! Few files in the midst of a run, so that neither their number nor the memory that a commit takes follows its length.
//!
//! Files are merged beside the writing. LanceDB commits appends while older files are merged; where rows of those are deleted
//! meanwhile, one of the two gives way: a deletion is made again, a merge comes to nothing, and the next one has the table
//! for itself. A merge that is still under way when the next is due is waited for.

use std::time::{Duration, Instant};

use docmill_api::StageError;
use docmill_api::crash::crash_point;
use lancedb::Table;
use tokio::task::JoinSet;

use super::index;
use crate::row::failed;

/// After how many commits small files are merged: with batches of 2,048 rows eight files of the middle step.
const EVERY: usize = 64;

/// How long nothing is done about old versions: each time all that there are have to be read.
const PRUNE_EVERY: Duration = Duration::from_secs(300);

/// What is to be tidied up, and what is being done about it.
#[derive(Default)]
pub(super) struct Tidy {
    /// How many commits were made since small files were merged last.
    commits: usize,
    /// When old versions were dropped last.
    pruned: Option<Instant>,
    /// One merge at most. It ends with its committer.
    under_way: JoinSet<Result<(), StageError>>,
    /// Whether the last merge came to nothing.
    lost: bool,
}

impl Tidy {
    pub(super) fn committed(&mut self) {
        self.commits += 1;
    }

    /// Whether small files are to be merged.
    pub(super) fn is_due(&self) -> bool {
        self.commits >= EVERY
    }

    /// Whether the next merge needs the table for itself.
    pub(super) fn lost(&self) -> bool {
        self.lost
    }

    /// Begins a merge beside what the committer does next.
    pub(super) fn begin(&mut self, table: &Table) {
        self.commits = 0;
        let (table, prune) = (table.clone(), self.prunes());
        self.under_way.spawn(async move {
            merge(&table).await?;
            if prune { drop_old_versions(&table).await } else { Ok(()) }
        });
    }

    /// Merges now. Old versions are for [`Self::prune`].
    pub(super) async fn merge(&mut self, table: &Table) -> Result<(), StageError> {
        self.commits = 0;
        self.lost = false;
        merge(table).await
    }

    /// Drops old versions, unless that was done a moment ago.
    pub(super) async fn prune(&mut self, table: &Table) -> Result<(), StageError> {
        if !self.prunes() {
            return Ok(());
        }
        let pruned = drop_old_versions(table).await;
        if pruned.is_err() {
            self.pruned = None;
        }
        pruned
    }

    /// Waits until no merge is under way.
    pub(super) async fn ended(&mut self) {
        while let Some(ended) = self.under_way.join_next().await {
            self.note(ended);
        }
    }

    fn prunes(&mut self) -> bool {
        let due = self.pruned.is_none_or(|pruned| pruned.elapsed() >= PRUNE_EVERY);
        if due {
            self.pruned = Some(Instant::now());
        }
        due
    }

    /// The rows are durable whatever became of a merge: it is made again later, and at the end.
    fn note(&mut self, ended: Result<Result<(), StageError>, tokio::task::JoinError>) {
        let error = match ended {
            Ok(Ok(())) => {
                self.lost = false;
                return;
            }
            Ok(Err(error)) => error.message,
            Err(error) => error.to_string(),
        };
        tracing::info!(error, "merging small files of the table beside the writing came to nothing, it is done later");
        self.lost = true;
        // Old versions go after a merge: it may not have come to that.
        self.pruned = None;
    }
}

async fn merge(table: &Table) -> Result<(), StageError> {
    let merging = |error: lancedb::Error| failed("merging small files", &error);
    let rows = table.count_rows(None).await.map_err(merging)? as u64;
    index::compact(table, rows).await.map_err(merging)?;
    crash_point("lancedb", "tidied");
    Ok(())
}

async fn drop_old_versions(table: &Table) -> Result<(), StageError> {
    index::prune(table).await.map_err(|error| failed("dropping old versions of the table", &error))
}
