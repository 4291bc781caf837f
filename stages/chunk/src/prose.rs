//! Prose cut at paragraphs and sentences: plain text by `plain.rs`, Markdown by a splitter that knows its marks, in such a way
//! that tables and fenced code stay whole. Which part of a text they see is the caller's.

use std::ops::Range;

use text_splitter::{ChunkConfig, ChunkSizer, MarkdownSplitter};

use crate::counts::{TokenSizer, locate};
use crate::limit::Unit;
use crate::measure::{Measure, first_said};
use crate::plain;

/// The chunks of a countable part of a text. No chunk ends within a `whole`, which fits one, and none begins there, save
/// where the splitter would go beyond the limit for it: the limit comes first.
pub(crate) fn split(
    measure: &Measure,
    text: &str,
    part: Range<usize>,
    markdown: bool,
    wholes: &[Range<usize>],
) -> Vec<Range<usize>> {
    let mut found = split_around(measure, text, part, markdown, wholes);
    if !wholes.is_empty() {
        // The splitter takes its first section whatever its size, and goes on while nothing is longer. A section that
        // ends within a whole is measured to the end of that, so what it goes on to may be too long.
        let cut = |chunk: Range<usize>| {
            if measure.fits(text, chunk.clone()) {
                vec![chunk]
            } else {
                split_around(measure, text, chunk, markdown, &[])
            }
        };
        found = found.into_iter().flat_map(cut).collect();
    }
    for index in 1..found.len() {
        let (end, chunk) = (found[index - 1].end, &mut found[index]);
        // The overlap would begin with the last rows of a table.
        if end <= chunk.end && within(wholes, chunk.start).is_some() {
            chunk.start = first_said(text, end..chunk.end).max(chunk.start);
        }
    }
    found
}

fn split_around(
    measure: &Measure,
    text: &str,
    part: Range<usize>,
    markdown: bool,
    wholes: &[Range<usize>],
) -> Vec<Range<usize>> {
    let limit = measure.limit;
    match limit.unit {
        Unit::Tokens => {
            let endless = measure.counts.tokenizer().endless_words(text, part.clone());
            let sizer = TokenSizer { counts: &measure.counts, text, limit: limit.size, endless };
            split_by(measure, sizer, text, part, markdown, wholes)
        }
        Unit::Characters => split_by(measure, Letters { limit: limit.size }, text, part, markdown, wholes),
    }
}

fn split_by(
    measure: &Measure,
    sizer: impl ChunkSizer,
    text: &str,
    part: Range<usize>,
    markdown: bool,
    wholes: &[Range<usize>],
) -> Vec<Range<usize>> {
    let size = measure.limit.size.max(1);
    let overlap = measure.limit.overlap.min(size - 1);
    let sizer = WholeSizer { sizer: NothingIsSome { sizer, nothing: overlap + 1 }, text, wholes };
    let (start, seen) = (part.start, &text[part]);
    if !markdown {
        let chunks = plain::split(seen, &sizer, size, overlap).into_iter();
        return chunks.map(|chunk| start + chunk.start..start + chunk.end).collect();
    }
    let config = ChunkConfig::new(size).with_sizer(sizer).with_overlap(overlap).expect("the overlap is below the size");
    let found = |(offset, chunk): (usize, &str)| start + offset..start + offset + chunk.len();
    MarkdownSplitter::new(config).chunk_indices(seen).map(found).collect()
}

/// Counts characters, of what is far too long about.
struct Letters {
    limit: usize,
}

impl ChunkSizer for Letters {
    fn size(&self, candidate: &str) -> usize {
        let enough = self.limit.saturating_mul(2).saturating_add(16).saturating_mul(4);
        candidate[..candidate.floor_char_boundary(enough)].chars().count()
    }
}

/// Measures white space alone as just too much for an overlap. Were it nothing, as a sizer has it, a chunk that ends in
/// a thousand blank lines would be followed by a thousand that begin one line later and say nothing.
struct NothingIsSome<S> {
    sizer: S,
    nothing: usize,
}

impl<S: ChunkSizer> ChunkSizer for NothingIsSome<S> {
    fn size(&self, candidate: &str) -> usize {
        if candidate.is_empty() { self.nothing } else { self.sizer.size(candidate) }
    }
}

/// Measures a candidate that ends within a whole as if it went on to the end of that: so it goes there if it can, and
/// ends before the whole if it cannot.
struct WholeSizer<'a, S> {
    sizer: S,
    text: &'a str,
    wholes: &'a [Range<usize>],
}

impl<S: ChunkSizer> ChunkSizer for WholeSizer<'_, S> {
    fn size(&self, candidate: &str) -> usize {
        if self.wholes.is_empty() {
            return self.sizer.size(candidate);
        }
        match locate(self.text, candidate) {
            Some(place) => match within(self.wholes, place.end) {
                Some(whole) if place.start <= whole.start => self.sizer.size(&self.text[place.start..whole.end]),
                _ => self.sizer.size(candidate),
            },
            None => self.sizer.size(candidate),
        }
    }
}

/// The whole that a place is in the midst of.
fn within(wholes: &[Range<usize>], place: usize) -> Option<&Range<usize>> {
    let whole = &wholes[wholes.partition_point(|whole| whole.start < place).checked_sub(1)?];
    (place < whole.end).then_some(whole)
}
