//! The stage as the engine sees it: a record with bytes in, a record with text, a skip or an error out. One test a
//! format that an invented word comes through, then input that is broken, hostile or not for this stage.

#[path = "it/text_formats.rs"]
mod text_formats;

use std::io::{Cursor, Write};
use std::sync::Arc;

use docmill_api::{
    Blob, CpuStage, Digest, Document, ErrorClass, Outputs, Payload, Record, SourceItem, StageError, Step, StepContext,
    Text, TextKind,
};
use docmill_parse::{Config, HtmlPart, ParseStage, PdfChoice};
use zip::write::SimpleFileOptions;

#[path = "it/office.rs"]
mod office;

fn record(name: &str, bytes: impl Into<Vec<u8>>) -> Record {
    let item = SourceItem { uri: format!("file:///{name}"), ..SourceItem::default() };
    let document = Arc::new(Document::admit(item, Digest::of(&[])));
    Record { document, payload: Payload::Blob(Blob { bytes: bytes.into().into() }) }
}

fn run(config: &Config, record: Record) -> Result<Outputs, StageError> {
    let stage = ParseStage::new(config)?;
    let cx = StepContext::detached();
    let mut outputs = Outputs::new();
    let mut work = stage.open(&cx, record)?;
    while work.step(&cx, &mut outputs)? == Step::More {}
    Ok(outputs)
}

/// The text that comes out, with its document; checks what holds for all formats.
fn text_with(config: &Config, name: &str, bytes: impl Into<Vec<u8>>) -> (Text, Arc<Document>) {
    let (mut records, skip) = run(config, record(name, bytes)).expect("no error").into_parts();
    assert_eq!(skip, None, "`{name}` is not skipped");
    let record = records.pop().expect("a record");
    assert!(records.is_empty(), "one record");
    let Payload::Text(text) = record.payload else { panic!("a text") };
    assert!(!text.content.contains('\r'), "line ends are \\n");
    for page in text.pages.iter() {
        assert!(text.content.is_char_boundary(page.offset), "page {} begins at a character", page.number);
    }
    assert!(record.document.metadata.contains_key("reader"), "the reader is named");
    assert!(record.document.media_type.is_some(), "the media type is known now");
    (text, record.document)
}

fn text(name: &str, bytes: impl Into<Vec<u8>>) -> (Text, Arc<Document>) {
    text_with(&Config::default(), name, bytes)
}

fn skip(name: &str, bytes: impl Into<Vec<u8>>) -> String {
    let (records, skip) = run(&Config::default(), record(name, bytes)).expect("no error").into_parts();
    assert!(records.is_empty());
    skip.expect("a reason")
}

fn error(name: &str, bytes: impl Into<Vec<u8>>) -> String {
    let error = run(&Config::default(), record(name, bytes)).expect_err("an error");
    assert_eq!(error.class, ErrorClass::Rejected, "it costs this document alone");
    error.message
}

fn noise(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(n >> 3) >> 9) as u8).collect()
}

const PDF: &[u8] = include_bytes!("fixtures/two-pages.pdf");
const DOCX: &[u8] = include_bytes!("fixtures/report.docx");

fn pdf_with(choice: PdfChoice) -> Config {
    Config { pdf: choice, ..Config::default() }
}

#[test]
fn pdf_gives_its_text_by_page_with_every_reader() {
    for choice in [PdfChoice::Auto, PdfChoice::Unpdf, PdfChoice::Pdfni, PdfChoice::PdfExtract] {
        let (text, document) = text_with(&pdf_with(choice), "a.pdf", PDF);
        let second = text.content.find("zantwick").expect("the second page's word");
        assert!(text.content.find("quorvex").expect("the first page's word") < second, "{choice:?}");
        let numbers: Vec<u32> = text.pages.iter().map(|page| page.number).collect();
        assert_eq!(numbers, [1, 2], "{choice:?}");
        assert!(text.pages[1].offset <= second && text.pages[1].offset > 0, "{choice:?}");
        assert_eq!(document.metadata["page_count"], 2, "{choice:?}");
        // pdfni tells no title; its first heading stands in.
        if choice != PdfChoice::Pdfni {
            assert_eq!(text.title.as_deref(), Some("The quorvex report"), "{choice:?}");
        }
    }
}

