//! Where text that is made of lines is cut: source code between its units, and within a unit that is too long, as
//! fenced code is, at the line that is least indented. Finds places; what becomes of the pieces is the caller's.

use std::ops::Range;

use crate::markdown::line_end;
use crate::measure::Measure;
use crate::units::Units;

/// How many lines an overlap is looked for in: many lines of white space have few tokens.
const OVERLAP_LINES: usize = 64;

/// Where a chunk ends that begins at a given place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Between units, or with the last of the lines.
    Between(usize),
    /// At a line within a unit.
    Within(usize),
    /// Not one line fits: what is before this place is to be cut as prose.
    Never(usize),
}

/// Where a chunk of `lines` ends that begins with them.
pub(crate) fn cut(measure: &mut Measure, text: &str, units: &Units, lines: Range<usize>) -> Cut {
    let Range { start, end: until } = lines;
    let size = measure.limit.size;
    let reach = measure.reach(text, start, until, size);
    if reach == until && measure.fits(text, start..until) {
        return Cut::Between(until);
    }
    let enough = start + (reach - start) / 4;
    if let Some(place) = units.cut(start, reach, enough, |place| measure.fits(text, start..place)) {
        return Cut::Between(place);
    }
    let mut end = reach;
    while let Some(place) = best_line(text, start, end) {
        if measure.fits(text, start..place) {
            return Cut::Within(place);
        }
        end = place - 1;
    }
    let line = line_end(&text[..until], start);
    Cut::Never(units.next(start).map_or(line, |next| next.min(line)))
}

/// Where the next chunk begins that repeats the last lines before `end`, of a chunk that began at `start`.
pub(crate) fn overlap(measure: &Measure, text: &str, start: usize, end: usize) -> usize {
    let mut from = end;
    if measure.limit.overlap == 0 {
        return from;
    }
    for _ in 0..OVERLAP_LINES {
        let Some(line) = line_before(text, start, from) else { break };
        if !measure.is_within(text, line..end, measure.limit.overlap) {
            break;
        }
        from = line;
    }
    from
}

/// The line to begin the next chunk with, behind `start` and not behind `end`: in the second half the least indented,
/// rather behind a blank line, rather the last; no line that only closes what is before it, unless there is no other.
/// In the first half just the last.
fn best_line(text: &str, start: usize, end: usize) -> Option<usize> {
    let half = start + (end - start) / 2;
    let mut best: Option<((bool, usize, bool), usize)> = None;
    let mut place = if text.as_bytes()[..end].ends_with(b"\n") { Some(end) } else { line_before(text, start, end) };
    while let Some(line) = place {
        if line < half && best.is_some() {
            break;
        }
        let said = text[line..line_end(text, line)].trim_end();
        if !said.is_empty() {
            let bare = said.trim_start();
            let closes = bare.starts_with(['}', ')', ']', '`', '~']) || bare == "end";
            let after_blank = text[..line].ends_with("\n\n");
            let key = (closes, said.len() - bare.len(), !after_blank);
            if best.is_none_or(|(other, _)| key < other) {
                best = Some((key, line));
            }
        }
        place = line_before(text, start, line);
    }
    best.map(|(_, line)| line)
}

/// The beginning of the last line that begins behind `start` and before `place`.
fn line_before(text: &str, start: usize, place: usize) -> Option<usize> {
    let before = text.as_bytes().get(start..place.saturating_sub(1))?;
    memchr::memrchr(b'\n', before).map(|at| start + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_indented_line_of_the_second_half_is_cut_before() {
        let text = "def a():\n    one\n    two\n\n    three\n    four\n}\nlast";
        let cut = |end: &str| best_line(text, 0, text.find(end).unwrap()).map(|at| text[at..].lines().next().unwrap());
        assert_eq!(cut("last"), Some("last"));
        assert_eq!(cut("ast"), Some("last"), "the line that `end` is in the midst of counts");
        assert_eq!(cut("our"), Some("    three"), "behind a blank line rather than later");
        assert_eq!(cut("}"), Some("    three"), "a bracket begins no chunk");
        assert_eq!(cut("ne"), Some("    one"));
        assert_eq!(cut("ef"), None);
    }
}
