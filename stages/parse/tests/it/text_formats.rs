//! Books, mail, XML, notebooks, JSON Lines, and what stands on the pages of a PDF: a word of each place comes through
//! the stage, and what is locked, damaged or nested without measure is answered.

use docmill_api::{Text, TextKind};
use docmill_parse::{Config, PdfChoice};

use super::{archive, error, pdf_with, record, run, text, text_with};

const CONTAINER: &str = "<container><rootfiles><rootfile full-path=\"OEBPS/book.opf\"/></rootfiles></container>";
const PACKAGE: &str = "<package xmlns:dc=\"x\"><metadata><dc:title>The quorvex &amp; its valley</dc:title>\
    <dc:creator>A. Zant</dc:creator></metadata><manifest>\
    <item id=\"two\" href=\"text/two%202.xhtml\" media-type=\"application/xhtml+xml\"/>\
    <item id=\"one\" href=\"text/one.xhtml\" media-type=\"application/xhtml+xml\"/>\
    <item id=\"cover\" href=\"cover.svg\" media-type=\"image/svg+xml\"/></manifest>\
    <spine><itemref idref=\"cover\"/><itemref idref=\"one\"/><itemref idref=\"two\"/><itemref idref=\"one\"/></spine></package>";
const ONE: &str = "<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title/></head><body>\
    <h1>First</h1><p>brindlefax <a id=\"x\"/>thaw</p></body></html>";
const TWO: &str = "<html><body><h1>Second</h1><p>zantwick</p></body></html>";

fn book(more: &[(&str, &str)]) -> Vec<u8> {
    let parts = [
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", CONTAINER),
        ("OEBPS/text/two 2.xhtml", TWO),
        ("OEBPS/text/one.xhtml", ONE),
        ("OEBPS/book.opf", PACKAGE),
    ];
    let parts: Vec<(&str, &[u8])> = parts.iter().chain(more).map(|(name, text)| (*name, text.as_bytes())).collect();
    archive(&parts)
}

fn page_of(text: &Text, word: &str) -> u32 {
    let at = text.content.find(word).unwrap_or_else(|| panic!("`{word}` in {}", text.content));
    text.pages.iter().rfind(|page| page.offset <= at).expect("a page").number
}

#[test]
fn a_book_gives_its_chapters_in_reading_order() {
    let (text, document) = text("a.epub", book(&[]));
    assert_eq!(&*text.content, "# First\n\nbrindlefax thaw\n\n# Second\n\nzantwick", "each chapter once");
    assert_eq!((page_of(&text, "brindlefax"), page_of(&text, "zantwick")), (1, 2));
    assert_eq!((text.title.as_deref(), text.kind), (Some("The quorvex & its valley"), TextKind::Markdown));
    assert_eq!(document.metadata["author"], "A. Zant");
    assert!(text_with(&Config::default(), "noname", book(&[])).0.content.contains("zantwick"), "by its content");
}

#[test]
fn locked_and_damaged_books_say_so() {
    let lock = |algorithm: &str, part: &str| {
        format!(
            "<encryption><EncryptedData><EncryptionMethod Algorithm=\"{algorithm}\"/><CipherData>\
             <CipherReference URI=\"{part}\"/></CipherData></EncryptedData></encryption>"
        )
    };
    let drm = lock("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/text/one.xhtml");
    let message = error("a.epub", book(&[("META-INF/encryption.xml", &drm)]));
    assert_eq!(message, "encrypted: a book whose chapters are locked (DRM)");
    let font = lock("http://www.idpf.org/2008/embedding", "OEBPS/font.ttf");
    assert!(text("a.epub", book(&[("META-INF/encryption.xml", &font)])).0.content.contains("zantwick"));
    let without = archive(&[("mimetype", b"application/epub+zip"), ("META-INF/container.xml", CONTAINER.as_bytes())]);
    assert_eq!(error("a.epub", without), "broken: a book without its package `OEBPS/book.opf`");
    let bomb = format!("<p>{}</p>", " ".repeat(130 << 20));
    let parts = [("META-INF/container.xml", CONTAINER), ("OEBPS/book.opf", PACKAGE), ("OEBPS/text/one.xhtml", &bomb)];
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    assert_eq!(error("a.epub", archive(&parts)), "too large: over 128 MiB of markup when inflated");
}

