//! Swiftide: its loader of files, its chunker with overlap, the same model through its trait, its LanceDB store. Tokens are counted
//! where texts are embedded, as every tool here counts them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use async_trait::async_trait;
use model2vec_rs::model::StaticModel;
use swiftide::chat_completion::errors::LanguageModelError;
use swiftide::indexing::loaders::FileLoader;
use swiftide::indexing::transformers::{ChunkText, Embed};
use swiftide::indexing::{EmbeddedField, Pipeline};
use swiftide::integrations::lancedb::LanceDB;
use swiftide::traits::EmbeddingModel;
use text_splitter::{ChunkConfig, TextSplitter};

const CHUNK: usize = 1_000;
const OVERLAP: usize = 200;
const DIMENSIONS: i32 = 256;
/// Rows of one write to the store. Its default of 256 makes a version of the table for each 256 rows.
const BATCH: usize = 2_048;

#[derive(Clone)]
struct Static {
    model: Arc<StaticModel>,
    chunks: Arc<AtomicUsize>,
    tokens: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Static {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Static")
    }
}

#[async_trait]
impl EmbeddingModel for Static {
    async fn embed(&self, input: Vec<String>) -> Result<Vec<Vec<f32>>, LanguageModelError> {
        let encoding = tiktoken::get_encoding("cl100k_base").expect("it is built in");
        let tokens = input.iter().map(|text| encoding.count(text)).sum();
        self.chunks.fetch_add(input.len(), Ordering::Relaxed);
        self.tokens.fetch_add(tokens, Ordering::Relaxed);
        Ok(self.model.encode(&input))
    }
}

struct Options {
    input: PathBuf,
    store: String,
    model: PathBuf,
}

fn options() -> Result<Options> {
    let arguments: Vec<String> = std::env::args().collect();
    let of = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).cloned().with_context(|| format!("{name} is missing"))
    };
    Ok(Options { input: of("--input")?.into(), store: of("--store")?, model: of("--model")?.into() })
}

fn files(directory: &PathBuf) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        count += if path.is_dir() { files(&path)? } else { 1 };
    }
    Ok(count)
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = options()?;
    let model = Static {
        model: Arc::new(StaticModel::from_pretrained(&options.model, None, None, None)?),
        chunks: Arc::default(),
        tokens: Arc::default(),
    };
    let splitter = TextSplitter::new(ChunkConfig::new(CHUNK).with_overlap(OVERLAP)?);
    let store = LanceDB::builder()
        .uri(options.store)
        .vector_size(DIMENSIONS)
        .with_vector(EmbeddedField::Combined)
        .with_metadata("path")
        .table_name("chunks")
        .batch_size(BATCH)
        .build()?;
    Pipeline::from_loader(FileLoader::new(&options.input))
        .then_chunk(ChunkText::builder().chunker(splitter).build()?)
        .then_in_batch(Embed::new(model.clone()).with_batch_size(256))
        .then_store_with(store)
        .run()
        .await?;
    let made = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let (documents, chunks, tokens) = (files(&options.input)?, made(&model.chunks), made(&model.tokens));
    println!("{}", serde_json::json!({"documents": documents, "chunks": chunks, "tokens": tokens}));
    Ok(())
}
