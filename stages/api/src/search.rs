//! Reading a store: what a sink's crate implements beside its sink, and what a query goes through.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Embedding, StageError};

/// Which rows a search looks at. All that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// Rows of this session only.
    pub session_id: Option<String>,
    /// Rows of this user only.
    pub user_id: Option<String>,
    /// Rows of this document only: its id or its URI.
    pub document: Option<String>,
    /// Rows of this media type only.
    pub media_type: Option<String>,
    /// Rows whose metadata hold these texts, numbers and truth values only.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// A row that was found, best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The row's id.
    pub id: String,
    /// The document's id.
    pub document: String,
    /// The document's version.
    pub version: String,
    /// Where the document is.
    pub uri: String,
    /// The document's name.
    pub filename: String,
    /// The document's media type.
    pub media_type: String,
    /// The document's title.
    pub title: Option<String>,
    /// `chunk` or `summary`.
    pub part: String,
    /// The row's place among the parts of its kind.
    pub ordinal: i32,
    /// The page it begins on.
    pub page: Option<i32>,
    /// Its first line.
    pub line_start: Option<i32>,
    /// Its last line.
    pub line_end: Option<i32>,
    /// The headings it stands under.
    pub heading: Vec<String>,
    /// What it says.
    pub text: String,
    /// Its length in tokens of the chunker's encoding.
    pub tokens: i32,
    /// How well it fits: higher is better; comparable within one answer only.
    pub score: f32,
    /// When it was stored, in microseconds since 1970 UTC.
    pub ingested_at: i64,
}

/// A document as a store holds it: its rows, counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The document's id.
    pub document: String,
    /// The version that a search shows.
    pub version: String,
    /// Where the document is.
    pub uri: String,
    /// Its name.
    pub filename: String,
    /// Its media type.
    pub media_type: String,
    /// Its title.
    pub title: Option<String>,
    /// The session it belongs to.
    pub session_id: Option<String>,
    /// The user it belongs to.
    pub user_id: Option<String>,
    /// Rows that are chunks.
    pub chunks: u64,
    /// Rows that are summaries.
    pub summaries: u64,
    /// Tokens of its chunks; those that overlap count in each.
    pub tokens: u64,
    /// When its first row was stored, in microseconds since 1970 UTC.
    pub ingested_at: i64,
}

/// Some of a store's documents, in the order of their URIs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Listed {
    /// At most as many as were asked for.
    pub documents: Vec<Stored>,
    /// How many there are with these and behind them.
    pub total: u64,
}

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoreInfo {
    /// Rows of all documents.
    pub rows: u64,
    /// The model that its vectors were made with.
    pub embedding: Option<Embedding>,
}

/// A store that can be searched.
#[async_trait]
pub trait Search: Send + Sync {
    /// What it holds.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn info(&self) -> Result<StoreInfo, StageError>;

    /// The `limit` rows nearest to a vector; the score is the cosine similarity.
    ///
    /// # Errors
    /// The store cannot be read, or its vectors have another length.
    async fn nearest(&self, vector: &[f32], limit: usize, filter: &Filter) -> Result<Vec<Hit>, StageError>;

    /// The `limit` rows that match a text best by its words; the score is the store's (BM25).
    ///
    /// # Errors
    /// The store cannot be read.
    async fn matching(&self, text: &str, limit: usize, filter: &Filter) -> Result<Vec<Hit>, StageError>;

    /// Rows of these documents (by id) that pass the filter, at most `limit` of each: of one part (`chunk` or `summary`)
    /// where it is named. In the order of the ids given, and of a document in its own order. Their score is 0.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn rows(
        &self,
        documents: &[String],
        part: Option<&str>,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<Hit>, StageError>;

    /// The first `limit` documents, in the order of their URIs, of those whose URI is greater than `after`.
    ///
    /// # Errors
    /// The store cannot be read.
    async fn documents(&self, after: Option<&str>, limit: usize, filter: &Filter) -> Result<Listed, StageError>;
}

/// A model that can be called once, outside a pipeline: to embed a query.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Which model it is.
    fn embedding(&self) -> Embedding;

    /// One vector per text.
    ///
    /// # Errors
    /// The model cannot be reached, or refuses.
    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StageError>;
}
