//! A summary says what the document is about, in any script, and nothing that is no sentence of it.

use docmill_api::TextKind;

use crate::summarize;

fn text(content: &str, kind: TextKind) -> String {
    summarize(content, kind).unwrap().items[0].text.to_string()
}

const ARTICLE: &str = "# Coral reefs

[Home](/) | [About](/about) | [Contact](/contact)

- [Formation](#formation)
- [Threats](#threats)

Coral reefs are **underwater ecosystems** built by colonies of coral polyps. The polyps secrete
calcium carbonate, and reefs grow from it over thousands of years. My aunt once sent a postcard.

| Reef | Length |
|---|---|
| Great Barrier | 2300 km long and this is no sentence at all. |

## Threats

Warming water makes corals expel the algae that feed them, which bleaches the reefs. Click here!
Bleached coral reefs often die, and the fish of these ecosystems vanish with the corals.

```python
print(\"Coral reefs are printed here by a program. Coral reefs coral reefs.\")
```
";

#[test]
fn of_an_article_the_sentences_about_its_subject_are_taken() {
    let summary = text(ARTICLE, TextKind::Markdown);
    assert!(
        summary.starts_with("Coral reefs are underwater ecosystems built by colonies of coral polyps."),
        "{summary}"
    );
    for absent in ["postcard", "Click", "|", "print", "**", "Formation"] {
        assert!(!summary.contains(absent), "{absent}: {summary}");
    }
}

#[test]
fn scripts_without_spaces_are_summarised_as_well() {
    let chinese = "珊瑚礁是由珊瑚虫建造的海底生态系统。今天的午餐非常好吃并且便宜。珊瑚礁需要温暖而清澈的海水才能生长。\
                   公共汽车今天早上又迟到了很久。海水变暖使珊瑚礁白化，海底生态系统随之消失。";
    let summary = text(chinese, TextKind::Plain);
    assert_eq!(summary.matches('。').count(), 3);
    assert!(summary.matches("珊瑚礁").count() >= 3 && !summary.contains(' '), "{summary}");
    for other in [
        "Коралловые рифы строят полипы. Рифы растут очень медленно. Тёплая вода губит рифы. Автобус снова опоздал утром.",
        "산호초는 산호가 만든 생태계이다. 산호초는 따뜻한 바다에서 자란다. 버스가 오늘 또 늦었다 정말로. 산호초는 지금 사라지고 있다.",
        "แนวปะการังเป็นระบบนิเวศใต้ทะเลที่สำคัญมาก\n\nแนวปะการังเติบโตช้ามากในทะเลอุ่น\n\nวันนี้รถประจำทางมาสายอีกแล้ว\n\nแนวปะการังกำลังหายไปจากทะเล",
    ] {
        assert!(!text(other, TextKind::Plain).is_empty(), "{other}");
    }
}

#[test]
fn of_code_the_comment_at_its_top_speaks() {
    let code = "// Copyright 2024 Somebody\n\n//! Grinds grain. Uses water.\n//!\n//! Never stops. Needs a miller.\n\nfn main() {}\n";
    assert_eq!(text(code, TextKind::Code("rust".into())), "Grinds grain. Uses water. Never stops.");
    let reason = summarize("fn main() {}\n", TextKind::Code("rust".into())).unwrap_err();
    assert_eq!(reason, "no comment at the top that says what it does");
}

#[test]
fn what_needs_no_summary_gets_none() {
    for content in ["", " \n\n", "# Only a heading", "Just one sentence is here.", "| a | b |\n|---|---|\n| 1 | 2 |"] {
        assert!(summarize(content, TextKind::Markdown).is_err(), "{content:?}");
    }
}