#[test]
fn pdfium_reads_where_it_is_installed_and_is_refused_where_not() {
    match ParseStage::new(&pdf_with(PdfChoice::Pdfium)) {
        Ok(_) => {
            let (text, document) = text_with(&pdf_with(PdfChoice::Auto), "a.pdf", PDF);
            assert_eq!(document.metadata["reader"], "pdfium");
            assert!(text.content.contains("zantwick"));
            assert_eq!(text.title.as_deref(), Some("The quorvex report"));
        }
        Err(error) => {
            assert_eq!(error.class, ErrorClass::Fatal);
            assert!(error.message.contains("DOCMILL_PDFIUM"), "{error}");
        }
    }
}

#[test]
fn pdf_behind_junk_and_under_another_name_is_pdf() {
    let mailed = [b"Content-Type: x\r\n\r\n\0\x01\x02".as_slice(), PDF].concat();
    assert!(text("upload.bin", mailed.clone()).0.content.contains("quorvex"));
    assert!(text("a.pdf", mailed).0.content.contains("quorvex"));
}

#[test]
fn a_pdf_that_only_its_owner_may_change_is_read() {
    let (text, _) = text("a.pdf", include_bytes!("fixtures/owner-password.pdf"));
    assert!(text.content.contains("quorvex"));
}

#[test]
fn docx_gives_markdown() {
    let (text, document) = text("a.docx", DOCX);
    assert_eq!(text.kind, TextKind::Markdown);
    assert!(text.content.contains("# Quorvex") && text.content.contains("first zantwick"), "{}", text.content);
    assert!(text.content.contains("| brindlefax | red |"), "{}", text.content);
    assert_eq!(text.title.as_deref(), Some("The quorvex manual"));
    assert_eq!(document.metadata["reader"], "undoc");
    assert!(text_with(&Config::default(), "noname", DOCX).0.content.contains("brindlefax"), "by its content");
}

#[test]
fn html_gives_markdown_and_its_title() {
    let page = "<html><head><meta charset=windows-1251><title>Quorvex &amp; co</title></head><body><h1>Zantwick</h1>\
                <table><tr><th>a<th>b<tr><td>brindlefax<td>2</table></body></html>";
    let page = page.replace("Zantwick", "Кворвекс");
    let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(&page);
    let whole = Config { html: HtmlPart::Whole, ..Config::default() };
    let (text, document) = text_with(&whole, "a.html", bytes);
    assert!(text.content.contains("# Кворвекс") && text.content.contains("| brindlefax | 2 |"), "{}", text.content);
    assert_eq!(text.title.as_deref(), Some("Quorvex & co"));
    assert_eq!(document.metadata["encoding"], "windows-1251");
}

#[test]
fn markdown_is_kept_line_for_line() {
    let (text, _) = text("a.md", "---\ntitle: Quorvex\n---\r\n\r\n# Head\r\n\r\n* zantwick\r\n");
    assert_eq!(&*text.content, "---\ntitle: Quorvex\n---\n\n# Head\n\n* zantwick\n");
    assert_eq!((text.kind, text.title.as_deref(), text.lines), (TextKind::Markdown, Some("Quorvex"), true));
}

#[test]
fn code_is_kept_with_its_language() {
    for (name, language) in [("a.rs", "rust"), ("b.PY", "python"), ("Dockerfile", "dockerfile"), ("c.yaml", "yaml")] {
        let (text, _) = text(name, "quorvex\n  zantwick\n");
        assert_eq!(&*text.content, "quorvex\n  zantwick\n");
        assert_eq!((text.kind, text.lines), (TextKind::Code(language.to_owned()), true));
    }
}

