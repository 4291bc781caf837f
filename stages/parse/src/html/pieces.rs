//! HTML cut into tags and text, without a tree. Linear in the page's length, no recursion, no copy.

/// A piece of a page.
pub(super) enum Piece<'a> {
    Text(&'a str),
    Open { name: &'a str, attributes: usize, closed: bool },
    Close { name: &'a str },
}

/// Cuts a page into pieces. Comments, declarations and the content of scripts and styles are passed over.
pub(super) struct Pieces<'a> {
    rest: &'a str,
    /// Elements whose content is passed over, up to their closing tag.
    skipped: &'static [&'static str],
    /// The one of them that was opened just now.
    raw: Option<&'a str>,
}

impl<'a> Pieces<'a> {
    pub(super) fn of(html: &'a str, skipped: &'static [&'static str]) -> Self {
        Self { rest: html, skipped, raw: None }
    }

    /// Reads the content of the element that was opened just now as markup, although it is one to pass over.
    pub(super) fn enter(&mut self) {
        self.raw = None;
    }

    /// What has not been cut yet.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    /// A tag at the beginning of the rest.
    fn tag(&mut self) -> Piece<'a> {
        let end = tag_end(self.rest);
        let tag = self.take(end.length);
        let inner = tag.trim_start_matches('<').trim_end_matches('>');
        let name = |text: &'a str| {
            let end = text.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(text.len());
            &text[..end]
        };
        if let Some(closing) = inner.strip_prefix('/') {
            return Piece::Close { name: name(closing) };
        }
        let name = name(inner);
        let closed = tag.ends_with("/>");
        self.raw = Some(name).filter(|name| is_one_of(name, self.skipped));
        Piece::Open { name, attributes: end.attributes, closed }
    }
}

/// Whether a tag is one of these.
pub(super) fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|each| name.eq_ignore_ascii_case(each))
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            if let Some(name) = self.raw.take() {
                let end = find_close(self.rest, name);
                self.take(end);
            }
            if self.rest.is_empty() {
                return None;
            }
            if let Some(comment) = self.rest.strip_prefix("<!--") {
                let end = comment.find("-->").map_or(self.rest.len(), |at| at + 7);
                self.take(end);
            } else if self.rest.starts_with("<!") || self.rest.starts_with("<?") {
                let end = self.rest.find('>').map_or(self.rest.len(), |at| at + 1);
                self.take(end);
            } else if is_tag(self.rest) {
                return Some(self.tag());
            } else {
                let from = self.rest.chars().next().map_or(0, char::len_utf8);
                let end = self.rest[from..].find('<').map_or(self.rest.len(), |at| from + at);
                return Some(Piece::Text(self.take(end)));
            }
        }
    }
}

fn is_tag(text: &str) -> bool {
    let bytes = text.as_bytes();
    let letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
    bytes[0] == b'<' && (letter(1) || (bytes.get(1) == Some(&b'/') && letter(2)))
}

/// Where the closing tag of a raw element begins; the end of the text without one.
pub(super) fn find_close(text: &str, name: &str) -> usize {
    let mut from = 0;
    while let Some(at) = text[from..].find("</") {
        let start = from + at + 2;
        if text.get(start..start + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return from + at;
        }
        from = start;
    }
    text.len()
}

struct TagEnd {
    length: usize,
    attributes: usize,
}

/// Where in a tag a byte stands.
#[derive(Clone, Copy)]
enum Within {
    TagName,
    Between,
    AttributeName,
    BeforeValue,
    Value,
    Quoted(u8),
}

/// Where a tag ends, quotes minded, and how many attributes it has.
fn tag_end(text: &str) -> TagEnd {
    let (mut within, mut attributes) = (Within::TagName, 0);
    // `</name` is a name as well.
    for (at, byte) in text.bytes().enumerate().skip(2) {
        let blank = byte.is_ascii_whitespace();
        within = match (within, byte) {
            (Within::Quoted(open), _) => {
                if open == byte {
                    Within::Between
                } else {
                    within
                }
            }
            (_, b'>') => return TagEnd { length: at + 1, attributes },
            (Within::BeforeValue, b'"' | b'\'') => Within::Quoted(byte),
            (Within::BeforeValue, _) => {
                if blank {
                    within
                } else {
                    Within::Value
                }
            }
            (Within::Value, _) => {
                if blank {
                    Within::Between
                } else {
                    within
                }
            }
            (Within::Between | Within::AttributeName, b'=') => Within::BeforeValue,
            (_, b'/') => Within::Between,
            _ if blank => Within::Between,
            (Within::Between, _) => {
                attributes += 1;
                Within::AttributeName
            }
            _ => within,
        };
    }
    TagEnd { length: text.len(), attributes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_counted() {
        let count = |tag: &str| tag_end(tag).attributes;
        assert_eq!(count("<p>"), 0);
        assert_eq!(count("<a href='x y z' class=b hidden>"), 3);
        assert_eq!(count("<a href = x title = \"a b\">"), 2);
    }
}
