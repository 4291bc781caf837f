//! Reads a table: by vector, by words, both below a filter. A call sees one state of the table from its beginning to
//! its end, the newest there is, also beside a run that writes.
//!
//! Of a document in replacement there are rows of two versions for a while. The finished one is the older: only it is
//! shown, and the other's rows do not take the place of hits.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, Float32Array, RecordBatch};
use docmill_api::{Embedding, Filter, Hit, Listed, Search, StageError, StoreInfo, async_trait};
use futures::TryStreamExt;
use lance_index::scalar::FullTextSearchQuery;
use lancedb::arrow::SendableRecordBatchStream;
use lancedb::expr::{DfExpr, col, contains, lit};
use lancedb::query::{ExecutableQuery, QueryBase, Select};
use lancedb::{DistanceType, Table};
use tokio::sync::Semaphore;

use super::cpus;
use super::lookup::{column, strings, versions, wrong};
use super::schema::{TEXT, VECTOR};
use crate::row::failed;

/// How often a search is repeated because rows of unfinished versions took places among the hits. Each round leaves
/// out all that were found, so a second is rare and a fourth means that most of the table is being replaced.
const ROUNDS: usize = 4;

/// How many parts of a vector index are looked into, and how many times the wanted hits are compared with their true
/// vectors. Parts hold some 4,096 rows: 32 of them are all of a table of 131,072 rows and half of the smallest that has an index.
const PROBES: usize = 32;
const REFINE: u32 = 8;

/// The columns of a hit.
const COLUMNS: [&str; 17] = [
    "id",
    "document",
    "version",
    "uri",
    "filename",
    "media_type",
    "title",
    "part",
    "ordinal",
    "page",
    "line_start",
    "line_end",
    "heading",
    TEXT,
    "tokens",
    "ingested_at",
    // The score, whose column has another name in each kind of query.
    "",
];

/// A table that is open for reading.
pub(super) struct LanceSearch {
    table: Table,
    embedding: Embedding,
    /// As many queries at once as there are CPUs, the others in the order in which they came: each computes, so that more
    /// would only wait for each other, and would leave who writes and who indexes no CPU.
    turns: Semaphore,
}

