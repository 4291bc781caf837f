//! What a chat is answered: an extract of what it was asked, and the sources that it was asked with.

use super::{CHARS_PER_TOKEN, tokens};

/// How long an answer is that nobody bounds, in tokens.
const LENGTH: usize = 64;

/// How many source marks an answer cites.
const MARKS: usize = 10;

/// A text, and whether it was cut for `max_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extract {
    pub(super) text: String,
    pub(super) cut: bool,
}

/// The beginning of the question's longest paragraph, in whole words; then the source marks (`[1]`) that the question
/// holds, in the order in which they came. Marks that do not fit into `max_tokens` are left out.
pub(super) fn extract(question: &str, max_tokens: Option<usize>) -> Extract {
    let limit = max_tokens.unwrap_or(LENGTH);
    let mut cited = String::new();
    let mut whole = true;
    for mark in marks(question) {
        let longer = format!("{cited} {mark}");
        whole = tokens(longer.trim_start()) <= limit;
        if !whole {
            break;
        }
        cited = longer;
    }
    let left = limit.saturating_mul(CHARS_PER_TOKEN).saturating_sub(cited.chars().count());
    let (text, all) = beginning(longest_paragraph(question), left);
    let text = (text + &cited).trim_start().to_owned();
    Extract { text, cut: max_tokens.is_some() && !(whole && all) }
}

/// A text within `max_tokens`, in whole words.
pub(super) fn within(text: &str, max_tokens: Option<usize>) -> Extract {
    let limit = max_tokens.map_or(usize::MAX, |limit| limit.saturating_mul(CHARS_PER_TOKEN));
    let (text, whole) = beginning(text, limit);
    Extract { text, cut: !whole }
}

/// The first words that fit into so many characters, and whether they are all. A first word that does not fit is cut.
fn beginning(text: &str, limit: usize) -> (String, bool) {
    let mut taken = String::new();
    let mut chars = 0;
    for word in text.split_whitespace() {
        let space = usize::from(!taken.is_empty());
        let longer = chars + space + word.chars().count();
        if longer > limit {
            if taken.is_empty() {
                taken.extend(word.chars().take(limit));
            }
            return (taken, false);
        }
        if space == 1 {
            taken.push(' ');
        }
        taken.push_str(word);
        chars = longer;
    }
    (taken, true)
}

/// The longest run of lines with something on them.
fn longest_paragraph(text: &str) -> &str {
    let mut longest = "";
    let mut start = None;
    let mut at = 0;
    // One more, empty line ends the last paragraph.
    for line in text.split_inclusive('\n').chain([""]) {
        match (line.trim().is_empty(), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                let paragraph = &text[from..at];
                if paragraph.len() > longest.len() {
                    longest = paragraph;
                }
                start = None;
            }
            _ => {}
        }
        at += line.len();
    }
    longest
}

/// The first [`MARKS`] distinct marks `[N]` of a text, in their order.
fn marks(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for (start, _) in text.match_indices('[') {
        let rest = &text[start..];
        let Some(end) = rest.find(']') else { break };
        let number = &rest[1..end];
        let is_number = (1..=4).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && !found.contains(&&rest[..=end]) {
            found.push(&rest[..=end]);
        }
        if found.len() == MARKS {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "Answer from these:\n\n[1] The sluice is greased every spring.\n[2] By hand.\n\n\
        [1] again, [x], [] and [12345] are none.\n";

    #[test]
    fn the_longest_paragraph_is_taken_and_the_sources_cited() {
        let extract = extract(QUESTION, None);
        assert_eq!(extract.text, "[1] The sluice is greased every spring. [2] By hand. [1] [2]");
        assert!(!extract.cut);
    }

    #[test]
    fn an_answer_keeps_to_its_bounds() {
        for max_tokens in 1..20 {
            let extract = extract(QUESTION, Some(max_tokens));
            assert!(tokens(&extract.text) <= max_tokens, "{max_tokens}: {extract:?}");
            assert!(!extract.text.is_empty(), "{max_tokens}");
            assert_eq!(extract.cut, max_tokens < 15, "{max_tokens}: {extract:?}");
        }
        assert_eq!(extract(QUESTION, Some(5)).text, "[1] The [1] [2]");
        assert_eq!(extract("antidisestablishmentarianism", Some(2)).text, "antidise");
        assert_eq!(extract("[1234]", Some(1)), Extract { text: "[123".into(), cut: true });
        assert_eq!(extract("", None).text, "");
        // 256 characters: so many words with the spaces between them.
        let unbounded = extract(&"word ".repeat(100), None);
        assert_eq!(unbounded, Extract { text: "word ".repeat(51).trim_end().to_owned(), cut: false });
    }

    #[test]
    fn at_most_ten_sources_are_cited() {
        let question: String = (1..30).map(|number| format!("[{number}] ")).collect();
        assert_eq!(marks(&question).len(), MARKS);
        assert_eq!(marks("[[7]] open ["), ["[7]"]);
    }
}
