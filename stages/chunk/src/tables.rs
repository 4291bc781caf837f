//! Where a table that fits no chunk is cut: between rows, each piece under the table's header again. Finds places and
//! measures; the text of a piece is put together by the caller.

use std::ops::Range;

use crate::cuts::joins_after_line_end;
use crate::limit::Unit;
use crate::markdown::line_end;
use crate::measure::Measure;

/// The header of a table and the rule below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) range: Range<usize>,
    /// Its tokens, standing alone.
    tokens: usize,
    /// Its length in the unit of the limit.
    size: usize,
    /// Whether it is short enough to be repeated: half a chunk at most.
    repeats: bool,
}

/// Where a piece of a table ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Behind a row; whether the header is to be put before it.
    Rows { end: usize, headed: bool },
    /// Not one row fits: what is before this place is to be cut as prose.
    Never(usize),
}

impl Header {
    pub(crate) fn new(measure: &Measure, text: &str, range: Range<usize>) -> Self {
        let (tokens, size) = measure.whole(&text[range.clone()]);
        let repeats = size * 2 <= measure.limit.size && text[range.clone()].ends_with('\n');
        Self { range, tokens, size, repeats }
    }

    /// The exact tokens of some rows under the header.
    pub(crate) fn tokens(&self, measure: &Measure, text: &str, rows: Range<usize>) -> usize {
        if joins_after_line_end(text, rows.start) {
            return self.tokens + measure.tokens(text, rows);
        }
        measure.whole(&self.joined(text, rows)).0
    }

    /// Some rows under the header.
    pub(crate) fn joined(&self, text: &str, rows: Range<usize>) -> String {
        [&text[self.range.clone()], &text[rows]].concat()
    }

    /// Where a piece ends that begins at `rows.start`: at a row, or before the header with what leads to it.
    pub(crate) fn cut(&self, measure: &mut Measure, text: &str, rows: Range<usize>) -> Piece {
        let Range { start, end: until } = rows;
        let headed = self.repeats && start >= self.range.end;
        let room = if headed { measure.limit.size - self.size } else { measure.limit.size };
        let reach = measure.reach(text, start, until, room);
        // The header is followed by a row at least.
        let first = line_end(&text[..until], start.max(self.range.end));
        let mut end = if reach == until { until } else { row_end(text, start, reach) };
        while end >= first {
            if self.fits(measure, text, start..end, headed) {
                return Piece::Rows { end, headed };
            }
            end = row_end(text, start, end - 1);
        }
        if start < self.range.start {
            return Piece::Rows { end: self.range.start, headed: false };
        }
        if headed {
            let reach = measure.reach(text, start, until, measure.limit.size);
            if first <= reach && measure.fits(text, start..first) {
                return Piece::Rows { end: first, headed: false };
            }
        }
        Piece::Never(first)
    }

    fn fits(&self, measure: &Measure, text: &str, rows: Range<usize>, headed: bool) -> bool {
        if !headed {
            return measure.fits(text, rows);
        }
        let rows = rows.start..rows.start + text[rows].trim_end().len();
        // Characters add up always, and tokens where none spans the two.
        if measure.limit.unit == Unit::Characters || joins_after_line_end(text, rows.start) {
            return measure.is_within(text, rows, measure.limit.size - self.size);
        }
        measure.whole(&self.joined(text, rows)).1 <= measure.limit.size
    }
}

/// The end of the last row that ends behind `start` and not behind `place`; `start` if there is none.
fn row_end(text: &str, start: usize, place: usize) -> usize {
    memchr::memrchr(b'\n', &text.as_bytes()[start..place]).map_or(start, |at| start + at + 1)
}
