//! What the stage promises, held through the stage itself: built from the registry, stepped as the engine steps it.
//! Token counts are compared with `tiktoken-rs`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "configurations are written where they are used")]

mod structure;
mod support;

use std::sync::Arc;

use docmill_api::{ErrorClass, Outputs, Page, Payload, Reference, Step, StepContext, TextKind};
use docmill_chunk::{Encoding, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};

use support::{assert_sound, build, chunks_of, config, record, reference, registry, run, text};

fn texts() -> Vec<(&'static str, String)> {
    let prose = "Call me Ishmael. Some years ago - never mind how long precisely - having little or no money in my purse, \
                 and nothing particular to interest me on shore, I thought I'd sail about a little. It's a way I have!\n\n";
    let numbered =
        |line: &str, count: usize| (0..count).map(|at| line.replace('#', &at.to_string())).collect::<String>();
    vec![
        ("prose", numbered(&prose.replace("Ishmael", "Ishmael #"), 600)),
        ("one paragraph", numbered("Sentence # goes on for a while, and ends. ", 2000)),
        (
            "code",
            numbered(
                "def function_#(a, b=0x1f):\n    if a != b:\n        return \"{}/{}\".format(a, b)  # why\n\n",
                700,
            ),
        ),
        (
            "cjk",
            numbered(
                "第#章　日本語の文章です。「引用」もあります、数字１２３も。中文也有，测试一下！한국어 문장도 있다.\n",
                500,
            ),
        ),
        ("unbroken cjk", numbered("天地玄黄宇宙洪荒日月盈昃辰宿列张#", 500)),
        ("arabic", numbered("الفصل # هو نص عربي طويل، فيه كلمات كثيرة؛ وأسئلة؟ نعم.\n", 600)),
        ("thai", numbered("ภาษาไทยเป็นภาษาที่ไม่มีการเว้นวรรคระหว่างคำ#", 250)),
        ("emoji", numbered("👩‍👩‍👧‍👦🎉 #️⃣ 🏳️‍🌈🇩🇪👍🏽", 300)),
        ("spaces", format!("start{}middle{}\n{}end", " ".repeat(90_000), "\t \n".repeat(30_000), " ".repeat(70_000))),
        ("base64", numbered("dGhpcyBpcyBiYXNlNjQ+/#aGVsbG8gd29ybGQ", 1500)),
        ("one word", "a".repeat(20_000)),
        ("one line", numbered("key#=value,", 6000)),
        ("digits", "1234567890".repeat(2000)),
        ("punctuation", "-=#*".repeat(4000)),
        ("crlf", numbered("Line # of a file.\r\nAnd its next, longer line, with a few more words.\r\n\r\n", 800)),
        ("marks", "e\u{301}o\u{308}\u{323} ".repeat(5000)),
        (
            "markdown",
            numbered(
                "# Chapter #\n\nSome text of it.\n\n## Part\n\n- one\n- two\n\n```sh\n# no heading\nls\n```\n\n| a | b |\n|---|---|\n| # | 2 |\n\n",
                400,
            ),
        ),
        ("open fence", format!("# A\n\n```\n{}", numbered("# line # of code\n", 6000))),
        ("specials", "<|endoftext|> and <|fim_prefix|> are text. ".repeat(500)),
    ]
}

#[test]
fn counts_are_those_of_tiktoken() {
    for encoding in [Encoding::Cl100kBase, Encoding::O200kBase] {
        for (name, content) in texts() {
            let content = content.trim_end();
            let expected = reference(encoding).encode_ordinary(content).len();
            assert_eq!(Tokenizer::new(encoding).count(content), expected, "{name} in {encoding}");
        }
    }
}

#[test]
fn every_text_is_covered_by_chunks_within_the_limit_with_exact_counts() {
    for (tokens, overlap, encoding) in
        [(512, 64, Encoding::Cl100kBase), (60, 20, Encoding::O200kBase), (8, 0, Encoding::Cl100kBase)]
    {
        let stage = build(json!({"tokens": tokens, "overlap": overlap, "encoding": encoding.as_str()}));
        for (name, content) in texts() {
            let content = &content[..content.floor_char_boundary(tokens * 700)];
            for kind in [TextKind::Plain, TextKind::Markdown, TextKind::Code("none".into())] {
                let run = run(&stage, "a.txt", text(content, kind));
                let fits = |said: &str| reference(encoding).encode_ordinary(said).len() <= tokens;
                assert_sound(name, content, &run, encoding, fits);
            }
        }
    }
}

