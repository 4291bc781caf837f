//! Kinds of stage for the tests of `plan`, `config` and the commands: they describe themselves as real ones do, and
//! are never built.

use std::collections::BTreeMap;
use std::time::Duration;

use docmill_api::{
    BatchDefaults, BuildContext, Embedding, FieldSpec, FieldType, Issue, Node, PayloadKind, Registry, StageError,
    StageFactory, StageSpec, Tier, async_trait, defaults,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Diagnostic, Diagnostics, Machine, Place, Plan};
use crate::config;

/// A pipeline of all the fakes.
pub(crate) const PIPELINE: &str = r#"[stages.source]
kind = "files"
include = ["docs"]

[stages.download]
kind = "download"
inputs = ["source"]
width = 32

[stages.parse]
kind = "parse"
inputs = ["download"]
width = "auto"
isolation = "process"
memory = "1GiB"

[stages.chunk]
kind = "chunk"
inputs = ["parse"]
tokens = 512

[stages.summarize]
kind = "summarize"
inputs = ["parse"]

[stages.embed]
kind = "embed"
inputs = ["chunk", "summarize"]

[stages.store]
kind = "lancedb"
inputs = ["embed"]
"#;

/// All fakes.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add::<Files>();
    registry.add::<Download>();
    registry.add::<Parse>();
    registry.add::<Chunk>();
    registry.add::<Summarize>();
    registry.add::<Embed>();
    registry.add::<Store>();
    registry
}

/// Merges a text, settings and variables.
pub(crate) fn raw(text: &str, sets: &[&str], env: &[(&str, &str)]) -> Result<config::RawPipeline, Diagnostics> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    config::parse("pipeline.toml", "/project".into(), text.to_owned(), &sets, env, &registry())
}

/// Plans a text, settings and variables on a machine of four CPUs.
pub(crate) fn plan_with(
    text: &str,
    sets: &[&str],
    env: &[(&str, &str)],
) -> Result<(Plan, Vec<Diagnostic>), Diagnostics> {
    Plan::from_raw(&raw(text, sets, env)?, &registry(), Machine { cpus: 4 })
}

/// Plans a text.
pub(crate) fn plan(text: &str) -> Result<(Plan, Vec<Diagnostic>), Diagnostics> {
    plan_with(text, &[], &[])
}

/// All complaints as `code line:column message | help`, the code without its prefix.
pub(crate) fn told<'a>(all: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<String> {
    let one = |one: &Diagnostic| {
        let place = match &one.place {
            Place::File(at) => format!("{}:{}", at.line, at.column),
            Place::Whole(_) => "file".into(),
            Place::Environment(name) => format!("${name}"),
            Place::Set(text) => format!("--set {text}"),
        };
        let code = one.code.trim_start_matches("docmill-");
        format!("{code} {place} {} | {}", one.message, one.help.as_deref().unwrap_or("-"))
    };
    all.into_iter().map(one).collect()
}

/// Declares a kind whose configuration is any table.
macro_rules! fake {
    ($name:ident, $kind:literal, $spec:expr $(, $($method:item)*)?) => {
        pub(crate) struct $name;

        #[async_trait]
        impl StageFactory for $name {
            type Config = Value;
            const KIND: &'static str = $kind;
            const REVISION: u32 = 1;
            fn spec() -> StageSpec {
                $spec
            }
            $($($method)*)?
            async fn build(_config: Value, _cx: &BuildContext) -> Result<Node, StageError> {
                Err(StageError::fatal("a fake is never built"))
            }
        }
    };
}

fn spec(takes: &'static [PayloadKind], gives: &'static [PayloadKind], tier: Tier, fields: Vec<FieldSpec>) -> StageSpec {
    StageSpec {
        summary: "a stage of the tests",
        takes,
        gives,
        tier,
        fields,
        batch: None,
        width: if tier == Tier::Cpu { None } else { Some(8) },
        timeout: Duration::from_secs(30),
        attempts: docmill_api::ATTEMPTS,
        accepts: &[],
        guarantees: "nothing is lost",
        example: "[stages.example]\nkind = \"example\"\n",
    }
}

fn text(name: &'static str, default: &str) -> FieldSpec {
    FieldSpec::new(name, FieldType::Text, default.into(), "a text")
}

fn count(name: &'static str, default: Value) -> FieldSpec {
    FieldSpec::new(name, FieldType::Integer { min: 1, max: 8192 }, default, "how many")
}

