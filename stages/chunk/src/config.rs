//! The stage's table in `pipeline.toml`: what it may hold, what it means for a document, and what is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use docmill_api::{
    BuildContext, CpuStage, FieldSpec, FieldType, Issue, Node, Payload, PayloadKind, Record, StageError, StageFactory,
    StageSpec, StepContext, Tier, Work, async_trait,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::encoding::Encoding;
use crate::limit::{Limit, Unit};
use crate::tokenizer::Tokenizer;
use crate::work::Chunker;

/// Tokens of a chunk unless set.
const TOKENS: u32 = 512;

/// A character has four bytes at most, and a byte is a token at worst: below this a chunk might not hold one.
const LEAST_TOKENS: i64 = 8;

/// Far beyond what any embedding model reads; it bounds the memory that one step takes.
const MOST: i64 = 131_072;

/// The stage's table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The most tokens that a chunk has.
    pub tokens: u32,
    /// How much of a chunk the next one repeats at most.
    pub overlap: u32,
    /// The most characters that a chunk has, instead of tokens; 0 for tokens.
    pub characters: u32,
    /// An encoding, or a model that uses one.
    pub encoding: String,
    /// Other sizes by file extension.
    pub types: BTreeMap<String, TypeConfig>,
}

/// Sizes for one file extension; what is not set is as in the stage's table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TypeConfig {
    /// The most tokens that a chunk has.
    pub tokens: Option<u32>,
    /// How much of a chunk the next one repeats at most.
    pub overlap: Option<u32>,
    /// The most characters that a chunk has, instead of tokens.
    pub characters: Option<u32>,
}

impl Config {
    fn limit(&self) -> Limit {
        let (unit, size) = match self.characters {
            0 => (Unit::Tokens, self.tokens),
            characters => (Unit::Characters, characters),
        };
        Limit { unit, size: size as usize, overlap: self.overlap as usize }
    }

    fn limit_of(&self, of_type: &TypeConfig) -> Limit {
        let general = self.limit();
        let (unit, size) = match (of_type.tokens, of_type.characters) {
            (Some(tokens), _) => (Unit::Tokens, tokens as usize),
            (None, Some(characters)) => (Unit::Characters, characters as usize),
            (None, None) => (general.unit, general.size),
        };
        Limit { unit, size, overlap: of_type.overlap.map_or(general.overlap, |overlap| overlap as usize) }
    }
}

/// Makes `chunk` stages.
#[derive(Debug)]
pub struct ChunkFactory;

#[async_trait]
impl StageFactory for ChunkFactory {
    type Config = Config;
    const KIND: &'static str = "chunk";
    const REVISION: u32 = 2;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Cuts texts into chunks of at most so many tokens, as suits them: source code between its functions \
                      and types, tables between rows with the header repeated, the rest at the highest boundary that \
                      fits: heading, paragraph, sentence, word.",
            takes: &[PayloadKind::Text],
            gives: &[PayloadKind::Chunks],
            tier: Tier::Cpu,
            fields: fields(),
            batch: None,
            width: None,
            timeout: Duration::from_secs(60),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "No chunk is longer than its limit, and its token count is exact. Whatever is not white space \
                         is in a chunk, in order. White space alone is no chunk, and of equal chunks the first is kept. \
                         Functions, tables and fenced code that fit a chunk are not cut. The metadata of the rows says \
                         under `strategy` how the document was cut: whole, code, table or prose.",
            example: "[stages.chunk]\nkind = \"chunk\"\ninputs = [\"parse\"]\ntokens = 512\noverlap = 64\n\n\
                      [stages.chunk.types.\".py\"]\ntokens = 400\n",
        }
    }

    fn validate(config: &Config) -> Vec<Issue> {
        let mut issues = Vec::new();
        if config.characters > 0 && config.tokens != TOKENS {
            let issue = Issue::new("characters", "`tokens` and `characters` are both set");
            issues.push(issue.hint("keep the one by which chunks are to be measured"));
        }
        issues.extend(
            overlap_issue(config.limit())
                .map(|message| Issue::new("overlap", message).hint("an eighth of the size is usual")),
        );
        if let Err(error) = Encoding::named(&config.encoding) {
            issues.push(Issue::new("encoding", error.message).hint(format!("did you mean `{}`?", error.nearest)));
        }
        for (extension, of_type) in &config.types {
            issues.extend(type_issues(config, extension, of_type));
        }
        issues
    }

    fn resolved(config: &Config) -> BTreeMap<String, String> {
        let encoding = Encoding::named(&config.encoding).ok();
        encoding.into_iter().map(|encoding| ("encoding".to_owned(), encoding.to_string())).collect()
    }

    async fn build(config: Config, _cx: &BuildContext) -> Result<Node, StageError> {
        let encoding = Encoding::named(&config.encoding).map_err(|error| StageError::fatal(error.message))?;
        let types = config.types.iter().map(|(extension, of_type)| {
            (extension.trim_start_matches('.').to_ascii_lowercase(), config.limit_of(of_type))
        });
        let stage = ChunkStage { tokenizer: Tokenizer::new(encoding), limit: config.limit(), types: types.collect() };
        Ok(Node::Cpu(Arc::new(stage)))
    }
}