#[test]
fn code_comes_with_its_units_at_the_places_of_the_text_that_goes_on() {
    let (text, _) = text("a.py", "\u{feff}# é\r\n\r\nclass Quorvex:\r\n    def zantwick(self):\r\n        pass\r\n");
    let units: Vec<_> =
        text.blocks.iter().map(|block| (block.depth, &*block.name, &text.content[block.start..block.end])).collect();
    assert_eq!(
        units,
        [
            (0, "class Quorvex", "class Quorvex:\n    def zantwick(self):\n        pass"),
            (1, "def zantwick", "def zantwick(self):\n        pass"),
        ]
    );
}

#[test]
fn json_is_kept_and_what_is_none_is_marked() {
    let (valid, document) = text("a.json", "{\"quorvex\": [1,\n2]}");
    assert_eq!(&*valid.content, "{\"quorvex\": [1,\n2]}");
    assert!(valid.lines && !document.metadata.contains_key("parsed"));
    let (invalid, document) = text("a.json", "{quorvex: 1, // comment\n}");
    assert!(invalid.content.contains("quorvex"));
    assert_eq!(document.metadata["parsed"], "plain text");
}

#[test]
fn csv_gives_a_table() {
    let (text, _) = text("a.csv", "name;colour\r\nquorvex;\"red; dark\"\r\n");
    assert_eq!(&*text.content, "| name | colour |\n| --- | --- |\n| quorvex | red; dark |\n");
    assert_eq!((text.kind, text.lines), (TextKind::Markdown, false));
}

#[test]
fn plain_text_of_any_encoding_is_read() {
    let sentence = "Der Quorvex schließt die Tür; naïve Übung.\n".repeat(5);
    let (legacy, ..) = encoding_rs::WINDOWS_1252.encode(&sentence);
    let wide: Vec<u8> = sentence.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xef\xbb\xbf".as_slice(), sentence.as_bytes()].concat();
    for bytes in [sentence.as_bytes(), &legacy, &wide, &marked] {
        let (text, _) = text("a.txt", bytes);
        assert_eq!(&*text.content, sentence);
        assert_eq!((text.kind, text.lines), (TextKind::Plain, true));
    }
}

#[test]
fn ten_megabytes_of_text_come_out_unchanged_and_are_not_copied() {
    for mark in ["", "\u{feff}"] {
        let line = "A line of Größe, of a quorvex.\n".repeat(350_000);
        let bytes = format!("{mark}{line}").into_boxed_str().into_boxed_bytes();
        let read = bytes[mark.len()..].as_ptr();
        let (text, _) = text("a.txt", bytes);
        assert!(*text.content == line);
        assert_eq!(text.content.as_ptr(), read);
    }
}

#[test]
fn what_is_not_for_this_stage_is_skipped_with_a_reason() {
    assert_eq!(skip("a.txt", ""), "empty");
    assert_eq!(skip("a.txt", "\u{feff} \r\n\t"), "empty");
    assert_eq!(skip("a.html", "<html><body> </body></html>"), "empty");
    assert_eq!(skip("a.bin", noise(4000)), "no known type: application/octet-stream");
    assert_eq!(skip("a.png", "\u{89}x"), "an image: needs a vision stage");
    assert_eq!(skip("a.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0"), "an image: needs a vision stage");
    assert_eq!(skip("a.pdf", include_bytes!("fixtures/no-text.pdf")), "needs OCR: no text layer");
    assert_eq!(skip("a.mbox", "From x\n\ny"), "no reader for `mbox` files");
    let slides = archive(&[("[Content_Types].xml", b"<Types/>"), ("ppt/presentation.xml", b"<p/>")]);
    assert_eq!(skip("a.docx", slides), "empty presentation", "content goes before the name");
    let drawing = archive(&[("mimetype", b"application/vnd.oasis.opendocument.graphics")]);
    assert_eq!(skip("a", drawing), "no reader for `odg` files");
}

