//! What is promised of documents that have a structure: units of code, tables and fenced code stay whole where they fit
//! and are cut in their own way where they do not.

use docmill_api::{Block, Text, TextKind};
use docmill_chunk::Encoding;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{Run, assert_sound, block, build, chunks_of, places, reference, run, text};

fn code(content: &str, blocks: Vec<Block>) -> Text {
    Text { blocks: blocks.into(), ..text(content, TextKind::Code("rust".into())) }
}

fn tokens_of(text: &str) -> usize {
    reference(Encoding::Cl100kBase).encode_ordinary(text).len()
}

fn assert_sound_within(name: &str, content: &str, run: &Run, tokens: usize) {
    assert_sound(name, content, run, Encoding::Cl100kBase, |said| tokens_of(said) <= tokens);
}

#[test]
fn a_document_says_how_it_was_cut() {
    let stage = build(json!({"tokens": 50, "overlap": 5}));
    let strategy = |content: &str, kind| run(&stage, "a", text(content, kind)).strategy;
    let prose = "Some words of a text that goes on. ".repeat(40);
    let table = format!("# Sheet\n\n| a | b |\n|---|---|\n{}", "| quorvex | zantwick |\n".repeat(40));
    for (content, kind, expected) in [
        ("short", TextKind::Plain, "whole"),
        ("| a |\n|---|\n| 1 |", TextKind::Markdown, "whole"),
        (&prose, TextKind::Plain, "prose"),
        (&prose, TextKind::Markdown, "prose"),
        (&prose, TextKind::Code("yaml".into()), "code"),
        (&table, TextKind::Markdown, "table"),
        (&format!("{prose}{prose}\n\n{table}"), TextKind::Markdown, "prose"),
        (&table, TextKind::Plain, "prose"),
    ] {
        assert_eq!(strategy(content, kind.clone()).as_deref(), Some(expected), "{kind:?} {content:.30}");
    }
}

/// Ten functions, of which the sixth fits no chunk and holds two others, the second of which fits none either.
fn program() -> (String, Vec<Block>) {
    let body = |at: usize, lines: usize| {
        (0..lines).map(|line| format!("        let zorblax_{at}_{line} = call({line}, \"x\");\n")).collect::<String>()
    };
    let (mut content, mut blocks) = ("use std::fmt;\n\n".to_owned(), Vec::new());
    for at in 0..10 {
        let start = content.len();
        if at == 5 {
            content += "impl Big {\n";
            let outer = blocks.len();
            for (inner, lines) in [(50, 5), (51, 60)] {
                let start = content.len() + 4;
                content += &format!("    fn f{inner}() {{\n{}    }}\n\n", body(inner, lines));
                blocks.push(Block { start, end: content.len() - 2, depth: 1, name: format!("fn f{inner}") });
            }
            content += "}";
            blocks.insert(outer, Block { start, end: content.len(), depth: 0, name: "impl Big".into() });
        } else {
            content += &format!("/// About f{at}.\nfn f{at}() {{\n{}}}", body(at, 2 + at % 3));
            blocks.push(Block { start, end: content.len(), depth: 0, name: format!("fn f{at}") });
        }
        content += "\n\n";
    }
    (content, blocks)
}

#[test]
fn units_stay_whole_and_neighbours_are_packed() {
    let (content, blocks) = program();
    let run = run(&build(json!({"tokens": 150, "overlap": 30})), "a.rs", code(&content, blocks.clone()));
    assert_sound_within("program", &content, &run, 150);
    assert_eq!(run.strategy.as_deref(), Some("code"));
    let places = places("program", &content, &run);
    for unit in &blocks {
        let fits = tokens_of(&content[unit.start..unit.end]) <= 140;
        let whole = places.iter().filter(|place| place.start <= unit.start && unit.end <= place.end).count();
        assert_eq!(whole, usize::from(fits), "{} is in so many chunks", unit.name);
    }
    let small = run.chunks.iter().filter(|chunk| chunk.text.matches("/// About").count() > 1).count();
    assert!(small >= 2, "small units share chunks");
    let begun = |place: &usize| {
        blocks.iter().any(|unit| content[*place..unit.start.max(*place)].trim().is_empty() && unit.start >= *place)
    };
    let inside = |at: usize| blocks.iter().rfind(|unit| unit.start < at && at < unit.end);
    for (place, chunk) in places.iter().zip(&run.chunks) {
        let heading = chunk.heading.join(" > ");
        match inside(place.start + 4) {
            Some(unit) if unit.name == "fn f51" => {
                assert_eq!(heading, if place.end <= unit.end { "impl Big > fn f51" } else { "impl Big" });
            }
            _ => assert!(place.start == 0 || begun(&place.start), "chunk {} begins in the midst", chunk.ordinal),
        }
    }
    let long: Vec<_> = places.iter().zip(&run.chunks).filter(|(_, chunk)| chunk.heading.len() == 2).collect();
    assert!(long.len() >= 5);
    assert!(long.windows(2).any(|pair| pair[1].0.start < pair[0].0.end), "lines of a unit that is cut overlap");
    let apart = places.windows(2).filter(|pair| pair[1].start < pair[0].end);
    assert!(
        apart.clone().count() > 0
            && apart.clone().all(|pair| inside(pair[1].start).is_some_and(|unit| unit.name == "fn f51"))
    );
}

