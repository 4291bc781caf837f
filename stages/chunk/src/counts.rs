//! Where the tokens of a moving part of a text end, from one encoding of it, and what follows from that: the exact
//! token count of any stretch as if it stood alone. Apart from the work because its exactness is an argument of its
//! own (see `cuts.rs`), and apart from the tokenizer because it has a text.

use std::cell::Cell;
use std::ops::Range;

use text_splitter::ChunkSizer;

use crate::cuts::{cut_after, cut_before};
use crate::tokenizer::{EndlessWords, Segment, Tokenizer, segment};

/// The token ends of one part of a text.
pub(crate) struct Counts {
    tokenizer: Tokenizer,
    /// Ascending; of the part between what was forgotten, as soon as that is a quarter of them, and `encoded`.
    ends: Vec<usize>,
    /// Where the next segment begins.
    encoded: usize,
    /// Where an endless word was cut in two: the ends near it are not those of the whole text.
    forced: Vec<usize>,
    work: Cell<Effort>,
}

/// How many bytes were encoded, for the tests that bound it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effort {
    /// In the one pass.
    pub(crate) once: usize,
    /// Again, at the edges of stretches.
    pub(crate) again: usize,
}

/// The token ends of a segment, found ahead of what is countable.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) segment: Segment,
    pub(crate) ends: Vec<usize>,
}

impl Counts {
    pub(crate) fn new(tokenizer: Tokenizer) -> Self {
        Self { tokenizer, ends: Vec::new(), encoded: 0, forced: Vec::new(), work: Cell::default() }
    }

    #[cfg(test)]
    pub(crate) fn effort(&self) -> Effort {
        self.work.get()
    }

    /// Makes `part` of the text countable; what is before it may be forgotten. Parts may overlap; they begin in ascending
    /// order.
    pub(crate) fn cover(&mut self, text: &str, part: Range<usize>) {
        let behind = self.upto(part.start);
        // What was found ahead may be far more than a part: not all of it is moved for each.
        if behind > self.ends.len() / 4 {
            self.ends.drain(..behind);
        }
        self.forced.retain(|&cut| cut > part.start);
        self.encoded = self.encoded.max(part.start);
        while self.encoded < part.end {
            let segment = segment(text, self.encoded);
            self.tokenizer.ends(text, self.encoded, segment, &mut self.ends);
            self.reach(segment);
        }
    }

    fn reach(&mut self, segment: Segment) {
        self.spend(Effort { once: segment.end - self.encoded, again: 0 });
        self.encoded = segment.end;
        if !segment.at_cut {
            self.forced.push(segment.end);
        }
    }

    /// Up to where the text is countable.
    pub(crate) fn encoded(&self) -> usize {
        self.encoded
    }

    pub(crate) fn tokenizer(&self) -> Tokenizer {
        self.tokenizer
    }

    /// Takes over what was found ahead, where what is countable ends or beyond: what stands between is left out.
    pub(crate) fn take(&mut self, found: Found) {
        debug_assert!(found.start >= self.encoded, "what is countable already is not taken");
        self.encoded = found.start;
        self.ends.extend(found.ends);
        self.reach(found.segment);
    }

    /// Where the token ends that is the `count`th behind `from`, or `until` if that comes first; makes the text up to
    /// there countable, and nothing before `from`.
    pub(crate) fn ahead(&mut self, text: &str, from: usize, count: usize, until: usize) -> usize {
        loop {
            if let Some(&end) = self.ends.get(self.upto(from) + count) {
                return text.floor_char_boundary(end).min(until);
            }
            if self.encoded >= until {
                return until;
            }
            self.cover(text, from..self.encoded.max(from).saturating_add(1).min(until));
        }
    }

    /// Where the token ends that is the `count`th before the one that ends at `end` or after it; 0 if there are not so many.
    pub(crate) fn back(&self, end: usize, count: usize) -> usize {
        self.upto(end).checked_sub(count + 1).map_or(0, |token| self.ends[token])
    }

