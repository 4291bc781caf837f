//! The default pipeline over a real store: what is in a document is found, is there once, and is there in its newest
//! version only.

mod ask;
pub(crate) mod documents;
pub(crate) mod mill;
mod places;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};

use docmill::query::Mode;
use docmill_api::{Filter, Hit};

use documents::of_each_format;
use mill::{Mill, block_on, by_document, registry};

const MODES: [Mode; 3] = [Mode::Hybrid, Mode::Vector, Mode::Text];

/// Paragraphs that end in a word of the document's own: some forty tokens each, so that thirteen fill a chunk.
fn long(word: &str, paragraphs: usize) -> String {
    let paragraph = |number: usize| {
        format!(
            "Paragraph {number} tells of grain that was carried to the mill on a cart, of the water that turned the \
             wheel all night, and of flour that went back to the village in the morning with the {word}.\n\n"
        )
    };
    (0..paragraphs).map(paragraph).collect()
}

#[test]
fn the_default_pipeline_is_a_plan_of_built_in_stages() {
    let plan = Mill::new().plan();
    let kinds: Vec<&str> = plan.stages.iter().map(|stage| stage.kind.as_str()).collect();
    for kind in &kinds {
        assert!(registry().get(kind).is_some(), "`{kind}` is not built in");
    }
    let kinds: BTreeSet<&str> = kinds.into_iter().collect();
    assert_eq!(kinds, BTreeSet::from(["files", "download", "parse", "chunk", "summarize", "embed", "lancedb"]));
    let store = plan.stage("store").expect("it stores");
    assert_eq!(store.embedding, plan.stage("embed").expect("it embeds").embedding);
    assert!(store.embedding.is_some(), "no vectors reach the store");
}

#[test]
fn every_format_is_stored_and_found() {
    block_on(async || {
        let (mill, samples) = (Mill::new(), of_each_format());
        for sample in &samples {
            mill.write(sample.name, &sample.bytes);
        }
        let ran = mill.run_well().await;
        assert_eq!(ran.snapshot.documents.done, samples.len() as u64);
        let store = mill.store().await;
        let rows = store.rows().await;
        assert_eq!(ran.snapshot.rows, rows.len() as u64);
        let mut missed = Vec::new();
        for sample in &samples {
            let (name, word) = (sample.name, sample.word);
            let holding: BTreeSet<&str> =
                rows.values().filter(|row| row.text.contains(word)).map(|row| row.filename.as_str()).collect();
            assert_eq!(holding, BTreeSet::from([name]), "rows with `{word}`");
            for (mode, question) in [(Mode::Text, word), (Mode::Hybrid, word), (Mode::Vector, sample.sentence)] {
                let files = store.files(mode, question).await;
                if files.first().map(String::as_str) != Some(name) {
                    missed.push(format!("{mode:?} `{question}` wants {name}, finds {files:?}"));
                }
            }
        }
        assert!(missed.is_empty(), "{missed:#?}");
        let page = rows.values().find(|row| row.filename == "page.html").expect("it is stored");
        assert!(!page.text.contains("Fares") && !page.text.contains("railway"), "{}", page.text);
    });
}

#[test]
fn the_examples_answer_questions() {
    block_on(async || {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/documents");
        let mill = Mill::new().set(&format!("stages.source.include=[{examples:?}]"));
        let ran = mill.run_well().await;
        let files = std::fs::read_dir(examples).expect("there are examples").count();
        assert_eq!(usize::try_from(ran.snapshot.documents.done).expect("few"), files);
        let store = mill.store().await;
        let cases = [
            ("how often is the sluice greased", "sluice.md"),
            ("opening times for visitors", "visit.html"),
            ("who may become a member", "members-handbook.docx"),
            ("axle bearing of lignum vitae", "annual-report.pdf"),
            ("may I use a flame during the night watch", "night-watch.txt"),
            ("when are the stones dressed", "stone_dressing.py"),
            ("spare parts of the sack hoist", "machines.json"),
        ];
        for (question, file) in cases {
            let files = store.files(Mode::Hybrid, question).await;
            assert_eq!(files.first().map(String::as_str), Some(file), "{question}: {files:?}");
        }
    });
}

#[test]
fn a_second_run_writes_no_row_twice() {
    block_on(async || {
        let mill = Mill::new();
        mill.write("short.md", "# Short\n\nA single paragraph about geese.");
        mill.write("long.txt", long("gorvent", 60));
        mill.run_well().await;
        let first = mill.store().await.rows().await;
        let parts: BTreeSet<&str> = first.values().map(|row| row.part.as_str()).collect();
        assert!(first.len() > 4 && parts.len() == 2, "too little to write twice: {} rows, {parts:?}", first.len());
        mill.run_well().await;
        assert_eq!(mill.store().await.rows().await, first, "rows and the moments at which they were stored");
    });
}

