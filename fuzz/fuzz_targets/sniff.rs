//! Any bytes under any name: they have a media type, the same one each time, and a text has not that of unknown bytes.
//!
//! The first byte is the name that the document has, the second what a server said of it.

#![no_main]

use std::sync::{LazyLock, Mutex, PoisonError};

use docmill_api::{ErrorClass, SourceItem};
use docmill_fuzz::{Download, settings};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const NAMES: [&str; 20] = [
    "a",
    "a.txt",
    "a.md",
    "a.html",
    "a.xml",
    "a.json",
    "a.csv",
    "a.rs",
    "a.svg",
    "a.eml",
    "a.pdf",
    "a.docx",
    "a.xlsm",
    "a.odt",
    "a.epub",
    "a.doc",
    "a.msg",
    "a.zip",
    "Dockerfile.x",
    ".profile",
];

const DECLARED: [Option<&str>; 8] = [
    None,
    Some("text/html"),
    Some("text/plain"),
    Some("application/json"),
    Some("message/rfc822"),
    Some("application/octet-stream"),
    Some("application/pdf"),
    Some(";"),
];

static DOWNLOAD: LazyLock<Mutex<Download>> =
    LazyLock::new(|| Mutex::new(Download::new(&json!({ "archive_bytes": 1 << 20, "max_members": 8 }))));

fuzz_target!(|data: &[u8]| {
    let ([name, declared], content) = settings::<2>(data);
    let name = NAMES[usize::from(name) % NAMES.len()];
    let declared = DECLARED[usize::from(declared) % DECLARED.len()];
    let mut download = DOWNLOAD.lock().unwrap_or_else(PoisonError::into_inner);
    let path = download.put(content);
    let uri = url::Url::from_file_path(&path).expect("an absolute path").to_string();
    let item =
        SourceItem { uri, filename: name.to_owned(), media_type: declared.map(str::to_owned), ..SourceItem::default() };
    let told = media_type(&download, item.clone());
    assert_eq!(told, media_type(&download, item), "told twice");
    std::fs::remove_file(path).expect("it was put there");
    if let Some(told) = told {
        let (kind, subtype) = told.split_once('/').expect("a type and a subtype");
        let usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-._".contains(c);
        assert!(!kind.is_empty() && !subtype.is_empty() && kind.chars().chain(subtype.chars()).all(usual), "{told}");
        let is_text = std::str::from_utf8(content).is_ok_and(|text| !text.chars().any(|c| c.is_control() && c != '\n'));
        assert!(!(is_text && told == "application/octet-stream"), "a text is called unknown");
    }
});

/// The type that a document's record has; `None` where it is an archive, or a broken one.
fn media_type(download: &Download, item: SourceItem) -> Option<String> {
    match download.take(item) {
        Ok(outputs) => outputs.records().first().and_then(|record| record.document.media_type.clone()),
        Err(error) => {
            assert_eq!(error.class, ErrorClass::Rejected, "bad bytes cost their document: {error}");
            None
        }
    }
}
