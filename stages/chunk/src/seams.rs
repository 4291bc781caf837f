//! Text of scripts that write no spaces, taken apart where that changes no token. Between two letters that no token of
//! an encoding spans, nothing is ever merged; so what stands on either side may be encoded alone, and the tokens of a few
//! letters are remembered. A sentence of Chinese is one word to an encoder, and new each time; its letters and their
//! frequent pairs are some thousands.
//!
//! Exact for these reasons. A run of such letters lies in one piece of the encodings' expression (see `cuts.rs`). If a cut
//! follows it the piece ends there, and where it begins is decided by what stands before. If none does, as before a Latin
//! letter, the piece goes on as it would from any letter of the run, save that `o200k_base` ends it before a capital where
//! a small letter stood before the run: then the run is left alone. A mark alone between two letters begins a piece. In a
//! piece, each merge gives a token, so a boundary that no token can
//! have inside it stays one. Whether one can is asked of the vocabulary with the three bytes on either side, of which a
//! token may hold less.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cuts::{is_cut, is_wide_mark};

/// All letters and marks in question have three bytes in UTF-8, and lie in the plane whose places two bytes tell.
const LETTER: usize = 3;

/// The letters whose tokens are remembered together.
const FEW: usize = 3;

/// How many answers are remembered at once of either kind; a power of two. More than a text has that are frequent.
const REMEMBERED: usize = 1 << 15;

type Letter = [u8; LETTER];

/// What of an encoding's vocabulary tells where its tokens may lie.
#[derive(Debug)]
pub(crate) struct Seams {
    /// The bytes beside a boundary that some token spans, up to three before it and up to three after it, ascending.
    /// What the token does not hold is 0.
    spans: Vec<(Letter, Letter)>,
    /// How many bytes before and after the boundary the spans have, each pair once.
    shapes: Vec<(usize, usize)>,
    /// What some span may have before its boundary, and after it: most letters are in neither, and are asked no further.
    before: Letters,
    after: Letters,
    /// Whether a pair that both sets have is a seam.
    pairs: Memory,
    /// Where in a few letters tokens end: a bit for each byte, the lowest for the first.
    tokens: Memory,
}

/// A set of places of the plane.
#[derive(Debug)]
struct Letters(Vec<u64>);

/// Answers by what was asked, the latest of those that meet in a place: one number holds both, so that no thread reads a
/// half of either.
#[derive(Debug)]
struct Memory(Vec<AtomicU64>);

/// A part of a text whose tokens are those of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Any text.
    Text(Range<usize>),
    /// One to [`FEW`] letters, the first of which may be a mark, and what they are asked for by.
    Letters(Range<usize>, u64),
}

impl Seams {
    /// Those of a vocabulary.
    pub(crate) fn new(vocabulary: impl Iterator<Item = Vec<u8>>) -> Self {
        let (mut spans, mut shapes) = (Vec::new(), Vec::new());
        for token in vocabulary {
            for place in 1..token.len() {
                let before = &token[place.saturating_sub(LETTER)..place];
                let after = &token[place..token.len().min(place + LETTER)];
                if may_be_before(before) && may_be_after(after) {
                    spans.push((at_end(before), at_start(after)));
                    shapes.push((before.len(), after.len()));
                }
            }
        }
        shapes.sort_unstable();
        shapes.dedup();
        spans.sort_unstable();
        spans.dedup();
        let (before, after) = sides(&spans, &shapes);
        Self { spans, shapes, before, after, pairs: Memory::new(), tokens: Memory::new() }
    }

    /// Takes `text[part]`, which begins and ends where pieces do, apart.
    pub(crate) fn divide(&self, text: &str, part: Range<usize>, mut each: impl FnMut(Part)) {
        let bytes = &text.as_bytes()[..part.end];
        let mut open = part.start;
        for run in runs(bytes, part.start) {
            let ends = run.end == part.end || is_cut(text, run.end);
            if ends || begins_anew(&bytes[part.start..run.start]) {
                open = self.divide_run(bytes, open, run, ends, &mut each);
            }
        }
        if open < part.end {
            each(Part::Text(open..part.end));
        }
    }

