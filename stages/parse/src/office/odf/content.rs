//! The pass over OpenDocument content. Paragraphs, lists and tables nest in one another through notes, annotations and
//! frames, so what is being read is a stack of places that text goes to; its depth is bounded by the check on XML before.

use docmill_api::StepContext;
use quick_xml::events::BytesStart;

use crate::office::Kind;
use crate::office::out::{Out, check_length, one_line};
use crate::office::xml::{Token, Xml, attribute};
use crate::reader::{Parsed, ReadError};

use super::table::Table;

/// Elements within elements, as in packages.
pub(super) const MAX_DEPTH: usize = 256;

/// Spaces that one element stands for: more are drawing.
const MAX_SPACES: usize = 16;

/// What was read.
pub(super) struct Content {
    out: Out,
    damaged: bool,
}

impl Content {
    pub(super) fn finish(self, kind: Kind, title: Option<String>) -> Result<Parsed, ReadError> {
        if self.out.is_empty() {
            return Err(match self.damaged {
                true => ReadError::Broken("its XML is damaged".to_owned()),
                false => ReadError::Skipped(format!("empty {} file", kind.name())),
            });
        }
        let parsed = self.out.finish("odf", title);
        Ok(if self.damaged { parsed.note("damaged", "read up to where its XML is damaged") } else { parsed })
    }
}

/// Reads content; headers and footers are in the master pages of the styles.
pub(super) fn read(kind: Kind, content: &str, styles: &str, cx: &StepContext) -> Result<Content, ReadError> {
    let mut pass = Pass::new(kind, cx);
    pass.run(content, "body")?;
    let damaged = pass.damaged;
    if kind == Kind::Odt {
        pass.run(styles, "master-styles")?;
    }
    pass.flush_notes()?;
    Ok(Content { out: pass.out, damaged })
}

/// Where blocks of text go.
enum Place {
    /// The document.
    Document,
    /// A cell of the innermost table.
    Cell(String),
    /// A foot- or endnote.
    Note(String),
    /// A comment, with who made it.
    Annotation { author: String, text: String },
    /// What a speaker has written under a slide.
    Speaker(String),
}

/// How text is put into the document.
#[derive(Clone, Copy)]
enum Put {
    /// With a blank line around it.
    Block,
    /// As an item of a list.
    Line,
}

/// A paragraph or heading under way.
#[derive(Default)]
struct Paragraph {
    text: String,
    /// 1 to 6 for headings.
    heading: Option<usize>,
}

struct Pass<'a> {
    kind: Kind,
    cx: &'a StepContext,
    out: Out,
    places: Vec<Place>,
    paragraphs: Vec<Paragraph>,
    tables: Vec<Table>,
    /// For each open list, whether its item has had its mark.
    lists: Vec<bool>,
    /// Notes of the page or document, with their numbers.
    notes: Vec<String>,
    noted: usize,
    speaker: String,
    damaged: bool,
}

impl<'a> Pass<'a> {
    fn new(kind: Kind, cx: &'a StepContext) -> Self {
        Self {
            kind,
            cx,
            out: Out::default(),
            places: vec![Place::Document],
            paragraphs: Vec::new(),
            tables: Vec::new(),
            lists: Vec::new(),
            notes: Vec::new(),
            noted: 0,
            speaker: String::new(),
            damaged: false,
        }
    }

    /// Reads what is within the elements of one name.
    fn run(&mut self, text: &str, within: &str) -> Result<(), ReadError> {
        let cx = self.cx;
        let mut xml = Xml::new(text, cx);
        let (mut inside, mut depth) = (None, 0_usize);
        loop {
            match xml.next()? {
                Token::Open(element) => {
                    depth += 1;
                    if inside.is_none() && element.local_name().as_ref() == within {
                        inside = Some(depth);
                    } else if inside.is_some() && self.open(&element, &mut xml)? {
                        // Read to its end.
                        depth -= 1;
                    }
                }
                Token::Close(element) => {
                    if inside == Some(depth) {
                        inside = None;
                    } else if inside.is_some() {
                        self.close(element.name().as_ref())?;
                    }
                    depth = depth.saturating_sub(1);
                }
                Token::Text(words) if inside.is_some() => self.text(&words),
                Token::Text(_) => {}
                Token::End => {
                    self.damaged |= xml.damaged;
                    return Ok(());
                }
            }
        }
    }

