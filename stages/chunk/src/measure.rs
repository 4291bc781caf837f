//! How long a stretch of a text is in the unit that chunks are measured in, and how far a chunk may reach. One place for
//! tokens and characters, so that nothing that cuts knows which of them counts.

use std::ops::Range;

use crate::counts::Counts;
use crate::limit::{Limit, Unit};
use crate::tokenizer::Tokenizer;

/// How many tokens beyond the limit a reach goes: a stretch that stands alone may have a few less than in its text.
pub(crate) const SLACK: usize = 8;

/// Measures stretches of one text.
pub(crate) struct Measure {
    pub(crate) limit: Limit,
    pub(crate) counts: Counts,
    tokenizer: Tokenizer,
}

impl Measure {
    pub(crate) fn new(tokenizer: Tokenizer, limit: Limit) -> Self {
        Self { limit, counts: Counts::new(tokenizer), tokenizer }
    }

    /// A place behind which no chunk of `size` that begins at `from` ends, at `until` at the latest; makes the text up
    /// to there countable.
    pub(crate) fn reach(&mut self, text: &str, from: usize, until: usize, size: usize) -> usize {
        match self.limit.unit {
            Unit::Tokens => self.counts.ahead(text, from, size + SLACK, until),
            Unit::Characters => {
                let place = text[from..until].char_indices().nth(size).map_or(until, |(at, _)| from + at);
                self.counts.cover(text, from..place);
                place
            }
        }
    }

    /// About where a stretch of `size` begins that ends at `end`, at `from` at the earliest.
    pub(crate) fn back(&self, text: &str, from: usize, end: usize, size: usize) -> usize {
        let place = match self.limit.unit {
            Unit::Tokens => self.counts.back(end, size),
            Unit::Characters => text[from..end].char_indices().rev().nth(size).map_or(from, |(at, _)| from + at),
        };
        text.floor_char_boundary(place.clamp(from, end))
    }

    /// Whether a countable stretch, without the white space at its end, is no longer than a chunk.
    pub(crate) fn fits(&self, text: &str, stretch: Range<usize>) -> bool {
        self.is_within(text, stretch, self.limit.size)
    }

    /// Whether it is no longer than `size`.
    pub(crate) fn is_within(&self, text: &str, stretch: Range<usize>, size: usize) -> bool {
        let stretch = stretch.start..stretch.start + text[stretch].trim_end().len();
        match self.limit.unit {
            Unit::Tokens => self.counts.size(text, stretch, size) <= size,
            Unit::Characters => text[stretch].chars().count() <= size,
        }
    }

    /// The exact tokens of a countable stretch.
    pub(crate) fn tokens(&self, text: &str, stretch: Range<usize>) -> usize {
        self.counts.exact(text, stretch)
    }

    /// How many tokens any text has, and how long it is in the unit of the limit.
    pub(crate) fn whole(&self, text: &str) -> (usize, usize) {
        let tokens = self.tokenizer.count(text);
        (tokens, if self.limit.unit == Unit::Tokens { tokens } else { text.chars().count() })
    }
}

/// The stretch without the white space at its ends.
pub(crate) fn trimmed(content: &str, stretch: Range<usize>) -> Range<usize> {
    let text = &content[stretch.clone()];
    let start = stretch.end - text.trim_start().len();
    start..start + text.trim().len()
}

/// The beginning of the first line in a stretch that says something, or the end of the stretch.
pub(crate) fn first_said(content: &str, stretch: Range<usize>) -> usize {
    let rest = &content[stretch.clone()];
    let blank = rest.len() - rest.trim_start().len();
    if blank == rest.len() {
        return stretch.end;
    }
    // Indentation belongs to the line, but not without bound.
    let indentation = blank - rest[..blank].trim_end_matches([' ', '\t']).len();
    stretch.start + if indentation < 256 { blank - indentation } else { blank }
}
