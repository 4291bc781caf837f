//! Whether what a PDF reader gave is text that a person could read. A font without a map to Unicode gives replacement
//! characters or private codes; a scan gives nothing, or a page number.

/// What a text is worth.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Good,
    /// Nothing to read in it.
    Empty,
    /// Not readable, and why.
    Broken(String),
}

/// The share of its visible characters, in per cent, that may be unreadable: above it, more than one word in two is hit.
const UNREADABLE: usize = 15;

/// The share that has to be letters or digits. Tables of figures with rules drawn in dashes have some 30.
const LETTERS: usize = 15;

/// Below this many characters shares mean nothing.
const ENOUGH: usize = 40;

/// Judges a text.
pub(super) fn judge(text: &str) -> Verdict {
    let (mut visible, mut unreadable, mut letters) = (0_usize, 0_usize, 0_usize);
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        visible += 1;
        letters += usize::from(c.is_alphanumeric());
        unreadable += usize::from(c == char::REPLACEMENT_CHARACTER || ('\u{e000}'..='\u{f8ff}').contains(&c));
    }
    if letters == 0 && visible < ENOUGH && unreadable == 0 {
        return Verdict::Empty;
    }
    if unreadable * 100 > visible * UNREADABLE {
        return Verdict::Broken(format!("{} % of its characters have no meaning", unreadable * 100 / visible));
    }
    if visible >= ENOUGH && letters * 100 < visible * LETTERS {
        return Verdict::Broken(format!("only {} % of its characters are letters or digits", letters * 100 / visible));
    }
    Verdict::Good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_good_and_noise_is_not() {
        assert_eq!(judge("The quorvex. 東京 ٣"), Verdict::Good);
        assert_eq!(judge("1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | ------ | -----"), Verdict::Good);
        assert_eq!(judge(" \n\n "), Verdict::Empty);
        assert_eq!(judge("---"), Verdict::Empty);
        assert!(matches!(judge("\u{fffd}\u{fffd}\u{fffd}ab"), Verdict::Broken(_)));
        assert!(matches!(judge(&"\u{e001}\u{e002} a".repeat(20)), Verdict::Broken(_)));
        assert!(matches!(judge(&"!\"#$%&'()*+,-./".repeat(10)), Verdict::Broken(_)));
    }
}