    fn text(&mut self, words: &str) {
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        // White space in the file is one space; spaces that count have an element of their own.
        let text = &mut paragraph.text;
        for (index, word) in words.split([' ', '\n', '\t', '\r']).enumerate() {
            if index > 0 && !text.ends_with([' ', '\n']) {
                text.push(' ');
            }
            text.push_str(word);
        }
    }

    /// An element begins; whether it was read to its end here.
    fn open(&mut self, element: &BytesStart<'_>, xml: &mut Xml<'_>) -> Result<bool, ReadError> {
        match element.name().as_ref() {
            "text:p" => self.paragraphs.push(Paragraph::default()),
            "text:h" => {
                let level = attribute(element, "text:outline-level").and_then(|level| level.parse().ok());
                self.paragraphs.push(Paragraph { heading: Some(level.unwrap_or(1)), ..Paragraph::default() });
            }
            "text:s" => {
                let count = attribute(element, "text:c").and_then(|count| count.parse::<usize>().ok());
                self.append(&" ".repeat(count.unwrap_or(1).min(MAX_SPACES)));
            }
            "text:tab" => self.append("\t"),
            "text:line-break" => self.append("\n"),
            "text:list" => self.lists.push(true),
            "text:list-item" | "text:list-header" => {
                if let Some(marked) = self.lists.last_mut() {
                    *marked = false;
                }
            }
            "text:note" => {
                self.noted += 1;
                let mark = format!("[^{}]", self.noted);
                self.append(&mark);
                self.places.push(Place::Note(String::new()));
            }
            "office:annotation" => {
                self.places.push(Place::Annotation { author: String::new(), text: String::new() });
            }
            "dc:creator" => {
                let name = one_line(&xml.text()?);
                if let Some(Place::Annotation { author, .. }) = self.places.last_mut() {
                    *author = name;
                }
                return Ok(true);
            }
            "presentation:notes" => self.places.push(Place::Speaker(String::new())),
            "draw:page" => self.begin_slide(element)?,
            "table:table" => self.begin_table(element),
            "table:table-row" => {
                if let Some(table) = self.tables.last_mut() {
                    table.begin_row(element);
                }
            }
            "table:table-cell" | "table:covered-table-cell" => self.begin_cell(element),
            "svg:title" | "svg:desc" => {
                let words = one_line(&xml.text()?);
                if !words.is_empty() {
                    self.put(&format!("Image: {words}"), Put::Block)?;
                }
                return Ok(true);
            }
            // Not text that is shown, or text that was deleted, or a number that stands in for a mark.
            "text:tracked-changes"
            | "text:note-citation"
            | "office:binary-data"
            | "dc:date"
            | "meta:date-string"
            | "text:sequence-decls"
            | "text:variable-decls"
            | "text:user-field-decls"
            | "table:calculation-settings"
            | "table:content-validations"
            | "office:scripts"
            | "office:settings"
            | "presentation:date-time-decl"
            | "text:page-number"
            | "style:style"
            | "text:alphabetical-index-auto-mark-file"
            | "text:table-of-content-source"
            | "text:bibliography-source"
            | "text:illustration-index-source" => {
                xml.skip()?;
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    fn close(&mut self, name: &str) -> Result<(), ReadError> {
        match name {
            "text:p" | "text:h" => self.end_paragraph()?,
            "text:list" => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.out.end_lines();
                }
            }
            "text:note" => {
                if let Some(Place::Note(text)) = self.pop_place(|place| matches!(place, Place::Note(_))) {
                    self.notes.push(format!("[^{}]: {}", self.noted, one_line(&text)));
                }
            }
            "office:annotation" => {
                let place = self.pop_place(|place| matches!(place, Place::Annotation { .. }));
                if let Some(Place::Annotation { author, text }) = place {
                    let by = if author.is_empty() { String::new() } else { format!(" ({author})") };
                    let said = one_line(&text);
                    if !said.is_empty() {
                        self.notes.push(format!("Comment{by}: {said}"));
                    }
                }
            }
            "presentation:notes" => {
                if let Some(Place::Speaker(text)) = self.pop_place(|place| matches!(place, Place::Speaker(_))) {
                    self.speaker = text;
                }
            }
            "draw:page" => self.end_slide()?,
            "table:table-cell" | "table:covered-table-cell" => self.end_cell()?,
            "table:table-row" => self.tables.last_mut().map_or(Ok(()), Table::end_row)?,
            "table:table" => self.end_table()?,
            _ => {}
        }
        Ok(())
    }

    /// The innermost place, where it is what ends now; a damaged file may close what it did not open.
    fn pop_place(&mut self, is: impl Fn(&Place) -> bool) -> Option<Place> {
        self.places.last().is_some_and(is).then(|| self.places.pop()).flatten()
    }

    fn append(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn end_paragraph(&mut self) -> Result<(), ReadError> {
        let Some(paragraph) = self.paragraphs.pop() else { return Ok(()) };
        let text = paragraph.text.trim();
        if text.is_empty() {
            return Ok(());
        }
        let in_document = matches!(self.places.last(), Some(Place::Document));
        if let Some(level) = paragraph.heading.filter(|_| in_document && self.tables.is_empty()) {
            return self.out.heading(level, text);
        }
        let depth = self.lists.len();
        let Some(marked) = self.lists.last_mut().filter(|_| self.tables.is_empty()) else {
            return self.put(text, Put::Block);
        };
        let mark = if std::mem::replace(marked, true) { "  " } else { "- " };
        // Deeper than this no list is, and indentation costs text.
        let line = format!("{}{mark}{}", "  ".repeat(depth.min(8) - 1), text.replace('\n', " "));
        self.put(&line, Put::Line)
    }

    /// Puts text where text goes now: blocks into the document, lines elsewhere.
    fn put(&mut self, text: &str, how: Put) -> Result<(), ReadError> {
        let holder = match self.places.last_mut() {
            Some(Place::Cell(text) | Place::Note(text) | Place::Speaker(text)) => text,
            Some(Place::Annotation { text, .. }) => text,
            Some(Place::Document) | None => {
                return match how {
                    Put::Line => self.out.line(text),
                    Put::Block => self.out.block(text),
                };
            }
        };
        if !holder.is_empty() && !text.is_empty() {
            holder.push('\n');
        }
        holder.push_str(text);
        check_length(holder.len())
    }

    fn begin_slide(&mut self, element: &BytesStart<'_>) -> Result<(), ReadError> {
        if self.kind != Kind::Odp {
            return Ok(());
        }
        self.out.begin_page();
        let name = attribute(element, "draw:name").unwrap_or_default();
        self.out.heading(2, &name)
    }

    fn end_slide(&mut self) -> Result<(), ReadError> {
        let speaker = std::mem::take(&mut self.speaker);
        if !speaker.trim().is_empty() {
            self.out.block("Notes:")?;
            self.out.block(&speaker)?;
        }
        self.flush_notes()
    }

    /// Writes the notes and comments that have gathered.
    fn flush_notes(&mut self) -> Result<(), ReadError> {
        std::mem::take(&mut self.notes).iter().try_for_each(|note| self.out.block(note))
    }

    fn begin_table(&mut self, element: &BytesStart<'_>) {
        if self.kind == Kind::Ods && self.tables.is_empty() {
            self.out.begin_page();
        }
        let name = attribute(element, "table:name").unwrap_or_default().into_owned();
        self.tables.push(Table::named(name));
    }

    fn begin_cell(&mut self, element: &BytesStart<'_>) {
        self.places.push(Place::Cell(String::new()));
        if let Some(table) = self.tables.last_mut() {
            table.begin_cell(element);
        }
    }

    fn end_cell(&mut self) -> Result<(), ReadError> {
        let place = self.pop_place(|place| matches!(place, Place::Cell(_)));
        match (place, self.tables.last_mut()) {
            (Some(Place::Cell(shown)), Some(table)) => table.end_cell(shown),
            _ => Ok(()),
        }
    }

    fn end_table(&mut self) -> Result<(), ReadError> {
        let Some(table) = self.tables.pop() else { return Ok(()) };
        if !table.grid.is_empty() {
            if self.kind == Kind::Ods && self.tables.is_empty() {
                self.out.heading(2, &table.name)?;
            }
            let text = table.grid.render(self.cx)?;
            self.put(&text, Put::Block)?;
        }
        if self.kind == Kind::Ods && self.tables.is_empty() {
            self.flush_notes()?;
        }
        Ok(())
    }
}
