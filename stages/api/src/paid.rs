//! Results that cost money, kept between runs: an answer of a model is asked for once, however often a run breaks off or
//! what lies around it changes.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Digest, StageError};

/// Where paid results are kept. The engine has one; a stage sees it as [`Paid`].
#[async_trait]
pub trait PaidResults: Send + Sync {
    /// The results that are kept under these keys, in their order.
    ///
    /// # Errors
    /// They cannot be read.
    async fn recall(&self, keys: &[Digest]) -> Result<Vec<Option<Bytes>>, StageError>;

    /// Keeps results: when it returns, they outlive the process.
    ///
    /// # Errors
    /// They cannot be written.
    async fn keep(&self, results: Vec<(Digest, Bytes)>) -> Result<(), StageError>;
}

/// A stage's way to what was paid for before, in [`crate::Context`]. Without a place to keep anything, nothing is
/// recalled, and every call is made.
///
/// A key is a hash of all that the answer depends on: the model, its settings, the prompt, the content; never of a document's
/// name, a key or an address, so that the same content is paid for once.
///
/// # Example
/// ```
/// use docmill_api::*;
///
/// # async fn ask_the_model(text: &str) -> Result<bytes::Bytes, StageError> { Ok(bytes::Bytes::from(text.to_owned())) }
/// async fn summary(cx: &Context, text: &str) -> Result<String, StageError> {
///     let key = Digest::of(&[b"summary", b"the model and its settings", text.as_bytes()]);
///     let answer = cx.paid.once(key, ask_the_model(text)).await?;
///     Ok(String::from_utf8_lossy(&answer).into_owned())
/// }
/// ```
#[derive(Clone, Default)]
pub struct Paid(Option<Arc<dyn PaidResults>>);

impl Paid {
    /// Keeps results here.
    #[must_use]
    pub fn kept_in(results: Arc<dyn PaidResults>) -> Self {
        Self(Some(results))
    }

    /// What was paid for under `key`; otherwise what `call` gives, which is kept before it is handed on.
    ///
    /// # Errors
    /// The call failed, which is never kept; or the result cannot be read or kept.
    pub async fn once(
        &self,
        key: Digest,
        call: impl Future<Output = Result<Bytes, StageError>> + Send,
    ) -> Result<Bytes, StageError> {
        if let Some(found) = self.recall(&[key]).await?.pop().flatten() {
            return Ok(found);
        }
        let result = call.await?;
        self.keep(vec![(key, result.clone())]).await?;
        Ok(result)
    }

    /// What was paid for under these keys, in their order: for a call that asks for many things at once.
    ///
    /// # Errors
    /// The results cannot be read.
    pub async fn recall(&self, keys: &[Digest]) -> Result<Vec<Option<Bytes>>, StageError> {
        match &self.0 {
            Some(results) => results.recall(keys).await,
            None => Ok(vec![None; keys.len()]),
        }
    }

    /// Keeps what was paid for. Call it as soon as the answer is there, before anything else is waited for.
    ///
    /// # Errors
    /// The results cannot be written.
    pub async fn keep(&self, results: Vec<(Digest, Bytes)>) -> Result<(), StageError> {
        match &self.0 {
            Some(kept) => kept.keep(results).await,
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Paid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Paid(kept)" } else { "Paid(not kept)" })
    }
}
