//! The chunk stage of docmill: text to chunks by tokens or characters at semantic boundaries.
//!
//! One pass encodes the text and keeps where each token ends ([`Tokenizer`], `counts.rs`). A splitter then works on one
//! part of the text at a time and asks for the length of a candidate by two searches in those ends, so a text is
//! encoded once however many candidates are weighed. Which two halves of a text may be encoded apart is the subject of
//! `cuts.rs`; it is what makes the counts exact. Scripts without spaces have few such places, and more between their letters:
//! `seams.rs`.
//!
//! How a document is cut depends on what it is, and its rows say which it was ([`Strategy`]): one that fits a chunk stays
//! whole; source code is cut between its units (`units.rs`, `lines.rs`); a table that is too long is cut between rows,
//! its header repeated (`tables.rs`); everything else is prose (`prose.rs`, `plain.rs`). This crate knows nothing of documents' formats, and makes no vectors.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod ahead;
mod config;
mod counts;
mod cuts;
mod encoding;
mod endless;
mod gather;
mod levels;
mod limit;
mod lines;
mod markdown;
mod measure;
mod outline;
mod plain;
mod prose;
mod said;
mod seams;
mod sentences;
mod spans;
mod strategy;
mod tables;
mod tokenizer;
mod units;
mod words;
mod work;

pub use config::{ChunkFactory, Config, TypeConfig};
pub use encoding::{Encoding, UnknownEncoding};
pub use strategy::Strategy;
pub use tokenizer::Tokenizer;

/// Makes the `chunk` stage known.
pub fn register(registry: &mut docmill_api::Registry) {
    registry.add::<ChunkFactory>();
}
