//! Containers on disk and on the web: what is named, what each member gives, and what the hostile ones cost.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use docmill_api::{Context, ErrorClass, Outputs, StageError};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{EntryType, Header};
use url::Url;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::server::{Server, answer};
use super::{error, fetch, found, process, reference, stage};

pub(super) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        match name.strip_suffix('/') {
            Some(folder) => writer.add_directory(folder, options).unwrap(),
            None => {
                writer.start_file(*name, options).unwrap();
                writer.write_all(content).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}

fn tar(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        // Set by hand, for the builder refuses names that lead out.
        let bytes = name.as_bytes();
        header.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that no method packs.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn put(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    fs::write(&path, bytes).unwrap();
    Url::from_file_path(path).unwrap().into()
}

/// The members' names, of an archive that gives nothing of its own.
fn names(outputs: &mut Outputs) -> Vec<String> {
    assert_eq!(outputs.records().len(), 0);
    outputs.take_found().iter().map(|item| item.uri.split_once("#member=").unwrap().1.to_owned()).collect()
}

fn small() -> Value {
    json!({ "max_bytes": "100KiB", "archive_bytes": "1MiB", "max_members": 50 })
}

const REGULAR: EntryType = EntryType::Regular;

#[tokio::test]
async fn the_members_of_every_kind_of_archive_are_documents_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let plain = tar(&[
        ("./docs/My Report.md", REGULAR, b"# zorblax"),
        ("docs/", EntryType::Directory, b""),
        ("link.txt", EntryType::Symlink, b""),
        ("device", EntryType::Char, b""),
        ("../../etc/passwd", REGULAR, b"quibble"),
        (".hidden", REGULAR, b"x"),
        ("__MACOSX/._a.md", REGULAR, b"x"),
        ("empty.txt", REGULAR, b""),
    ]);
    let entries: [(&str, &[u8]); 7] = [
        ("docs/", b""),
        ("docs/My Report.md", b"# zorblax"),
        ("../../etc/passwd", b"quibble"),
        (".git/config", b"x"),
        ("__MACOSX/docs/._a", b"x"),
        (".DS_Store", b"x"),
        ("empty.txt", b""),
    ];
    let stage = stage(json!({})).await;
    for (name, bytes) in [
        ("a.zip", zip(&entries)),
        ("a.tar", plain.clone()),
        ("a.tgz", gzip(&plain)),
        ("a.tar.zst", zstd::encode_all(plain.as_slice(), 3).unwrap()),
        ("told by its content.bin", zip(&entries)),
    ] {
        let location = put(dir.path(), name, &bytes);
        let mut outputs = process(&stage, &location).await.unwrap();
        let items = outputs.take_found();
        let uris: Vec<&str> = items.iter().map(|item| item.uri.as_str()).collect();
        let expected =
            [format!("{location}#member=docs/My%20Report.md"), format!("{location}#member=../../etc/passwd")];
        assert_eq!(uris, expected, "{name}");
        assert_eq!((items[0].filename.as_str(), items[0].size), ("My Report.md", Some(9)));
        assert_eq!(items[0].metadata, *json!({ "container": location }).as_object().unwrap());
        let skip = outputs.into_parts().1;
        assert_eq!(skip.as_deref(), Some("an archive: its 2 documents are taken by themselves"));
        let (document, bytes) = fetch(&stage, &items[0].uri).await;
        assert_eq!(
            (bytes.as_slice(), document.media_type.as_deref()),
            (b"# zorblax".as_slice(), Some("text/markdown"))
        );
        assert_eq!(document.filename, "My Report.md");
        assert_eq!(fetch(&stage, &items[1].uri).await.1, b"quibble", "only a name");
    }
}

#[tokio::test]
async fn a_packed_file_is_a_container_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(json!({})).await;
    for (name, bytes, member) in [
        ("notes.txt.gz", gzip(b"zorblax"), "notes.txt"),
        ("notes.md.zst", zstd::encode_all(b"zorblax".as_slice(), 3).unwrap(), "notes.md"),
        ("notes", gzip(b"zorblax"), "notes"),
    ] {
        let location = put(dir.path(), name, &bytes);
        assert_eq!(found(&stage, &location).await, [format!("{location}#member={member}")]);
        assert_eq!(fetch(&stage, &format!("{location}#member={member}")).await.1, b"zorblax");
    }
}

