//! The least that storing takes: LanceDB alone, with rows that lie in memory.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Schema};
use lance_index::scalar::InvertedIndexParams;
use lancedb::index::Index;

use crate::work::stretches;

/// The default pipeline's chunks, in tokens.
const CHUNK: usize = 512;
const OVERLAP: usize = 64;
const DIMENSIONS: i32 = 256;

/// How many rows a batch has.
const BATCH: usize = 2_048;

/// Chunks of texts and a vector for each.
pub(crate) struct Rows(Vec<RecordBatch>);

/// As many rows as the default pipeline makes of these texts of so many tokens, of as many bytes.
pub(crate) fn rows(texts: &[String], tokens: usize) -> Rows {
    let bytes = texts.iter().map(String::len).sum::<usize>();
    let of = |count: usize| count * bytes / tokens;
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let vector = DataType::FixedSizeList(Arc::clone(&item), DIMENSIONS);
    let schema =
        Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, false), Field::new("vector", vector, false)]));
    let chunks: Vec<&str> = texts.iter().flat_map(|text| stretches(text, of(CHUNK), of(OVERLAP))).collect();
    let mut seed = 1_u64;
    let mut number = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(seed >> 48).unwrap()) / f32::from(u16::MAX)
    };
    let batch = |chunks: &[&str]| {
        let values: Float32Array = (0..chunks.len() * DIMENSIONS as usize).map(|_| number()).collect();
        let vectors = FixedSizeListArray::new(Arc::clone(&item), DIMENSIONS, Arc::new(values), None);
        let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(chunks.to_vec())), Arc::new(vectors)];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    Rows(chunks.chunks(BATCH).map(batch).collect())
}

impl Rows {
    /// All that the rows hold.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for data in self.0.iter().flat_map(RecordBatch::columns).map(|column| column.to_data()) {
            let of_values = data.child_data().iter().flat_map(ArrayData::buffers);
            data.buffers().iter().chain(of_values).for_each(|buffer| all.extend_from_slice(buffer));
        }
        all
    }
}

/// Writes the rows to a new table in one call, and builds the full-text index that docmill builds, in one call too.
pub(crate) fn lancedb(directory: &Path, rows: Rows) {
    let words = InvertedIndexParams::default()
        .lower_case(true)
        .ascii_folding(true)
        .stem(true)
        .remove_stop_words(true)
        .with_position(false)
        .max_token_length(Some(65));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let database = lancedb::connect(directory.to_str().unwrap()).execute().await.unwrap();
        let table = database.create_table("chunks", rows.0).execute().await.unwrap();
        table.create_index(&["text"], Index::FTS(words)).execute().await.unwrap();
    });
}
