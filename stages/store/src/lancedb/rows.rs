//! Reads the rows of given documents, in the documents' own order: what stands beside a row that a search found.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use docmill_api::{Filter, Hit};
use futures::TryStreamExt;
use lancedb::expr::{col, lit};
use lancedb::query::{ExecutableQuery, QueryBase, Select};
use lancedb::{Result, Table};

use super::lookup::one_of;
use super::search::{self, Score, both, columns_without_score, predicate, unfinished};

/// How many documents one query reads. With what a caller takes of each, this is how much stands in memory beside the
/// answer.
const DOCUMENTS_A_QUERY: usize = 100;

/// At most `limit` rows of each of these documents, its chunks before its summary. Of a document in replacement these
/// are the rows of the finished version, as in every search.
pub(super) async fn read(
    table: &Table,
    documents: &[String],
    part: Option<&str>,
    limit: usize,
    filter: &Filter,
) -> Result<Vec<Hit>> {
    if documents.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    let table = table.query_snapshot().await?;
    let mut rows = Vec::new();
    for documents in documents.chunks(DOCUMENTS_A_QUERY) {
        let mut found = of(&table, documents, part, limit, filter).await?;
        let hidden = unfinished(&table, &found).await?;
        found.retain(|hit| {
            !hidden.iter().any(|(document, version)| (document, version) == (&hit.document, &hit.version))
        });
        rows.append(&mut found);
    }
    Ok(in_order(rows, documents, limit))
}

async fn of(
    table: &Table,
    documents: &[String],
    part: Option<&str>,
    limit: usize,
    filter: &Filter,
) -> Result<Vec<Hit>> {
    let mut condition = one_of("document", documents);
    if let Some(part) = part {
        condition = condition.and(col("part").eq(lit(part)));
    }
    // Ordinals count from 0, so whatever comes behind is not among the first: a large document is not read whole.
    condition = condition.and(col("ordinal").lt(lit(i32::try_from(limit).unwrap_or(i32::MAX))));
    let condition = both(predicate(filter), condition);
    let query = table.query().only_if_expr(condition).select(Select::columns(columns_without_score()));
    let mut batches = query.execute().await?;
    let mut rows = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        let batch: RecordBatch = batch;
        search::read(&batch, &Score::None, &mut rows)?;
    }
    Ok(rows)
}

/// By the place of the document among those asked for, then as in the document; at most `limit` of each.
fn in_order(mut rows: Vec<Hit>, documents: &[String], limit: usize) -> Vec<Hit> {
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(documents.len());
    for (place, document) in documents.iter().enumerate() {
        places.entry(document).or_insert(place);
    }
    let place = |hit: &Hit| places.get(hit.document.as_str()).copied().unwrap_or(usize::MAX);
    // `chunk` comes before `summary` in the alphabet as well.
    rows.sort_by(|a, b| (place(a), &a.part, a.ordinal).cmp(&(place(b), &b.part, b.ordinal)));
    // A document that is named twice, in two groups, was read twice.
    rows.dedup_by(|a, b| a.id == b.id);
    let mut taken: HashMap<String, usize> = HashMap::with_capacity(documents.len());
    rows.retain(|hit| {
        let taken = taken.entry(hit.document.clone()).or_default();
        *taken += 1;
        *taken <= limit
    });
    rows
}
