//! Plain words, of which it is remembered where their tokens end: a text says the same words again and again.
//!
//! Both encodings split a text into pieces before they look for tokens (`cuts.rs`), and most pieces of English are a space
//! and letters, or letters alone, or a comma or full stop. What they are made of can be told eight bytes at once, and
//! what they become by one look into a table. All other stretches go through the encoder, from the end of such a piece to
//! the next space with a letter behind it, which begins a piece whatever stands before:
//!
//! | piece | both encodings take it for one because |
//! |---|---|
//! | space or nothing, then a letter and small letters, before ASCII but letter or `'` | the run of letters ends there, and no contraction follows; only a capital within it would divide it |
//! | space or nothing, then ASCII punctuation, then line ends or nothing, before a space, letter, digit or, behind line ends, mark but `/` | a run of marks takes what is neither of those, and line ends, in one encoding with `/`; only a single mark before a letter belongs to it |
//! | one to three digits, before ASCII but a digit where they are fewer than three | digits stand alone |
//! | a space before a digit | nothing takes both |
//! | line ends before ASCII above space | a run of white space ends with its last line end |

/// Places for words, for each thread: two words in each, 384 KiB. A third takes it from the one that came first.
const PLACES: usize = 8_192;

/// Where the tokens of words end.
pub(crate) struct Words {
    places: Vec<[Known; 2]>,
}

#[derive(Clone, Copy, Default)]
struct Known {
    word: Word,
    /// The bit of each byte that is the last of a token.
    ends: u32,
}

/// A piece of up to 15 letters: these, and in the last byte how many, and whether a space stands before them. Or up to seven
/// bytes of another kind, and how many.
type Word = [u64; 2];

/// The mark of a space in the last byte.
const SPACE: u64 = 1 << 63;

/// The most letters of a word.
const LONGEST: usize = 15;

impl Words {
    pub(crate) fn new() -> Self {
        Self { places: vec![Default::default(); PLACES] }
    }

    /// Appends where each token of `text` ends, which stands `from` bytes behind the beginning; `encode` does so for a stretch
    /// of it, whose place it is given.
    pub(crate) fn ends(
        &mut self,
        text: &str,
        from: usize,
        ends: &mut Vec<usize>,
        encode: impl Fn(&str, usize, &mut Vec<usize>),
    ) {
        let bytes = text.as_bytes();
        // What comes before `at` and is not told yet begins at `rest`.
        let (mut at, mut rest) = (0, 0);
        while at < bytes.len() {
            let Some((word, length)) = piece(bytes, at) else {
                at = next_word(bytes, at + 1);
                continue;
            };
            if rest < at {
                encode(&text[rest..at], from + rest, ends);
            }
            let place = &mut self.places[place(word)];
            if place[0].word != word && place[1].word != word {
                let told = ends.len();
                encode(&text[at..at + length], from + at, ends);
                let bit = |end: usize| 1 << (end - from - at - 1);
                let bits = ends.drain(told..).fold(0, |bits, end| bits | bit(end));
                *place = [Known { word, ends: bits }, place[0]];
            }
            push_ends(ends, from + at, place[usize::from(place[0].word != word)].ends.into());
            at += length;
            rest = at;
        }
        if rest < at {
            encode(&text[rest..], from + rest, ends);
        }
    }
}

/// Appends the ends of tokens behind `start`: the bit of each byte that is the last of one is set.
#[inline]
pub(crate) fn push_ends(ends: &mut Vec<usize>, start: usize, mut bits: u64) {
    while bits != 0 {
        ends.push(start + bits.trailing_zeros() as usize + 1);
        bits &= bits - 1;
    }
}

/// The piece that begins at a place where one does, if it is one of those above, and its length.
#[inline]
fn piece(text: &[u8], at: usize) -> Option<(Word, usize)> {
    let space = text[at] == b' ';
    let start = at + usize::from(space);
    let (first, mut length) = letters(text, start, true)?;
    if length == 0 {
        return other(*text[at..].first_chunk()?);
    }
    let mut last = 0;
    if length == 8 {
        let more;
        (last, more) = letters(text, start + 8, false)?;
        length += more;
    }
    let end = *text.get(start + length)?;
    if length > LONGEST || !end.is_ascii() || end.is_ascii_alphabetic() || end == b'\'' {
        return None;
    }
    let mark = if space { SPACE } else { 0 };
    Some(([first, last | (length as u64) << 56 | mark], length + usize::from(space)))
}

