//! Where sentences of a text end, by the rules of Unicode (UAX #29), with the answers kept while a splitter asks for them
//! again. Where ASCII, letters of Latin and quotation marks decide, they are told here, some times faster than by
//! `icu_segmenter`, which is asked where anything else does.

use std::sync::LazyLock;

use icu_segmenter::options::SentenceBreakInvariantOptions;
use icu_segmenter::{SentenceSegmenter, SentenceSegmenterBorrowed};

static SEGMENTER: LazyLock<SentenceSegmenterBorrowed<'static>> =
    LazyLock::new(|| SentenceSegmenter::new(SentenceBreakInvariantOptions::default()));

/// The ends of the sentences of one text, from a place on.
#[derive(Debug)]
pub(crate) struct Sentences<'a> {
    text: &'a str,
    /// Where the first begins.
    origin: usize,
    /// Ascending.
    ends: Vec<usize>,
}

impl<'a> Sentences<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, origin: 0, ends: Vec::new() }
    }

    /// The ends behind `from`, as if the text began there. Those found before stand if one of them is `from`: behind its
    /// end, nothing of a sentence has a say in the next.
    pub(crate) fn from(&mut self, from: usize) -> impl Iterator<Item = usize> {
        let mut next = match self.ends.binary_search(&from) {
            Ok(index) => index + 1,
            Err(_) if from == self.origin => 0,
            Err(_) => {
                self.ends.clear();
                self.origin = from;
                0
            }
        };
        std::iter::from_fn(move || {
            if next == self.ends.len() {
                let last = self.ends.last().copied().unwrap_or(self.origin);
                self.ends.push(end_of_sentence(self.text, last).filter(|&end| end > last)?);
            }
            next += 1;
            Some(self.ends[next - 1])
        })
    }
}

/// Where the sentence at the start of `text[from..]` ends; `None` at the end of the text.
fn end_of_sentence(text: &str, from: usize) -> Option<usize> {
    let rest = text.get(from..).filter(|rest| !rest.is_empty())?;
    let end = end_by_bytes(rest.as_bytes()).or_else(|| SEGMENTER.segment_str(rest).nth(1));
    end.map(|end| from + end)
}

/// The same where all that decides is known here.
fn end_by_bytes(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let Some(found) = bytes[at..].iter().position(|&byte| ASKED[usize::from(byte)]) else {
            return Some(bytes.len());
        };
        at += found;
        match bytes[at] {
            b'\n' | b'\r' => return Some(behind_line_end(bytes, at)),
            b'.' | b'?' | b'!' => match behind_mark(bytes, at)? {
                Mark::Ends(end) => return Some(end),
                Mark::GoesOn(place) => at = place,
            },
            _ => at += ends_nothing(&bytes[at..])?,
        }
    }
}

/// The bytes of a character beyond ASCII that ends no sentence, for certain: letters of Latin, and the dashes and quotation
/// marks of General Punctuation.
fn ends_nothing(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [0xc3..=0xc9, ..] => Some(2),
        [0xe2, 0x80, 0x90..=0xa3, ..] => Some(3),
        _ => None,
    }
}

/// What follows a full stop, a question mark or an exclamation mark.
enum Mark {
    /// The sentence ends, here.
    Ends(usize),
    /// It goes on; here the next mark may stand.
    GoesOn(usize),
}

