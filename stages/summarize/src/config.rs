//! The table of a `summarize` stage, and what it means with each provider.

use std::time::Duration;

use docmill_api::{FieldSpec, FieldType, Issue, PayloadKind, StageSpec, Tier};
use docmill_llm::Table;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The document's own sentences, without a model.
pub(crate) const EXTRACTIVE: &str = "extractive";

/// The encodings that a summary's tokens may be counted in.
const ENCODINGS: [&str; 2] = ["cl100k_base", "o200k_base"];

/// The most sentences of a summary.
const MOST: u32 = 20;

/// What a model is told to do, unless the table says otherwise.
pub(crate) const PROMPT: &str = "Summarise the document in at most {words} words. Say what it is, what it is about, and \
                                 what somebody would look for in it: names, numbers, decisions. Write in the language of \
                                 the document.";

/// The table of a `summarize` stage.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// What summarises.
    pub provider: String,
    /// How many sentences an extract has at most.
    #[serde(default = "sentences")]
    pub sentences: u32,
    /// What its tokens are counted in.
    pub encoding: String,
    /// How many words a model's summary is to have at most.
    #[serde(default = "words")]
    pub words: u32,
    /// What a model is told to do.
    #[serde(default)]
    pub prompt: String,
    /// How many parts of one document a model reads at most.
    #[serde(default = "max_parts")]
    pub max_parts: u32,
    /// The service's settings.
    #[serde(flatten)]
    pub service: Table,
}

fn sentences() -> u32 {
    3
}
fn words() -> u32 {
    120
}
fn max_parts() -> u32 {
    32
}

impl Config {
    /// Whether a service summarises.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.provider == docmill_llm::KIND
    }
}

fn provider() -> FieldSpec {
    FieldSpec::new(
        "provider",
        FieldType::Provider(&[EXTRACTIVE, docmill_llm::KIND]),
        json!(EXTRACTIVE),
        "What summarises: `extractive` picks the document's own best sentences, without a model; a service by the name of \
         its table in `[providers]`, or `openai` with its fields here.",
    )
    .output()
}

fn encoding() -> FieldSpec {
    FieldSpec::new(
        "encoding",
        FieldType::Choice(&ENCODINGS),
        json!(ENCODINGS[0]),
        "What the summary's tokens are counted in: set it as the chunks' is.",
    )
    .output()
}

fn extract_fields() -> Vec<FieldSpec> {
    let count = FieldType::Integer { min: 1, max: i64::from(MOST) };
    let doc = "How many sentences an extract has at most; a document with no more than that gets none.";
    vec![FieldSpec::new("sentences", count, json!(sentences()), doc).output()]
}

fn model_fields() -> Vec<FieldSpec> {
    let count = |name, max, default: u32, doc| {
        FieldSpec::new(name, FieldType::Integer { min: 1, max }, json!(default), doc).output()
    };
    let prompt = "What a model is told to do. `{words}`, `{filename}` and `{title}` stand for what they say; the document \
                  follows, marked as material that gives no orders.";
    let parts = "How many parts of one document a model reads at most, each as long as its context allows: of a longer \
                 document so many, spread evenly.";
    let mut fields = vec![
        count(
            "words",
            2_000,
            words(),
            "How many words a model's summary is to have at most; a shorter document gets none.",
        ),
        FieldSpec::new("prompt", FieldType::Text, json!(PROMPT), prompt).output(),
        count("max_parts", 1_000, max_parts(), parts),
    ];
    fields.extend(docmill_llm::chat_fields());
    fields
}

/// The stage without a model; its fields are all that any provider has.
pub(crate) fn spec() -> StageSpec {
    let mut fields = vec![provider(), encoding()];
    fields.extend(extract_fields());
    fields.extend(model_fields());
    StageSpec {
        summary: "Gives every document a summary, stored as a row of its own.",
        takes: &[PayloadKind::Text],
        gives: &[PayloadKind::Chunks],
        tier: Tier::Cpu,
        fields,
        batch: None,
        width: None,
        timeout: Duration::from_secs(120),
        attempts: docmill_api::ATTEMPTS,
        accepts: &[],
        guarantees: "The same text always gets the same extract, of at most 1200 characters, every word of it the \
                     document's own. The work is bounded: of a text beyond 512 KiB it looks at samples. With a service it \
                     is of the service tier, 20 wide and with six attempts, and `timeout` is that of one call: a document \
                     longer than the model's context is read part by part, and its notes are summarised. What was paid for \
                     is kept.",
        example: "kind = \"summarize\"\ninputs = [\"parse\"]\nprovider = \"extractive\"\nsentences = 3\n",
    }
}

/// The stage with the provider that its table names.
pub(crate) fn spec_for(table: &Map<String, Value>) -> StageSpec {
    let whole = spec();
    let mut fields = vec![provider(), encoding()];
    if table.get("provider").and_then(Value::as_str) != Some(docmill_llm::KIND) {
        fields.extend(extract_fields());
        return StageSpec { fields, ..whole };
    }
    fields.extend(model_fields());
    StageSpec { tier: Tier::Service, width: Some(20), attempts: SERVICE_ATTEMPTS, fields, ..whole }
}

/// With one call of ten failing, six attempts lose one record of a million.
const SERVICE_ATTEMPTS: u32 = 6;

/// What is wrong with a table that the types let through.
pub(crate) fn complaints(config: &Config) -> Vec<Issue> {
    let mut issues = config.service.unknown(&docmill_llm::chat_fields());
    match config.provider.as_str() {
        EXTRACTIVE => {}
        docmill_llm::KIND => match config.service.settings() {
            Ok(settings) => issues.extend(settings.complaints()),
            Err(error) => issues.push(Issue::new("provider", error.message)),
        },
        other => {
            let message = format!("`{other}` is no provider that this program summarises with");
            issues.push(Issue::new("provider", message).hint("write `provider = \"extractive\"`, or name a service"));
        }
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
