//! What stands on a PDF's pages without being part of them: notes, comments, text boxes, and what was filled into forms.
//! No text reader gives it, so it is read here from the file's objects and added behind the page that it stands on.
//!
//! A file that shows no sign of any of it pays for one search through its bytes (`signs`).

use std::collections::{BTreeMap, HashSet};

use docmill_api::{Page, StepContext, TextKind};
use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId, StringFormat, decode_text_string};

use super::signs;
use crate::reader::{Parsed, contained};
use crate::text::tidy;

/// Lines by page, in the order in which they stand there.
pub(super) type Lines = BTreeMap<u32, Vec<Line>>;

/// One annotation or one filled field.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// Of a field.
    name: Option<String>,
    text: String,
}

/// Annotations and fields of a document that are read, and of one page. More are made by machines, not by readers.
const MAX_LINES: usize = 10_000;

/// Bytes of them all.
const MAX_TEXT: usize = 4 << 20;

/// Fields within fields; a loop ends here as well.
const MAX_DEPTH: usize = 32;

/// A value shorter than this may stand on a page by chance.
const TELLING: usize = 4;

/// Reads them; none where the file shows no sign of any, or its objects cannot be read.
pub(super) fn read(bytes: &[u8], cx: &StepContext) -> Lines {
    if !signs::has_annotations(bytes) {
        return Lines::new();
    }
    contained(|| {
        let mut collector = Collector::new(cx);
        // What cannot be read here was read, or refused, by those who read the pages.
        if let Ok(document) = Document::load_mem_with_options(bytes, LoadOptions::with_filter(without_content)) {
            collector.document(&document);
        }
        Ok(collector.lines)
    })
    .unwrap_or_default()
}

/// Drops the content of pages and pictures: only objects are looked at, and those that are packed are in `ObjStm`s.
fn without_content(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    match object {
        Object::Stream(stream) if !stream.dict.has_type(b"ObjStm") => None,
        // Unpacked from where it is; what is returned counts for packed objects alone.
        Object::Stream(_) => Some((id, Object::Null)),
        object => Some((id, object.clone())),
    }
}

struct Collector<'a> {
    cx: &'a StepContext,
    lines: Lines,
    count: usize,
    bytes: usize,
    /// Fields that were written already, by name and value.
    fields: HashSet<(String, String)>,
}

impl<'a> Collector<'a> {
    fn new(cx: &'a StepContext) -> Self {
        Self { cx, lines: Lines::new(), count: 0, bytes: 0, fields: HashSet::new() }
    }

    fn is_full(&self) -> bool {
        self.count >= MAX_LINES || self.bytes >= MAX_TEXT
    }

    fn document(&mut self, document: &Document) {
        let mut last = 1;
        for (number, page) in document.get_pages() {
            if self.is_full() || self.cx.is_over() {
                return;
            }
            last = number;
            let Ok(page) = document.get_dictionary(page) else { continue };
            let annotations = page.get_deref(b"Annots", document).and_then(Object::as_array);
            for annotation in annotations.into_iter().flatten().take(MAX_LINES) {
                if let Some(annotation) = dictionary(document, annotation) {
                    self.annotation(document, number, annotation);
                }
            }
        }
        self.form(document, last);
    }

    fn annotation(&mut self, document: &Document, page: u32, annotation: &Dictionary) {
        let Ok(kind) = annotation.get_deref(b"Subtype", document).and_then(Object::as_name) else { return };
        if kind == b"Widget" {
            self.field(document, page, annotation);
        } else if signs::WRITTEN.contains(&kind)
            && let Some(text) = string(document, annotation, b"Contents")
        {
            self.add(page, None, text);
        }
    }

    /// A field that a widget shows: its value may be its parent's, its name is made of all their names.
    fn field(&mut self, document: &Document, page: u32, widget: &Dictionary) {
        let (mut names, mut value, mut field) = (Vec::new(), None, Some(widget));
        for _ in 0..MAX_DEPTH {
            let Some(current) = field else { break };
            names.extend(string(document, current, b"T"));
            value = value.or_else(|| current.get_deref(b"V", document).ok());
            field = current.get(b"Parent").ok().and_then(|parent| dictionary(document, parent));
        }
        names.reverse();
        self.filled(document, page, names.join("."), value);
    }

