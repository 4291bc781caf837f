//! A chat's answer as server-sent events: a word each, as OpenAI streams tokens.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::chat::CREATED;
use super::tokens;

/// What a chat is answered.
pub(super) struct Reply<'a> {
    pub(super) id: &'a str,
    pub(super) model: &'a str,
    pub(super) text: &'a str,
    pub(super) finish: &'static str,
    pub(super) usage: Value,
}

/// The events, each with the tokens that it brings; the last is `[DONE]`.
pub(super) fn events(reply: &Reply<'_>, include_usage: bool) -> Vec<(Bytes, usize)> {
    let chunk = |choices: Value, usage: Option<&Value>| {
        let mut value = json!({
            "id": reply.id,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": reply.model,
            "choices": choices,
        });
        if include_usage {
            value["usage"] = usage.cloned().unwrap_or(Value::Null);
        }
        Bytes::from(format!("data: {value}\n\n"))
    };
    let delta = |delta: Value, finish: Option<&str>| {
        chunk(json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]), None)
    };
    let mut events = vec![(delta(json!({ "role": "assistant", "content": "" }), None), 0)];
    let words = reply.text.split_inclusive(char::is_whitespace);
    events.extend(words.map(|word| (delta(json!({ "content": word }), None), tokens(word))));
    events.push((delta(json!({}), Some(reply.finish)), 0));
    if include_usage {
        events.push((chunk(json!([]), Some(&reply.usage)), 0));
    }
    events.push((Bytes::from_static(b"data: [DONE]\n\n"), 0));
    events
}
