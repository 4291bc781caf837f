//! What a reader would say of a place in a text: under which headings it stands, on which page and line. Followed in
//! one pass from the start to the end of the text, so that a place costs only the way from the one asked before.

use std::sync::Arc;

use docmill_api::Page;

use crate::markdown::{Fence, heading, line_end, title, underline};

/// A heading is cut to this many bytes: every chunk under it carries it, and a text may hold a "heading" of megabytes.
const HEADING_BYTES: usize = 256;

/// How far front matter is looked for its end.
const FRONT_MATTER: usize = 64 << 10;

/// The headings over a place in a Markdown text: those with `#` and those that are underlined, outside fenced code.
#[derive(Debug)]
pub(crate) struct Outline {
    /// Where the first line begins that was not read.
    next_line: usize,
    /// The fence that is open.
    fence: Option<Fence>,
    levels: Vec<usize>,
    path: Arc<[String]>,
}

impl Outline {
    pub(crate) fn new() -> Self {
        Self { next_line: 0, fence: None, levels: Vec::new(), path: Arc::new([]) }
    }

    /// Goes on to `place`, which is not before the last one, reading the line that begins there as well.
    pub(crate) fn advance(&mut self, text: &str, place: usize) {
        if self.next_line == 0 {
            self.next_line = front_matter_end(text);
        }
        while self.next_line <= place && self.next_line < text.len() {
            let end = line_end(text, self.next_line);
            let line = text[self.next_line..end].trim_end();
            self.next_line = end;
            self.read(line, &text[end..]);
        }
    }

    /// The headings over the last place, outermost first.
    pub(crate) fn path(&self) -> Arc<[String]> {
        Arc::clone(&self.path)
    }

    fn read(&mut self, line: &str, rest: &str) {
        if let Some(fence) = self.fence {
            if fence.is_closed_by(line) {
                self.fence = None;
            }
        } else if let Some((level, title)) = heading(line) {
            self.enter(level, title);
        } else if rest.trim_start_matches(' ').starts_with(['=', '-'])
            && let Some(title) = title(line)
            && let Some(level) = underline(&rest[..line_end(rest, 0)])
        {
            self.enter(level, title);
        } else {
            self.fence = Fence::opened_by(line);
        }
    }

    fn enter(&mut self, level: usize, title: &str) {
        let above = self.levels.partition_point(|&other| other < level);
        self.levels.truncate(above);
        let mut path = self.path[..above].to_vec();
        if !title.is_empty() {
            self.levels.push(level);
            path.push(title[..title.floor_char_boundary(HEADING_BYTES)].to_owned());
        }
        self.path = path.into();
    }
}

/// Where the lines between two `---` or `+++` at the very top end: the rule that closes them is under no title.
fn front_matter_end(text: &str) -> usize {
    let Some(fence) = ["---\n", "+++\n"].into_iter().find(|fence| text.starts_with(fence)) else { return 0 };
    let mut from = fence.len();
    while from < text.len().min(FRONT_MATTER) {
        let end = line_end(text, from);
        if text[from..end].trim_end() == fence.trim_end() {
            return end;
        }
        from = end;
    }
    0
}

/// Numbers the lines of a text, from 1.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    place: usize,
    line: u32,
}

impl Lines {
    pub(crate) fn new() -> Self {
        Self { place: 0, line: 1 }
    }

    /// The line of `place`; cheap where that is near the last one.
    pub(crate) fn at(&mut self, text: &str, place: usize) -> u32 {
        self.line = if place >= self.place {
            self.line.saturating_add(line_ends(&text[self.place..place]))
        } else {
            self.line.saturating_sub(line_ends(&text[place..self.place]))
        };
        self.place = place;
        self.line
    }
}

/// How many lines end within a text.
pub(crate) fn line_ends(text: &str) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', text.as_bytes()).count()).unwrap_or(u32::MAX)
}

/// The page of a place: the last that begins at or before it.
pub(crate) fn page_at(pages: &[Page], place: usize) -> Option<u32> {
    let after = pages.partition_point(|page| page.offset <= place);
    after.checked_sub(1).map(|index| pages[index].number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_at(text: &str, needle: &str) -> Vec<String> {
        let mut outline = Outline::new();
        outline.advance(text, text.find(needle).unwrap());
        outline.path().to_vec()
    }

    #[test]
    fn headings_nest_and_a_heading_stands_under_itself() {
        let text = "intro\n# One #\na\n### Deep\nb\n## Two\tx\nc\n# Last\nd\n####### seven\n#tag\n    # code\n#\ne";
        assert!(path_at(text, "intro").is_empty());
        assert_eq!(path_at(text, "# One"), ["One"]);
        assert_eq!(path_at(text, "b\n"), ["One", "Deep"]);
        assert_eq!(path_at(text, "c\n"), ["One", "Two\tx"]);
        assert_eq!(path_at(text, "#tag"), ["Last"]);
        let mut outline = Outline::new();
        outline.advance(text, text.len());
        assert!(outline.path().is_empty(), "an empty heading ends those of its level");
    }

    #[test]
    fn what_looks_like_a_heading_in_a_fence_is_none() {
        let text = "# Top\n```sh\n# comment\n~~~\n# still\n````\n## Real\n~~~\n# no\n```\nx\n~~~\n## After\n``` a`b\n### Inline\n";
        assert_eq!(path_at(text, "# still"), ["Top"]);
        assert_eq!(path_at(text, "## Real"), ["Top", "Real"]);
        assert_eq!(path_at(text, "x\n"), ["Top", "Real"]);
        assert_eq!(path_at(text, "### Inline"), ["Top", "After", "Inline"]);
    }

    #[test]
    fn an_underlined_title_is_a_heading_and_stands_under_itself() {
        let text = "Top\n===\na\n\nInner\n---\nb\n\n---\n\n- item\n---\nc\n| t |\n---\nd\n```\nno\n===\n```\ne\n";
        assert_eq!(path_at(text, "Top"), ["Top"]);
        assert_eq!(path_at(text, "a\n"), ["Top"]);
        for needle in ["Inner", "b\n", "- item", "c\n", "d\n", "no\n", "e\n"] {
            assert_eq!(path_at(text, needle), ["Top", "Inner"], "{needle}");
        }
    }

    #[test]
    fn front_matter_is_no_title() {
        let text = "---\ntitle: x\n---\ntext\n";
        assert!(path_at(text, "text").is_empty());
        assert_eq!(path_at("---\nopen\n===\ntext\n", "text"), ["open"], "it is none unless it is closed");
    }

    #[test]
    fn a_heading_of_megabytes_is_cut() {
        let text = format!("# {}\nbody", "ä".repeat(1 << 20));
        let path = path_at(&text, "body");
        assert!(path[0].len() <= HEADING_BYTES && path[0].starts_with('ä'));
    }

    #[test]
    fn lines_and_pages_are_those_that_the_place_is_on() {
        let text = "a\nb\n\nc";
        let mut lines = Lines::new();
        assert_eq!([0, 2, 4, 2, 5, 6].map(|place| lines.at(text, place)), [1, 2, 3, 2, 4, 4]);
        let pages = [Page { offset: 2, number: 5 }, Page { offset: 9, number: 6 }];
        assert_eq!([0, 2, 8, 9, 100].map(|place| page_at(&pages, place)), [None, Some(5), Some(5), Some(6), Some(6)]);
        assert_eq!(page_at(&[], 3), None);
    }
}
