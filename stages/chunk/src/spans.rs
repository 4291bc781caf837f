//! The parts of a Markdown text that are worth keeping whole: tables and fenced code. Read line by line, once, ahead of
//! the work; cutting them is not this file's business.

use std::collections::VecDeque;
use std::ops::Range;

use crate::markdown::{Fence, cells, ends_table, is_separator, line_end};

/// A table or a fenced block of code, from the beginning of its first line to the end of its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) range: Range<usize>,
    /// Where a table's rows begin, behind its header and the rule below that.
    pub(crate) rows: Option<usize>,
}

/// Finds spans.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// Where the first line begins that was not read.
    next: usize,
    /// The last line that was read, if it may be a table's header.
    header: Option<Range<usize>>,
    /// What was found and not passed.
    spans: VecDeque<Span>,
}

impl Scanner {
    /// Reads the lines that begin before `place`, and to its end the span that `place` is in.
    pub(crate) fn read(&mut self, text: &str, place: usize) {
        while self.next < place.min(text.len()) {
            let range = self.next..line_end(text, self.next);
            self.next = range.end;
            let line = &text[range.clone()];
            let header = self.header.take();
            if let Some(fence) = Fence::opened_by(line) {
                let end = fence_end(text, range.end, fence);
                self.found(range.start..end, None);
            } else if let Some(header) = header
                && is_separator(line)
                && cells(line) == cells(&text[header.clone()])
            {
                let end = table_end(text, range.end);
                self.found(header.start..end, Some(range.end));
            } else if memchr::memchr(b'|', line.as_bytes()).is_some() && !line.starts_with("    ") {
                self.header = Some(range);
            }
        }
    }

    /// Forgets the spans that end at or before `place`.
    pub(crate) fn pass(&mut self, place: usize) {
        while self.spans.front().is_some_and(|span| span.range.end <= place) {
            self.spans.pop_front();
        }
    }

    /// What was found and not passed, in order.
    pub(crate) fn spans(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter()
    }

    fn found(&mut self, range: Range<usize>, rows: Option<usize>) {
        self.next = range.end;
        self.spans.push_back(Span { range, rows });
    }
}

/// Where fenced code ends whose first line begins at `from`: with the text where it is never closed.
fn fence_end(text: &str, mut from: usize, fence: Fence) -> usize {
    while from < text.len() {
        let end = line_end(text, from);
        if fence.is_closed_by(&text[from..end]) {
            return end;
        }
        from = end;
    }
    from
}

fn table_end(text: &str, mut from: usize) -> usize {
    while from < text.len() {
        let end = line_end(text, from);
        if ends_table(&text[from..end]) {
            return from;
        }
        from = end;
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str, steps: usize) -> Vec<Span> {
        let mut scanner = Scanner::default();
        (0..=text.len()).step_by(steps).chain([text.len()]).for_each(|place| scanner.read(text, place));
        scanner.spans.into()
    }

    #[test]
    fn tables_and_fences_are_found_however_the_text_is_read() {
        let text = "a | b\n\n| h | i |\n|---|---|\n| 1 | 2 |\n| 3\n\ntext\n```\n| no | table |\n|---|---|\n```\nx | y\n--|--\n1|2\n# head\n\
                    a | b\n---|---|---\n    |a|\n|-|\n~~~\nopen";
        let found: Vec<_> = spans(text, 1).into_iter().map(|span| (&text[span.range], span.rows)).collect();
        let rows = |needle: &str| text.find(needle);
        assert_eq!(
            found,
            [
                ("| h | i |\n|---|---|\n| 1 | 2 |\n| 3\n", rows("| 1 | 2")),
                ("```\n| no | table |\n|---|---|\n```\n", None),
                ("x | y\n--|--\n1|2\n", rows("1|2\n# head")),
                ("~~~\nopen", None),
            ]
        );
        for steps in [2, 7, 1000] {
            assert_eq!(spans(text, steps), spans(text, 1), "in steps of {steps}");
        }
    }
}