#[test]
fn what_is_locked_says_so() {
    assert_eq!(error("a.pdf", include_bytes!("fixtures/password.pdf")), "encrypted: this PDF needs a password");
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let locked = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &noise(600), &name, &[0; 600]].concat();
    assert!(error("a.docx", locked).starts_with("encrypted: "));
}

#[test]
fn what_is_broken_says_so() {
    assert_eq!(error("a.pdf", "no header here"), "broken: no `%PDF-` header");
    let message = error("a.pdf", [b"%PDF-1.7\n".as_slice(), &noise(5000)].concat());
    assert!(message.starts_with("broken: `") && message.contains("`unpdf` says"), "{message}");
    assert!(error("a.docx", noise(5000)).starts_with("broken: "));
    assert!(error("a.docx", &DOCX[..DOCX.len() / 2]).starts_with("broken: its zip archive"));
    let without = archive(&[("hello.txt", b"quorvex")]);
    assert_eq!(error("a.docx", without), "broken: a zip archive without a Word document in it");
    for name in ["a.json", "a.md", "a.csv", "a.rs", "a.html"] {
        assert!(error(name, noise(5000)).starts_with("broken: binary data"), "{name}");
    }
}

/// Whatever is cut off or flipped, the stage answers: with text, a skip or an error.
#[test]
fn damage_is_answered_and_nothing_panics() {
    for (name, whole) in [("a.pdf", PDF), ("a.docx", DOCX)] {
        let step = whole.len() / 24 + 1;
        for end in (1..whole.len()).step_by(step) {
            let _ = run(&Config::default(), record(name, &whole[..end]));
            let mut flipped = whole.to_vec();
            flipped[end] ^= 0x55;
            let _ = run(&Config::default(), record(name, flipped));
        }
    }
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let body = |inner: String| format!("<w:document xmlns:w=\"x\"><w:body>{inner}</w:body></w:document>");
    let types = b"<Types/>".as_slice();
    let huge = body(" ".repeat(130 << 20));
    let bomb = archive(&[("[Content_Types].xml", types), ("word/document.xml", huge.as_bytes())]);
    assert!(bomb.len() < 2 << 20, "small when packed");
    assert_eq!(error("a.docx", bomb), "too large: over 128 MiB of XML when inflated");
    let deep = body("<w:tbl>".repeat(100_000));
    let deep = archive(&[("[Content_Types].xml", types), ("word/document.xml", deep.as_bytes())]);
    assert_eq!(error("a.docx", deep), "too large: its XML is over 256 elements deep");
    let parts: Vec<(String, &[u8])> = (0..10_001).map(|n| (format!("word/{n}.bin"), types)).collect();
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    assert_eq!(error("a.docx", archive(&parts)), "too large: 10001 parts in its archive, over 10000");
}

#[test]
fn only_formats_read_without_risk_are_trusted() {
    let stage = ParseStage::new(&Config::default()).expect("built");
    for name in ["a.txt", "a.md", "a.json", "a.csv", "a.yaml"] {
        assert!(stage.trusts(&record(name, "quorvex")), "{name}");
    }
    for name in ["a.rs", "a.py", "a.js", "a.tsx", "a.go", "a.java", "a.c", "a.hpp", "a.rb", "a.sh"] {
        assert!(!stage.trusts(&record(name, "quorvex")), "{name}: its grammar is C code");
    }
    for (name, bytes) in [("a.txt", PDF), ("a.txt", DOCX), ("a.html", b"<p>x"), ("a", b"<!doctype html>")] {
        assert!(!stage.trusts(&record(name, bytes)), "{name}: content goes before the name");
    }
}

fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(*name, options).expect("begun");
        writer.write_all(bytes).expect("written");
    }
    writer.finish().expect("ended").into_inner()
}
