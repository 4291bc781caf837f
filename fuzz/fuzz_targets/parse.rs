//! Any bytes as a document that is read in the engine's own process: no reader panics (a panic of a library that the
//! stage would contain ends the target too), and what comes out is a text whose parts lie within it.
//!
//! Formats that are read in a child process are passed over: whatever kills a child costs one document.
//!
//! The first byte is the name that the document has, the second its media type.

#![no_main]

use std::sync::{Arc, LazyLock};

use docmill_api::{CpuStage, ErrorClass, Outputs, Payload, Step, StepContext, Text};
use docmill_fuzz::{cpu, settings};
use docmill_testkit::records;
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::json;

const NAMES: [&str; 16] = [
    "a", "a.txt", "a.md", "a.json", "a.jsonl", "a.csv", "a.tsv", "a.ipynb", "a.xml", "a.rss", "a.yaml", "a.sql",
    "a.tex", "a.css", "a.png", "a.mobi",
];

const MEDIA_TYPES: [Option<&str>; 10] = [
    None,
    Some("text/plain; charset=koi8-r"),
    Some("text/plain; charset=shift_jis"),
    Some("text/plain;charset=\"utf-16\""),
    Some("text/markdown; charset=windows-1252"),
    Some("application/json"),
    Some("application/x-ndjson"),
    Some("text/csv"),
    Some("application/xml"),
    Some("application/octet-stream"),
];

/// How much larger than a document its text may be: a table of single letters under long headers grows fourfold, as does
/// what was in an encoding of one byte a letter.
const GROWTH: usize = 16;

static PARSE: LazyLock<Arc<dyn CpuStage>> = LazyLock::new(|| cpu("parse", &json!({ "pdf": "pdfni" })));

fuzz_target!(|data: &[u8]| -> Corpus {
    let ([name, media_type], content) = settings::<2>(data);
    let name = NAMES[usize::from(name) % NAMES.len()];
    let media_type = MEDIA_TYPES[usize::from(media_type) % MEDIA_TYPES.len()];
    let record = records::blob(&format!("file:///{name}"), media_type, content);
    if !PARSE.trusts(&record) {
        return Corpus::Reject;
    }
    let cx = StepContext::detached();
    let mut work = PARSE.open(&cx, record).expect("a blob is taken");
    let mut out = Outputs::new();
    match work.step(&cx, &mut out) {
        Ok(step) => assert_eq!(step, Step::Done),
        Err(error) => {
            assert_eq!(error.class, ErrorClass::Rejected, "{error}");
            return Corpus::Keep;
        }
    }
    let (records, skip) = out.into_parts();
    assert_eq!(records.is_empty(), skip.is_some(), "a text, or a reason why there is none");
    for record in records {
        let Payload::Text(text) = &record.payload else { panic!("a text comes out") };
        check(text, content);
    }
    Corpus::Keep
});

fn check(text: &Text, source: &[u8]) {
    let content = &text.content;
    assert!(content.len() <= source.len() * GROWTH + (64 << 10), "{} bytes of {}", content.len(), source.len());
    assert!(!content.contains(['\r', '\0']), "lines end with `\\n`, and nothing is NUL");
    assert!(!content.trim().is_empty(), "an empty text is a skip");
    assert!(text.title.as_ref().is_none_or(|title| title.chars().count() <= 301 && !title.contains('\n')));
    assert!(text.pages.is_empty() && text.blocks.is_empty(), "none of these formats has any");
}
