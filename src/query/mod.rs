//! Questions to a store: one text in, the best rows out. Goes through the `Search` and `Provider` traits, and so knows
//! no store and no model.

mod fuse;
mod snippet;

use docmill_api::{Filter, Hit, Provider, Search, StageError};

pub use fuse::fuse;
pub use snippet::{Snippet, snippet};

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
    let wide = (query.limit * CANDIDATES).max(LEAST_CANDIDATES);
    let mut hits = match query.mode {
        Mode::Text => store.matching(&query.text, query.limit, &query.filter).await?,
        Mode::Vector => {
            let vector = embed(store, provider, &query.text).await?;
            store.nearest(&vector, query.limit, &query.filter).await?
        }
        Mode::Hybrid => {
            let vector = embed(store, provider, &query.text).await?;
            let (near, matching) = tokio::join!(
                store.nearest(&vector, wide, &query.filter),
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
    let mut vectors = provider.embed(&[text.to_owned()]).await?;
    vectors.pop().ok_or_else(|| StageError::fatal("the model gave no vector"))
}
