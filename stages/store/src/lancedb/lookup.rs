//! What a table holds of given documents: asked before rows of a known document are written or taken back.

use std::collections::{HashMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMicrosecondType};
use arrow_array::{RecordBatch, StringArray};
use docmill_api::{Digest, Part};
use futures::TryStreamExt;
use lancedb::expr::{DfExpr, col, is_in, lit};
use lancedb::query::{ExecutableQuery, QueryBase, Select};
use lancedb::{Error, Result, Table};

use crate::row::Key;

/// How many documents one predicate names: far below what a query planner minds, far above what a batch holds.
pub(super) const DOCUMENTS_A_QUERY: usize = 1_000;

/// The rows that a document has, by version.
pub(super) type Rows = HashMap<Digest, HashSet<Key>>;

/// `column IN (…)`.
pub(super) fn one_of(column: &str, values: impl IntoIterator<Item = impl ToString>) -> DfExpr {
    is_in(col(column), values.into_iter().map(|value| lit(value.to_string())).collect())
}

/// The first eight bytes of a document's id: enough to tell documents apart where a mistake costs one look-up.
pub(super) fn short(document: &Digest) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&document.as_bytes()[..8]);
    u64::from_be_bytes(bytes)
}

/// All documents that a table holds, in short.
pub(super) async fn documents(table: &Table) -> Result<HashSet<u64>> {
    let mut found = HashSet::new();
    let mut batches = table.query().select(Select::columns(&["document"])).execute().await?;
    while let Some(batch) = batches.try_next().await? {
        let column = strings(&batch, "document")?;
        // Rows of a document stand together, so most are a repetition of the one before.
        let mut last = "";
        for document in column.iter().flatten() {
            if document != last {
                found.extend(document.get(..16).and_then(|text| u64::from_str_radix(text, 16).ok()));
                last = document;
            }
        }
    }
    Ok(found)
}

/// The rows of these documents.
pub(super) async fn rows(table: &Table, documents: &[Digest]) -> Result<HashMap<Digest, Rows>> {
    let mut found: HashMap<Digest, Rows> = HashMap::new();
    for documents in documents.chunks(DOCUMENTS_A_QUERY) {
        let query = table
            .query()
            .only_if_expr(one_of("document", documents))
            .select(Select::columns(&["document", "version", "part", "ordinal"]));
        let mut batches = query.execute().await?;
        while let Some(batch) = batches.try_next().await? {
            let (document, version) = (strings(&batch, "document")?, strings(&batch, "version")?);
            let (part, ordinal) = (strings(&batch, "part")?, column(&batch, "ordinal")?);
            let ordinal = ordinal.as_primitive_opt::<Int32Type>().ok_or_else(|| wrong("ordinal"))?;
            for row in 0..batch.num_rows() {
                let document = document.value(row).parse().map_err(|_| wrong("document"))?;
                let version = version.value(row).parse().map_err(|_| wrong("version"))?;
                let part = if part.value(row) == Part::Summary.as_str() { Part::Summary } else { Part::Chunk };
                let key = (part, u32::try_from(ordinal.value(row)).unwrap_or_default());
                found.entry(document).or_default().entry(version).or_default().insert(key);
            }
        }
    }
    Ok(found)
}

/// The versions of these documents, each with the moment of its oldest row.
pub(super) async fn versions(table: &Table, documents: &[String]) -> Result<HashMap<String, HashMap<String, i64>>> {
    let mut found: HashMap<String, HashMap<String, i64>> = HashMap::new();
    for documents in documents.chunks(DOCUMENTS_A_QUERY) {
        let query = table.query().only_if_expr(one_of("document", documents)).select(Select::columns(&[
            "document",
            "version",
            "ingested_at",
        ]));
        let mut batches = query.execute().await?;
        while let Some(batch) = batches.try_next().await? {
            let (document, version) = (strings(&batch, "document")?, strings(&batch, "version")?);
            let times = column(&batch, "ingested_at")?;
            let times = times.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| wrong("ingested_at"))?;
            for row in 0..batch.num_rows() {
                if !found.contains_key(document.value(row)) {
                    found.insert(document.value(row).to_owned(), HashMap::new());
                }
                let Some(of) = found.get_mut(document.value(row)) else { continue };
                match of.get_mut(version.value(row)) {
                    Some(oldest) => *oldest = times.value(row).min(*oldest),
                    None => drop(of.insert(version.value(row).to_owned(), times.value(row))),
                }
            }
        }
    }
    Ok(found)
}

/// A column by name.
pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a arrow_array::ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| wrong(name))
}

/// A column of texts by name.
pub(super) fn strings<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| wrong(name))
}

/// A column that is missing or holds what docmill never wrote: somebody changed the table.
pub(super) fn wrong(name: &str) -> Error {
    Error::Schema { message: format!("column `{name}` is not as docmill made it") }
}