    /// Takes a run apart, with what stands before it from `open` on; says from where on the rest goes with what follows.
    fn divide_run(
        &self,
        bytes: &[u8],
        open: usize,
        run: Range<usize>,
        ends: bool,
        each: &mut impl FnMut(Part),
    ) -> usize {
        // What stands before the first seam goes with what is before the run.
        let (mut from, mut is_first) = (open, true);
        let (mut asked, mut before) = (0, 0);
        let mut give = |from: usize, to: usize, asked: u64, is_first: bool| {
            let few = !is_first && to - from <= FEW * LETTER;
            each(if few { Part::Letters(from..to, asked) } else { Part::Text(from..to) });
        };
        let (letters, _) = bytes[run.clone()].as_chunks::<LETTER>();
        for (index, &letter) in letters.iter().enumerate() {
            let after = code(letter);
            let place = run.start + index * LETTER;
            if index > 0 && self.is_seam(bytes, place, [before, after]) {
                give(from, place, asked, is_first);
                (from, is_first, asked) = (place, false, 0);
            }
            asked = asked << 16 | u64::from(after);
            before = after;
        }
        if ends && !is_first {
            give(from, run.end, asked, is_first);
            return run.end;
        }
        from
    }

    /// The first seam and the last in a part of a text that is a run.
    pub(crate) fn around(&self, text: &str, part: Range<usize>) -> Option<(usize, usize)> {
        let bytes = text.as_bytes();
        let pair = |place: usize| [code_at(bytes, place - LETTER), code_at(bytes, place)];
        let mut letters = part.step_by(LETTER).skip(1);
        let first = letters.find(|&place| self.is_seam(bytes, place, pair(place)))?;
        let last = letters.rev().find(|&place| self.is_seam(bytes, place, pair(place)));
        Some((first, last.unwrap_or(first)))
    }

    /// Whether no token spans the boundary before `place`, which lies in a run between this pair of letters.
    fn is_seam(&self, bytes: &[u8], place: usize, pair: [u32; 2]) -> bool {
        if !self.before.has(pair[0]) || !self.after.has(pair[1]) || is_wide_mark(pair[1]) {
            return true;
        }
        let asked = u64::from(pair[0]) << 16 | u64::from(pair[1]);
        let spanned = || {
            let (before, after) = (bytes[..place].last_chunk(), bytes[place..].first_chunk());
            before.zip(after).is_some_and(|(&before, &after)| self.is_spanned(before, after))
        };
        self.pairs.answer(asked, || u64::from(!spanned())) == 1
    }

    fn is_spanned(&self, before: Letter, after: Letter) -> bool {
        self.shapes.iter().any(|&(left, right)| {
            let span = (at_end(&before[LETTER - left..]), at_start(&after[..right]));
            self.spans.binary_search(&span).is_ok()
        })
    }

    /// Where in a few letters tokens end: a bit for each byte, the lowest for the first. `lengths` is asked for those of
    /// the tokens if that is not remembered.
    pub(crate) fn letters(&self, asked: u64, lengths: impl FnOnce() -> Vec<usize>) -> u64 {
        self.tokens.answer(asked, || {
            let mut end = 0;
            lengths().into_iter().fold(0, |ends, length| {
                end += length;
                ends | 1 << (end - 1)
            })
        })
    }
}

impl Memory {
    /// The bits that an answer has.
    const ANSWER: u32 = 16;

    fn new() -> Self {
        Self((0..REMEMBERED).map(|_| AtomicU64::new(0)).collect())
    }

    /// The answer to what was asked, which is not 0 and has 48 bits.
    fn answer(&self, asked: u64, find: impl FnOnce() -> u64) -> u64 {
        let mixed = (asked ^ asked >> 23).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &self.0[usize::try_from(mixed >> 40).unwrap_or(0) % REMEMBERED];
        let known = place.load(Ordering::Relaxed);
        if known >> Self::ANSWER == asked {
            return known & ((1 << Self::ANSWER) - 1);
        }
        let found = find();
        place.store(asked << Self::ANSWER | found, Ordering::Relaxed);
        found
    }
}

impl Letters {
    fn none() -> Self {
        Self(vec![0; 1 << 10])
    }

    fn add(&mut self, code: u32) {
        self.0[code as usize / 64] |= 1 << (code % 64);
    }

    fn has(&self, code: u32) -> bool {
        self.0[code as usize / 64] >> (code % 64) & 1 == 1
    }
}

