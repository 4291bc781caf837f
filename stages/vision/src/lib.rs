//! The vision stage of docmill: images to texts, by a model service that sees.
//!
//! It stands beside `parse`, reads what `parse` passes over, and gives a text that is chunked and embedded like any
//! other. Without a provider images are skipped, with the reason.
//!
//! | file | holds |
//! |---|---|
//! | `factory.rs` | kind, configuration, description |
//! | `stage.rs` | a blob in, one text out |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod factory;
mod stage;

use docmill_api::Registry;

pub use factory::{Config, VisionFactory};

/// Makes this crate's stages known.
pub fn register(registry: &mut Registry) {
    registry.add::<VisionFactory>();
}
