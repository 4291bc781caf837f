//! Any bytes as an archive or a message, opened as far as the stage goes: nobody panics, and no more comes out than the
//! stage's table lets.
//!
//! The first byte is the name that the document has, the second what its content is put into before it is read: behind a
//! checksum or a compression, random changes would hardly ever reach what is within.

#![no_main]

use std::io::{Cursor, Write};
use std::sync::{LazyLock, Mutex, PoisonError};

use docmill_api::{ErrorClass, Payload, SourceItem};
use docmill_fuzz::{Download, settings};
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const MAX_BYTES: u64 = 64 << 10;
const ARCHIVE_BYTES: u64 = 256 << 10;
const MAX_MEMBERS: usize = 24;

/// How many documents are looked at for one input: what is bounded by the stage is the members of each.
const LOOKED_AT: usize = 64;

const NAMES: [&str; 6] = ["a.zip", "a.tar.gz", "a.gz", "a.zst", "a.eml", "a"];

static DOWNLOAD: LazyLock<Mutex<Download>> = LazyLock::new(|| {
    let set = json!({ "max_bytes": MAX_BYTES, "archive_bytes": ARCHIVE_BYTES, "max_members": MAX_MEMBERS });
    Mutex::new(Download::new(&set))
});

fuzz_target!(|data: &[u8]| {
    let ([name, around], content) = settings::<2>(data);
    let mut download = DOWNLOAD.lock().unwrap_or_else(PoisonError::into_inner);
    let path = download.put(&wrapped(around, content));
    let uri = url::Url::from_file_path(&path).expect("an absolute path").to_string();
    let filename = NAMES[usize::from(name) % NAMES.len()].to_owned();
    let mut waiting = vec![SourceItem { uri, filename, ..SourceItem::default() }];
    let mut count = 0;
    while let Some(item) = waiting.pop() {
        count += 1;
        if count <= LOOKED_AT {
            waiting.extend(members(&download, item));
        }
    }
    std::fs::remove_file(path).expect("it was put there");
});

fn wrapped(around: u8, content: &[u8]) -> Vec<u8> {
    match around % 5 {
        1 => {
            let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(content).expect("written to memory");
            gzip.finish().expect("written to memory")
        }
        2 => zstd::encode_all(content, 1).expect("written to memory"),
        method @ (3 | 4) => {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            let method = if method == 3 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file("inner/a", options).expect("written to memory");
            zip.write_all(content).expect("written to memory");
            zip.finish().expect("written to memory").into_inner()
        }
        _ => content.to_vec(),
    }
}

/// What is found in a document, after a look at whether it may be.
fn members(download: &Download, item: SourceItem) -> Vec<SourceItem> {
    let uri = item.uri.clone();
    let mut outputs = match download.take(item) {
        Ok(outputs) => outputs,
        Err(error) => {
            assert_eq!(error.class, ErrorClass::Rejected, "bad bytes cost their document: {error}");
            return Vec::new();
        }
    };
    let found = outputs.take_found();
    assert!(found.len() <= MAX_MEMBERS, "{} members", found.len());
    let total: u64 = found.iter().filter_map(|item| item.size).sum();
    assert!(total <= ARCHIVE_BYTES, "{total} bytes in {} members", found.len());
    let below = if uri.contains("#member=") { format!("{uri}!/") } else { format!("{uri}#member=") };
    assert!(found.iter().all(|item| item.uri.starts_with(&below)), "a member is below its archive");
    let mut names: Vec<&str> = found.iter().map(|item| item.uri.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two members of one name");
    for record in outputs.records() {
        let Payload::Blob(blob) = &record.payload else { panic!("a blob comes out") };
        assert!(blob.bytes.len() as u64 <= MAX_BYTES, "{} bytes", blob.bytes.len());
        assert!(record.document.content.is_some() && record.document.media_type.is_some());
    }
    found
}
