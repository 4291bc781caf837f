//! What a reader would say of a place in a text: under which headings it stands, on which page and line. Followed in
//! one pass from the start to the end of the text, so that a place costs only the way from the one asked before.

use std::sync::Arc;

use docmill_api::Page;

/// A heading is cut to this many bytes: every chunk under it carries it, and a text may hold a "heading" of megabytes.
const HEADING_BYTES: usize = 256;

/// The headings over a place in a Markdown text: those with `#`, outside fenced code.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    /// Where the first line begins that was not read.
    next_line: usize,
    /// The fence that is open: its character and length.
    fence: Option<(u8, usize)>,
    levels: Vec<usize>,
    path: Arc<[String]>,
}

impl Outline {
    pub(crate) fn new() -> Self {
        Self { next_line: 0, fence: None, levels: Vec::new(), path: Arc::new([]) }
    }

    /// Goes on to `place`, which is not before the last one, reading the line that begins there as well. Whether
    /// `place` is inside fenced code.
    pub(crate) fn advance(&mut self, text: &str, place: usize) -> bool {
        let mut inside = self.fence.is_some();
        while self.next_line <= place && self.next_line < text.len() {
            let rest = &text.as_bytes()[self.next_line..];
            let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let line = &text[self.next_line..self.next_line + length];
            self.next_line += length;
            inside = self.fence.is_some();
            self.read(line.trim_end());
            if self.next_line > place && self.next_line - length < place {
                inside = self.fence.is_some();
            }
        }
        inside
    }

    /// The headings over the last place, outermost first.
    pub(crate) fn path(&self) -> Arc<[String]> {
        Arc::clone(&self.path)
    }

    fn read(&mut self, line: &str) {
        let content = line.trim_start_matches(' ');
        // Four spaces make it code.
        if line.len() - content.len() > 3 {
            return;
        }
        match content.as_bytes().first() {
            Some(b'#') if self.fence.is_none() => self.read_heading(content),
            Some(&mark @ (b'`' | b'~')) => self.read_fence(content, mark),
            _ => {}
        }
    }

    fn read_heading(&mut self, content: &str) {
        let title = content.trim_start_matches('#');
        let level = content.len() - title.len();
        if level > 6 || !(title.is_empty() || title.starts_with([' ', '\t'])) {
            return;
        }
        let title = title.trim();
        let bare = title.trim_end_matches('#');
        let title = if bare.is_empty() || bare.ends_with([' ', '\t']) { bare.trim_end() } else { title };
        let above = self.levels.partition_point(|&other| other < level);
        self.levels.truncate(above);
        let mut path = self.path[..above].to_vec();
        if !title.is_empty() {
            self.levels.push(level);
            path.push(title[..title.floor_char_boundary(HEADING_BYTES)].to_owned());
        }
        self.path = path.into();
    }

    fn read_fence(&mut self, content: &str, mark: u8) {
        let info = content.trim_start_matches(char::from(mark));
        let length = content.len() - info.len();
        match self.fence {
            Some((open, least)) if open == mark && length >= least && info.is_empty() => self.fence = None,
            None if length >= 3 && !(mark == b'`' && info.contains('`')) => self.fence = Some((mark, length)),
            _ => {}
        }
    }
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
    fn a_fence_has_an_inside_and_its_first_line_is_not_in_it() {
        let text = "a\n```\ncode\n```\nb\n";
        for (needle, inside) in
            [("a\n", false), ("```\ncode", false), ("code", true), ("ode", true), ("```\nb", true), ("b\n", false)]
        {
            let mut outline = Outline::new();
            assert_eq!(outline.advance(text, text.find(needle).unwrap()), inside, "{needle:?}");
        }
        let mut outline = Outline::new();
        let inside: Vec<bool> = (0..text.len()).map(|place| outline.advance(text, place)).collect();
        let apart: Vec<bool> = (0..text.len()).map(|place| Outline::new().advance(text, place)).collect();
        assert_eq!(inside, apart, "the way there makes no difference");
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
