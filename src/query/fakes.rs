//! A store of made-up documents and models that answer at once, for the tests of this room.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use docmill_api::{
    Answer, Chat, Conversation, Embedding, Filter, Hit, Listed, Provider, Search, Speaker, StageError, StoreInfo,
};

/// A store that finds its rows by the score that they were made with.
#[derive(Default)]
pub(crate) struct FakeStore {
    pub(crate) rows: Vec<Hit>,
    /// How many rows each search was asked for.
    pub(crate) asked: Mutex<Vec<usize>>,
}

/// A tokenizer to be exact with: every word is a token, and every line end.
pub(crate) fn words(text: &str) -> usize {
    text.split_whitespace().count() + text.matches('\n').count()
}

/// A row that says `text`.
pub(crate) fn row(document: usize, part: &str, ordinal: i32, score: f32, text: &str) -> Hit {
    Hit {
        id: format!("{document}-{part}-{ordinal}"),
        document: format!("d{document}"),
        version: "v".into(),
        uri: format!("file:///papers/paper%20{document}.txt"),
        filename: format!("paper {document}.txt"),
        media_type: "text/plain".into(),
        title: Some(format!("Paper {document}")),
        part: part.into(),
        ordinal,
        page: (part == "chunk").then_some(ordinal + 1),
        line_start: None,
        line_end: None,
        heading: Vec::new(),
        text: text.into(),
        tokens: i32::try_from(words(text)).expect("short"),
        score,
        ingested_at: 0,
    }
}

/// A text of so many words that no other row has.
pub(crate) fn text(document: usize, part: &str, ordinal: i32, words: usize) -> String {
    let words: Vec<String> = (0..words).map(|word| format!("{part}{document}x{ordinal}w{word}")).collect();
    words.join(" ")
}

impl FakeStore {
    /// `documents` of a summary and `chunks` of `words` words each, the first documents best; every second chunk is
    /// found.
    pub(crate) fn of(documents: usize, chunks: i32, words: usize) -> Self {
        let mut rows = Vec::new();
        for document in 0..documents {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let score = |ordinal: i32| 1_000.0 - document as f32 - (ordinal as f32) / 100.0;
            for ordinal in 0..chunks {
                let found = if ordinal % 2 == 0 { score(ordinal) } else { 0.0 };
                rows.push(row(document, "chunk", ordinal, found, &text(document, "chunk", ordinal, words)));
            }
            rows.push(row(document, "summary", 0, 0.0, &text(document, "summary", 0, 12)));
        }
        Self { rows, asked: Mutex::default() }
    }

    fn best(&self, limit: usize) -> Vec<Hit> {
        self.asked.lock().expect("no panic").push(limit);
        let mut hits: Vec<Hit> = self.rows.iter().filter(|row| row.score > 0.0).cloned().collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score));
        hits.truncate(limit);
        hits
    }
}

#[async_trait]
impl Search for FakeStore {
    async fn info(&self) -> Result<StoreInfo, StageError> {
        Ok(StoreInfo { rows: self.rows.len() as u64, embedding: Some(FakeModel.embedding()) })
    }

    async fn nearest(&self, _: &[f32], limit: usize, _: &Filter) -> Result<Vec<Hit>, StageError> {
        Ok(self.best(limit))
    }

    async fn matching(&self, _: &str, limit: usize, _: &Filter) -> Result<Vec<Hit>, StageError> {
        Ok(self.best(limit))
    }

    async fn rows(
        &self,
        documents: &[String],
        part: Option<&str>,
        limit: usize,
        _: &Filter,
    ) -> Result<Vec<Hit>, StageError> {
        let of = |document: &String| {
            let rows =
                self.rows.iter().filter(|row| row.document == *document && part.is_none_or(|part| part == row.part));
            rows.take(limit).cloned().map(|row| Hit { score: 0.0, ..row }).collect::<Vec<_>>()
        };
        Ok(documents.iter().flat_map(of).collect())
    }

    async fn documents(&self, _: Option<&str>, _: usize, _: &Filter) -> Result<Listed, StageError> {
        Ok(Listed::default())
    }
}

/// A model that gives every text the same vector.
pub(crate) struct FakeModel;

#[async_trait]
impl Provider for FakeModel {
    fn embedding(&self) -> Embedding {
        Embedding { model: "fake".into(), dimensions: 2 }
    }

    async fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, StageError> {
        Ok(vec![vec![1.0, 0.0]; texts.len()])
    }
}

/// A model that answers with the source marks that it was shown, counts as [`words`] does, and remembers.
pub(crate) struct FakeChat {
    pub(crate) context: usize,
    /// What calls end with, before all others are answered; after a piece of an answer.
    pub(crate) failures: Mutex<VecDeque<StageError>>,
    pub(crate) asked: Mutex<Vec<Conversation>>,
    /// Calls under way, and the most that there were.
    under_way: AtomicUsize,
    pub(crate) most: AtomicUsize,
}

impl FakeChat {
    pub(crate) fn new(context: usize) -> Self {
        Self {
            context,
            failures: Mutex::default(),
            asked: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }

    pub(crate) fn calls(&self) -> Vec<Conversation> {
        self.asked.lock().expect("no panic").clone()
    }

    /// What a call takes, by its own count.
    pub(crate) fn size(&self, asked: &Conversation) -> usize {
        asked.messages.iter().map(|message| self.count(&message.text)).sum::<usize>() + asked.max_tokens
    }
}

/// What the user says in a call.
pub(crate) fn said(asked: &Conversation) -> &str {
    let message = asked.messages.iter().find(|message| message.speaker == Speaker::User);
    message.map(|message| message.text.as_str()).expect("somebody asks")
}

#[async_trait]
impl Chat for FakeChat {
    fn model(&self) -> &str {
        "fake"
    }

    fn context(&self) -> usize {
        self.context
    }

    fn count(&self, text: &str) -> usize {
        words(text) + 3
    }

    async fn ask(
        &self,
        asked: &Conversation,
        heard: &mut (dyn for<'a> FnMut(&'a str) + Send),
    ) -> Result<Answer, StageError> {
        self.asked.lock().expect("no panic").push(asked.clone());
        let under_way = self.under_way.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(under_way, SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.under_way.fetch_sub(1, SeqCst);
        heard("It says ");
        let failure = self.failures.lock().expect("no panic").pop_front();
        if let Some(failure) = failure {
            return Err(failure);
        }
        let mut marks: Vec<&str> = said(asked).split(['[', ']']).skip(1).step_by(2).collect();
        marks.sort_unstable();
        marks.dedup();
        marks.truncate(asked.max_tokens.saturating_sub(2));
        let cited: String = marks.iter().map(|mark| format!("[{mark}] ")).collect();
        heard(&cited);
        Ok(Answer { text: format!("It says {cited}"), prompt_tokens: 10, answer_tokens: 2, cut: false })
    }
}
