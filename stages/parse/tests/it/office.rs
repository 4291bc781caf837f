//! Office formats: files made here with an invented word in each place that must come out, then what is locked, empty,
//! broken or hostile. Formats that nothing here can write (xls, xlsb, doc, ppt) come from a corpus, where one is named.

use std::fmt::Write as _;

use docmill_api::Text;

use super::{archive, error, skip, text, text_with};
use docmill_parse::Config;

/// A package of parts; each text is the whole part.
fn package(parts: &[(&str, &str)]) -> Vec<u8> {
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    archive(&parts)
}

fn relations(of: &[(&str, &str, &str)]) -> String {
    let list: String = of
        .iter()
        .map(|(id, kind, target)| {
            format!(
                "<Relationship Id=\"{id}\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}\" Target=\"{target}\"/>"
            )
        })
        .collect();
    format!(
        "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{list}</Relationships>"
    )
}

fn numbers(text: &Text) -> Vec<u32> {
    text.pages.iter().map(|page| page.number).collect()
}

/// What is on a page: from where it begins to where the next does.
fn page(text: &Text, number: usize) -> &str {
    let end = text.pages.get(number).map_or(text.content.len(), |page| page.offset);
    &text.content[text.pages[number - 1].offset..end]
}

fn assert_has(content: &str, words: &[&str]) {
    for word in words {
        assert!(content.contains(word), "`{word}` is missing in:\n{content}");
    }
}

const TYPES: &str = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>";
const MAIN: &str = "xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" \
                    xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";

