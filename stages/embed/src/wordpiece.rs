//! From text to the ids of its pieces: BERT's normalisation, its cut into words, and WordPiece.
//!
//! The reference does this in four passes over the text, each with a copy of it. Here a character is cleaned, taken
//! apart, lowered and sorted into a word in one go, and a word is looked up as soon as it ends: no allocation a
//! token, and a fast way for ASCII. That gives the same ids because no step but one looks at more than one character;
//! the one, which sorts the accents of a letter, only moves marks, and marks are left out.

use std::collections::HashMap;

use serde::Deserialize;
use unicode_normalization::char::decompose_canonical;

use crate::ascii::{self, CONTROL, PUNCTUATION, SPACE};
use crate::unicode::{Class, Classes};
use crate::vocabulary::{Head, UNKNOWN, Vocabulary};

/// A word of more characters than this is unknown as a whole (`max_input_chars_per_word` in the tokenizer's file).
const LONGEST_WORD: usize = 100;

/// The most bytes that so many characters take.
const WORD_BYTES: usize = 4 * LONGEST_WORD;

/// The tokens that the reference finds in a text by their very spelling, before anything else, with their ids.
const LITERALS: [(&[u8], u32); 2] = [(b"[PAD]", 0), (b"[UNK]", UNKNOWN)];

/// The part of the tokenizer's file that is read. The rest of it is what this module does; a test compares them.
#[derive(Deserialize)]
struct File {
    model: Pieces,
}

#[derive(Deserialize)]
struct Pieces {
    vocab: HashMap<String, u32>,
}

/// Cuts texts into the pieces of a vocabulary.
pub(crate) struct Tokenizer {
    vocabulary: Vocabulary,
    classes: Classes,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn read(json: &[u8]) -> Result<Self, String> {
        let file: File = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        Ok(Self { vocabulary: Vocabulary::new(&file.model.vocab)?, classes: Classes::new() })
    }

    /// How many pieces it knows.
    pub(crate) fn pieces(&self) -> usize {
        self.vocabulary.len()
    }

    /// Puts the ids of the text's first `limit` pieces into `ids`; [`UNKNOWN`] stands for a word that has none.
    pub(crate) fn encode(&self, text: &str, limit: usize, ids: &mut Vec<u32>) {
        ids.clear();
        let bytes = text.as_bytes();
        let mut word = Word::new(&self.vocabulary, ids);
        let mut at = 0;
        while at < bytes.len() && word.ids.len() < limit {
            if let Some((head, length)) = word.short(&bytes[at..]) {
                self.vocabulary.cut(&head.bytes()[..length], head, word.ids);
                // What ends it is there, and mostly a space.
                at += length + usize::from(bytes[at + length] == b' ');
                continue;
            }
            let byte = bytes[at];
            if byte < 128 {
                at += 1;
                match ascii::CLASS[usize::from(byte)] {
                    SPACE => word.end(),
                    CONTROL => {}
                    PUNCTUATION => {
                        word.end();
                        match literal(&bytes[at - 1..]) {
                            Some((length, id)) => {
                                word.ids.push(id);
                                at += length - 1;
                            }
                            None => word.single(byte),
                        }
                    }
                    _ => at = word.push_run(bytes, at - 1),
                }
            } else {
                let character = text[at..].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
                at += character.len_utf8();
                self.push(character, &mut word);
            }
        }
        word.end();
        ids.truncate(limit);
    }

    /// A character beyond ASCII.
    fn push(&self, character: char, word: &mut Word<'_>) {
        match self.classes.of(character) {
            Class::Control | Class::Mark => {}
            Class::Space => word.end(),
            Class::Ideograph => {
                word.end();
                // Those of the main block are neither taken apart nor lowered, and nearly all there is.
                if matches!(character, '\u{4e00}'..='\u{9fff}') {
                    word.push(character);
                } else {
                    self.push_parts(character, word);
                }
                word.end();
            }
            Class::Punctuation | Class::Word => self.push_parts(character, word),
        }
    }

    /// A character that counts: what it decomposes to, without accents, lowered.
    fn push_parts(&self, character: char, word: &mut Word<'_>) {
        decompose_canonical(character, |part| {
            if self.classes.of(part) == Class::Mark {
                return;
            }
            for lowered in part.to_lowercase() {
                match self.classes.of(lowered) {
                    Class::Space => word.end(),
                    Class::Punctuation => {
                        word.end();
                        word.push(lowered);
                        word.end();
                    }
                    _ => word.push(lowered),
                }
            }
        });
    }
}

/// A token that the text begins with by its very spelling: its length and its id.
fn literal(text: &[u8]) -> Option<(usize, u32)> {
    if text[0] != b'[' {
        return None;
    }
    LITERALS.iter().find(|(token, _)| text.starts_with(token)).map(|(token, id)| (token.len(), *id))
}

