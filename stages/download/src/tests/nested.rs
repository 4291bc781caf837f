//! Archives and messages within one another, made so that each is within its bounds and all together are not, or so that
//! who reads them by recursion or looks ahead again and again does not come back.

use std::fs;
use std::path::Path;

use docmill_api::ErrorClass;
use serde_json::json;
use url::Url;

use super::archives::zip;
use super::{error, fetch, found, process, stage};

fn put(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    fs::write(&path, bytes).unwrap();
    Url::from_file_path(path).unwrap().into()
}

/// So many archives of one content in an archive.
fn copies(count: usize, inner: &[u8]) -> Vec<u8> {
    let names: Vec<String> = (0..count).map(|number| format!("{number}.zip")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), inner)).collect();
    zip(&entries)
}

#[tokio::test]
async fn archives_within_an_archive_share_what_it_may_unpack_to() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(json!({})).await;
    // By itself it is no bomb, nor alone in another archive.
    let blank = zip(&[("blank.txt", &[0; 8 << 20])]);
    let alone = found(&stage, &put(dir.path(), "alone.zip", &copies(1, &blank))).await;
    assert_eq!(found(&stage, &alone[0]).await.len(), 1);
    // Of a hundred each has a hundredth of 64 MiB, whatever they are packed in.
    for (name, many) in [("many.zip", copies(100, &blank)), ("packed.gz", gzipped(&copies(100, &blank)))] {
        let mut members = found(&stage, &put(dir.path(), name, &many)).await;
        if name == "packed.gz" {
            members = found(&stage, &members[0]).await;
        }
        assert_eq!(members.len(), 100, "{name}");
        let failed = error(&stage, &members[99]).await;
        assert_eq!(failed.class, ErrorClass::Rejected);
        assert!(
            failed.message.ends_with(", its share of what the archive that it is in may unpack to"),
            "{name}: {failed}"
        );
    }
    // Texts, of which each is packed well, are far from it.
    let text = zip(&[("text.txt", "The zorblax of the quibble. ".repeat(2_000).as_bytes())]);
    let members = found(&stage, &put(dir.path(), "texts.zip", &copies(100, &text))).await;
    let texts = found(&stage, &members[99]).await;
    assert!(fetch(&stage, &texts[0]).await.1.starts_with(b"The zorblax"));
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Base64 of a text whose length is a multiple of three and whose pieces of that length are alike.
fn base64_of(piece: &str, count: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert_eq!(piece.len() % 3, 0);
    let digits = |three: &[u8]| {
        let group = three.iter().fold(0, |group: usize, byte| group << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(DIGITS[(group >> shift) & 63]))
    };
    piece.as_bytes().chunks(3).flat_map(digits).collect::<String>().repeat(count)
}

#[tokio::test]
async fn no_message_within_messages_ends_the_process() {
    /// More than any stack holds, at some hundred bytes each.
    const DEEP: usize = 300_000;
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(json!({ "max_bytes": "32MiB" })).await;
    let nested = "Content-Type:message/rfc822\n\n".repeat(DEEP);
    let encoded = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n";
    let hidden = format!("From: a@b.example\n{encoded}{}", base64_of("Content-Type: message/rfc822\n\n", DEEP));
    for (name, message) in [("nested.eml", &nested), ("hidden.eml", &hidden)] {
        let mut outputs = process(&stage, &put(dir.path(), name, message.as_bytes())).await.unwrap();
        let members = outputs.take_found();
        assert_eq!(members.len(), 1, "{name}: the message within, and none within that");
        assert!(members[0].uri.ends_with("attachment%201.eml"), "{}", members[0].uri);
        assert!(fetch(&stage, &members[0].uri).await.1.starts_with(b"Content-Type:"), "{name}");
    }
}

#[tokio::test]
async fn what_would_take_hours_is_refused_or_done_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(json!({})).await;
    let head = "From: a@b.example\nMIME-Version: 1.0\nContent-Type:multipart/mixed;boundary=b\n\n--b\n";
    let parts = format!("{head}{}", "\nx\n--b\n".repeat(20_000));
    let deep: String = (0..200).map(|n| format!("Content-Type:multipart/mixed;boundary=b{n}\n\n--b{n}\n")).collect();
    let pieces: String = (1..20_000).map(|n| format!(";a*{n}=b")).collect();
    for (name, message, reason) in [
        ("parts.eml", parts, "it holds more than `max_members` (10000) entries"),
        ("deep.eml", format!("{head}{deep}"), "too large: over 100 multiparts within one another"),
        ("pieces.eml", format!("{head}Content-Type: a/b{pieces}\n"), "too large: over 64 KiB of fields about one part"),
    ] {
        let failed = error(&stage, &put(dir.path(), name, message.as_bytes())).await;
        assert_eq!(failed.message, reason, "{name}");
    }
    // A boundary that never comes is looked for once, by all who wait for it.
    let nothing = format!("{head}{}", "Content-Type:multipart/mixed;boundary=zz\n\n--b\n".repeat(9_000));
    let mut outputs = process(&stage, &put(dir.path(), "nothing.eml", nothing.as_bytes())).await.unwrap();
    assert_eq!((outputs.records().len(), outputs.take_found().len()), (1, 0));
}

#[tokio::test]
async fn letters_are_no_attachments_and_the_rest_is() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(json!({})).await;
    let head = |kind: &str| {
        format!("From: a@b.example\nMIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=\"b c\"\n\n")
    };
    let part = |head: &str, body: &str| format!("--b c\n{head}\n\n{body}\n");
    let (plain, html) = (part("Content-Type: text/plain", "zorblax"), part("Content-Type: text/html", "<p>zorblax"));
    let inner = "Content-Type: multipart/alternative; boundary=i\n\nfor old programs\n--i\n\nzorblax\n--i\n\
                 Content-Type: text/html\n\n<p>zorblax\n--i--\nnothing";
    let cases: [(&str, String, &[&str]); 8] = [
        ("plain.eml", "From: a@b.example\n\nzorblax\n".to_owned(), &[]),
        ("alternative.eml", head("alternative") + &plain + &html, &[]),
        ("both.eml", head("mixed") + &part(inner, "") + &part("Content-Type: text/csv; name=a.csv", "1"), &["a.csv"]),
        (
            "named.eml",
            head("mixed") + &plain + &part("Content-Type: text/plain; name=note.txt", "quibble"),
            &["note.txt"],
        ),
        (
            "digest.eml",
            head("digest") + &part("", "Subject: one\n\nx") + &part("", "Subject: two\n\nx"),
            &["attachment%201.eml", "attachment%202.eml"],
        ),
        ("picture.eml", head("related") + &html + &part("Content-Type: image/png\nContent-ID: <a>", "png"), &[]),
        ("lost.eml", head("mixed").replace("b c", "d") + &plain, &["attachment%201.txt"]),
        (
            "pdf.eml",
            head("mixed")
                + &plain
                + &part("Content-Type: application/pdf\nContent-Transfer-Encoding: base64", "JVBERi0x"),
            &["attachment%201.pdf"],
        ),
    ];
    for (name, message, expected) in cases {
        for message in [message.clone(), message.replace('\n', "\r\n")] {
            let members = process(&stage, &put(dir.path(), name, message.as_bytes())).await.unwrap().take_found();
            let names: Vec<&str> = members.iter().map(|item| item.uri.split_once("#member=").unwrap().1).collect();
            assert_eq!(names, expected, "{name}");
        }
    }
}