/// A workbook with these sheets, each the inside of its `sheetData`.
fn workbook(sheets: &[(&str, &str)], more: &[(&str, &str)]) -> Vec<u8> {
    let mut list = String::new();
    let mut targets = Vec::new();
    for (index, (name, _)) in sheets.iter().enumerate() {
        let state = if index == 1 { "hidden" } else { "visible" };
        write!(list, "<sheet name=\"{name}\" sheetId=\"{0}\" state=\"{state}\" r:id=\"r{0}\"/>", index + 1)
            .expect("written");
        targets.push((format!("r{}", index + 1), format!("worksheets/sheet{}.xml", index + 1)));
    }
    let mut of: Vec<(&str, &str, &str)> =
        targets.iter().map(|(id, target)| (id.as_str(), "worksheet", target.as_str())).collect();
    of.push(("s", "styles", "styles.xml"));
    let book = format!("<workbook {MAIN}><sheets>{list}</sheets></workbook>");
    let styles = format!(
        "<styleSheet {MAIN}><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
    );
    let main = relations(&[("r1", "officeDocument", "xl/workbook.xml")]);
    let book_relations = relations(&of);
    let sheets: Vec<(String, String)> = sheets
        .iter()
        .enumerate()
        .map(|(index, (_, data))| {
            let sheet = format!("<worksheet {MAIN}><sheetData>{data}</sheetData></worksheet>");
            (format!("xl/worksheets/sheet{}.xml", index + 1), sheet)
        })
        .collect();
    let mut parts = vec![
        ("[Content_Types].xml", TYPES),
        ("_rels/.rels", main.as_str()),
        ("xl/workbook.xml", book.as_str()),
        ("xl/styles.xml", styles.as_str()),
        ("xl/_rels/workbook.xml.rels", book_relations.as_str()),
    ];
    parts.extend(sheets.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    parts.extend_from_slice(more);
    package(&parts)
}

fn inline(place: &str, words: &str) -> String {
    format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{words}</t></is></c>")
}

#[test]
fn a_workbook_gives_every_sheet_as_a_table() {
    let first = format!(
        "<row r=\"2\">{}{}</row><row r=\"4\"><c r=\"B4\" s=\"1\"><v>45943</v></c><c r=\"D4\"><v>0.30000000000000004</v></c></row>\
         <row r=\"5\"><c r=\"B5\" t=\"b\"><v>1</v></c><c r=\"D5\" t=\"e\"><v>#N/A</v></c></row>",
        inline("B2", "quorvex"),
        inline("D2", "a|b &amp; c")
    );
    let second = format!("<row r=\"1\">{}</row>", inline("A1", "zantwick"));
    let comments = format!(
        "<comments {MAIN}><authors><author>Ann</author></authors><commentList><comment ref=\"B2\" authorId=\"0\"><text>\
         <r><t>Ann:</t></r><r><t> brindlefax</t></r></text></comment></commentList></comments>"
    );
    let drawing = "<xdr:wsDr xmlns:xdr=\"d\" xmlns:a=\"a\"><xdr:sp><xdr:nvSpPr><xdr:cNvPr id=\"1\" name=\"x\"/></xdr:nvSpPr>\
                   <xdr:txBody><a:p><a:r><a:t>mellowit</a:t></a:r></a:p></xdr:txBody></xdr:sp></xdr:wsDr>";
    let sheet_relations =
        relations(&[("a", "comments", "../comments1.xml"), ("b", "drawing", "../drawings/drawing1.xml")]);
    let core =
        "<cp:coreProperties xmlns:cp=\"c\" xmlns:dc=\"d\"><dc:title>The quorvex book</dc:title></cp:coreProperties>";
    let bytes = workbook(
        &[("First", &first), ("Hidden &amp; co", &second), ("None", "")],
        &[
            ("xl/comments1.xml", &comments),
            ("xl/drawings/drawing1.xml", drawing),
            ("xl/worksheets/_rels/sheet1.xml.rels", &sheet_relations),
            ("docProps/core.xml", core),
        ],
    );
    let (text, document) = text("a.xlsx", bytes);
    assert_eq!(numbers(&text), [1, 2, 3]);
    assert_eq!(
        page(&text, 1),
        "## First\n\n| quorvex | a\\|b & c |\n| --- | --- |\n| 2025-10-13 | 0.3 |\n| TRUE | #N/A |\n\n\
         Comments:\n\n- B2 (Ann): brindlefax\n\nmellowit\n\n"
    );
    assert_eq!(page(&text, 2), "## Hidden & co\n\n| zantwick |\n| --- |\n");
    assert_eq!(text.title.as_deref(), Some("The quorvex book"));
    assert_eq!(document.metadata["reader"], "calamine");
}

#[test]
fn a_sheet_of_two_far_corners_costs_what_two_cells_do() {
    let corners = format!(
        "<row r=\"1\">{}</row><row r=\"1048576\">{}</row>",
        inline("A1", "quorvex"),
        inline("XFD1048576", "zantwick")
    );
    let (text, _) = text("a.xlsx", workbook(&[("S", &corners)], &[]));
    assert_eq!(&*text.content, "## S\n\n| quorvex | |\n| --- | --- |\n| | zantwick |\n");
}

#[test]
fn every_row_of_a_long_sheet_is_there() {
    let mut data = String::new();
    for row in 1..=20_000 {
        write!(data, "<row r=\"{row}\">").expect("written");
        for column in ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"] {
            write!(data, "<c r=\"{column}{row}\"><v>{row}</v></c>").expect("written");
        }
        data.push_str("</row>");
    }
    let (text, _) = text("a.xlsx", workbook(&[("S", &data)], &[]));
    assert_eq!(text.content.lines().filter(|line| line.starts_with("| ")).count(), 20_001);
    assert!(text.content.contains("| 19999 | 19999 |"));
}

#[test]
fn one_broken_sheet_does_not_cost_the_others() {
    let good = format!("<row r=\"1\">{}</row>", inline("A1", "quorvex"));
    let (text, document) =
        text("a.xlsx", workbook(&[("Good", &good), ("Bad", "<row><c t=\"s\"><v>77</v></c></row>")], &[]));
    assert!(text.content.contains("quorvex"));
    assert!(document.metadata["lost_sheets"][0].as_str().expect("a name").starts_with("Bad: "));
    assert_eq!(skip("a.xlsx", workbook(&[("S", "")], &[])), "empty workbook");
}

const SLIDE: &str = "xmlns:a=\"http://schemas.openxmlformats.org/drawingml/2006/main\" \
                     xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\" \
                     xmlns:p=\"http://schemas.openxmlformats.org/presentationml/2006/main\"";

