//! A source of a test's own: files that belong to users and their sessions, which the built-in `files` does not know.

use std::path::PathBuf;
use std::time::Duration;

use docmill_api::{
    BuildContext, Context, FieldSpec, FieldType, Node, PayloadKind, Registry, Source, SourceItem, StageError,
    StageFactory, StageSpec, Tier, async_trait,
};
use serde::Deserialize;
use serde_json::json;

/// Makes the kind `sessions` known.
pub(crate) fn register(registry: &mut Registry) {
    registry.add::<Sessions>();
}

struct Sessions;

/// Entries are `USER/SESSION:FILE`; files are below `documents`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionsConfig {
    include: Vec<String>,
}

#[async_trait]
impl StageFactory for Sessions {
    type Config = SessionsConfig;
    const KIND: &'static str = "sessions";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        let include = FieldSpec::new("include", FieldType::List(Box::new(FieldType::Text)), json!([]), "Entries.");
        StageSpec {
            summary: "lists files of users and their sessions",
            takes: &[],
            gives: &[PayloadKind::Reference],
            tier: Tier::Io,
            fields: vec![include],
            batch: None,
            width: Some(1),
            timeout: Duration::from_secs(60),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "Lists what it is told.",
            example: "[stages.source]\nkind = \"sessions\"",
        }
    }

    async fn build(config: SessionsConfig, cx: &BuildContext) -> Result<Node, StageError> {
        let directory = cx.base.join("documents");
        Ok(Node::Source(Box::new(Listing { directory, entries: config.include.into_iter() })))
    }
}

struct Listing {
    directory: PathBuf,
    entries: std::vec::IntoIter<String>,
}

#[async_trait]
impl Source for Listing {
    async fn next(&mut self, _cx: &Context) -> Result<Option<SourceItem>, StageError> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        let (owner, file) = entry.split_once(':').ok_or_else(|| StageError::fatal("no file"))?;
        let (user, session) = owner.split_once('/').ok_or_else(|| StageError::fatal("no session"))?;
        Ok(Some(SourceItem {
            uri: format!("file://{}", self.directory.join(file).display()),
            user_id: Some(user.to_owned()),
            session_id: Some(session.to_owned()),
            ..SourceItem::default()
        }))
    }
}
