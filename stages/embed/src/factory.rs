//! How the stage is configured, described and built.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docmill_api::{
    BatchDefaults, BuildContext, Embedding, FieldSpec, FieldType, Issue, Node, PayloadKind, Provider, StageError,
    StageFactory, StageSpec, Tier,
};
use serde::Deserialize;
use serde_json::json;

use crate::model::Model;
use crate::provider::Builtin;
use crate::stage::Embed;

/// The one provider there is.
const BUILTIN: &str = "builtin";

/// The most that `max_tokens` may be: beyond the largest chunks anybody makes, and still a few milliseconds a text.
const MAX_TOKENS: u32 = 65_536;

/// Makes stages of kind `embed`.
#[derive(Debug)]
pub struct EmbedFactory;

/// The table of an `embed` stage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which model embeds.
    pub provider: String,
    /// How many of the model's tokens of a chunk count.
    pub max_tokens: u32,
}

#[async_trait]
impl StageFactory for EmbedFactory {
    type Config = Config;

    const KIND: &'static str = "embed";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Gives every chunk the vector by which a search finds it.",
            takes: &[PayloadKind::Chunks],
            gives: &[PayloadKind::Vectors],
            tier: Tier::Cpu,
            fields: vec![
                FieldSpec::new(
                    "provider",
                    FieldType::Choice(&[BUILTIN]),
                    json!(BUILTIN),
                    "Which model embeds: `builtin` is the static model that ships with docmill.",
                )
                .output(),
                FieldSpec::new(
                    "max_tokens",
                    FieldType::Integer { min: 1, max: i64::from(MAX_TOKENS) },
                    json!(512),
                    "How many of a chunk's tokens its vector looks at, counted by the model; and six times as many \
                     characters.",
                )
                .output(),
            ],
            batch: Some(BatchDefaults { items: 256, tokens: 100_000, wait: Duration::from_millis(20) }),
            width: None,
            timeout: Duration::from_secs(30),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "The same text always gets the same vector, of length 1; a text without a single known token \
                         gets zeros. Nothing is downloaded and nothing leaves the machine.",
            example: "kind = \"embed\"\ninputs = [\"chunk\", \"summarize\"]\nprovider = \"builtin\"\n",
        }
    }

    fn validate(config: &Config) -> Vec<Issue> {
        let mut issues = Vec::new();
        if config.provider != BUILTIN {
            let message = format!("`{}` is no provider that this program embeds with", config.provider);
            issues.push(Issue::new("provider", message).hint("write `provider = \"builtin\"`"));
        }
        if !(1..=MAX_TOKENS).contains(&config.max_tokens) {
            let message = format!("`{}` is not between 1 and {MAX_TOKENS}", config.max_tokens);
            issues.push(Issue::new("max_tokens", message));
        }
        issues
    }

    fn embedding(_config: &Config) -> Option<Embedding> {
        Some(Model::embedding())
    }

    /// Builds the stage; the model is read by the first batch, on a thread of the pool.
    async fn build(config: Config, _cx: &BuildContext) -> Result<Node, StageError> {
        refuse(&config)?;
        Ok(Node::Cpu(Arc::new(Embed { max_tokens: config.max_tokens as usize })))
    }

    async fn provider(config: Config, _cx: &BuildContext) -> Result<Option<Arc<dyn Provider>>, StageError> {
        refuse(&config)?;
        Ok(Some(Arc::new(Builtin { max_tokens: config.max_tokens as usize })))
    }
}

/// Whoever builds without having validated gets the first complaint here.
fn refuse(config: &Config) -> Result<(), StageError> {
    match EmbedFactory::validate(config).into_iter().next() {
        Some(issue) => Err(StageError::fatal(format!("`{}`: {}", issue.path.join("."), issue.message))),
        None => Ok(()),
    }
}
