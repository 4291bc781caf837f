//! Whatever place of whatever format a word stands in, it is stored, and found under its document: the documents of
//! `tests/documents`, made by the usual programs' libraries, with `words.json` that says which word is where.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use docmill::query::Mode;
use docmill_api::Filter;

use super::mill::{Mill, block_on};

#[test]
fn a_word_in_any_place_of_any_format_is_found_under_its_document() {
    block_on(async || {
        let (mill, documents) = (Mill::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents"));
        let words = fs::read_to_string(documents.join("words.json")).expect("the list of words");
        let words: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&words).expect("JSON");
        for entry in fs::read_dir(&documents).expect("listed").map(|entry| entry.expect("an entry").path()) {
            let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
            if !["README.md", "make.py", "words.json"].contains(&name.as_str()) {
                mill.write(&name, fs::read(&entry).expect("read"));
            }
        }
        let ran = mill.run().await;
        assert_eq!(ran.snapshot.documents.failed, 0, "{:?}", ran.tally.failures);
        let skipped: Vec<&str> = ran.tally.skips.iter().map(|skip| skip.reason.as_str()).collect();
        assert_eq!(skipped.len(), 2, "the two archives, whose members are documents: {skipped:?}");
        let store = mill.store().await;
        let rows = store.rows().await;
        let mut missed = Vec::new();
        for (file, places) in &words {
            for (place, word) in places {
                let hits = if place == "title" {
                    rows.values()
                        .filter(|row| row.title.as_deref().is_some_and(|t| t.contains(word)))
                        .cloned()
                        .collect()
                } else {
                    store.ask(Mode::Text, word, &Filter::default()).await
                };
                if !hits.iter().any(|hit| hit.uri.ends_with(&format!("/{file}"))) {
                    missed.push(format!("{file}: {place} ({word})"));
                }
            }
        }
        assert!(missed.is_empty(), "{missed:#?}");
        assert!(words.values().map(BTreeMap::len).sum::<usize>() > 60, "the list is whole");
    });
}

#[test]
fn pages_sheets_slides_and_lines_are_where_the_word_stands() {
    block_on(async || {
        let (mill, documents) = (Mill::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents"));
        let words = fs::read_to_string(documents.join("words.json")).expect("the list of words");
        let words: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&words).expect("JSON");
        let paged = [
            ("talk.pptx", "notes of slide 2", Some(2), None),
            ("stock.xlsx", "cell of the second sheet", Some(2), None),
            ("open.ods", "cell of sheet 2", Some(2), None),
            ("book.epub", "chapter 2", Some(2), None),
            ("form.pdf", "second page", Some(2), None),
            ("tool.rs", "function", None, Some(3)),
            ("plain.txt", "last line", None, Some(3)),
        ];
        for (file, ..) in &paged {
            mill.write(file, fs::read(documents.join(file)).expect("read"));
        }
        // Small chunks, so that a chunk is of one page.
        let mill = mill.set("stages.chunk.tokens=16").set("stages.chunk.overlap=0");
        mill.run_well().await;
        let store = mill.store().await;
        for (file, place, page, line) in paged {
            let word = &words[file][place];
            let hits = store.ask(Mode::Text, word, &Filter::default()).await;
            let hit = hits.iter().find(|hit| hit.filename == file && hit.part == "chunk").expect("found");
            assert_eq!(hit.page, page, "{file}: {place}");
            if let (Some(line), Some(start), Some(end)) = (line, hit.line_start, hit.line_end) {
                assert!((start..=end).contains(&line), "{file}: {place} in {start}-{end}");
            }
            assert_eq!(hit.line_start.is_some(), line.is_some(), "{file}");
        }
    });
}
