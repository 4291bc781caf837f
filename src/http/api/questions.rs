//! Questions to the store that the pipeline fills.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use docmill_api::{Filter, Hit, StageError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::documents::query;
use crate::http::keys::Caller;
use crate::http::problem::Problem;
use crate::http::state::Shared;
use crate::query::{self, ContextQuery, Mode};

/// The longest question: some pages.
const LONGEST: usize = 16 << 10;
/// How much of a row is shown around what was found.
const SNIPPET: usize = 240;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    /// What is asked.
    q: String,
    /// How many rows, from 1 to 1000.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    k: Option<usize>,
    /// By meaning and words, by meaning, or by words.
    #[serde(default)]
    mode: SearchMode,
    /// Only rows of this session.
    #[serde(default)]
    session_id: Option<String>,
    /// Only rows of this user.
    #[serde(default)]
    user_id: Option<String>,
    /// Only rows whose metadata hold these values: a JSON object.
    #[serde(default)]
    metadata: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum SearchMode {
    #[default]
    Hybrid,
    Vector,
    Text,
}

/// Rows that were found, the best first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Hits {
    /// What was asked.
    query: String,
    /// Each with `snippet`: the part that shows why it was found, and the byte ranges in it that match.
    hits: Vec<Map<String, Value>>,
}

/// A question whose answer is to be packed for a model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContextRequest {
    /// What is asked.
    question: String,
    /// How many tokens the text may have; 8000 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4294967295_u32))]
    budget: Option<u32>,
    /// How many documents are considered, from 1 to 1000; 20 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    documents: Option<u32>,
    /// Only rows of this session.
    #[serde(default)]
    session_id: Option<String>,
    /// Only rows of this user.
    #[serde(default)]
    user_id: Option<String>,
    /// Only rows whose metadata hold these values.
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// What the store holds about a question, packed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ContextAnswer {
    /// What was asked.
    query: String,
    /// The text for a model.
    text: String,
    /// At least as many tokens as the text has.
    tokens: usize,
    /// How many there might have been.
    budget: usize,
    /// How many documents were considered.
    found: usize,
    /// The documents in the text, the best first, with their parts.
    sources: Vec<Value>,
}

pub(super) async fn search(
    State(service): State<Shared>,
    caller: Caller,
    asked: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Json<Hits>, Problem> {
    let asked = query(asked)?;
    let limit = asked.k.unwrap_or(5);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::unprocessable("`k` is from 1 to 1000"));
    }
    let metadata = match asked.metadata.as_deref().map(serde_json::from_str::<Map<String, Value>>) {
        None => Map::new(),
        Some(Ok(metadata)) => metadata,
        Some(Err(error)) => return Err(Problem::unprocessable(format!("`metadata` is no JSON object: {error}"))),
    };
    let text = question(asked.q)?;
    let filter = filter(&caller, asked.session_id, asked.user_id, metadata)?;
    let mode = match asked.mode {
        SearchMode::Hybrid => Mode::Hybrid,
        SearchMode::Vector => Mode::Vector,
        SearchMode::Text => Mode::Text,
    };
    let (store, provider) = service.parts.questions.open().await.map_err(closed)?;
    let query = query::Query { text, limit, mode, filter };
    let found = query::search(store.as_ref(), provider.as_deref(), &query).await.map_err(closed)?;
    let hits = found.iter().map(|hit| shown(hit, &query.text)).collect();
    Ok(Json(Hits { query: query.text, hits }))
}

fn shown(hit: &Hit, question: &str) -> Map<String, Value> {
    let cut = query::snippet(&hit.text, question, SNIPPET);
    let matches: Vec<[usize; 2]> = cut.matches.iter().map(|range| [range.start, range.end]).collect();
    let Value::Object(mut shown) = json!(hit) else { return Map::new() };
    shown.insert("snippet".into(), json!({ "text": cut.text, "matches": matches }));
    shown
}

pub(super) async fn context(
    State(service): State<Shared>,
    caller: Caller,
    asked: Result<Json<ContextRequest>, JsonRejection>,
) -> Result<Json<ContextAnswer>, Problem> {
    let Json(asked) = asked.map_err(|refused| Problem::new(refused.status(), refused.body_text()))?;
    let (budget, documents) = (asked.budget.unwrap_or(8_000), asked.documents.unwrap_or(20));
    if budget == 0 || !(1..=1000).contains(&documents) {
        return Err(Problem::unprocessable("`budget` is at least 1, `documents` from 1 to 1000"));
    }
    let query = ContextQuery {
        text: question(asked.question)?,
        budget: budget as usize,
        documents: documents as usize,
        filter: filter(&caller, asked.session_id, asked.user_id, asked.metadata)?,
    };
    let (store, provider) = service.parts.questions.open().await.map_err(closed)?;
    let packed = query::context(store.as_ref(), provider.as_deref(), &query).await.map_err(closed)?;
    let sources = packed.sources.iter().map(|source| json!(source)).collect();
    let (text, query::Context { tokens, budget, found, .. }) = (packed.render(str::to_owned), packed);
    Ok(Json(ContextAnswer { query: query.text, text, tokens, budget, found, sources }))
}

fn question(text: String) -> Result<String, Problem> {
    match text.trim().len() {
        0 => Err(Problem::unprocessable("the question is empty")),
        length if length > LONGEST => {
            Err(Problem::unprocessable(format!("the question has more than {LONGEST} bytes")))
        }
        _ => Ok(text),
    }
}

/// Which rows are looked at: never more than the caller sees.
fn filter(
    caller: &Caller,
    session_id: Option<String>,
    user_id: Option<String>,
    metadata: Map<String, Value>,
) -> Result<Filter, Problem> {
    let user_id = match (caller.user(), user_id) {
        (Some(own), Some(other)) if own != other => {
            return Err(Problem::forbidden(format!("this key is `{own}`'s: it sees no rows of another user")));
        }
        (Some(own), _) => Some(own.to_owned()),
        (None, given) => given,
    };
    if metadata.values().any(|value| value.is_object() || value.is_array() || value.is_null()) {
        return Err(Problem::unprocessable("`metadata` is compared by texts, numbers, true and false"));
    }
    Ok(Filter { session_id, user_id, metadata, ..Filter::default() })
}

/// The store or the model does not answer: what it lacks is told, since whoever asks can mend it or wait.
fn closed(error: StageError) -> Problem {
    if error.may_pass() {
        return error.into();
    }
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.message)
}
