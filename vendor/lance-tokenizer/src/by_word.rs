// SPDX-License-Identifier: Apache-2.0

//! What filters make of a word, remembered: a text says the same words again and again.

use crate::analyzer::BoxableTokenizer;
use crate::{BoxTokenStream, RawTokenizer, Token, TokenFilter, TokenStream, Tokenizer};

/// Slots at first, for a query of a few words, and at most: 1 MiB.
const FEW: usize = 64;
const MANY: usize = 16_384;

/// A tokenizer, and filters behind it of which each looks at nothing but one word.
#[derive(Clone)]
pub(crate) struct ByWord {
    tokenizer: Box<dyn BoxableTokenizer>,
    /// The filters, behind a tokenizer that takes a text for one word.
    filters: Box<dyn BoxableTokenizer>,
    known: Known,
}

impl ByWord {
    pub(crate) fn new(tokenizer: Box<dyn BoxableTokenizer>) -> Self {
        Self {
            tokenizer,
            filters: Box::new(RawTokenizer::default()),
            known: Known::default(),
        }
    }

    pub(crate) fn filter<F: TokenFilter>(self, filter: F) -> Self {
        Self {
            filters: Box::new(filter.transform(self.filters)),
            ..self
        }
    }
}

impl Tokenizer for ByWord {
    type TokenStream<'a> = ByWordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        ByWordStream {
            tail: self.tokenizer.token_stream(text),
            filters: &mut self.filters,
            known: &mut self.known,
        }
    }
}

pub(crate) struct ByWordStream<'a> {
    tail: BoxTokenStream<'a>,
    filters: &'a mut Box<dyn BoxableTokenizer>,
    known: &'a mut Known,
}

impl TokenStream for ByWordStream<'_> {
    fn advance(&mut self) -> bool {
        while self.tail.advance() {
            if self.known.put(self.filters, &mut self.tail.token_mut().text) {
                return true;
            }
        }
        false
    }

    fn token(&self) -> &Token {
        self.tail.token()
    }

    fn token_mut(&mut self) -> &mut Token {
        self.tail.token_mut()
    }
}

/// Words and what became of them: a table in which each word has one place, and a new one takes it from an old one.
#[derive(Clone, Default)]
struct Known {
    slots: Vec<[Packed; 2]>,
    unknown: usize,
}

impl Known {
    /// Puts into `word` what the filters make of it; false if nothing.
    fn put(&mut self, filters: &mut Box<dyn BoxableTokenizer>, word: &mut String) -> bool {
        let Some(key) = pack(word) else {
            return filtered(filters, word);
        };
        if self.slots.is_empty() {
            self.slots = vec![[EMPTY; 2]; FEW];
        }
        let place = place(&key) % self.slots.len();
        let [known, became] = &self.slots[place];
        if *known == key {
            return unpack(became, word);
        }
        let kept = filtered(filters, word);
        let became = if kept { pack(word) } else { Some(EMPTY) };
        if let Some(became) = became {
            self.slots[place] = [key, became];
            self.unknown += 1;
        }
        if self.unknown > 2 * self.slots.len() && self.slots.len() < MANY {
            self.slots = vec![[EMPTY; 2]; self.slots.len() * 4];
            self.unknown = 0;
        }
        kept
    }
}

/// A word of 1 to 31 bytes behind its length.
type Packed = [u64; 4];
const EMPTY: Packed = [0; 4];
const BYTES: usize = size_of::<Packed>();

fn pack(word: &str) -> Option<Packed> {
    if word.is_empty() || word.len() >= BYTES {
        return None;
    }
    let mut bytes = [0; BYTES];
    bytes[0] = word.len() as u8;
    bytes[1..=word.len()].copy_from_slice(word.as_bytes());
    let mut packed = EMPTY;
    for (part, bytes) in packed.iter_mut().zip(bytes.as_chunks().0) {
        *part = u64::from_le_bytes(*bytes);
    }
    Some(packed)
}

/// Puts the word of `packed` into `word`; false if it is empty.
fn unpack(packed: &Packed, word: &mut String) -> bool {
    let mut bytes = [0; BYTES];
    for (part, bytes) in packed.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = part.to_le_bytes();
    }
    let length = usize::from(bytes[0]);
    let text = bytes.get(1..=length).and_then(|bytes| std::str::from_utf8(bytes).ok());
    word.clear();
    word.push_str(text.unwrap_or_default());
    length > 0
}

/// Two products whose upper and lower halves meet: each bit of the word has its say in each of the result.
fn place(word: &Packed) -> usize {
    let fold = |one: u64, other: u64| {
        let product = u128::from(one ^ 0x9e37_79b9_7f4a_7c15) * u128::from(other ^ 0xbf58_476d_1ce4_e5b9);
        (product as u64) ^ (product >> 64) as u64
    };
    (fold(word[0], word[1]) ^ fold(word[2], word[3]).rotate_left(32)) as usize
}

fn filtered(filters: &mut Box<dyn BoxableTokenizer>, word: &mut String) -> bool {
    let mut stream = filters.token_stream(word);
    if !stream.advance() {
        return false;
    }
    let text = std::mem::take(&mut stream.token_mut().text);
    drop(stream);
    *word = text;
    true
}