fn shape(placeholder: &str, paragraphs: &[&str]) -> String {
    let text: String = paragraphs.iter().map(|words| format!("<a:p><a:r><a:t>{words}</a:t></a:r></a:p>")).collect();
    format!(
        "<p:sp><p:nvSpPr><p:cNvPr id=\"1\" name=\"n\"/><p:nvPr>{placeholder}</p:nvPr></p:nvSpPr><p:txBody>{text}</p:txBody></p:sp>"
    )
}

fn presentation() -> Vec<u8> {
    let slide = |inside: &str| format!("<p:sld {SLIDE}><p:cSld><p:spTree>{inside}</p:spTree></p:cSld></p:sld>");
    let table = "<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tr><a:tc><a:txBody><a:p><a:r><a:t>wexlar</a:t></a:r></a:p>\
                 </a:txBody></a:tc><a:tc/></a:tr><a:tr><a:tc><a:txBody><a:p><a:r><a:t>x</a:t></a:r></a:p></a:txBody></a:tc><a:tc>\
                 <a:txBody><a:p><a:r><a:t>dromble</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>";
    let first = slide(&format!(
        "{}<p:grpSp><p:grpSp>{}</p:grpSp></p:grpSp>{table}<p:pic><p:nvPicPr><p:cNvPr id=\"2\" name=\"p\" descr=\"picture of fennigle\"/>\
         </p:nvPicPr></p:pic><p:graphicFrame><a:graphic><a:graphicData><dgm:relIds xmlns:dgm=\"d\" r:dm=\"d1\"/></a:graphicData>\
         </a:graphic></p:graphicFrame><p:graphicFrame><a:graphic><a:graphicData><c:chart xmlns:c=\"c\" r:id=\"c1\"/></a:graphicData>\
         </a:graphic></p:graphicFrame><mc:AlternateContent xmlns:mc=\"m\"><mc:Choice>{}</mc:Choice><mc:Fallback>{}</mc:Fallback>\
         </mc:AlternateContent>",
        shape("<p:ph type=\"title\"/>", &["Quorvex"]),
        shape("", &["zantwick"]),
        shape("<p:ph idx=\"1\"/>", &["chosen one", "chosen two"]),
        shape("", &["fallen"]),
    ));
    let second = slide(&(shape("<p:ph type=\"sldNum\"/>", &["7777"]) + &shape("", &["later"])));
    let notes = format!(
        "<p:notes {SLIDE}><p:cSld><p:spTree>{}{}</p:spTree></p:cSld></p:notes>",
        shape("<p:ph type=\"body\"/>", &["mellowit"]),
        shape("<p:ph type=\"sldNum\"/>", &["7777"])
    );
    let comments = format!("<p:cmLst {SLIDE}><p:cm authorId=\"0\"><p:text>grindlefop</p:text></p:cm></p:cmLst>");
    let authors = format!("<p:cmAuthorLst {SLIDE}><p:cmAuthor id=\"0\" name=\"Ann\"/></p:cmAuthorLst>");
    let diagram = format!(
        "<dgm:dataModel xmlns:dgm=\"d\" {SLIDE}><dgm:pt><dgm:t><a:p><a:r><a:t>ostrella</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:dataModel>"
    );
    let chart = format!(
        "<c:chartSpace xmlns:c=\"c\" {SLIDE}><c:title><c:tx><c:rich><a:p><a:r><a:t>Plimset</a:t></a:r></a:p></c:rich></c:tx></c:title>\
         <c:ser><c:tx><c:strRef><c:strCache><c:pt idx=\"0\"><c:v>vanterel</c:v></c:pt></c:strCache></c:strRef></c:tx><c:cat><c:strRef>\
         <c:strCache><c:pt idx=\"0\"><c:v>kobbins</c:v></c:pt></c:strCache></c:strRef></c:cat><c:val><c:numRef><c:numCache>\
         <c:pt idx=\"0\"><c:v>42</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser></c:chartSpace>"
    );
    let order = format!(
        "<p:presentation {SLIDE}><p:sldIdLst><p:sldId id=\"1\" r:id=\"b\"/><p:sldId id=\"2\" r:id=\"a\"/></p:sldIdLst></p:presentation>"
    );
    package(&[
        ("[Content_Types].xml", TYPES),
        ("_rels/.rels", &relations(&[("r", "officeDocument", "ppt/presentation.xml")])),
        ("ppt/presentation.xml", &order),
        (
            "ppt/_rels/presentation.xml.rels",
            &relations(&[
                ("a", "slide", "slides/slide1.xml"),
                ("b", "slide", "slides/slide2.xml"),
                ("c", "commentAuthors", "authors.xml"),
            ]),
        ),
        ("ppt/authors.xml", &authors),
        // The second file is shown first.
        ("ppt/slides/slide1.xml", &second),
        ("ppt/slides/slide2.xml", &first),
        (
            "ppt/slides/_rels/slide2.xml.rels",
            &relations(&[
                ("n", "notesSlide", "../notesSlides/n.xml"),
                ("m", "comments", "../comments/c.xml"),
                ("d1", "diagramData", "../diagrams/d.xml"),
                ("c1", "chart", "/ppt/charts/c.xml"),
            ]),
        ),
        ("ppt/notesSlides/n.xml", &notes),
        ("ppt/comments/c.xml", &comments),
        ("ppt/diagrams/d.xml", &diagram),
        ("ppt/charts/c.xml", &chart),
    ])
}

