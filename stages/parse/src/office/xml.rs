//! XML as readers here want it: elements open and close, empty ones too; text comes resolved; what is not well formed
//! ends the part. Every loop over a part goes through this, so the deadline is looked at here and nowhere else.

use std::borrow::Cow;

use docmill_api::StepContext;
use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::reader::ReadError;

/// What stands in a part.
#[derive(Debug)]
pub(crate) enum Token<'a> {
    /// An element begins.
    Open(BytesStart<'a>),
    /// An element ends.
    Close(BytesEnd<'a>),
    /// Some text; a run of it may come in pieces.
    Text(Cow<'a, str>),
    /// The part ends.
    End,
}

/// A part under way.
pub(crate) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    cx: &'a StepContext,
    events: u32,
    depth: usize,
    /// Whether it ended before its end.
    pub(crate) damaged: bool,
}

impl<'a> Xml<'a> {
    pub(crate) fn new(xml: &'a str, cx: &'a StepContext) -> Self {
        let mut reader = Reader::from_str(xml);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        Self { reader, cx, events: 0, depth: 0, damaged: false }
    }

    /// What comes next; only the deadline is an error.
    pub(crate) fn next(&mut self) -> Result<Token<'a>, ReadError> {
        loop {
            self.events = self.events.wrapping_add(1);
            if self.events.is_multiple_of(32_768) && self.cx.is_over() {
                return Err(ReadError::OutOfTime);
            }
            return Ok(match self.reader.read_event() {
                Ok(Event::Start(element) | Event::Empty(element)) => {
                    self.depth += 1;
                    Token::Open(element)
                }
                Ok(Event::End(element)) => {
                    self.depth = self.depth.saturating_sub(1);
                    Token::Close(element)
                }
                Ok(Event::Text(text)) => Token::Text(text.xml10_content()),
                Ok(Event::CData(text)) => Token::Text(text.xml10_content()),
                Ok(Event::GeneralRef(reference)) => match resolve(&reference) {
                    Some(text) => Token::Text(text),
                    None => continue,
                },
                Ok(Event::Eof) => {
                    self.damaged |= self.depth > 0;
                    Token::End
                }
                Ok(_) => continue,
                Err(_) => {
                    self.damaged = true;
                    Token::End
                }
            });
        }
    }

    /// Passes over the rest of an element that was just opened.
    pub(crate) fn skip(&mut self) -> Result<(), ReadError> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next()? {
                Token::Open(_) => depth += 1,
                Token::Close(_) => depth -= 1,
                Token::Text(_) => {}
                Token::End => break,
            }
        }
        Ok(())
    }

    /// All text of an element that was just opened.
    pub(crate) fn text(&mut self) -> Result<String, ReadError> {
        let (mut depth, mut out) = (1_usize, String::new());
        while depth > 0 {
            match self.next()? {
                Token::Open(_) => depth += 1,
                Token::Close(_) => depth -= 1,
                Token::Text(text) => out.push_str(&text),
                Token::End => break,
            }
        }
        Ok(out)
    }
}

/// A character reference or one of XML's five entities; others are a document type's own, which office formats lack.
fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Option<Cow<'static, str>> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Some(Cow::Owned(c.to_string()));
    }
    quick_xml::escape::resolve_predefined_entity(reference).map(Cow::Borrowed)
}

/// An attribute's value. A name with a colon is the whole name, one without is the name behind any prefix.
pub(crate) fn attribute<'e>(element: &'e BytesStart<'_>, name: &str) -> Option<Cow<'e, str>> {
    let mut attributes = element.attributes();
    attributes.with_checks(false);
    let found = attributes.flatten().find(|attribute| {
        let key: &str = attribute.key.as_ref();
        key == name || (!name.contains(':') && key.rsplit(':').next() == Some(name))
    })?;
    Some(match found.normalized_value(XmlVersion::Implicit1_0) {
        Ok(value) => value,
        Err(_) => found.value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_resolved_and_damage_ends_it() {
        let cx = StepContext::detached();
        let mut xml = Xml::new("<a x:id=\"1 &amp; 2\"><b/>R&amp;D &#x41;<![CDATA[<c>]]></a><d", &cx);
        let Ok(Token::Open(element)) = xml.next() else { panic!("an element") };
        assert_eq!(attribute(&element, "id").as_deref(), Some("1 & 2"));
        assert_eq!(attribute(&element, "y:id"), None);
        assert_eq!(xml.text().expect("in time"), "R&D A<c>");
        assert!(matches!(xml.next(), Ok(Token::End)) && xml.damaged);
    }
}
