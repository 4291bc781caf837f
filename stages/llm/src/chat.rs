//! Questions to a model that talks, with an image or without.

use std::sync::atomic::Ordering::Relaxed;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use docmill_api::{Answer, Chat, Clock, Conversation, Speaker, StageError, async_trait};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{Llm, Used};
use crate::error::{CallError, Class};
use crate::tokens;

/// What an image costs in tokens, for the limits: OpenAI's price of a tile of high detail times four. What the model
/// really takes is counted from its answer.
const IMAGE_TOKENS: usize = 765;

/// An image to be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Its media type.
    pub media_type: &'a str,
    /// Its content.
    pub bytes: &'a [u8],
}

/// An answer of a service of this shape. Fields that servers leave out are forgiven.
#[derive(Debug, Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default, alias = "delta")]
    message: Said,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// Tokens as a service counts them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl From<Option<Tokens>> for Used {
    fn from(tokens: Option<Tokens>) -> Self {
        let Tokens { prompt_tokens, completion_tokens } = tokens.unwrap_or_default();
        Self { input: prompt_tokens, output: completion_tokens }
    }
}

impl Llm {
    /// The tokens of a conversation, its answer included: what has to fit into the model's context.
    #[must_use]
    pub fn tokens(&self, conversation: &Conversation) -> usize {
        let messages = conversation.messages.iter().map(|message| tokens::count(&message.text) + tokens::MESSAGE);
        messages.sum::<usize>() + conversation.max_tokens
    }

    /// Asks, and gives the whole answer.
    ///
    /// # Errors
    /// See [`Class`].
    pub async fn complete(&self, clock: &Clock, conversation: &Conversation) -> Result<Answer, CallError> {
        let call = self.turn(clock, 1, self.tokens(conversation)).await?;
        self.completed(call, self.request(conversation, None)).await
    }

    /// Asks about an image.
    ///
    /// # Errors
    /// See [`Class`].
    pub async fn look(
        &self,
        clock: &Clock,
        conversation: &Conversation,
        image: Image<'_>,
    ) -> Result<Answer, CallError> {
        let call = self.turn(clock, 1, self.tokens(conversation) + IMAGE_TOKENS).await?;
        self.completed(call, self.request(conversation, Some(image))).await
    }

    async fn completed(&self, call: crate::client::Call<'_>, request: Value) -> Result<Answer, CallError> {
        let chat = self.client.chat();
        let asked = chat.create_byot::<_, Completion>(request);
        let completion = call
            .answer(asked, |completion| {
                let used = completion.usage.into();
                check(&completion)?;
                Ok((completion, used))
            })
            .await?;
        let used = Used::from(completion.usage);
        let choice = completion.choices.into_iter().next();
        let cut = choice.as_ref().is_some_and(|choice| choice.finish_reason.as_deref() == Some("length"));
        let text = choice.and_then(|choice| choice.message.content).unwrap_or_default();
        let text = without_thoughts(&text).trim().to_owned();
        Ok(Answer { text, prompt_tokens: used.input, answer_tokens: used.output, cut })
    }

    fn request(&self, conversation: &Conversation, image: Option<Image<'_>>) -> Value {
        let last = conversation.messages.len().saturating_sub(1);
        let messages = conversation.messages.iter().enumerate().map(|(index, message)| {
            let role = match message.speaker {
                Speaker::System => "system",
                Speaker::User => "user",
            };
            let content = match image.filter(|_| index == last) {
                None => json!(message.text),
                Some(Image { media_type, bytes }) => {
                    let url = format!("data:{media_type};base64,{}", STANDARD.encode(bytes));
                    json!([{ "type": "text", "text": message.text }, { "type": "image_url", "image_url": { "url": url } }])
                }
            };
            json!({ "role": role, "content": content })
        });
        let settings = &self.settings;
        // OpenAI's newer models know the newer name alone, everybody else's servers the older.
        let theirs = settings.base_url.is_empty() || !settings.api_version.is_empty();
        let most = if theirs { "max_completion_tokens" } else { "max_tokens" };
        let mut request = json!({ "model": settings.model, "messages": messages.collect::<Vec<_>>() });
        request[most] = json!(conversation.max_tokens);
        if settings.temperature >= 0.0 {
            request["temperature"] = json!(settings.temperature);
        }
        request
    }
}