#[test]
fn a_presentation_gives_its_slides_in_order_with_all_that_is_on_them() {
    let (text, document) = text("a.pptx", presentation());
    assert_eq!(numbers(&text), [1, 2]);
    assert_eq!(
        page(&text, 1),
        "## Quorvex\n\nzantwick\n\n| wexlar | |\n| --- | --- |\n| x | dromble |\n\nImage: picture of fennigle\n\n- ostrella\n\n\
         Plimset\n\n| | vanterel |\n| --- | --- |\n| kobbins | 42 |\n\n- chosen one\n- chosen two\n\nNotes:\n\n- mellowit\n\n\
         Comment (Ann): grindlefop\n\n"
    );
    assert_eq!(page(&text, 2), "## Slide 2\n\nlater\n");
    assert_eq!(text.title.as_deref(), Some("Quorvex"));
    assert_eq!(
        document.media_type.as_deref(),
        Some("application/vnd.openxmlformats-officedocument.presentationml.presentation")
    );
    assert!(super::text("no-name", presentation()).0.content.contains("mellowit"), "by its content");
}

const ODF: &str = "xmlns:office=\"o\" xmlns:text=\"t\" xmlns:table=\"b\" xmlns:draw=\"d\" xmlns:dc=\"c\" xmlns:svg=\"s\" \
                   xmlns:presentation=\"p\" xmlns:style=\"y\"";

fn open_document(media_type: &str, body: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let content = format!("<office:document-content {ODF}><office:body>{body}</office:body></office:document-content>");
    let meta = format!(
        "<office:document-meta {ODF}><office:meta><dc:title>The quorvex</dc:title></office:meta></office:document-meta>"
    );
    let mut parts = vec![("mimetype", media_type), ("content.xml", &content), ("meta.xml", &meta)];
    parts.extend_from_slice(more);
    package(&parts)
}

const ODT_BODY: &str = "<office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>\
    <text:h text:outline-level=\"2\">Zantwick</text:h><text:p>a<text:s text:c=\"2\"/>b<text:span> mel<text:span>lowit</text:span></text:span>\
    <text:note><text:note-citation>7</text:note-citation><text:note-body><text:p>brindlefax</text:p></text:note-body></text:note>\
    <office:annotation><dc:creator>Ann</dc:creator><dc:date>2020</dc:date><text:p>grindlefop</text:p></office:annotation> end</text:p>\
    <text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>deeper</text:p></text:list-item></text:list>\
    </text:list-item></text:list><table:table><table:table-row><table:table-cell><text:p>wexlar</text:p></table:table-cell>\
    <table:table-cell/></table:table-row><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell><table:table-cell>\
    <text:p>dro|mble</text:p><text:p>more</text:p></table:table-cell></table:table-row></table:table>\
    <text:p><draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box><svg:desc>fennigle</svg:desc></draw:frame></text:p></office:text>";

const ODT_TEXT: &str = "## Zantwick\n\na  b mellowit[^1] end\n\n- one\n  - deeper\n\n| wexlar | |\n| --- | --- |\n| x | dro\\|mble more |\n\n\
    boxed\n\nImage: fennigle";

