//! How the stage is configured, described and built.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docmill_api::{
    BuildContext, FieldSpec, FieldType, Issue, Node, PayloadKind, StageError, StageFactory, StageSpec, Tier,
};
use serde::Deserialize;
use serde_json::json;

use crate::stage::Summarize;

/// The one provider there is.
const EXTRACTIVE: &str = "extractive";

/// The encodings that a summary's tokens may be counted in.
const ENCODINGS: [&str; 2] = ["cl100k_base", "o200k_base"];

/// The most sentences of a summary.
const MOST: u32 = 20;

/// Makes stages of kind `summarize`.
#[derive(Debug)]
pub struct SummarizeFactory;

/// The table of a `summarize` stage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What summarises.
    pub provider: String,
    /// How many sentences a summary has at most.
    pub sentences: u32,
    /// What its tokens are counted in.
    pub encoding: String,
}

#[async_trait]
impl StageFactory for SummarizeFactory {
    type Config = Config;

    const KIND: &'static str = "summarize";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Gives every document a summary, stored as a row of its own.",
            takes: &[PayloadKind::Text],
            gives: &[PayloadKind::Chunks],
            tier: Tier::Cpu,
            fields: vec![
                FieldSpec::new(
                    "provider",
                    FieldType::Choice(&[EXTRACTIVE]),
                    json!(EXTRACTIVE),
                    "What summarises: `extractive` picks the document's own best sentences, without a model.",
                )
                .output(),
                FieldSpec::new(
                    "sentences",
                    FieldType::Integer { min: 1, max: i64::from(MOST) },
                    json!(3),
                    "How many sentences a summary has at most; a document with no more than that gets none.",
                )
                .output(),
                FieldSpec::new(
                    "encoding",
                    FieldType::Choice(&ENCODINGS),
                    json!(ENCODINGS[0]),
                    "What the summary's tokens are counted in: set it as the chunks' is.",
                )
                .output(),
            ],
            batch: None,
            width: None,
            timeout: Duration::from_secs(120),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "The same text always gets the same summary, of at most 1200 characters, every word of it the \
                         document's own. The work is bounded: of a text beyond 512 KiB it looks at samples.",
            example: "kind = \"summarize\"\ninputs = [\"parse\"]\nprovider = \"extractive\"\nsentences = 3\n",
        }
    }

    fn validate(config: &Config) -> Vec<Issue> {
        let mut issues = Vec::new();
        if config.provider != EXTRACTIVE {
            let message = format!("`{}` is no provider that this program summarises with", config.provider);
            issues.push(Issue::new("provider", message).hint("write `provider = \"extractive\"`"));
        }
        if !(1..=MOST).contains(&config.sentences) {
            issues.push(Issue::new("sentences", format!("`{}` is not between 1 and {MOST}", config.sentences)));
        }
        if !ENCODINGS.contains(&config.encoding.as_str()) {
            let message = format!("`{}` is no encoding that this program knows", config.encoding);
            issues.push(Issue::new("encoding", message).hint(format!("one of {}", ENCODINGS.join(", "))));
        }
        issues
    }

    /// Builds the stage; the encoding's vocabulary is read at the first summary, on a thread of the pool.
    async fn build(config: Config, _cx: &BuildContext) -> Result<Node, StageError> {
        if let Some(issue) = Self::validate(&config).into_iter().next() {
            return Err(StageError::fatal(format!("`{}`: {}", issue.path.join("."), issue.message)));
        }
        Ok(Node::Cpu(Arc::new(Summarize { sentences: config.sentences as usize, encoding: config.encoding.into() })))
    }
}