    /// Fields that no page shows.
    fn form(&mut self, document: &Document, page: u32) {
        let form = document.catalog().ok().and_then(|catalog| catalog.get(b"AcroForm").ok());
        let fields = form.and_then(|form| dictionary(document, form)?.get_deref(b"Fields", document).ok());
        let mut seen = HashSet::new();
        let mut open: Vec<(&Object, String, usize)> = Vec::new();
        push_children(&mut open, fields, "", 0);
        while let Some((object, prefix, depth)) = open.pop() {
            if self.is_full() || self.cx.is_over() || depth > MAX_DEPTH {
                continue;
            }
            if let Ok(id) = object.as_reference()
                && !seen.insert(id)
            {
                continue;
            }
            let Some(field) = dictionary(document, object) else { continue };
            let name = match string(document, field, b"T") {
                Some(own) if prefix.is_empty() => own,
                Some(own) => format!("{prefix}.{own}"),
                None => prefix,
            };
            self.filled(document, page, name.clone(), field.get_deref(b"V", document).ok());
            push_children(&mut open, field.get_deref(b"Kids", document).ok(), &name, depth + 1);
        }
    }

    fn filled(&mut self, document: &Document, page: u32, name: String, value: Option<&Object>) {
        let Some(text) = value.and_then(|value| value_text(document, value)) else { return };
        let name = if name.is_empty() { "field".to_owned() } else { name };
        if self.fields.insert((name.clone(), text.clone())) {
            self.add(page, Some(name), text);
        }
    }

