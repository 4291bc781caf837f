//! The model's vocabulary: which pieces a word is made of.
//!
//! A hash table of its own rather than `HashMap`: a longest match asks for every prefix of a word, and here one pass
//! over the word gives the hashes of all of them; most words have eight bytes at most, which are hashed at once. Knows pieces
//! and ids; nothing of Unicode, nothing of vectors.

use std::collections::HashMap;

/// The id of a word that no pieces make up; it takes part in nothing but the count of tokens.
pub(crate) const UNKNOWN: u32 = 1;

/// What marks a piece that continues a word, in the tokenizer's file.
const CONTINUES: &str = "##";

/// Twice the number of pieces, as a power of two: most questions are answered by the first slot.
const SLOTS: usize = 1 << 16;

/// No piece.
const EMPTY: u32 = u32::MAX;

/// Longest piece that the table holds, in bytes. The longest of the model has 18.
pub(crate) const LONGEST: usize = 32;

/// Of a beginning's head, and then grown by a byte at a time, as FNV-1a does.
#[derive(Clone, Copy, Debug)]
struct Hash(u64);

impl Hash {
    /// What the hash of a word's beginning is made with.
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    /// And that of a piece within a word: another one, so that `##able` is not `able`.
    const WITHIN: u64 = 0x8422_2325_cbf2_9ce4;

    /// Of a beginning of [`HEAD`] bytes at most.
    #[inline]
    fn of(seed: u64, head: Head) -> Self {
        let product = u128::from(head.0 ^ seed) * 0x9e37_79b9_7f4a_7c15;
        Self((product as u64) ^ (product >> 64) as u64)
    }

    /// Of what it stands for with another byte at the end.
    fn with(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    /// Of all of these bytes, which begin with `head`.
    #[inline]
    fn whole(seed: u64, bytes: &[u8], head: Head) -> Self {
        bytes.iter().skip(HEAD).fold(Self::of(seed, head), |hash, &byte| hash.with(byte))
    }

    fn slot(self) -> usize {
        (self.0 ^ (self.0 >> 32)) as usize & (SLOTS - 1)
    }

    fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// The first eight bytes of a piece or a word as a number; zeros stand for those that a shorter one does not have, which no
/// word has within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head(u64);

impl Head {
    /// Of the first `length` bytes of a buffer.
    #[inline]
    pub(crate) fn of(buffer: &[u8], length: usize) -> Self {
        let bytes = match buffer.first_chunk() {
            Some(first) => u64::from_le_bytes(*first),
            None => buffer.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)),
        };
        Self(bytes).first(length)
    }

    /// The bytes, and zeros behind a word of fewer.
    #[inline]
    pub(crate) fn bytes(self) -> [u8; HEAD] {
        self.0.to_le_bytes()
    }

    /// Of a word of which only `length` bytes are left.
    #[inline]
    fn first(self, length: usize) -> Self {
        match length {
            0 => Self(0),
            1..HEAD => Self(self.0 & (u64::MAX >> (64 - 8 * length))),
            _ => self,
        }
    }
}

/// How many bytes a head has.
const HEAD: usize = 8;

#[derive(Clone, Copy)]
struct Slot {
    /// So that where a shorter piece is kept needs not be looked up to know whether it is the word.
    head: Head,
    tag: u32,
    id: u32,
}

/// All pieces, by hash.
pub(crate) struct Vocabulary {
    slots: Box<[Slot]>,
    /// Where each piece begins in `text`, by id, and where the last one ends.
    starts: Vec<u32>,
    text: Vec<u8>,
    /// How many bytes the longest piece has.
    longest: usize,
}

