//! What a table needs once the writing is over: few files, a full-text index that covers all rows, one over the vectors
//! where there are many, no old versions.
//!
//! It runs in the committer, so nothing else writes meanwhile; readers keep the version that they opened.

use docmill_api::crash::crash_point;
use lance_index::scalar::InvertedIndexParams;
use lancedb::index::scalar::BTreeIndexBuilder;
use lancedb::index::vector::IvfSqIndexBuilder;
use lancedb::index::{Index, IndexConfig, IndexType};
use lancedb::table::{CompactionOptions, Duration, OptimizeAction};
use lancedb::{DistanceType, Result, Table};

use super::pieces;
use super::schema::{TEXT, VECTOR};

/// Which fragments are merged: those below so many rows, where there are more of them than this, into such of at most so
/// many rows. A search opens every fragment, which takes it a millisecond or more for each: documents that come one by one
/// leave fragments of a few rows, full commits such of one or two thousand. LanceDB's own target is a million rows, and its
/// compaction writes the last small one anew each time: 131,072 rows are some 400 MB, which bounds what one close may rewrite.
/// Between the two is a step whose results the full-text index can be built from beside each other: a piece of it is
/// made of whole fragments.
const MERGED: [Merged; 3] = [
    Merged { below: 512, more_than: 16, target: 8_192, how: How::Anew },
    Merged { below: 8_192, more_than: 48, target: 16_384, how: How::Copied },
    Merged { below: LARGE, more_than: 48, target: LARGE, how: How::Copied },
];
const LARGE: usize = 131_072;

struct Merged {
    below: usize,
    more_than: usize,
    target: usize,
    how: How,
}

/// How rows come from small files into a large one.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// Read and written anew: pages of a few rows, which a search reads one by one, become large ones, and what was deleted
    /// goes.
    Anew,
    /// Page by page as they are, where the files allow it, which those without deleted rows do: nothing is decoded.
    Copied,
}

/// Memory of the full-text builder, all workers together, in MiB. Its own figure is 2 GiB for each worker. What is
/// over the limit goes to disk as another partition.
const INDEX_MEMORY: u64 = 256;

/// From this many rows on, documents are found through an index; below, a scan of one column is as quick. Every search asks
/// for the versions of the documents that it found.
const INDEX_DOCUMENTS_FROM: u64 = 8_192;

/// From this many bytes of vectors on, the nearest are found through an index: 262,144 rows of 256 dimensions. Below, all
/// are compared, which takes some tenths of a second at most and misses none.
const INDEX_VECTORS_FROM: u64 = 256 << 20;

/// How old a version must be to go, in minutes: longer than any search that may still read it.
const KEEP_VERSIONS: i64 = 15;

/// How the text is cut into words, at indexing and at searching alike.
///
/// Words are runs of letters and digits in lower case with accents taken off, which suits prose and source code of
/// all kinds. English endings are taken off, so that `files` finds `file`; a word of another language meets the same
/// rule on both sides and is still found. Positions, which only phrase queries need, would double the index.
/// Words of up to 64 letters are kept, so that a hash can be looked for.
pub(super) fn words() -> InvertedIndexParams {
    InvertedIndexParams::default()
        .lower_case(true)
        .ascii_folding(true)
        .stem(true)
        .remove_stop_words(true)
        .with_position(false)
        .max_token_length(Some(65))
        .memory_limit_mb(INDEX_MEMORY)
        .num_workers(2)
}

/// Says how the text of a new table is cut into words, before it holds any: searches beside the first run then read
/// its rows with the words that the index will have, where LanceDB would compare letter by letter.
pub(super) async fn declare(table: &Table) -> Result<()> {
    table.create_index(&[TEXT], Index::FTS(words())).train(false).execute().await
}

/// Whether a run's end has anything to do here: not with a table that is as the last run left it; what a crashed run left
/// undone is done now.
pub(super) async fn is_due(table: &Table, changed: bool) -> Result<bool> {
    if changed {
        return Ok(true);
    }
    let indexes = table.list_indices().await?;
    let covered = text_index(&indexes).is_some_and(|index| index.num_unindexed_rows.unwrap_or(1) == 0);
    Ok(!covered && table.count_rows(None).await? > 0)
}

