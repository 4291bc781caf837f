//! The pieces of an index: each addition makes one, and every search reads all of them.
//!
//! An addition takes in the newest pieces that hold no more rows than it does itself, as a binary counter carries. So pieces are
//! as many as the logarithm of the rows, a row is merged as often, and what one addition costs in time and memory has a
//! bound that does not follow the size of the table.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use lance::Dataset;
use lance::index::DatasetIndexExt;
use lance::index::optimize::{commit_optimize_indices, plan_optimize_indices};
use lance_index::optimize::OptimizeOptions;
use lancedb::table::OptimizeAction;
use lancedb::{Error, Result, Table};

use super::cpus;

/// Pieces of this many rows are merged no more.
const MOST: u64 = 65_536;

/// The least and the most rows of a piece that is built beside others. The least is what pays for opening one more; the
/// most bounds memory, some kilobyte a row.
const SHARE: (u64, u64) = (2_048, 32_768);

/// How many are built beside each other at most, however many CPUs there are: each holds its rows' words in memory.
const AT_ONCE: usize = 4;

/// Has an index cover the `new` rows that it does not: many of them in pieces that are built beside each other, few in one
/// piece, into which the newest of the others are merged.
pub(super) async fn add(table: &Table, index: &str, new: u64) -> Result<()> {
    let Some(dataset) = table.dataset() else { return Ok(()) };
    let dataset = dataset.get().await?;
    let names = vec![index.to_owned()];
    if new >= 2 * SHARE.0 {
        let at_once = cpus().min(AT_ONCE);
        let rows = share(&uncovered(&dataset, index).await?, at_once);
        let bounds = OptimizeOptions::append().index_names(names).max_rows_per_task(Some(rows));
        build(&dataset, bounds.max_rows_per_segment(Some(rows)), at_once).await?;
        return table.checkout_latest().await;
    }
    let merged = to_merge(&of(&dataset, index).await?, new);
    let options = OptimizeOptions::merge(merged).index_names(names);
    table.optimize(OptimizeAction::Index(options)).await.map(drop)
}

/// Builds pieces, `at_once` of them beside each other, and commits them together. LanceDB builds one after the other, with a
/// thread less than there are CPUs.
async fn build(dataset: &Arc<Dataset>, options: OptimizeOptions, at_once: usize) -> Result<()> {
    let plan = plan_optimize_indices(dataset, &options).await?;
    let tasks = plan.tasks.into_iter().map(|task| {
        let dataset = Arc::clone(dataset);
        async move {
            let built = tokio::spawn(async move { task.execute(&dataset).await }).await;
            built
                .map_err(|error| Error::Runtime { message: format!("building an index stopped: {error}") })?
                .map_err(Error::from)
        }
    });
    let built: Vec<_> = stream::iter(tasks).buffer_unordered(at_once).try_collect().await?;
    let built: Vec<_> = built.into_iter().flatten().collect();
    let mut pieces = Vec::with_capacity(built.len());
    for merge in plan.merges {
        pieces.extend(merge.execute(dataset, &built).await?);
    }
    let mut dataset = dataset.as_ref().clone();
    commit_optimize_indices(&mut dataset, pieces, &options).await?;
    Ok(())
}

/// How many rows a piece may have at most, so that these fragments, packed one after the other until one does not fit, make
/// pieces that keep all builders busy to the end: as many for each, and none that is a remainder.
fn share(fragments: &[u64], at_once: usize) -> u64 {
    let (sum, largest) = (fragments.iter().sum::<u64>(), fragments.iter().copied().max().unwrap_or(0));
    let each = sum.div_ceil(at_once as u64).clamp(SHARE.0, SHARE.1);
    let pieces = usize::try_from(sum.div_ceil(each)).unwrap_or(usize::MAX).next_multiple_of(at_once.max(1));
    let (mut least, mut enough) = (largest.max(SHARE.0), sum.max(SHARE.0));
    while least < enough {
        let middle = least.midpoint(enough);
        if packed(fragments, middle) <= pieces {
            enough = middle;
        } else {
            least = middle + 1;
        }
    }
    enough.min(SHARE.1.max(largest))
}

/// How many pieces of at most `limit` rows fragments make in their order, as LanceDB packs them.
fn packed(fragments: &[u64], limit: u64) -> usize {
    let (mut pieces, mut used) = (0, u64::MAX);
    for &rows in fragments {
        let together = used.saturating_add(rows);
        (pieces, used) = if together <= limit { (pieces, together) } else { (pieces + 1, rows) };
    }
    pieces
}

