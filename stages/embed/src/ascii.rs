//! What an ASCII byte is to the tokenizer, and eight of them at once.

use crate::unicode::{self, Class};
use crate::vocabulary::Head;

/// What a byte is in [`CLASS`] where it is no part of a word. A part of a word stands there lowered, and is greater than
/// all of these.
pub(crate) const SPACE: u8 = 0;
pub(crate) const CONTROL: u8 = 1;
pub(crate) const PUNCTUATION: u8 = 2;

/// What to do with each ASCII byte.
pub(crate) const CLASS: [u8; 128] = {
    let mut table = [SPACE; 128];
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] = match unicode::ascii(byte) {
            Class::Space => SPACE,
            Class::Punctuation => PUNCTUATION,
            Class::Word => byte.to_ascii_lowercase(),
            _ => CONTROL,
        };
        byte += 1;
    }
    table
};

/// The same number in each of eight bytes.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The word of one to seven letters and digits that these bytes begin with, lowered, and its length: `None` where they begin with
/// something else, or where what comes next might belong to the word as well.
///
/// Nearly all words of a text in English are such, and here nothing is done byte by byte.
#[inline]
pub(crate) fn short_word(bytes: [u8; 8]) -> Option<(Head, usize)> {
    const HIGH: u64 = each(0x80);
    let number = u64::from_le_bytes(bytes);
    // The high bit of each byte of the result tells whether the byte is in the range; sums of seven bits stay in their byte.
    let within = |number: u64, first: u8, last: u8| {
        let seven = number & !HIGH;
        (seven + each(0x80 - first)) & !(seven + each(0x7f - last)) & HIGH
    };
    let letters = within(number | each(0x20), b'a', b'z') & !number;
    let digits = within(number, b'0', b'9') & !number;
    let length = (!(letters | digits) & HIGH).trailing_zeros() as usize / 8;
    let ends = |byte: &u8| matches!(CLASS.get(usize::from(*byte)), Some(&(SPACE | PUNCTUATION)));
    let lowered = number | letters >> 2;
    (length > 0 && bytes.get(length).is_some_and(ends)).then(|| (Head::of(&lowered.to_le_bytes(), length), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte by byte.
    fn expected(bytes: [u8; 8]) -> Option<(Head, usize)> {
        let class = |byte: u8| CLASS.get(usize::from(byte)).copied();
        let lowered: Vec<u8> =
            bytes.iter().map_while(|&byte| class(byte).filter(|&class| class > PUNCTUATION)).collect();
        let end = class(*bytes.get(lowered.len())?)?;
        (!lowered.is_empty() && end != CONTROL).then(|| (Head::of(&lowered, lowered.len()), lowered.len()))
    }

    #[test]
    fn eight_bytes_at_once_are_what_they_are_one_by_one() {
        let mut seen = [0_usize; 8];
        for words in [*b"aZ09zA5b", *b"word and", *b"A, b c d", [0xc3; 8]] {
            for place in 0..8 {
                for byte in 0..=255 {
                    for after in [b'x', b' ', b'.', 0, 0x7f, 0x80, 0xff] {
                        let mut bytes = words;
                        bytes[place] = byte;
                        bytes[(place + 1) % 8] = after;
                        let short = short_word(bytes);
                        assert_eq!(short, expected(bytes), "{bytes:?}");
                        seen[short.map_or(0, |(_, length)| length)] += 1;
                    }
                }
            }
        }
        assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
    }
}
