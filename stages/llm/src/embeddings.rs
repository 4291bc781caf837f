//! Vectors of texts: packed into calls within what the service takes, each checked, a bad text told from the good ones.

use std::ops::Range;

use docmill_api::Clock;
use serde::Deserialize;
use serde_json::json;

use crate::chat::Tokens;
use crate::client::Llm;
use crate::error::{CallError, Class};

/// What one call may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Texts.
    pub items: usize,
    /// Tokens of all texts together.
    pub tokens: usize,
}

/// A text to be embedded, with its tokens.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// What is embedded.
    pub text: &'a str,
    /// How many tokens it has, as far as it is known.
    pub tokens: usize,
}

#[derive(Debug, Deserialize)]
struct Embeddings {
    data: Vec<Datum>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Debug, Deserialize)]
struct Datum {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// Packs items into calls, in their order: each call within the caps, but for an item that alone is beyond.
#[must_use]
pub fn pack(items: &[Item<'_>], caps: Caps) -> Vec<Range<usize>> {
    let mut calls = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        let full = index - start >= caps.items || tokens + item.tokens > caps.tokens;
        if full && index > start {
            calls.push(start..index);
            (start, tokens) = (index, 0);
        }
        tokens += item.tokens;
    }
    if start < items.len() {
        calls.push(start..items.len());
    }
    calls
}

impl Llm {
    /// The vectors of texts that fit into one call, of length 1 each. Where the service does not take them, halves of
    /// them are tried, until each text that it does not take stands alone.
    ///
    /// One outcome per text. An error that is not a text's own is that of all texts of its call.
    pub async fn embed(&self, clock: &Clock, items: &[Item<'_>]) -> Vec<Result<Vec<f32>, CallError>> {
        let mut outcomes: Vec<Option<Result<Vec<f32>, CallError>>> = items.iter().map(|_| None).collect();
        let mut waiting: Vec<Range<usize>> = std::iter::once(0..items.len()).collect();
        while let Some(range) = waiting.pop().filter(|range| !range.is_empty()) {
            clock.restart();
            match self.embed_once(clock, &items[range.clone()]).await {
                Ok(vectors) => {
                    for (outcome, vector) in outcomes[range].iter_mut().zip(vectors) {
                        *outcome = Some(Ok(vector));
                    }
                }
                Err(error) if range.len() > 1 && matches!(error.class, Class::BadRequest | Class::TooLong) => {
                    let middle = range.start + range.len() / 2;
                    // The first half first.
                    waiting.push(middle..range.end);
                    waiting.push(range.start..middle);
                }
                Err(error) => {
                    for outcome in &mut outcomes[range] {
                        *outcome = Some(Err(error.clone()));
                    }
                }
            }
        }
        let lost = || Err(CallError::new(Class::Garbage, "gave no vector for a text"));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect()
    }

    async fn embed_once(&self, clock: &Clock, items: &[Item<'_>]) -> Result<Vec<Vec<f32>>, CallError> {
        let tokens = items.iter().map(|item| item.tokens).sum();
        let call = self.turn(clock, items.len(), tokens).await?;
        let texts: Vec<&str> = items.iter().map(|item| item.text).collect();
        let mut request = json!({ "model": self.settings.model, "input": texts, "encoding_format": "float" });
        if self.settings.send_dimensions {
            request["dimensions"] = json!(self.settings.dimensions);
        }
        let embeddings = self.client.embeddings();
        let asked = embeddings.create_byot::<_, Embeddings>(request);
        let answer = call
            .answer(asked, |mut answer| {
                let used = answer.usage.into();
                order(&mut answer.data, items.len())?;
                for datum in &mut answer.data {
                    normalise(&mut datum.embedding, self.settings.dimensions)?;
                }
                Ok((answer, used))
            })
            .await?;
        Ok(answer.data.into_iter().map(|datum| datum.embedding).collect())
    }
}

/// Brings vectors into the order of their texts, where the service says which is whose.
fn order(data: &mut [Datum], expected: usize) -> Result<(), CallError> {
    if data.len() != expected {
        let message = format!("gave {} vectors for {expected} texts", data.len());
        return Err(CallError::new(Class::Garbage, message));
    }
    if data.iter().all(|datum| datum.index.is_some()) {
        data.sort_by_key(|datum| datum.index);
        if data.iter().enumerate().any(|(place, datum)| datum.index != Some(place)) {
            return Err(CallError::new(Class::Garbage, "gave vectors that are not those of the texts"));
        }
    }
    Ok(())
}

/// Checks a vector and brings it to length 1.
fn normalise(vector: &mut [f32], dimensions: usize) -> Result<(), CallError> {
    if vector.len() != dimensions {
        let message = format!("gave a vector of {} numbers, where `dimensions` says {dimensions}", vector.len());
        return Err(CallError::new(Class::WrongLength, message));
    }
    let length = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>().sqrt();
    if !length.is_finite() {
        return Err(CallError::new(Class::Garbage, "gave a vector with a number that is none"));
    }
    if length > 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "a vector of f32 is wanted")]
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_packed_by_items_and_by_tokens() {
        let tokens = [40, 40, 40, 500, 1, 1, 1, 1];
        let items: Vec<Item<'_>> = tokens.iter().map(|tokens| Item { text: "x", tokens: *tokens }).collect();
        assert_eq!(pack(&items, Caps { items: 3, tokens: 100 }), [0..2, 2..3, 3..4, 4..7, 7..8]);
        assert!(pack(&[], Caps { items: 3, tokens: 100 }).is_empty());
    }

    #[test]
    fn vectors_are_put_in_order_checked_and_brought_to_length_one() {
        let datum = |index, embedding: &[f32]| Datum { index, embedding: embedding.to_vec() };
        let mut data = [datum(Some(1), &[0.0, 2.0]), datum(Some(0), &[3.0, 4.0])];
        order(&mut data, 2).unwrap();
        normalise(&mut data[0].embedding, 2).unwrap();
        assert_eq!(data[0].embedding, [0.6, 0.8]);
        let message = |result: Result<(), CallError>| result.unwrap_err().message;
        assert!(message(order(&mut data, 3)).contains("2 vectors for 3 texts"));
        assert!(message(order(&mut [datum(Some(0), &[1.0]), datum(Some(0), &[1.0])], 2)).contains("not those"));
        assert!(message(normalise(&mut [1.0, f32::INFINITY], 2)).contains("number that is none"));
        assert!(message(normalise(&mut [1.0], 2)).contains("`dimensions` says 2"));
        let mut nothing = [0.0, 0.0];
        normalise(&mut nothing, 2).unwrap();
        assert_eq!(nothing, [0.0, 0.0]);
    }
}
