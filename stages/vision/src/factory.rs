//! How the stage is configured, described and built.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docmill_api::units::Size;
use docmill_api::{
    BuildContext, FieldSpec, FieldType, Issue, Node, PayloadKind, StageError, StageFactory, StageSpec, Tier,
};
use docmill_llm::{Llm, Named, Table};
use serde::Deserialize;
use serde_json::json;

use crate::stage::{Describe, Vision};

/// No model looks at images.
const NONE: &str = "none";

/// What a model is told to do, unless the table says otherwise.
const PROMPT: &str = "Describe the image so that somebody who searches for it finds it: what it shows, and every text in \
                      it, word for word. If it is a diagram or a table, say what it says.";

/// Makes stages of kind `vision`.
#[derive(Debug)]
pub struct VisionFactory;

/// The table of a `vision` stage.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Which service describes.
    pub provider: String,
    /// What it is told to do.
    pub prompt: String,
    /// How many tokens a description may have.
    pub max_tokens: u32,
    /// The largest image that is sent.
    pub max_bytes: Size,
    /// The service's settings.
    #[serde(flatten)]
    pub service: Table,
}

#[async_trait]
impl StageFactory for VisionFactory {
    type Config = Config;

    const KIND: &'static str = "vision";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        let provider = "Which service describes images: by the name of its table in `[providers]`, or `openai` with its \
                        fields here. Without one, images are skipped.";
        let largest = "The largest image that is sent; services refuse larger ones, and a larger image fails.";
        let mut fields = vec![
            FieldSpec::new("provider", FieldType::Provider(&[NONE, docmill_llm::KIND]), json!(NONE), provider).output(),
            FieldSpec::new("prompt", FieldType::Text, json!(PROMPT), "What a model is told to do.").output(),
            FieldSpec::new(
                "max_tokens",
                FieldType::Integer { min: 1, max: 100_000 },
                json!(500),
                "How many tokens a description may have.",
            )
            .output(),
            FieldSpec::new("max_bytes", FieldType::Size, json!(Size(20 << 20).to_string()), largest).output(),
        ];
        fields.extend(docmill_llm::chat_fields());
        StageSpec {
            summary: "Describes images, so that they are found by what they show.",
            takes: &[PayloadKind::Blob],
            gives: &[PayloadKind::Text],
            tier: Tier::Service,
            fields,
            batch: None,
            width: Some(5),
            timeout: Duration::from_secs(45),
            attempts: docmill_api::ATTEMPTS,
            accepts: &["image/*"],
            guarantees: "An image is described once: what was paid for is kept by its content. An image without a \
                         provider, and a drawing (SVG), is skipped with a reason.",
            example: "kind = \"vision\"\ninputs = [\"download\"]\nprovider = \"openai\"\nmodel = \"a-model-that-sees\"\n\
                      base_url = \"http://127.0.0.1:8000/v1\"\n",
        }
    }

    fn validate(config: &Config) -> Vec<Issue> {
        let mut issues = config.service.unknown(&docmill_llm::chat_fields());
        match config.provider.as_str() {
            NONE => {}
            docmill_llm::KIND => match config.service.settings() {
                Ok(settings) => issues.extend(settings.complaints()),
                Err(error) => issues.push(Issue::new("provider", error.message)),
            },
            other => issues.push(Issue::new("provider", format!("`{other}` is no provider that describes images"))),
        }
        issues
    }

    async fn build(config: Config, cx: &BuildContext) -> Result<Node, StageError> {
        if let Some(issue) = Self::validate(&config).into_iter().next() {
            return Err(StageError::fatal(format!("`{}`: {}", issue.path.join("."), issue.message)));
        }
        let describe = match config.provider.as_str() {
            NONE => None,
            _ => Some(Describe {
                llm: Llm::open(Named::of_stage(cx), config.service.settings()?, &cx.services)?,
                prompt: if config.prompt.trim().is_empty() { PROMPT.to_owned() } else { config.prompt },
                max_tokens: config.max_tokens as usize,
                max_bytes: config.max_bytes.0,
            }),
        };
        Ok(Node::Service(Arc::new(Vision { describe })))
    }
}
