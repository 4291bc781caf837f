//! The units of source code as places where it may be cut, the better the further out, and as the path that a chunk
//! stands under. What the units are was found by the parser; how long a chunk may be is asked of the caller.

use std::sync::Arc;

use docmill_api::Block;

/// How far behind a unit its line may go on and still belong to it: a semicolon, a comment.
const LINE_REST: usize = 120;

/// What may stand between a unit's last inner unit and its own end without being worth a cut: a bracket, an `end`.
const CLOSING: usize = 16;

/// How far before a unit the beginning of its line is looked for.
const INDENTATION: usize = 256;

/// A unit, with its indentation and the rest of its last line.
#[derive(Debug)]
struct Unit {
    start: usize,
    end: usize,
    parent: Option<usize>,
    name: String,
}

/// A place between units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    at: usize,
    /// Twice the number of units around it, and one more where it parts a unit's last line from the rest.
    rank: usize,
}

/// The units of one text.
#[derive(Debug, Default)]
pub(crate) struct Units {
    /// Ascending, an outer one before those in it.
    units: Vec<Unit>,
    /// Ascending.
    places: Vec<Place>,
}

impl Units {
    /// Takes over what lies within the text and within one another; whatever else was sent is dropped.
    pub(crate) fn new(text: &str, blocks: &[Block]) -> Self {
        let mut units: Vec<Unit> = Vec::new();
        let mut open: Vec<(usize, usize)> = Vec::new();
        let mut last = 0;
        for (index, block) in blocks.iter().enumerate() {
            if block.start < last || block.start >= block.end || text.get(block.start..block.end).is_none() {
                continue;
            }
            open.retain(|&(_, end)| end > block.start);
            if open.last().is_some_and(|&(_, end)| end < block.end) {
                continue;
            }
            last = block.start;
            let outer = open.last().map(|&(unit, _)| &units[unit]);
            let start = line_start(text, block.start).max(outer.map_or(0, |outer| outer.start));
            let rest = &blocks[index + 1..];
            let next = rest.get(rest.partition_point(|next| next.start < block.end)).map(|next| next.start);
            let end = line_rest(text, block.end, next).min(outer.map_or(text.len(), |outer| outer.end));
            units.push(Unit { start, end, parent: open.last().map(|&(unit, _)| unit), name: block.name.clone() });
            open.push((units.len() - 1, block.end));
        }
        let places = places(text, &units);
        Self { units, places }
    }

    /// The best place to end a chunk that begins at `from`, no further than `reach` and where it `fits`: between the
    /// outermost units, and as far as possible. Where that leaves the unit that `from` is in, no further than to that
    /// unit's end, if the chunk is no scrap then: if it reaches `enough`.
    pub(crate) fn cut(
        &self,
        from: usize,
        reach: usize,
        enough: usize,
        mut fits: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let first = self.places.partition_point(|place| place.at <= from);
        let last = self.places.partition_point(|place| place.at <= reach);
        let mut places = &self.places[first..last];
        let outside = 2 * self.around(from).count();
        while let Some(best) = places.iter().map(|place| place.rank).min() {
            let mut of_rank = places.iter().enumerate().filter(|(_, place)| place.rank == best);
            let leaving = if best < outside { of_rank.clone().find(|(_, place)| place.at >= enough) } else { None };
            let (index, place) = leaving.or_else(|| of_rank.next_back())?;
            if fits(place.at) {
                return Some(place.at);
            }
            places = &places[..index];
        }
        None
    }

    /// The first place behind `from`.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        self.places.get(self.places.partition_point(|place| place.at <= from)).map(|place| place.at)
    }

    /// The names of the units that a stretch is in, outermost first.
    pub(crate) fn path(&self, start: usize, end: usize) -> Arc<[String]> {
        let begun = self.units.partition_point(|unit| unit.start <= start);
        let around = self.ancestors(begun.checked_sub(1)).filter(|unit| end <= unit.end && !unit.name.is_empty());
        let mut path: Vec<String> = around.map(|unit| unit.name.clone()).collect();
        path.reverse();
        path.into()
    }

    /// The units that a place is in the midst of.
    fn around(&self, place: usize) -> impl Iterator<Item = &Unit> {
        let begun = self.units.partition_point(|unit| unit.start < place);
        self.ancestors(begun.checked_sub(1)).filter(move |unit| place < unit.end)
    }

    /// A unit and those around it.
    fn ancestors(&self, unit: Option<usize>) -> impl Iterator<Item = &Unit> {
        std::iter::successors(unit.map(|unit| &self.units[unit]), |unit| unit.parent.map(|parent| &self.units[parent]))
    }
}

