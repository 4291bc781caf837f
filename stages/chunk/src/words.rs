//! Plain words, of which it is remembered where their tokens end: a text says the same words again and again.
//!
//! Both encodings split a text into pieces before they look for tokens (`cuts.rs`), and most pieces of English are a space
//! and letters, or letters alone, or a comma or full stop. What they are made of can be told eight bytes at once, and
//! what they become by one look into a table. All other stretches go through the encoder, from the end of such a piece to
//! the next space with a letter behind it, which begins a piece whatever stands before:
//!
//! | piece | both encodings take it for one, or for two of which the second is a contraction, because |
//! |---|---|
//! | space, mark but `'` or nothing, then a letter and small letters, or capitals alone, before ASCII but letter or `'`, or before a mark | the run of letters ends there; only a capital within it would divide it; a single mark before letters belongs to them |
//! | the same, then `'s`, `'t`, `'m`, `'d`, `'re`, `'ve` or `'ll`, before ASCII but letter | one encoding has a contraction with its word, the other by itself |
//! | the same before `'` and ASCII but letter | no contraction follows |
//! | space or nothing, then marks, then line ends or nothing, before a space, letter, digit or, behind line ends, ASCII mark but `/` | a run of marks takes what is neither of those, and line ends, in one encoding with `/`; only a single mark before a letter belongs to it |
//! | one to three digits, before ASCII but a digit where they are fewer than three | digits stand alone |
//! | spaces but the last before ASCII above space; a space before a digit | a run of white space leaves one to what follows, which digits do not take |
//! | spaces or none, then line ends, before spaces or none and ASCII above space | a run of white space ends with its last line end |
//!
//! A mark is one of ASCII, or one of the dashes, quotation marks and dots from U+2010 to U+2027.

/// Places for words, for each thread: two words in each, 768 KiB. A third takes the place of the one that was asked for longest
/// ago. With half of that, two fifths more stretches of a book of 10 MB with many names go through the encoder.
const PLACES: usize = 16_384;

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

/// A word of up to 15 bytes: these, and in the last byte how many, and whether a space stands before them. With a mark before
/// them up to 13. Or up to seven bytes of another kind, and how many.
type Word = [u64; 2];

/// The mark of a space in the last byte.
const SPACE: u64 = 1 << 63;

/// That a mark stands before the letters, in the last byte; which one, in the two bytes before that.
const LED: u64 = 1 << 62;

/// The most bytes of a word.
const LONGEST: usize = 15;

/// The most bytes of one with a mark before it.
const LONGEST_LED: usize = 13;

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
            if place[0].word != word {
                if place[1].word != word {
                    let told = ends.len();
                    encode(&text[at..at + length], from + at, ends);
                    let bit = |end: usize| 1 << (end - from - at - 1);
                    place[1] = Known { word, ends: ends.drain(told..).fold(0, |bits, end| bits | bit(end)) };
                }
                place.swap(0, 1);
            }
            push_ends(ends, from + at, place[0].ends.into());
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
    let (first, length) = letters(text, start, true)?;
    if length == 0 {
        return led(text, at).or_else(|| other(*text[at..].first_chunk()?));
    }
    let (word, length) = word(text, start, first, length)?;
    Some(([word[0], word[1] | if space { SPACE } else { 0 }], length + usize::from(space)))
}

/// The word at a place where these letters are, the first eight bytes of it at most.
#[inline]
fn word(text: &[u8], at: usize, first: u64, mut length: usize) -> Option<(Word, usize)> {
    let mut last = 0;
    if length == 8 {
        let more;
        (last, more) = letters(text, at + 8, false)?;
        length += more;
    }
    let end = *text.get(at + length)?;
    if length > LONGEST || !end.is_ascii() || end.is_ascii_alphabetic() || end == b'\'' {
        return less_plain(text, at, length);
    }
    Some(([first, last | (length as u64) << 56], length))
}

/// A word that is capitals, has a contraction at its end or stands before a mark that is not ASCII.
fn less_plain(text: &[u8], at: usize, mut length: usize) -> Option<(Word, usize)> {
    if length == 1 {
        length = text[at..].iter().take(LONGEST + 1).take_while(|byte| byte.is_ascii_uppercase()).count().max(1);
    }
    let is_end = |byte: u8| byte.is_ascii() && !byte.is_ascii_alphabetic();
    let rest = text.get(at + length..)?;
    length += match *rest {
        [b'\'', end, ..] if is_end(end) => 0,
        [b'\'', b's' | b't' | b'm' | b'd', end, ..] if is_end(end) => 2,
        [b'\'', b'r' | b'v', b'e', end, ..] | [b'\'', b'l', b'l', end, ..] if is_end(end) => 3,
        [b'\'', ..] => return None,
        [end, ..] if is_end(end) || mark(rest) > 0 => 0,
        _ => return None,
    };
    let mut bytes = [0; 16];
    bytes[..LONGEST].get_mut(..length)?.copy_from_slice(&text[at..at + length]);
    let word = u128::from_le_bytes(bytes) | (length as u128) << 120;
    Some(([word as u64, (word >> 64) as u64], length))
}