/// What is looked for.
enum Query<'a> {
    Vector(&'a [f32]),
    Words(&'a str),
}

impl LanceSearch {
    pub(super) fn new(table: Table, embedding: Embedding) -> Self {
        Self { table, embedding, turns: Semaphore::new(cpus()) }
    }

    async fn find(&self, query: Query<'_>, limit: usize, filter: &Filter) -> lancedb::Result<Vec<Hit>> {
        // Nobody closes it.
        let _turn = self.turns.acquire().await.ok();
        let table = self.table.query_snapshot().await?;
        let mut condition = predicate(filter);
        let mut round = 1;
        loop {
            let mut hits = run(&table, &query, limit, condition.clone()).await?;
            let hidden = unfinished(&table, &hits).await?;
            if hidden.is_empty() {
                return Ok(hits);
            }
            if round == ROUNDS {
                hits.retain(|hit| !hidden.contains(&(hit.document.clone(), hit.version.clone())));
                return Ok(hits);
            }
            round += 1;
            for (document, version) in hidden {
                let other = col("document").not_eq(lit(document)).or(col("version").not_eq(lit(version)));
                condition = Some(both(condition, other));
            }
        }
    }
}

#[async_trait]
impl Search for LanceSearch {
    async fn info(&self) -> Result<StoreInfo, StageError> {
        let rows = self.table.count_rows(None).await.map_err(|error| failed("reading the table", &error))?;
        Ok(StoreInfo { rows: rows as u64, embedding: Some(self.embedding.clone()) })
    }

    async fn nearest(&self, vector: &[f32], limit: usize, filter: &Filter) -> Result<Vec<Hit>, StageError> {
        let (model, dimensions) = (&self.embedding.model, self.embedding.dimensions);
        if vector.len() != dimensions {
            return Err(StageError::rejected(format!(
                "a vector of {} dimensions: the table holds vectors of `{model}` with {dimensions}",
                vector.len()
            )));
        }
        if limit == 0 {
            return Ok(Vec::new());
        }
        let found = self.find(Query::Vector(vector), limit, filter).await;
        found.map_err(|error| failed("searching by vector", &error))
    }

    async fn matching(&self, text: &str, limit: usize, filter: &Filter) -> Result<Vec<Hit>, StageError> {
        if limit == 0 || !text.chars().any(char::is_alphanumeric) {
            return Ok(Vec::new());
        }
        let found = self.find(Query::Words(text), limit, filter).await;
        found.map_err(|error| failed("searching by words", &error))
    }

    async fn rows(
        &self,
        documents: &[String],
        part: Option<&str>,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<Hit>, StageError> {
        let read = super::rows::read(&self.table, documents, part, limit, filter).await;
        read.map_err(|error| failed("reading rows", &error))
    }

    async fn documents(&self, after: Option<&str>, limit: usize, filter: &Filter) -> Result<Listed, StageError> {
        let table = self.table.query_snapshot().await.map_err(|error| failed("reading the table", &error))?;
        super::documents::list(&table, after, limit, filter).await.map_err(|error| failed("listing documents", &error))
    }
}

/// One query. Without a full-text index, or where rows came in after it, LanceDB reads the text itself: slower, and
/// with the same words.
async fn run(table: &Table, query: &Query<'_>, limit: usize, condition: Option<DfExpr>) -> lancedb::Result<Vec<Hit>> {
    let (stream, score): (SendableRecordBatchStream, _) = match query {
        Query::Vector(vector) => {
            let select = Select::columns(&columns("_distance"));
            let query = table.query().nearest_to(*vector)?.column(VECTOR).distance_type(DistanceType::Cosine);
            let indexed = table.list_indices().await?.iter().any(|index| index.columns == [VECTOR]);
            // Without an index all vectors are compared, those without direction too.
            let query = if indexed {
                query.minimum_nprobes(PROBES)?.refine_factor(REFINE)
            } else {
                query.bypass_vector_index()
            };
            let query = query.limit(limit).select(select);
            (under(query, condition).execute().await?, Score::Distance)
        }
        Query::Words(text) => {
            let words = FullTextSearchQuery::new((*text).to_owned()).with_column(TEXT.to_owned())?;
            let query = table.query().full_text_search(words).limit(limit).select(Select::columns(&columns("_score")));
            (under(query, condition).execute().await?, Score::Bm25)
        }
    };
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    let mut hits = Vec::with_capacity(limit.min(1_024));
    for batch in &batches {
        read(batch, &score, &mut hits)?;
    }
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
    Ok(hits)
}

/// The columns of a hit that has no score.
pub(super) fn columns_without_score() -> &'static [&'static str] {
    &COLUMNS[..COLUMNS.len() - 1]
}

fn columns(score: &'static str) -> [&'static str; COLUMNS.len()] {
    let mut columns = COLUMNS;
    columns[COLUMNS.len() - 1] = score;
    columns
}

fn under<Q: QueryBase>(query: Q, condition: Option<DfExpr>) -> Q {
    match condition {
        Some(condition) => query.only_if_expr(condition),
        None => query,
    }
}

/// The filter as an expression: values are literals in it, so nothing in them is ever read as SQL.
pub(super) fn predicate(filter: &Filter) -> Option<DfExpr> {
    let is = |column: &str, value: &str| col(column).eq(lit(value));
    let mut condition = None;
    let fields = [("session_id", &filter.session_id), ("user_id", &filter.user_id), ("media_type", &filter.media_type)];
    for (column, value) in fields {
        if let Some(value) = value {
            condition = Some(both(condition, is(column, value)));
        }
    }
    for (key, value) in &filter.metadata {
        // As it was written: compact, so that a key, its value and what ends them are one piece of text.
        let pair = format!("{}:{value}", serde_json::Value::from(key.as_str()));
        let holds = |end: char| contains(col("metadata"), lit(format!("{pair}{end}")));
        condition = Some(both(condition, holds(',').or(holds('}'))));
    }
    if let Some(document) = &filter.document {
        condition = Some(both(condition, is("document", document).or(is("uri", document))));
    }
    condition
}

pub(super) fn both(condition: Option<DfExpr>, and: DfExpr) -> DfExpr {
    match condition {
        Some(condition) => condition.and(and),
        None => and,
    }
}

/// The versions among these hits that are not the oldest of their document.
pub(super) async fn unfinished(table: &Table, hits: &[Hit]) -> lancedb::Result<Vec<(String, String)>> {
    let mut documents: Vec<String> = hits.iter().map(|hit| hit.document.clone()).collect();
    documents.sort_unstable();
    documents.dedup();
    if documents.is_empty() {
        return Ok(Vec::new());
    }
    let found: HashMap<String, HashMap<String, i64>> = versions(table, &documents).await?;
    let mut hidden: Vec<(String, String)> = Vec::new();
    for hit in hits {
        let Some(versions) = found.get(&hit.document) else { continue };
        let oldest = versions.iter().min_by_key(|(version, moment)| (**moment, *version));
        if oldest.is_some_and(|(version, _)| *version != hit.version) {
            hidden.push((hit.document.clone(), hit.version.clone()));
        }
    }
    hidden.sort_unstable();
    hidden.dedup();
    Ok(hidden)
}

/// Where a score comes from.
pub(super) enum Score {
    Distance,
    Bm25,
    /// Nothing was compared.
    None,
}

/// Reads the hits in a batch.
pub(super) fn read(batch: &RecordBatch, score: &Score, hits: &mut Vec<Hit>) -> lancedb::Result<()> {
    let text = |name: &str| strings(batch, name);
    let int = |name: &'static str| column(batch, name)?.as_primitive_opt::<Int32Type>().ok_or_else(|| wrong(name));
    let (id, document, version) = (text("id")?, text("document")?, text("version")?);
    let (uri, filename, media_type) = (text("uri")?, text("filename")?, text("media_type")?);
    let (title, part, content) = (text("title")?, text("part")?, text(TEXT)?);
    let (ordinal, page) = (int("ordinal")?, int("page")?);
    let (line_start, line_end, tokens) = (int("line_start")?, int("line_end")?, int("tokens")?);
    let headings = column(batch, "heading")?.as_list_opt::<i32>().ok_or_else(|| wrong("heading"))?;
    let moments = column(batch, "ingested_at")?;
    let moments = moments.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| wrong("ingested_at"))?;
    let scores = scores(batch, score)?;
    let some = |array: &arrow_array::Int32Array, row: usize| array.is_valid(row).then(|| array.value(row));
    for row in 0..batch.num_rows() {
        let value = scores.map_or(0.0, |scores| scores.value(row));
        let value = if matches!(score, Score::Distance) { 1.0 - value } else { value };
        let heading = headings.value(row);
        let heading = heading.as_string_opt::<i32>().ok_or_else(|| wrong("heading"))?;
        hits.push(Hit {
            id: id.value(row).to_owned(),
            document: document.value(row).to_owned(),
            version: version.value(row).to_owned(),
            uri: uri.value(row).to_owned(),
            filename: filename.value(row).to_owned(),
            media_type: media_type.value(row).to_owned(),
            title: title.is_valid(row).then(|| title.value(row).to_owned()),
            part: part.value(row).to_owned(),
            ordinal: ordinal.value(row),
            page: some(page, row),
            line_start: some(line_start, row),
            line_end: some(line_end, row),
            heading: heading.iter().flatten().map(str::to_owned).collect(),
            text: content.value(row).to_owned(),
            tokens: tokens.value(row),
            // JSON has no word for what is not a number.
            score: if value.is_finite() { value } else { 0.0 },
            ingested_at: moments.value(row),
        });
    }
    Ok(())
}

/// The column of the score, where there is one.
fn scores<'a>(batch: &'a RecordBatch, score: &Score) -> lancedb::Result<Option<&'a Float32Array>> {
    let name = match score {
        Score::Distance => "_distance",
        Score::Bm25 => "_score",
        Score::None => return Ok(None),
    };
    column(batch, name)?.as_primitive_opt::<Float32Type>().ok_or_else(|| wrong(name)).map(Some)
}
