//! Calls of a model: several at once, never one that is too long, each made again where its error may pass.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use docmill_api::{Answer, Chat, Conversation, StageError};
use futures::{StreamExt, stream};

use super::Event;
use super::prompt::size;

/// How many calls are under way at once: enough that reading takes a quarter of the time, and no more than a small
/// server of one's own takes. What a service can bear besides is the service's to say, behind the `Chat`.
const AT_ONCE: usize = 4;

/// How often a call is made again: after a second, doubled each time, so that it takes half a minute in all.
const AGAIN: usize = 5;
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(16);

/// Calls a model, and counts.
pub(super) struct Caller<'a> {
    chat: &'a dyn Chat,
    told: Mutex<&'a mut (dyn FnMut(Event<'_>) + Send)>,
    calls: AtomicUsize,
    prompt_tokens: AtomicU64,
    answer_tokens: AtomicU64,
}

impl<'a> Caller<'a> {
    pub(super) fn new(chat: &'a dyn Chat, told: &'a mut (dyn FnMut(Event<'_>) + Send)) -> Self {
        let (calls, prompt_tokens, answer_tokens) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Self { chat, told: Mutex::new(told), calls, prompt_tokens, answer_tokens }
    }

    pub(super) fn chat(&self) -> &'a dyn Chat {
        self.chat
    }

    pub(super) fn tell(&self, event: Event<'_>) {
        (self.told.lock().unwrap_or_else(PoisonError::into_inner))(event);
    }

    /// Calls that were made, tokens of their prompts and of their answers.
    pub(super) fn made(&self) -> (usize, u64, u64) {
        (self.calls.load(Relaxed), self.prompt_tokens.load(Relaxed), self.answer_tokens.load(Relaxed))
    }

    /// Takes notes, in the order of the calls. `read` says how many documents each call reads, where it does.
    ///
    /// # Errors
    /// The first that does not pass; what is under way is dropped.
    pub(super) async fn notes(
        &self,
        asked: Vec<Conversation>,
        read: Option<&[usize]>,
    ) -> Result<Vec<String>, StageError> {
        let mut notes = vec![String::new(); asked.len()];
        let calls = asked.into_iter().enumerate();
        let calls = calls.map(|(index, asked)| async move { (index, self.ask(&asked, false).await) });
        let mut calls = stream::iter(calls).buffer_unordered(AT_ONCE);
        let mut documents_so_far = 0;
        while let Some((index, answer)) = calls.next().await {
            notes[index] = answer?.text;
            if let Some(documents) = read.and_then(|read| read.get(index)) {
                documents_so_far += documents;
                self.tell(Event::Read { documents_so_far });
            }
        }
        Ok(notes)
    }

    /// Asks, and tells the answer as it comes.
    ///
    /// # Errors
    /// It does not pass.
    pub(super) async fn answer(&self, asked: &Conversation) -> Result<Answer, StageError> {
        self.ask(asked, true).await
    }

    async fn ask(&self, asked: &Conversation, is_told: bool) -> Result<Answer, StageError> {
        let (size, context) = (size(self.chat, asked), self.chat.context());
        if size > context {
            let message = format!("a call of {size} tokens was planned for a context of {context}: report it, please");
            return Err(StageError::fatal(message));
        }
        let mut delays = delays();
        loop {
            self.calls.fetch_add(1, Relaxed);
            let mut was_told = false;
            let mut heard = |piece: &str| {
                if is_told {
                    was_told = true;
                    self.tell(Event::Text(piece));
                }
            };
            let error = match self.chat.ask(asked, &mut heard).await {
                Ok(answer) => {
                    self.prompt_tokens.fetch_add(answer.prompt_tokens, Relaxed);
                    self.answer_tokens.fetch_add(answer.answer_tokens, Relaxed);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let Some(delay) = delays.next().filter(|_| error.may_pass()) else { return Err(error) };
            let delay = delay.max(error.retry_after.unwrap_or_default());
            self.tell(Event::Waiting { why: &error, delay });
            tokio::time::sleep(delay).await;
            if was_told {
                self.tell(Event::Again);
            }
        }
    }
}

fn delays() -> ExponentialBackoff {
    let delays = ExponentialBuilder::default().with_min_delay(FIRST_DELAY).with_max_delay(LAST_DELAY);
    delays.with_max_times(AGAIN).with_jitter().build()
}
