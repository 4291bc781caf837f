//! PDF that refers to itself, counts what is not there, or unpacks without end. What can be read of it is read.

use std::collections::BTreeMap;

use super::pack::{MIB, packed, plain, zlib};
use super::{Bomb, End};

const CATALOG: &str = "<< /Type /Catalog /Pages 2 0 R >>";
const PAGES: &str = "<< /Type /Pages /Kids [3 0 R] /Count 1 >>";
const FONT: &str = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";
const TEXT: &str = "BT /F1 12 Tf 50 700 Td (Rye and barley of the valley stand high this year) Tj ET\n";

/// The numbered objects of a file. The first five are its catalog, its pages, the page, what is on it, and its font.
type Objects = BTreeMap<usize, Vec<u8>>;

/// A file of one page.
fn objects() -> Objects {
    let page = page("");
    let all = [CATALOG, PAGES, &page, "", FONT].map(|object| object.as_bytes().to_vec());
    let mut objects: Objects = (1..).zip(all).collect();
    objects.insert(4, stream("", TEXT.as_bytes()));
    objects
}

fn page(resources: &str) -> String {
    format!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R \
         /Resources << /Font << /F1 5 0 R >> {resources} >> >>"
    )
}

fn stream(fields: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("<< {fields} /Length {} >>\nstream\n", content.len());
    [head.as_bytes(), content, b"\nendstream"].concat()
}

/// The objects written down, and where each is.
fn body(objects: &Objects) -> (Vec<u8>, BTreeMap<usize, usize>) {
    let (mut out, mut places) = (b"%PDF-1.5\n".to_vec(), BTreeMap::new());
    for (number, object) in objects {
        places.insert(*number, out.len());
        out.extend(format!("{number} 0 obj\n").as_bytes());
        out.extend(object);
        out.extend(b"\nendobj\n");
    }
    (out, places)
}

/// A table of places, of so many objects by what its head says, and its trailer.
fn table(places: &BTreeMap<usize, usize>, count: u64, fields: &str) -> String {
    let size = places.keys().max().map_or(1, |last| last + 1);
    let lines: String = (1..size)
        .map(|number| match places.get(&number) {
            Some(place) => format!("{place:010} 00000 n \n"),
            None => "0000000000 65535 f \n".to_owned(),
        })
        .collect();
    let trailer = format!("trailer\n<< /Size {count} /Root 1 0 R {fields} >>\n");
    format!("xref\n0 {count}\n0000000000 65535 f \n{lines}{trailer}")
}

fn end(start: usize) -> String {
    format!("startxref\n{start}\n%%EOF\n")
}

/// A file of these objects.
fn file(objects: &Objects) -> Vec<u8> {
    let (mut out, places) = body(objects);
    let start = out.len();
    let size = places.keys().max().map_or(1, |last| last + 1) as u64;
    out.extend(table(&places, size, "").as_bytes());
    out.extend(end(start).as_bytes());
    out
}

/// A file of one page, with these objects besides or instead.
fn with<B: AsRef<[u8]>>(changes: impl IntoIterator<Item = (usize, B)>) -> Vec<u8> {
    let mut objects = objects();
    objects.extend(changes.into_iter().map(|(number, object)| (number, object.as_ref().to_vec())));
    file(&objects)
}

pub(super) fn bombs() -> Vec<Bomb> {
    let mut bombs = unpacking();
    bombs.extend(tables_of_places());
    bombs.extend(trees());
    bombs.extend(counts());
    bombs
}