#[test]
fn open_document_text_gives_markdown() {
    let styles = format!(
        "<office:document-styles {ODF}><office:styles><text:p>no</text:p></office:styles><office:master-styles><style:master-page>\
         <style:header><text:p>ostrella</text:p></style:header></style:master-page></office:master-styles></office:document-styles>"
    );
    let media_type = "application/vnd.oasis.opendocument.text";
    let bytes = open_document(media_type, ODT_BODY, &[("styles.xml", &styles)]);
    let (text, document) = text("a.bin", bytes);
    assert_eq!(&*text.content, format!("{ODT_TEXT}\n\nostrella\n\n[^1]: brindlefax\n\nComment (Ann): grindlefop\n"));
    assert_eq!(text.title.as_deref(), Some("The quorvex"));
    assert_eq!(document.media_type.as_deref(), Some(media_type));
    let flat = format!(
        "<office:document {ODF} office:mimetype=\"{media_type}\"><office:body>{ODT_BODY}</office:body></office:document>"
    );
    let (flat, _) = super::text("a.fodt", flat);
    assert_eq!(&*flat.content, format!("{ODT_TEXT}\n\n[^1]: brindlefax\n\nComment (Ann): grindlefop\n"));
}

#[test]
fn open_document_sheets_are_tables_and_repeats_cost_nothing() {
    let body = "<office:spreadsheet><table:table table:name=\"First\"><table:table-row table:number-rows-repeated=\"1048000\">\
        <table:table-cell table:number-columns-repeated=\"16384\"/></table:table-row><table:table-row><table:table-cell \
        office:value-type=\"date\" office:date-value=\"2025-10-13\"><text:p>13/10/25</text:p></table:table-cell><table:table-cell \
        office:value-type=\"float\" office:value=\"0.5\"><text:p>50%</text:p></table:table-cell><table:table-cell office:value-type=\"float\" \
        office:value=\"7\"/><table:table-cell table:number-columns-repeated=\"2\" office:value-type=\"string\"><text:p>quorvex</text:p>\
        <office:annotation><text:p>brindlefax</text:p></office:annotation></table:table-cell></table:table-row></table:table>\
        <table:table table:name=\"Empty\"/><table:table table:name=\"Last\"><table:table-row table:number-rows-repeated=\"1000000\">\
        <table:table-cell><text:p>zantwick</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>";
    let (text, _) = text("a.ods", open_document("application/vnd.oasis.opendocument.spreadsheet", body, &[]));
    assert_eq!(numbers(&text), [1, 2, 3]);
    assert_eq!(
        page(&text, 1),
        "## First\n\n| 2025-10-13 | 50% | 7 | quorvex | quorvex |\n| --- | --- | --- | --- | --- |\n\nComment: brindlefax\n\n"
    );
    assert!(page(&text, 3).starts_with("## Last\n\n| zantwick |\n"));
    assert_eq!(page(&text, 3).matches("zantwick").count(), 100);
}

#[test]
fn open_document_slides_are_pages_with_their_notes() {
    let body = "<office:presentation><draw:page draw:name=\"Quorvex\"><draw:frame><draw:text-box><text:list><text:list-item>\
        <text:p>zantwick</text:p></text:list-item></text:list></draw:text-box></draw:frame><presentation:notes><draw:frame>\
        <draw:text-box><text:p>mellowit</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>\
        <draw:page draw:name=\"Two\"><draw:g><draw:custom-shape><text:p>brindlefax</text:p></draw:custom-shape></draw:g></draw:page>\
        </office:presentation>";
    let (text, _) = text("a.odp", open_document("application/vnd.oasis.opendocument.presentation", body, &[]));
    assert_eq!(page(&text, 1), "## Quorvex\n\n- zantwick\n\nNotes:\n\nmellowit\n\n");
    assert_eq!(page(&text, 2), "## Two\n\nbrindlefax\n");
}