const MAIL: &str = "From: =?utf-8?q?Ada_Qu=C3=B6rvex?= <ada@example.org>\r\nTo: Bo <bo@example.org>, c@example.org\r\n\
    Date: Tue, 1 Jul 2003 10:52:37 +0200\r\nSubject: The zantwick\r\n =?utf-8?b?w7xiZXI=?=\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=outer\r\n\r\n\
    --outer\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n\
    --inner\r\nContent-Type: text/plain; charset=windows-1251\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    brindlefax =EA=E2=EE\r\n--inner\r\nContent-Type: text/html\r\n\r\n<p>the <b>other</b> form</p>\r\n--inner--\r\n\
    --outer\r\nContent-Type: message/rfc822\r\n\r\nSubject: forwarded quorvex\r\nContent-Type: text/html\r\n\r\n\
    <h2>Head</h2><p>only in <b>HTML</b></p>\r\n\r\n\
    --outer\r\nContent-Type: application/pdf; name=\"plan.pdf\"\r\nContent-Disposition: attachment\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--outer--\r\n";

#[test]
fn mail_gives_headers_body_forwards_and_the_names_of_attachments() {
    let (text, document) = text("a.eml", MAIL);
    assert_eq!(
        &*text.content,
        "# The zantwick über\n\nFrom: Ada Quörvex <ada@example.org>\nTo: Bo <bo@example.org>, c@example.org\n\
         Date: 2003-07-01T10:52:37+02:00\n\nbrindlefax кво\n\n## forwarded quorvex\n\n\n## Head\n\nonly in **HTML**\n\n\
         Attachments:\n\n- plan.pdf\n\n"
    );
    assert_eq!((text.title.as_deref(), text.kind), (Some("The zantwick über"), TextKind::Markdown));
    assert_eq!(document.metadata["attachments"], 1);
    let wide: Vec<u8> = MAIL.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(text_with(&Config::default(), "a.eml", wide).0.content.contains("forwarded quorvex"), "saved as UTF-16");
}

#[test]
fn mail_within_mail_is_read_to_a_depth_and_refused_beyond_measure() {
    let nested = |depth: usize| {
        let wrap = |n: usize| format!("Subject: level{n}\r\nContent-Type: message/rfc822\r\n\r\n");
        (0..depth).map(wrap).collect::<String>() + "Subject: innermost\r\n\r\nquorvex\r\n"
    };
    assert!(text("a.eml", nested(9)).0.content.contains("quorvex"));
    let (deep, document) = text("a.eml", nested(500));
    assert!(deep.content.contains("level9") && !deep.content.contains("quorvex"));
    assert_eq!(document.metadata["messages_unread"], 1);
    assert!(error("a.eml", nested(2000)).starts_with("too large: 2000 messages within messages"));
}

#[test]
fn xml_is_markdown_where_it_is_prose_and_code_where_it_is_data() {
    let sentence = "The quorvex slept in the northern valleys until the thaw came.";
    let article = format!("<article>\n<title>Zant</title>\n<para>{sentence}</para>\n</article>\n");
    let (prose, _) = text("a.xml", article);
    assert_eq!(&*prose.content, format!("\n# Zant\n{sentence}\n"));
    assert_eq!((prose.kind, prose.lines, prose.title.as_deref()), (TextKind::Markdown, true, Some("Zant")));
    let (data, document) = text("a.xml", "<a>\n<quorvex>1</quorvex></a>");
    assert_eq!((data.kind, data.lines), (TextKind::Code("xml".to_owned()), true));
    assert_eq!(document.media_type.as_deref(), Some("application/xml"));
    let latin: Vec<u8> = b"<?xml version='1.0' encoding='iso-8859-2'?><a>\xb1</a>".to_vec();
    assert!(text("a.xml", latin).0.content.contains('ą'), "in the encoding that it declares");
}

#[test]
fn a_notebook_gives_its_cells() {
    let notebook = r###"{"metadata": {"kernelspec": {"name": "ir", "language": "R"}}, "nbformat": 4, "cells": [
        {"cell_type": "code", "source": ["# a comment\n", "plot(quorvex)"], "outputs": [
            {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo", "text/plain": ["<Figure>"]}},
            {"output_type": "stream", "name": "stdout", "text": ["\u001b[31mzantwick\u001b[0m\n"]},
            {"output_type": "error", "ename": "TypeError", "evalue": "no brindlefax", "traceback": ["long"]}]},
        {"cell_type": "markdown", "source": "## Thaw\n\n![x](data:image/png;base64,AAAA)"}]}"###;
    let (text, document) = text("a.ipynb", notebook);
    assert_eq!(
        &*text.content,
        "```R\n# a comment\nplot(quorvex)\n```\n\n```\n<Figure>\n```\n\n```\nzantwick\n```\n\n\
         ```\nTypeError: no brindlefax\n```\n\n## Thaw\n\n![x]()\n\n"
    );
    assert_eq!(text.title.as_deref(), Some("Thaw"), "a comment is no heading");
    assert_eq!(document.metadata["reader"], "notebook");
    let (broken, document) = text_with(&Config::default(), "a.ipynb", "{\"cells\": [quorvex");
    assert!(broken.content.contains("quorvex"));
    assert_eq!(document.metadata["parsed"], "plain text");
}

