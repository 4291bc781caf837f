//! The least that reading, chunking and embedding take.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::path::PathBuf;

/// As many rows of as many bytes as the model that ships with docmill has.
const ROWS: usize = 29_525;
const DIMENSIONS: usize = 256;

/// About as many as a chunk of 512 tokens has.
const WORDS_A_TEXT: usize = 350;

/// How many rows fit into a sum of 16 bits.
const ROWS_A_SUM: usize = 255;

pub(crate) fn read(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| String::from_utf8(std::fs::read(path).unwrap()).unwrap()).collect()
}

/// How many tokens the texts have, given to the encoder in stretches that suit it.
pub(crate) fn encode(texts: &[String]) -> usize {
    let encoder = tiktoken::get_encoding("cl100k_base").unwrap();
    let count = |text: &String| -> usize { stretches(text, 8 << 10, 0).map(|part| encoder.count(part)).sum() };
    texts.iter().map(count).sum()
}

/// A text in stretches of so many bytes, each of which begins so many before the end of the one before it.
pub(crate) fn stretches(text: &str, bytes: usize, overlap: usize) -> impl Iterator<Item = &str> {
    let place = |at: usize| (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let mut from = 0;
    std::iter::from_fn(move || {
        if from >= text.len() {
            return None;
        }
        let (start, end) = (from, place((from + bytes).min(text.len())));
        from = if end == text.len() { end } else { place(end - overlap) };
        Some(&text[start..end])
    })
}

/// A model's rows, and which of them each word has: a word is always the same row, as in a vocabulary.
pub(crate) struct Model {
    rows: Vec<[i8; DIMENSIONS]>,
    ids: Vec<u32>,
}

impl Model {
    pub(crate) fn new(texts: &[String]) -> Self {
        let id = |word: &str| {
            let mut hasher = DefaultHasher::new();
            word.hash(&mut hasher);
            u32::try_from(hasher.finish() % ROWS as u64).unwrap()
        };
        let rows = (0..ROWS).map(|row| [i8::try_from(row % 127).unwrap(); DIMENSIONS]).collect();
        Self { rows, ids: texts.iter().flat_map(|text| text.split_ascii_whitespace()).map(id).collect() }
    }

    /// The sums of rows of one text after the other.
    pub(crate) fn pass(&self) {
        for words in self.ids.chunks(WORDS_A_TEXT) {
            black_box(sum(&self.rows, words));
        }
    }
}

fn sum(rows: &[[i8; DIMENSIONS]], ids: &[u32]) -> [i32; DIMENSIONS] {
    let mut sums = [0_i32; DIMENSIONS];
    for group in ids.chunks(ROWS_A_SUM) {
        let mut partial = [0_i16; DIMENSIONS];
        for &id in group {
            for (sum, &value) in partial.iter_mut().zip(&rows[id as usize]) {
                *sum += i16::from(value);
            }
        }
        for (sum, part) in sums.iter_mut().zip(partial) {
            *sum += i32::from(part);
        }
    }
    sums
}