/// `None` if that depends on what is not known here. Rules SB6 to SB11.
fn behind_mark(bytes: &[u8], at: usize) -> Option<Mark> {
    let is_stop = bytes[at] == b'.';
    let next = |place: usize| bytes.get(place).copied();
    if is_stop && let Some(after) = next(at + 1) {
        let before = at.checked_sub(1).map_or(b' ', |before| bytes[before]);
        if after.is_ascii_uppercase() && !before.is_ascii() {
            return None;
        }
        // 3.14, U.S.
        if after.is_ascii_digit() || (after.is_ascii_uppercase() && before.is_ascii_alphabetic()) {
            return Some(Mark::GoesOn(at + 1));
        }
    }
    let closed = behind_closing(bytes, at + 1);
    let place = behind(bytes, closed, |byte| b" \t\x0b\x0c".contains(&byte));
    match next(place) {
        None => Some(Mark::Ends(place)),
        Some(b'\n' | b'\r') => Some(Mark::Ends(behind_line_end(bytes, place))),
        Some(b',' | b'-' | b':' | b';' | b'.' | b'?' | b'!') => Some(Mark::GoesOn(place)),
        Some(byte) if !byte.is_ascii() => None,
        // A small letter comes next, whatever stands before it that is none: e.g. this one.
        Some(_) if is_stop => {
            let said = behind(bytes, place, |byte| byte.is_ascii() && !byte.is_ascii_alphabetic() && !is_end(byte));
            match next(said) {
                Some(byte) if !byte.is_ascii() => None,
                Some(byte) if byte.is_ascii_lowercase() => Some(Mark::GoesOn(said)),
                _ => Some(Mark::Ends(place)),
            }
        }
        Some(_) => Some(Mark::Ends(place)),
    }
}

/// The place behind brackets and quotation marks.
fn behind_closing(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at += match bytes[at..] {
            [b'"' | b'\'' | b'(' | b')' | b'[' | b']' | b'{' | b'}', ..] => 1,
            [0xe2, 0x80, 0x98..=0x9f, ..] => 3,
            _ => return at,
        }
    }
}

/// Whether a byte is looked at: it ends a sentence, or is of a character beyond ASCII.
const ASKED: [bool; 256] = {
    let mut asked = [false; 256];
    let mut byte = 0;
    while byte < asked.len() {
        asked[byte] = byte >= 0x80 || is_end(byte as u8);
        byte += 1;
    }
    asked
};

const fn is_end(byte: u8) -> bool {
    matches!(byte, b'.' | b'?' | b'!' | b'\n' | b'\r')
}

fn behind(bytes: &[u8], from: usize, is_passed: impl Fn(u8) -> bool) -> usize {
    from + bytes[from..].iter().take_while(|&&byte| is_passed(byte)).count()
}

fn behind_line_end(bytes: &[u8], at: usize) -> usize {
    at + if bytes[at..].starts_with(b"\r\n") { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_as_icu(text: &str) {
        let expected: Vec<_> = SEGMENTER.segment_str(text).skip(1).collect();
        assert_eq!(Sentences::new(text).from(0).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn the_marks_of_english_are_told_without_the_segmenter() {
        let text =
            "It is 3.14, e.g. in the U.S. He said: \"No!\" (Why?) Etc., he went on... and on. The end\r\nof it. ";
        assert_as_icu(text);
        let mut at = 0;
        while at < text.len() {
            at += end_by_bytes(&text.as_bytes()[at..]).unwrap();
        }
        assert_eq!(end_by_bytes("“Où?” he said".as_bytes()), Some(11), "quotation marks close");
        assert_eq!(end_by_bytes("Fin. Où".as_bytes()), Some(5), "the letter that decides is ASCII");
        assert_eq!(end_by_bytes("Fin. éA".as_bytes()), None, "that of another script is not known here");
    }

    #[test]
    fn ends_are_kept_where_they_are_asked_for_again() {
        let text = "One. Two. Three. Four.";
        let mut sentences = Sentences::new(text);
        assert_eq!(sentences.from(0).take(2).collect::<Vec<_>>(), [5, 10]);
        assert_eq!(sentences.from(5).collect::<Vec<_>>(), [10, 17, 22]);
        assert_eq!((sentences.origin, sentences.ends.len()), (0, 4));
        assert_eq!(sentences.from(7).collect::<Vec<_>>(), [10, 17, 22], "from within one they are found anew");
        assert_eq!(sentences.origin, 7);
        assert_eq!(sentences.from(22).next(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn sentences_end_where_the_segmenter_ends_them(
            text in "([a-cA-C0-9]|[ .?!,;:\\-\"'()\\[\\]]|[\\t\\r\\n\u{b}\u{c}]|\\. |[ -~]|[\u{0}-\u{1f}]|[éÉß。“”‘’—…\u{2024}\u{301}\u{85}\u{a0}\u{2028}]|\\PC){0,16}",
        ) {
            assert_as_icu(&text);
        }
    }
}