#[test]
fn a_word_document_gives_what_stands_beside_its_text() {
    let word = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\" \
                xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";
    let run = |words: &str| format!("<w:p><w:r><w:t>{words}</w:t></w:r></w:p>");
    let math = "<w:p><m:oMath xmlns:m=\"m\"><m:f><m:num><m:r><m:t>kobbins</m:t></m:r></m:num></m:f></m:oMath></w:p>";
    let body = format!(
        "<w:document {word} xmlns:wps=\"s\" xmlns:mc=\"http://schemas.openxmlformats.org/markup-compatibility/2006\"><w:body>{}\
         <w:tbl><w:tr><w:tc>{}</w:tc></w:tr><w:tr><w:tc>{}</w:tc></w:tr></w:tbl><w:p><w:r><w:t>x</w:t><w:footnoteReference w:id=\"2\"/>\
         <w:endnoteReference w:id=\"2\"/></w:r></w:p><w:p><w:r><mc:AlternateContent><mc:Choice Requires=\"wps\"><w:drawing><wps:wsp>\
         <wps:txbx><w:txbxContent>{}</w:txbxContent></wps:txbx></wps:wsp></w:drawing></mc:Choice></mc:AlternateContent></w:r></w:p>\
         <w:sectPr><w:headerReference w:type=\"default\" r:id=\"h\"/><w:footerReference w:type=\"default\" r:id=\"f\"/></w:sectPr>\
         </w:body></w:document>",
        run("quorvex</w:t><w:br/><w:t>vanterel") + math,
        run("wexlar"),
        run("dromble"),
        run("fennigle")
    );
    let notes = |kind: &str, words: &str| {
        format!("<w:{kind}s {word}><w:{kind} w:id=\"2\">{}</w:{kind}></w:{kind}s>", run(words))
    };
    let comments = format!(
        "<w:comments {word}><w:comment w:id=\"0\" w:author=\"Ann\">{}</w:comment></w:comments>",
        run("grindlefop")
    );
    let (header, footer) =
        (format!("<w:hdr {word}>{}</w:hdr>", run("ostrella")), format!("<w:ftr {word}>{}</w:ftr>", run("plimset")));
    let bytes = package(&[
        ("[Content_Types].xml", TYPES),
        ("_rels/.rels", &relations(&[("r", "officeDocument", "word/document.xml")])),
        ("word/document.xml", &body),
        (
            "word/_rels/document.xml.rels",
            &relations(&[
                ("h", "header", "header1.xml"),
                ("f", "footer", "footer1.xml"),
                ("n", "footnotes", "footnotes.xml"),
                ("e", "endnotes", "endnotes.xml"),
                ("c", "comments", "comments.xml"),
            ]),
        ),
        ("word/header1.xml", &header),
        ("word/footer1.xml", &footer),
        ("word/footnotes.xml", &notes("footnote", "brindlefax")),
        ("word/endnotes.xml", &notes("endnote", "mellowit")),
        ("word/comments.xml", &comments),
    ]);
    let (text, _) = text("a.docx", bytes);
    let beside = ["ostrella", "plimset", "brindlefax", "mellowit", "Comment (Ann): grindlefop", "Equation: kobbins"];
    assert!(!text.content.contains("quorvexvanterel"), "a line break parts words");
    assert_has(&text.content, &["quorvex", "wexlar", "dromble", "fennigle"]);
    assert_has(&text.content, &beside);
}

#[test]
fn a_package_is_known_wherever_its_parts_are() {
    let sheet =
        format!("<worksheet {MAIN}><sheetData><row r=\"1\">{}</row></sheetData></worksheet>", inline("A1", "quorvex"));
    let book = format!("<workbook {MAIN}><sheets><sheet name=\"S\" sheetId=\"1\" r:id=\"a\"/></sheets></workbook>");
    let types = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Override PartName=\"/workbook.xml\" \
                 ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/></Types>";
    let bytes = package(&[
        ("[Content_Types].xml", types),
        ("_rels/.rels", &relations(&[("r", "officeDocument", "workbook.xml")])),
        ("_rels/workbook.xml.rels", &relations(&[("a", "worksheet", "sheet1.xml")])),
        ("workbook.xml", &book),
        ("sheet1.xml", &sheet),
    ]);
    assert!(text("a", bytes).0.content.contains("quorvex"));
}

#[test]
fn rich_text_is_told_by_its_bytes() {
    let (text, document) = text("a.doc", "{\\rtf1\\ansi quor\\u118?ex\\par}");
    assert_eq!(&*text.content, "quorvex\n");
    assert_eq!(document.media_type.as_deref(), Some("application/rtf"));
}

