//! The stage with a model service: chunks in, the same chunks with a vector each out, a batch in as few calls as the
//! service allows.
//!
//! Each text's vector is kept as soon as it is paid for, by what was asked: after a crash, or when a text comes again,
//! it is not asked for again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use async_trait::async_trait;
use bytes::Bytes;
use docmill_api::{Chunks, Context, Digest, Outputs, Payload, Record, Stage, StageError, Vectors};
use docmill_llm::{CallError, Caps, Class, Item, Llm, pack};

use crate::config::Request;

/// Embeds chunks by asking a service.
pub(crate) struct EmbedByService {
    llm: Llm,
    caps: Caps,
    /// Whether the service ever gave a vector of the right length.
    right_length: AtomicBool,
}

/// The texts of a batch, each once.
struct Texts<'a> {
    items: Vec<Item<'a>>,
    keys: Vec<Digest>,
    /// Where each text stands.
    places: HashMap<Digest, usize>,
}

type Vector = Result<Vec<f32>, StageError>;

impl EmbedByService {
    pub(crate) fn new(llm: Llm, request: Request) -> Self {
        let caps = Caps { items: request.items, tokens: request.tokens };
        Self { llm, caps, right_length: AtomicBool::new(false) }
    }

    /// The vectors of texts, those that are kept and those that are asked for.
    async fn vectors(&self, cx: &Context, texts: &Texts<'_>) -> Result<Vec<Vector>, StageError> {
        let kept = cx.paid.recall(&texts.keys).await?;
        let mut vectors: Vec<Option<Vector>> = kept.into_iter().map(|bytes| self.read(&bytes?).map(Ok)).collect();
        let missing: Vec<usize> = (0..vectors.len()).filter(|&index| vectors[index].is_none()).collect();
        let items: Vec<Item<'_>> = missing.iter().map(|&index| texts.items[index]).collect();
        for call in pack(&items, self.caps) {
            cx.clock.restart();
            let outcomes = self.llm.embed(&cx.clock, &items[call.clone()]).await;
            let keys = missing[call.clone()].iter().map(|&index| texts.keys[index]);
            let paid = keys.zip(&outcomes).filter_map(|(key, outcome)| Some((key, written(outcome.as_ref().ok()?))));
            cx.paid.keep(paid.collect()).await?;
            for (&index, outcome) in missing[call].iter().zip(outcomes) {
                vectors[index] = Some(outcome.map_err(|error| self.class(error)).inspect(|_| {
                    self.right_length.store(true, Relaxed);
                }));
            }
        }
        let lost = || Err(StageError::transient("a text of the batch got no vector"));
        Ok(vectors.into_iter().map(|vector| vector.unwrap_or_else(lost)).collect())
    }

    /// A vector of the wrong length is a slip of the service where it gave right ones before; otherwise the setting is
    /// wrong, and no document will do better.
    fn class(&self, error: CallError) -> StageError {
        if error.class == Class::WrongLength && !self.right_length.load(Relaxed) {
            return self.llm.wrong_setting("dimensions", &error);
        }
        self.llm.for_stage(error)
    }

    fn read(&self, bytes: &Bytes) -> Option<Vec<f32>> {
        let (numbers, rest) = bytes.as_chunks::<4>();
        let whole = rest.is_empty() && numbers.len() == self.llm.settings().dimensions;
        whole.then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }

    /// What a vector is kept by: all that is asked, and not whom.
    fn key(&self, text: &str) -> Digest {
        let settings = self.llm.settings();
        let shortened = [u8::from(settings.send_dimensions)];
        let dimensions = settings.dimensions.to_le_bytes();
        let asked: [&[u8]; 5] =
            [b"docmill: a vector", settings.model.as_bytes(), &dimensions, &shortened, text.as_bytes()];
        Digest::of(&asked)
    }

    fn texts<'a>(&self, inputs: &'a [Record]) -> Texts<'a> {
        let mut texts = Texts { items: Vec::new(), keys: Vec::new(), places: HashMap::new() };
        for chunk in inputs.iter().filter_map(chunks).flat_map(|chunks| &chunks.items) {
            let key = self.key(&chunk.text);
            texts.places.entry(key).or_insert_with(|| {
                texts.keys.push(key);
                texts.items.push(Item { text: &chunk.text, tokens: chunk.tokens as usize });
                texts.items.len() - 1
            });
        }
        texts
    }

    fn assemble(&self, record: &Record, texts: &Texts<'_>, vectors: &[Vector]) -> Result<Outputs, StageError> {
        let Some(chunks) = chunks(record) else { return Err(StageError::unexpected(record.payload.kind())) };
        let dimensions = self.llm.settings().dimensions;
        let mut values = Vec::with_capacity(chunks.items.len() * dimensions);
        for chunk in &chunks.items {
            let vector = texts.places.get(&self.key(&chunk.text)).and_then(|&place| vectors.get(place));
            match vector {
                Some(Ok(vector)) => values.extend_from_slice(vector),
                Some(Err(error)) if error.may_pass() || error.ends_the_run() => return Err(error.clone()),
                Some(Err(error)) => {
                    return Err(error.clone().context(format!("{} {}", chunks.part.as_str(), chunk.ordinal)));
                }
                None => return Err(StageError::transient("a text of the batch got no vector")),
            }
        }
        let vectors = Vectors { chunks: chunks.clone(), dimensions, values: Arc::from(values) };
        Ok(Outputs::one(record.derive(Payload::Vectors(vectors))))
    }
}

fn chunks(record: &Record) -> Option<&Chunks> {
    match &record.payload {
        Payload::Chunks(chunks) => Some(chunks),
        _ => None,
    }
}

fn written(vector: &[f32]) -> Bytes {
    vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
}

#[async_trait]
impl Stage for EmbedByService {
    async fn process(&self, cx: &Context, input: Record) -> Result<Outputs, StageError> {
        let outcome = self.process_batch(cx, vec![input]).await.pop();
        outcome.unwrap_or_else(|| Err(StageError::transient("a record got no outcome")))
    }

    async fn process_batch(&self, cx: &Context, inputs: Vec<Record>) -> Vec<Result<Outputs, StageError>> {
        let texts = self.texts(&inputs);
        match self.vectors(cx, &texts).await {
            Ok(vectors) => inputs.iter().map(|record| self.assemble(record, &texts, &vectors)).collect(),
            Err(error) => inputs.iter().map(|_| Err(error.clone())).collect(),
        }
    }
}
