//! Two stages of a load test: a source that lists what a file lists, again and again where more is wanted, and a sink that
//! stores nothing.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use docmill_api::{
    ATTEMPTS, BatchDefaults, BuildContext, Context, FieldSpec, FieldType, Node, PayloadKind, Record, Registry, Settled,
    Sink, Source, SourceItem, StageError, StageFactory, StageSpec, Tier, async_trait,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The source's kind.
pub const SOURCE: &str = "load-source";
/// The kind of the sink that stores nothing.
pub const NULL: &str = "load-null";

/// Makes both known.
pub fn stages(registry: &mut Registry) {
    registry.add::<Listed>();
    registry.add::<Null>();
}

/// What the source lists.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListedConfig {
    /// A file with a `SourceItem` a line; nothing is listed without one.
    pub listing: Option<PathBuf>,
    /// How many documents are listed; without it they go on for ever.
    pub documents: Option<u64>,
}

struct Listed;

#[async_trait]
impl StageFactory for Listed {
    type Config = ListedConfig;
    const KIND: &'static str = SOURCE;
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        let listing = FieldSpec::new("listing", FieldType::Text, json!(null), "A file with a document a line.");
        let documents = FieldSpec::new("documents", FieldType::Text, json!(null), "How many are listed.");
        StageSpec {
            summary: "Lists the documents of a load test, again and again under other sessions.",
            takes: &[],
            gives: &[PayloadKind::Reference],
            tier: Tier::Io,
            fields: vec![listing, documents],
            batch: None,
            width: Some(1),
            timeout: Duration::from_secs(60),
            attempts: ATTEMPTS,
            accepts: &[],
            guarantees: "Of a load test only.",
            example: "kind = \"load-source\"",
        }
    }

    async fn build(config: ListedConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        let lines = config.listing.as_ref().map(open).transpose()?;
        Ok(Node::Source(Box::new(Repeated { config, lines, listed: 0, round: 0, any: false })))
    }
}

fn open(listing: &PathBuf) -> Result<BufReader<File>, StageError> {
    let opened = File::open(listing).map(BufReader::new);
    opened.map_err(|error| StageError::fatal(format!("the listing `{}`: {error}", listing.display())))
}

struct Repeated {
    config: ListedConfig,
    lines: Option<BufReader<File>>,
    listed: u64,
    round: u64,
    /// Whether the listing names any document: one that is empty would be read for ever.
    any: bool,
}

#[async_trait]
impl Source for Repeated {
    async fn next(&mut self, _cx: &Context) -> Result<Option<SourceItem>, StageError> {
        if self.config.documents.is_some_and(|documents| self.listed >= documents) {
            return Ok(None);
        }
        let Some(mut item) = self.item()? else { return Ok(None) };
        if self.round > 0 {
            // Another document to the pipeline, since a session is part of its identity.
            item.session_id = Some(format!("load-{}", self.round));
        }
        self.listed += 1;
        Ok(Some(item))
    }
}

impl Repeated {
    /// The next line, from the beginning again after the last. A file that was just written is in memory: reading it does
    /// not wait.
    fn item(&mut self) -> Result<Option<SourceItem>, StageError> {
        let broken = |error: &dyn std::fmt::Display| StageError::fatal(format!("the listing cannot be read: {error}"));
        let mut line = String::new();
        loop {
            let Some(lines) = &mut self.lines else { return Ok(None) };
            if lines.read_line(&mut line).map_err(|error| broken(&error))? > 0 {
                self.any = true;
                return serde_json::from_str(&line).map(Some).map_err(|error| broken(&error));
            }
            self.lines = match &self.config.listing {
                Some(listing) if self.any => Some(open(listing)?),
                _ => None,
            };
            self.round += 1;
        }
    }
}

struct Null;

#[derive(Deserialize)]
struct NullConfig {}

#[async_trait]
impl StageFactory for Null {
    type Config = NullConfig;
    const KIND: &'static str = NULL;
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Counts records and drops them.",
            takes: &[PayloadKind::Blob, PayloadKind::Text, PayloadKind::Chunks, PayloadKind::Vectors],
            gives: &[],
            tier: Tier::Io,
            fields: Vec::new(),
            batch: Some(BatchDefaults { items: 1024, tokens: u64::MAX, wait: Duration::from_millis(20) }),
            width: Some(1),
            timeout: Duration::from_secs(60),
            attempts: ATTEMPTS,
            accepts: &[],
            guarantees: "Of a load test only.",
            example: "kind = \"load-null\"",
        }
    }

    async fn build(_config: NullConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        struct Dropped;
        #[async_trait]
        impl Sink for Dropped {
            async fn write(&self, _cx: &Context, batch: Vec<Record>) -> Vec<Result<u64, StageError>> {
                batch.iter().map(|record| Ok(record.payload.items() as u64)).collect()
            }
            async fn settle(&self, _cx: &Context, _documents: &[Settled]) -> Result<(), StageError> {
                Ok(())
            }
            async fn close(&self, _cx: &Context) -> Result<(), StageError> {
                Ok(())
            }
        }
        Ok(Node::Sink(Arc::new(Dropped)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn listed(lines: &str, documents: Option<u64>) -> Vec<SourceItem> {
        let directory = tempfile::tempdir().expect("a directory");
        let listing = directory.path().join("documents.jsonl");
        std::fs::write(&listing, lines).expect("written");
        let config = ListedConfig { listing: Some(listing), documents };
        let Ok(Node::Source(mut source)) = Listed::build(config, &BuildContext::default()).await else {
            panic!("it is a source")
        };
        let mut items = Vec::new();
        while let Some(item) = source.next(&Context::detached()).await.expect("listed") {
            items.push(item);
        }
        items
    }

    #[tokio::test]
    async fn documents_are_repeated_as_others_until_there_are_enough() {
        let items = listed("{\"uri\":\"file:///a\"}\n{\"uri\":\"file:///b\",\"session_id\":\"s\"}\n", Some(5)).await;
        let told: Vec<(&str, Option<&str>)> =
            items.iter().map(|item| (item.uri.as_str(), item.session_id.as_deref())).collect();
        let (a, b) = ("file:///a", "file:///b");
        let (first, second) = (Some("load-1"), Some("load-2"));
        assert_eq!(told, [(a, None), (b, Some("s")), (a, first), (b, first), (a, second)]);
    }

    #[tokio::test]
    async fn an_empty_listing_ends() {
        assert_eq!(listed("", None).await, []);
    }
}
