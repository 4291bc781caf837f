//! Packages of office formats and books: small honest ones around one part that is not.

use super::pack::{Entry, Packed, entry, holding, packed, stored, zip};
use super::{Bomb, End};

const CONTENT_TYPES: &str = "http://schemas.openxmlformats.org/package/2006/content-types";
const RELATIONS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const DECLARATION: &str = "<?xml version=\"1.0\"?>";

/// A format, by how the part that holds its text begins and ends.
#[derive(Clone, Copy)]
pub(super) struct Format {
    ending: &'static str,
    part: &'static str,
    head: &'static str,
    tail: &'static str,
    /// A paragraph, around its text.
    paragraph: (&'static str, &'static str),
}

const DOCX: Format = Format {
    ending: "docx",
    part: "word/document.xml",
    head: "<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>",
    tail: "</w:body></w:document>",
    paragraph: ("<w:p><w:r><w:t>", "</w:t></w:r></w:p>"),
};

const XLSX: Format = Format {
    ending: "xlsx",
    part: "xl/worksheets/sheet1.xml",
    head: "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>",
    tail: "</sheetData></worksheet>",
    paragraph: ("<row><c t=\"inlineStr\"><is><t>", "</t></is></c></row>"),
};

const PPTX: Format = Format {
    ending: "pptx",
    part: "ppt/slides/slide1.xml",
    head: "<p:sld xmlns:a=\"http://schemas.openxmlformats.org/drawingml/2006/main\" \
           xmlns:p=\"http://schemas.openxmlformats.org/presentationml/2006/main\"><p:cSld><p:spTree><p:sp><p:txBody>",
    tail: "</p:txBody></p:sp></p:spTree></p:cSld></p:sld>",
    paragraph: ("<a:p><a:r><a:t>", "</a:t></a:r></a:p>"),
};

const ODT: Format = Format {
    ending: "odt",
    part: "content.xml",
    head: "<office:document-content xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
           xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><office:body><office:text>",
    tail: "</office:text></office:body></office:document-content>",
    paragraph: ("<text:p>", "</text:p>"),
};

const EPUB: Format = Format {
    ending: "epub",
    part: "a.xhtml",
    head: "<html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>Rye</title></head><body>",
    tail: "</body></html>",
    paragraph: ("<p>", "</p>"),
};

const ODS_HEAD: &str = "<office:document-content xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" \
    xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\" \
    xmlns:table=\"urn:oasis:names:tc:opendocument:xmlns:table:1.0\"><office:body><office:spreadsheet>\
    <table:table table:name=\"One\">";

