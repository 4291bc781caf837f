//! Small work on text that several readers need: line ends, stray characters, titles. No format is known here.

use std::borrow::Cow;

use unicode_normalization::char::decompose_compatible;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The text with every line end `\n` and without NUL, which no store and no model wants; nothing where it is so already.
pub(crate) fn unix_lines(text: &str) -> Option<String> {
    let first = memchr::memchr2(b'\r', 0, text.as_bytes())?;
    let mut clean = String::with_capacity(text.len());
    clean.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(at) = memchr::memchr2(b'\r', 0, rest.as_bytes()) {
        clean.push_str(&rest[..at]);
        if rest.as_bytes()[at] == b'\r' {
            clean.push('\n');
        }
        let skip = if rest.as_bytes()[at..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[at + skip..];
    }
    clean.push_str(rest);
    Some(clean)
}

/// Cleans text that came out of a layout: control characters go, soft hyphens go (with the line break behind them, where
/// they end a line), ligatures and other presentation forms become the letters they stand for, the rest is composed
/// (NFC). Full NFKC would go too far: it turns `10²` into `102`.
pub(crate) fn tidy(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => clean.push(c),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    clean.push('\n');
                }
            }
            '\u{c}' | '\u{2028}' | '\u{2029}' => clean.push('\n'),
            // pdfium writes U+0002 or U+FFFE for the hyphen that breaks a word at the end of a line.
            '\u{ad}' | '\u{2}' | '\u{fffe}' => join_line(&mut chars),
            '\u{a0}' | '\u{2007}' | '\u{202f}' => clean.push(' '),
            '\u{feff}' | '\u{200b}' | '\u{ffff}' => {}
            // Bullets of the Symbol and Wingdings fonts, in the private-use codes that Windows gives them.
            '\u{f0b7}' | '\u{f0a7}' | '\u{f0d8}' => clean.push('•'),
            c if c.is_control() => {}
            c if is_presentation_form(c) => decompose_compatible(c, |part| clean.push(part)),
            c => clean.push(c),
        }
    }
    if is_nfc_quick(clean.chars()) == IsNormalized::Yes { Cow::Owned(clean) } else { Cow::Owned(clean.nfc().collect()) }
}

/// Drops the line break after a hyphen that is not part of the word.
fn join_line(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let mut ahead = chars.clone();
    while ahead.next_if(|c| matches!(c, ' ' | '\r')).is_some() {}
    if ahead.next_if_eq(&'\n').is_some() {
        while ahead.next_if_eq(&' ').is_some() {}
        *chars = ahead;
    }
}

/// Codes that say how letters look, not which they are: Latin and Arabic ligatures, CJK radicals and duplicates.
fn is_presentation_form(c: char) -> bool {
    matches!(c, '\u{fb00}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{2e80}'..='\u{2fdf}' | '\u{f900}'..='\u{faff}')
}

/// What a format calls the title, if it is one: trimmed, on one line, and not a file name that a program filled in.
pub(crate) fn title(raw: &str) -> Option<String> {
    let line = tidy(raw).split_whitespace().collect::<Vec<_>>().join(" ");
    let named = line.strip_prefix("Microsoft Word - ").unwrap_or(&line);
    let lower = named.to_lowercase();
    let file_name = [
        ".doc", ".docx", ".ppt", ".pptx", ".xls", ".xlsx", ".dvi", ".tex", ".pdf", ".indd", ".qxd", ".ps", ".rtf",
        ".odt",
    ];
    let filler = lower.is_empty()
        || matches!(
            lower.as_str(),
            "untitled"
                | "untitled document"
                | "title"
                | "document"
                | "no title"
                | "word document"
                | "powerpoint presentation"
        )
        || file_name.iter().any(|extension| lower.ends_with(extension))
        || named.contains('\u{fffd}');
    (!filler).then(|| shortened(named))
}

/// At most 300 characters: a title longer than that is a paragraph set in a heading's style.
fn shortened(title: &str) -> String {
    match title.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", title[..end].trim_end()),
        None => title.to_owned(),
    }
}

/// The first heading of a Markdown text, without its marks; fenced code is passed over.
pub(crate) fn first_heading(markdown: &str) -> Option<String> {
    let mut fence: Option<&str> = None;
    let mut previous = "";
    for line in markdown.lines() {
        let trimmed = line.trim();
        let mark = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, mark) {
            (Some(open), Some(close)) if open == close => fence = None,
            (Some(_), _) => {}
            (None, Some(open)) => fence = Some(open),
            (None, None) => {
                if let Some(heading) = atx_heading(trimmed) {
                    return Some(heading);
                }
                let underlined = trimmed.len() >= 2 && (is_all(trimmed, b'=') || is_all(trimmed, b'-'));
                if underlined && !previous.is_empty() && !previous.contains('|') {
                    return title(previous);
                }
            }
        }
        previous = if fence.is_some() { "" } else { trimmed };
    }
    None
}

fn is_all(text: &str, byte: u8) -> bool {
    text.bytes().all(|each| each == byte)
}

fn atx_heading(line: &str) -> Option<String> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    if !(1..=6).contains(&level) || !rest.starts_with([' ', '\t']) {
        return None;
    }
    let plain: String = rest.trim().trim_end_matches('#').replace(['*', '`', '\\'], "");
    title(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_made_one_and_clean_text_is_not_copied() {
        assert_eq!(unix_lines("a\r\nb\rc\n\r\n\0d").as_deref(), Some("a\nb\nc\n\nd"));
        assert_eq!(unix_lines("a\nb"), None);
    }

    #[test]
    fn letters_come_out_of_ligatures_and_meaning_stays() {
        assert_eq!(tidy("of\u{fb01}ce e\u{301} 10² ½ x\u{2}y\u{7}"), "office é 10² ½ xy");
        assert_eq!(tidy("inter\u{ad}\nesting, co\u{2}\r\n  operate, a\u{ad}b"), "interesting, cooperate, ab");
        assert_eq!(tidy("one\r\ntwo\rthree\u{c}four"), "one\ntwo\nthree\nfour");
        assert!(matches!(tidy("plain\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn titles_are_titles() {
        assert_eq!(title("  The\n  Quorvex  ").as_deref(), Some("The Quorvex"));
        assert_eq!(title("Microsoft Word - draft.doc"), None);
        assert_eq!(title("Untitled"), None);
        assert_eq!(title("PowerPoint Presentation"), None);
        assert_eq!(first_heading("text\n```\n# no\n```\n## **Yes** ##\n").as_deref(), Some("Yes"));
        assert_eq!(first_heading("Under\n=====\n").as_deref(), Some("Under"));
        assert_eq!(first_heading("a | b\n--- | ---\n#hash\n"), None);
    }
}