/// The letters and marks that may stand before the boundary of some span, and those that may stand after it.
fn sides(spans: &[(Letter, Letter)], shapes: &[(usize, usize)]) -> (Letters, Letters) {
    let mut befores: Vec<_> = spans.iter().map(|span| span.0).collect();
    let mut afters: Vec<_> = spans.iter().map(|span| span.1).collect();
    befores.sort_unstable();
    afters.sort_unstable();
    let (mut before, mut after) = (Letters::none(), Letters::none());
    for code in (0..1 << 16).filter(|&code| is_letter(code) || is_wide_mark(code)) {
        let Some(letter) = char::from_u32(code) else { continue };
        let mut bytes = [0; LETTER];
        letter.encode_utf8(&mut bytes);
        if shapes.iter().any(|shape| befores.binary_search(&at_end(&bytes[LETTER - shape.0..])).is_ok()) {
            before.add(code);
        }
        if shapes.iter().any(|shape| afters.binary_search(&at_start(&bytes[..shape.1])).is_ok()) {
            after.add(code);
        }
    }
    (before, after)
}

/// Whether a part of a text holds a run that [`Seams::divide`] may take apart: where it holds none, the tables need not be made.
pub(crate) fn has_run(part: &str) -> bool {
    runs(part.as_bytes(), 0).next().is_some()
}

/// The runs of two letters or more from `from` on.
fn runs(bytes: &[u8], from: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = from;
    std::iter::from_fn(move || {
        while let Some(start) = next_wide(bytes, at) {
            let run = run(bytes, start);
            at = run.end.max(start + 1);
            if run.len() >= 2 * LETTER {
                return Some(run);
            }
        }
        None
    })
}

/// Whether a text is letters alone that may have seams, with marks between.
pub(crate) fn is_run(text: &str) -> bool {
    run(text.as_bytes(), 0).end == text.len()
}

/// The first byte from `from` on that may begin a letter: all of Latin, Greek and Cyrillic is below.
fn next_wide(bytes: &[u8], from: usize) -> Option<usize> {
    const STRIDE: usize = 32;
    let (strides, _) = bytes[from..].as_chunks::<STRIDE>();
    let narrow = strides.iter().take_while(|stride| stride.iter().fold(0, |most, &byte| byte.max(most)) < 0xe3).count();
    let from = from + narrow * STRIDE;
    bytes[from..].iter().position(|&byte| byte >= 0xe3).map(|at| from + at)
}

/// The longest run of letters from `start` on, with marks that stand alone between two; empty if there is none.
fn run(bytes: &[u8], start: usize) -> Range<usize> {
    let (letters, _) = bytes[start..].as_chunks::<LETTER>();
    let mut count = 0;
    while let Some(&letter) = letters.get(count) {
        if is_letter(code(letter)) {
            count += 1;
        } else if count > 0
            && is_wide_mark(code(letter))
            && letters.get(count + 1).is_some_and(|&after| is_letter(code(after)))
        {
            count += 2;
        } else {
            break;
        }
    }
    start..start + count * LETTER
}

fn code_at(bytes: &[u8], place: usize) -> u32 {
    bytes[place..].first_chunk().map_or(0, |&letter| code(letter))
}

/// Whether a letter behind these bytes is the first of its piece, or has none but capitals before it there.
fn begins_anew(before: &[u8]) -> bool {
    match before.last_chunk::<LETTER>() {
        _ if before.last().is_none_or(|byte| byte.is_ascii() && !byte.is_ascii_lowercase()) => true,
        Some(&mark) => is_wide_mark(code(mark)),
        None => false,
    }
}

/// What three bytes stand for in UTF-8; 0 if they are no character of three.
fn code([a, b, c]: Letter) -> u32 {
    if a >> 4 == 0xe { u32::from(a & 0xf) << 12 | u32::from(b & 0x3f) << 6 | u32::from(c & 0x3f) } else { 0 }
}

/// Letters of which both encodings divide no run, neither small nor capital (`\p{Lo}`, `\p{Lm}`): Han, kana, Hangul, and
/// what repeats and lengthens them.
fn is_letter(code: u32) -> bool {
    matches!(code, 0x4e00..=0x9fff | 0x3041..=0x3096 | 0x30a1..=0x30fa | 0x30fc..=0x30fe | 0x3005..=0x3006
        | 0x3400..=0x4dbf | 0xac00..=0xd7a3)
}

/// Whether a token that holds these bytes may have them of a letter or mark, up to its end.
fn may_be_before(bytes: &[u8]) -> bool {
    match *bytes {
        [a, b, c] => is_letter(code([a, b, c])) || is_wide_mark(code([a, b, c])),
        _ => bytes.iter().all(|byte| (0x80..0xc0).contains(byte)),
    }
}