/// Merges small files and has every index cover all rows.
pub(super) async fn bring_up_to_date(table: &Table, dimensions: usize) -> Result<()> {
    let rows = table.count_rows(None).await? as u64;
    compact(table, rows).await?;
    crash_point("lancedb", "compacted");
    if rows > 0 {
        let indexes = table.list_indices().await?;
        // Beside each other: each of them has stretches that take one CPU alone. All are waited for where one fails: none is
        // to commit after that.
        let (text, documents, vectors) = tokio::join!(
            cover_text(table, text_index(&indexes)),
            cover_documents(table, &indexes, rows),
            cover_vectors(table, &indexes, rows, vector_index_from(dimensions)),
        );
        text.and(documents).and(vectors)?;
    }
    crash_point("lancedb", "indexed");
    Ok(())
}

fn text_index(indexes: &[IndexConfig]) -> Option<&IndexConfig> {
    indexes.iter().find(|index| index.index_type == IndexType::FTS && index.columns == [TEXT])
}

async fn cover_text(table: &Table, existing: Option<&IndexConfig>) -> Result<()> {
    match existing {
        Some(index) => add_to(table, index).await,
        None => table.create_index(&[TEXT], Index::FTS(words())).replace(true).execute().await,
    }
}

async fn cover_documents(table: &Table, indexes: &[IndexConfig], rows: u64) -> Result<()> {
    if rows < INDEX_DOCUMENTS_FROM {
        return Ok(());
    }
    match indexes.iter().find(|index| index.columns == ["document"]) {
        Some(index) => add_to(table, index).await,
        None => table.create_index(&["document"], Index::BTree(BTreeIndexBuilder::default())).execute().await,
    }
}

/// From how many rows on vectors are found through an index.
fn vector_index_from(dimensions: usize) -> u64 {
    INDEX_VECTORS_FROM / (dimensions as u64 * 4).max(1)
}

/// One byte for each number of four: no codebook has to be trained, so that
/// building takes one pass and a sample, and the nearest are compared once more with their true vectors.
pub(super) async fn cover_vectors(table: &Table, indexes: &[IndexConfig], rows: u64, from: u64) -> Result<()> {
    if rows < from {
        return Ok(());
    }
    match indexes.iter().find(|index| index.columns == [VECTOR]) {
        Some(index) => add_to(table, index).await,
        None => {
            let builder = IvfSqIndexBuilder::default().distance_type(DistanceType::Cosine);
            table.create_index(&[VECTOR], Index::IvfSq(builder)).execute().await
        }
    }
}

async fn add_to(table: &Table, index: &IndexConfig) -> Result<()> {
    pieces::add(table, &index.name, index.num_unindexed_rows.unwrap_or(0)).await
}

/// Merges small fragments, where there are many or where a tenth of all rows was deleted.
pub(super) async fn compact(table: &Table, rows: u64) -> Result<()> {
    let Some(native) = table.as_native() else { return Ok(()) };
    if native.count_deleted_rows().await? as u64 > rows / 10 {
        return merge_fragments(table, LARGE, How::Anew).await;
    }
    for Merged { below, more_than, target, how } in MERGED {
        if native.num_small_files(below).await? > more_than {
            merge_fragments(table, target, how).await?;
        }
    }
    Ok(())
}

pub(super) async fn merge_fragments(table: &Table, target: usize, how: How) -> Result<()> {
    // Rows that are decoded take memory: one fragment at a time. Of copied ones, one is read while another is written.
    let (mode, at_once) = match how {
        How::Anew => ("reencode", 1),
        How::Copied => ("try_binary_copy", 2),
    };
    let options = CompactionOptions {
        target_rows_per_fragment: target,
        max_bytes_per_file: Some(512 << 20),
        num_threads: Some(at_once),
        // In small batches, so that memory does not follow the size of the table.
        batch_size: Some(1_024),
        io_buffer_size: Some(64 << 20),
        // By its name: the type is not among those that LanceDB passes on.
        compaction_mode: Some(mode.try_into()?),
        ..CompactionOptions::default()
    };
    table.optimize(OptimizeAction::Compact { options, remap_options: None }).await.map(drop)
}

/// Deletes what only old versions hold. Files that no version names are left for a week, as LanceDB does: they may
/// belong to somebody who writes.
pub(super) async fn prune(table: &Table) -> Result<()> {
    let action = OptimizeAction::Prune {
        older_than: Some(Duration::minutes(KEEP_VERSIONS)),
        delete_unverified: None,
        error_if_tagged_old_versions: None,
    };
    table.optimize(action).await.map(drop)
}
