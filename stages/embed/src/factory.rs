//! How the stage is configured, described and built.

use std::sync::Arc;

use async_trait::async_trait;
use docmill_api::{BuildContext, Embedding, Issue, Node, Provider, StageError, StageFactory, StageSpec};
use docmill_llm::{Llm, Named};
use serde_json::{Map, Value};

use crate::config::{self, Config};
use crate::model::Model;
use crate::provider::{Builtin, Service};
use crate::service::EmbedByService;
use crate::stage::Embed;

/// Makes stages of kind `embed`.
#[derive(Debug)]
pub struct EmbedFactory;

#[async_trait]
impl StageFactory for EmbedFactory {
    type Config = Config;

    const KIND: &'static str = "embed";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        config::spec()
    }

    fn spec_for(table: &Map<String, Value>) -> StageSpec {
        config::spec_for(table)
    }

    fn validate(config: &Config) -> Vec<Issue> {
        config::complaints(config)
    }

    fn embedding(config: &Config) -> Option<Embedding> {
        if !config.is_service() {
            return Some(Model::embedding());
        }
        let settings = config.service.settings().ok()?;
        Some(Embedding { model: settings.model, dimensions: settings.dimensions })
    }

    /// Builds the stage; the built-in model is read by the first batch, on a thread of the pool.
    async fn build(config: Config, cx: &BuildContext) -> Result<Node, StageError> {
        refuse(&config)?;
        if config.is_service() {
            let llm = Llm::open(Named::of_stage(cx), config.service.settings()?, &cx.services)?;
            let request = config.request.unwrap_or_default();
            return Ok(Node::Service(Arc::new(EmbedByService::new(llm, request))));
        }
        Ok(Node::Cpu(Arc::new(Embed { max_tokens: max_tokens(&config) })))
    }

    async fn provider(config: Config, cx: &BuildContext) -> Result<Option<Arc<dyn Provider>>, StageError> {
        refuse(&config)?;
        if config.is_service() {
            let llm = Llm::open(Named::of_stage(cx), config.service.settings()?, &cx.services)?;
            return Ok(Some(Arc::new(Service { llm, request: config.request.unwrap_or_default() })));
        }
        Ok(Some(Arc::new(Builtin { max_tokens: max_tokens(&config) })))
    }
}

fn max_tokens(config: &Config) -> usize {
    config.max_tokens.unwrap_or(512) as usize
}

/// Whoever builds without having validated gets the first complaint here.
fn refuse(config: &Config) -> Result<(), StageError> {
    match EmbedFactory::validate(config).into_iter().next() {
        Some(issue) => Err(StageError::fatal(format!("`{}`: {}", issue.path.join("."), issue.message))),
        None => Ok(()),
    }
}
