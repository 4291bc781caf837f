//! Plain text cut at the largest of its levels that fits: where most lines end at once, else where fewer do, at sentences, words,
//! graphemes or characters. The rules are those of the crate `text-splitter` and give its chunks, which a test compares; it
//! looks up for each chunk what this finds once (`levels.rs`).

use std::cmp::Ordering;
use std::ops::Range;

use text_splitter::ChunkSizer;

use crate::levels::{Level, Levels};
use crate::measure::trimmed;

/// The chunks of a text in the making.
struct Splitter<'a, S> {
    levels: Levels<'a>,
    sizes: Sizes<'a, S>,
    limit: usize,
    overlap: usize,
    /// Where the next chunk begins.
    place: usize,
    /// The bytes of the longest chunk so far, from where on the end of the next is looked for.
    longest: Option<usize>,
    /// What the next chunk may consist of.
    sections: Vec<Range<usize>>,
}

/// How long parts of a text are, with what was measured for a chunk.
struct Sizes<'a, S> {
    text: &'a str,
    sizer: &'a S,
    known: Vec<(Range<usize>, usize)>,
}

/// The chunks of a text, none longer than `limit`, each repeating up to `overlap` of the one before; without the white space
/// at their ends.
pub(crate) fn split(text: &str, sizer: &impl ChunkSizer, limit: usize, overlap: usize) -> Vec<Range<usize>> {
    let levels = Levels::new(text);
    let sizes = Sizes { text, sizer, known: Vec::new() };
    let mut splitter = Splitter { levels, sizes, limit, overlap, place: 0, longest: None, sections: Vec::new() };
    let (mut chunks, mut covered) = (Vec::new(), 0);
    while splitter.place < text.len() {
        let chunk = splitter.next_chunk();
        if !chunk.is_empty() && chunk.end > covered {
            covered = chunk.end;
            chunks.push(chunk);
        }
    }
    chunks
}

impl<S: ChunkSizer> Sizes<'_, S> {
    /// How long a part is, without the white space at its ends.
    fn of(&mut self, part: Range<usize>) -> usize {
        let part = trimmed(self.text, part);
        if let Some((_, size)) = self.known.iter().rev().find(|(known, _)| *known == part) {
            return *size;
        }
        let size = self.sizer.size(&self.text[part.clone()]);
        self.known.push((part, size));
        size
    }
}

