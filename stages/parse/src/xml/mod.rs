//! XML, by what it holds. Prose in tags (DocBook, JATS, TEI, feeds) becomes Markdown: tags are most of what a model
//! would otherwise embed, and a search for a word would find it in a tag. Data in tags (settings, build files, exports)
//! is kept as it is written: the names of its elements are what people search for. Both keep their line numbers, prose
//! where its source is laid out in lines.
//!
//! Entities are never expanded, but for characters: a few bytes of nested entities make gigabytes.

mod prose;

use docmill_api::{StepContext, TextKind};
use quick_xml::Reader as XmlEvents;
use quick_xml::events::Event;

use crate::html;
use crate::plain::{decoded, verbatim, with_encoding, without_structure};
use crate::reader::{Input, Parsed, ReadError, Reader};

/// Reads XML.
#[derive(Debug)]
pub(crate) struct XmlReader;

/// Roots of feeds: prose, however short their entries are.
const FEEDS: [&str; 3] = ["rss", "feed", "RDF"];

/// Roots of programs written in XML.
const PROGRAMS: [&str; 5] = ["stylesheet", "transform", "schema", "grammar", "definitions"];

/// Words in a row that make a text: shorter ones are names and values.
const SENTENCE: usize = 4;

/// How many events pass between two looks at the clock.
const EVENTS_A_LOOK: usize = 65_536;

impl Reader for XmlReader {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        let declared = html::declared_charset(input.bytes).filter(|_| input.bytes.starts_with(b"<?xml"));
        let input = Input { charset: input.charset.or(declared.as_deref()), ..*input };
        let text = decoded(&input)?;
        let parsed = match survey(&text.text, cx)? {
            None => return Ok(without_structure("xml", &text)),
            Some(Content::Data) => return Ok(verbatim("xml", TextKind::Code("xml".to_owned()), &text)),
            Some(Content::Prose) => prose::convert(&text.text, false, cx)?,
            Some(Content::Feed) => prose::convert(&text.text, true, cx)?,
        };
        Ok(with_encoding(parsed, text.encoding))
    }
}

/// What an XML document holds.
#[derive(Debug, PartialEq)]
enum Content {
    Data,
    Prose,
    Feed,
}

/// Looks through a document; `None` where it is not well formed.
fn survey(xml: &str, cx: &StepContext) -> Result<Option<Content>, ReadError> {
    let mut events = XmlEvents::from_str(xml);
    let (mut depth, mut root, mut prose, mut count) = (0_usize, None, 0_usize, 0_usize);
    loop {
        let Ok(event) = events.read_event() else { return Ok(None) };
        match event {
            Event::Start(element) => {
                root.get_or_insert_with(|| element.local_name().as_ref().to_owned());
                depth += 1;
            }
            Event::Empty(element) => _ = root.get_or_insert_with(|| element.local_name().as_ref().to_owned()),
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(text) => prose += sentence(&text),
            Event::CData(text) => prose += sentence(&text),
            Event::Eof => break,
            _ => {}
        }
        count += 1;
        if count.is_multiple_of(EVENTS_A_LOOK) && cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
    }
    let Some(root) = root.filter(|_| depth == 0) else { return Ok(None) };
    Ok(Some(if FEEDS.contains(&root.as_str()) {
        Content::Feed
    } else if prose * 2 > letters(xml) && !PROGRAMS.contains(&root.as_str()) {
        Content::Prose
    } else {
        Content::Data
    }))
}

/// The letters of a text that is long enough to be a sentence.
fn sentence(text: &str) -> usize {
    if text.split_whitespace().nth(SENTENCE - 1).is_some() { letters(text) } else { 0 }
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(xml: &str) -> Parsed {
        let bytes = xml.as_bytes().to_vec().into();
        XmlReader.read(&Input { bytes: &bytes, charset: None }, &StepContext::detached()).expect("read")
    }

    #[test]
    fn data_is_kept_line_for_line() {
        let xml = "<?xml version=\"1.0\"?>\n<project>\n  <name>quorvex</name>\n  <version>1.2</version>\n</project>\n";
        let parsed = read(xml);
        assert_eq!((&*parsed.content, parsed.kind, parsed.lines), (xml, TextKind::Code("xml".to_owned()), true));
    }

    #[test]
    fn what_is_not_well_formed_is_plain_text() {
        for xml in ["<a><b></a>", "<a>quorvex", "no element at all", "<a></a><"] {
            let parsed = read(xml);
            assert_eq!(parsed.notes["parsed"], "plain text", "{xml}");
            assert_eq!((&*parsed.content, parsed.lines), (xml, true));
        }
    }

    #[test]
    fn entities_are_not_expanded() {
        let laughs: String =
            (1..=20).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(20))).collect();
        let sentence = "The quorvex of the northern valleys slept until the thaw came. ".repeat(40);
        let parsed = read(&format!(
            "<!DOCTYPE a [<!ENTITY l0 \"lol\">{laughs}]><article><title>Zant</title><para>{sentence} &l20; &amp; \
             &#x41;</para></article>"
        ));
        assert_eq!(parsed.kind, TextKind::Markdown);
        assert!(parsed.content.trim_end().ends_with("&l20; & A"), "{}", parsed.content);
    }
}