    /// The tokens of `text[stretch]`, encoded alone: from its first cut to its last, or between letters of one word from its
    /// first seam to its last, they are those of the text, and only what is outside these is encoded again, a word or so on
    /// either side.
    pub(crate) fn exact(&self, text: &str, stretch: Range<usize>) -> usize {
        let Range { start, end } = stretch;
        let edges = self.tokenizer.seams_around(text, stretch.clone()).or_else(|| {
            let first = if start == 0 { Some(0) } else { cut_after(text, start, end) };
            Some((first?, if end == text.len() { end } else { cut_before(text, end, start)? }))
        });
        match edges {
            Some((first, last)) if first <= last && self.is_whole(first, last) => {
                self.again(&text[start..first]) + self.upto(last) - self.upto(first) + self.again(&text[last..end])
            }
            _ => self.again(&text[stretch]),
        }
    }

    /// The same where it may matter for a limit; of what is far too long, about how many, since counting that exactly
    /// may mean to encode it again.
    pub(crate) fn size(&self, text: &str, stretch: Range<usize>, limit: usize) -> usize {
        self.far_too_long(&stretch, limit).unwrap_or_else(|| self.exact(text, stretch))
    }

    fn far_too_long(&self, stretch: &Range<usize>, limit: usize) -> Option<usize> {
        let about = self.upto(stretch.end) - self.upto(stretch.start);
        (about > 2 * limit + 16).then_some(about)
    }

    /// Whether the tokens from `first` to `last` are those of the text.
    fn is_whole(&self, first: usize, last: usize) -> bool {
        !self.forced.iter().any(|&cut| first < cut && cut < last)
    }

    /// How many tokens end at or before `place`.
    fn upto(&self, place: usize) -> usize {
        self.ends.partition_point(|&end| end <= place)
    }

    fn again(&self, text: &str) -> usize {
        if text.is_empty() {
            return 0;
        }
        self.spend(Effort { once: 0, again: text.len() });
        self.tokenizer.count(text)
    }

    fn spend(&self, more: Effort) {
        let Effort { once, again } = self.work.get();
        self.work.set(Effort { once: once + more.once, again: again + more.again });
    }
}

/// Tells a splitter how many tokens a candidate has.
pub(crate) struct TokenSizer<'a> {
    /// The counts that cover what is split.
    pub(crate) counts: &'a Counts,
    /// The text that candidates are parts of.
    pub(crate) text: &'a str,
    /// How many tokens a chunk may have.
    pub(crate) limit: usize,
    /// Those of what is split.
    pub(crate) endless: EndlessWords<'a>,
}

impl ChunkSizer for TokenSizer<'_> {
    fn size(&self, candidate: &str) -> usize {
        match locate(self.text, candidate) {
            Some(stretch) => {
                let known = self.counts.far_too_long(&stretch, self.limit);
                let known = known.or_else(|| self.endless.count(stretch.clone()));
                known.unwrap_or_else(|| self.counts.exact(self.text, stretch))
            }
            None => self.counts.again(candidate),
        }
    }
}

