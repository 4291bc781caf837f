//! The stage `language`: texts in the wanted languages go on, the others are skipped.
//!
//! An example of a stage that somebody else writes: it knows docmill by its contract alone. What a language is told by
//! is in `detect.rs`; here is what makes a stage of it.

mod detect;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use docmill_api::{
    BuildContext, CpuStage, Document, FieldSpec, FieldType, Issue, Node, Payload, PayloadKind, Record, Registry,
    StageError, StageFactory, StageSpec, StepContext, TextKind, Tier, Work, async_trait, one_shot,
};
use serde::Deserialize;

/// Makes the kind `language` known.
pub fn register(registry: &mut Registry) {
    registry.add::<LanguageFactory>();
}

/// The stage's table in `pipeline.toml`, without what every stage has.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The languages that are kept, by their two letters.
    pub keep: BTreeSet<String>,
    /// Whether a text whose language cannot be told is kept.
    pub unknown: bool,
}

/// Makes stages of kind `language`.
#[derive(Debug)]
pub struct LanguageFactory;

#[async_trait]
impl StageFactory for LanguageFactory {
    type Config = Config;
    const KIND: &'static str = "language";
    // Raised with every change of the word lists: they decide which documents have rows.
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        let texts = FieldType::List(Box::new(FieldType::Text));
        StageSpec {
            summary: "Keeps texts in the wanted languages and notes which language each is in.",
            takes: &[PayloadKind::Text],
            gives: &[PayloadKind::Text],
            tier: Tier::Cpu,
            fields: vec![
                FieldSpec::new("keep", texts, vec!["en"].into(), "The languages that are kept, by two letters.")
                    .output(),
                FieldSpec::new("unknown", FieldType::Bool, true.into(), "Keeps texts whose language cannot be told.")
                    .output(),
            ],
            batch: None,
            width: None,
            timeout: Duration::from_secs(10),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "Source code always passes. A text is looked at for its first 64 KiB.",
            example: "[stages.language]\nkind = \"language\"\ninputs = [\"parse\"]\nkeep = [\"en\", \"de\"]\n",
        }
    }

    fn validate(config: &Config) -> Vec<Issue> {
        let known = detect::languages().collect::<Vec<_>>().join(", ");
        let unknown = config.keep.iter().find(|language| !detect::languages().any(|known| known == *language));
        match unknown {
            Some(language) => {
                vec![Issue::new("keep", format!("`{language}` is not known")).hint(format!("one of {known}"))]
            }
            None if config.keep.is_empty() => vec![Issue::new("keep", "is empty").hint(format!("some of {known}"))],
            None => Vec::new(),
        }
    }

    async fn build(config: Config, _cx: &BuildContext) -> Result<Node, StageError> {
        Ok(Node::Cpu(Arc::new(Language { config: Arc::new(config) })))
    }
}

struct Language {
    config: Arc<Config>,
}

impl CpuStage for Language {
    fn open(&self, _cx: &StepContext, input: Record) -> Result<Box<dyn Work>, StageError> {
        let config = Arc::clone(&self.config);
        Ok(one_shot(move |_cx, out| {
            let Payload::Text(text) = &input.payload else {
                return Err(StageError::unexpected(input.payload.kind()));
            };
            if matches!(text.kind, TextKind::Code(_)) {
                out.emit(input);
                return Ok(());
            }
            match detect::language(&text.content) {
                Some(language) if config.keep.contains(language) => out.emit(marked(&input, language)),
                Some(language) => out.skip(format!("its language is `{language}`, which is not kept")),
                None if config.unknown => out.emit(input),
                None => out.skip("its language cannot be told"),
            }
            Ok(())
        }))
    }

    /// Linear, bounded and without recursion: even an isolated stage may do this in a thread.
    fn trusts(&self, _input: &Record) -> bool {
        true
    }
}

/// The record with its language among the metadata, which are stored with every row.
fn marked(input: &Record, language: &str) -> Record {
    let mut document = Document::clone(&input.document);
    document.metadata.insert("language".to_owned(), language.into());
    Record { document: Arc::new(document), payload: input.payload.clone() }
}