#[tokio::test]
async fn archives_within_archives_are_opened_three_deep() {
    let dir = tempfile::tempdir().unwrap();
    let deepest = zip(&[("d.txt", b"too deep")]);
    let third = gzip(&tar(&[("c.txt", REGULAR, b"zorblax"), ("deepest.zip", REGULAR, &deepest)]));
    let second = zip(&[("x y/third.tgz", &third)]);
    let first = put(dir.path(), "first.zip", &zip(&[("second.zip", &second)]));
    let stage = stage(json!({})).await;
    let one = found(&stage, &first).await;
    assert_eq!(one, [format!("{first}#member=second.zip")]);
    let two = found(&stage, &one[0]).await;
    assert_eq!(two, [format!("{first}#member=second.zip!/x%20y/third.tgz")]);
    let three = found(&stage, &two[0]).await;
    assert_eq!(three[0], format!("{first}#member=second.zip!/x%20y/third.tgz!/c.txt"));
    assert_eq!(fetch(&stage, &three[0]).await.1, b"zorblax");
    assert_eq!(error(&stage, &three[1]).await.message, "an archive within 3 others, which is not opened");
    // From nothing: each container on the way is opened for it.
    assert_eq!(fetch(&super::stage(json!({})).await, &three[0]).await.1, b"zorblax");
    let past = error(&stage, &format!("{first}#member=1!/2!/3!/4")).await;
    assert!(past.message.contains("deeper"), "{past}");
}

#[tokio::test]
async fn a_message_gives_itself_and_its_attachments() {
    let dir = tempfile::tempdir().unwrap();
    let part = |head: &str, body: &str| format!("--b\r\n{head}\r\n\r\n{body}\r\n");
    let report = "Content-Type: text/csv; name=x\r\nContent-Disposition: attachment; filename=\"report.csv\"";
    let message = [
        "From: a@b.example\r\nTo: c@d.example\r\nSubject: s\r\nMIME-Version: 1.0\r\nDate: Sun, 1 Mar 2026 12:00:00 +0000\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            .to_owned(),
        part("Content-Type: text/plain", "the letter"),
        part(report, "zorblax,1"),
        part(report, "quibble,2"),
        part(
            "Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"../in.zip\"",
            &base64(&zip(&[("deep.txt", b"frobnicate")])),
        ),
        part("Content-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: inline", "logo"),
        part("Content-Type: message/rfc822", "From: e@f.example\r\nSubject: inner\r\n\r\nwithin"),
        "--b--\r\n".to_owned(),
    ]
    .concat();
    let location = put(dir.path(), "m.eml", message.as_bytes());
    let stage = stage(json!({})).await;
    let mut outputs = process(&stage, &location).await.unwrap();
    let items = outputs.take_found();
    let uris: Vec<&str> = items.iter().map(|item| item.uri.as_str()).collect();
    let expected = ["report.csv", "report%20%282%29.csv", "in.zip", "attachment%204.eml"];
    assert_eq!(uris, expected.map(|name| format!("{location}#member={name}")));
    assert_eq!(items[0].media_type.as_deref(), Some("text/csv"));
    let (records, skip) = outputs.into_parts();
    assert_eq!((records.len(), skip), (1, None), "the message is a document as well");
    assert_eq!(records[0].document.media_type.as_deref(), Some("message/rfc822"));
    assert_eq!(fetch(&stage, &items[0].uri).await.1, b"zorblax,1");
    assert_eq!(fetch(&stage, &items[1].uri).await.1, b"quibble,2");
    let inner = found(&stage, &items[2].uri).await;
    assert_eq!(fetch(&stage, &inner[0]).await.1, b"frobnicate");
    assert!(fetch(&stage, &items[3].uri).await.1.ends_with(b"within"));
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |group: u32, place: u32| char::from(DIGITS[(group >> (6 * place)) as usize & 63]);
    bytes
        .chunks(3)
        .map(|three| {
            let group = three.iter().chain([0, 0].iter()).take(3).fold(0, |group, byte| group << 8 | u32::from(*byte));
            (0..4u32).map(|at| if at as usize > three.len() { '=' } else { digit(group, 3 - at) }).collect::<String>()
        })
        .collect()
}