/// The piece without letters that these bytes begin with.
fn other(bytes: [u8; 8]) -> Option<(Word, usize)> {
    let run = |from: usize, is: fn(&u8) -> bool| bytes[from..].iter().take_while(|byte| is(byte)).count();
    let digits = run(0, u8::is_ascii_digit).min(3);
    let space = usize::from(bytes[0] == b' ');
    let marks = run(space, u8::is_ascii_punctuation);
    let lines = run(space + marks, |byte| matches!(byte, b'\r' | b'\n'));
    let length = digits.max(space + marks + lines);
    let after = *bytes.get(length).filter(|after| after.is_ascii())?;
    let is = if digits > 0 {
        digits == 3 || !after.is_ascii_digit()
    } else if marks > 0 {
        let ends = after == b' ' || (after.is_ascii_graphic() && after != b'/');
        ends && !(length == 1 && after.is_ascii_alphabetic())
    } else if space > 0 {
        lines == 0 && after.is_ascii_digit()
    } else {
        lines > 0 && after > b' '
    };
    let word = u64::from_le_bytes(bytes) & u64::MAX.unbounded_shr(64 - 8 * length as u32);
    is.then_some(([word, (length as u64) << 56], length))
}

/// The small letters that the eight bytes from a place on begin with, of which the first may be a capital, and how many there are;
/// `None` where fewer bytes are left.
#[inline]
fn letters(text: &[u8], at: usize, capital: bool) -> Option<(u64, usize)> {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    const HIGH: u64 = each(0x80);
    let number = u64::from_le_bytes(*text.get(at..)?.first_chunk()?);
    let small = number | if capital { 0x20 } else { 0 };
    // The high bit of each byte tells whether it is one; sums of seven bits stay in their byte.
    let seven = small & !HIGH;
    let small = (seven + each(0x80 - b'a')) & !(seven + each(0x7f - b'z')) & !number & HIGH;
    let length = (!small & HIGH).trailing_zeros() as usize / 8;
    Some((number & !u64::MAX.unbounded_shl(8 * length as u32), length))
}

/// From `at` on, the first space that a letter follows, or the end.
fn next_word(text: &[u8], at: usize) -> usize {
    let words = text[at..].windows(2).position(|pair| pair[0] == b' ' && pair[1].is_ascii_alphabetic());
    words.map_or(text.len(), |found| at + found)
}

fn place(word: Word) -> usize {
    let product = u128::from(word[0] ^ 0x9e37_79b9_7f4a_7c15) * u128::from(word[1] ^ 0xbf58_476d_1ce4_e5b9);
    ((product as u64) ^ (product >> 64) as u64) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    /// Where each token of a text ends, encoded as a whole.
    fn whole(bpe: &tiktoken::CoreBpe, text: &str, from: usize, ends: &mut Vec<usize>) {
        let mut end = from;
        for token in bpe.encode(text) {
            end += bpe.decode(&[token]).len();
            ends.push(end);
        }
    }

    /// How many bytes of a text did not go through the encoder when it was read for the second time.
    fn assert_same(text: &str) -> usize {
        let mut known = 0;
        for encoding in ["cl100k_base", "o200k_base"] {
            let bpe = tiktoken::get_encoding(encoding).unwrap();
            let (mut expected, mut words) = (vec![3], Words::new());
            whole(bpe, text, 7, &mut expected);
            for _ in 0..2 {
                let (encoded, mut ends) = (Cell::new(0), vec![3]);
                words.ends(text, 7, &mut ends, |part, from, ends| {
                    encoded.set(encoded.get() + part.len());
                    whole(bpe, part, from, ends);
                });
                assert_eq!(ends, expected, "{encoding} of {text:?}");
                known = text.len() - encoded.get();
            }
        }
        known
    }

    #[test]
    fn prose_is_known_words_and_all_else_is_encoded() {
        let prose = "The miller's wheels, said Tom, turn all night.\nNobody unquestionably hyperparametrised them ; but\n\
                     antidisestablishmentarianism (of 1890) did. So what? x ";
        let known = assert_same(prose);
        assert!(known > prose.len() / 3, "{known} of {} bytes", prose.len());
        assert_eq!(assert_same("日本語、camelCase::snake_case1234\u{a0}"), 0);
        for text in ["", " ", "a", " a", "\n", ",", "a b", " A B ", "  a  b ", "\n\na ", ", ,, ,", "Ab aB AB "] {
            assert_same(text);
        }
    }

    #[test]
    fn lengths_around_those_that_are_read_at_once() {
        for letters in 1..20 {
            for end in [" ", ", ", "\n", "\n/", "'s ", "A ", "1 ", "é ", "\u{301} ", "_x ", "\0 "] {
                let word = "abcdefghijklmnopqrst".split_at(letters).0;
                assert_same(&format!("{word}{end} {word}{end} {}{} then something", word.to_uppercase(), end));
                assert_same(&format!("A{word}{end}"));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_has_the_tokens_that_it_has_as_a_whole(text in "( ?[a-z]{1,16}| [A-Z][a-z]{0,9}|[a-dSZ0-9 ./,'_\\-\t\r\n]|[éßDяعم、。「！日본か漢한\u{301}\u{a0}\u{3000}\u{85}\u{200b}ſ²]|'s|'LL|  |\n\n| \n[0-9]|[0-9]{1,5}| ?[.,()'\"/]{1,4}[\r\n]{0,2}|[\x00\x0b\x0c\x1c\x7f]|\\PC){0,24}") {
            assert_same(&text);
        }
    }
}
