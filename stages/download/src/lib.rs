//! The download stage: turns a document's location into its bytes, their digest and their media type.
//!
//! The only place that opens what somebody else named, so the rules of what may be opened are asked here: `docmill-net`
//! has those of schemes, hosts and addresses, sizes are this crate's. What the bytes mean beyond their type is the parse stage's; but what
//! only holds other documents ([`archive`]s, prefixes of a [`store`]) is taken apart here, into references of their own.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it skips")
)]

mod archive;
mod body;
mod config;
mod download;
mod file;
mod http;
mod load;
mod member;
mod sniff;
mod store;
#[cfg(test)]
mod tests;

pub use config::{Allow, DownloadConfig};
pub use download::DownloadFactory;

/// Makes the kinds of this crate known: `download`.
pub fn register(registry: &mut docmill_api::Registry) {
    registry.add::<DownloadFactory>();
}
