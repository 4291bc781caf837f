//! The download stage: turns a document's location into its bytes, their digest and their media type.
//!
//! The only place that opens what somebody else named, so the rules of what may be opened live here too: [`guard`]
//! (schemes, hosts, addresses), sizes and redirects. What the bytes mean beyond their type is the parse stage's.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it skips")
)]

mod address;
mod config;
mod download;
mod file;
mod guard;
mod http;
mod sniff;
#[cfg(test)]
mod tests;

pub use config::{Allow, DownloadConfig};
pub use download::DownloadFactory;

/// Makes the kinds of this crate known: `download`.
pub fn register(registry: &mut docmill_api::Registry) {
    registry.add::<DownloadFactory>();
}