impl Vocabulary {
    /// Takes the pieces with their ids, which have to be the numbers from 0.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub(crate) fn new(pieces: &HashMap<String, u32>) -> Result<Self, String> {
        if pieces.len() > SLOTS / 2 {
            return Err(format!("a vocabulary of {} pieces is too large", pieces.len()));
        }
        let mut ordered: Vec<Option<&str>> = vec![None; pieces.len()];
        for (piece, &id) in pieces {
            *ordered.get_mut(id as usize).ok_or_else(|| format!("piece `{piece}` has id {id}"))? = Some(piece);
        }
        let mut vocabulary = Self {
            slots: vec![Slot { head: Head(0), tag: 0, id: EMPTY }; SLOTS].into_boxed_slice(),
            starts: Vec::with_capacity(pieces.len() + 1),
            text: Vec::new(),
            longest: 0,
        };
        for (id, piece) in ordered.into_iter().enumerate() {
            let piece = piece.ok_or_else(|| format!("no piece has id {id}"))?;
            vocabulary.insert(piece)?;
        }
        vocabulary.starts.push(vocabulary.text.len() as u32);
        Ok(vocabulary)
    }

    fn insert(&mut self, piece: &str) -> Result<(), String> {
        let within = piece.strip_prefix(CONTINUES).filter(|rest| !rest.is_empty());
        let (seed, bytes) = match within {
            Some(rest) => (Hash::WITHIN, rest.as_bytes()),
            None => (Hash::START, piece.as_bytes()),
        };
        if bytes.is_empty() || bytes.len() > LONGEST {
            return Err(format!("piece `{piece}` has {} bytes", bytes.len()));
        }
        if bytes.contains(&0) {
            return Err(format!("piece `{}` has a zero within", piece.escape_debug()));
        }
        let head = Head::of(bytes, bytes.len());
        let hash = Hash::whole(seed, bytes, head);
        let id = self.starts.len() as u32;
        self.starts.push(self.text.len() as u32);
        self.text.extend_from_slice(bytes);
        self.longest = self.longest.max(bytes.len());
        let mut at = hash.slot();
        while self.slots[at].id != EMPTY {
            at = (at + 1) % SLOTS;
        }
        self.slots[at] = Slot { head, tag: hash.tag(), id };
        Ok(())
    }

    /// How many pieces there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The id of a piece, if it is one.
    #[inline]
    fn find(&self, bytes: &[u8], head: Head, hash: Hash) -> Option<u32> {
        let mut at = hash.slot();
        loop {
            let slot = self.slots[at];
            if slot.id == EMPTY {
                return None;
            }
            let same = slot.tag == hash.tag() && slot.head == head;
            // One byte less than a head has, and a zero is at its end: a piece with that head is as long.
            if same && (bytes.len() < HEAD || self.piece(slot.id) == bytes) {
                return Some(slot.id);
            }
            at = (at + 1) % SLOTS;
        }
    }

    #[inline]
    fn piece(&self, id: u32) -> &[u8] {
        let id = id as usize;
        &self.text[self.starts[id] as usize..self.starts[id + 1] as usize]
    }

    /// Appends the ids of the pieces that make up a word, always the longest that fits first; [`UNKNOWN`] alone where
    /// they do not make up all of it. `head` is that of the whole word.
    #[inline]
    pub(crate) fn cut(&self, word: &[u8], head: Head, ids: &mut Vec<u32>) {
        if word.len() <= self.longest
            && let Some(id) = self.find(word, head, Hash::whole(Hash::START, word, head))
        {
            ids.push(id);
        } else {
            self.cut_slowly(word, ids);
        }
    }

    fn cut_slowly(&self, word: &[u8], ids: &mut Vec<u32>) {
        let before = ids.len();
        let mut rest = word;
        let mut seed = Hash::START;
        while !rest.is_empty() {
            let Some((id, length)) = self.longest_prefix(rest, seed) else {
                ids.truncate(before);
                ids.push(UNKNOWN);
                return;
            };
            ids.push(id);
            rest = &rest[length..];
            seed = Hash::WITHIN;
        }
    }

    fn longest_prefix(&self, text: &[u8], seed: u64) -> Option<(u32, usize)> {
        let most = text.len().min(self.longest);
        let head = Head::of(text, most);
        let mut hash = Hash::of(seed, head);
        let mut beyond = [hash; LONGEST];
        for (slot, &byte) in beyond.iter_mut().zip(&text[..most]).skip(HEAD) {
            hash = hash.with(byte);
            *slot = hash;
        }
        // A piece ends where a character does, so a prefix that cuts one is never found.
        (1..=most).rev().find_map(|length| {
            let head = head.first(length);
            let hash = if length > HEAD { beyond[length - 1] } else { Hash::of(seed, head) };
            let id = self.find(&text[..length], head, hash)?;
            Some((id, length))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&str], word: &str) -> Vec<u32> {
        let numbered = pieces.iter().enumerate().map(|(id, piece)| ((*piece).to_owned(), id as u32)).collect();
        let vocabulary = Vocabulary::new(&numbered).unwrap();
        let mut ids = vec![99];
        // As the word is read: into a buffer in which others were before.
        let mut buffer = [b'~'; 64];
        buffer[..word.len()].copy_from_slice(word.as_bytes());
        let head = Head::of(&buffer, word.len());
        assert_eq!(head, Head::of(word.as_bytes(), word.len()));
        vocabulary.cut(word.as_bytes(), head, &mut ids);
        ids.split_off(1)
    }

    #[test]
    fn the_longest_piece_wins_and_a_rest_makes_the_word_unknown() {
        let pieces = ["[PAD]", "[UNK]", "un", "##able", "unable", "##a", "##ble", "able", "u"];
        assert_eq!(cut(&pieces, "unable"), [4]);
        assert_eq!(cut(&pieces, "unablea"), [4, 5]);
        assert_eq!(cut(&pieces, "unaable"), [2, 5, 3]);
        assert_eq!(cut(&pieces, "able"), [7], "not the piece that continues a word");
        assert_eq!(cut(&pieces, "ableun"), [UNKNOWN], "what was found before goes as well");
        assert_eq!(cut(&pieces, "xable"), [UNKNOWN]);
    }

    #[test]
    fn words_that_begin_alike_are_told_apart_whatever_their_length() {
        let word = "abcdefghijk";
        let pieces: Vec<&str> = ["[PAD]", "[UNK]"].into_iter().chain((1..=10).map(|length| &word[..length])).collect();
        for length in 1..=10 {
            assert_eq!(cut(&pieces, &word[..length]), [length as u32 + 1]);
            let mut without = pieces.clone();
            without[length + 1] = "[NONE]";
            assert_eq!(cut(&without, &word[..length]), [UNKNOWN], "{length}");
        }
        assert_eq!(cut(&pieces, word), [UNKNOWN]);
    }

    #[test]
    fn a_vocabulary_with_gaps_is_refused() {
        for ids in [[0, 2], [1, 2], [0, 0]] {
            let pieces = [("a".to_owned(), ids[0]), ("b".to_owned(), ids[1])].into();
            assert!(Vocabulary::new(&pieces).is_err(), "{ids:?}");
        }
    }
}
