//! The part of a row's text that shows why it was found, with the question's words marked.

use std::ops::Range;

/// A part of a text, with the places of the question's words in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snippet {
    /// White space folded to single spaces; `…` where it was cut.
    pub text: String,
    /// Byte ranges of `text` that match.
    pub matches: Vec<Range<usize>>,
}

/// Cuts about `width` characters around the densest place of the question's words. Words match by their beginning
/// without regard to case, so that `parse` marks `parsing`'s `pars` only where the stem is the same letters.
#[must_use]
pub fn snippet(text: &str, question: &str, width: usize) -> Snippet {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let wanted = wanted(question);
    let hits: Vec<bool> =
        words.iter().map(|word| keys(word).any(|key| wanted.iter().any(|want| fits(&key, want)))).collect();
    let window = densest(&words, &hits, width);
    let mut shown = String::new();
    let mut matches = Vec::new();
    if window.start > 0 {
        shown.push_str("… ");
    }
    for index in window.clone() {
        if index > window.start {
            shown.push(' ');
        }
        let start = shown.len();
        shown.push_str(&words[index]);
        if hits[index] {
            matches.push(start..shown.len());
        }
    }
    if window.end < words.len() {
        shown.push_str(" …");
    }
    Snippet { text: shown, matches }
}

/// Words that stand in almost every text: marking them marks nothing.
const COMMON: [&str; 32] = [
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "i", "in", "is", "it",
    "of", "on", "or", "that", "the", "this", "to", "was", "what", "when", "where", "which", "why", "with",
];

/// The question's words that tell something; all of them where none does.
fn wanted(question: &str) -> Vec<String> {
    let telling: Vec<String> = keys(question).filter(|key| !COMMON.contains(&key.as_str())).collect();
    if telling.is_empty() { keys(question).collect() } else { telling }
}

fn keys(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).map(str::to_lowercase)
}

/// The same word, or one that continues the other with an ending of at most three characters.
fn fits(key: &str, want: &str) -> bool {
    let (short, long) = if key.len() <= want.len() { (key, want) } else { (want, key) };
    long.starts_with(short) && (long.len() == short.len() || (short.len() >= 4 && long.len() - short.len() <= 3))
}

fn densest(words: &[String], hits: &[bool], width: usize) -> Range<usize> {
    let mut best = 0..0;
    let mut best_hits = None;
    let (mut start, mut length, mut found) = (0, 0, 0_usize);
    for end in 0..words.len() {
        length += words[end].chars().count() + 1;
        found += usize::from(hits[end]);
        while length > width && start < end {
            length -= words[start].chars().count() + 1;
            found -= usize::from(hits[start]);
            start += 1;
        }
        if best_hits.is_none_or(|best| found > best) || (start == best.start && best_hits == Some(found)) {
            best = start..end + 1;
            best_hits = Some(found);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_densest_place_is_shown_and_its_words_are_marked() {
        let text = format!("{} the mill grinds Grain slowly {}", "filler ".repeat(60), "more ".repeat(60));
        let cut = snippet(&text, "grain mill", 60);
        assert!(cut.text.starts_with("… ") && cut.text.ends_with(" …"), "{}", cut.text);
        let marked: Vec<&str> = cut.matches.iter().map(|range| &cut.text[range.clone()]).collect();
        assert_eq!(marked, ["mill", "Grain"]);
        let common = snippet("the mill is on the river", "how is the mill", 60);
        assert_eq!((common.matches.len(), common.matches[0].clone()), (1, 4..8), "common words are not marked");
    }

    #[test]
    fn a_short_text_is_shown_whole_and_an_empty_one_is_empty() {
        assert_eq!(snippet("two\n\nwords", "none", 80), Snippet { text: "two words".into(), matches: vec![] });
        assert_eq!(snippet("", "x", 80).text, "");
        assert_eq!(snippet(&"x".repeat(500), "y", 80).text.len(), 500, "one long word is not cut within");
    }
}