fn places(text: &str, units: &[Unit]) -> Vec<Place> {
    let mut places = Vec::with_capacity(units.len() * 2);
    let mut depths: Vec<usize> = Vec::with_capacity(units.len());
    for unit in units {
        let depth = unit.parent.map_or(0, |parent| depths[parent] + 1);
        depths.push(depth);
        places.push(Place { at: unit.start, rank: 2 * depth });
        let rest = unit.parent.map(|parent| text.get(unit.end..units[parent].end).unwrap_or_default());
        // A long rest is not looked through: it is none.
        let closing = rest.is_some_and(|rest| rest.len() < 10 * CLOSING && rest.trim().len() <= CLOSING);
        places.push(Place { at: unit.end, rank: 2 * depth + usize::from(closing) });
    }
    places.sort_unstable();
    places.dedup_by_key(|place| place.at);
    places
}

/// The beginning of the line of `place`, where only white space stands before that.
fn line_start(text: &str, place: usize) -> usize {
    let window = text.ceil_char_boundary(place.saturating_sub(INDENTATION));
    let before = &text[window..place];
    let bare = before.trim_end_matches([' ', '\t']);
    if bare.ends_with('\n') || (bare.is_empty() && window == 0) { window + bare.len() } else { place }
}

/// The end of the line of `place`, where that is near and the next unit does not begin on it.
fn line_rest(text: &str, place: usize, next: Option<usize>) -> usize {
    let window = text.floor_char_boundary(place.saturating_add(LINE_REST));
    let Some(end) = memchr::memchr(b'\n', &text.as_bytes()[place..window]).map(|at| place + at + 1) else {
        return if window == text.len() && next.is_none() { window } else { place };
    };
    if next.is_some_and(|next| next < end) { place } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "use a;\n\nfn one() {}\n\nimpl B {\n    fn two() {}\n\n    fn three() {}\n}\n\nfn four() {} // end\n";

    fn block(text: &str, whole: &str, depth: u8, name: &str) -> Block {
        let start = text.find(whole).unwrap();
        Block { start, end: start + whole.len(), depth, name: name.into() }
    }

    fn units() -> Units {
        let body = &TEXT[TEXT.find("impl").unwrap()..TEXT.find("\n\nfn four").unwrap()];
        let blocks = [
            block(TEXT, "fn one() {}", 0, "fn one"),
            block(TEXT, body, 0, "impl B"),
            block(TEXT, "fn two() {}", 1, "fn two"),
            block(TEXT, "fn three() {}", 1, "fn three"),
            block(TEXT, "fn four() {}", 0, "fn four"),
        ];
        Units::new(TEXT, &blocks)
    }

    fn at(needle: &str) -> usize {
        TEXT.find(needle).unwrap()
    }

    #[test]
    fn the_outermost_place_within_reach_is_taken() {
        let units = units();
        let cut = |from: &str, reach: &str| units.cut(at(from), at(reach), 0, |_| true);
        assert_eq!(cut("use a", "fn four"), Some(at("fn four")));
        assert_eq!(cut("use a", "three"), Some(at("impl B")));
        assert_eq!(cut("impl B", "three"), Some(at("    fn three")));
        assert_eq!(cut("impl B", "\n\nfn four"), Some(at("    fn three")), "a bracket is not left alone");
        assert_eq!(cut("    fn three", "}\n\nfn four"), Some(at("}\n\nfn four")), "unless nothing else is left");
        assert_eq!(cut("fn one", "e() {}"), None);
        let four = at("fn four");
        assert_eq!(units.cut(0, TEXT.len(), 0, |end| end < four), Some(at("\nfn four")), "what fits counts");
        assert_eq!(
            units.cut(at("    fn two"), TEXT.len(), 0, |_| true),
            Some(at("\nfn four")),
            "no further than its unit"
        );
        assert_eq!(
            units.cut(at("    fn two"), TEXT.len(), four + 1, |_| true),
            Some(TEXT.len()),
            "unless it is a scrap"
        );
    }

    #[test]
    fn a_stretch_stands_under_all_units_that_it_is_in() {
        let units = units();
        assert_eq!(&*units.path(at("    fn two"), at("\n\n    fn three")), ["impl B", "fn two"]);
        assert_eq!(&*units.path(at("    fn two"), at("three")), ["impl B"]);
        assert_eq!(&*units.path(at("fn four"), TEXT.len() - 1), ["fn four"], "with the comment behind it");
        assert!(units.path(0, at("fn one")).is_empty());
    }

    #[test]
    fn units_that_make_no_sense_are_dropped() {
        let make = |pairs: &[(usize, usize)]| {
            let block = |&(start, end): &(usize, usize)| Block { start, end, depth: 9, name: "x".into() };
            Units::new("é = 1\nb = 2\nc = 3\n", &pairs.iter().map(block).collect::<Vec<_>>())
        };
        assert_eq!(make(&[(0, 6), (3, 9), (7, 12)]).units.len(), 2, "one reaches out of another");
        for pairs in [&[(1, 5)][..], &[(5, 3)], &[(0, 99)], &[(4, 4)]] {
            assert!(make(pairs).units.is_empty(), "{pairs:?}");
        }
        assert_eq!(make(&[(7, 12), (0, 6)]).units.len(), 1, "out of order");
    }
}
