//! `POST /v1/embeddings`: what may be asked, and the answer.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{Answer, Body, json, model};
use super::refusal::Refusal;
use super::stats::Usage;
use super::vector::{base64, vector};
use super::{Settings, tokens};

/// A request that can be answered.
#[derive(Debug)]
pub(super) struct Request {
    model: String,
    texts: Vec<String>,
    dimensions: usize,
    encoding: Encoding,
    tokens: usize,
}

#[derive(Deserialize)]
struct Wire {
    model: Option<String>,
    input: Input,
    dimensions: Option<usize>,
    #[serde(default)]
    encoding_format: Encoding,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`input` must be a string or an array of strings; token arrays are not simulated")]
enum Input {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: &'a [Embedding],
    model: &'a str,
    usage: serde_json::Value,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Numbers,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Numbers {
    Float(Vec<f32>),
    Base64(String),
}

impl Request {
    pub(super) fn read(body: &[u8], deployment: Option<&str>, settings: &Settings) -> Result<Self, Refusal> {
        let wire: Wire = serde_json::from_slice(body).map_err(|error| Refusal::unreadable(&error))?;
        let model = model(wire.model, deployment, settings)?;
        let texts = match wire.input {
            Input::One(text) => vec![text],
            Input::Many(texts) => texts,
        };
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err(Refusal::invalid("input", "'$.input' is invalid: an input must not be empty"));
        }
        if texts.len() > settings.batch_items {
            let (given, limit) = (texts.len(), settings.batch_items);
            return Err(Refusal::invalid("input", format!("{given} inputs; the maximum array length is {limit}")));
        }
        let counts: Vec<usize> = texts.iter().map(|text| tokens(text)).collect();
        let context = settings.context;
        if let Some(count) = counts.iter().find(|count| **count > context) {
            let message = format!(
                "This model's maximum context length is {context} tokens, however you requested {count} tokens \
                 ({count} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
            );
            return Err(Refusal::context("input", message));
        }
        let tokens: usize = counts.iter().sum();
        if tokens > settings.batch_tokens {
            let limit = settings.batch_tokens;
            return Err(Refusal::invalid("input", format!("{tokens} tokens; the maximum per request is {limit}")));
        }
        let dimensions = wire.dimensions.unwrap_or(settings.dimensions);
        if !(2..=settings.dimensions).contains(&dimensions) {
            let message = format!("{dimensions} dimensions; this model gives 2 to {}", settings.dimensions);
            return Err(Refusal::invalid("dimensions", message));
        }
        Ok(Self { model, texts, dimensions, encoding: wire.encoding_format, tokens })
    }

    pub(super) fn answer(&self, short: bool) -> Answer {
        let embed = |(index, text): (usize, &String)| {
            let mut vector = vector(text, self.dimensions);
            vector.truncate(self.dimensions - usize::from(short));
            let embedding = match self.encoding {
                Encoding::Float => Numbers::Float(vector),
                Encoding::Base64 => Numbers::Base64(base64(&vector)),
            };
            Embedding { object: "embedding", index, embedding }
        };
        let data: Vec<Embedding> = self.texts.iter().enumerate().map(embed).collect();
        let usage = json!({ "prompt_tokens": self.tokens, "total_tokens": self.tokens });
        let body = json(&List { object: "list", data: &data, model: &self.model, usage });
        let usage = Usage { prompt_tokens: self.tokens, ..Usage::default() };
        Answer { body: Body::Whole(body.into()), usage }
    }
}
