//! A service that is full when a test says so, has no events, and answers with what hostile files are made of. The page
//! is the real one, read from the sources.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path as Part, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

/// A file's name, a document's text and an error that would do something if they were markup.
pub(super) const HOSTILE: &str = "<img src=x onerror=document.title='taken'>";

/// What the service was asked.
#[derive(Default)]
pub(super) struct Seen {
    /// How many uploads are refused before one is taken.
    pub(super) full_for: u32,
    /// Refusals, by idempotency key.
    pub(super) refused: BTreeMap<String, u32>,
    /// The documents, by id: the number of their upload.
    pub(super) documents: BTreeMap<String, Value>,
}

/// The service, until it is dropped.
pub(super) struct StandIn {
    pub(super) url: String,
    pub(super) seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl StandIn {
    /// Refuses the first uploads, so many of them; wants the key, if there is one.
    pub(super) async fn start(full_for: u32, key: Option<&'static str>) -> Self {
        let seen = Arc::new(Mutex::new(Seen { full_for, ..Seen::default() }));
        let guard = move |request: Request, next: Next| async move {
            let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            let wanted = key.filter(|_| request.uri().path().starts_with("/v1/"));
            match wanted {
                Some(key) if given != Some(&format!("Bearer {key}")) => {
                    problem(StatusCode::UNAUTHORIZED, "a key is wanted")
                }
                _ => next.run(request).await,
            }
        };
        let router = Router::new()
            .route("/", get(async || file("index.html")))
            .route("/assets/{name}", get(async |Part(name): Part<String>| file(&name)))
            .route("/v1/documents", post(upload).get(list))
            .route("/v1/documents/{id}", get(document).delete(forget))
            .route("/v1/search", get(search))
            .route("/v1/snapshot", get(async || Json(json!({ "pipeline": HOSTILE, "stages": [{ "id": HOSTILE }] }))))
            .fallback(async |uri: Uri| problem(StatusCode::NOT_FOUND, uri.path()))
            .layer(from_fn(guard))
            .with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, seen, task }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Shared = State<Arc<Mutex<Seen>>>;

fn file(name: &str) -> Response {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/page").join(name);
    let media_type = match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        _ => "text/javascript",
    };
    match std::fs::read(path) {
        Ok(bytes) => ([(CONTENT_TYPE, media_type)], bytes).into_response(),
        Err(_) => problem(StatusCode::NOT_FOUND, name),
    }
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({ "type": "about:blank", "status": status.as_u16(), "detail": detail });
    (status, Json(body)).into_response()
}

async fn upload(State(seen): Shared, headers: HeaderMap, body: axum::body::Bytes) -> Response {
    assert!(!body.is_empty());
    let key = headers["idempotency-key"].to_str().expect("text").to_owned();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.full_for > 0 {
        seen.full_for -= 1;
        *seen.refused.entry(key).or_default() += 1;
        let answer = problem(StatusCode::SERVICE_UNAVAILABLE, "the queue is full");
        return ([(RETRY_AFTER, "1")], answer).into_response();
    }
    let id = seen.documents.len().to_string();
    let document = json!({ "id": id, "state": "queued", "filename": HOSTILE, "changed": "2026-11-26T08:00:00Z" });
    seen.documents.insert(id, document.clone());
    (StatusCode::ACCEPTED, Json(document)).into_response()
}

/// Whatever is asked for one by one is done by then, or failed: every second one.
async fn document(State(seen): Shared, Part(id): Part<String>) -> Response {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(document) = seen.documents.get_mut(&id) else { return problem(StatusCode::NOT_FOUND, "no such document") };
    let failed = id.parse::<u32>().is_ok_and(|number| number % 2 == 1);
    document["state"] = if failed { "failed" } else { "done" }.into();
    if failed {
        document["error"] = HOSTILE.into();
    } else {
        document["result"] = json!({ "success": true, "total_chunks": 3, "token_count": 900, "summary": HOSTILE });
    }
    Json(document.clone()).into_response()
}

async fn forget(State(seen): Shared, Part(id): Part<String>) -> StatusCode {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.documents.remove(&id).is_some() { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn list(State(seen): Shared) -> Response {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let documents: Vec<&Value> = seen.documents.values().collect();
    Json(json!({ "documents": documents, "total": documents.len(), "next": null })).into_response()
}

/// One hit whose word stands behind letters of two, three and four bytes.
async fn search() -> Response {
    let text = format!("Zürich 水車 𝄞 {HOSTILE} and the mill's wheel");
    let from = text.find("mill").expect("it is there");
    let hit = json!({
        "id": "1", "document": "0", "filename": HOSTILE, "title": HOSTILE, "heading": ["Accounts", "1843"], "page": 7, "line_start": 3, "line_end": 9,
        "text": text, "snippet": { "text": text, "matches": [[from, from + "mill".len()]] },
    });
    Json(json!({ "query": "mill", "hits": [hit] })).into_response()
}
