//! Samples of every kind, and hostile ones of none.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::media_type;

fn sniff(bytes: &[u8], name: &str) -> String {
    media_type(bytes, name, None).into_owned()
}

fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let method = if *name == "mimetype" { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A compound file of one table sector, one directory sector a four entries, and these names below the root.
fn compound(names: &[&str]) -> Vec<u8> {
    let sectors = (names.len() + 1).div_ceil(4);
    let mut bytes = vec![0; 512 * (2 + sectors)];
    bytes[..8].copy_from_slice(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    bytes[30..32].copy_from_slice(&9u16.to_le_bytes());
    bytes[48..52].copy_from_slice(&1u32.to_le_bytes());
    for slot in 1..109 {
        bytes[76 + slot * 4..80 + slot * 4].copy_from_slice(&u32::MAX.to_le_bytes());
    }
    for sector in 1..=sectors {
        let next = if sector == sectors { 0xffff_fffe } else { sector as u32 + 1 };
        bytes[512 + sector * 4..516 + sector * 4].copy_from_slice(&next.to_le_bytes());
    }
    let none = u32::MAX.to_le_bytes();
    for (id, name) in std::iter::once(&"Root Entry").chain(names).enumerate() {
        let entry = &mut bytes[1024 + id * 128..1152 + id * 128];
        for (at, letter) in name.encode_utf16().enumerate() {
            entry[at * 2..at * 2 + 2].copy_from_slice(&letter.to_le_bytes());
        }
        entry[64..66].copy_from_slice(&(name.len() as u16 * 2 + 2).to_le_bytes());
        entry[68..72].copy_from_slice(&none);
        // Each entry is the right sibling of the one before; the root's child is the first.
        let right = if id > 0 && id < names.len() { (id as u32 + 1).to_le_bytes() } else { none };
        entry[72..76].copy_from_slice(&right);
        entry[76..80].copy_from_slice(&if id == 0 { 1u32.to_le_bytes() } else { none });
    }
    bytes
}

#[test]
fn texts_are_told_by_their_marks_then_by_their_names() {
    for (content, name, expected) in [
        ("hello", "a.txt", "text/plain"),
        ("hello", "a", "text/plain"),
        ("hello", "a.unheardof", "text/plain"),
        ("# hello", "a.MD", "text/markdown"),
        ("<p align=center>logo</p>\n# hello", "README.md", "text/markdown"),
        ("<!doctype html><p>x", "page.md", "text/markdown"),
        ("a,b\n1,2", "a.csv", "text/csv"),
        ("a\tb\n1\t2", "a.tsv", "text/tab-separated-values"),
        ("{\"a\":1}", "a.json", "application/json"),
        ("{\"a\":1}\n", "a", "application/json"),
        ("[1, 2]", "data.unheardof", "application/json"),
        ("[a link](http://x)", "a", "text/plain"),
        ("{\"a\":1}\n{\"a\":2}\n", "a.txt2", "application/x-ndjson"),
        ("{\"a\":1}\n{\"a\":2}\n", "a.jsonl", "application/x-ndjson"),
        ("a: 1", "a.yml", "application/yaml"),
        ("%YAML 1.2\n---\na: 1", "a", "application/yaml"),
        ("{\"cells\": [{\"cell_type\": \"code\"}]}", "a", "application/x-ipynb+json"),
        ("{\"cells\": [{\"cell_type\": \"code\"}]}", "a.ipynb", "application/x-ipynb+json"),
        ("a = 1", "Cargo.toml", "application/toml"),
        ("fn main() {}", "main.rs", "text/x-rust"),
        ("print(1)", "a.py", "text/x-python"),
        ("all:\n\ttrue", "Makefile", "text/x-makefile"),
        ("FROM x", "Dockerfile", "text/x-dockerfile"),
        ("FROM x", "Dockerfile.dev", "text/x-dockerfile"),
        ("project(x)", "CMakeLists.txt", "text/x-cmake"),
        ("#!/usr/bin/env python3\nprint(1)", "tool", "text/x-python"),
        ("#!/bin/sh -e\ntrue", "tool", "text/x-shellscript"),
        ("<!DOCTYPE html>\n<html>", "a", "text/html"),
        ("\u{feff}  <!-- c --> <HTML lang=en>", "a.txt", "text/html"),
        ("<div>x</div>", "a", "text/html"),
        ("<div>x</div>", "a.txt", "text/plain"),
        ("<html><body>word</body></html>", "report.doc", "text/html"),
        ("<html>", "error.json", "text/html"),
        ("<html>{{ x }}", "page.php", "text/x-php"),
        ("hello", "a.html", "text/html"),
        ("<?xml version='1.0'?><feed/>", "a", "application/xml"),
        ("<?xml version='1.0'?><Project/>", "a.csproj", "application/xml"),
        ("<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC \"x\">\n<html>", "a.xhtml", "text/html"),
        ("<?xml version='1.0'?><svg/>", "a.svg", "image/svg+xml"),
        ("<svg xmlns='x'/>", "a", "image/svg+xml"),
        ("<root/>", "a.xml", "application/xml"),
        ("{\\rtf1\\ansi hello}", "a.doc", "application/rtf"),
        ("%!PS-Adobe-3.0", "a.ps", "application/postscript"),
        ("Received: from x\r\n\tby y\r\nFrom: a@b\r\nSubject: s\r\n\r\nhi", "a", "message/rfc822"),
        ("From: a@b\r\nTo: c\r\nSubject: s\r\n\r\nhi", "a.eml", "message/rfc822"),
        ("From: me\nTo: you\nSubject: x\n\nplain words", "note.txt", "text/plain"),
        ("Note: this is a text\nMIME-Version: what", "note.txt", "text/plain"),
        ("Received: from x\nFrom: a\nSubject: s\n\n", "mail.md", "text/markdown"),
        ("BM is how this begins", "a.txt", "text/plain"),
        ("see %PDF-1.4 in the specification", "a.txt", "text/plain"),
    ] {
        assert_eq!(sniff(content.as_bytes(), name), expected, "{name}: {content}");
    }
}

#[test]
fn a_server_is_believed_only_where_content_and_name_say_nothing() {
    let sniff = |content: &str, name, declared| media_type(content.as_bytes(), name, Some(declared)).into_owned();
    assert_eq!(sniff("a;b", "export", "text/csv"), "text/csv");
    assert_eq!(sniff("a;b", "export", "image/png"), "text/plain");
    assert_eq!(sniff("# a", "a.md", "text/html"), "text/markdown");
    assert_eq!(sniff("<!doctype html><p>", "index.php", "text/html"), "text/html");
    assert_eq!(sniff("<p>x", "index.php", "text/html"), "text/html");
    assert_eq!(sniff("<?php echo 1;", "index.php", "text/plain"), "text/x-php");
    assert_eq!(sniff("%PDF-1.7\n", "a", "text/html"), "application/pdf");
}

#[test]
fn encodings_of_text_are_text_and_noise_is_not() {
    let utf16: Vec<u8> = "<html>grüße</html>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(sniff(&utf16, "a"), "text/html", "without a mark");
    assert_eq!(sniff(&[b"\xff\xfe".as_slice(), &utf16].concat(), "a"), "text/html");
    let big: Vec<u8> = "\u{feff}漢字だけ".encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(sniff(&big, "a.txt"), "text/plain");
    assert_eq!(sniff(b"gr\xfc\xdfe aus M\xfcnchen", "a.txt"), "text/plain");
    assert_eq!(sniff(b"\x1b$B$3$s$K$A$O\x1b(B", "a.txt"), "text/plain", "ISO-2022-JP");
    assert_eq!(sniff("ü".repeat(40_000).as_bytes(), "a.txt"), "text/plain", "the sample cuts no character");
    assert_eq!(sniff(&[b"x".as_slice(), "ü".repeat(40_000).as_bytes()].concat(), "a.txt"), "text/plain");
    let noise: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert_eq!(sniff(&noise, "a.txt"), "application/octet-stream");
    assert_eq!(sniff(&[1, 2, 3], "a"), "application/octet-stream");
    assert_eq!(sniff(&noise, "a.docx"), super::container::DOCX, "a broken document is that document, broken");
}

#[test]
fn binary_files_are_told_by_their_magic() {
    for (content, name, expected) in [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj".as_slice(), "a.txt", "application/pdf"),
        (b"junk before\0\x01\x02%PDF-1.4\n", "a.pdf", "application/pdf"),
        (b"HTTP/1.1 200 OK\r\n\r\n%PDF-1.4\n1 0 obj\nstartxref\n9\n%%EOF\n", "a", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.txt", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "a", "image/jpeg"),
        (b"GIF89a\x01\0\x01\0\0", "a", "image/gif"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "a.csv", "application/gzip"),
        (b"\x28\xb5\x2f\xfd\x04\x58\x01\0\0", "a", "application/zstd"),
        (b"SQLite format 3\0\x10\0\x01\x01\0", "a.db", "application/vnd.sqlite3"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "a", "application/x-executable"),
    ] {
        assert_eq!(sniff(content, name), expected, "{name}");
    }
}

#[test]
fn zip_files_are_told_by_what_they_hold() {
    let types = ("[Content_Types].xml", "<Types/>");
    let late: Vec<(String, &str)> = (0..3000).map(|number| (format!("ppt/media/{number}.png"), "x")).collect();
    let mut presentation: Vec<(&str, &str)> = late.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    presentation.push(("ppt/presentation.xml", ""));
    for (entries, name, expected) in [
        (vec![types, ("word/document.xml", "")], "a", super::container::DOCX),
        (
            vec![("docProps/a", ""), ("x", ""), ("y", ""), ("word/document.xml", ""), types],
            "a.zip",
            super::container::DOCX,
        ),
        (vec![types, ("xl/workbook.xml", "")], "a.xlsx", super::container::XLSX),
        (vec![types, ("xl/workbook.bin", "")], "a.xlsb", "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
        (vec![types, ("xl/workbook.bin", "")], "a.xlsx", super::container::XLSB),
        (vec![types, ("xl/workbook.xml", "")], "a.docx", super::container::XLSX),
        (vec![("OEBPS/a.opf", ""), ("META-INF/container.xml", "")], "a", "application/epub+zip"),
        (presentation, "a", super::container::PPTX),
        (vec![types, ("word/document2.xml", "")], "a", super::container::DOCX),
        (vec![types], "broken.xlsx", super::container::XLSX),
        (vec![types], "a.zip", "application/zip"),
        (
            vec![("mimetype", "application/vnd.oasis.opendocument.text"), ("content.xml", "")],
            "a",
            "application/vnd.oasis.opendocument.text",
        ),
        (
            vec![("mimetype", "application/vnd.oasis.opendocument.spreadsheet-template")],
            "a",
            "application/vnd.oasis.opendocument.spreadsheet",
        ),
        (vec![("mimetype", "application/epub+zip"), ("META-INF/container.xml", "")], "a", "application/epub+zip"),
        (vec![("META-INF/container.xml", ""), ("a.opf", "")], "a.epub", "application/epub+zip"),
        (
            vec![("content.xml", ""), ("META-INF/manifest.xml", "")],
            "a.ods",
            "application/vnd.oasis.opendocument.spreadsheet",
        ),
        (vec![("META-INF/MANIFEST.MF", ""), ("A.class", "")], "a", "application/java-archive"),
        (vec![("a.txt", "x")], "a.docx", "application/zip"),
        (vec![], "a.zip", "application/zip"),
    ] {
        assert_eq!(sniff(&zip(&entries), name), expected, "{name}");
    }
    let whole = zip(&[types, ("word/document.xml", "")]);
    assert_eq!(sniff(&whole[..whole.len() / 2], "a.docx"), super::container::DOCX, "cut short, so by its name");
    assert_eq!(
        sniff(&[b"MZ\0\x01".as_slice(), &whole].concat(), "a.exe"),
        "application/vnd.microsoft.portable-executable"
    );
}

#[test]
fn an_archive_is_told_before_what_stands_at_its_beginning() {
    let pdf = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj";
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_old();
    header.set_size(pdf.len() as u64);
    tar.append_data(&mut header, "a.pdf", pdf.as_slice()).unwrap();
    let tar = tar.into_inner().unwrap();
    assert_eq!(sniff(&tar, "a"), "application/x-tar", "of the oldest kind, which has no magic number");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("a.pdf", SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
    zip.write_all(pdf).unwrap();
    assert_eq!(sniff(&zip.finish().unwrap().into_inner(), "a"), "application/zip");
    let text = format!("{:<257}ustar and what comes after it", "a text");
    assert_eq!(sniff(text.as_bytes(), "a.txt"), "text/plain", "a magic number alone is no tar file");
}

#[test]
fn compound_files_are_told_by_the_root_s_own_streams() {
    for (names, name, expected) in [
        (vec!["WordDocument", "1Table"], "a", "application/msword"),
        (vec!["a", "b", "c", "d", "e", "Workbook"], "a", "application/vnd.ms-excel"),
        (vec!["Book"], "a", "application/vnd.ms-excel"),
        (vec!["PowerPoint Document"], "a", "application/vnd.ms-powerpoint"),
        (vec!["__nameid_version1.0", "__properties_version1.0"], "a", "application/vnd.ms-outlook"),
        (vec!["Workbook", "WordDocument"], "a", "application/msword"),
        (vec!["EncryptedPackage", "EncryptionInfo"], "a.docx", super::container::DOCX),
        (vec!["Contents"], "a", "application/x-ole-storage"),
        (vec!["Contents"], "a.doc", "application/msword"),
    ] {
        assert_eq!(sniff(&compound(&names), name), expected, "{names:?}");
    }
}

#[test]
fn no_bytes_make_it_panic_or_run_on() {
    let mut circle = compound(&["WordDocument"; 7]);
    // The directory's chain leads back to its first sector, and siblings to each other.
    circle[512 + 8..512 + 12].copy_from_slice(&1u32.to_le_bytes());
    circle[1024 + 128 + 68..1024 + 128 + 72].copy_from_slice(&1u32.to_le_bytes());
    let seeds = [
        zip(&[("[Content_Types].xml", "x"), ("word/document.xml", "y")]),
        zip(&[("mimetype", "application/epub+zip")]),
        compound(&["a", "b", "c", "Workbook"]),
        circle,
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj".to_vec(),
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom".to_vec(),
        b"\x1a\x45\xdf\xa3\x93\x42\x82\x88matroska".to_vec(),
        b"RIFF\x24\0\0\0WAVEfmt ".to_vec(),
        b"\xff\xfe<\0h\0t\0m\0l\0".to_vec(),
        "<?xml <!-- <!doctype".into(),
    ];
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    for seed in &seeds {
        for length in 1..=seed.len().min(700) {
            sniff(&seed[..length], "a.docx");
        }
        for _ in 0..400 {
            let mut bytes = seed.clone();
            for _ in 0..4 {
                let at = random() % bytes.len();
                bytes[at] = [0, 0xff, 0x7f, random() as u8][random() % 4];
            }
            sniff(&bytes, "a");
        }
    }
}

/// The extension of the files of a corpus, where one is given: nobody wrote them for this test.
#[test]
fn real_files_are_what_their_names_say() {
    let Ok(root) = std::env::var("DOCMILL_CORPUS") else {
        eprintln!("skipped: DOCMILL_CORPUS is not set");
        return;
    };
    let (mut files, mut misses) = (0, Vec::new());
    for folder in ["pdf", "docx", "xlsx", "pptx", "eml", "epub", "html", "code", "txt", "img", "other"] {
        for entry in std::fs::read_dir(format!("{root}/{folder}")).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = std::fs::read(&path).unwrap();
            let expected = super::names::binary(&name).or_else(|| super::names::text(&name));
            let found = sniff(&bytes, &name);
            if let Some(expected) = expected.filter(|_| !bytes.is_empty()) {
                files += 1;
                if found != expected {
                    misses.push(format!("{name}: {found}"));
                }
            }
        }
    }
    let list = misses.join("\n");
    assert!(files > 0 && misses.len() * 50 <= files, "more than 2 % of {files} are not what they are called:\n{list}");
}
