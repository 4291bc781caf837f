//! The sinks of docmill: LanceDB tables and JSON lines.
//!
//! | module | kind | what it keeps |
//! |---|---|---|
//! | `lancedb` | `lancedb` | one table of rows with vectors and a full-text index, and reads it back ([`docmill_api::Search`]) |
//! | `jsonl` | `jsonl` | one file of JSON lines a document |
//! | `lock`, `power` | | one writer a store; the barrier against a power cut |
//! | `row` | | what both share: a row's id, and which records are fit to be stored |
//!
//! Both hold the same contract: a row written twice is there once, a document that failed leaves nothing behind, and
//! one that changed is replaced with no moment at which it has no rows.

// The futures of LanceDB's index builds lie deep in one another.
#![recursion_limit = "256"]

#[cfg(test)]
mod fixture;
mod jsonl;
mod lancedb;
mod lock;
mod power;
mod row;

pub use self::jsonl::{Jsonl, JsonlConfig};
pub use self::lancedb::{LanceDb, LanceDbConfig};

/// Makes the kinds `lancedb` and `jsonl` known.
pub fn register(registry: &mut docmill_api::Registry) {
    registry.add::<LanceDb>();
    registry.add::<Jsonl>();
}
