//! What plain text may be cut at, and where: lines, sentences, words, graphemes, characters. Found once for a text, except for
//! what lies below a sentence, which is seldom asked for.

use std::ops::Range;
use std::sync::LazyLock;

use icu_segmenter::options::WordBreakInvariantOptions;
use icu_segmenter::{GraphemeClusterSegmenter, WordSegmenter, WordSegmenterBorrowed};
use memchr::memchr2_iter;

use crate::sentences::Sentences;

/// Finds words as a reader does, by a dictionary in scripts that write no spaces.
pub(crate) static WORDS: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()));

/// What a text is cut at, the smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Character,
    Grapheme,
    Word,
    Sentence,
    /// So many line ends, or more, one after another.
    Lines(usize),
}

/// Line ends one after another.
#[derive(Debug)]
struct Break {
    place: Range<usize>,
    /// How many there are.
    lines: usize,
    /// The next with more; the number of all if there is none.
    larger: usize,
}

/// Where the levels of a text are.
pub(crate) struct Levels<'a> {
    text: &'a str,
    breaks: Vec<Break>,
    /// How many of them are passed.
    passed: usize,
    sentences: Sentences<'a>,
}

impl<'a> Levels<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let mut breaks: Vec<Break> = Vec::new();
        for at in memchr2_iter(b'\n', b'\r', text.as_bytes()) {
            let is_second = text.as_bytes()[at] == b'\n' && at > 0 && text.as_bytes()[at - 1] == b'\r';
            match breaks.last_mut().filter(|last| last.place.end == at) {
                Some(last) => {
                    last.place.end = at + 1;
                    last.lines += usize::from(!is_second);
                }
                None => breaks.push(Break { place: at..at + 1, lines: 1, larger: 0 }),
            }
        }
        for index in (0..breaks.len()).rev() {
            let mut larger = index + 1;
            while larger < breaks.len() && breaks[larger].lines <= breaks[index].lines {
                larger = breaks[larger].larger;
            }
            breaks[index].larger = larger;
        }
        Self { text, breaks, passed: 0, sentences: Sentences::new(text) }
    }

    /// Leaves out the line ends that begin before `place`.
    pub(crate) fn pass(&mut self, place: usize) {
        self.passed += self.breaks[self.passed..].iter().take_while(|found| found.place.start < place).count();
    }

    /// Each level of lines that is ahead, with the end of its first section: larger levels end further on.
    pub(crate) fn lines(&self, place: usize) -> impl Iterator<Item = (Level, usize)> {
        let first = self.breaks.get(self.passed);
        std::iter::successors(first, |last| self.breaks.get(last.larger)).map(move |found| {
            let Range { start, end } = found.place;
            (Level::Lines(found.lines), if start > place { start } else { end })
        })
    }

    /// Where the sentence ends that begins at `place`.
    pub(crate) fn sentence(&mut self, place: usize) -> usize {
        self.ends(Level::Sentence, place).next().unwrap_or(place)
    }

    /// The levels below lines, each with the end of its first section.
    pub(crate) fn smaller(&mut self, place: usize) -> [(Level, usize); 4] {
        let whole = self.text.len();
        [Level::Character, Level::Grapheme, Level::Word, Level::Sentence]
            .map(|level| (level, self.ends(level, place).next().unwrap_or(whole)))
    }

    /// Where the sections of a level end, from `place` on.
    pub(crate) fn ends(&mut self, level: Level, place: usize) -> Box<dyn Iterator<Item = usize> + '_> {
        let rest = &self.text[place..];
        let behind = move |end: usize| place + end;
        match level {
            Level::Character => Box::new(rest.char_indices().map(move |(at, c)| place + at + c.len_utf8())),
            Level::Grapheme => Box::new(GraphemeClusterSegmenter::new().segment_str(rest).skip(1).map(behind)),
            Level::Word => Box::new(WORDS.segment_str(rest).skip(1).map(behind)),
            Level::Sentence => Box::new(self.sentences.from(place)),
            Level::Lines(lines) => {
                let breaks = self.breaks[self.passed..].iter().filter(move |found| found.lines >= lines);
                let ends = breaks.flat_map(|found| [found.place.start, found.place.end]);
                Box::new(ends.skip_while(move |&end| end <= place).chain([self.text.len()]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_lines_are_told_with_what_they_end() {
        let levels = Levels::new("a\nb\n\nc\r\nd\r\r\n\ne");
        let found: Vec<_> =
            levels.breaks.iter().map(|found| (found.place.clone(), found.lines, found.larger)).collect();
        assert_eq!(found, [(1..2, 1, 1), (3..5, 2, 3), (6..8, 1, 3), (9..13, 3, 4)]);
        assert_eq!(
            levels.lines(0).collect::<Vec<_>>(),
            [(Level::Lines(1), 1), (Level::Lines(2), 3), (Level::Lines(3), 9)]
        );
        assert_eq!(levels.lines(1).next(), Some((Level::Lines(1), 2)), "where a line ends, that is the first section");
    }
}