/// Where in `text` its part `part` stands.
pub(crate) fn locate(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = start + part.len();
    (end <= text.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encoding::Encoding;

    impl Counts {
        /// What is known, for tests of whoever finds it elsewhere.
        pub(crate) fn known(&self) -> (&[usize], &[usize]) {
            (&self.ends, &self.forced)
        }
    }

    fn covered(encoding: Encoding, text: &str) -> Counts {
        let mut counts = Counts::new(Tokenizer::new(encoding));
        counts.cover(text, 0..text.len());
        counts
    }

    fn reference(encoding: Encoding) -> &'static tiktoken_rs::CoreBPE {
        match encoding {
            Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
            Encoding::O200kBase => tiktoken_rs::o200k_base_singleton(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_stretch_is_counted_as_if_it_stood_alone(
            text in "([a-zA-Z0-9 ./'\\-]|word |ный |、日本|\n|\n\n|  |\u{301}|\\PC){0,60}",
            from in any::<prop::sample::Index>(),
            to in any::<prop::sample::Index>(),
        ) {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let (from, to) = (places[from.index(places.len())], places[to.index(places.len())]);
            let stretch = text[from.min(to)..from.max(to)].trim_end();
            for encoding in [Encoding::Cl100kBase, Encoding::O200kBase] {
                let start = from.min(to);
                let counted = covered(encoding, &text).exact(&text, start..start + stretch.len());
                prop_assert_eq!(counted, reference(encoding).encode_ordinary(stretch).len(), "{:?} of {:?}", stretch, &text);
            }
        }
    }

    #[test]
    fn a_stretch_over_an_endless_word_is_counted_exactly() {
        let text = format!("before it {} after it {} end", "ab1".repeat(20_000), "\u{2014}".repeat(15_000));
        let counts = covered(Encoding::Cl100kBase, &text);
        assert!(!counts.forced.is_empty());
        for stretch in [0..text.len(), 3..text.len() - 4, 5000..5003, 70..60_098, 100..140] {
            let expected = reference(Encoding::Cl100kBase).encode_ordinary(&text[stretch.clone()]).len();
            assert_eq!(counts.exact(&text, stretch.clone()), expected, "{stretch:?}");
        }
    }

    #[test]
    fn a_sizer_counts_stretches_of_endless_words_exactly() {
        let kinds = ["x", "äbcд日か", "abcXdef", "天地玄黄洪", "🎉👍🏽", "👩‍👧🏳️‍🌈", "—…’", "\u{301}a"];
        let pairs = kinds.iter().flat_map(|kind| [(*kind, Encoding::Cl100kBase), (*kind, Encoding::O200kBase)]);
        for (kind, encoding) in pairs {
            let text = format!("{} and {}", kind.repeat(12_000 / kind.len()), kind.repeat(900));
            let counts = covered(encoding, &text);
            let endless = counts.tokenizer().endless_words(&text, 0..text.len());
            let sizer = TokenSizer { counts: &counts, text: &text, limit: text.len(), endless };
            let mut known = 0;
            for (start, length) in (0..11_000).step_by(577).zip([0, 1, 5, 40, 300, 2_000, 3_001].into_iter().cycle()) {
                let start = text.floor_char_boundary(start);
                let stretch = start..text.floor_char_boundary((start + length).min(text.len()));
                let expected = reference(encoding).encode_ordinary(&text[stretch.clone()]).len();
                known += usize::from(sizer.endless.count(stretch.clone()).is_some());
                assert_eq!(sizer.size(&text[stretch.clone()]), expected, "{stretch:?} of {kind} in {encoding}");
            }
            // A capital letter begins a piece in the one, and an accent is no part of a word in the other; Chinese is
            // counted from its letters.
            let divided =
                [("abcXdef", Encoding::O200kBase), ("\u{301}a", Encoding::Cl100kBase)].contains(&(kind, encoding));
            assert_eq!(known > 8, !divided && kind != "天地玄黄洪", "{known} stretches of {kind} in {encoding}");
        }
    }

    #[test]
    fn parts_one_after_another_count_like_the_whole_and_cost_one_encoding() {
        let text = "A line of some words, with 42 numbers; and so on.\n".repeat(2000);
        let whole = covered(Encoding::O200kBase, &text);
        let mut moving = Counts::new(Tokenizer::new(Encoding::O200kBase));
        for from in (0..text.len() - 1000).step_by(7001) {
            moving.cover(&text, from..(from + 9000).min(text.len()));
            let stretch = from + 5..from + 900;
            assert_eq!(moving.exact(&text, stretch.clone()), whole.exact(&text, stretch));
            assert!(moving.ends.len() * 2 < text.len() / 4, "what is behind is forgotten");
        }
        assert!(moving.effort().once <= text.len());
    }

    #[test]
    fn a_part_that_begins_far_ahead_leaves_out_what_is_between() {
        let text = format!("start{}the end of it", " ".repeat(200_000));
        let mut counts = Counts::new(Tokenizer::new(Encoding::Cl100kBase));
        counts.cover(&text, 0..5);
        counts.cover(&text, text.len() - 13..text.len());
        assert!(counts.effort().once < 100_000);
        assert_eq!(counts.exact(&text, text.len() - 13..text.len()), 4);
    }
}
