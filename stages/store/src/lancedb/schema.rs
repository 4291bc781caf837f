//! The table's columns, its metadata, and how records become rows of it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, Int32Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use docmill_api::{Digest, Embedding};

use crate::row::{Identity, Incoming, int32, row_id};

/// The full-text column.
pub(super) const TEXT: &str = "text";
/// The vector column.
pub(super) const VECTOR: &str = "vector";

/// How much text goes into one Arrow batch: its offsets are 32-bit, and more than 2 GiB would overflow them. Batches
/// of the engine are a hundredth of it; a single record is bounded by nothing but its document.
const TEXT_LIMIT: usize = 1 << 30;

/// Arrow keys of the identity; the same names that [`Identity`] is serialised under.
const MODEL: &str = "docmill.model";
const DIMENSIONS: &str = "docmill.dimensions";
const STORE: &str = "docmill.store";

/// Tells LanceDB that `id` is the key, which it does not enforce: the sink does. Tools that merge into the table
/// find it there.
const PRIMARY_KEY: &str = "lance-schema:unenforced-primary-key:position";

fn vector_item() -> FieldRef {
    Arc::new(Field::new("item", DataType::Float32, true))
}

/// The schema of a table with this identity.
pub(super) fn schema(identity: &Identity) -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    let int = |name: &str, nullable| Field::new(name, DataType::Int32, nullable);
    let heading = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let vector = DataType::FixedSizeList(vector_item(), dimensions(identity.dimensions));
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let key = HashMap::from([(PRIMARY_KEY.to_owned(), "1".to_owned())]);
    let fields = vec![
        text("id", false).with_metadata(key),
        text("document", false),
        text("version", false),
        text("uri", false),
        text("filename", false),
        text("media_type", false),
        text("title", true),
        text("part", false),
        int("ordinal", false),
        int("page", true),
        int("line_start", true),
        int("line_end", true),
        Field::new("heading", heading, false),
        text(TEXT, false),
        int("tokens", false),
        Field::new(VECTOR, vector, false),
        text("session_id", true),
        text("user_id", true),
        text("metadata", false),
        Field::new("ingested_at", time, false),
    ];
    let metadata = HashMap::from([
        (MODEL.to_owned(), identity.model.clone()),
        (DIMENSIONS.to_owned(), identity.dimensions.to_string()),
        (STORE.to_owned(), identity.store.clone()),
    ]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// The identity in a table's metadata; `None` where the table is not docmill's.
pub(super) fn identity(schema: &Schema) -> Option<Identity> {
    let value = |key: &str| schema.metadata().get(key).cloned();
    Some(Identity { model: value(MODEL)?, dimensions: value(DIMENSIONS)?.parse().ok()?, store: value(STORE)? })
}

/// Whether Arrow and a vector column can hold vectors of this length.
pub(super) fn fits(embedding: &Embedding) -> bool {
    embedding.dimensions > 0 && i32::try_from(embedding.dimensions).is_ok()
}

fn dimensions(number: usize) -> i32 {
    i32::try_from(number).expect("`fits` is asked before a table is made or written")
}

/// Rows on their way into an Arrow batch: every column is allocated once, vectors are copied as one run of numbers.
pub(super) struct Rows {
    schema: SchemaRef,
    dimensions: usize,
    text_bytes: usize,
    id: StringBuilder,
    document: StringBuilder,
    version: StringBuilder,
    uri: StringBuilder,
    filename: StringBuilder,
    media_type: StringBuilder,
    title: StringBuilder,
    part: StringBuilder,
    ordinal: Vec<i32>,
    page: Int32Builder,
    line_start: Int32Builder,
    line_end: Int32Builder,
    heading: ListBuilder<StringBuilder>,
    text: StringBuilder,
    tokens: Vec<i32>,
    vector: Vec<f32>,
    session_id: StringBuilder,
    user_id: StringBuilder,
    metadata: StringBuilder,
    ingested_at: Vec<i64>,
}

impl Rows {
    fn with_capacity(schema: SchemaRef, dimensions: usize, rows: usize, text: usize) -> Self {
        let hashes = || StringBuilder::with_capacity(rows, rows * 64);
        let words = |each: usize| StringBuilder::with_capacity(rows, rows * each);
        Self {
            schema,
            dimensions,
            text_bytes: 0,
            id: hashes(),
            document: hashes(),
            version: hashes(),
            uri: words(64),
            filename: words(24),
            media_type: words(16),
            title: words(32),
            part: words(5),
            ordinal: Vec::with_capacity(rows),
            page: Int32Builder::with_capacity(rows),
            line_start: Int32Builder::with_capacity(rows),
            line_end: Int32Builder::with_capacity(rows),
            heading: ListBuilder::with_capacity(words(32), rows),
            text: StringBuilder::with_capacity(rows, text),
            tokens: Vec::with_capacity(rows),
            vector: Vec::with_capacity(rows * dimensions),
            session_id: words(0),
            user_id: words(0),
            metadata: words(16),
            ingested_at: Vec::with_capacity(rows),
        }
    }

    fn push(&mut self, of: &Incoming, metadata: &str, index: usize, ingested_at: i64) {
        let chunk = &of.vectors.chunks.items[index];
        let document = &*of.document;
        self.text_bytes += chunk.text.len();
        self.id.append_value(hex(&row_id(of.key(), of.row(index))));
        self.document.append_value(hex(&document.id));
        self.version.append_value(hex(&of.version));
        self.uri.append_value(&document.uri);
        self.filename.append_value(&document.filename);
        self.media_type.append_value(document.media_type.as_deref().unwrap_or_default());
        self.title.append_option(of.vectors.chunks.title.as_deref());
        self.part.append_value(of.vectors.chunks.part.as_str());
        self.ordinal.push(int32(chunk.ordinal));
        self.page.append_option(chunk.page.map(int32));
        self.line_start.append_option(chunk.line_start.map(int32));
        self.line_end.append_option(chunk.line_end.map(int32));
        for heading in chunk.heading.iter() {
            self.heading.values().append_value(heading);
        }
        self.heading.append(true);
        self.text.append_value(&*chunk.text);
        self.tokens.push(int32(chunk.tokens));
        self.vector.extend_from_slice(of.vectors.vector(index).unwrap_or_default());
        self.session_id.append_option(document.session_id.as_deref());
        self.user_id.append_option(document.user_id.as_deref());
        self.metadata.append_value(metadata);
        self.ingested_at.push(ingested_at);
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let vectors = Float32Array::from(self.vector);
        let vector = FixedSizeListArray::try_new(vector_item(), dimensions(self.dimensions), Arc::new(vectors), None)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.id.finish()),
            Arc::new(self.document.finish()),
            Arc::new(self.version.finish()),
            Arc::new(self.uri.finish()),
            Arc::new(self.filename.finish()),
            Arc::new(self.media_type.finish()),
            Arc::new(self.title.finish()),
            Arc::new(self.part.finish()),
            Arc::new(Int32Array::from(self.ordinal)),
            Arc::new(self.page.finish()),
            Arc::new(self.line_start.finish()),
            Arc::new(self.line_end.finish()),
            Arc::new(self.heading.finish()),
            Arc::new(self.text.finish()),
            Arc::new(Int32Array::from(self.tokens)),
            Arc::new(vector),
            Arc::new(self.session_id.finish()),
            Arc::new(self.user_id.finish()),
            Arc::new(self.metadata.finish()),
            Arc::new(TimestampMicrosecondArray::from(self.ingested_at).with_timezone("UTC")),
        ];
        RecordBatch::try_new(self.schema, columns)
    }
}

