//! The files source: names the documents of a pipeline, and reads none of them.
//!
//! What lists lives here; what reads bytes is the download stage's, so that a file that cannot be read fails as a
//! document and not as a listing.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it skips")
)]

mod config;
mod files;
mod lister;
mod pattern;
#[cfg(test)]
mod tests;

pub use config::FilesConfig;
pub use files::FilesFactory;

/// Makes the kinds of this crate known: `files`.
pub fn register(registry: &mut docmill_api::Registry) {
    registry.add::<FilesFactory>();
}