#[test]
fn a_minified_file_is_cut_between_units_and_else_as_prose() {
    let unit = |at: usize| format!("function f{at}(a,b){{return a+b*{at}+g(a,\"quorvex\")}}");
    let (mut content, mut blocks) = (String::new(), Vec::new());
    for at in 0..300 {
        let start = content.len();
        content += &unit(at);
        blocks.push(Block { start, end: content.len(), depth: 0, name: format!("function f{at}") });
    }
    content += &"x=y+1;".repeat(3000);
    let run = run(&build(json!({"tokens": 100, "overlap": 10})), "a.js", code(&content, blocks));
    assert_sound_within("minified", &content, &run, 100);
    let whole =
        run.chunks.iter().filter(|chunk| chunk.text.starts_with("function") && chunk.text.ends_with('}')).count();
    assert!(whole > 50, "{whole} chunks are units");
}

#[test]
fn code_without_units_is_cut_at_the_least_indented_lines() {
    let content: String = (0..100)
        .map(|at| format!("job_{at}:\n  runs:\n    - step: one\n    - step: two\n\n    - step: {at}\n"))
        .collect();
    let chunks = chunks_of(json!({"tokens": 80, "overlap": 0}), TextKind::Code("yaml".into()), &content);
    assert!(chunks.len() > 20);
    assert!(chunks.iter().all(|chunk| chunk.text.starts_with("job_")), "every chunk begins at the top level");
}

fn table(rows: usize) -> String {
    let row = |at: usize| format!("| {at} | quorvex {at} | a cell with a few words |\n");
    format!("| id | name | what |\n| --- | --- | --- |\n{}", (0..rows).map(row).collect::<String>())
}

#[test]
fn a_table_that_is_cut_has_its_header_in_every_piece() {
    let content = format!("# Sheet\n\n{}\n## Next\n\nSome words.\n", table(200));
    let stage = build(json!({"tokens": 100, "overlap": 20}));
    let run = run(&stage, "a.md", text(&content, TextKind::Markdown));
    assert_sound_within("table", &content, &run, 100);
    assert_eq!(run.strategy.as_deref(), Some("table"));
    let (last, pieces) = run.chunks.split_last().unwrap();
    assert!(last.text.starts_with("## Next"));
    assert!(pieces.len() > 20);
    assert!(pieces[0].text.starts_with("# Sheet\n\n| id | name | what |\n"), "what leads to a table goes with it");
    for (index, piece) in pieces.iter().enumerate() {
        assert!(piece.text.contains("| id | name | what |\n| --- | --- | --- |\n| "), "{:?}", piece.text);
        assert!(piece.text.ends_with('|'), "rows are whole: {:?}", piece.text);
        assert_eq!(&*piece.heading, ["Sheet"]);
        let first = piece.text.lines().find(|line| line.contains("quorvex")).unwrap();
        let number: u32 = first.split(' ').nth(1).unwrap().parse().unwrap();
        let line = piece.line_start.unwrap() + if index == 0 { 4 } else { 0 };
        assert_eq!(line, number + 5, "its lines are those of its rows");
    }
    let rows: usize = pieces.iter().map(|piece| piece.text.matches("quorvex").count()).sum();
    assert_eq!(rows, 200, "no row stands twice");
}

