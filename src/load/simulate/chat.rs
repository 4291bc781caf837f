//! `POST /v1/chat/completions`: what may be asked, and the answer.

use docmill_api::Digest;
use serde::Deserialize;
use serde_json::json;

use super::answer::{Answer, Body, json, model};
use super::extract::{Extract, extract, within};
use super::refusal::Refusal;
use super::stats::Usage;
use super::stream::{Reply, events};
use super::{IMAGE_TOKENS, Settings, tokens};

/// A request that can be answered.
#[derive(Debug)]
pub(super) struct Request {
    id: String,
    model: String,
    messages: Vec<Message>,
    max_tokens: Option<usize>,
    stream: bool,
    include_usage: bool,
    prompt_tokens: usize,
}

#[derive(Deserialize)]
struct Wire {
    model: Option<String>,
    messages: Vec<Message>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`content` must be a string or an array of parts of type `text` or `image_url`")]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { text: String },
    ImageUrl { image_url: Image },
}

#[derive(Debug, Deserialize)]
struct Image {
    url: String,
}

/// When an answer was made, as it says: always the same, so that the answer is.
pub(super) const CREATED: u64 = 1_700_000_000;

impl Request {
    pub(super) fn read(body: &[u8], deployment: Option<&str>, settings: &Settings) -> Result<Self, Refusal> {
        let wire: Wire = serde_json::from_slice(body).map_err(|error| Refusal::unreadable(&error))?;
        let model = model(wire.model, deployment, settings)?;
        if wire.messages.is_empty() {
            return Err(Refusal::invalid("messages", "[] is too short - 'messages'"));
        }
        let max_tokens = wire.max_completion_tokens.or(wire.max_tokens);
        if max_tokens == Some(0) {
            return Err(Refusal::invalid("max_tokens", "0 is less than the minimum of 1 - 'max_tokens'"));
        }
        let request = Self {
            id: format!("chatcmpl-{}", &Digest::of(&[body]).to_string()[..24]),
            model,
            prompt_tokens: wire.messages.iter().map(Message::tokens).sum(),
            messages: wire.messages,
            max_tokens,
            stream: wire.stream.unwrap_or_default(),
            include_usage: wire.stream_options.is_some_and(|options| options.include_usage),
        };
        if request.images().any(|image| !image.url.starts_with("data:")) {
            let message = "Invalid image: only data URLs are read, this service fetches nothing.";
            return Err(Refusal::invalid("messages", message));
        }
        request.fits(settings.context)?;
        Ok(request)
    }

    fn fits(&self, context: usize) -> Result<(), Refusal> {
        let (prompt, completion) = (self.prompt_tokens, self.max_tokens.unwrap_or(0));
        let sum = prompt.saturating_add(completion);
        if sum <= context {
            return Ok(());
        }
        Err(Refusal::context(
            "messages",
            format!(
                "This model's maximum context length is {context} tokens. However, you requested {sum} tokens \
                 ({prompt} in the messages, {completion} in the completion). Please reduce the length of the messages \
                 or completion."
            ),
        ))
    }

    fn images(&self) -> impl Iterator<Item = &Image> {
        self.messages.iter().flat_map(Message::images)
    }

    fn text(&self) -> Extract {
        let seen: Vec<String> = self.images().map(Image::described).collect();
        if !seen.is_empty() {
            return within(&seen.join(" "), self.max_tokens);
        }
        let asked = self.messages.iter().rev().find(|message| message.role == "user").or(self.messages.last());
        extract(&asked.map(Message::text).unwrap_or_default(), self.max_tokens)
    }

    pub(super) fn answer(&self) -> Answer {
        let Extract { text, cut } = self.text();
        let usage = Usage {
            prompt_tokens: self.prompt_tokens,
            completion_tokens: tokens(&text),
            images: self.images().count(),
        };
        let reply = Reply {
            id: &self.id,
            model: &self.model,
            text: &text,
            finish: if cut { "length" } else { "stop" },
            usage: json!({
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.prompt_tokens + usage.completion_tokens,
            }),
        };
        let body = if self.stream { Body::Events(events(&reply, self.include_usage)) } else { whole(&reply) };
        Answer { body, usage }
    }
}

fn whole(reply: &Reply<'_>) -> Body {
    let message = json!({ "role": "assistant", "content": reply.text, "refusal": null });
    let value = json!({
        "id": reply.id,
        "object": "chat.completion",
        "created": CREATED,
        "model": reply.model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": reply.finish }],
        "usage": reply.usage,
    });
    Body::Whole(json(&value).into())
}

impl Message {
    fn images(&self) -> impl Iterator<Item = &Image> {
        let parts = match &self.content {
            Some(Content::Parts(parts)) => parts.as_slice(),
            _ => &[],
        };
        parts.iter().filter_map(|part| match part {
            Part::ImageUrl { image_url } => Some(image_url),
            Part::Text { .. } => None,
        })
    }

    fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                let texts = parts.iter().filter_map(|part| match part {
                    Part::Text { text } => Some(text.as_str()),
                    Part::ImageUrl { .. } => None,
                });
                texts.collect::<Vec<_>>().join("\n\n")
            }
        }
    }

    fn tokens(&self) -> usize {
        tokens(&self.text()) + self.images().count() * IMAGE_TOKENS
    }
}

impl Image {
    fn described(&self) -> String {
        let name = Digest::of(&[self.url.as_bytes()]).to_string();
        format!("An image of {} bytes, {}.", self.bytes(), &name[..8])
    }

    /// How many bytes the data URL holds, without decoding it.
    fn bytes(&self) -> usize {
        let Some((head, data)) = self.url.split_once(',') else { return 0 };
        if head.ends_with(";base64") { data.trim_end_matches('=').len() * 3 / 4 } else { data.len() }
    }
}