#[test]
fn what_is_locked_empty_or_broken_says_so() {
    let manifest = "<m:manifest xmlns:m=\"x\"><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>";
    let media_type = "application/vnd.oasis.opendocument.text";
    let locked = open_document(media_type, "", &[("META-INF/manifest.xml", manifest)]);
    assert_eq!(error("a.odt", locked), "encrypted: an `odt` document that needs a password");
    assert_eq!(skip("a.odt", open_document(media_type, "<office:text/>", &[])), "empty odt file");
    assert_eq!(skip("a.rtf", "{\\rtf1 }"), "empty rtf file");
    let whole = presentation();
    assert!(error("a.pptx", &whole[..whole.len() / 2]).starts_with("broken: its zip archive"));
    let other = package(&[("hello.txt", "quorvex")]);
    assert_eq!(error("a.xlsx", other.clone()), "broken: a zip archive without the parts of an `xlsx` file");
    assert_eq!(skip("a.zip", other), "no reader for `zip` files");
    let torn = open_document(media_type, "<office:text><text:p>quorvex</text:p><!-- torn", &[]);
    assert!(text("a.odt", torn).1.metadata.contains_key("damaged"));
    assert!(error("a.fodt", "<office:document").starts_with("broken: "));
    for name in ["a.xls", "a.doc", "a.ppt"] {
        assert!(error(name, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0".repeat(100)).starts_with("broken: "), "{name}");
    }
}

#[test]
fn depth_and_size_have_an_end() {
    let media_type = "application/vnd.oasis.opendocument.text";
    let deep = format!("<office:text>{}", "<text:section>".repeat(100_000));
    assert_eq!(error("a.odt", open_document(media_type, &deep, &[])), "too large: its XML is over 256 elements deep");
    let flat = format!("<office:document {ODF} office:mimetype=\"{media_type}\"><office:body>{deep}");
    assert_eq!(error("a.fodt", flat), "too large: its XML is over 256 elements deep");
    let shared =
        format!("<office:text>{}</office:text>", format!("<text:p>{}</text:p>", "x".repeat(1 << 20)).repeat(70));
    assert_eq!(error("a.odt", open_document(media_type, &shared, &[])), "too large: over 64 MiB of text");
}

/// Whatever is cut off or flipped, the stage answers.
#[test]
fn damage_is_answered_by_every_reader() {
    let odt = open_document("application/vnd.oasis.opendocument.text", ODT_BODY, &[]);
    let sheet = workbook(&[("S", &format!("<row r=\"1\">{}</row>", inline("A1", "quorvex")))], &[]);
    for (name, whole) in [("a.pptx", presentation()), ("a.odt", odt), ("a.xlsx", sheet)] {
        let step = whole.len() / 40 + 1;
        for end in (1..whole.len()).step_by(step) {
            let _ = super::run(&Config::default(), super::record(name, &whole[..end]));
            let mut flipped = whole.clone();
            flipped[end] ^= 0x55;
            let _ = super::run(&Config::default(), super::record(name, flipped));
        }
    }
}

/// Skipped unless `DOCMILL_CORPUS` names a directory with the corpus.
#[test]
fn old_formats_of_a_corpus_give_their_words() {
    let Some(corpus) = std::env::var_os("DOCMILL_CORPUS").map(std::path::PathBuf::from) else { return };
    for (folder, ending, word) in [
        ("xlsx", "6a8b40-test-columnar.xlsx", "|"),
        ("xlsx", "22ad12-issue444.xls", "|"),
        ("xlsx", "0ced97-testEXCEL_charts.xlsb", "|"),
        ("other", "87a69b-testWORD_various.doc", "Footnote"),
    ] {
        let bytes = std::fs::read(corpus.join(folder).join(ending)).expect("in the corpus");
        let (text, _) = text_with(&Config::default(), ending, bytes);
        assert_has(&text.content, &[word]);
    }
    for locked in ["3ad12a-password.xls", "6e4d8b-password_protected.xlsx", "153146-pass_protected.ods"] {
        let bytes = std::fs::read(corpus.join("xlsx").join(locked)).expect("in the corpus");
        assert!(error(locked, bytes).starts_with("encrypted: "), "{locked}");
    }
}
