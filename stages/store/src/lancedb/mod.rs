//! The sink `lancedb`: one table of rows with their vectors, in a directory of LanceDB tables.
//!
//! | module | what it does |
//! |---|---|
//! | `remote` | a table in an object store, and what keeps two writers of it apart |
//! | `place` | finds out whether the directory and the table are ours to write, then opens or makes them |
//! | `schema` | the columns, and records turned into them |
//! | `sink` | appends, and replaces or takes back documents: the one committer |
//! | `mark` | what of the table is on disk for good, and the way back to it |
//! | `lookup` | what the table holds of given documents |
//! | `index` | what is done once the run ends: full-text index, few files, no old versions |
//! | `pieces` | how an index grows: which of its pieces are merged |
//! | `event_loop` | where all of this runs, away from the pipeline's records |
//! | `documents` | which documents it holds |
//! | `rows` | the rows of given documents |
//! | `search` | reads the table, also beside a run that writes it |

mod documents;
mod event_loop;
mod index;
mod lookup;
mod mark;
mod pieces;
mod place;
mod remote;
mod rows;
mod schema;
mod search;
mod sink;
#[cfg(test)]
mod tests;
mod tidy;

use std::sync::Arc;
use std::time::Duration;

use docmill_api::{
    BatchDefaults, BuildContext, FieldSpec, FieldType, Issue, Node, PayloadKind, Search, StageError, StageFactory,
    StageSpec, Tier, async_trait,
};
use docmill_objects::{Az, Gs, S3, Stores};
use serde::Deserialize;

use self::place::Place;

/// The table of `kind = "lancedb"`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanceDbConfig {
    /// The directory of the database, relative to the pipeline file; or a place in an object store.
    pub uri: String,
    /// The table in it.
    pub table: String,
    /// Where `s3://` leads.
    #[serde(default)]
    pub s3: S3,
    /// Where `gs://` leads.
    #[serde(default)]
    pub gs: Gs,
    /// Where `az://` leads.
    #[serde(default)]
    pub az: Az,
}

impl LanceDbConfig {
    fn stores(&self) -> Stores {
        Stores { s3: self.s3.clone(), gs: self.gs.clone(), az: self.az.clone() }
    }
}

/// Makes the sink `lancedb` and opens its table for searching.
#[derive(Clone, Copy, Debug)]
pub struct LanceDb;

#[async_trait]
impl StageFactory for LanceDb {
    type Config = LanceDbConfig;
    const KIND: &'static str = "lancedb";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Writes rows with their vectors to a LanceDB table, and keeps a full-text index on it.",
            takes: &[PayloadKind::Vectors],
            gives: &[],
            tier: Tier::Io,
            fields: fields(),
            // A commit costs about 3 ms whatever it holds, and leaves a file, which every search opens and which is merged
            // later. 2,048 rows or some 3 MB of text a commit keep that cost under a fortieth, and let the first rows of a
            // large document be written while the rest is embedded (docs/performance.md). What is in a batch is in memory
            // some three times: as records, as Arrow's columns and encoded.
            batch: Some(BatchDefaults { items: 2_048, tokens: 700_000, wait: Duration::from_secs(1) }),
            width: Some(1),
            timeout: Duration::from_secs(60),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "A row written twice is there once. A changed document keeps its old rows until all new ones \
                         are durable; one that failed leaves none behind. Survives the end of the process; a power cut as well with \
                         `durability = \"power\"`.",
            example: "[stages.store]\nkind = \"lancedb\"\ninputs = [\"embed\"]\nuri = \".docmill/lance\"\n\
                      table = \"chunks\"\n",
        }
    }

    fn validate(config: &Self::Config) -> Vec<Issue> {
        let mut issues = docmill_objects::endpoint_issues(&config.s3, &config.gs, &config.az);
        if let Some((scheme, _)) = config.uri.split_once("://")
            && scheme != "file"
            && !docmill_objects::is_store(&config.uri)
        {
            issues.push(
                Issue::new("uri", format!("`{scheme}:` is no place that this build of docmill writes to"))
                    .hint("name a directory, such as \".docmill/lance\", or \"s3://bucket/prefix\""),
            );
        }
        if config.uri.is_empty() {
            issues.push(Issue::new("uri", "no directory is named").hint("the default is \".docmill/lance\""));
        }
        let sound = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        let table = config.table.as_str();
        if table.is_empty() || table == "." || table == ".." || table.len() > 100 || !table.chars().all(sound) {
            issues.push(
                Issue::new("table", format!("`{table}` is no name for a table"))
                    .hint("use up to 100 letters, digits, `-`, `_` and `.`"),
            );
        }
        issues
    }

    async fn build(config: Self::Config, cx: &BuildContext) -> Result<Node, StageError> {
        let embedding = cx
            .embedding
            .as_ref()
            .ok_or_else(|| StageError::fatal("no stage before this one embeds, so there are no vectors to store"))?;
        let place = Place::new(&config, cx)?;
        let opened = place.open_or_create(embedding).await?;
        Ok(Node::Sink(Arc::new(sink::LanceSink::new(opened, embedding.dimensions).await?)))
    }

    async fn search(config: Self::Config, cx: &BuildContext) -> Result<Option<Arc<dyn Search>>, StageError> {
        let place = Place::new(&config, cx)?;
        let (table, identity) = place.open_to_read().await?;
        let search = search::LanceSearch::new(table, identity.embedding());
        Ok(Some(Arc::new(event_loop::Reader::new(search))))
    }
}

fn fields() -> Vec<FieldSpec> {
    let mut fields = vec![
        FieldSpec::new(
            "uri",
            FieldType::Text,
            ".docmill/lance".into(),
            "The directory of the database, relative to the pipeline file; or a place in an object store that knows \
             conditional writes (`s3://bucket/prefix`, `gs://`, `az://`).",
        ),
        FieldSpec::new("table", FieldType::Text, "chunks".into(), "The table in it; made if missing."),
    ];
    fields.extend(docmill_objects::fields());
    fields
}

/// How many CPUs this process may use.
fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
