//! A request that was read and found answerable, and the answer to it: what both services have in common.

use axum::body::Bytes;
use serde::Serialize;

use super::refusal::Refusal;
use super::stats::Usage;
use super::{Endpoint, Settings, chat, embeddings};

/// A request that can be answered.
#[derive(Debug)]
pub(super) enum Request {
    Chat(chat::Request),
    Embeddings(embeddings::Request),
}

/// An answer, ready to be sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) usage: Usage,
}

#[derive(Debug)]
pub(super) enum Body {
    Whole(Bytes),
    /// Server-sent events, each with the tokens that it brings.
    Events(Vec<(Bytes, usize)>),
}

impl Request {
    /// Reads a request and checks it against the settings. `deployment` is the model that an address names.
    pub(super) fn read(
        endpoint: Endpoint,
        body: &[u8],
        deployment: Option<&str>,
        settings: &Settings,
    ) -> Result<Self, Refusal> {
        match endpoint {
            Endpoint::Chat => chat::Request::read(body, deployment, settings).map(Self::Chat),
            Endpoint::Embeddings => embeddings::Request::read(body, deployment, settings).map(Self::Embeddings),
        }
    }

    /// The answer; `short` leaves out one number of every vector. The same request is always given the same.
    pub(super) fn answer(&self, short: bool) -> Answer {
        match self {
            Self::Chat(request) => request.answer(),
            Self::Embeddings(request) => request.answer(short),
        }
    }
}

/// The model that a call is for.
pub(super) fn model(named: Option<String>, deployment: Option<&str>, settings: &Settings) -> Result<String, Refusal> {
    let model = deployment.map(str::to_owned).or(named);
    let model = model.ok_or_else(|| Refusal::invalid("model", "you must provide a model parameter"))?;
    if settings.models.is_empty() || settings.models.contains(&model) { Ok(model) } else { Err(Refusal::model(&model)) }
}

/// JSON of what has only names and numbers.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("names are texts, and memory takes what is written")
}