#[test]
fn a_row_that_is_too_long_is_cut_as_text_and_a_header_that_is_too_long_is_not_repeated() {
    let long = format!("| 7 | {} | x |\n", "many words of one cell ".repeat(60));
    let content = format!("{}{long}{}", table(30), &table(60)[table(30).len()..]);
    let run_with = |content: &str| {
        let run = run(&build(json!({"tokens": 100, "overlap": 0})), "a.md", text(content, TextKind::Markdown));
        assert_sound_within("rows", content, &run, 100);
        run.chunks
    };
    let chunks = run_with(&content);
    let headed = |text: &str| text.starts_with("| id |");
    let cut = chunks.iter().filter(|chunk| !headed(&chunk.text)).count();
    assert!((2..8).contains(&cut), "{cut} chunks are of the long row");
    assert!(headed(&chunks.last().unwrap().text), "and those behind it stand under the header again");
    let wide: Vec<String> = (0..30).map(|at| format!("column {at}")).collect();
    let content =
        format!("| {} |\n|{}\n{}", wide.join(" | "), "---|".repeat(30), format!("|{}\n", " 1 |".repeat(30)).repeat(2));
    let chunks = run_with(&content);
    assert_eq!(chunks.iter().filter(|chunk| chunk.text.contains("column 0 ")).count(), 1);
}

#[test]
fn tables_and_fences_in_prose_are_not_cut_where_they_fit() {
    let words = |at: usize| format!("Words of part {at} that say this and that. ").repeat(4 + at % 7);
    let fence = |at: usize| format!("```rust\nfn f{at}() {{\n\n    g({at});\n\n    h()\n}}\n```");
    let small = |at: usize| table(3).trim_end().replace("quorvex", &format!("q{at}"));
    let content: String =
        (0..60).map(|at| format!("{}\n\n{}\n\n{}\n\n{}\n\n", words(at), small(at), words(at + 3), fence(at))).collect();
    let run = run(&build(json!({"tokens": 160, "overlap": 40})), "a.md", text(&content, TextKind::Markdown));
    assert_sound_within("prose", &content, &run, 160);
    assert_eq!(run.strategy.as_deref(), Some("prose"));
    for at in 0..60 {
        for whole in [small(at), fence(at)] {
            assert!(run.chunks.iter().any(|chunk| chunk.text.contains(&whole)), "cut: {whole}");
        }
    }
    for chunk in &run.chunks {
        assert!(
            !chunk.text.starts_with("| ") || chunk.text.starts_with("| id"),
            "begins within a table: {:?}",
            chunk.text
        );
        assert_eq!(chunk.text.matches("```").count() % 2, 0, "a fence is cut: {:?}", chunk.text);
    }
}

#[test]
fn a_fence_that_is_cut_is_cut_at_lines() {
    let code: String = (0..200).map(|at| format!("    let zorblax_{at} = \"a. B. c\";\n")).collect();
    let content = format!("# Head\n\nSee this:\n\n```rust\n{code}```\n\nThe end of it.\n");
    let run = run(&build(json!({"tokens": 90, "overlap": 0})), "a.md", text(&content, TextKind::Markdown));
    assert_sound_within("fence", &content, &run, 90);
    assert!(run.chunks[0].text.starts_with("# Head\n\nSee this:\n\n```rust\n    let zorblax_0"));
    let inner = &run.chunks[1..run.chunks.len() - 2];
    assert!(
        inner.len() > 10 && inner.iter().all(|chunk| chunk.text.starts_with("    let") && chunk.text.ends_with(';'))
    );
    assert!(run.chunks.iter().all(|chunk| chunk.text.trim() != "```" && *chunk.heading == ["Head".to_owned()]));
}

#[test]
fn underlined_titles_are_headings() {
    let body = "Words about it here, a few. ".repeat(12);
    let content = format!("One\n===\n\n{body}\n\nInner\n-----\n\n{body}\n\nTwo\n===\n\n{body}\n");
    let chunks = chunks_of(json!({"tokens": 60, "overlap": 0}), TextKind::Markdown, &content);
    let under = |title: &str| chunks.iter().find(|chunk| chunk.text.starts_with(title)).unwrap().heading.join(" > ");
    assert_eq!((under("One"), under("Inner"), under("Two")), ("One".into(), "One > Inner".into(), "Two".into()));
}