/// The word that is being read.
struct Word<'a> {
    vocabulary: &'a Vocabulary,
    ids: &'a mut Vec<u32>,
    bytes: [u8; WORD_BYTES],
    length: usize,
    characters: usize,
}

impl<'a> Word<'a> {
    fn new(vocabulary: &'a Vocabulary, ids: &'a mut Vec<u32>) -> Self {
        Self { vocabulary, ids, bytes: [0; WORD_BYTES], length: 0, characters: 0 }
    }

    /// The short word that a text begins with, if none is being read.
    #[inline]
    fn short(&self, text: &[u8]) -> Option<(Head, usize)> {
        if self.characters == 0 { ascii::short_word(*text.first_chunk()?) } else { None }
    }

    /// Adds the ASCII characters of a word from `at` on and tells where they end. Of a word that is too long only the length
    /// goes on growing.
    #[inline]
    fn push_run(&mut self, text: &[u8], at: usize) -> usize {
        let lowered =
            |&byte: &u8| ascii::CLASS.get(usize::from(byte)).copied().filter(|&lowered| lowered > PUNCTUATION);
        let room = LONGEST_WORD.saturating_sub(self.characters);
        let buffer = &mut self.bytes[self.length..];
        let mut length = 0;
        let run = text[at..].iter().map_while(lowered);
        for (place, lowered) in buffer.iter_mut().take(room).zip(run) {
            *place = lowered;
            length += 1;
        }
        self.length += length;
        self.characters += length;
        let end = at + length;
        if length < room {
            return end;
        }
        let beyond = text[end..].iter().map_while(lowered).count();
        self.characters += beyond;
        end + beyond
    }

    fn push(&mut self, character: char) {
        self.characters += 1;
        if self.characters <= LONGEST_WORD {
            self.length += character.encode_utf8(&mut self.bytes[self.length..]).len();
        }
    }

    /// Adds a word of one byte, between words.
    fn single(&mut self, byte: u8) {
        self.vocabulary.cut(&[byte], Head::of(&[byte], 1), self.ids);
    }

    /// Ends the word, if there is one.
    #[inline]
    fn end(&mut self) {
        if self.characters == 0 {
            return;
        }
        if self.characters > LONGEST_WORD {
            self.ids.push(UNKNOWN);
        } else {
            let head = Head::of(&self.bytes, self.length);
            self.vocabulary.cut(&self.bytes[..self.length], head, self.ids);
        }
        self.length = 0;
        self.characters = 0;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{CHARACTERS_PER_TOKEN, TOKENIZER};

    #[test]
    fn the_file_describes_the_tokenizer_that_is_written_here() {
        let file: Value = serde_json::from_slice(TOKENIZER).unwrap();
        let normalizer = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true});
        assert_eq!(file["normalizer"], normalizer);
        assert_eq!(file["pre_tokenizer"], json!({"type": "BertPreTokenizer"}));
        let model = &file["model"];
        assert_eq!(model["type"], "WordPiece");
        assert_eq!(model["unk_token"], "[UNK]");
        assert_eq!(model["continuing_subword_prefix"], "##");
        assert_eq!(model["max_input_chars_per_word"], LONGEST_WORD);
        let added = file["added_tokens"].as_array().unwrap();
        assert_eq!(added.len(), LITERALS.len());
        for ((token, id), added) in LITERALS.iter().zip(added) {
            assert_eq!(added["content"].as_str().unwrap().as_bytes(), *token);
            assert_eq!(added["id"], *id);
            for flag in ["single_word", "lstrip", "rstrip", "normalized"] {
                assert_eq!(added[flag], false, "{flag}");
            }
        }
        let mut lengths: Vec<usize> =
            model["vocab"].as_object().unwrap().keys().map(|piece| piece.chars().count()).collect();
        lengths.sort_unstable();
        assert_eq!(lengths[lengths.len() / 2], CHARACTERS_PER_TOKEN, "the median");
    }

    #[test]
    fn no_more_than_the_limit_is_read_and_a_limit_may_fall_within_a_word() {
        let tokenizer = Tokenizer::read(TOKENIZER).unwrap();
        let (mut all, mut some) = (Vec::new(), Vec::new());
        let text = "Unquestionably hyperparametrised, naïve [UNK] tokenizers [PAD]!";
        tokenizer.encode(text, usize::MAX, &mut all);
        assert!(all.contains(&UNKNOWN) && all.contains(&0), "{all:?}");
        for limit in 0..=all.len() {
            tokenizer.encode(text, limit, &mut some);
            assert_eq!(some, all[..limit]);
        }
    }
}
