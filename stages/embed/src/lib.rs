//! The embed stage of docmill: chunks to vectors, by a static model that ships with it or by a model service.
//!
//! A static model has no layers: a table of one row a token, of which a text's vector is the mean. It finds less than
//! a transformer and does it some thousand times as fast, on any processor; a search that fuses it with full text
//! finds more than full text alone.
//!
//! | | |
//! |---|---|
//! | Name | `docmill-static-256-v1`: 29,525 rows of 256 dimensions as int8, 8 MB, part of the program |
//! | Licence | Apache-2.0: derived from sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), modified; see `model/NOTICE` |
//! | Made by | distillation with model2vec: every token through the teacher, PCA, rows weighted by `a / (a + p)` with `a = 3e-4` and `p` the token's frequency in general English text, int8 with one scale; see `model/README.md` |
//! | Found | nDCG@10 on Cranfield, CISI, NPL: .418, .349, .285 (the teacher: .506, .407, .434); its scores added to BM25's: .542, .376, .375 (BM25 alone: .534, .343, .357) |
//!
//! The vectors are those of the reference implementation, model2vec 0.10, to its last digits: a test compares them.
//! Like it, this crate looks at the first 512 tokens of a text and its first 3,072 characters. Most chunks of 512
//! tokens of a chunker's encoding lie within; of one that does not (code with much punctuation, larger chunks) the
//! end has no part in the vector, though full text finds it: raise `max_tokens` where that matters. A text in which
//! the model knows no token gets a vector of zeros, which is like no other.
//!
//! | file | holds |
//! |---|---|
//! | `factory.rs`, `config.rs` | kind, configuration, description |
//! | `stage.rs`, `service.rs` | the stage, with the model that ships with docmill and with a service |
//! | `provider.rs` | both for single calls |
//! | `model.rs` | from text to vector |
//! | `wordpiece.rs`, `vocabulary.rs`, `unicode.rs` | from text to tokens |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod ascii;
mod config;
mod factory;
mod model;
mod provider;
mod service;
mod stage;
mod unicode;
mod vocabulary;
mod wordpiece;

use docmill_api::Registry;

pub use config::{Config, Request};
pub use factory::EmbedFactory;
pub use model::{DIMENSIONS, Model, Scratch};

/// Makes this crate's stages known.
pub fn register(registry: &mut Registry) {
    registry.add::<EmbedFactory>();
}
