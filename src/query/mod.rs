//! Questions to a store: one text in, the best rows out, or what they say packed for a model, or a model's answer from
//! them. Goes through the `Search`, `Provider` and `Chat` traits, and so knows no store and no model.
//!
//! | file | holds |
//! |---|---|
//! | `fuse`, `snippet` | two rankings made one; the part of a row that shows why it was found |
//! | `found` | the documents that a question finds, with their rows |
//! | `context`, `pack`, `source` | as much of them as fits into a number of tokens |
//! | `ask` | an answer from them, in as many calls as the model's context makes necessary |

pub mod ask;
mod context;
#[cfg(test)]
mod fakes;
mod found;
mod fuse;
mod pack;
mod snippet;
mod source;

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use docmill_api::{Filter, Hit, Provider, Search, StageError};

pub use context::{Context, ContextQuery, context};
pub use fuse::fuse;
pub use snippet::{Snippet, snippet};
pub use source::{Part, Source};

/// How a question is matched with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By meaning and by words, fused.
    Hybrid,
    /// By meaning: the nearest vectors.
    Vector,
    /// By words: full text.
    Text,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Query {
    /// What is asked.
    pub text: String,
    /// How many rows are wanted.
    pub limit: usize,
    /// How it is matched.
    pub mode: Mode,
    /// Which rows are looked at.
    pub filter: Filter,
}

/// How many candidates each side of a hybrid search brings for one that is wanted: the fusion needs the tail of both
/// to normalise their scores, and a row that is good in both may stand low in one.
const CANDIDATES: usize = 5;

/// The fewest candidates of each side: under some dozens, mean and spread of the scores say little.
const LEAST_CANDIDATES: usize = 50;

/// Answers a question.
///
/// # Errors
/// The store or the model cannot be read, or they do not belong together.
pub async fn search(
    store: &dyn Search,
    provider: Option<&dyn Provider>,
    query: &Query,
) -> Result<Vec<Hit>, StageError> {
    let vector = match query.mode {
        Mode::Text => None,
        Mode::Vector | Mode::Hybrid => Some(embed(store, provider, &query.text).await?),
    };
    ranked(store, vector.as_deref(), query).await
}

/// Answers a question whose vector is known; without one, by its words.
async fn ranked(store: &dyn Search, vector: Option<&[f32]>, query: &Query) -> Result<Vec<Hit>, StageError> {
    let wide = (query.limit * CANDIDATES).max(LEAST_CANDIDATES);
    let mut hits = match (query.mode, vector) {
        (Mode::Text, _) | (_, None) => store.matching(&query.text, query.limit, &query.filter).await?,
        (Mode::Vector, Some(vector)) => store.nearest(vector, query.limit, &query.filter).await?,
        (Mode::Hybrid, Some(vector)) => {
            let (near, matching) = tokio::join!(
                store.nearest(vector, wide, &query.filter),
                store.matching(&query.text, wide, &query.filter)
            );
            fuse(near?, matching?)
        }
    };
    hits.truncate(query.limit);
    Ok(hits)
}

async fn embed(store: &dyn Search, provider: Option<&dyn Provider>, text: &str) -> Result<Vec<f32>, StageError> {
    let provider = provider.ok_or_else(|| {
        StageError::fatal("the pipeline has no embedding stage to embed the question: use `--mode text`")
    })?;
    let made_with = store.info().await?.embedding;
    let ours = provider.embedding();
    if let Some(made_with) = made_with.filter(|made_with| *made_with != ours) {
        return Err(StageError::fatal(format!(
            "the store was made with `{}` ({} dimensions), the pipeline embeds with `{}` ({})",
            made_with.model, made_with.dimensions, ours.model, ours.dimensions
        )));
    }
    // Somebody waits: a busy service is asked again for some seconds, and no longer.
    let delays = ExponentialBuilder::default().with_min_delay(FIRST_DELAY).with_max_times(AGAIN).with_jitter();
    let text = [text.to_owned()];
    let asked = || provider.embed(&text);
    let mut vectors = asked
        .retry(delays)
        .sleep(tokio::time::sleep)
        .when(StageError::may_pass)
        .adjust(|error, delay| delay.map(|delay| delay.max(error.retry_after.unwrap_or_default().min(LONGEST_WAIT))))
        .await?;
    vectors.pop().ok_or_else(|| StageError::fatal("the model gave no vector"))
}

/// How often the model is asked again for a question's vector, and how long is waited before.
const AGAIN: usize = 4;
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// The longest that a service may ask for: whoever typed a question is told after that.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
