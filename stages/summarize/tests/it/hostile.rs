//! Whatever the text, there is a summary within bounds or a reason, and the same one every time.

use docmill_api::TextKind;
use proptest::prelude::*;

use crate::summarize;

fn kinds() -> [TextKind; 3] {
    [TextKind::Plain, TextKind::Markdown, TextKind::Code("c".into())]
}

/// At most 1,200 characters, as promised; and the same again.
fn check(content: &str) -> usize {
    let mut summaries = 0;
    for kind in kinds() {
        let first = summarize(content, kind.clone());
        if let Ok(chunks) = &first {
            let text = &chunks.items[0].text;
            assert!((1..=1_200).contains(&text.chars().count()), "{}", text.len());
            assert!(chunks.items[0].tokens > 0);
            summaries += 1;
        }
        assert_eq!(first, summarize(content, kind));
    }
    summaries
}

#[test]
fn huge_and_odd_texts_cost_no_more_than_others() {
    let megabyte = 1 << 20;
    for nothing in ["a", " "] {
        assert_eq!(check(&nothing.repeat(megabyte)), 0, "{nothing:?}");
    }
    for nothing in [
        "\n",
        "\u{0}\u{1}\u{7f}",
        "#",
        "[",
        "![",
        "<a ",
        "`",
        "*",
        "_",
        "\\",
        "|",
        "```\n",
        "- ",
        "Yes. ",
        "/*",
        "e.g. ",
    ] {
        assert_eq!(check(&nothing.repeat(megabyte / 8 / nothing.len())), 0, "{nothing:?}");
    }
}

#[test]
fn a_hundred_thousand_sentences_give_one_summary() {
    let short: String = (0..100_000).map(|n| format!("Sentence number {n} is short. ")).collect();
    assert_eq!(check(&short), 2, "plain and Markdown");
    let lines: String = (0..100_000).map(|n| format!("Line {n} speaks of mills and rivers.\n\n")).collect();
    assert_eq!(check(&lines), 2);
    let unspaced: String = (0..100_000).map(|n| format!("第{n}文は水車小屋について述べている。")).collect();
    assert_eq!(check(&unspaced), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_summarised_or_not(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn marks_in_any_order_do_no_harm(text in "([a-zé。漢 ]{0,9}[\\[\\]()<>!*_`#|\\\\~\n/.\"'-]{0,4}){0,60}") {
        check(&text);
    }
}
