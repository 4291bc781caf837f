//! A text's summary: its own sentences. Knows texts and strings; records and stages are not known here.
//!
//! | file | step |
//! |---|---|
//! | `sample.rs` | how much of a long text is looked at |
//! | `prose.rs`, `inline.rs` | lines to paragraphs, markup left out |
//! | `comment.rs` | the comment at the top of source code |
//! | `sentences.rs` | paragraphs to sentences |
//! | `words.rs` | sentences to the words that they are compared by |
//! | `rank.rs` | which sentences say most |

mod comment;
mod inline;
mod prose;
mod rank;
mod sample;
mod sentences;
mod words;

use sentences::Sentence;

/// The most characters of a summary: what a screen shows of a search result, and far below any model's limit.
const LONGEST: usize = 1_200;

/// The most characters of one sentence. Longer ones are lists, tables and boilerplate that lost their shape.
const LONGEST_SENTENCE: usize = 400;

/// The best sentences of a text, in its order; or why there are none.
pub(crate) fn of_prose(
    content: &str,
    title: Option<&str>,
    markdown: bool,
    sentences: usize,
) -> Result<String, &'static str> {
    let mut candidates = Vec::new();
    for part in sample::sample(content) {
        for paragraph in prose::paragraphs(part, markdown) {
            sentences::split(&paragraph, &mut candidates);
        }
    }
    if candidates.is_empty() {
        return Err("no sentences to make a summary of");
    }
    if candidates.len() <= sentences {
        return Err("no longer than its summary");
    }
    let chosen = rank::best(&candidates, title, sentences, LONGEST);
    if chosen.is_empty() {
        return Err("no sentences to make a summary of");
    }
    Ok(join(chosen.into_iter().map(|index| &candidates[index])))
}

/// The first sentences of the comment at the top of source code; or why there are none.
pub(crate) fn of_code(content: &str, sentences: usize) -> Result<String, &'static str> {
    let comment = comment::leading(content).unwrap_or_default();
    let mut all = Vec::new();
    for paragraph in prose::paragraphs(&comment, true) {
        sentences::split_all(&paragraph, &mut all);
    }
    let mut room = LONGEST;
    let first = all.iter().take(sentences).take_while(|sentence| {
        let fits = sentence.characters < room;
        room = room.saturating_sub(sentence.characters + 1);
        fits
    });
    let summary = join(first);
    if summary.is_empty() { Err("no comment at the top that says what it does") } else { Ok(summary) }
}

/// With a space between, save after a full stop that stands for one.
fn join<'a>(sentences: impl Iterator<Item = &'a Sentence>) -> String {
    let mut summary = String::new();
    for sentence in sentences {
        if !summary.is_empty() && !summary.ends_with(['。', '！', '？', '」', '』']) {
            summary.push(' ');
        }
        summary.push_str(&sentence.text);
    }
    summary
}
