//! The stage with a model: a text in, one chunk of part `summary` out.
//!
//! A text that fits into the model's context is one call. A longer one is read part by part, each giving notes; the
//! notes are summarised, in as many rounds as it takes until they fit into one call. Each answer is kept by what was
//! asked, so that an attempt that is cut short goes on where it was.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use async_trait::async_trait;
use bytes::Bytes;
use docmill_api::{ByteString, Context, Conversation, Digest, Outputs, Payload, Record, Stage, StageError, Text};
use docmill_llm::{Class, Llm, tokens};

use crate::config::{Config, PROMPT};
use crate::prompt::{self, Task};
use crate::stage::row;

/// The least room for a document in one call: below it a service that finds everything too long is believed.
const LEAST_ROOM: usize = 256;
/// How long the notes of one part are at most. An eighth of the usual context, so that a round of notes is an eighth of
/// what it was made of.
const NOTES: usize = 512;

/// Summarises texts by asking a model.
pub(crate) struct SummarizeByModel {
    llm: Llm,
    config: Config,
    /// How many tokens of material one call holds. The service may teach that it is less than the settings say.
    room: AtomicUsize,
}

impl SummarizeByModel {
    pub(crate) fn new(llm: Llm, config: Config) -> Self {
        let mut stage = Self { llm, config, room: AtomicUsize::new(0) };
        let frame = prompt::frame(&Task::summary(&stage.task("", "")));
        let room = stage.llm.settings().context.saturating_sub(frame + stage.answer().max(NOTES)).max(LEAST_ROOM);
        *stage.room.get_mut() = room;
        stage
    }

    /// How many tokens a summary may have: three for a word hold also where words are long or are written one by one.
    fn answer(&self) -> usize {
        self.config.words as usize * 3
    }

    fn task(&self, filename: &str, title: &str) -> String {
        let template = if self.config.prompt.trim().is_empty() { PROMPT } else { &self.config.prompt };
        let words = self.config.words.to_string();
        prompt::filled(template, &[("{words}", &words), ("{filename}", filename), ("{title}", title)])
    }

    async fn summary(&self, cx: &Context, record: &Record, text: &Text) -> Result<String, StageError> {
        let title = text.title.as_deref().unwrap_or_default();
        let task = self.task(&record.document.filename, title);
        loop {
            let room = self.room.load(Relaxed);
            match self.summary_within(cx, &text.content, &task, room).await {
                Err(Failed::TooLong(error)) => {
                    if room <= LEAST_ROOM {
                        return Err(error);
                    }
                    tracing::warn!(
                        room,
                        "the model's context is smaller than `context` says, reading in smaller parts"
                    );
                    let _ = self.room.compare_exchange(room, (room / 2).max(LEAST_ROOM), Relaxed, Relaxed);
                }
                Err(Failed::Otherwise(error)) => return Err(error),
                Ok(summary) => return Ok(summary),
            }
        }
    }

    /// Reads a text in parts of `room` tokens, then their notes, until what there is fits into one call.
    async fn summary_within(&self, cx: &Context, text: &ByteString, task: &str, room: usize) -> Result<String, Failed> {
        let mut material = text.clone();
        // A round of notes is at most half as long as what it was made of: notes are at most a quarter of the room.
        let notes = NOTES.min(room / 4);
        let mut round = 0;
        loop {
            let parts = self.parts(&material, room).await?;
            if let [only] = parts.as_slice() {
                let task = if round == 0 { Task::summary(task) } else { Task::of_notes(task) };
                return self.ask(cx, &task, only, self.answer()).await;
            }
            let mut joined = String::new();
            for (index, part) in parts.iter().enumerate() {
                let task = Task::notes(index + 1, parts.len(), round);
                joined.push_str(&self.ask(cx, &task, part, notes).await?);
                joined.push_str("\n\n");
            }
            if joined.len() >= material.len() {
                let error = StageError::rejected("the model's notes are longer than what it read");
                return Err(Failed::Otherwise(error));
            }
            material = joined.into();
            round += 1;
        }
    }

    /// The parts of a text, off the event loop: counting the tokens of a long one takes a while.
    async fn parts(&self, text: &ByteString, room: usize) -> Result<Vec<String>, Failed> {
        let (text, most) = (text.clone(), self.config.max_parts as usize);
        let cut = move || {
            let ranges = tokens::parts(&text, room);
            let step = ranges.len().div_ceil(most).max(1);
            ranges.into_iter().step_by(step).map(|range| text[range].to_owned()).collect()
        };
        tokio::task::spawn_blocking(cut)
            .await
            .map_err(|error| Failed::Otherwise(StageError::rejected(format!("cutting the text: {error}"))))
    }

    async fn ask(&self, cx: &Context, task: &Task, material: &str, max_tokens: usize) -> Result<String, Failed> {
        let messages = prompt::messages(task, material);
        let settings = self.llm.settings();
        let asked: Vec<&[u8]> = messages.iter().map(|message| message.text.as_bytes()).collect();
        let temperature = settings.temperature.to_le_bytes();
        let most = max_tokens.to_le_bytes();
        let mut key: Vec<&[u8]> = vec![b"docmill: an answer", settings.model.as_bytes(), &temperature, &most];
        key.extend(asked);
        let key = Digest::of(&key);
        cx.clock.restart();
        let mut too_long = false;
        let call = async {
            let conversation = Conversation { messages, max_tokens };
            let answer = self.llm.complete(&cx.clock, &conversation).await.map_err(|error| {
                too_long = error.class == Class::TooLong;
                self.llm.for_stage(error)
            })?;
            Ok(Bytes::from(answer.text))
        };
        match cx.paid.once(key, call).await {
            Ok(answer) => Ok(String::from_utf8_lossy(&answer).into_owned()),
            Err(error) if too_long => Err(Failed::TooLong(error)),
            Err(error) => Err(Failed::Otherwise(error)),
        }
    }
}

enum Failed {
    /// A part does not fit: smaller ones may.
    TooLong(StageError),
    Otherwise(StageError),
}

#[async_trait]
impl Stage for SummarizeByModel {
    async fn process(&self, cx: &Context, input: Record) -> Result<Outputs, StageError> {
        let Payload::Text(text) = &input.payload else {
            return Err(StageError::unexpected(input.payload.kind()));
        };
        if is_short(&text.content, self.config.words as usize) {
            return Ok(Outputs::skipped("no longer than a summary of it would be"));
        }
        let summary = self.summary(cx, &input, text).await?;
        Ok(Outputs::one(input.derive(Payload::Chunks(row(text, summary, &self.config.encoding)?))))
    }
}

/// Whether a text has no more than so many words. One without spaces is measured by its characters, two to a word.
fn is_short(text: &str, words: usize) -> bool {
    text.split_whitespace().nth(words).is_none() && text.chars().nth(words * 8).is_none()
}
