//! Cells at rows and columns, held sparse, and the Markdown table they make. A sheet may put two cells at its far corners,
//! so nothing here is sized by a row's or a column's number, only by the cells there are.

use std::collections::BTreeSet;
use std::fmt::Write;

use docmill_api::StepContext;

use super::out::check_length;
use crate::reader::ReadError;
use crate::text::tidy;

/// As many cells as one document may hold. At 24 bytes and a few letters each they take some 200 MB of the gigabyte that
/// a child process has; 128 MiB of XML, which is the most that a package may hold, are about three million cells.
const MAX_CELLS: usize = 5_000_000;

/// A table is written as one while its places are at most so many times its cells: beyond that it is holes, and a line a
/// row says more in less.
const MAX_HOLES: usize = 20;

/// Tables of this many places are written as such whatever they hold.
const SMALL: usize = 10_000;

/// The cells of a table or sheet.
#[derive(Debug, Default)]
pub(super) struct Grid {
    text: String,
    cells: Vec<Cell>,
    /// Cells come row by row, left to right, but nothing forces a file to.
    unsorted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    row: u32,
    column: u32,
    /// Where its text ends in `text`; it begins where the one before it in order of arrival ends.
    start: usize,
    end: usize,
}

impl Grid {
    /// Adds a cell; blank ones are not held.
    pub(super) fn push(&mut self, row: u32, column: u32, value: &str) -> Result<(), ReadError> {
        let start = self.text.len();
        push_cell(&mut self.text, value);
        let end = self.text.len();
        if start == end {
            return Ok(());
        }
        check_length(end)?;
        if self.cells.len() == MAX_CELLS {
            return Err(ReadError::TooLarge(format!("over {MAX_CELLS} cells")));
        }
        let after_last = self.cells.last().is_none_or(|last| (last.row, last.column) < (row, column));
        self.unsorted |= !after_last;
        self.cells.push(Cell { row, column, start, end });
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The table: Markdown, its first row as the header, without rows and columns that hold nothing.
    pub(super) fn render(mut self, cx: &StepContext) -> Result<String, ReadError> {
        if self.unsorted {
            // Stable, so that of two cells in one place the later one wins below.
            self.cells.sort_by_key(|cell| (cell.row, cell.column));
        }
        let columns: Vec<u32> =
            self.cells.iter().map(|cell| cell.column).collect::<BTreeSet<_>>().into_iter().collect();
        let rows = self.cells.chunk_by(|a, b| a.row == b.row).count();
        let places = rows.saturating_mul(columns.len());
        let mut out = String::with_capacity(self.text.len() + places * 3);
        let holes = places > SMALL && places / MAX_HOLES > self.cells.len();
        for (index, row) in self.cells.chunk_by(|a, b| a.row == b.row).enumerate() {
            if index % 4096 == 0 && cx.is_over() {
                return Err(ReadError::OutOfTime);
            }
            check_length(out.len())?;
            if holes {
                self.write_list(&mut out, row);
            } else {
                self.write_row(&mut out, row, &columns);
                if index == 0 {
                    out.push('|');
                    columns.iter().for_each(|_| out.push_str(" --- |"));
                    out.push('\n');
                }
            }
        }
        Ok(out)
    }

    fn write_row(&self, out: &mut String, row: &[Cell], columns: &[u32]) {
        out.push('|');
        let mut cells = row.iter().peekable();
        for column in columns {
            let mut here = None;
            while let Some(cell) = cells.next_if(|cell| cell.column == *column) {
                here = Some(cell);
            }
            if let Some(cell) = here {
                out.push(' ');
                out.push_str(&self.text[cell.start..cell.end]);
            }
            out.push_str(" |");
        }
        out.push('\n');
    }

    /// `- B7: value; XFD7: value`: a row of a table that is mostly holes.
    fn write_list(&self, out: &mut String, row: &[Cell]) {
        for (index, cell) in row.iter().enumerate() {
            out.push_str(if index == 0 { "- " } else { "; " });
            push_address(out, cell.row, cell.column);
            out.push_str(": ");
            out.push_str(&self.text[cell.start..cell.end]);
        }
        out.push('\n');
    }
}

/// A place as spreadsheets name it: `A1`, `XFD1048576`. Both numbers from 0.
pub(super) fn push_address(out: &mut String, row: u32, column: u32) {
    let mut letters = [0_u8; 8];
    let mut at = letters.len();
    let mut left = u64::from(column) + 1;
    while left > 0 {
        at -= 1;
        letters[at] = b'A' + u8::try_from((left - 1) % 26).unwrap_or(0);
        left = (left - 1) / 26;
    }
    out.extend(letters[at..].iter().map(|letter| char::from(*letter)));
    let written = write!(out, "{}", u64::from(row) + 1);
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

/// A cell's text on one line, with nothing in it that ends a cell.
fn push_cell(out: &mut String, value: &str) {
    let plain = value.bytes().all(|byte| matches!(byte, b'!'..=b'{' | b'}' | b'~'));
    if plain {
        out.push_str(value);
        return;
    }
    for (index, word) in tidy(value).split_whitespace().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let mut rest = word;
        while let Some(at) = rest.find('|') {
            out.push_str(&rest[..at]);
            out.push_str("\\|");
            rest = &rest[at + 1..];
        }
        out.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(cells: &[(u32, u32, &str)]) -> String {
        let mut grid = Grid::default();
        cells.iter().for_each(|(row, column, value)| grid.push(*row, *column, value).expect("few"));
        grid.render(&StepContext::detached()).expect("small")
    }

    #[test]
    fn what_holds_nothing_is_dropped_and_what_would_break_the_table_is_escaped() {
        let table = render(&[(3, 2, "name"), (3, 9, "a|b"), (5, 5, "  "), (7, 9, "two\nlines")]);
        assert_eq!(table, "| name | a\\|b |\n| --- | --- |\n| | two lines |\n");
    }

    #[test]
    fn cells_may_come_in_any_order_and_the_last_of_two_in_one_place_wins() {
        let table = render(&[(1, 1, "d"), (0, 0, "a"), (1, 0, "old"), (0, 1, "b"), (1, 0, "c")]);
        assert_eq!(table, "| a | b |\n| --- | --- |\n| c | d |\n");
    }

    #[test]
    fn far_corners_cost_nothing_and_a_diagonal_becomes_a_list() {
        let corners = render(&[(0, 0, "a"), (1_048_575, 16_383, "z")]);
        assert_eq!(corners, "| a | |\n| --- | --- |\n| | z |\n");
        let mut grid = Grid::default();
        (0..16_000).for_each(|n| grid.push(n, n, "quorvex").expect("few"));
        let list = grid.render(&StepContext::detached()).expect("small");
        assert!(list.starts_with("- A1: quorvex\n- B2: quorvex\n"), "{}", &list[..60]);
        assert!(list.ends_with("- WQJ16000: quorvex\n"), "{}", &list[list.len() - 60..]);
        assert!(list.len() < 500_000);
    }
}
