//! Which address means what.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use super::call::{authorise, serve};
use super::chat::CREATED;
use super::refusal::Refusal;
use super::server::Shared;
use super::{Endpoint, Stats};

type Server = State<Arc<Shared>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/embeddings", post(embeddings))
        .route("/openai/deployments/{name}/chat/completions", post(deployed_chat))
        .route("/openai/deployments/{name}/embeddings", post(deployed_embeddings))
        .route("/v1/models", get(models))
        .route("/health", get(health))
        .route("/stats", get(stats))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(shared)
}

async fn chat(State(shared): Server, request: Request) -> Response {
    serve(shared, Endpoint::Chat, None, request).await
}

async fn embeddings(State(shared): Server, request: Request) -> Response {
    serve(shared, Endpoint::Embeddings, None, request).await
}

async fn deployed_chat(State(shared): Server, Path(name): Path<String>, request: Request) -> Response {
    serve(shared, Endpoint::Chat, Some(name), request).await
}

async fn deployed_embeddings(State(shared): Server, Path(name): Path<String>, request: Request) -> Response {
    serve(shared, Endpoint::Embeddings, Some(name), request).await
}

async fn models(State(shared): Server, headers: HeaderMap) -> Response {
    if let Err(refusal) = authorise(&shared.settings, &headers) {
        return refusal.into_response();
    }
    let any = ["simulated".to_owned()];
    let models = if shared.settings.models.is_empty() { &any[..] } else { &shared.settings.models[..] };
    let model = |id: &String| json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "docmill" });
    Json(json!({ "object": "list", "data": models.iter().map(model).collect::<Vec<_>>() })).into_response()
}

async fn health() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

async fn stats(State(shared): Server) -> Json<Stats> {
    Json(shared.stats())
}

async fn unknown(request: Request) -> Response {
    Refusal::route(request.method().as_str(), request.uri().path()).into_response()
}

async fn not_allowed(request: Request) -> Response {
    Refusal::method(request.method().as_str(), request.uri().path()).into_response()
}