/// Whether a token that holds these bytes may have them of a letter, from its start.
fn may_be_after(bytes: &[u8]) -> bool {
    match *bytes {
        [a, b, c] => is_letter(code([a, b, c])),
        [a, ..] => a >> 4 == 0xe,
        [] => false,
    }
}

fn at_end(bytes: &[u8]) -> Letter {
    let mut whole = [0; LETTER];
    whole[LETTER - bytes.len()..].copy_from_slice(bytes);
    whole
}

fn at_start(bytes: &[u8]) -> Letter {
    let mut whole = [0; LETTER];
    whole[..bytes.len()].copy_from_slice(bytes);
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encoding::Encoding;
    use crate::tokenizer::{Tokenizer, segment};

    fn reference(encoding: Encoding) -> &'static tiktoken_rs::CoreBPE {
        match encoding {
            Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
            Encoding::O200kBase => tiktoken_rs::o200k_base_singleton(),
        }
    }

    fn seams(encoding: Encoding) -> Seams {
        Seams::new((0..100_000).filter_map(|token| reference(encoding).decode_bytes(&[token]).ok()))
    }

    fn ends(encoding: Encoding, text: &str) -> Vec<usize> {
        let (mut from, mut ends) = (0, Vec::new());
        while from < text.len() {
            let segment = segment(text, from);
            Tokenizer::new(encoding).ends(text, from, segment, &mut ends);
            from = segment.end;
        }
        ends
    }

    fn expected(encoding: Encoding, text: &str) -> Vec<usize> {
        let mut end = 0;
        let tokens = reference(encoding).encode_ordinary(text);
        let lengths = tokens.into_iter().map(|token| reference(encoding).decode_bytes(&[token]).unwrap().len());
        lengths.map(|length| (end += length, end).1).collect()
    }

    /// Words that are tokens or end in the midst of letters that tokens hold, and letters that are rare.
    const WORDS: &str = "中国 彩票 しました ありがとう 데이터 습니다 選択 选择 天地 玄黄 𠮷野 龘靐 ー々 フォ テスト を ヿ 㐀 덷 彩神 电脑 北京赛车 微信 어느 아닌 获取 添加 操作";

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn parts_have_the_tokens_of_the_whole(
            pieces in prop::collection::vec(prop_oneof![
                4 => prop::sample::select(WORDS.split(' ').collect::<Vec<_>>()).prop_map(str::to_owned),
                4 => "[\u{4e00}-\u{9fff}]{1,4}|[ぁ-んァ-ヶ가-힣]{1,3}",
                1 => prop::sample::select(vec!["，", "。", "A", "b", "Ab", "É", "ß", "々", "ー", "'s", " ", "1", "\n", "\u{301}", "\u{3000}", "ａ", "🎉"])
                    .prop_map(str::to_owned),
            ], 0..24),
        ) {
            let text = pieces.concat();
            for encoding in [Encoding::Cl100kBase, Encoding::O200kBase] {
                prop_assert_eq!(ends(encoding, text.trim_end()), expected(encoding, text.trim_end()), "{:?}", &text);
                prop_assert_eq!(Tokenizer::new(encoding).count(text.trim_end()), expected(encoding, text.trim_end()).len());
            }
        }
    }

    #[test]
    fn most_letters_stand_alone_and_words_stay_whole() {
        let text = "Aa，天地玄黄中国！宇宙";
        let mut parts = Vec::new();
        seams(Encoding::Cl100kBase).divide(text, 0..text.len(), |part| parts.push(part));
        let word = text.find("中国").unwrap();
        assert!(
            parts.iter().any(|part| matches!(part, Part::Letters(place, _) if *place == (word..word + 6))),
            "{parts:?}"
        );
        assert!(parts.iter().filter(|part| matches!(part, Part::Letters(..))).count() > 3, "{parts:?}");
        let covered = parts.iter().fold(0, |end, part| {
            let (Part::Text(part) | Part::Letters(part, _)) = part;
            assert_eq!(part.start, end, "{parts:?}");
            part.end
        });
        assert_eq!(covered, text.len());
    }

    #[test]
    fn a_run_between_a_small_and_a_capital_letter_is_left_to_the_encoder() {
        let seams = seams(Encoding::O200kBase);
        for (text, alone) in [("ab天地玄黄Xyz", true), ("ab，天地玄黄Xyz", false), ("AB天地玄黄Xyz", false)]
        {
            let mut parts = Vec::new();
            seams.divide(text, 0..text.len(), |part| parts.push(part));
            assert_eq!(parts == [Part::Text(0..text.len())], alone, "{text}: {parts:?}");
        }
    }
}