impl Format {
    /// A file around the part that holds the text.
    fn file(self, part: Entry) -> Vec<u8> {
        let mut entries = match self.ending {
            "docx" => ooxml(self.part, "wordprocessingml.document.main"),
            "xlsx" => {
                let sheets = "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" \
                    xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets>\
                    <sheet name=\"One\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>";
                let mut entries = ooxml("xl/workbook.xml", "spreadsheetml.sheet.main");
                entries.push(entry("xl/workbook.xml", sheets));
                let relations =
                    relations(&[("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "sharedStrings.xml")]);
                entries.push(entry("xl/_rels/workbook.xml.rels", relations));
                entries
            }
            "pptx" => {
                let slides = "<p:presentation xmlns:p=\"http://schemas.openxmlformats.org/presentationml/2006/main\" \
                    xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><p:sldIdLst>\
                    <p:sldId id=\"256\" r:id=\"rId1\"/></p:sldIdLst></p:presentation>";
                let mut entries = ooxml("ppt/presentation.xml", "presentationml.presentation.main");
                entries.push(entry("ppt/presentation.xml", slides));
                entries.push(entry("ppt/_rels/presentation.xml.rels", relations(&[("slide", "slides/slide1.xml")])));
                entries
            }
            "epub" => book(),
            _ => vec![stored("mimetype", b"application/vnd.oasis.opendocument.text")],
        };
        entries.push(part);
        zip(&entries)
    }

    /// A file with this between a head and a tail.
    fn with(self, content: &str) -> Vec<u8> {
        let text = format!("{DECLARATION}{}{content}{}", self.head, self.tail);
        self.file(entry(self.part, text))
    }

    fn paragraph(self, text: &str) -> String {
        format!("{}{text}{}", self.paragraph.0, self.paragraph.1)
    }

    /// Half a gigabyte of paragraphs, in less than a megabyte.
    fn endless(self) -> Packed {
        const LENGTH: usize = 64 << 10;
        let paragraph = self.paragraph(&"a".repeat(LENGTH));
        packed(format!("{DECLARATION}{}", self.head).as_bytes(), paragraph.as_bytes(), 8192, self.tail.as_bytes())
    }
}

fn relations(list: &[(&str, &str)]) -> String {
    let relation = |(number, (kind, target)): (usize, &(&str, &str))| {
        format!("<Relationship Id=\"rId{}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>", number + 1)
    };
    let list: String = list.iter().enumerate().map(relation).collect();
    format!("{DECLARATION}<Relationships xmlns=\"{RELATIONS}\">{list}</Relationships>")
}

/// What every package of Office has, around its main part.
fn ooxml(main: &str, kind: &str) -> Vec<Entry> {
    let types = format!(
        "{DECLARATION}<Types xmlns=\"{CONTENT_TYPES}\"><Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Override PartName=\"/{main}\" ContentType=\"application/vnd.openxmlformats-officedocument.{kind}+xml\"/></Types>"
    );
    vec![entry("[Content_Types].xml", types), entry("_rels/.rels", relations(&[("officeDocument", main)]))]
}

fn book() -> Vec<Entry> {
    let container = "<container xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\"><rootfiles>\
        <rootfile full-path=\"book.opf\"/></rootfiles></container>";
    let package = "<package xmlns=\"http://www.idpf.org/2007/opf\"><manifest>\
        <item id=\"a\" href=\"a.xhtml\" media-type=\"application/xhtml+xml\"/></manifest>\
        <spine><itemref idref=\"a\"/></spine></package>";
    vec![
        stored("mimetype", b"application/epub+zip"),
        entry("META-INF/container.xml", container),
        entry("book.opf", package),
    ]
}

fn ods(rows: &str) -> Vec<u8> {
    let content = format!(
        "{DECLARATION}{ODS_HEAD}{rows}</table:table></office:spreadsheet></office:body></office:document-content>"
    );
    zip(&[stored("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), entry("content.xml", content)])
}

pub(super) fn bombs() -> Vec<Bomb> {
    let mut bombs = Vec::new();
    for format in [DOCX, XLSX, PPTX, ODT, EPUB] {
        bombs.extend(of_every_format(format));
    }
    bombs.extend(sheets());
    bombs.extend(texts());
    bombs
}

fn of_every_format(format: Format) -> Vec<Bomb> {
    let Format { ending, part, .. } = format;
    let name = |stem: &str| format!("{stem}.{ending}");
    let endless = format.endless();
    // Chapters are held while they are counted, and the program itself may leave them too little room.
    let too_large = match ending {
        "epub" => vec!["over 128 MiB of markup", "too large: a chapter that memory does not hold"],
        _ => vec!["over 128 MiB of XML"],
    };
    let too_large = End::Failed { stage: "parse", reasons: too_large };
    let nested = format!("{}rye{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    // A book's chapters are web pages, which are read without a tree where they nest.
    let deep = if ending == "epub" { End::Done } else { End::failed("parse", "its XML is over 256 elements deep") };
    let entities = |types: &str| {
        let content = format!("{DECLARATION}{types}{}{}{}", format.head, format.paragraph("rye &b;"), format.tail);
        format.file(entry(part, content))
    };
    // Spreadsheets are read by a library that takes an entity it does not know for damage.
    let unknown = if ending == "xlsx" { End::failed("parse", "unrecognized entity `&b;`") } else { End::Done };
    vec![
        Bomb::new(name("ratio"), format.file(holding(part, endless.clone())), too_large),
        Bomb::new(
            name("lies"),
            format.file(holding(part, endless).lying()),
            End::failed("parse", "larger than its declared uncompressed size"),
        ),
        Bomb::new(name("deep"), format.with(&nested), deep),
        Bomb::new(name("laughs"), entities(super::markup::LAUGHS), unknown.clone()),
        Bomb::new(name("external"), entities(super::markup::EXTERNAL), unknown),
    ]
}

fn sheets() -> Vec<Bomb> {
    let cell = |place: &str| {
        let row = place.trim_start_matches(char::is_alphabetic);
        format!("<row r=\"{row}\"><c r=\"{place}\" t=\"inlineStr\"><is><t>rye</t></is></c></row>")
    };
    let repeated = |columns: &str, rows: &str| {
        ods(&format!(
            "<table:table-row table:number-rows-repeated=\"{rows}\"><table:table-cell office:value-type=\"string\" \
             table:number-columns-repeated=\"{columns}\"><text:p>rye</text:p></table:table-cell></table:table-row>"
        ))
    };
    let extent = format!(
        "{DECLARATION}{}{}</sheetData><mergeCells><mergeCell ref=\"A1:XFD1048576\"/></mergeCells></worksheet>",
        XLSX.head.replace("<sheetData>", "<dimension ref=\"A1:XFD1048576\"/><sheetData>"),
        cell("A1")
    );
    vec![
        Bomb::new("corner.xlsx", XLSX.with(&cell("XFD1048576")), End::Done),
        Bomb::new("corners.xlsx", XLSX.with(&(cell("A1") + &cell("XFD1048576"))), End::Done),
        Bomb::new("extent.xlsx", XLSX.file(entry(XLSX.part, extent)), End::Done),
        Bomb::new(
            "index.xlsx",
            XLSX.with("<row r=\"1\"><c r=\"A1\" t=\"s\"><v>4294967296</v></c></row>"),
            End::failed("parse", "string index not found"),
        ),
        Bomb::new("repeat.ods", repeated("16384", "1048576"), End::Done),
        Bomb::new("repeat-more.ods", repeated("18446744073709551615", "18446744073709551615"), End::Done),
    ]
}

fn texts() -> Vec<Bomb> {
    // Two gigabytes, and says so.
    let blanks = packed(b"", &[b' '; super::pack::MIB], 2048, b"");
    let attributes: String = (0..100_000).map(|number| format!(" a{number}=\"1\"")).collect();
    // Five hundred parts that are one, each said to be small. None of them is needed.
    let kernel = packed(b"<a>", &[b'a'; 64 << 10], 160, b"</a>");
    let mut overlapping = ooxml(DOCX.part, "wordprocessingml.document.main");
    overlapping.push(entry(DOCX.part, format!("{DECLARATION}{}{}{}", DOCX.head, DOCX.paragraph("rye"), DOCX.tail)));
    let place = zip(&overlapping).windows(4).position(|bytes| bytes == b"PK\x01\x02").expect("a directory") as u32;
    overlapping.push(holding("word/kernel.xml", kernel.clone()).lying());
    overlapping.extend((0..500).map(|number| holding(format!("word/{number}.xml"), kernel.clone()).lying().at(place)));
    vec![
        Bomb::new(
            "declared.docx",
            DOCX.file(holding("word/media/blank.bin", blanks)),
            End::failed("parse", "over 1024 MiB when inflated"),
        ),
        Bomb::new("overlapping.docx", zip(&overlapping), End::Done),
        Bomb::new("attributes.odt", ODT.with(&format!("<text:p{attributes}>rye</text:p>")), End::Done),
        Bomb::new("blanks.odt", ODT.with("<text:p>rye<text:s text:c=\"4294967295\"/>rye</text:p>"), End::Done),
        Bomb::new(
            "many-blanks.odt",
            ODT.with(&format!("<text:p>rye{}</text:p>", "<text:s text:c=\"100000\"/>".repeat(2_000))),
            End::Done,
        ),
    ]
}
