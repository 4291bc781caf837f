//! Which documents a table holds: one pass over its rows without their texts and vectors, in memory that depends on how
//! many are asked for and not on how many there are (but for eight bytes each, to count them).

use std::collections::{BTreeMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch, StringArray};
use docmill_api::{Filter, Listed, Part, Stored};
use futures::TryStreamExt;
use lancedb::query::{ExecutableQuery, QueryBase, Select};
use lancedb::{Result, Table};

use super::lookup::{column, strings, wrong};
use super::search::predicate;

const COLUMNS: [&str; 11] = [
    "document",
    "version",
    "uri",
    "filename",
    "media_type",
    "title",
    "session_id",
    "user_id",
    "part",
    "tokens",
    "ingested_at",
];

/// Lists the first `limit` documents behind `after`.
pub(super) async fn list(table: &Table, after: Option<&str>, limit: usize, filter: &Filter) -> Result<Listed> {
    let mut query = table.query().select(Select::columns(&COLUMNS));
    if let Some(condition) = predicate(filter) {
        query = query.only_if_expr(condition);
    }
    let mut batches = query.execute().await?;
    let mut page = Page { after: after.unwrap_or_default(), limit, kept: BTreeMap::new(), seen: HashSet::new() };
    while let Some(batch) = batches.try_next().await? {
        page.read(&batch)?;
    }
    let total = page.seen.len() as u64;
    Ok(Listed { documents: page.kept.into_values().filter_map(finished).collect(), total })
}

/// The documents that stand first among those read so far.
struct Page<'a> {
    after: &'a str,
    limit: usize,
    /// By URI and document (the same URI may belong to several users), each with its versions.
    kept: BTreeMap<(String, String), Vec<Stored>>,
    /// The first half of an id, of every document behind `after`.
    seen: HashSet<u64>,
}

impl Page<'_> {
    fn read(&mut self, batch: &RecordBatch) -> Result<()> {
        let row = Columns::of(batch)?;
        for index in 0..batch.num_rows() {
            let (uri, document) = (row.uri.value(index), row.document.value(index));
            if uri <= self.after {
                continue;
            }
            self.seen.extend(document.get(..16).and_then(|text| u64::from_str_radix(text, 16).ok()));
            let key = (uri.to_owned(), document.to_owned());
            if self.kept.len() >= self.limit && self.kept.last_key_value().is_none_or(|(last, _)| *last < key) {
                continue;
            }
            row.add(index, self.kept.entry(key).or_default());
            if self.kept.len() > self.limit {
                self.kept.pop_last();
            }
        }
        Ok(())
    }
}

/// The version that a search shows: of a document in replacement the older, which is the finished one.
fn finished(versions: Vec<Stored>) -> Option<Stored> {
    versions.into_iter().min_by(|one, other| (one.ingested_at, &one.version).cmp(&(other.ingested_at, &other.version)))
}

/// The columns of a batch.
struct Columns<'a> {
    document: &'a StringArray,
    version: &'a StringArray,
    uri: &'a StringArray,
    filename: &'a StringArray,
    media_type: &'a StringArray,
    title: &'a StringArray,
    session_id: &'a StringArray,
    user_id: &'a StringArray,
    part: &'a StringArray,
    tokens: &'a arrow_array::Int32Array,
    ingested_at: &'a arrow_array::TimestampMicrosecondArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        let text = |name| strings(batch, name);
        Ok(Self {
            document: text("document")?,
            version: text("version")?,
            uri: text("uri")?,
            filename: text("filename")?,
            media_type: text("media_type")?,
            title: text("title")?,
            session_id: text("session_id")?,
            user_id: text("user_id")?,
            part: text("part")?,
            tokens: column(batch, "tokens")?.as_primitive_opt::<Int32Type>().ok_or_else(|| wrong("tokens"))?,
            ingested_at: column(batch, "ingested_at")?
                .as_primitive_opt::<TimestampMicrosecondType>()
                .ok_or_else(|| wrong("ingested_at"))?,
        })
    }

    /// Counts a row for its version.
    fn add(&self, index: usize, versions: &mut Vec<Stored>) {
        let version = self.version.value(index);
        let at = versions.iter().position(|stored| stored.version == version).unwrap_or_else(|| {
            versions.push(self.first(index));
            versions.len() - 1
        });
        let stored = &mut versions[at];
        stored.ingested_at = stored.ingested_at.min(self.ingested_at.value(index));
        if self.part.value(index) == Part::Summary.as_str() {
            stored.summaries += 1;
        } else {
            stored.chunks += 1;
            stored.tokens += u64::try_from(self.tokens.value(index)).unwrap_or_default();
        }
    }

    fn first(&self, index: usize) -> Stored {
        let text = |column: &StringArray| column.value(index).to_owned();
        let maybe = |column: &StringArray| column.is_valid(index).then(|| column.value(index).to_owned());
        Stored {
            document: text(self.document),
            version: text(self.version),
            uri: text(self.uri),
            filename: text(self.filename),
            media_type: text(self.media_type),
            title: maybe(self.title),
            session_id: maybe(self.session_id),
            user_id: maybe(self.user_id),
            chunks: 0,
            summaries: 0,
            tokens: 0,
            ingested_at: self.ingested_at.value(index),
        }
    }
}
