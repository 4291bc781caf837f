//! A PDF of text: pages of Helvetica, a content stream each, and a cross-reference table. By hand, since nothing here
//! needs more of PDF than forty lines of it say; its streams are not packed.

use super::prose::Prose;
use super::written::lines;

/// Characters in a line: Helvetica of 10 points between margins of 56 on A4 holds about this many.
const LINE: usize = 92;

/// Lines on a page, 14 points apart.
const PAGE: usize = 52;

/// Objects before the pages: catalog, page tree, font.
const BEFORE: usize = 3;

/// A document about as large as wanted.
pub(super) fn pdf(prose: &mut Prose, size: usize) -> Vec<u8> {
    let mut written = 0;
    let mut text: Vec<String> = vec![prose.heading(), String::new()];
    // What stands around a line, and around a page of them.
    while written + (written / (LINE * PAGE) + 1) * 420 + 600 < size || written == 0 {
        let paragraph = prose.paragraph();
        for line in lines(&paragraph, LINE) {
            written += line.len() + 8;
            text.push(line.to_owned());
        }
        text.push(String::new());
    }
    file(&text.chunks(PAGE).map(content).collect::<Vec<_>>())
}

/// A page's content stream.
fn content(lines: &[String]) -> String {
    let mut stream = "BT\n/F1 10 Tf\n14 TL\n56 786 Td\n".to_owned();
    for line in lines {
        let mut escaped = String::with_capacity(line.len());
        for letter in line.chars() {
            if matches!(letter, '(' | ')' | '\\') {
                escaped.push('\\');
            }
            escaped.push(letter);
        }
        stream.push_str(&format!("({escaped}) Tj T*\n"));
    }
    stream + "ET\n"
}

fn file(pages: &[String]) -> Vec<u8> {
    let page = |index: usize| BEFORE + 1 + 2 * index;
    let kids: Vec<String> = (0..pages.len()).map(|index| format!("{} 0 R", page(index))).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
    ];
    for (index, stream) in pages.iter().enumerate() {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 \
             R >>",
            page(index) + 1
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{stream}endstream", stream.len()));
    }
    // The second line says that the file is no text.
    let mut out = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n".to_vec();
    let mut places = Vec::with_capacity(objects.len());
    for (index, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", index + 1).as_bytes());
    }
    let table = out.len();
    // An entry has 20 bytes, its end of line included.
    let mut tail = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for place in places {
        tail.push_str(&format!("{place:010} 00000 n \n"));
    }
    tail.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1));
    out.extend_from_slice(tail.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_table_points_at_its_object() {
        let file = pdf(&mut Prose::new(8), 40_000);
        let text = String::from_utf8_lossy(&file[16..]).into_owned();
        assert!(file.starts_with(b"%PDF-1.4\n") && file.ends_with(b"%%EOF\n"));
        let start = text.rsplit("startxref\n").next().and_then(|rest| rest.lines().next()).expect("a start");
        let start: usize = start.parse().expect("a number");
        let table = std::str::from_utf8(&file[start..]).expect("the table is ASCII");
        let mut lines = table.lines();
        assert_eq!(lines.next(), Some("xref"));
        let count: usize = lines.next().and_then(|line| line.strip_prefix("0 ")?.parse().ok()).expect("a count");
        assert!(lines.next().is_some_and(|line| line.ends_with("65535 f ")));
        for (number, line) in (1..count).zip(lines.by_ref()) {
            let place: usize = line[..10].parse().expect("a place");
            let head = format!("{number} 0 obj\n");
            assert!(file[place..].starts_with(head.as_bytes()), "object {number} is not at {place}");
        }
        assert!(text.contains("/Count 9") || text.matches("/Type /Page ").count() > 5);
    }

    #[test]
    fn a_stream_is_as_long_as_it_says_and_brackets_are_escaped() {
        let stream = content(&["a (b) c\\d".to_owned()]);
        assert!(stream.contains("(a \\(b\\) c\\\\d) Tj"));
        let file = String::from_utf8_lossy(&file(std::slice::from_ref(&stream))).into_owned();
        let (head, rest) = file.split_once(">>\nstream\n").expect("a stream");
        let length: usize = head.rsplit("/Length ").next().and_then(|text| text.trim().parse().ok()).expect("a length");
        assert_eq!(&rest[length..length + 9], "endstream");
    }
}
