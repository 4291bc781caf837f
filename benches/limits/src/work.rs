//! The least that reading, chunking and embedding take.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::path::PathBuf;

/// As many rows of as many bytes as the model that ships with docmill has.
const ROWS: usize = 29_525;
/// A row, eight bytes of it at a time.
type Row = [u64; 32];

/// About as many as a chunk of 512 tokens has.
const WORDS_A_TEXT: usize = 350;

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
    rows: Vec<Row>,
    ids: Vec<u32>,
}

impl Model {
    pub(crate) fn new(texts: &[String]) -> Self {
        let id = |word: &str| {
            let mut hasher = DefaultHasher::new();
            word.hash(&mut hasher);
            u32::try_from(hasher.finish() % ROWS as u64).unwrap()
        };
        let rows = (0..ROWS as u64).map(|row| [row; 32]).collect();
        Self { rows, ids: texts.iter().flat_map(|text| text.split_ascii_whitespace()).map(id).collect() }
    }

    /// What the rows of a text come to together, of one text after the other: each is fetched, and takes part.
    pub(crate) fn pass(&self) {
        for words in self.ids.chunks(WORDS_A_TEXT) {
            let mut all: Row = [0; 32];
            for &id in words {
                all.iter_mut().zip(&self.rows[id as usize]).for_each(|(all, part)| *all ^= part);
            }
            black_box(all);
        }
    }
}
