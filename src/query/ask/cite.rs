//! What an answer cites: `[3]`, `[3, p. 7]`, `[3, lines 12-40]`, several in one pair of brackets or each in its own.

use crate::query::{Part, Source};

/// The longest text in brackets that is looked at: a dozen citations.
const LONGEST: usize = 200;

/// The sources that are cited, and what names none.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Cited {
    pub(super) sources: Vec<Source>,
    pub(super) unknown: Vec<String>,
}

/// One citation.
#[derive(Debug, PartialEq)]
struct Citation {
    number: usize,
    place: Option<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Pages(i32, i32),
    Lines(i32, i32),
}

/// Looks up what an answer cites.
pub(super) fn check<'a>(text: &str, sources: impl Iterator<Item = &'a Source>) -> Cited {
    let citations = citations(text);
    let mut cited = Cited::default();
    let mut known = Vec::new();
    for source in sources {
        known.push(source.number);
        let of_it: Vec<&Citation> = citations.iter().filter(|citation| citation.number == source.number).collect();
        if of_it.is_empty() {
            continue;
        }
        let mut source = source.clone();
        let is_named = |part: &Part| of_it.iter().any(|citation| citation.place.is_some_and(|place| place.is_in(part)));
        if source.parts.iter().any(is_named) && of_it.iter().all(|citation| citation.place.is_some()) {
            source.parts.retain(is_named);
        }
        cited.sources.push(source);
    }
    for Citation { number, .. } in citations.iter().filter(|citation| !known.contains(&citation.number)) {
        let shown = format!("[{number}]");
        if !cited.unknown.contains(&shown) {
            cited.unknown.push(shown);
        }
    }
    cited
}

/// All citations, in their order. Brackets with anything else in them are none.
fn citations(text: &str) -> Vec<Citation> {
    let mut found = Vec::new();
    for (open, _) in text.match_indices('[') {
        let inner = &text[open + 1..text.ceil_char_boundary(open + 1 + LONGEST)];
        if let Some((inner, _)) = inner.split_once(']') {
            found.extend(read(inner).unwrap_or_default());
        }
    }
    found
}

/// `3`, `3, p. 7`, `3; 5, lines 1-2`, `3 p. 7`.
fn read(inner: &str) -> Option<Vec<Citation>> {
    let mut found: Vec<Citation> = Vec::new();
    for item in inner.split([',', ';']).map(str::trim) {
        let digits = item.len() - item.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = item.split_at(digits);
        if !number.is_empty() {
            found.push(Citation { number: number.parse().ok()?, place: None });
        }
        let rest = rest.trim_start();
        if !rest.is_empty() {
            let place = place(rest)?;
            let last = found.last_mut()?;
            if last.place.is_none() {
                last.place = Some(place);
            } else {
                let number = last.number;
                found.push(Citation { number, place: Some(place) });
            }
        } else if number.is_empty() {
            return None;
        }
    }
    Some(found)
}

fn place(text: &str) -> Option<Place> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let (word, range) = text.split_at(start);
    let (first, last) = range.split_once(['-', '–']).unwrap_or((range, range));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    match word.trim().trim_end_matches('.').to_lowercase().as_str() {
        "p" | "pp" | "page" | "pages" | "s" | "seite" | "seiten" => Some(Place::Pages(first, last)),
        "line" | "lines" | "l" | "zeile" | "zeilen" => Some(Place::Lines(first, last)),
        _ => None,
    }
}

impl Place {
    fn is_in(self, part: &Part) -> bool {
        match (self, part.page, part.line_start) {
            (Self::Pages(first, last), Some(page), _) => (first..=last).contains(&page),
            (Self::Lines(first, last), _, Some(start)) => first <= part.line_end.unwrap_or(start) && last >= start,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cited(text: &str) -> Vec<(usize, Option<Place>)> {
        citations(text).into_iter().map(|citation| (citation.number, citation.place)).collect()
    }

    #[test]
    fn citations_are_read_in_all_their_forms() {
        let all = cited("A [3], b [3, p. 7] and [12][4; 5, lines 12-40], [6 p. 2], [7, pages 3–4, 8] [9, p. 1, p. 2].");
        let (page, pages) = (|page| Some(Place::Pages(page, page)), |first, last| Some(Place::Pages(first, last)));
        assert_eq!(
            all,
            [
                (3, None),
                (3, page(7)),
                (12, None),
                (4, None),
                (5, Some(Place::Lines(12, 40))),
                (6, page(2)),
                (7, pages(3, 4)),
                (8, None),
                (9, page(1)),
                (9, page(2)),
            ]
        );
        assert_eq!(cited("[x] [] [a link](3) [2024-01-01] [3 kg] [ [99999999999999999999999] [ü, 3] [3"), []);
    }
}
