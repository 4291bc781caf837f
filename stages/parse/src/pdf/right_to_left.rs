//! Arabic and Hebrew as they come out of a PDF: the readers put them in the order in which they are read, but for two
//! things that they all get wrong, and that are mended here. Text without either script is not copied.

use std::borrow::Cow;

/// Puts a blank between Latin letters and those of a script that runs the other way, where a page's layout kept them
/// apart and its text does not (`Pythonمن`): a search for either word would find neither. Puts the letter lam, drawn as
/// one sign with the alef behind it and turned around with it, before it again (`اإلنتاج` is `الإنتاج`): no word has an
/// alef before one with hamza or madda, so where one stands, it was turned.
pub(super) fn mended(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_right_to_left) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let turns = is_latin(before) && is_right_to_left(c) || is_right_to_left(before) && is_latin(c);
        if turns {
            out.push(' ');
        }
        let turned = before == ALEF && matches!(c, '\u{622}' | '\u{623}' | '\u{625}');
        if turned && chars.next_if_eq(&LAM).is_some() {
            out.push(LAM);
        }
        out.push(c);
        before = c;
    }
    Cow::Owned(out)
}

const ALEF: char = '\u{627}';
const LAM: char = '\u{644}';

/// A letter of Hebrew or Arabic; digits and marks take the direction of what stands around them.
fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{64a}' | '\u{66e}'..='\u{6d3}' | '\u{6fa}'..='\u{6ff}' | '\u{750}'..='\u{77f}')
}

fn is_latin(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, 'À'..='ɏ') && c.is_alphabetic()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_set_apart_and_lam_stands_before_alef() {
        assert_eq!(mended("لغة Pythonمن الأدوات، R9و"), "لغة Python من الأدوات، R9و");
        assert_eq!(mended("תוכנה quorvexחדשה"), "תוכנה quorvex חדשה");
        assert_eq!(mended("اإلنتاجية واألدوات"), "الإنتاجية والأدوات");
        assert!(matches!(mended("quorvex größer"), Cow::Borrowed(_)));
    }
}