#[test]
fn json_lines_lose_no_more_than_a_bad_line() {
    let (text, document) = text("a.jsonl", "{\"a\": \"quorvex\"}\n{\"a\": \n{\"a\": \"zantwick\"}\n");
    assert_eq!(&*text.content, "{\"a\": \"quorvex\"}\n{\"a\": \n{\"a\": \"zantwick\"}\n");
    assert!(text.lines);
    assert_eq!((&document.metadata["lines_broken"], &document.metadata["first_line_broken"]), (&1.into(), &2.into()));
}

#[test]
fn what_the_source_told_goes_before_what_the_file_says() {
    let mut told = record("a.epub", book(&[]));
    let document = std::sync::Arc::make_mut(&mut told.document);
    document.metadata.insert("author".to_owned(), "told".into());
    let (records, _) = run(&Config::default(), told).expect("read").into_parts();
    assert_eq!(records[0].document.metadata["author"], "told");
}

/// A file of two pages, the first with text; `objects` are numbered from 10, and its pages name them.
fn annotated(first: &str, second: &str, catalog: &str, objects: &[&str]) -> Vec<u8> {
    let content = "BT /F1 12 Tf 72 700 Td (The quorvex slept until the thaw.) Tj ET";
    let mut all = vec![
        (1, format!("<< /Type /Catalog /Pages 2 0 R {catalog} >>")),
        (2, "<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>".to_owned()),
        (
            3,
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Resources << /Font << /F1 6 0 R >> >> {first} >>"
            ),
        ),
        (4, format!("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {second} >>")),
        (5, format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len())),
        (6, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned()),
    ];
    all.extend((10..).zip(objects.iter().map(|object| (*object).to_owned())));
    let mut file = String::from("%PDF-1.4\n");
    let mut entries = String::new();
    for (number, object) in &all {
        entries.push_str(&format!("{number} 1\n{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let start = file.len();
    file.push_str(&format!(
        "xref\n0 1\n0000000000 65535 f \n{entries}trailer\n<< /Size 40 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    ));
    file.into_bytes()
}

#[test]
fn notes_and_fields_stand_behind_the_text_of_their_page() {
    let file = annotated(
        "/Annots [10 0 R 11 0 R 12 0 R 13 0 R]",
        "/Annots 15 0 R",
        "/AcroForm << /Fields [14 0 R 17 0 R] >>",
        &[
            "<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents (A note\\ron brindlefax) /Popup 11 0 R >>",
            "<< /Type /Annot /Subtype /Popup /Rect [0 0 9 9] /Contents (A note\\ron brindlefax) >>",
            "<< /Type /Annot /Subtype /FreeText /Rect [0 0 9 9] /Contents (The quorvex slept) >>",
            "<< /Type /Annot /Subtype /Widget /Rect [0 0 9 9] /Parent 14 0 R /T (street) /V <FEFF007A00E40062> >>",
            // Its own parent: a loop.
            "<< /T (address) /Kids [13 0 R 14 0 R] /Parent 14 0 R >>",
            "[16 0 R]",
            "<< /Type /Annot /Subtype /Highlight /Rect [0 0 9 9] /Contents (on page two) >>",
            "<< /T (hidden) /FT /Btn /V /Yes >>",
        ],
    );
    for choice in [PdfChoice::Unpdf, PdfChoice::Pdfni, PdfChoice::PdfExtract] {
        let (text, _) = text_with(&pdf_with(choice), "a.pdf", file.clone());
        assert_eq!(text.content.matches("brindlefax").count(), 1, "a popup repeats its note: {}", text.content);
        assert_eq!(text.content.matches("quorvex").count(), 1, "said on the page: {}", text.content);
        assert_eq!(page_of(&text, "Annotation: A note on brindlefax"), 1);
        assert_eq!(page_of(&text, ".street = zäb"), 1);
        assert_eq!(page_of(&text, "Annotation: on page two"), 2);
        assert!(text.content.contains("Form: hidden = Yes"), "{}", text.content);
    }
}

#[test]
fn a_page_of_notes_alone_is_text_and_says_so() {
    let file = annotated("/Annots [10 0 R]", "", "", &["<< /Subtype /FreeText /Contents (zantwick) >>"]);
    // The one operator that shows text becomes one that does not.
    let noted = String::from_utf8(file).expect("ASCII").replace(" Tj ", " Td ");
    let (text, document) = text("a.pdf", noted);
    assert_eq!(&*text.content, "Annotation: zantwick");
    assert_eq!(document.metadata["text_layer"], "none");
}
