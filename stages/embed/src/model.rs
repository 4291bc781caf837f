//! The model: 29,525 rows of 256 bytes, of which a text's vector is the mean of those that its tokens name.
//!
//! It is part of the program, so there is nothing to download and nothing to find. Knows texts and vectors; what a
//! chunk or a record is, the stage knows.

use std::sync::OnceLock;

use docmill_api::{Embedding, StageError};
use fearless_simd::{Level, Simd, dispatch};
use safetensors::{Dtype, SafeTensors};

use crate::vocabulary::UNKNOWN;
use crate::wordpiece::Tokenizer;

/// The length of a vector.
pub const DIMENSIONS: usize = 256;

/// The name under which a store remembers the model: another model, or the same with other rows, gets another one.
const NAME: &str = "docmill-static-256-v1";

/// The rows, as int8 with one scale for all of them; which one does not matter, as a vector is brought to length 1.
const WEIGHTS: &[u8] = include_bytes!("../model/model.safetensors");

/// The vocabulary.
pub(crate) const TOKENIZER: &[u8] = include_bytes!("../model/tokenizer.json");

/// The median length of a piece. The reference looks at so many characters a token at most, so that an endless text
/// without spaces costs no more than another.
pub(crate) const CHARACTERS_PER_TOKEN: usize = 6;

/// How many rows fit into a sum of 16 bits: `255 * 128 < 2^15`.
const ROWS_A_SUM: usize = 255;

/// The static embedding model that ships with docmill.
pub struct Model {
    tokenizer: Tokenizer,
    rows: &'static [[u8; DIMENSIONS]],
    level: Level,
}

/// Room that embedding one text after another uses again.
#[derive(Debug, Default)]
pub struct Scratch {
    ids: Vec<u32>,
}

impl Model {
    /// Which model this is.
    #[must_use]
    pub fn embedding() -> Embedding {
        Embedding { model: NAME.to_owned(), dimensions: DIMENSIONS }
    }

    /// The model, read at the first call. That takes some milliseconds; whoever asks meanwhile waits for them.
    ///
    /// One for the process, as it is a constant that only happens to be stored as bytes.
    ///
    /// # Errors
    /// Fatal: the program was built with files that do not fit.
    pub fn shared() -> Result<&'static Self, StageError> {
        static MODEL: OnceLock<Result<Model, String>> = OnceLock::new();
        MODEL
            .get_or_init(|| Self::read(TOKENIZER, WEIGHTS))
            .as_ref()
            .map_err(|error| StageError::fatal(format!("model `{NAME}`: {error}")))
    }

    /// Reads a model from the bytes of its two files.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn read(tokenizer: &[u8], weights: &'static [u8]) -> Result<Self, String> {
        let tokenizer = Tokenizer::read(tokenizer).map_err(|error| format!("`tokenizer.json`: {error}"))?;
        let unreadable = |error| format!("`model.safetensors`: {error}");
        let tensors = SafeTensors::deserialize(weights).map_err(unreadable)?;
        let tensor = tensors.tensor("embeddings").map_err(unreadable)?;
        let expected = [tokenizer.pieces(), DIMENSIONS];
        if tensor.dtype() != Dtype::I8 || tensor.shape() != expected {
            let (shape, dtype) = (tensor.shape(), tensor.dtype());
            return Err(format!("`model.safetensors` holds {shape:?} of {dtype:?}, not {expected:?} of I8"));
        }
        let (rows, _) = tensor.data().as_chunks();
        Ok(Self { tokenizer, rows, level: Level::new() })
    }

    /// Writes the vector of a text: the mean of its tokens' rows, brought to length 1.
    ///
    /// Of a long text it is that of its beginning: `max_tokens` tokens, and six times as many
    /// characters. All zeros where no token is known: an empty text, or one in a script that the model has never seen.
    pub fn embed(&self, text: &str, max_tokens: usize, scratch: &mut Scratch, vector: &mut [f32; DIMENSIONS]) {
        let text = beginning(text, max_tokens.saturating_mul(CHARACTERS_PER_TOKEN));
        self.tokenizer.encode(text, max_tokens, &mut scratch.ids);
        scratch.ids.retain(|&id| id != UNKNOWN);
        let sums = self.sum(&scratch.ids);
        // Whole numbers up to here: below 2^53 the square of the length is exact.
        let square: i64 = sums.iter().map(|&sum| i64::from(sum) * i64::from(sum)).sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a vector of f32 is wanted")]
        let scale = if square == 0 { 0.0 } else { (1.0 / (square as f64).sqrt()) as f32 };
        for (value, &sum) in vector.iter_mut().zip(&sums) {
            #[expect(clippy::cast_precision_loss, reason = "a vector of f32 is wanted")]
            let sum = sum as f32;
            *value = sum * scale;
        }
    }

    /// Adds up rows, with the widest vectors that this processor has.
    fn sum(&self, ids: &[u32]) -> [i32; DIMENSIONS] {
        dispatch!(self.level, simd => add_up(simd, self.rows, ids))
    }
}