#[test]
fn characters_bound_chunks_as_well_and_tokens_are_counted_all_the_same() {
    let stage = build(json!({"characters": 300, "overlap": 30}));
    for (name, content) in texts() {
        let run = run(&stage, "a.txt", text(&content, TextKind::Plain));
        assert_sound(name, &content, &run, Encoding::Cl100kBase, |said| said.chars().count() <= 300);
        if name == "one paragraph" {
            assert!(run.chunks.iter().any(|chunk| chunk.text.len() > 250), "the room is used");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_text_is_counted_and_chunked_soundly(
        content in "(word |[a-z]{1,12}[ .,]|# Head\n|```\n|- |\n|~~~\n|a \\| b\n|\\| a \\| b \\|\n|\\|-\\|-\\|\n|\\| 1 \\|\n|Title\n==\n|\n\n|    |\r\n|[0-9]{1,9}|日本語。|ный |'s |👩‍👧|\\PC){0,300}",
        tokens in 8usize..60,
        kind in prop::sample::select(vec![TextKind::Plain, TextKind::Markdown, TextKind::Code("none".into())]),
    ) {
        let trimmed = content.trim_end();
        for encoding in [Encoding::Cl100kBase, Encoding::O200kBase] {
            prop_assert_eq!(Tokenizer::new(encoding).count(trimmed), reference(encoding).encode_ordinary(trimmed).len());
        }
        let run = run(&build(json!({"tokens": tokens, "overlap": tokens / 4})), "a.txt", text(&content, kind));
        let fits = |said: &str| reference(Encoding::Cl100kBase).encode_ordinary(said).len() <= tokens;
        assert_sound("any", &content, &run, Encoding::Cl100kBase, fits);
    }
}

#[test]
fn a_document_that_fits_is_one_chunk() {
    for kind in [TextKind::Plain, TextKind::Markdown, TextKind::Code("python".into())] {
        let content = "\n\n  # Title\n\nA paragraph.\n\n## Part\n\nAnother one.\n\n\n";
        let chunks = chunks_of(json!({}), kind, content);
        assert_eq!(chunks.len(), 1);
        assert_eq!(&*chunks[0].text, content.trim());
    }
}

#[test]
fn nothing_but_white_space_is_skipped() {
    let long = " \n\t\u{3000}".repeat(300_000);
    for content in ["", " ", "\n\u{a0}\t\n", &long] {
        let run = run(&build(json!({})), "a.txt", text(content, TextKind::Markdown));
        assert_eq!((run.chunks.len(), run.sizes.len(), run.skip.as_deref()), (0, 0, Some("empty")));
    }
}

#[test]
fn equal_chunks_are_kept_once() {
    let line = "The same forty words or so, again and again, until a chunk of them is full.\n\n";
    let content = format!("{}Something else to end with.", line.repeat(400));
    let chunks = chunks_of(json!({"tokens": 20, "overlap": 0}), TextKind::Plain, &content);
    let said: Vec<&str> = chunks.iter().map(|chunk| &*chunk.text).collect();
    assert_eq!(said, [line.trim(), "Something else to end with."]);
    assert_eq!(chunks[1].ordinal, 1);
}

#[test]
fn a_chunk_repeats_the_end_of_the_one_before_all_through_the_document() {
    let content: String = (0..20_000).map(|at| format!("Sentence {at} is short. ")).collect();
    let chunks = chunks_of(json!({"tokens": 200, "overlap": 40}), TextKind::Plain, &content);
    assert!(chunks.len() > 500);
    for pair in chunks.windows(2) {
        let (end, start) = (pair[0].text.as_ptr().addr() + pair[0].text.len(), pair[1].text.as_ptr().addr());
        assert!(start < end, "chunk {} has no overlap", pair[1].ordinal);
        let shared = &pair[1].text[..end - start];
        assert!(pair[0].text.ends_with(shared));
        let tokens = Tokenizer::new(Encoding::Cl100kBase).count(shared);
        assert!((20..=40).contains(&tokens), "{tokens} tokens are shared before chunk {}", pair[1].ordinal);
    }
    let apart = chunks_of(json!({"tokens": 200, "overlap": 0}), TextKind::Plain, &content);
    assert!(
        apart.windows(2).all(|pair| pair[1].text.as_ptr().addr() >= pair[0].text.as_ptr().addr() + pair[0].text.len())
    );
}

#[test]
fn chunks_stand_under_their_headings_and_begin_with_them() {
    let body = |name: &str| format!("{}\n\n", format!("Words about {name} here. ").repeat(12));
    let content = format!(
        "preface\n\n# One\n\n{}## Inner\n\n{}```\n# comment\n```\n\n{}# Two\n\n{}",
        body("one"),
        body("inner"),
        body("later"),
        body("two"),
    );
    let chunks = chunks_of(json!({"tokens": 80, "overlap": 0}), TextKind::Markdown, &content);
    let paths: Vec<String> = chunks.iter().map(|chunk| chunk.heading.join(" > ")).collect();
    for (chunk, path) in chunks.iter().zip(&paths) {
        let expected = match &*chunk.text {
            said if said.starts_with("preface") => "",
            said if said.contains("about one") => "One",
            said if said.contains("about two") => "Two",
            _ => "One > Inner",
        };
        assert_eq!(path, expected, "{:?}", chunk.text);
    }
    for heading in ["# One", "## Inner", "# Two"] {
        assert!(chunks.iter().any(|chunk| chunk.text.starts_with(heading)), "{heading} begins a chunk");
    }
    assert!(chunks_of(json!({"tokens": 80}), TextKind::Plain, &content).iter().all(|chunk| chunk.heading.is_empty()));
}

#[test]
fn a_long_fence_does_not_turn_what_follows_inside_out() {
    let code: String = (0..700).map(|at| format!("# note {at}\nlet x_{at} = {at};\n")).collect();
    let content: String =
        (0..40).map(|at| format!("# Chapter {at}\n\nIntroduction of {at}.\n\n```rust\n{code}```\n\n")).collect();
    let chunks = chunks_of(json!({"tokens": 100, "overlap": 10}), TextKind::Markdown, &content);
    for chunk in &chunks {
        assert_eq!(chunk.heading.len(), 1);
        assert!(chunk.heading[0].starts_with("Chapter"), "{:?}", chunk.heading);
    }
    let begun = chunks.iter().filter(|chunk| chunk.text.starts_with("# Chapter")).count();
    assert!(begun >= 30, "{begun} of 40 chapters begin a chunk");
}

#[test]
fn lines_and_pages_are_where_a_chunk_begins_and_ends() {
    let line_of = |at: usize| format!("This is line {at} of the text.\n");
    let content: String = (1..=5000).map(line_of).collect();
    let pages: Vec<Page> = (0..10)
        .map(|at| Page { offset: content.find(&line_of(at * 500 + 1)).unwrap(), number: at as u32 + 1 })
        .collect();
    let mut whole = text(&content, TextKind::Plain);
    whole.pages = pages.into();
    let stage = build(json!({"tokens": 100, "overlap": 20}));
    let chunks = run(&stage, "a.txt", whole.clone()).chunks;
    let number = |line: &str| line.split(' ').nth(3).unwrap().parse::<u32>().unwrap();
    for chunk in &chunks {
        let (first, last) = (chunk.text.lines().next().unwrap(), chunk.text.lines().last().unwrap());
        assert_eq!((chunk.line_start, chunk.line_end), (Some(number(first)), Some(number(last))));
        assert_eq!(chunk.page, Some((number(first) - 1) / 500 + 1));
    }
    whole.lines = false;
    whole.pages = Arc::new([]);
    let chunks = run(&stage, "a.txt", whole).chunks;
    assert!(chunks.iter().all(|chunk| chunk.line_start.is_none() && chunk.line_end.is_none() && chunk.page.is_none()));
}

#[test]
fn file_types_have_their_own_sizes() {
    let stage = build(
        json!({"types": {".PY": {"tokens": 70}, ".csv": {"characters": 100, "overlap": 0}, ".md": {"overlap": 0}}}),
    );
    let content: String = (0..500).map(|at| format!("value_{at} = {at}\n")).collect();
    let most = |name: &str| {
        let chunks = run(&stage, name, text(&content, TextKind::Plain)).chunks;
        let longest = chunks.iter().map(|chunk| chunk.text.len()).max().unwrap();
        (chunks.iter().map(|chunk| chunk.tokens).max().unwrap(), longest)
    };
    assert!((50..=70).contains(&most("a.py").0));
    assert!((80..=100).contains(&most("b.CSV").1));
    assert!((450..=512).contains(&most("c.md").0));
    assert!((450..=512).contains(&most("no-extension").0));
}

#[test]
fn chunks_come_in_records_of_some_size_and_step_by_step() {
    let content: String = (0..40_000).map(|at| format!("Sentence {at} of a long document. ")).collect();
    let stage = build(json!({}));
    let cx = StepContext::detached();
    let mut work = stage.open(&cx, record("a.txt", text(&content, TextKind::Plain))).unwrap();
    let (mut steps, mut sizes) = (0, Vec::new());
    loop {
        let mut out = Outputs::with_quota(1);
        let step = work.step(&cx, &mut out).unwrap();
        steps += 1;
        assert!(out.records().len() <= 1, "a step that is full emits nothing more");
        sizes.extend(out.records().iter().map(|record| record.payload.bytes()));
        if step == Step::Done {
            break;
        }
    }
    assert!(steps >= 10, "{steps} steps");
    sizes.pop();
    assert!(sizes.iter().all(|size| (64 << 10..128 << 10).contains(size)), "{sizes:?}");
}

#[test]
fn windows_leave_no_trace() {
    let content: String = (0..6000).map(|at| format!("Paragraph {at} has a few words in it.\n\n")).collect();
    let chunks = chunks_of(json!({"tokens": 100, "overlap": 0}), TextKind::Plain, &content);
    let shortest = chunks[..chunks.len() - 1].iter().map(|chunk| chunk.tokens).min().unwrap();
    assert!(shortest > 85, "a chunk of {shortest} tokens between full ones");
}

#[test]
fn only_texts_are_taken() {
    let mut input = record("a.txt", text("x", TextKind::Plain));
    input.payload = Payload::Reference(Reference {});
    let error = build(json!({})).open(&StepContext::detached(), input).err().unwrap();
    assert_eq!(error.class, ErrorClass::Rejected);
}

#[test]
fn a_wrong_configuration_is_explained() {
    let issues = |changes: Value| registry().get("chunk").unwrap().validate(&config(&changes));
    assert_eq!(issues(json!({})), []);
    assert_eq!(issues(json!({"types": {".py": {"tokens": 400, "overlap": null}}})), [], "null is unset");
    assert_eq!(issues(json!({"characters": 2000, "overlap": 200})), []);
    for (changes, path, says) in [
        (json!({"tokens": 64}), "overlap", "not below the 64 tokens"),
        (json!({"tokens": 100, "characters": 2000}), "characters", "both set"),
        (json!({"encoding": "cl100kbase"}), "encoding", "`cl100kbase`"),
        (json!({"encoding": "davinci"}), "encoding", "not carried"),
        (json!({"types": {"py": {}}}), "types.py", "no file extension"),
        (json!({"types": {".py": {"tokens": 50}}}), "types..py.tokens", "overlap of 64"),
        (json!({"types": {".py": {"overlap": 600}}}), "types..py.overlap", "overlap of 600"),
        (json!({"types": {".py": {"tokens": 100, "characters": 100}}}), "types..py.characters", "both set"),
        (json!({"token": 5}), "token", "unknown field"),
    ] {
        let found = issues(changes);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path.join("."), path);
        assert!(found[0].message.contains(says), "{}", found[0].message);
    }
    assert!(issues(json!({"encoding": "gpt4o"}))[0].hint.as_deref().unwrap().contains("`gpt-4o`"));
}

#[test]
fn all_fields_have_defaults_and_change_the_output() {
    let spec = registry().get("chunk").unwrap().spec();
    assert!(spec.fields.iter().all(|field| field.default.is_some() && field.changes_output && !field.doc.is_empty()));
    let resolved = registry().get("chunk").unwrap().resolved(&config(&json!({"encoding": "gpt-4o"})));
    assert_eq!(resolved["encoding"], "o200k_base");
}

#[test]
fn a_large_document_is_cut_the_same_however_many_threads_help() {
    let section = |at: usize| {
        let prose = format!("It was bright day {at}, and the clocks (all of them) were striking; \"why\"? ").repeat(12)
            + "\n\n";
        let table = format!("| a | b |\n|---|---|\n{}\n", format!("| {at} | two words |\n").repeat(400));
        let chinese = format!("天地玄黄，宇宙洪荒{at}日月盈昃。").repeat(20) + "\n\n";
        format!("# Head {at}\n\n{}{table}{}", prose.repeat(9), chinese.repeat(9))
    };
    let content = (0..60).map(section).collect::<String>() + &"xyz".repeat(90_000);
    let stage = build(json!({}));
    let cut = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&stage, "large.md", text(&content, TextKind::Markdown)).chunks)
    };
    let (alone, together) = (cut(1), cut(4));
    assert!(content.len() > 1 << 20 && alone.len() > 300, "{} chunks of {} bytes", alone.len(), content.len());
    assert!(alone == together);
}
