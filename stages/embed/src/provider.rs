//! The model for single calls: what a query is embedded with, so that it is compared with like.

use async_trait::async_trait;
use docmill_api::{Embedding, Provider, StageError};

use crate::model::{DIMENSIONS, Model, Scratch};

/// The model that ships with docmill, behind the trait that queries use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Builtin {
    /// How many tokens of a text count.
    pub(crate) max_tokens: usize,
}

#[async_trait]
impl Provider for Builtin {
    fn embedding(&self) -> Embedding {
        Model::embedding()
    }

    /// Off the event loop: the first call reads the model.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StageError> {
        let (texts, max_tokens) = (texts.to_vec(), self.max_tokens);
        let embed = move || {
            let model = Model::shared()?;
            let mut scratch = Scratch::default();
            let mut vector = [0.0; DIMENSIONS];
            let mut vectors = Vec::with_capacity(texts.len());
            for text in &texts {
                model.embed(text, max_tokens, &mut scratch, &mut vector);
                vectors.push(vector.to_vec());
            }
            Ok(vectors)
        };
        tokio::task::spawn_blocking(embed)
            .await
            .map_err(|error| StageError::fatal(format!("embedding a text: {error}")))?
    }
}
