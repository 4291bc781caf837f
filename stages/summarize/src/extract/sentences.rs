//! A paragraph to its sentences, by Unicode's rules and a list of abbreviations, and which of them may be in a summary.

use unicode_segmentation::UnicodeSegmentation;

use crate::extract::{LONGEST_SENTENCE, words};

/// A sentence that may be in a summary.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sentence {
    /// Without white space at the ends, and only single spaces within.
    pub(crate) text: String,
    /// How many characters that is.
    pub(crate) characters: usize,
    /// Whether its paragraph begins with it.
    pub(crate) first: bool,
}

/// Words before whose full stop no sentence ends.
const ABBREVIATIONS: [&str; 44] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "e.g", "i.e", "cf", "fig", "figs", "eq", "eqs", "no",
    "nos", "vol", "vols", "pp", "ed", "eds", "al", "approx", "inc", "ltd", "co", "corp", "resp", "sec", "ch", "dept",
    "est", "gen", "col", "lt", "sgt", "rev", "hon", "z.b", "bzw", "bspw", "ca",
];

/// The fewest words, or characters of a script without spaces, of a sentence that says something by itself.
const FEWEST_WORDS: usize = 4;
const FEWEST_UNSPACED: usize = 8;

/// Appends the sentences of a paragraph that may be in a summary.
pub(crate) fn split(paragraph: &str, into: &mut Vec<Sentence>) {
    each(paragraph, |sentence| {
        if says_something(&sentence.text) {
            into.push(sentence);
        }
    });
}

/// Appends all sentences of a paragraph with at least a letter.
pub(crate) fn split_all(paragraph: &str, into: &mut Vec<Sentence>) {
    each(paragraph, |sentence| {
        if sentence.text.contains(char::is_alphabetic) {
            into.push(sentence);
        }
    });
}

fn each(paragraph: &str, mut found: impl FnMut(Sentence)) {
    let mut start = 0;
    let mut end = 0;
    for bound in paragraph.split_sentence_bounds() {
        end += bound.len();
        if end < paragraph.len() && ends_in_abbreviation(&paragraph[start..end]) {
            continue;
        }
        let first = start == 0;
        if let Some((text, characters)) = tidy(&paragraph[start..end]) {
            found(Sentence { text, characters, first });
        }
        start = end;
    }
}

/// With single spaces; `None` where nothing is left, or too much.
fn tidy(raw: &str) -> Option<(String, usize)> {
    // A sentence is cut off long before anybody could be interested in its end.
    if raw.len() > LONGEST_SENTENCE * 8 {
        return None;
    }
    let mut text = String::with_capacity(raw.len());
    for word in raw.split(|next: char| next.is_whitespace() || next.is_control()).filter(|word| !word.is_empty()) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    let characters = text.chars().count();
    (1..=LONGEST_SENTENCE).contains(&characters).then_some((text, characters))
}

/// Whether the text ends in an abbreviation or an initial.
fn ends_in_abbreviation(text: &str) -> bool {
    let Some(rest) = text.trim_end().strip_suffix('.') else { return false };
    let word = rest.rsplit([' ', '(', '[', '\u{a0}']).next().unwrap_or_default();
    let initial = word.len() == 1 && word.starts_with(|only: char| only.is_ascii_uppercase());
    initial || (word.len() <= 6 && ABBREVIATIONS.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

/// Long enough to stand alone, and made of letters rather than figures and signs.
fn says_something(text: &str) -> bool {
    let (mut letters, mut unspaced, mut visible) = (0, 0, 0);
    for character in text.chars().filter(|character| !character.is_whitespace()) {
        visible += 1;
        letters += usize::from(character.is_alphabetic());
        unspaced += usize::from(words::is_unspaced(character));
    }
    let long_enough = unspaced >= FEWEST_UNSPACED || text.split(' ').count() >= FEWEST_WORDS;
    // Thai vowels are no letters to Unicode, so what has no spaces counts as well.
    long_enough && letters.max(unspaced) * 10 >= visible * 6
}

/// Whether a sentence ends as one does, in any script.
pub(crate) fn is_ended(text: &str) -> bool {
    let closed = text.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»', '」', '』', '）']);
    closed.ends_with(['.', '!', '?', '…', '。', '！', '？', '｡', '．', '।', '॥', '؟', '۔', '։', '።', '။', '។'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(paragraph: &str) -> Vec<String> {
        let mut all = Vec::new();
        split_all(paragraph, &mut all);
        all.into_iter().map(|sentence| sentence.text).collect()
    }

    #[test]
    fn sentences_end_where_a_reader_would_say_so() {
        assert_eq!(
            texts("It rained. It poured! Why?  Nobody\tknows…"),
            ["It rained.", "It poured!", "Why?", "Nobody knows…"]
        );
        assert_eq!(
            texts("Dr. Smith met J. R. Jones, e.g. At home. They ate."),
            ["Dr. Smith met J. R. Jones, e.g. At home.", "They ate."]
        );
        assert_eq!(
            texts("See Fig. 3 and pp. 4 to 5. Done 3.14 times."),
            ["See Fig. 3 and pp. 4 to 5.", "Done 3.14 times."]
        );
        assert_eq!(texts("今日は雨です。明日は晴れ！"), ["今日は雨です。", "明日は晴れ！"]);
        assert_eq!(texts("यह पहला है। यह दूसरा है।"), ["यह पहला है।", "यह दूसरा है।"]);
        assert_eq!(texts("The end of Dr."), ["The end of Dr."]);
    }

    #[test]
    fn what_says_nothing_is_no_candidate() {
        let mut candidates = Vec::new();
        for paragraph in ["Yes. No. Maybe so.", "1.2 3.4 5.6 7.8 9.0 a.", "— — — — — — —", &"word ".repeat(200)]
        {
            split(paragraph, &mut candidates);
        }
        assert_eq!(candidates, []);
        split("This one says something. 東京都は日本の首都である。", &mut candidates);
        assert_eq!(candidates.len(), 2);
        assert!(candidates[0].first && !candidates[1].first);
    }
}
