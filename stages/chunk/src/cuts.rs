//! Where a text may be cut so that its parts, encoded apart, give the tokens of the whole.
//!
//! Both encodings first split a text into pieces by a regular expression, then each piece into tokens by itself. The
//! expression looks back at nothing, and forward only past a run of white space; so a place is a cut if no piece can
//! span it, whatever stands further left and right. That can be read off the two characters beside it:
//!
//! | before | after | no piece spans them because |
//! |---|---|---|
//! | not white space | space, tab | a piece holds white space only at its start, or only white space; `[\r\n/]*` behind punctuation takes neither |
//! | letter | ASCII but letter or `'` | a run of letters is followed by nothing but a contraction |
//! | digit | ASCII but digit | digits stand alone |
//! | `\n` | ASCII above space but `/` | a run of white space ends with its last line end; so does the tail of punctuation, save that `o200k_base` has `/` in it |
//!
//! and the same with the letters and the punctuation of the larger scripts. Where the table is in doubt the answer is
//! "no cut", which costs time and no exactness.

/// Whether nothing is lost by encoding what stands before and after `at` apart. Both ends of a text are no cuts.
pub(crate) fn is_cut(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    if at == 0 || at >= bytes.len() {
        return false;
    }
    let (before, after) = (bytes[at - 1], bytes[at]);
    if before.is_ascii() && after.is_ascii() {
        return ascii_cut(before, after);
    }
    // Within a character; or before one of four bytes, which is nothing that the tables know.
    if matches!(after, 0x80..0xc0 | 0xf0..) {
        return false;
    }
    match (text[..at].chars().next_back(), text[at..].chars().next()) {
        (Some(before), Some(after)) => wide_cut(before, after),
        _ => false,
    }
}

/// Whether the place would be a cut if a line ended before it.
pub(crate) fn joins_after_line_end(text: &str, at: usize) -> bool {
    text.as_bytes().get(at).is_some_and(|&after| after.is_ascii() && ascii_cut(b'\n', after))
}

/// The last cut in `from..=at`, going back from `at`.
pub(crate) fn cut_before(text: &str, at: usize, from: usize) -> Option<usize> {
    (from..=at).rev().find(|&place| is_cut(text, place))
}

/// The first cut in `at..=to`.
pub(crate) fn cut_after(text: &str, at: usize, to: usize) -> Option<usize> {
    (at..=to).find(|&place| is_cut(text, place))
}

fn ascii_cut(before: u8, after: u8) -> bool {
    if before.is_ascii_alphabetic() {
        return !after.is_ascii_alphabetic() && after != b'\'';
    }
    if before.is_ascii_digit() {
        return !after.is_ascii_digit();
    }
    match after {
        b' ' | b'\t' => !char::from(before).is_whitespace(),
        _ => before == b'\n' && after > b' ' && after != b'/',
    }
}

fn wide_cut(before: char, after: char) -> bool {
    match after {
        ' ' | '\t' => !before.is_whitespace(),
        _ if before.is_ascii_digit() => is_letter(after) || is_punctuation(after),
        _ if is_letter(before) => {
            is_punctuation(after) || (after.is_ascii() && !after.is_ascii_alphabetic() && after != '\'')
        }
        _ => false,
    }
}

/// Whether any part of this text is one piece for both encodings: letters for certain, of which none begins a piece as
/// capitals do in `o200k_base`.
pub(crate) fn is_one_word(text: &str) -> bool {
    text.chars().all(|c| is_letter(c) && !c.is_uppercase())
}

/// Whether any part of this text is one piece: signs for certain, neither letters, numbers nor white space. Where marks
/// (`\p{M}`) go `with_letters`, as in `o200k_base`, none may be among them.
pub(crate) fn is_one_run_of_signs(text: &str, with_letters: bool) -> bool {
    text.chars().all(|c| matches!(c, '\u{1f300}'..='\u{1faff}' | '\u{200d}') || (!with_letters && c == '\u{fe0f}'))
}

/// Letters for certain (`\p{L}`): whole blocks without marks, numbers and unassigned places.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(c,
            'À'..='Ö' | 'Ø'..='ö' | 'ø'..='\u{24f}'     // Latin
            | 'Α'..='Ρ' | 'Σ'..='ώ'                     // Greek
            | 'А'..='я' | 'ѐ'..='ѿ'                     // Cyrillic
            | 'א'..='ת' | 'ء'..='غ' | 'ف'..='ي'         // Hebrew, Arabic
            | 'ぁ'..='ゖ' | 'ァ'..='ヺ'                  // kana
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}') // Han, Hangul
}

/// Neither letter, number, mark nor white space, for certain, beyond ASCII.
fn is_punctuation(c: char) -> bool {
    is_wide_mark(u32::from(c)) || matches!(c, '‐'..='‧' | '،' | '؛' | '؟' | '«' | '»')
}

/// The punctuation of scripts that write no spaces, by its code: 、。 and 〈 to 】, ！ to ／, ： to ＠.
pub(crate) fn is_wide_mark(code: u32) -> bool {
    matches!(code, 0x3001 | 0x3002 | 0x3008..=0x3011 | 0xff01..=0xff0f | 0xff1a..=0xff20)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reference() -> [&'static tiktoken_rs::CoreBPE; 2] {
        [tiktoken_rs::cl100k_base_singleton(), tiktoken_rs::o200k_base_singleton()]
    }

    fn assert_cuts_hold(text: &str) {
        for bpe in reference() {
            let whole = bpe.encode_ordinary(text);
            for at in (1..text.len()).filter(|&at| is_cut(text, at)) {
                let mut parts = bpe.encode_ordinary(&text[..at]);
                parts.extend(bpe.encode_ordinary(&text[at..]));
                assert_eq!(parts, whole, "cut at {at} in {text:?}");
            }
        }
    }

    #[test]
    fn the_usual_texts_have_many_cuts_and_all_of_them_hold() {
        let texts = [
            "It's the captain's log: 12,345 entries.\n\n  Don't \"quote\" me...\r\nI'VE said so/\n/path",
            "fn main() {\n    let x = a[0x1f] + b.c();\n\t// comment\n}\n\n\n#[test]",
            "日本語のテキスト。「引用」、123個！中文，测试：你好。한국어 문장입니다. 끝",
            "مرحبا بالعالم، كيف حالك؟ Ünïcödé — naïve café «mot» Привет, мир: 42",
            "dGhpcyBpcyBiYXNlNjQ+/abc==\nQUJD+Zm9v/YmFy",
        ];
        for text in texts {
            assert_cuts_hold(text);
            let cuts = (1..text.len()).filter(|&at| is_cut(text, at)).count();
            assert!(cuts * 16 > text.len(), "{cuts} cuts in {text:?}");
        }
    }

    #[test]
    fn the_search_finds_the_nearest_on_either_side() {
        let text = "one two three";
        assert_eq!(cut_before(text, 6, 0), Some(3));
        assert_eq!(cut_before(text, 7, 0), Some(7));
        assert_eq!(cut_after(text, 4, text.len()), Some(7));
        assert_eq!(cut_after(text, 8, text.len()), None, "the end is no cut");
        assert_eq!(cut_before(text, 2, 0), None, "nor is the start");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_cut_holds_in_any_text(text in "([a-dS0-9 ./'\\-\t\r\n]|[éßДяعم、。「！日本か漢한\u{301}\u{a0}\u{3000}\u{85}\u{200b}ſ²]|'s|'LL|  |\n\n|\\PC){0,24}") {
            assert_cuts_hold(&text);
        }
    }
}