/// Sixteen bits at a time as long as they hold, which is what a vector unit does best. The compiler makes vectors of it,
/// of the width that the caller's kind of processor has: what is told apart by `S` is nothing else.
#[expect(clippy::inline_always, reason = "only what is inlined is compiled for the processor that was found")]
#[inline(always)]
fn add_up<S: Simd>(_: S, rows: &[[u8; DIMENSIONS]], ids: &[u32]) -> [i32; DIMENSIONS] {
    let mut sums = [0_i32; DIMENSIONS];
    for group in ids.chunks(ROWS_A_SUM) {
        let mut partial = [0_i16; DIMENSIONS];
        for &id in group {
            for (sum, &byte) in partial.iter_mut().zip(&rows[id as usize]) {
                *sum += i16::from(byte.cast_signed());
            }
        }
        for (sum, part) in sums.iter_mut().zip(partial) {
            *sum += i32::from(part);
        }
    }
    sums
}

/// The first so many characters.
fn beginning(text: &str, characters: usize) -> &str {
    match text.as_bytes().get(..characters) {
        None => text,
        Some(start) if start.is_ascii() => &text[..characters],
        Some(_) => text.char_indices().nth(characters).map_or(text, |(at, _)| &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_beyond_what_sixteen_bits_hold() {
        let model = Model::shared().unwrap();
        let ids: Vec<u32> = (0..3000).map(|n| n * 7 % 29_525).collect();
        let sums = model.sum(&ids);
        for (column, sum) in sums.into_iter().enumerate() {
            let exact: i64 = ids.iter().map(|&id| i64::from(model.rows[id as usize][column].cast_signed())).sum();
            assert_eq!(i64::from(sum), exact, "column {column}");
        }
        let worst = vec![0_u32; 600];
        let rows: &'static [[u8; DIMENSIONS]] = &[[0x80; DIMENSIONS]];
        let lowest = Model { tokenizer: Tokenizer::read(TOKENIZER).unwrap(), rows, level: Level::new() };
        assert_eq!(lowest.sum(&worst), [-128 * 600; DIMENSIONS]);
    }

    #[test]
    fn a_beginning_is_counted_in_characters() {
        assert_eq!(beginning("abc", 2), "ab");
        assert_eq!(beginning("abc", 4), "abc");
        assert_eq!(beginning("äöü", 2), "äö");
        assert_eq!(beginning("äöü", 3), "äöü");
        assert_eq!(beginning("äöü", 4), "äöü");
        assert_eq!(beginning("", 0), "");
    }

    #[test]
    fn files_that_do_not_fit_are_refused_by_name() {
        let other = br#"{"model": {"vocab": {"a": 0, "b": 1}}}"#;
        let error = |tokenizer: &[u8], weights| Model::read(tokenizer, weights).err().unwrap();
        assert!(error(other, WEIGHTS).contains("not [2, 256] of I8"));
        assert!(error(b"{}", WEIGHTS).starts_with("`tokenizer.json`: "));
        assert!(error(TOKENIZER, &WEIGHTS[..1000]).starts_with("`model.safetensors`: "));
    }
}
