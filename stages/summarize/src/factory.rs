//! How the stage is configured, described and built.

use std::sync::Arc;

use async_trait::async_trait;
use docmill_api::{BuildContext, Issue, Node, StageError, StageFactory, StageSpec};
use docmill_llm::{Llm, Named};
use serde_json::{Map, Value};

use crate::config::{self, Config};
use crate::service::SummarizeByModel;
use crate::stage::Summarize;

/// Makes stages of kind `summarize`.
#[derive(Debug)]
pub struct SummarizeFactory;

#[async_trait]
impl StageFactory for SummarizeFactory {
    type Config = Config;

    const KIND: &'static str = "summarize";
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

    /// Builds the stage; the encoding's vocabulary is read at the first summary, on a thread of the pool.
    async fn build(config: Config, cx: &BuildContext) -> Result<Node, StageError> {
        if let Some(issue) = Self::validate(&config).into_iter().next() {
            return Err(StageError::fatal(format!("`{}`: {}", issue.path.join("."), issue.message)));
        }
        if config.is_service() {
            let llm = Llm::open(Named::of_stage(cx), config.service.settings()?, &cx.services)?;
            return Ok(Node::Service(Arc::new(SummarizeByModel::new(llm, config))));
        }
        Ok(Node::Cpu(Arc::new(Summarize { sentences: config.sentences as usize, encoding: config.encoding.into() })))
    }
}