/// A word with a mark before it.
fn led(text: &[u8], at: usize) -> Option<(Word, usize)> {
    let lead = mark(&text[at..]);
    if lead == 0 || text[at] == b'\'' {
        return None;
    }
    let (first, length) = letters(text, at + lead, true)?;
    if length == 0 {
        return None;
    }
    let (word, length) = word(text, at + lead, first, length)?;
    let which = (lead as u64) << 8 | u64::from(text[at + lead - 1]);
    (length <= LONGEST_LED).then_some(([word[0], word[1] | LED | which << 40], lead + length))
}

/// How long the mark is that these bytes begin with, 0 if they do with none: one of ASCII, or of those beyond it that `cuts.rs`
/// takes for punctuation too, from U+2010 to U+2027.
fn mark(bytes: &[u8]) -> usize {
    match *bytes {
        [0xe2, 0x80, 0x90..=0xa7, ..] => 3,
        [byte, ..] if byte.is_ascii_punctuation() => 1,
        _ => 0,
    }
}

/// The piece without letters that these bytes begin with.
fn other(bytes: [u8; 8]) -> Option<(Word, usize)> {
    let run = |from: usize, is: fn(&u8) -> bool| bytes[from..].iter().take_while(|byte| is(byte)).count();
    let digits = run(0, u8::is_ascii_digit).min(3);
    let spaces = run(0, |&byte| byte == b' ');
    let mut marks = spaces;
    while spaces < 2
        && let length @ 1.. = mark(&bytes[marks..])
    {
        marks += length;
    }
    let lines = run(marks, |byte| matches!(byte, b'\r' | b'\n'));
    let mut length = digits.max(marks + lines);
    let after = *bytes.get(length).filter(|after| after.is_ascii())?;
    let is = if digits > 0 {
        digits == 3 || !after.is_ascii_digit()
    } else if marks > spaces {
        let ends = after == b' ' || (after.is_ascii_graphic() && after != b'/');
        ends && !(length == mark(&bytes) && after.is_ascii_alphabetic())
    } else if lines > 0 {
        let said = bytes[length..].iter().find(|&&byte| byte != b' ');
        said.is_some_and(|said| said.is_ascii() && *said > b' ')
    } else if spaces > 1 {
        length -= 1;
        after > b' '
    } else {
        spaces > 0 && after.is_ascii_digit()
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
        let typographic = "“Don’t,” said the well-known MILLER (he’d gone … by then).  It's \n  the Millers' own — isn't it?\n\n  42, then";
        let known = assert_same(typographic);
        assert!(known + 10 > typographic.len(), "{known} of {} bytes", typographic.len());
    }

    #[test]
    fn lengths_around_those_that_are_read_at_once() {
        for letters in 1..20 {
            for end in [
                " ", ", ", "\n", "\n/", " \n", "'s ", "'ve, ", "''s ", "'sx ", "’s ", "-", "A ", "1 ", "é ",
                "\u{301} ", "_x ", "\0 ",
            ] {
                let word = "abcdefghijklmnopqrst".split_at(letters).0;
                assert_same(&format!("{word}{end} {word}{end} {}{} then something", word.to_uppercase(), end));
                assert_same(&format!("A{word}{end}"));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_has_the_tokens_that_it_has_as_a_whole(text in "( ?[a-z]{1,16}| [A-Z][a-z]{0,9}| ?[A-Z]{1,17}|[-\"(/_’“—\u{2028}][a-zA-Z]{1,15}|[a-zA-Z]'(s|t|m|d|re|ve|ll|l|S|x)?|[’“”—…]|   ?|[a-dSZ0-9 ./,'_\\-\t\r\n]|[éßDяعم、。「！日본か漢한\u{301}\u{a0}\u{3000}\u{85}\u{200b}ſ²]|'s|'LL|  |\n\n| \n[0-9]|[0-9]{1,5}| ?[.,()'\"/]{1,4}[\r\n]{0,2}|[\x00\x0b\x0c\x1c\x7f]|\\PC){0,24}") {
            assert_same(&text);
        }
    }
}