/// Whether an answer is one.
fn check(completion: &Completion) -> Result<(), CallError> {
    let Some(choice) = completion.choices.first() else {
        return Err(CallError::new(Class::Garbage, "answered without an answer: it has no `choices`"));
    };
    let refused = choice.message.refusal.as_deref().filter(|refusal| !refusal.is_empty());
    if refused.is_some() || choice.finish_reason.as_deref() == Some("content_filter") {
        return Err(CallError::new(Class::Refused, "refuses to answer: its content filter says so"));
    }
    let text = choice.message.content.as_deref().unwrap_or_default();
    if without_thoughts(text).trim().is_empty() {
        let cut = choice.finish_reason.as_deref() == Some("length");
        let why = if cut { ": its thoughts took all the tokens that an answer may have" } else { "" };
        return Err(CallError::new(Class::Garbage, format!("answered with an empty text{why}")));
    }
    Ok(())
}

/// An answer without what the model thought aloud before it, as some do in a text of their own marks.
fn without_thoughts(text: &str) -> &str {
    match (text.trim_start().starts_with("<think>"), text.split_once("</think>")) {
        (true, Some((_, answer))) => answer,
        (true, None) => "",
        (false, _) => text,
    }
}

/// The part of an answer under way that may be shown: nothing while it is, or may become, a thought.
fn aloud(text: &str) -> &str {
    const THOUGHT: &str = "<think>";
    let start = text.trim_start();
    if start.starts_with(THOUGHT) {
        return without_thoughts(text).trim_start();
    }
    if THOUGHT.starts_with(start) { "" } else { start }
}

#[async_trait]
impl Chat for Llm {
    fn model(&self) -> &str {
        &self.settings.model
    }

    fn context(&self) -> usize {
        self.settings.context
    }

    fn count(&self, text: &str) -> usize {
        tokens::count(text) + tokens::MESSAGE
    }

    async fn ask(
        &self,
        conversation: &Conversation,
        heard: &mut (dyn for<'a> FnMut(&'a str) + Send),
    ) -> Result<Answer, StageError> {
        let asked = async {
            let call = self.turn(&Clock::default(), 1, self.tokens(conversation)).await?;
            let mut request = self.request(conversation, None);
            request["stream"] = json!(true);
            request["stream_options"] = json!({ "include_usage": true });
            let chat = self.client.chat();
            let mut answer = Answer::default();
            let refused = std::sync::atomic::AtomicBool::new(false);
            let streamed = async {
                let mut told = 0;
                let mut stream = chat.create_stream_byot::<_, Completion>(request).await?;
                while let Some(piece) = stream.next().await {
                    let piece = piece?;
                    if piece.usage.is_some() {
                        let used = Used::from(piece.usage);
                        (answer.prompt_tokens, answer.answer_tokens) = (used.input, used.output);
                    }
                    let Some(choice) = piece.choices.into_iter().next() else { continue };
                    answer.cut |= choice.finish_reason.as_deref() == Some("length");
                    refused.fetch_or(choice.finish_reason.as_deref() == Some("content_filter"), Relaxed);
                    if let Some(text) = choice.message.content.filter(|text| !text.is_empty()) {
                        answer.text.push_str(&text);
                        let said = aloud(&answer.text);
                        heard(&said[told.min(said.len())..]);
                        told = told.max(said.len());
                    }
                }
                answer.text = aloud(&answer.text).to_owned();
                Ok(answer)
            };
            call.answer(streamed, |answer| match (refused_or_empty(refused.load(Relaxed), &answer), &answer) {
                (Some(error), _) => Err(error),
                (None, Answer { prompt_tokens, answer_tokens, .. }) => {
                    let used = Used { input: *prompt_tokens, output: *answer_tokens };
                    Ok((answer, used))
                }
            })
            .await
        };
        asked.await.map_err(|error: CallError| self.for_stage(error))
    }
}

fn refused_or_empty(refused: bool, answer: &Answer) -> Option<CallError> {
    match () {
        () if refused => Some(CallError::new(Class::Refused, "refuses to answer: its content filter says so")),
        () if answer.text.trim().is_empty() => Some(CallError::new(Class::Garbage, "answered with an empty text")),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_not_told() {
        assert_eq!(without_thoughts("<think>hm</think>\n\nFlour."), "\n\nFlour.");
        assert_eq!(without_thoughts("Flour <think>"), "Flour <think>");
        let mut told = String::new();
        for whole in
            ["", "<", "<thi", "<think>a", "<think>a</think>", "<think>a</think>\nFl", "<think>a</think>\nFlour."]
        {
            let said = aloud(whole);
            told.push_str(&said[told.len()..]);
        }
        assert_eq!(told, "Flour.");
        assert_eq!((aloud(" <b"), aloud(" Fl")), ("<b", "Fl"));
    }
}