fn hex(digest: &Digest) -> impl AsRef<str> {
    blake3::Hash::from_bytes(*digest.as_bytes()).to_hex()
}

/// What of a record is to be written: the places of its items, and the moment that its rows will carry.
pub(super) struct Picked {
    pub(super) incoming: Incoming,
    pub(super) items: Vec<usize>,
    pub(super) ingested_at: i64,
}

/// Turns what was picked into Arrow batches, nearly always one.
pub(super) fn batches(schema: &SchemaRef, dims: usize, picked: &[Picked]) -> Result<Vec<RecordBatch>, ArrowError> {
    let rows: usize = picked.iter().map(|picked| picked.items.len()).sum();
    let text = picked.iter().map(|picked| picked.incoming.vectors.chunks.bytes()).sum::<usize>().min(TEXT_LIMIT);
    let mut batches = Vec::with_capacity(1);
    let mut building = Rows::with_capacity(Arc::clone(schema), dims, rows, text);
    for Picked { incoming, items, ingested_at } in picked {
        let metadata = incoming.metadata();
        for &index in items {
            let size = incoming.vectors.chunks.items[index].text.len() + metadata.len();
            if building.text_bytes > 0 && building.text_bytes + size > TEXT_LIMIT {
                let next = Rows::with_capacity(Arc::clone(schema), dims, 0, 0);
                batches.push(std::mem::replace(&mut building, next).finish()?);
            }
            building.push(incoming, &metadata, index, *ingested_at);
            building.text_bytes += metadata.len();
        }
    }
    batches.push(building.finish()?);
    Ok(batches)
}
