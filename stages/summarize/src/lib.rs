//! The summarize stage of docmill: the sentences that say most, or what a model says of a document.
//!
//! Without a model a summary is made of the document's own sentences: those whose words the document is
//! about, not too long and not too short, the early ones a little before the late ones, and no two that say the same.
//! They stand in the order of the document. It becomes one row (`part = "summary"`) beside those of the chunks.
//!
//! | document | its summary |
//! |---|---|
//! | prose, with or without markup | its best sentences; headings, tables, code, lists of links are no sentences |
//! | source code | the first sentences of the comment at its top |
//! | no more sentences than a summary has, or none at all | none: the record is skipped with a reason, which is no failure |
//!
//! Any script: words where a script has spaces, pairs of characters where it has none. The work is bounded: of a text
//! beyond 512 KiB it looks at the first 256 KiB and at eight samples of 32 KiB spread evenly over the rest, so that a
//! document of any size takes some twenty milliseconds at most. A summary has at most 1,200 characters, and the same
//! text always gets the same one.
//!
//! | file | holds |
//! |---|---|
//! | `factory.rs`, `config.rs` | kind, configuration, description |
//! | `stage.rs` | text in, one summary out |
//! | `service.rs`, `prompt.rs` | the same by a model: part by part, and what it is told |
//! | `extract/` | which sentences those are |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod config;
mod extract;
mod factory;
mod prompt;
mod service;
mod stage;

use docmill_api::Registry;

pub use config::Config;
pub use factory::SummarizeFactory;

/// Makes this crate's stages known.
pub fn register(registry: &mut Registry) {
    registry.add::<SummarizeFactory>();
}