#[test]
fn units_that_make_no_sense_do_no_harm() {
    let content = "é = 1\n".repeat(100);
    let odd = [(1, 5), (50, 20), (0, 9999), (8, 300), (200, 400), (3, 3)];
    let blocks = odd.map(|(start, end)| Block { start, end, depth: 7, name: "x".repeat(1000) });
    let run = run(&build(json!({"tokens": 20, "overlap": 4})), "a.py", code(&content, blocks.to_vec()));
    assert!(run.chunks.len() == 1 || !run.chunks.is_empty());
    let units = block("a b c", "b", "c", 0, "b");
    assert_eq!((units.start, units.end), (2, 5));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_units_are_kept_whole_where_they_fit(
        pieces in prop::collection::vec((0u8..4, 0usize..14, any::<bool>()), 1..40),
        tokens in 24usize..90,
        overlap in 0usize..12,
    ) {
        // Pieces open a unit, close one, or are lines; now and then without a line end between them.
        let (mut content, mut blocks, mut open): (String, Vec<Block>, Vec<usize>) = Default::default();
        for (index, (what, lines, same_line)) in pieces.iter().enumerate() {
            let indent = "  ".repeat(open.len());
            match what {
                0 if open.len() < 4 => {
                    open.push(blocks.len());
                    let start = content.len() + indent.len();
                    content += &format!("{indent}fn f{index}() {{");
                    blocks.push(Block { start, end: 0, depth: open.len() as u8 - 1, name: format!("fn f{index}") });
                }
                1 if !open.is_empty() => {
                    content += "}";
                    blocks[open.pop().unwrap()].end = content.len();
                }
                _ => (0..*lines).for_each(|line| content += &format!("{indent}call_{index}({line}, \"日本\");\n")),
            }
            content += if *same_line { " " } else { "\n" };
        }
        while let Some(unit) = open.pop() {
            content += "}\n";
            blocks[unit].end = content.trim_end().len();
        }
        let stage = build(json!({"tokens": tokens, "overlap": overlap.min(tokens / 3)}));
        let run = run(&stage, "a.rs", code(&content, blocks.clone()));
        assert_sound_within("any units", &content, &run, tokens);
        let places = places("any units", &content, &run);
        let said: Vec<&str> = run.chunks.iter().map(|chunk| &*chunk.text).collect();
        for unit in &blocks {
            // With its indentation and what else stands on its lines it may be a little longer.
            let line = content[..unit.start].rfind('\n').map_or(0, |at| at + 1);
            let rest = content[unit.end..].find('\n').map_or(content.len(), |at| unit.end + at);
            let outer = blocks.iter().filter(|outer| outer.start < unit.start && unit.end <= outer.end).count();
            if tokens_of(&content[line..rest]) + 4 <= tokens && outer == 0 {
                let whole = |place: &std::ops::Range<usize>| place.start <= unit.start && unit.end <= place.end;
                let again = said.iter().any(|said| said.contains(&content[unit.start..unit.end]));
                prop_assert!(places.iter().any(whole) || again, "{} is cut in {:?}", unit.name, said);
            }
        }
    }

    #[test]
    fn any_tables_are_cut_soundly(
        before in "(word |\n|\n\n|# Head\n){0,20}",
        header in "\\| [a-z]{1,6} \\| [a-z ]{0,20} \\|",
        rows in prop::collection::vec("( ?\\| [a-z0-9]{1,6} \\| ([a-z]{1,8} |日本語|, ){0,12}\\||[a-z] \\| [/a-z]{0,9})", 0..50),
        after in "(\n|```\n|word |\\| x \\|\n\\|-\\|\n){0,12}",
        tokens in 16usize..80,
        characters in any::<bool>(),
    ) {
        let content = format!("{before}\n{header}\n|---|:-:|\n{}\n{after}", rows.join("\n"));
        let limit = if characters {
            json!({"characters": tokens * 3, "overlap": tokens / 4})
        } else {
            json!({"tokens": tokens, "overlap": tokens / 4})
        };
        let run = run(&build(limit), "a.md", text(&content, TextKind::Markdown));
        let fits = |said: &str| if characters { said.chars().count() <= tokens * 3 } else { tokens_of(said) <= tokens };
        assert_sound("any table", &content, &run, Encoding::Cl100kBase, fits);
    }
}

#[test]
fn the_limit_comes_before_a_whole_that_an_overlap_begins_with() {
    // Found by the property test: the second chunk had 52 tokens.
    let content = "```\n```\n```\n- \n```\n日本語。\n\n~~~\n0000~~~\n~~~\n\r\na | b\n|-|-|\n- ~~~\n日本語。日本語。word Title\n==\n\
                   word ~~~\nword 👩\u{200d}👧word | a | b |\n\n\r\na | b\n0word word word         word     word Title\n==\n\
                   word word ";
    for chunk in chunks_of(json!({"tokens": 43, "overlap": 10}), TextKind::Markdown, content) {
        assert!(chunk.tokens <= 43, "{} tokens: {:?}", chunk.tokens, &*chunk.text);
    }
}
