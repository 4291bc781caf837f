//! Counts tokens, and finds where each ends, exactly as `tiktoken` does and faster. The only file that knows of the
//! two encoders and which of them suits what.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::OnceLock;

use bpe_openai::interval_encoding::IntervalEncoding;

use crate::cuts::{cut_after, cut_before, is_one_run_of_signs, is_one_word};
use crate::encoding::Encoding;
use crate::seams::{Part, Seams, has_run, is_run};
use crate::words::{Words, push_ends};

/// How much is given to the encoder at once. It takes time quadratic in that where a text is not ASCII, so little;
/// but each call costs an allocation, so not too little. 8 KiB measured best over prose, code and CJK.
const SEGMENT: usize = 8 << 10;

/// How far a segment may grow in search of a cut before the text counts as one endless word.
const LONGEST: usize = 32 << 10;

/// How far around its middle a segment is searched for a cut, to tell one endless word from a text.
const SAMPLE: usize = 256;

/// From this length on a part of a text that has no cut is prepared for counting any stretch of it.
const LONG: usize = 512;

/// Counts the tokens of texts. Cheap to make and copy: the vocabulary is loaded when the first text is counted (some
/// 30 ms), once per process and encoding.
///
/// Special tokens (`<|endoftext|>`) are counted as the plain text that they are in a document.
///
/// ```
/// use docmill_chunk::{Encoding, Tokenizer};
/// let tokenizer = Tokenizer::new(Encoding::Cl100kBase);
/// assert_eq!(tokenizer.count("hello world"), 2);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tokenizer {
    encoding: Encoding,
}

/// A part of a text that may be encoded by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    /// Where it ends.
    pub(crate) end: usize,
    /// Whether it ends at a cut, or with the text; else in the midst of an endless word.
    pub(crate) at_cut: bool,
    /// Whether it seems to be one endless word, for which the usual encoder is slow.
    pub(crate) endless: bool,
}