/// What unpacks to more than a child may hold.
fn unpacking() -> Vec<Bomb> {
    let blanks = packed(TEXT.as_bytes(), &[b' '; MIB], 4096, b"");
    let once = stream("/Filter /FlateDecode", &zlib(&blanks));
    let twice = stream("/Filter [/FlateDecode /FlateDecode]", &zlib(&plain(&zlib(&blanks))));
    let map = "begincmap 1 begincodespacerange <00000000> <FFFFFFFF> endcodespacerange \
               1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange endcmap";
    let font = "<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /ToUnicode 6 0 R \
                /DescendantFonts [7 0 R] >>";
    let descendant = "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /X >>";
    let letters = stream("", b"BT /F1 12 Tf 50 700 Td <00410042> Tj ET");
    // A drawing of ten drawings, each of ten, twenty deep.
    let drawing = |number: usize| {
        let inner = if number < 25 { "/X Do ".repeat(10) } else { TEXT.to_owned() };
        let resources = format!("<< /XObject << /X {} 0 R >> /Font << /F1 5 0 R >> >>", number + 1);
        let fields = format!("/Type /XObject /Subtype /Form /BBox [0 0 600 800] /Resources {resources}");
        (number, stream(&fields, inner.as_bytes()))
    };
    let drawn = [(3, page("/XObject << /X 6 0 R >>").into_bytes()), (4, stream("", b"/X Do"))];
    vec![
        Bomb::new("flate.pdf", with([(4, once)]), End::exhausted()),
        Bomb::new("flate-twice.pdf", with([(4, twice)]), End::exhausted()),
        Bomb::new(
            "characters.pdf",
            with([(4, letters), (5, font.into()), (6, stream("", map.as_bytes())), (7, descendant.into())]),
            End::exhausted(),
        ),
        Bomb::new("drawings.pdf", with(drawn.into_iter().chain((6..26).map(drawing))), End::exhausted()),
        Bomb::new(
            "open-arrays.pdf",
            with([(1, format!("<< /Type /Catalog /Pages 2 0 R /X {} >>", "[".repeat(1_000_000)))]),
            End::failed("parse", "nested too deeply (stack overflow)"),
        ),
    ]
}

fn tables_of_places() -> Vec<Bomb> {
    let (out, places) = body(&objects());
    let start = out.len();
    let to_itself = table(&places, 6, &format!("/Prev {start}")) + &end(start);
    // Two of one length, so that each knows where the other is.
    let length = table(&places, 6, &format!("/Prev {start:010}")).len();
    let to_each_other = [start + length, start].map(|other| table(&places, 6, &format!("/Prev {other:010}"))).concat();
    let uncounted = table(&places, u64::from(u32::MAX), "") + &end(start);
    let packed_places: Vec<u8> = std::iter::once(&0)
        .chain(places.values())
        .flat_map(|place| [[1].as_slice(), &(*place as u32).to_be_bytes(), &[0]].concat())
        .collect();
    let indexed = |widths: &str| {
        let fields = format!("/Type /XRef /Size 2147483647 /W {widths} /Index [0 4294967295] /Root 1 0 R");
        [b"9 0 obj\n".as_slice(), &stream(&fields, &packed_places), b"\nendobj\n", end(start).as_bytes()].concat()
    };
    let ended = |rest: &[u8]| [out.as_slice(), rest].concat();
    vec![
        Bomb::new("places-self.pdf", ended(to_itself.as_bytes()), End::Done),
        Bomb::new("places-pair.pdf", ended((to_each_other + &end(start)).as_bytes()), End::Done),
        Bomb::new("places-count.pdf", ended(uncounted.as_bytes()), End::Done),
        Bomb::new("places-index.pdf", ended(&indexed("[1 4 1]")), End::Done),
        Bomb::new("places-width.pdf", ended(&indexed("[9223372036854775807 9223372036854775807 1]")), End::Done),
        Bomb::new("objects-self.pdf", objects_in_themselves(), End::Done),
    ]
}

/// A stream of objects, by its own table one of those in it, and an extension of itself.
fn objects_in_themselves() -> Vec<u8> {
    let mut objects = objects();
    objects.insert(4, stream("/DecodeParms 9 0 R", TEXT.as_bytes()));
    let (mut out, places) = body(&objects);
    let start = out.len();
    let content = b"9 0 10 20 << /Type /ObjStm >> (rye)";
    let held = stream("/Type /ObjStm /N 2 /First 10 /Extends 9 0 R", content);
    out.extend([b"9 0 obj\n".as_slice(), &held, b"\nendobj\n"].concat());
    let index = out.len();
    let line =
        |kind: u8, place: usize, extra: u8| [[kind].as_slice(), &(place as u32).to_be_bytes(), &[extra]].concat();
    let mut lines = line(0, 0, 255);
    places.values().for_each(|place| lines.extend(line(1, *place, 0)));
    (6..9).for_each(|_| lines.extend(line(0, 0, 0)));
    lines.extend([line(2, 9, 0), line(2, 9, 1), line(1, start, 0), line(1, index, 0)].concat());
    let table = stream("/Type /XRef /Size 13 /W [1 4 1] /Root 1 0 R", &lines);
    out.extend([b"12 0 obj\n".as_slice(), &table, b"\nendobj\n", end(index).as_bytes()].concat());
    out
}