#[test]
fn a_changed_document_is_replaced_and_no_other_row_is_touched() {
    block_on(async || {
        let mill = Mill::new();
        mill.write("changing.txt", long("gorvent", 30));
        mill.write("staying.txt", long("pilvador", 30));
        mill.run_well().await;
        let before = mill.store().await.rows().await;
        mill.write("changing.txt", long("melquist", 30));
        mill.run_well().await;

        let store = mill.store().await;
        let after = store.rows().await;
        assert_eq!(store.files(Mode::Text, "gorvent").await, Vec::<String>::new(), "the old word is found");
        assert!(!after.values().any(|row| row.text.contains("gorvent")), "the old word is stored");
        assert!(store.files(Mode::Text, "melquist").await.iter().all(|file| file == "changing.txt"));
        assert_eq!(store.files(Mode::Hybrid, "melquist").await.first().map(String::as_str), Some("changing.txt"));
        let of = |rows: &BTreeMap<String, Hit>, name: &str| -> Vec<Hit> {
            rows.values().filter(|row| row.filename == name).cloned().collect()
        };
        assert!(!of(&before, "staying.txt").is_empty());
        assert_eq!(of(&before, "staying.txt"), of(&after, "staying.txt"));
        assert_eq!(of(&before, "changing.txt").len(), of(&after, "changing.txt").len());
        assert_eq!(by_document(&before).keys().collect::<Vec<_>>(), by_document(&after).keys().collect::<Vec<_>>());
    });
}

#[test]
fn a_document_that_shrinks_leaves_no_tail() {
    block_on(async || {
        let mill = Mill::new();
        mill.write("shrinking.txt", long("gorvent", 80));
        mill.run_well().await;
        let long_rows = mill.store().await.rows().await.len();
        mill.write("shrinking.txt", "One line about a gorvent.");
        mill.run_well().await;
        let rows = mill.store().await.rows().await;
        assert!(long_rows > 4 && rows.len() == 1, "{long_rows} rows, then {}", rows.len());
        assert_eq!(rows.values().next().map(|row| row.text.as_str()), Some("One line about a gorvent."));
    });
}

#[test]
fn a_document_that_breaks_keeps_its_last_good_rows() {
    block_on(async || {
        let mill = Mill::new();
        let good = of_each_format().remove(0);
        mill.write(good.name, &good.bytes);
        mill.run_well().await;
        let before = mill.store().await.rows().await;
        mill.write(good.name, b"%PDF-1.4\nand nothing that a reader could use");
        let ran = mill.run().await;
        assert_eq!(ran.snapshot.documents.failed, 1);
        assert!(ran.tally.failures[0].reason.starts_with("broken"), "{}", ran.tally.failures[0].reason);
        assert_eq!(mill.store().await.rows().await, before);
    });
}

#[test]
fn a_filter_shows_rows_of_its_own_only() {
    block_on(async || {
        let mut mill = Mill::new()
            .set("stages.source.kind=sessions")
            .set("stages.source.include=[\"anna/spring:a.txt\",\"anna/autumn:a.txt\",\"ben/spring:b.txt\"]");
        sessions::register(&mut mill.registry);
        mill.write("a.txt", "The gorvent is fed with oats.");
        mill.write("b.txt", "The gorvent is fed with barley.");
        mill.run_well().await;
        let store = mill.store().await;
        assert_eq!(store.rows().await.len(), 3, "one file in two sessions is two documents");
        let filter = |user: &str, session: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Filter { user_id: some(user), session_id: some(session), ..Filter::default() }
        };
        let cases = [
            (filter("", ""), 3),
            (filter("", "spring"), 2),
            (filter("", "autumn"), 1),
            (filter("anna", ""), 2),
            (filter("anna", "spring"), 1),
            (filter("ben", "autumn"), 0),
            (filter("", "winter"), 0),
            (filter("", "spring' OR 'a' = 'a"), 0),
        ];
        for mode in MODES {
            let one = store.ask(mode, "gorvent", &filter("ben", "spring")).await;
            assert_eq!(one.iter().map(|hit| hit.filename.as_str()).collect::<Vec<_>>(), ["b.txt"], "{mode:?}");
            for (filter, count) in &cases {
                assert_eq!(store.ask(mode, "gorvent", filter).await.len(), *count, "{mode:?} {filter:?}");
            }
        }
    });
}