impl Tokenizer {
    /// A tokenizer for an encoding.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding }
    }

    /// Which encoding it counts in.
    #[must_use]
    pub fn encoding(self) -> Encoding {
        self.encoding
    }

    /// Loads what the first text waits for otherwise, but for the seams, which most texts have none of.
    pub(crate) fn load(self) {
        self.lengths();
    }

    /// How many tokens a text has: what `tiktoken` gives for it, save where a text *ends* with line ends followed by
    /// spaces, which are one token there and two here.
    #[must_use]
    pub fn count(self, text: &str) -> usize {
        if text.len() <= SAMPLE {
            return self.count_part(text, 0..text.len(), false);
        }
        let (mut from, mut count) = (0, 0);
        while from < text.len() {
            let segment = segment(text, from);
            if !segment.at_cut {
                // An endless word cannot be cut, so all that is left is encoded in one.
                return count + self.robust().count(&text[from..]);
            }
            count += self.count_part(text, from..segment.end, segment.endless);
            from = segment.end;
        }
        count
    }

    fn count_part(self, text: &str, part: Range<usize>, endless: bool) -> usize {
        let count = |text: &str| if endless { self.robust().count(text) } else { self.usual().count(text) };
        if !has_run(&text[part.clone()]) {
            return count(&text[part]);
        }
        let mut sum = 0;
        self.seams().divide(text, part, |part| {
            sum += match part {
                Part::Text(part) => count(&text[part]),
                Part::Letters(part, asked) => self.letters(text, part, asked).count_ones() as usize,
            }
        });
        sum
    }

    /// Appends where each token of `text[from..segment.end]` ends.
    pub(crate) fn ends(self, text: &str, from: usize, segment: Segment, ends: &mut Vec<usize>) {
        let part = from..segment.end;
        let encode = |part: Range<usize>, ends: &mut Vec<usize>| {
            if segment.endless {
                self.extend(ends, part.start, self.robust().encode(&text[part]));
            } else {
                self.words(&text[part.clone()], part.start, ends);
            }
        };
        if !has_run(&text[part.clone()]) {
            encode(part, ends);
        } else {
            self.seams().divide(text, part, |part| match part {
                Part::Text(part) => encode(part, ends),
                Part::Letters(part, asked) => push_ends(ends, part.start, self.letters(text, part, asked)),
            });
        }
        debug_assert_eq!(ends.last(), Some(&segment.end), "tokens cover the text");
    }

    /// Appends where each token of a text ends that stands at `from`.
    fn words(self, text: &str, from: usize, ends: &mut Vec<usize>) {
        thread_local! {
            static CL100K: RefCell<Words> = RefCell::new(Words::new());
            static O200K: RefCell<Words> = RefCell::new(Words::new());
        }
        let words = match self.encoding {
            Encoding::Cl100kBase => &CL100K,
            Encoding::O200kBase => &O200K,
        };
        words.with_borrow_mut(|words| {
            words.ends(text, from, ends, |part, from, ends| self.extend(ends, from, self.usual().encode(part)));
        });
    }

    /// Appends where tokens end that stand one behind the other from `from` on.
    fn extend(self, ends: &mut Vec<usize>, from: usize, tokens: Vec<u32>) {
        let lengths = self.lengths();
        let mut end = from;
        ends.extend(tokens.into_iter().map(|token| {
            end += usize::from(lengths[token as usize]);
            end
        }));
    }

    /// Where the tokens of a few letters end, as [`Seams::letters`] has it.
    fn letters(self, text: &str, part: Range<usize>, asked: u64) -> u64 {
        self.seams().letters(asked, || {
            let tokens = self.usual().encode(&text[part]);
            tokens.into_iter().map(|token| usize::from(self.lengths()[token as usize])).collect()
        })
    }

    /// The first seam and the last in a stretch that is such letters alone: between them its tokens are those of the text.
    pub(crate) fn seams_around(self, text: &str, stretch: Range<usize>) -> Option<(usize, usize)> {
        // The tables are not made for a text that needs none.
        is_run(&text[stretch.clone()]).then(|| self.seams().around(text, stretch))?
    }

    /// The endless words of a part of a text, where it seems to begin with one: for whoever counts many stretches of them.
    /// Without those that have seams, which are counted as fast.
    pub(crate) fn endless_words(self, text: &str, part: Range<usize>) -> EndlessWords<'_> {
        let mut words = Vec::new();
        if segment(text, part.start).endless {
            let encoder = self.robust();
            let mut end = part.start;
            for piece in encoder.split(&text[part]) {
                let start = end;
                end += piece.len();
                if piece.len() >= LONG && !is_run(piece) {
                    let tokens = IntervalEncoding::new(&encoder.bpe, piece.as_bytes());
                    let marks_with_letters = self.encoding == Encoding::O200kBase;
                    let uniform = is_one_word(piece) || is_one_run_of_signs(piece, marks_with_letters);
                    words.push(EndlessWord { place: start..end, tokens, uniform });
                }
            }
        }
        EndlessWords { tokenizer: self, text, words }
    }

    /// The fast one.
    fn usual(self) -> &'static tiktoken::CoreBpe {
        tiktoken::get_encoding(self.encoding.as_str()).expect("both vocabularies are features of the dependency")
    }

    /// The one that no input slows down.
    fn robust(self) -> &'static bpe_openai::Tokenizer {
        match self.encoding {
            Encoding::Cl100kBase => bpe_openai::cl100k_base(),
            Encoding::O200kBase => bpe_openai::o200k_base(),
        }
    }

    fn seams(self) -> &'static Seams {
        static CL100K: OnceLock<Seams> = OnceLock::new();
        static O200K: OnceLock<Seams> = OnceLock::new();
        let cell = match self.encoding {
            Encoding::Cl100kBase => &CL100K,
            Encoding::O200kBase => &O200K,
        };
        let tokens = || u32::try_from(self.usual().vocab_size()).unwrap_or(u32::MAX);
        cell.get_or_init(|| Seams::new((0..tokens()).map(|token| self.usual().decode(&[token]))))
    }

    /// The bytes of each token.
    fn lengths(self) -> &'static [u16] {
        static CL100K: OnceLock<Vec<u16>> = OnceLock::new();
        static O200K: OnceLock<Vec<u16>> = OnceLock::new();
        let cell = match self.encoding {
            Encoding::Cl100kBase => &CL100K,
            Encoding::O200kBase => &O200K,
        };
        cell.get_or_init(|| {
            let tokens = u32::try_from(self.usual().vocab_size()).unwrap_or(u32::MAX);
            (0..tokens).map(|token| u16::try_from(self.usual().decode(&[token]).len()).unwrap_or(u16::MAX)).collect()
        })
    }
}