/// How many rows the fragments have that no piece of an index covers, in their order.
async fn uncovered(dataset: &Dataset, index: &str) -> Result<Vec<u64>> {
    let pieces = dataset.load_indices_by_name(index).await?;
    let covered =
        |fragment: u32| pieces.iter().any(|piece| piece.fragment_bitmap.iter().any(|all| all.contains(fragment)));
    let mut fragments: Vec<_> = rows_of(dataset).into_iter().filter(|(fragment, _)| !covered(*fragment)).collect();
    fragments.sort_unstable();
    Ok(fragments.into_iter().map(|(_, rows)| rows).collect())
}

fn rows_of(dataset: &Dataset) -> HashMap<u32, u64> {
    dataset
        .get_fragments()
        .iter()
        .filter_map(|fragment| Some((u32::try_from(fragment.id()).ok()?, fragment.metadata().num_rows()? as u64)))
        .collect()
}

/// How many rows the pieces of an index hold, oldest first.
async fn of(dataset: &Dataset, index: &str) -> Result<Vec<u64>> {
    let rows = rows_of(dataset);
    let pieces = dataset.load_indices_by_name(index).await?;
    Ok(pieces
        .iter()
        .map(|piece| piece.fragment_bitmap.iter().flatten().filter_map(|fragment| rows.get(&fragment)).sum())
        .collect())
}

/// How many of the newest pieces an addition of `new` rows takes in.
fn to_merge(pieces: &[u64], new: u64) -> usize {
    let mut sum = new;
    let fits = |rows: &&u64| {
        let fits = **rows <= sum && **rows + sum <= MOST;
        sum += **rows;
        fits
    };
    pieces.iter().rev().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds `new` rows as the index does.
    fn add(pieces: &mut Vec<u64>, new: u64) -> u64 {
        let kept = pieces.len() - to_merge(pieces, new);
        let merged = pieces.drain(kept..).sum::<u64>() + new;
        pieces.push(merged);
        merged
    }

    #[test]
    fn a_million_rows_in_small_additions_are_few_pieces_and_each_row_is_merged_a_few_times() {
        for step in [100, 1_000, 1_700] {
            let (mut pieces, mut written, mut most) = (Vec::new(), 0, 0);
            for _ in 0..1_000_000 / step {
                let merged = add(&mut pieces, step);
                written += merged;
                most = most.max(merged);
            }
            assert!(most <= MOST, "{most}");
            assert!(pieces.len() <= 45, "{step} at a time: {pieces:?}");
            assert!(written <= 12_000_000, "{step} at a time: {written}");
        }
    }

    #[test]
    fn pieces_that_are_built_beside_each_other_are_even_and_leave_no_remainder() {
        let sizes = |fragments: &[u64], limit| {
            let mut pieces: Vec<u64> = Vec::new();
            for &rows in fragments {
                match pieces.last_mut().filter(|piece| **piece + rows <= limit) {
                    Some(piece) => *piece += rows,
                    None => pieces.push(rows),
                }
            }
            assert_eq!(pieces.len(), packed(fragments, limit));
            pieces
        };
        let of = |fragments: &[u64], at_once| sizes(fragments, share(fragments, at_once));
        let seven = [2_048, 2_048, 2_048, 2_048, 2_048, 2_048, 1_212];
        assert_eq!(of(&seven, 2), [6_144, 7_356]);
        assert_eq!(of(&seven, 1), [13_500]);
        assert_eq!(of(&[1_024; 3], 4), [2_048, 1_024], "no smaller than pays for opening one more");
        let many = of(&[2_048; 123], 2);
        assert_eq!(many.len() % 2, 0, "{many:?}");
        assert!(many.iter().all(|rows| *rows <= SHARE.1), "{many:?}");
        let large = of(&[16_384; 17], 4);
        assert!(large.iter().all(|rows| *rows <= SHARE.1), "{large:?}");
        assert_eq!(of(&[131_072, 20], 2), [131_072, 20], "a fragment is not divided");
        assert_eq!(of(&[], 2), [0; 0]);
    }

    #[test]
    fn a_small_addition_leaves_large_pieces_alone() {
        assert_eq!(to_merge(&[], 10), 0);
        assert_eq!(to_merge(&[500_000], 10), 0);
        assert_eq!(to_merge(&[500_000, 10], 10), 1);
        assert_eq!(to_merge(&[500_000, 40, 20, 10], 10), 3);
        assert_eq!(to_merge(&[60_000], 60_000), 0, "too many together");
        assert_eq!(to_merge(&[0, 0], 0), 2, "pieces of which nothing is left go");
    }
}