#[tokio::test]
async fn documents_that_are_zip_files_inside_are_documents() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(small()).await;
    let word: [(&str, &[u8]); 2] = [("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w/>")];
    for (name, entries) in [("a.docx", word.as_slice()), ("a.zip", &word), ("a.jar", &[("META-INF/MANIFEST.MF", b"x")])]
    {
        let outputs = process(&stage, &put(dir.path(), name, &zip(entries))).await.unwrap();
        assert_eq!(outputs.records().len(), 1, "{name}");
    }
    // Larger than a document may be: an archive is only opened, a document is refused, whatever it is called.
    let noise = noise(300_000);
    let large: Vec<(&str, &[u8])> = word.iter().copied().chain([("word/media/noise", noise.as_slice())]).collect();
    for name in ["large.docx", "large.zip"] {
        let refused = error(&stage, &put(dir.path(), name, &zip(&large))).await;
        assert!(refused.message.starts_with("too large: 29"), "{name}: {refused}");
    }
    let archive = put(dir.path(), "archive.zip", &zip(&[("a.txt", b"zorblax"), ("noise.bin", &noise)]));
    let members = found(&stage, &archive).await;
    assert_eq!(fetch(&stage, &members[0]).await.1, b"zorblax");
    let refused = error(&stage, &members[1]).await;
    assert_eq!(refused.message, "too large: 293.0KiB, more than `max_bytes` (100KiB)");
}

#[tokio::test]
async fn one_bad_member_costs_one_member() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes =
        zip(&[("good.txt", b"zorblax"), ("locked.txt", b"secret"), ("lying.txt", b"four"), ("torn.txt", b"t")]);
    for at in headers(&bytes, b"PK\x01\x02", "locked.txt") {
        bytes[at + 8] |= 1;
    }
    for at in headers(&bytes, b"PK\x01\x02", "lying.txt") {
        bytes[at + 24] = 2;
    }
    for at in headers(&bytes, b"PK\x01\x02", "torn.txt") {
        bytes[at + 42..at + 46].copy_from_slice(&0x00ff_ffff_u32.to_le_bytes());
    }
    let location = put(dir.path(), "a.zip", &bytes);
    let stage = stage(json!({})).await;
    assert_eq!(names(&mut process(&stage, &location).await.unwrap()).len(), 4);
    assert_eq!(fetch(&stage, &format!("{location}#member=good.txt")).await.1, b"zorblax");
    for (member, message) in [("locked.txt", "encrypted"), ("lying.txt", "broken: "), ("torn.txt", "broken: ")] {
        let failed = error(&stage, &format!("{location}#member={member}")).await;
        assert_eq!(failed.class, ErrorClass::Rejected);
        assert!(failed.message.contains(message), "{member}: {failed}");
    }
}

/// Where the headers with this mark and this name begin.
fn headers(bytes: &[u8], mark: &[u8], name: &str) -> Vec<usize> {
    let name_at = if mark == b"PK\x01\x02" { 46 } else { 30 };
    (0..bytes.len().saturating_sub(name_at))
        .filter(|at| bytes[*at..].starts_with(mark) && bytes[at + name_at..].starts_with(name.as_bytes()))
        .collect()
}

