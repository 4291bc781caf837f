// SPDX-License-Identifier: Apache-2.0

//! What filters make of a word, remembered: a text says the same words again and again.

use crate::analyzer::BoxableTokenizer;
use crate::{BoxTokenStream, RawTokenizer, Token, TokenFilter, TokenStream, Tokenizer};

/// Places at first, for a query of a few words, and at most, each of two words: 256 KiB of short words, 512 KiB of longer ones
/// and 128 KiB of long ones.
const FEW: usize = 32;
const MANY_SHORT: usize = 8_192;
const MANY_LONGER: usize = 8_192;
const MANY_LONG: usize = 1_024;

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
            if self
                .known
                .put(self.filters, &mut self.tail.token_mut().text)
            {
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

/// Words and what became of them, by how long they are: the shorter most are, the less memory has to be fetched.
#[derive(Clone, Default)]
struct Known {
    short: Table<Short>,
    longer: Table<Longer>,
    long: Table<Long>,
}

impl Known {
    /// Puts into `word` what the filters make of it; false if nothing.
    fn put(&mut self, filters: &mut Box<dyn BoxableTokenizer>, word: &mut String) -> bool {
        match word.len() {
            1..SHORT_BYTES => self.short.put(MANY_SHORT, filters, word),
            SHORT_BYTES..LONGER_BYTES => self.longer.put(MANY_LONGER, filters, word),
            LONGER_BYTES..LONG_BYTES => self.long.put(MANY_LONG, filters, word),
            _ => filtered(filters, word),
        }
    }
}

/// A table in which each word has one place, which it shares with another; a new one takes it from the one that came before.
#[derive(Clone, Default)]
struct Table<P> {
    places: Vec<[Became<P>; 2]>,
    unknown: usize,
}

#[derive(Clone, Copy, Default)]
struct Became<P> {
    word: P,
    became: P,
}

impl<P: Packed> Table<P> {
    #[inline]
    fn put(
        &mut self,
        many: usize,
        filters: &mut Box<dyn BoxableTokenizer>,
        word: &mut String,
    ) -> bool {
        let Some(key) = P::pack(word) else {
            return filtered(filters, word);
        };
        if let Some([newer, older]) = self.places.get(key.place(self.places.len())) {
            if newer.word == key {
                return key.unpack(&newer.became, word);
            }
            if older.word == key {
                return key.unpack(&older.became, word);
            }
        }
        self.learn(many, key, filters, word)
    }

    #[cold]
    fn learn(
        &mut self,
        many: usize,
        key: P,
        filters: &mut Box<dyn BoxableTokenizer>,
        word: &mut String,
    ) -> bool {
        if self.places.is_empty() {
            self.places = vec![Default::default(); FEW];
        }
        let kept = filtered(filters, word);
        let became = if kept {
            P::pack(word)
        } else {
            Some(P::default())
        };
        if let Some(became) = became {
            let place = key.place(self.places.len());
            let newer = self.places[place][0];
            self.places[place] = [Became { word: key, became }, newer];
            self.unknown += 1;
        }
        if self.unknown > 4 * self.places.len() && self.places.len() < many {
            self.places = vec![Default::default(); (self.places.len() * 4).min(many)];
            self.unknown = 0;
        }
        kept
    }
}

/// A word and its length in a few numbers; nothing at all by default.
trait Packed: Copy + Default + PartialEq {
    /// `None` of what is empty or too long.
    fn pack(word: &str) -> Option<Self>;
    /// Puts what became of this word, which `word` holds, into it; false if nothing.
    fn unpack(&self, became: &Self, word: &mut String) -> bool;
    /// A number below `places`, a power of two: each bit of the word has its say in each of it.
    fn place(&self, places: usize) -> usize;
}

/// A word of 1 to 7 bytes, and above them its length.
type Short = u64;
const SHORT_BYTES: usize = size_of::<Short>();

impl Packed for Short {
    #[inline]
    fn pack(word: &str) -> Option<Self> {
        let bytes = word.as_bytes();
        (1..SHORT_BYTES)
            .contains(&bytes.len())
            .then(|| few(bytes) | (bytes.len() as u64) << 56)
    }

    #[inline]
    fn unpack(&self, became: &Self, word: &mut String) -> bool {
        if became == self {
            return true;
        }
        let length = (became >> 56) as usize;
        let beyond = 64 - 8 * length;
        // Most become shorter alone.
        if length > 0 && (self ^ became) << beyond == 0 && word.is_char_boundary(length) {
            word.truncate(length);
        } else {
            become_text(&became.to_le_bytes(), length, word);
        }
        length > 0
    }

    #[inline]
    fn place(&self, places: usize) -> usize {
        fold(*self, 0) as usize & places.wrapping_sub(1)
    }
}

/// Up to seven bytes as a number. They are read in lengths known beforehand: a read of bytes just written, of another length,
/// would wait for them.
#[inline]
fn few(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            let last = u64::from(u32::from_le_bytes(*last)) << (8 * (bytes.len() - 4));
            u64::from(u32::from_le_bytes(*first)) | last
        }
        _ => match *bytes {
            [one] => u64::from(one),
            [one, two] => u64::from(one) | u64::from(two) << 8,
            [one, two, three] => u64::from(one) | u64::from(two) << 8 | u64::from(three) << 16,
            _ => 0,
        },
    }
}

