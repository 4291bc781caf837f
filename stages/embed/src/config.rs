//! The table of an `embed` stage, and what it means with each provider.

use std::time::Duration;

use docmill_api::{BatchDefaults, FieldSpec, FieldType, Issue, PayloadKind, StageSpec, Tier};
use docmill_llm::Table;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The model that ships with docmill.
pub(crate) const BUILTIN: &str = "builtin";

/// The most that `max_tokens` may be: beyond the largest chunks anybody makes, and still a few milliseconds a text.
const MAX_TOKENS: u32 = 65_536;

/// The table of an `embed` stage.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Which model embeds.
    pub provider: String,
    /// How many of the built-in model's tokens of a chunk count.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// What one call of a service may hold.
    #[serde(default)]
    pub request: Option<Request>,
    /// The service's settings.
    #[serde(flatten)]
    pub service: Table,
}

/// What one call of a service may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Texts.
    pub items: usize,
    /// Tokens of all texts together.
    pub tokens: usize,
}

impl Default for Request {
    /// What services of this shape take at least: OpenAI takes 2,048 texts and 300,000 tokens, others 256 and less of both.
    fn default() -> Self {
        Self { items: 256, tokens: 100_000 }
    }
}

impl Config {
    /// Whether a service embeds.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.provider == docmill_llm::KIND
    }
}

fn provider() -> FieldSpec {
    FieldSpec::new(
        "provider",
        FieldType::Provider(&[BUILTIN, docmill_llm::KIND]),
        json!(BUILTIN),
        "Which model embeds: `builtin` is the static model that ships with docmill; a service by the name of its table in \
         `[providers]`, or `openai` with its fields here.",
    )
    .output()
}

fn max_tokens() -> FieldSpec {
    FieldSpec::new(
        "max_tokens",
        FieldType::Integer { min: 1, max: i64::from(MAX_TOKENS) },
        json!(512),
        "How many of a chunk's tokens its vector looks at, counted by the built-in model; and six times as many \
         characters.",
    )
    .output()
}

fn request() -> FieldSpec {
    let Request { items, tokens } = Request::default();
    let count = |name, default: usize, doc| {
        FieldSpec::new(name, FieldType::Integer { min: 1, max: 10_000_000 }, json!(default), doc)
    };
    let parts = vec![count("items", items, "Texts."), count("tokens", tokens, "Tokens of all texts together.")];
    FieldSpec::new("request", FieldType::Table(parts), json!({}), "What one call of a service may hold at most.")
}

/// The stage with the built-in model; its fields are all that any provider has.
pub(crate) fn spec() -> StageSpec {
    let mut fields = vec![provider(), max_tokens(), request()];
    fields.extend(docmill_llm::embedding_fields());
    StageSpec {
        summary: "Gives every chunk the vector by which a search finds it.",
        takes: &[PayloadKind::Chunks],
        gives: &[PayloadKind::Vectors],
        tier: Tier::Cpu,
        fields,
        batch: Some(BatchDefaults { items: 256, tokens: 100_000, wait: Duration::from_millis(20) }),
        width: None,
        timeout: Duration::from_secs(30),
        attempts: docmill_api::ATTEMPTS,
        accepts: &[],
        guarantees: "The same text always gets the same vector, of length 1; a text without a single known token gets \
                     zeros. Nothing is downloaded and nothing leaves the machine. With a service it is of the service \
                     tier, five wide and with six attempts: batches are packed within what one call may hold, a text that \
                     the service does not take is told from the others of its batch, and what was paid for is kept.",
        example: "kind = \"embed\"\ninputs = [\"chunk\", \"summarize\"]\nprovider = \"builtin\"\n",
    }
}

/// The stage with the provider that its table names.
pub(crate) fn spec_for(table: &Map<String, Value>) -> StageSpec {
    let whole = spec();
    if table.get("provider").and_then(Value::as_str) != Some(docmill_llm::KIND) {
        return StageSpec { fields: vec![provider(), max_tokens()], ..whole };
    }
    let mut fields = vec![provider(), request()];
    fields.extend(docmill_llm::embedding_fields());
    StageSpec { tier: Tier::Service, width: Some(5), attempts: SERVICE_ATTEMPTS, fields, ..whole }
}

/// With one call of ten failing, six attempts lose one record of a million.
const SERVICE_ATTEMPTS: u32 = 6;

/// What is wrong with a table that the types let through.
pub(crate) fn complaints(config: &Config) -> Vec<Issue> {
    let mut issues = config.service.unknown(&docmill_llm::embedding_fields());
    match config.provider.as_str() {
        BUILTIN => {
            let given = config.max_tokens.unwrap_or(1);
            if !(1..=MAX_TOKENS).contains(&given) {
                issues.push(Issue::new("max_tokens", format!("`{given}` is not between 1 and {MAX_TOKENS}")));
            }
        }
        docmill_llm::KIND => match config.service.settings() {
            Err(error) => issues.push(Issue::new("provider", error.message)),
            Ok(settings) => {
                if settings.dimensions == 0 {
                    let issue = Issue::new("dimensions", "the length of the model's vectors is not set");
                    issues
                        .push(issue.hint("the service's documentation of the model says it; 1536 is usual at OpenAI"));
                }
                issues.extend(settings.complaints());
            }
        },
        other => {
            let message = format!("`{other}` is no provider that this program embeds with");
            issues.push(Issue::new("provider", message).hint("write `provider = \"builtin\"`, or name a service"));
        }
    }
    issues
}
