//! A model service that answers as OpenAI's does, and fails as often as it is told to: for load tests, and for tuning
//! without paying.
//!
//! A [`Server`] listens on an address and behaves by its [`Settings`]: how long a call takes, which share of them fails
//! and how, how many a minute and at once it grants. [`Stats`] tell what was asked of it, so that a test can say "no
//! more than so many calls were in flight" or "nothing was asked twice" and count exactly.
//!
//! **Everything repeats.** What becomes of a call, and how long it takes, is drawn from a hash of the seed, of the
//! request's body, and of how many times this very body was granted before: no order in which concurrent calls arrive
//! changes it. Answers are made of the request: a vector of the words of a text, an extract of a question.
//!
//! **It is no model.** Tokens are estimated as a quarter of the characters, rounded up, an image as 85; there is no
//! tokenizer here. One choice a call is given, and `response_format`, `tools`, `temperature` and the like are ignored.
//!
//! | route | |
//! |---|---|
//! | `POST /v1/chat/completions` | whole, or as events with `"stream": true` |
//! | `POST /v1/embeddings` | one text or a list; numbers or base64 |
//! | `POST /openai/deployments/{name}/…` | the same two, as Azure names them |
//! | `GET /v1/models`, `/health`, `/stats` | the last two without a key |
//!
//! A call is looked at in this order: key (401), body (400, 413), model (404), size (400); then whether it is granted:
//! quota, concurrency, calls a minute (429 each); then what was drawn for it.
//!
//! ```no_run
//! use docmill::load::simulate::{Server, Settings};
//!
//! # async fn example() -> std::io::Result<()> {
//! let settings = Settings { errors: 0.05, requests_per_minute: Some(600), ..Settings::default() };
//! let server = Server::bind(([127, 0, 0, 1], 0).into(), settings).await?.start();
//! println!("base_url = \"{}\"", server.base_url());
//! let stats = server.stop().await;
//! assert_eq!(stats.in_flight.chat.now, 0);
//! # Ok(())
//! # }
//! ```

mod answer;
mod call;
mod chat;
mod connection;
mod embeddings;
mod extract;
mod fate;
mod gate;
mod refusal;
mod reply;
mod routes;
mod server;
mod settings;
mod stats;
mod stream;
#[cfg(test)]
mod tests;
mod vector;

pub use server::{Running, Server};
pub use settings::Settings;
pub use stats::{Calls, Gauge, InFlight, Stats};

/// Which of the two services a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Chat,
    Embeddings,
}

/// How many tokens a text is taken for: a quarter of its characters, rounded up.
fn tokens(text: &str) -> usize {
    text.chars().count().div_ceil(CHARS_PER_TOKEN)
}

/// English text in the vocabularies of OpenAI's models comes to about this many.
const CHARS_PER_TOKEN: usize = 4;

/// What an image is counted for: what OpenAI charges for one of low detail.
const IMAGE_TOKENS: usize = 85;
