//! The model for single calls: what a query is embedded with, so that it is compared with like.

use async_trait::async_trait;
use docmill_api::{Clock, Embedding, Provider, StageError};
use docmill_llm::{Caps, Item, Llm, pack, tokens};

use crate::config::Request;
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

/// A model service, behind the same trait.
pub(crate) struct Service {
    pub(crate) llm: Llm,
    pub(crate) request: Request,
}

#[async_trait]
impl Provider for Service {
    fn embedding(&self) -> Embedding {
        let settings = self.llm.settings();
        Embedding { model: settings.model.clone(), dimensions: settings.dimensions }
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StageError> {
        let items: Vec<Item<'_>> = texts.iter().map(|text| Item { text, tokens: tokens::count(text) }).collect();
        let caps = Caps { items: self.request.items, tokens: self.request.tokens };
        let mut vectors = Vec::with_capacity(texts.len());
        for call in pack(&items, caps) {
            for outcome in self.llm.embed(&Clock::default(), &items[call]).await {
                vectors.push(outcome.map_err(|error| self.llm.for_stage(error))?);
            }
        }
        Ok(vectors)
    }
}
