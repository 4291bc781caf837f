//! Tokens of texts for models of which only the name is known, and texts cut to a number of them.

use std::ops::Range;

/// How much more than by OpenAI's encoding a text may count for another model: small vocabularies cut prose into a
/// tenth to a sixth more tokens. Where that is too little the service says so, and the caller cuts shorter.
const MARGIN: f64 = 1.15;

/// How many tokens a message costs besides its text, with some to spare.
pub const MESSAGE: usize = 8;

/// A text's tokens in OpenAI's encoding.
#[must_use]
pub fn exactly(text: &str) -> usize {
    tiktoken::get_encoding("cl100k_base").map_or(text.len(), |encoding| encoding.count(text))
}

/// A text's tokens for any model, or somewhat more. Takes a second for 40 MB of prose: not for the event loop, where it
/// is long.
#[must_use]
pub fn count(text: &str) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a length"
    )]
    let with_margin = (exactly(text) as f64 * MARGIN).ceil() as usize;
    with_margin
}

/// The least that a text is cut to, in bytes: a character or a few.
const LEAST: usize = 4;

/// Cuts a text into parts of at most `most` tokens ([`count`]), at the ends of paragraphs, lines, sentences or words
/// where one lies in the last third of a part. Together they are the whole text.
#[must_use]
pub fn parts(text: &str, most: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    // What a token of this text is long, measured as it goes.
    let mut bytes_per_token = 4.0_f64;
    while start < text.len() {
        let mut end = text.len();
        loop {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a length"
            )]
            let room = ((most as f64 * bytes_per_token) as usize).max(LEAST);
            end = end.min(text.ceil_char_boundary(start + room));
            if end < text.len() {
                end = start + boundary(&text[start..end]);
            }
            let tokens = count(&text[start..end]).max(1);
            #[expect(clippy::cast_precision_loss, reason = "a mean")]
            let measured = (end - start) as f64 / tokens as f64;
            // The least piece is taken whatever it counts, or there would be no end.
            if tokens <= most || room <= LEAST {
                bytes_per_token = measured;
                break;
            }
            // A little under what was measured, so that the next look is the last.
            bytes_per_token = (measured * 0.95).min(bytes_per_token * 0.95);
        }
        parts.push(start..end);
        start = end;
    }
    parts
}

/// Where a part is best cut: behind the last paragraph, line, sentence or word of its last third.
fn boundary(text: &str) -> usize {
    let from = text.floor_char_boundary(text.len() * 2 / 3);
    for mark in ["\n\n", "\n", ". ", " "] {
        if let Some(at) = text[from..].rfind(mark) {
            return from + at + mark.len();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn parts_are_the_whole_text_and_none_is_too_long(text in "(\\PC{0,40}[ \n]){0,60}", most in 8_usize..200) {
            let parts = parts(&text, most);
            let joined: String = parts.iter().map(|range| &text[range.clone()]).collect();
            prop_assert_eq!(&joined, &text);
            for range in parts {
                prop_assert!(count(&text[range.clone()]) <= most || range.len() <= 8, "{}", &text[range]);
            }
        }
    }

    #[test]
    fn a_part_ends_where_a_paragraph_does() {
        let text = format!("{}\n\n{}", "word ".repeat(80), "other ".repeat(80));
        let parts = parts(&text, 110);
        assert_eq!(&text[parts[0].clone()], format!("{}\n\n", "word ".repeat(80)));
    }
}
