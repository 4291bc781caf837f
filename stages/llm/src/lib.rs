//! Model services for the stages of docmill: any server with OpenAI's interface, asked within its limits, its failures
//! classed, its tokens counted.
//!
//! A library and no stage. It asks once: when and how often a record is tried again is the engine's, who knows how long
//! it may take.
//!
//! | file | holds |
//! |---|---|
//! | `settings.rs`, `factory.rs` | the fields of a table in `[providers]`, and how the kind becomes known |
//! | `client.rs` | one service: its turn, its key, its name |
//! | `http.rs` | the way to it, under async-openai's client |
//! | `limit/` | requests and tokens a minute, how many calls at once, and the breaker |
//! | `error.rs` | why a call failed, and what the engine is to do |
//! | `chat.rs`, `embeddings.rs` | what it is asked |
//! | `tokens.rs`, `usage.rs` | what that costs |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod chat;
mod client;
mod embeddings;
mod error;
mod factory;
mod http;
mod limit;
mod settings;
pub mod tokens;
mod usage;

use docmill_api::Registry;

pub use chat::Image;
pub use client::{Llm, Named};
pub use embeddings::{Caps, Item, pack};
pub use error::{CallError, Class};
pub use factory::OpenAi;
pub use settings::{KIND, Limits, Prices, Settings, Table, Unit, chat_fields, embedding_fields, fields};

/// Makes the kind of service known.
pub fn register(registry: &mut Registry) {
    registry.add_service(OpenAi);
}