/// What is known of words that no cut divides. Each stretch of one would have to be encoded anew to be counted, and a
/// splitter asks for ten stretches a chunk; here a word is encoded once, and the tokens of any part of it follow from
/// the first few of that part.
pub(crate) struct EndlessWords<'a> {
    tokenizer: Tokenizer,
    text: &'a str,
    /// Ascending.
    words: Vec<EndlessWord<'a>>,
}

struct EndlessWord<'a> {
    place: Range<usize>,
    tokens: IntervalEncoding<'a>,
    /// Whether the encoder divides no part of it.
    uniform: bool,
}

impl EndlessWords<'_> {
    /// The tokens of a stretch, encoded alone, if it lies in such a word and the encoder does not divide it.
    pub(crate) fn count(&self, stretch: Range<usize>) -> Option<usize> {
        let before = self.words.partition_point(|word| word.place.start <= stretch.start);
        let EndlessWord { place, tokens, uniform } = &self.words[before.checked_sub(1)?];
        if stretch.is_empty() || stretch.end > place.end {
            return None;
        }
        let text = &self.text[stretch.clone()];
        let first = || self.tokenizer.robust().split(text).next();
        let whole = *uniform || first().is_some_and(|piece| piece.len() == text.len());
        whole.then(|| tokens.count(stretch.start - place.start..stretch.end - place.start))
    }
}

/// The next segment of a text, from `from` on.
pub(crate) fn segment(text: &str, from: usize) -> Segment {
    let target = from + SEGMENT;
    let (end, at_cut) = if target >= text.len() {
        (text.len(), true)
    } else if let Some(cut) = cut_before(text, target, from + SEGMENT / 2) {
        (cut, true)
    } else if from + LONGEST >= text.len() {
        cut_after(text, target, text.len()).map_or((text.len(), true), |cut| (cut, true))
    } else {
        let furthest = text.floor_char_boundary(from + LONGEST);
        cut_after(text, target, furthest).map_or((furthest, false), |cut| (cut, true))
    };
    Segment { end, at_cut, endless: !at_cut || is_endless(text, from, end) }
}

fn is_endless(text: &str, from: usize, end: usize) -> bool {
    if end - from <= SAMPLE {
        return false;
    }
    let middle = from + (end - from) / 2;
    cut_after(text, middle.saturating_sub(SAMPLE).max(from + 1), (middle + SAMPLE).min(end - 1)).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_a_length() {
        for encoding in [Encoding::Cl100kBase, Encoding::O200kBase] {
            let lengths = Tokenizer::new(encoding).lengths();
            assert!(lengths.len() > 100_000, "{encoding}");
            assert!(lengths.iter().all(|&length| (1..1000).contains(&length)), "{encoding}");
        }
    }

    #[test]
    fn signs_are_one_piece_from_each_of_them_on() {
        let signs: String = ('\u{1f300}'..='\u{1faff}').flat_map(|sign| [sign, '\u{200d}']).collect();
        for (encoding, signs, marks) in
            [(Encoding::Cl100kBase, signs.replace('\u{200d}', "\u{fe0f}"), false), (Encoding::O200kBase, signs, true)]
        {
            assert!(is_one_run_of_signs(&signs, marks));
            assert!(!is_one_run_of_signs(&format!("{signs}\u{301}"), marks));
            for (from, _) in signs.char_indices().step_by(7) {
                let piece = Tokenizer::new(encoding).robust().split(&signs[from..]).next();
                assert_eq!(piece.map(str::len), Some(signs.len() - from), "{encoding}, {from}");
            }
        }
    }

    #[test]
    fn segments_cover_a_text_and_are_bounded() {
        let words = "some words and more\n".repeat(4000);
        let endless = "x".repeat(100_000);
        for (text, cuts) in [(&words, true), (&endless, false)] {
            let (mut from, mut inner) = (0, Vec::new());
            while from < text.len() {
                let segment = segment(text, from);
                assert!(segment.end > from && segment.end - from <= LONGEST);
                assert_eq!(segment.endless, !cuts);
                from = segment.end;
                inner.push(segment.at_cut);
            }
            inner.pop();
            assert!(inner.len() > 1 && inner.into_iter().all(|at_cut| at_cut == cuts));
        }
    }
}