fn fields() -> Vec<FieldSpec> {
    let tokens = FieldType::Integer { min: LEAST_TOKENS, max: MOST };
    let characters = FieldType::Integer { min: 0, max: MOST };
    let overlap = FieldType::Integer { min: 0, max: MOST };
    let of_type = vec![
        FieldSpec::new("tokens", tokens.clone(), Value::Null, "The most tokens of a chunk; unset, the stage's.")
            .output(),
        FieldSpec::new("overlap", overlap.clone(), Value::Null, "As the stage's `overlap`; unset, the same.").output(),
        FieldSpec::new("characters", characters.clone(), Value::Null, "The most characters instead of tokens.")
            .output(),
    ];
    vec![
        FieldSpec::new("tokens", tokens, json!(TOKENS), "The most tokens that a chunk has.").output(),
        FieldSpec::new(
            "overlap",
            overlap,
            json!(64),
            "How much of a chunk's end the next one repeats at most, in the unit of its size and in whole sentences or lines.",
        )
        .output(),
        FieldSpec::new(
            "characters",
            characters,
            json!(0),
            "The most characters that a chunk has, in place of `tokens`; 0 measures in tokens.",
        )
        .output(),
        FieldSpec::new(
            "encoding",
            FieldType::Text,
            json!("cl100k_base"),
            "By which tokens are counted: cl100k_base, o200k_base, or a model such as text-embedding-3-small.",
        )
        .output(),
        FieldSpec::new(
            "types",
            FieldType::Map(Box::new(FieldType::Table(of_type))),
            json!({}),
            "Other sizes by file extension, as in [stages.chunk.types.\".py\"].",
        )
        .output(),
    ]
}

fn overlap_issue(limit: Limit) -> Option<String> {
    let Limit { unit, size, overlap } = limit;
    (overlap >= size).then(|| format!("an overlap of {overlap} is not below the {size} {unit} of a chunk"))
}

fn type_issues(config: &Config, extension: &str, of_type: &TypeConfig) -> Vec<Issue> {
    let at = |field: Option<&str>, message: String, hint: String| {
        let path = ["types", extension].into_iter().chain(field).map(str::to_owned).collect();
        Issue { path, message, hint: Some(hint) }
    };
    let mut issues = Vec::new();
    let bare = extension.strip_prefix('.').unwrap_or_default();
    if bare.is_empty() || bare.contains('.') {
        let wanted = extension.rsplit('.').next().unwrap_or_default();
        let hint = format!("write it as \".{}\"", if wanted.is_empty() { "py" } else { wanted });
        issues.push(at(None, format!("`{extension}` is no file extension"), hint));
    }
    if of_type.tokens.is_some() && of_type.characters.is_some() {
        let message = "`tokens` and `characters` are both set".to_owned();
        issues.push(at(Some("characters"), message, "keep one of them".to_owned()));
    }
    if let Some(message) = overlap_issue(config.limit_of(of_type)) {
        // Where only a size is set, the overlap that is too long is the stage's.
        let field = if of_type.overlap.is_some() { "overlap" } else { "tokens" };
        issues.push(at(Some(field), message, "set a lower `overlap` here".to_owned()));
    }
    issues
}

struct ChunkStage {
    tokenizer: Tokenizer,
    limit: Limit,
    types: BTreeMap<String, Limit>,
}

impl CpuStage for ChunkStage {
    fn warm_up(&self) {
        self.tokenizer.load();
    }

    fn open(&self, _cx: &StepContext, input: Record) -> Result<Box<dyn Work>, StageError> {
        let Payload::Text(text) = &input.payload else {
            return Err(StageError::unexpected(input.payload.kind()));
        };
        let limit = self.types.get(&input.document.extension()).unwrap_or(&self.limit);
        Ok(Box::new(Chunker::new(self.tokenizer, *limit, text.clone(), &input)))
    }
}