impl<S: ChunkSizer> Splitter<'_, S> {
    fn next_chunk(&mut self) -> Range<usize> {
        self.levels.pass(self.place);
        self.sizes.known.clear();
        let least = self.find_sections();
        let chunk = self.place..self.find_end(least);
        self.longest = self.longest.max(Some(chunk.len()));
        self.place = self.find_next(chunk.end);
        trimmed(self.sizes.text, chunk)
    }

    /// The largest level of which the first section fits, if any does, and the end of the one that does not.
    fn fitting(&mut self, levels: &[(Level, usize)]) -> (Option<Level>, Option<usize>) {
        let mut fitting = None;
        for (index, &(level, end)) in levels.iter().enumerate() {
            if levels.get(index + 1).is_some_and(|&(_, larger)| end >= larger) {
                continue;
            }
            // Whatever counts, there are no more of it than bytes.
            if end - self.place > self.limit && self.sizes.of(self.place..end) > self.limit {
                return (fitting, Some(end));
            }
            fitting = Some(level);
        }
        (fitting, None)
    }

    /// Finds the sections of the next chunk, and some more; says which of them is the last that fits for certain.
    fn find_sections(&mut self) -> usize {
        self.sections.clear();
        let lines: Vec<_> = self.levels.lines(self.place).collect();
        let (level, last) = self.fitting(&lines);
        let (level, last) = match level {
            Some(level) => (level, last),
            // A sentence that fits whatever counts: so does all that is smaller.
            None if self.levels.sentence(self.place) - self.place <= self.limit => (Level::Sentence, last),
            None => {
                let smaller = self.levels.smaller(self.place);
                let (level, smaller) = self.fitting(&smaller);
                (level.unwrap_or(Level::Character), smaller.into_iter().chain(last).min())
            }
        };
        self.gather(level, last)
    }

    /// Gathers sections of a level that begin up to `last`, some at a time, until they are too long together. Says where the
    /// last one of those stands that are too short for certain.
    fn gather(&mut self, level: Level, last: Option<usize>) -> usize {
        let Self { levels, sizes, sections, place, limit, .. } = self;
        let (place, limit) = (*place, *limit);
        let mut from = place;
        let found = levels.ends(level, place).filter_map(|end| {
            let section = from..end.max(from);
            from = section.end;
            (!section.is_empty()).then_some(section)
        });
        let mut found = found.take_while(|section| last.is_none_or(|last| section.start <= last));
        let mut least = 0;
        let mut target = self.longest.unwrap_or(limit);
        loop {
            let count = sections.len();
            for section in found.by_ref() {
                let end = section.end;
                sections.push(section);
                if end - place > target {
                    break;
                }
            }
            let Some(length) = sections.get(count..).and_then(<[_]>::last).map(|section| section.end - place) else {
                return least;
            };
            if length < target {
                return least;
            }
            let size = sizes.of(place..place + length);
            match size.cmp(&limit) {
                Ordering::Less => least = sections.len() - 1,
                // Sections without a size may follow.
                Ordering::Equal => {}
                Ordering::Greater => return least,
            }
            // As much further as what is missing takes, and a tenth.
            let missing = limit.saturating_sub(size).max(1);
            let each = length.div_ceil(size.max(1));
            target = length.saturating_add(missing.saturating_mul(each)).saturating_add(length.div_ceil(10));
        }
    }

    /// Where the sections end that fit together: at least one, as many as there are of the same size.
    fn find_end(&mut self, least: usize) -> usize {
        let (mut low, mut high) = (least, self.sections.len().saturating_sub(1));
        let mut found: Option<(usize, usize)> = None;
        let mut is_full = false;
        let mut end = self.place;
        while low <= high {
            let middle = low + (high - low) / 2;
            let to = self.sections[middle].end;
            let size = self.sizes.of(self.place..to);
            let is_better = match size.cmp(&self.limit) {
                Ordering::Less => to > end,
                Ordering::Equal => !std::mem::replace(&mut is_full, true) || to < end,
                // One is taken whatever its size.
                Ordering::Greater => middle == 0 && end == self.place,
            };
            if is_better {
                end = to;
                found = Some((middle, size));
            }
            if size < self.limit {
                low = middle + 1;
            } else if middle > 0 {
                high = middle - 1;
            } else {
                break;
            }
        }
        let Some((index, most)) = found else { return end };
        for further in index + 1..self.sections.len() {
            let to = self.sections[further].end;
            if self.sizes.of(self.place..to) > most {
                break;
            }
            end = end.max(to);
        }
        end
    }

    /// Where the chunk after one that ends at `end` begins: with the most of its last sections that the overlap takes.
    fn find_next(&mut self, end: usize) -> usize {
        if self.overlap == 0 {
            return end;
        }
        self.sizes.known.clear();
        let mut next = end;
        let mut low = 0;
        let mut high = self.sections.partition_point(|section| section.end < end);
        while low <= high {
            let middle = low + (high - low) / 2;
            let from = self.sections[middle].start;
            let size = self.sizes.of(from..end);
            if size <= self.overlap && from < next && from > self.place {
                next = from;
            }
            if size < self.overlap && middle > 0 {
                high = middle - 1;
            } else {
                low = middle + 1;
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use text_splitter::{Characters, ChunkConfig, TextSplitter};

    use super::*;
    use crate::counts::{Counts, TokenSizer};
    use crate::encoding::Encoding;
    use crate::tokenizer::Tokenizer;

    fn peer(text: &str, sizer: &impl ChunkSizer, limit: usize, overlap: usize) -> Vec<Range<usize>> {
        let config = ChunkConfig::new(limit).with_sizer(sizer).with_overlap(overlap).unwrap();
        let chunks = TextSplitter::new(config);
        chunks.chunk_indices(text).map(|(at, chunk)| at..at + chunk.len()).collect()
    }

    fn assert_as_peer(text: &str, limit: usize, overlap: usize) {
        let overlap = overlap.min(limit - 1);
        let by_characters = split(text, &Characters, limit, overlap);
        assert_eq!(by_characters, peer(text, &Characters, limit, overlap), "{limit} characters, {overlap}: {text:?}");
        let mut counts = Counts::new(Tokenizer::new(Encoding::Cl100kBase));
        counts.cover(text, 0..text.len());
        let endless = counts.tokenizer().endless_words(text, 0..text.len());
        let sizer = TokenSizer { counts: &counts, text, limit, endless };
        let by_tokens = split(text, &sizer, limit, overlap);
        assert_eq!(by_tokens, peer(text, &sizer, limit, overlap), "{limit} tokens, {overlap}: {text:?}");
    }

    #[test]
    fn chunks_of_real_texts_are_those_of_the_crate() {
        let files = ["docs/guide", "docs", "docs/adr", "src"]
            .map(|place| format!("{}/../../{place}", env!("CARGO_MANIFEST_DIR")));
        let mut bytes = 0;
        for file in files.iter().flat_map(|place| std::fs::read_dir(place).into_iter().flatten().flatten()) {
            let Ok(text) = std::fs::read_to_string(file.path()) else { continue };
            let text = &text[..text.floor_char_boundary(20_000)];
            bytes += text.len();
            for text in [text.to_owned(), text.replace('\n', " "), text.replace("\n\n", "\r").replace('\n', " ")] {
                assert_as_peer(&text, 128, 16);
                assert_as_peer(&text, 24, 5);
            }
        }
        assert!(bytes > 100_000, "{bytes}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn chunks_are_those_of_the_crate(
            text in "([a-z]{1,9}[ .,]|[A-Z][a-z]{1,5}[ .!?]|\\. |  |\n|\n\n|\r\n|\r|\n\n\n|[a-z]{30}|3\\.1|[日本語]{1,9}。|👩‍👩‍👧|e\u{301}|\\PC){0,60}",
            limit in 1_usize..60,
            overlap in 0_usize..30,
        ) {
            assert_as_peer(&text, limit, overlap);
        }
    }
}