fake!(
    Files,
    "files",
    spec(
        &[],
        &[PayloadKind::Reference],
        Tier::Io,
        vec![
            FieldSpec::new("include", FieldType::List(Box::new(FieldType::Text)), json!([]), "patterns").required(),
            FieldSpec::new("hidden", FieldType::Bool, false.into(), "hidden files too"),
            FieldSpec::new("exclude", FieldType::List(Box::new(FieldType::Text)), json!([]), "patterns"),
        ]
    )
);

fake!(
    Download,
    "download",
    spec(
        &[PayloadKind::Reference],
        &[PayloadKind::Blob],
        Tier::Io,
        vec![
            FieldSpec::new("max_bytes", FieldType::Size, "10MiB".into(), "the largest document").output(),
            FieldSpec::new(
                "allow",
                FieldType::Table(vec![
                    FieldSpec::new("schemes", FieldType::List(Box::new(FieldType::Text)), json!(["file"]), "schemes"),
                    FieldSpec::new("delay", FieldType::Duration, "1s".into(), "between two"),
                ]),
                json!({}),
                "what may be fetched",
            ),
        ]
    )
);

fake!(
    Parse,
    "parse",
    spec(
        &[PayloadKind::Blob],
        &[PayloadKind::Text],
        Tier::Cpu,
        vec![
            FieldSpec::new("pdf", FieldType::Choice(&["auto", "unpdf", "pdfium"]), "auto".into(), "the reader")
                .output(),
        ]
    ),
    fn resolved(config: &Value) -> BTreeMap<String, String> {
        let reader = if config["pdf"] == "auto" { "unpdf" } else { "as named" };
        BTreeMap::from([("pdf".to_owned(), reader.to_owned())])
    }
);

/// As typed as a real one, so that its own decoding is under test too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChunkConfig {
    tokens: u32,
    overlap: u32,
    #[expect(dead_code, reason = "only decoded")]
    encoding: String,
    types: BTreeMap<String, ChunkType>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChunkType {
    tokens: Option<u32>,
}

pub(crate) struct Chunk;

#[async_trait]
impl StageFactory for Chunk {
    type Config = ChunkConfig;
    const KIND: &'static str = "chunk";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        let of_type = FieldType::Table(vec![count("tokens", Value::Null).output()]);
        let encodings = FieldType::Choice(&["cl100k_base", "o200k_base"]);
        spec(
            &[PayloadKind::Text],
            &[PayloadKind::Chunks],
            Tier::Cpu,
            vec![
                count("tokens", 512.into()).output(),
                count("overlap", 64.into()).output(),
                FieldSpec::new("encoding", encodings, "cl100k_base".into(), "of tokens").output(),
                FieldSpec::new("types", FieldType::Map(Box::new(of_type)), json!({}), "by file type").output(),
            ],
        )
    }

    fn validate(config: &ChunkConfig) -> Vec<Issue> {
        let mut issues = Vec::new();
        if config.overlap >= config.tokens {
            issues.push(Issue::new("overlap", "is not below `tokens`").hint("an eighth of `tokens` is usual"));
        }
        for (name, of_type) in &config.types {
            if of_type.tokens.is_some_and(|tokens| tokens <= config.overlap) {
                let path = vec!["types".to_owned(), name.clone(), "tokens".to_owned()];
                issues.push(Issue { path, message: "is not above `overlap`".into(), hint: None });
            }
        }
        issues
    }

    async fn build(_config: ChunkConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        Err(StageError::fatal("a fake is never built"))
    }
}

fake!(
    Summarize,
    "summarize",
    spec(&[PayloadKind::Text], &[PayloadKind::Chunks], Tier::Service, vec![text("provider", "extractive").output()])
);

fake!(
    Embed,
    "embed",
    StageSpec {
        batch: Some(BatchDefaults { items: 256, tokens: 100_000, wait: Duration::from_millis(20) }),
        ..spec(
            &[PayloadKind::Chunks],
            &[PayloadKind::Vectors],
            Tier::Service,
            vec![text("model", "builtin").output(), text("base_url", ""), text("provider", "builtin")]
        )
    },
    fn embedding(config: &Value) -> Option<Embedding> {
        Some(Embedding { model: config["model"].as_str()?.to_owned(), dimensions: 256 })
    }
);

fake!(
    Store,
    "lancedb",
    StageSpec {
        width: Some(1),
        ..spec(&[PayloadKind::Vectors], &[], Tier::Io, vec![text("uri", ".docmill/lance"), text("table", "chunks")])
    }
);

#[test]
fn the_fakes_agree_with_their_specs() {
    let registry = registry();
    for kind in registry.kinds().filter(|kind| *kind != "files") {
        let factory = registry.get(kind).expect("listed");
        assert_eq!(factory.validate(&defaults(&factory.spec().fields)), [], "{kind}");
    }
}
