//! A Word document of headings and paragraphs: a zip archive of four small XML files, nothing of it packed.

use super::prose::Prose;

const TYPES: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">\
<Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
<Default Extension=\"xml\" ContentType=\"application/xml\"/>\
<Override PartName=\"/word/document.xml\" \
ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/>\
<Override PartName=\"/word/styles.xml\" \
ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml\"/></Types>";

const RELATIONS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" \
Target=\"word/document.xml\"/></Relationships>";

const DOCUMENT_RELATIONS: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
<Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles\" \
Target=\"styles.xml\"/></Relationships>";

const STYLES: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
<w:styles xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\">\
<w:style w:type=\"paragraph\" w:default=\"1\" w:styleId=\"Normal\"><w:name w:val=\"Normal\"/></w:style>\
<w:style w:type=\"paragraph\" w:styleId=\"Heading1\"><w:name w:val=\"heading 1\"/><w:basedOn w:val=\"Normal\"/>\
<w:pPr><w:outlineLvl w:val=\"0\"/></w:pPr></w:style></w:styles>";

/// A document about as large as wanted.
pub(super) fn docx(prose: &mut Prose, size: usize) -> Vec<u8> {
    let around = TYPES.len() + RELATIONS.len() + DOCUMENT_RELATIONS.len() + STYLES.len() + 800;
    let mut body = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
        <w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>"
        .to_owned();
    let mut section = 0;
    while section == 0 || body.len() + around < size {
        if body.len() > section {
            let heading = prose.heading();
            let style = "<w:pPr><w:pStyle w:val=\"Heading1\"/></w:pPr>";
            body.push_str(&format!("<w:p>{style}<w:r><w:t>{heading}</w:t></w:r></w:p>"));
            section = body.len() + 3000;
        }
        body.push_str(&format!("<w:p><w:r><w:t xml:space=\"preserve\">{}</w:t></w:r></w:p>", prose.paragraph()));
    }
    body.push_str("<w:sectPr/></w:body></w:document>");
    stored(&[
        ("[Content_Types].xml", TYPES.as_bytes()),
        ("_rels/.rels", RELATIONS.as_bytes()),
        ("word/document.xml", body.as_bytes()),
        ("word/_rels/document.xml.rels", DOCUMENT_RELATIONS.as_bytes()),
        ("word/styles.xml", STYLES.as_bytes()),
    ])
}

/// A zip archive whose members are as they are. All together are far below 4 GiB.
fn stored(members: &[(&str, &[u8])]) -> Vec<u8> {
    let long = |length: usize| u32::try_from(length).expect("a generated document is far below 4 GiB").to_le_bytes();
    let short = |length: usize| u16::try_from(length).expect("names are short and members few").to_le_bytes();
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let place = out.len();
        // What both heads have alike: version 1.0, no flags, stored, 1 January 1980, sum and lengths.
        let mut head = Vec::new();
        head.extend_from_slice(&[10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
        head.extend_from_slice(&checksum(content).to_le_bytes());
        head.extend_from_slice(&long(content.len()));
        head.extend_from_slice(&long(content.len()));
        head.extend_from_slice(&short(name.len()));
        head.extend_from_slice(&[0, 0]);
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&head);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(content);
        directory.extend_from_slice(b"PK\x01\x02\x0a\0");
        directory.extend_from_slice(&head);
        // No comment, the first disk, no attributes.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&long(place));
        directory.extend_from_slice(name.as_bytes());
    }
    let start = out.len();
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&short(members.len()));
    out.extend_from_slice(&short(members.len()));
    out.extend_from_slice(&long(directory.len()));
    out.extend_from_slice(&long(start));
    out.extend_from_slice(&[0, 0]);
    out
}

/// CRC-32 as zip has it.
fn checksum(content: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in content {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_the_one_that_everybody_checks_with() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn every_member_is_where_the_directory_says() {
        let file = docx(&mut Prose::new(9), 20_000);
        let number =
            |at: usize, bytes: usize| (0..bytes).rev().fold(0, |sum, byte| sum << 8 | usize::from(file[at + byte]));
        let end = file.len() - 22;
        assert_eq!(&file[end..end + 4], b"PK\x05\x06");
        let (count, length, mut at) = (number(end + 10, 2), number(end + 12, 4), number(end + 16, 4));
        assert_eq!((count, at + length), (5, end));
        let mut names = Vec::new();
        for _ in 0..count {
            assert_eq!(&file[at..at + 4], b"PK\x01\x02");
            let (sum, size, name, place) =
                (number(at + 16, 4), number(at + 24, 4), number(at + 28, 2), number(at + 42, 4));
            names.push(String::from_utf8_lossy(&file[at + 46..at + 46 + name]).into_owned());
            assert_eq!(&file[place..place + 4], b"PK\x03\x04");
            let content = &file[place + 30 + name..][..size];
            assert_eq!(checksum(content) as usize, sum);
            assert!(content.starts_with(b"<?xml") && content.ends_with(b">"));
            at += 46 + name;
        }
        assert!(names.contains(&"word/document.xml".to_owned()) && names[0] == "[Content_Types].xml");
    }
}