#[tokio::test]
async fn an_archive_that_is_broken_or_a_bomb_fails_as_one_document() {
    let dir = tempfile::tempdir().unwrap();
    let many: Vec<(String, EntryType, &[u8])> =
        (0..51).map(|n| (format!("{n}.txt"), REGULAR, b"x".as_slice())).collect();
    let many: Vec<(&str, EntryType, &[u8])> = many.iter().map(|(name, kind, x)| (name.as_str(), *kind, *x)).collect();
    let zipped: Vec<(&str, &[u8])> = many.iter().map(|(name, _, content)| (*name, *content)).collect();
    let whole = zip(&[("a.txt", b"zorblax")]);
    let packed = gzip(&tar(&[("a.txt", REGULAR, b"zorblax")]));
    let blank = vec![0; 3 << 20];
    // Two entries of one body: the second's place is the first's.
    let mut twice = zip(&[("a.txt", b"zorblax"), ("b.txt", b"zorblax")]);
    let second = headers(&twice, b"PK\x01\x02", "b.txt")[0];
    twice[second + 42..second + 46].copy_from_slice(&0u32.to_le_bytes());
    let mut torn = tar(&[("a.txt", REGULAR, &[b'x'; 2000])]);
    torn.truncate(1024);
    let stage = stage(small()).await;
    for (name, bytes, message) in [
        ("many.zip", zip(&zipped), "it holds more than `max_members` (50) entries"),
        ("many.tar", tar(&many), "it holds more than `max_members` (50) entries"),
        ("cut.zip", whole[..whole.len() - 10].to_vec(), "broken: "),
        ("cut.tgz", packed[..packed.len() - 12].to_vec(), "broken: "),
        ("cut.tar", torn, "broken: it ends within a member"),
        ("twice.zip", twice, "broken: its members lie upon each other"),
        ("bomb.gz", gzip(&blank), "it unpacks to more than `archive_bytes` (1MiB)"),
        ("bomb.zst", zstd::encode_all(blank.as_slice(), 3).unwrap(), "it unpacks to more than `archive_bytes` (1MiB)"),
        ("bomb.zip", zip(&[("a.txt", &blank)]), "it unpacks to more than `archive_bytes` (1MiB)"),
        ("no.zip", b"PK\x03\x04 and then nothing of the kind".to_vec(), "broken: "),
    ] {
        let failed = error(&stage, &put(dir.path(), name, &bytes)).await;
        assert!(failed.class == ErrorClass::Rejected && failed.message.starts_with(message), "{name}: {failed}");
    }
    // A gigabyte is within bounds by itself; out of a megabyte it is not.
    let bomb = zstd::encode_all(std::io::repeat(0).take(96 << 20), 1).unwrap();
    let wide = super::stage(json!({})).await;
    let failed = error(&wide, &put(dir.path(), "ratio.zst", &bomb)).await;
    assert_eq!(failed.message, "it unpacks to more than 200 times its size");
    // A name of a megabyte and more is not read into memory.
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    builder.append_data(&mut header, "n/".repeat(1 << 20), b"x".as_slice()).unwrap();
    let failed = error(&stage, &put(dir.path(), "name.tar", &builder.into_inner().unwrap())).await;
    assert!(failed.message.contains("its directory is larger than `max_members` entries need"), "{failed}");
}

#[tokio::test]
async fn a_changed_archive_on_disk_is_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(json!({})).await;
    let location = put(dir.path(), "a.zip", &zip(&[("a.txt", b"before")]));
    let member = found(&stage, &location).await.remove(0);
    assert_eq!(fetch(&stage, &member).await.1, b"before");
    put(dir.path(), "a.zip", &zip(&[("a.txt", b"and after")]));
    assert_eq!(fetch(&stage, &member).await.1, b"and after");
    fs::remove_file(dir.path().join("a.zip")).unwrap();
    assert_eq!(error(&stage, &member).await, StageError::rejected("not found"));
}

