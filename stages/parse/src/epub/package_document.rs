//! What an EPUB says of itself: where its package document is, its title and authors, which parts are chapters and in
//! which order, which of its parts are locked. Pure functions of XML text; no archive is known here.

use std::collections::{HashMap, HashSet};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::html;
use crate::reader::{ReadError, brief};

/// A book's package document.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) title: Option<String>,
    pub(super) authors: Vec<String>,
    /// Paths of its chapters within the archive, in reading order.
    pub(super) chapters: Vec<String>,
}

/// Ways in which fonts are obscured in books that anyone may read.
const FONT_OBFUSCATION: [&str; 2] = ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"];

/// Media types of chapters; a picture or a sound in the reading order is none.
const CHAPTERS: [&str; 4] = ["application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document"];

/// Where the package document is, as the container says.
pub(super) fn path(container: &str) -> Option<String> {
    let mut found = None;
    let _ = each_element(container, |name, element, _| {
        if name == "rootfile" && found.is_none() {
            found = attribute(element, "full-path");
        }
    });
    found.map(|path| resolved("", &path)).filter(|path| !path.is_empty())
}

/// Reads a package document that stands at `path`.
pub(super) fn read(package: &str, path: &str) -> Result<Book, ReadError> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut book = Book::default();
    let (mut items, mut order) = (HashMap::new(), Vec::new());
    let walked = each_element(package, |name, element, text| match name {
        "item" => {
            if let (Some(id), Some(href)) = (attribute(element, "id"), attribute(element, "href")) {
                let media_type = attribute(element, "media-type").unwrap_or_default();
                items.insert(id, (resolved(folder, &href), media_type.to_ascii_lowercase()));
            }
        }
        "itemref" => order.extend(attribute(element, "idref")),
        "title" if book.title.is_none() && !text.trim().is_empty() => book.title = Some(text.trim().to_owned()),
        "creator" if !text.trim().is_empty() && book.authors.len() < 20 => book.authors.push(text.trim().to_owned()),
        _ => {}
    });
    walked.map_err(|error| ReadError::Broken(format!("the book's package: {error}")))?;
    let chapters = order.iter().filter_map(|id| items.get(id));
    let readable = chapters.filter(|(_, media_type)| media_type.is_empty() || CHAPTERS.contains(&media_type.as_str()));
    book.chapters = readable.map(|(path, _)| path.clone()).collect();
    if book.chapters.is_empty() {
        return Err(ReadError::Broken("a book without chapters".to_owned()));
    }
    Ok(book)
}

/// Which parts cannot be read without a key.
pub(super) fn locked(encryption: &str) -> HashSet<String> {
    let (mut locked, mut algorithm) = (HashSet::new(), String::new());
    // What is damaged here locks nothing: a chapter that is encrypted all the same shows itself by being no text.
    let _ = each_element(encryption, |name, element, _| match name {
        "EncryptionMethod" => algorithm = attribute(element, "Algorithm").unwrap_or_default(),
        "CipherReference" if !FONT_OBFUSCATION.contains(&algorithm.as_str()) => {
            locked.extend(attribute(element, "URI").map(|uri| resolved("", &uri)));
        }
        _ => {}
    });
    locked
}

/// Calls `seen` with each element's local name, the element, and the text directly behind its opening tag: metadata has
/// no elements within. Called when the next tag comes, so in the order of the opening tags.
fn each_element(xml: &str, mut seen: impl FnMut(&str, &BytesStart<'_>, &str)) -> Result<(), String> {
    let mut reader = Reader::from_str(xml);
    let mut open: Option<(BytesStart<'_>, String)> = None;
    loop {
        let event = reader.read_event().map_err(|error| brief(&error.to_string()))?;
        match &event {
            Event::Text(text) => push(&mut open, &text.xml10_content()),
            Event::CData(text) => push(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                push(&mut open, &html::unescaped(&format!("&{};", reference.xml10_content())));
            }
            Event::Start(_) | Event::Empty(_) | Event::End(_) | Event::Eof => {
                if let Some((element, text)) = open.take() {
                    seen(element.local_name().as_ref(), &element, &text);
                }
            }
            _ => {}
        }
        match event {
            Event::Start(element) | Event::Empty(element) => open = Some((element, String::new())),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn push(open: &mut Option<(BytesStart<'_>, String)>, text: &str) {
    /// Longer than any title or name is.
    const ENOUGH: usize = 4096;
    if let Some((_, collected)) = open
        && collected.len() < ENOUGH
    {
        collected.push_str(text);
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found =
        element.attributes().with_checks(false).flatten().find(|each| each.key.local_name().as_ref() == name)?;
    Some(html::unescaped(&found.value).into_owned())
}

/// A reference from a folder of the archive as a path from its root: fragment off, percent signs decoded, `..` followed.
fn resolved(folder: &str, href: &str) -> String {
    let href = decoded(href.split('#').next().unwrap_or_default());
    let mut parts: Vec<&str> = if href.starts_with('/') { Vec::new() } else { folder.split('/').collect() };
    for part in href.split('/') {
        match part {
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.retain(|part| !matches!(*part, "" | "."));
    parts.join("/")
}

fn decoded(href: &str) -> String {
    if !href.contains('%') {
        return href.to_owned();
    }
    let (bytes, mut out, mut at) = (href.as_bytes(), Vec::with_capacity(href.len()), 0);
    while at < bytes.len() {
        let hexadecimal = href.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hexadecimal.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_paths() {
        assert_eq!(resolved("OEBPS/text", "../a%20b.xhtml#top"), "OEBPS/a b.xhtml");
        assert_eq!(resolved("", "./x%zz.html"), "x%zz.html");
        assert_eq!(resolved("a", "../../../b"), "b");
        assert_eq!(resolved("a", "/b"), "b");
    }

    #[test]
    fn obscured_fonts_lock_nothing() {
        let one = |algorithm: &str, uri: &str| {
            format!(
                "<e:EncryptedData><e:EncryptionMethod Algorithm=\"{algorithm}\"/><e:CipherData>\
                 <e:CipherReference URI=\"{uri}\"/></e:CipherData></e:EncryptedData>"
            )
        };
        let font = one("http://www.idpf.org/2008/embedding", "OEBPS/font.ttf");
        let chapter = one("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/one%201.xhtml");
        let locked = locked(&format!("<encryption>{font}{chapter}</encryption>"));
        assert_eq!(locked, HashSet::from(["OEBPS/one 1.xhtml".to_owned()]));
    }
}