    fn add(&mut self, page: u32, name: Option<String>, text: String) {
        if self.is_full() {
            return;
        }
        self.count += 1;
        self.bytes += text.len() + name.as_ref().map_or(0, String::len);
        let line = Line { name, text };
        let lines = self.lines.entry(page).or_default();
        // A popup says again what its note says.
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
}

fn push_children<'a>(
    open: &mut Vec<(&'a Object, String, usize)>,
    list: Option<&'a Object>,
    prefix: &str,
    depth: usize,
) {
    let children = list.and_then(|list| list.as_array().ok());
    let children = children.into_iter().flatten().take(MAX_LINES.saturating_sub(open.len()));
    let first = open.len();
    open.extend(children.map(|child| (child, prefix.to_owned(), depth)));
    open[first..].reverse();
}

/// A dictionary, or what a reference to one leads to.
fn dictionary<'a>(document: &'a Document, object: &'a Object) -> Option<&'a Dictionary> {
    document.dereference(object).ok()?.1.as_dict().ok()
}

/// A text that an entry holds: on one line, nothing where it is blank.
fn string(document: &Document, holder: &Dictionary, key: &[u8]) -> Option<String> {
    decoded(holder.get_deref(key, document).ok()?)
}

/// What a field holds: a text, a choice or several; a box that is not ticked holds nothing.
fn value_text(document: &Document, value: &Object) -> Option<String> {
    match document.dereference(value).ok()?.1 {
        text @ Object::String(..) => decoded(text),
        Object::Name(name) if name == b"Off" => None,
        Object::Name(name) => one_line(&String::from_utf8_lossy(name)),
        Object::Array(choices) => {
            let choices = choices.iter().take(100);
            let choices = choices.filter_map(|choice| decoded(document.dereference(choice).ok()?.1));
            Some(choices.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
        }
        _ => None,
    }
}

/// A text string. Its line ends have no place in the encoding that the library knows, which would join the words.
fn decoded(object: &Object) -> Option<String> {
    let bytes = object.as_str().ok()?;
    if bytes.starts_with(b"\xfe\xff") || bytes.starts_with(b"\xef\xbb\xbf") {
        return one_line(&decode_text_string(object).ok()?);
    }
    let blanked = bytes.iter().map(|byte| if byte.is_ascii_whitespace() { b' ' } else { *byte }).collect();
    one_line(&decode_text_string(&Object::String(blanked, StringFormat::Literal)).ok()?)
}

fn one_line(text: &str) -> Option<String> {
    let line = tidy(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line.floor_char_boundary(MAX_TEXT / 16);
    (!line.is_empty()).then(|| line[..end].to_owned())
}

/// Adds them behind the pages that they stand on, but for what those pages say already.
pub(super) fn add(parsed: &mut Parsed, lines: &Lines) {
    if lines.is_empty() {
        return;
    }
    let mut text = String::with_capacity(parsed.content.len() + 1024);
    let mut starts = Vec::with_capacity(parsed.pages.len());
    let mut left = lines.iter().peekable();
    for (index, page) in parsed.pages.iter().enumerate() {
        while let Some((number, lines)) = left.next_if(|(number, _)| **number < page.number) {
            push_page(&mut text, &mut starts, *number, "", lines);
        }
        let end = parsed.pages.get(index + 1).map_or(parsed.content.len(), |next| next.offset);
        let body = parsed.content.get(page.offset..end).unwrap_or_default().trim_end();
        let lines = left.next_if(|(number, _)| **number == page.number).map_or(&[][..], |(_, lines)| lines);
        push_page(&mut text, &mut starts, page.number, body, lines);
    }
    for (number, lines) in left {
        push_page(&mut text, &mut starts, *number, "", lines);
    }
    parsed.content = text.into_boxed_str().into();
    parsed.pages = starts;
}

/// A document of nothing else: a scan that somebody wrote notes on, a form on a picture.
pub(super) fn alone(lines: &Lines) -> Parsed {
    let mut parsed = Parsed::new("annotations", TextKind::Plain, "").note("text_layer", "none");
    add(&mut parsed, lines);
    parsed
}

fn push_page(text: &mut String, starts: &mut Vec<Page>, number: u32, body: &str, lines: &[Line]) {
    let said = words(body);
    let new: Vec<String> = lines.iter().filter(|line| !is_said(&said, &line.text)).map(Line::written).collect();
    if body.is_empty() && new.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    starts.push(Page { offset: text.len(), number });
    text.push_str(body);
    if !new.is_empty() {
        text.push_str(if body.is_empty() { "" } else { "\n\n" });
        text.push_str(&new.join("\n"));
    }
}

impl Line {
    fn written(&self) -> String {
        match &self.name {
            Some(name) => format!("Form: {name} = {}", self.text),
            None => format!("Annotation: {}", self.text),
        }
    }
}

/// A text's letters and digits, one blank between words: how readers set words and marks apart differs.
fn words(text: &str) -> String {
    let mut out = String::from(" ");
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        out.extend(word.chars().flat_map(char::to_lowercase));
        out.push(' ');
    }
    out
}

fn is_said(said: &str, text: &str) -> bool {
    let text = words(text);
    text.trim().chars().count() >= TELLING && said.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_behind_their_page_and_offsets_follow() {
        let mut parsed = Parsed::new("x", TextKind::Plain, "The quorvex.\n\nThe zant slept.");
        parsed.pages = vec![Page { offset: 0, number: 2 }, Page { offset: 14, number: 4 }];
        let note = |text: &str| Line { name: None, text: text.to_owned() };
        let field = Line { name: Some("a.b".to_owned()), text: "brindle".to_owned() };
        let lines =
            Lines::from([(1, vec![note("first")]), (2, vec![note("the  Quorvex"), field]), (9, vec![note("last")])]);
        add(&mut parsed, &lines);
        assert_eq!(
            &*parsed.content,
            "Annotation: first\n\nThe quorvex.\n\nForm: a.b = brindle\n\nThe zant slept.\n\nAnnotation: last"
        );
        let at = |word: &str| parsed.content.find(word).expect("there");
        let expected = [(at("Annotation: first"), 1), (at("The q"), 2), (at("The z"), 4), (at("Annotation: last"), 9)];
        assert_eq!(parsed.pages, expected.map(|(offset, number)| Page { offset, number }));
    }
}
