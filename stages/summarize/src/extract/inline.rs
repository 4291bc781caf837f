//! A paragraph of Markdown without its marks: links become their texts, images and tags go.

/// How far the end of a link, an image or a tag is looked for: a text full of opening brackets stays linear.
const NEAR: usize = 400;

/// The text without marks, and how many bytes of it were links.
pub(crate) fn plain(markdown: &str) -> (String, usize) {
    let mut text = String::with_capacity(markdown.len());
    let mut linked = 0;
    let mut rest = markdown;
    while let Some(at) = rest.find(['\\', '!', '[', '<', '*', '_', '`']) {
        text.push_str(&rest[..at]);
        let from = &rest[at..];
        let (taken, kept) = mark(from, rest[..at].chars().next_back());
        match kept {
            Kept::Text(kept) => text.push_str(kept),
            Kept::Link(label) => {
                let (label, _) = plain_label(label);
                linked += label.len();
                text.push_str(&label);
            }
        }
        rest = &from[taken..];
    }
    text.push_str(rest);
    (text, linked)
}

enum Kept<'a> {
    Text(&'a str),
    Link(&'a str),
}

/// What the mark that the text begins with takes up, and what stays of it.
fn mark(text: &str, before: Option<char>) -> (usize, Kept<'_>) {
    let first = &text[..1];
    let rest = &text[1..];
    match first {
        "\\" if rest.starts_with(|next: char| next.is_ascii_punctuation()) => (2, Kept::Text(&rest[..1])),
        "!" if rest.starts_with('[') => match link(rest) {
            Some((taken, _)) => (1 + taken, Kept::Text("")),
            None => (1, Kept::Text(first)),
        },
        "[" if rest.starts_with('^') => match until(rest, ']') {
            Some(end) => (end + 2, Kept::Text("")),
            None => (1, Kept::Text(first)),
        },
        "[" => match link(text) {
            Some((taken, label)) => (taken, Kept::Link(label)),
            None => (1, Kept::Text(first)),
        },
        "<" if rest.starts_with(|next: char| next.is_ascii_alphabetic() || matches!(next, '/' | '!')) => {
            match until(rest, '>') {
                Some(end) => (end + 2, Kept::Text("")),
                None => (1, Kept::Text(first)),
            }
        }
        "*" if before.is_none_or(|before| before != ' ') || !rest.starts_with(' ') => (1, Kept::Text("")),
        // Within a word an underscore is part of a name.
        "_" if !(before.is_some_and(char::is_alphanumeric) && rest.starts_with(char::is_alphanumeric)) => {
            (1, Kept::Text(""))
        }
        "`" => (1, Kept::Text("")),
        _ => (1, Kept::Text(first)),
    }
}

/// `[label](target)` or `[label][name]`: how long it is, and its label.
fn link(text: &str) -> Option<(usize, &str)> {
    let label = until(&text[1..], ']')?;
    let after = &text[label + 2..];
    let close = match after.chars().next()? {
        '(' => ')',
        '[' => ']',
        _ => return None,
    };
    let target = until(&after[1..], close)?;
    Some((label + 2 + target + 2, &text[1..=label]))
}

/// A label without marks of its own but links, which do not nest.
fn plain_label(label: &str) -> (String, usize) {
    let kept: String = label.chars().filter(|next| !matches!(next, '*' | '`' | '[' | ']' | '!')).collect();
    let length = kept.len();
    (kept, length)
}

/// Where the character stands, if it is near.
fn until(text: &str, end: char) -> Option<usize> {
    text[..text.floor_char_boundary(NEAR)].find(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_go_and_words_stay() {
        for (markdown, text) in [
            ("a **bold** and _slanted_ word", "a bold and slanted word"),
            ("see [the *docs*](http://x/y) or [that][1]", "see the docs or that"),
            ("![an image](x.png)After", "After"),
            ("use `snake_case` or snake_case", "use snake_case or snake_case"),
            ("a<br>b <https://x.y> c < d", "ab  c < d"),
            (r"escaped \*stars\* and 2 * 3", "escaped *stars* and 2 * 3"),
            ("a note[^1] here [not a link] x", "a note here [not a link] x"),
            ("wow! [", "wow! ["),
            ("漢[字](x)\\", "漢字\\"),
        ] {
            assert_eq!(plain(markdown).0, text, "{markdown}");
        }
        assert_eq!(plain("[label](x) rest").1, 5);
    }
}