/// A word of up to 15 bytes, and above them its length.
type Longer = [u64; 2];
const LONGER_BYTES: usize = size_of::<Longer>();

impl Packed for Longer {
    #[inline]
    fn pack(word: &str) -> Option<Self> {
        let bytes = word.as_bytes();
        let [first, last] = match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last)) if bytes.len() < LONGER_BYTES => {
                let known = 8 * (LONGER_BYTES - bytes.len()) as u32;
                let last = u64::from_le_bytes(*last).unbounded_shr(known);
                [u64::from_le_bytes(*first), last]
            }
            (None, None) if !bytes.is_empty() => [few(bytes), 0],
            _ => return None,
        };
        Some([first, last | (bytes.len() as u64) << 56])
    }

    #[inline]
    fn unpack(&self, became: &Self, word: &mut String) -> bool {
        let mut bytes = [0; LONGER_BYTES];
        for (part, bytes) in became.iter().zip(bytes.as_chunks_mut().0) {
            *bytes = part.to_le_bytes();
        }
        let length = usize::from(bytes[LONGER_BYTES - 1]);
        become_text(&bytes, length, word)
    }

    #[inline]
    fn place(&self, places: usize) -> usize {
        fold(self[0], self[1]) as usize & places.wrapping_sub(1)
    }
}

/// A word of up to 31 bytes behind its length.
type Long = [u64; 4];
const LONG_BYTES: usize = size_of::<Long>();

impl Packed for Long {
    fn pack(word: &str) -> Option<Self> {
        if word.is_empty() || word.len() >= LONG_BYTES {
            return None;
        }
        let mut bytes = [0; LONG_BYTES];
        bytes[0] = word.len() as u8;
        bytes[1..=word.len()].copy_from_slice(word.as_bytes());
        let mut packed = Self::default();
        for (part, bytes) in packed.iter_mut().zip(bytes.as_chunks().0) {
            *part = u64::from_le_bytes(*bytes);
        }
        Some(packed)
    }

    fn unpack(&self, became: &Self, word: &mut String) -> bool {
        let mut bytes = [0; LONG_BYTES];
        for (part, bytes) in became.iter().zip(bytes.as_chunks_mut().0) {
            *bytes = part.to_le_bytes();
        }
        become_text(&bytes[1..], usize::from(bytes[0]), word)
    }

    fn place(&self, places: usize) -> usize {
        let folded = fold(self[0], self[1]) ^ fold(self[2], self[3]).rotate_left(32);
        folded as usize & places.wrapping_sub(1)
    }
}

/// Puts the first `length` bytes into `word`; false if that is nothing.
fn become_text(bytes: &[u8], length: usize, word: &mut String) -> bool {
    let text = bytes
        .get(..length)
        .and_then(|bytes| std::str::from_utf8(bytes).ok());
    word.clear();
    word.push_str(text.unwrap_or_default());
    length > 0
}

/// A product whose upper and lower halves meet.
#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let one = u128::from(one ^ 0x9e37_79b9_7f4a_7c15);
    let product = one * u128::from(other ^ 0xbf58_476d_1ce4_e5b9);
    (product as u64) ^ (product >> 64) as u64
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
