//! Where a word without end is cut: Chinese without punctuation, emoji, a megabyte of one letter. A splitter looks for
//! words to the end of what it sees, and again for each chunk; here they are looked for only where a chunk may end and
//! where the next may begin. Words are those of the splitter, which knows them by a dictionary, and where there are none,
//! what a reader takes for one character.

use std::ops::Range;

use icu_segmenter::GraphemeClusterSegmenter;

use crate::cuts::cut_after;
use crate::levels::WORDS;
use crate::limit::Unit;
use crate::measure::{Measure, SLACK};
use crate::tokenizer::EndlessWords;

/// In how many bytes a place is looked for: some forty letters of Chinese.
const NEAR: usize = 128;

/// How much is read on either side besides: where a word ends is told by what follows, and where words begin by what is
/// before.
const CONTEXT: usize = 48;

/// A chunk's end, and where the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) end: usize,
    pub(crate) next: usize,
}

/// Where the chunk ends that begins with a part of a text, beyond what is covered already. `None` if it would hold places
/// that suit better, or there is none at all: then a splitter has to look.
pub(crate) fn cut(
    measure: &mut Measure,
    words: &EndlessWords<'_>,
    text: &str,
    part: Range<usize>,
    covered: usize,
) -> Option<Cut> {
    let Range { start, end: until } = part;
    let reach = measure.reach(text, start, until, measure.limit.size);
    if cut_after(text, start + 1, reach).is_some() {
        return None;
    }
    let is_within = |stretch: Range<usize>, size: usize| {
        match measure.limit.unit {
            Unit::Tokens => words.count(stretch.clone()).map(|tokens| tokens <= size),
            Unit::Characters => None,
        }
        .unwrap_or_else(|| measure.is_within(text, stretch, size))
    };
    let fits = |place: &usize| is_within(start..*place, measure.limit.size);
    if reach == until && fits(&until) {
        return Some(Cut { end: until, next: until });
    }
    let near = measure.back(text, start, reach, 2 * SLACK).min(reach.saturating_sub(NEAR)).max(start);
    let end = places(text, near..reach, until, |places| {
        let fitting = places.partition_point(|place| fits(place));
        places[..fitting].last().filter(|&&place| place > covered.max(start)).copied()
    })?;
    let overlap = measure.limit.overlap;
    let (from, to) = (measure.back(text, start, end, overlap + SLACK), measure.back(text, start, end, overlap));
    let next = places(text, from..(to + NEAR).min(end), until, |places| {
        let too_long = places.partition_point(|&place| !is_within(place..end, overlap));
        places[too_long..].first().filter(|&&place| place > start && place < end).copied()
    });
    Some(Cut { end, next: next.filter(|_| overlap > 0).unwrap_or(end) })
}

/// The one that is chosen of the ends of words in `near`, both ends included; if there is none, of characters.
fn places(text: &str, near: Range<usize>, until: usize, choose: impl Fn(&[usize]) -> Option<usize>) -> Option<usize> {
    let seen = text.floor_char_boundary(near.start.saturating_sub(CONTEXT))
        ..text.ceil_char_boundary(near.end.saturating_add(CONTEXT)).min(until);
    // The edges of what is seen are no ends of words.
    let inner = |ends: &mut dyn Iterator<Item = usize>| -> Vec<usize> {
        let ends = ends.map(|end| seen.start + end).filter(|&end| end > seen.start && end < seen.end);
        ends.filter(|end| (near.start..=near.end).contains(end)).collect()
    };
    let words = inner(&mut WORDS.segment_str(&text[seen.clone()]));
    choose(&words).or_else(|| {
        let characters = GraphemeClusterSegmenter::new();
        choose(&inner(&mut characters.segment_str(&text[seen.clone()])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::Encoding;
    use crate::limit::Limit;
    use crate::tokenizer::Tokenizer;

    /// The stretches that a text without end is cut into.
    fn stretches(text: &str, limit: Limit) -> Vec<Range<usize>> {
        let tokenizer = Tokenizer::new(Encoding::Cl100kBase);
        let mut measure = Measure::new(tokenizer, limit);
        let words = tokenizer.endless_words(text, 0..text.len());
        let (mut place, mut found) = (0, Vec::<Range<usize>>::new());
        while place < text.len() {
            let covered = found.last().map_or(0, |last| last.end);
            let cut = cut(&mut measure, &words, text, place..text.len(), covered).expect("there is a place");
            assert!(measure.is_within(text, place..cut.end, limit.size), "{place}..{}", cut.end);
            assert!(measure.is_within(text, cut.next..cut.end, limit.overlap), "{}..{}", cut.next, cut.end);
            found.push(place..cut.end);
            place = cut.next;
        }
        found
    }

    #[test]
    fn chunks_are_full_and_overlap_whatever_the_text_is_made_of() {
        let limits = [(Unit::Tokens, 512, 64), (Unit::Tokens, 200, 0), (Unit::Characters, 1000, 200)];
        for kind in ["abcdefghijklmnop", "中国人民在天地之间生活学习", "👩‍👩‍👧‍👦🎉", "x"]
        {
            let text = kind.repeat(40_000 / kind.len());
            for (unit, size, overlap) in limits {
                let limit = Limit { unit, size, overlap };
                let found = stretches(&text, limit);
                assert!(found.len() > 3, "{kind} {limit:?}: {found:?}");
                let measure = Measure::new(Tokenizer::new(Encoding::Cl100kBase), limit);
                for pair in found.windows(2) {
                    let (full, again) = (measure.whole(&text[pair[0].clone()]).1, &text[pair[1].start..pair[0].end]);
                    assert!(full * 10 > size * 8, "{kind} {limit:?}: {full}");
                    assert!(measure.whole(again).1 * 2 >= overlap, "{kind} {limit:?}: {again}");
                }
            }
        }
    }

    #[test]
    fn words_of_a_dictionary_stay_whole() {
        let text = "人工智能正在改变世界各地的工业生产".repeat(200);
        let limit = Limit { unit: Unit::Tokens, size: 100, overlap: 20 };
        for stretch in stretches(&text, limit) {
            for word in ["人工", "智能", "改变", "世界", "工业", "生产"] {
                let within = |place: usize| {
                    let from = text.floor_char_boundary(place.saturating_sub(word.len() - 1));
                    text[from..].find(word).is_some_and(|at| from + at < place && place < from + at + word.len())
                };
                assert!(!within(stretch.end), "{word}: {stretch:?}");
                assert!(!within(stretch.start), "{word}: {stretch:?}");
            }
        }
    }

    #[test]
    fn a_text_with_better_places_is_left_to_the_splitter() {
        let text = "abcdefgh".repeat(20) + " and words. " + &"abcdefgh".repeat(2000);
        let tokenizer = Tokenizer::new(Encoding::Cl100kBase);
        let mut measure = Measure::new(tokenizer, Limit { unit: Unit::Tokens, size: 512, overlap: 64 });
        let words = tokenizer.endless_words(&text, 0..text.len());
        assert_eq!(cut(&mut measure, &words, &text, 0..text.len(), 0), None);
    }
}
