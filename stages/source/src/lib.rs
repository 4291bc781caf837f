//! The sources: they name the documents of a pipeline, and read none of them.
//!
//! | kind | lists |
//! |---|---|
//! | `files` | files below directories, by name and by glob; with `watch` also what changes afterwards |
//! | `urls` | addresses: written down, from a list, from sitemaps |
//! | `stdin` | what another program writes to standard input, a document a line |
//!
//! What lists lives here; what reads bytes is the download stage's, so that a file that cannot be read fails as a
//! document and not as a listing.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it skips")
)]

mod config;
mod coverage;
mod files;
mod items;
mod lister;
mod pattern;
mod rules;
mod seen;
mod stdin;
#[cfg(test)]
mod tests;
mod urls;
mod watch;

pub use config::FilesConfig;
pub use files::FilesFactory;
pub use stdin::{StdinConfig, StdinFactory};
pub use urls::{UrlsConfig, UrlsFactory};

/// Makes the kinds of this crate known: `files`, `urls`, `stdin`.
pub fn register(registry: &mut docmill_api::Registry) {
    registry.add::<FilesFactory>();
    registry.add::<UrlsFactory>();
    registry.add::<StdinFactory>();
}