#[tokio::test]
async fn an_archive_on_the_web_may_be_larger_than_a_document_and_keeps_its_signature_to_itself() {
    let noise = noise(50_000);
    let entries: Vec<(String, &[u8])> = (0..6).map(|n| (format!("{n}.bin"), noise.as_slice())).collect();
    let entries: Vec<(&str, &[u8])> = entries.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let archive = zip(&entries);
    assert!(archive.len() > 200 << 10);
    let server = Server::start(&[
        ("/a.zip?v=1&X-Amz-Signature=hush", answer("200 OK", "", &archive)),
        ("/endless.zip", answer("200 OK", "", &[b"PK\x03\x04".as_slice(), &vec![b'x'; 2 << 20]].concat())),
    ])
    .await;
    let mut config = small();
    config["allow"] = json!({ "cidrs": ["127.0.0.0/8"] });
    let stage = stage(config).await;
    let location = server.url("/a.zip?v=1&X-Amz-Signature=hush");
    let mut outputs = process(&stage, &location).await.unwrap();
    let items = outputs.take_found();
    assert_eq!(items.len(), 6);
    assert_eq!(items[0].metadata["container"], server.url("/a.zip?v=1"));
    let (document, bytes) = fetch(&stage, &items[5].uri).await;
    assert!(bytes == noise);
    assert_eq!(document.uri, format!("{}#member=5.bin", server.url("/a.zip?v=1")), "without the signature");
    assert_eq!(server.requests.lock().unwrap().len(), 1);
    let endless = error(&stage, &server.url("/endless.zip")).await;
    assert_eq!(endless.message, "too large: 2.0MiB, more than `archive_bytes` (1MiB)");
    let page = error(&stage, &format!("{}#member=x", server.url("/missing"))).await;
    assert_eq!(page.message, "the server answered 404 Not Found");
}

#[tokio::test]
async fn a_member_of_what_is_no_archive_is_refused_and_a_cancelled_one_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(json!({})).await;
    let text = put(dir.path(), "a.txt", b"hello");
    assert!(error(&stage, &format!("{text}#member=b")).await.message.contains("no archive"));
    let archive = put(dir.path(), "a.zip", &zip(&[("a.txt", b"x")]));
    let cx = Context::detached();
    cx.cancel.cancel();
    let outcome = stage.process(&cx, reference(&archive)).await;
    assert_eq!(outcome.unwrap_err(), StageError::rejected("cancelled"));
}

/// Real archives and messages, where a corpus is given: each ends in an outcome, and most members can be read.
#[tokio::test]
async fn real_archives_and_messages_give_their_members() {
    let Ok(root) = std::env::var("DOCMILL_CORPUS") else {
        eprintln!("skipped: DOCMILL_CORPUS is not set");
        return;
    };
    let stage = stage(json!({})).await;
    let (mut containers, mut read, mut failures) = (0, 0, Vec::new());
    for folder in ["other", "eml", "hostile", "xlsx", "epub"] {
        for entry in fs::read_dir(format!("{root}/{folder}")).into_iter().flatten() {
            let location = Url::from_file_path(entry.unwrap().path()).unwrap();
            let mut waiting = match process(&stage, location.as_str()).await {
                Ok(mut outputs) => outputs.take_found(),
                Err(_) => continue,
            };
            containers += usize::from(!waiting.is_empty());
            while let Some(item) = waiting.pop() {
                match process(&stage, &item.uri).await {
                    Ok(mut outputs) => {
                        waiting.extend(outputs.take_found());
                        read += 1;
                    }
                    Err(failed) => failures.push(format!("{}: {failed}", item.uri)),
                }
            }
        }
    }
    eprintln!("{containers} containers, {read} members read, {} failed:\n{}", failures.len(), failures.join("\n"));
    assert!(containers > 0 && failures.len() * 10 <= read);
}