fn trees() -> Vec<Bomb> {
    let pages = |kids: &str, count: u64| format!("<< /Type /Pages /Kids [{kids}] /Count {count} >>");
    let drawing = "/Type /XObject /Subtype /Form /BBox [0 0 600 800] \
                   /Resources << /XObject << /X 6 0 R >> /Font << /F1 5 0 R >> >>";
    let laughs = |number: usize| {
        let inner = if number < 19 { format!("{} 0 R ", number + 1).repeat(10) } else { "3 0 R ".repeat(10) };
        (number, format!("<< /Type /Pages /Parent {} 0 R /Kids [{inner}] /Count 10 >>", number - 1))
    };
    let fields = |kids: &str, parent: usize| format!("<< /FT /Tx /T (a) /V (b) /Kids [{kids}] /Parent {parent} 0 R >>");
    let arrays = format!("<< /Type /Catalog /Pages 2 0 R /X {}{} >>", "[".repeat(10_380), "]".repeat(10_380));
    let unpaged = End::failed("parse", "broken: ");
    vec![
        Bomb::new("arrays.pdf", with([(1, arrays)]), End::Done),
        Bomb::new("pages-cycle.pdf", with([(2, pages("3 0 R 2 0 R", 2))]), End::Done),
        Bomb::new("pages-parent.pdf", with([(3, pages("2 0 R", 1))]), unpaged.clone()),
        Bomb::new("pages-self.pdf", with([(2, "2 0 R")]), unpaged),
        Bomb::new("pages-count.pdf", with([(2, pages("3 0 R", 4_000_000_000))]), End::Done),
        Bomb::new(
            "pages-laughs.pdf",
            with([(2, pages(&"6 0 R ".repeat(10), 10))].into_iter().chain((6..20).map(laughs))),
            End::Done,
        ),
        Bomb::new(
            "drawing-self.pdf",
            with([
                (3, page("/XObject << /X 6 0 R >>").into_bytes()),
                (4, stream("", format!("{TEXT}/X Do").as_bytes())),
                (6, stream(drawing, format!("{TEXT}/X Do /X Do").as_bytes())),
            ]),
            End::Done,
        ),
        Bomb::new(
            "outline.pdf",
            with([
                (1, "<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R >>"),
                (6, "<< /First 7 0 R /Last 7 0 R /Count 1 >>"),
                (7, "<< /Title (rye) /Parent 6 0 R /Next 7 0 R /First 7 0 R >>"),
            ]),
            End::Done,
        ),
        Bomb::new(
            "fields.pdf",
            with([
                (1, "<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] >> >>".to_owned()),
                (6, fields("6 0 R 7 0 R", 7)),
                (7, fields("6 0 R 6 0 R", 6)),
            ]),
            End::Done,
        ),
        Bomb::new(
            "font-self.pdf",
            with([(5, "<< /Type /Font /Subtype /Type0 /Encoding /Identity-H /DescendantFonts [5 0 R] >>")]),
            End::Done,
        ),
    ]
}

fn counts() -> Vec<Bomb> {
    let length = |of: &str| format!("<< /Length {of} >>\nstream\n{TEXT}\nendstream");
    let predicted = "/Filter /FlateDecode /DecodeParms << /Predictor 15 /Columns 2147483647 /Colors 32 >>";
    let picture = "/Type /XObject /Subtype /Image /Width 2147483647 /Height 2147483647 /BitsPerComponent 8";
    vec![
        Bomb::new("length-self.pdf", with([(4, length("4 0 R"))]), End::Done),
        Bomb::new(
            "length-pair.pdf",
            with([(4, length("6 0 R")), (6, "7 0 R".to_owned()), (7, "6 0 R".to_owned())]),
            End::Done,
        ),
        Bomb::new("predictor.pdf", with([(4, stream(predicted, &zlib(&plain(TEXT.as_bytes()))))]), End::Done),
        Bomb::new(
            "picture.pdf",
            with([
                (3, page("/XObject << /X 6 0 R >>").into_bytes()),
                (4, stream("", format!("{TEXT}/X Do").as_bytes())),
                (6, stream(picture, b"x")),
            ]),
            End::Done,
        ),
    ]
}
