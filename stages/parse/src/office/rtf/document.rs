//! From RTF's tokens to a document: paragraphs, headings, list items, tables, notes and comments.

use docmill_api::StepContext;
use encoding_rs::Encoding;

use super::state::{Destination, State, Tables, character_set, code_page, destination};
use super::tokens::Token;
use crate::office::grid::Grid;
use crate::office::out::{Out, check_length, one_line};
use crate::reader::{Parsed, ReadError};
use crate::text::title;

/// Groups within groups. Word writes about a dozen; a state is a few words of memory.
const MAX_DEPTH: usize = 10_000;

/// A document under way.
#[derive(Default)]
pub(super) struct Document {
    out: Out,
    state: State,
    outer: Vec<State>,
    tables: Tables,
    code_page: Option<&'static Encoding>,
    default_font: i32,
    /// Bytes of text whose letters are not known before the run ends: letters of some code pages take two.
    pending: Vec<u8>,
    /// The first half of a character beyond U+FFFF.
    surrogate: Option<u16>,
    /// Characters to pass over behind `\u`.
    passing: u8,
    starred: bool,
    paragraph: String,
    style: Option<usize>,
    mark: String,
    in_table: bool,
    cell: String,
    column: u32,
    row: u32,
    table: Grid,
    /// The text of what is being read beside the body, and what of it is done.
    aside: String,
    author: String,
    noted: usize,
    notes: Vec<String>,
    title: Option<String>,
}

impl Document {
    /// Takes one token; whether the document goes on.
    pub(super) fn take(&mut self, token: Token<'_>, cx: &StepContext) -> Result<bool, ReadError> {
        let starred = std::mem::take(&mut self.starred);
        match token {
            Token::Open => {
                self.flush()?;
                if self.outer.len() == MAX_DEPTH {
                    return Err(ReadError::TooLarge(format!("its groups are over {MAX_DEPTH} deep")));
                }
                self.outer.push(self.state);
                self.passing = 0;
            }
            Token::Close => {
                self.flush()?;
                let ended = self.state;
                self.passing = 0;
                let Some(outer) = self.outer.pop() else { return Ok(false) };
                self.state = outer;
                if ended.destination != outer.destination {
                    self.end_destination(ended.destination);
                } else if ended.destination == Destination::Styles {
                    self.end_style(ended.number);
                }
                return Ok(!self.outer.is_empty());
            }
            Token::Hex(byte) => self.bytes(&[byte]),
            Token::Text(bytes) => self.bytes(bytes),
            Token::Symbol(symbol) => self.symbol(symbol)?,
            Token::Word(word, number) => self.word(word, number, starred, cx)?,
        }
        Ok(true)
    }

    /// Bytes of text, but for those that stand in for a character that was read.
    fn bytes(&mut self, bytes: &[u8]) {
        let pass = usize::from(self.passing).min(bytes.len());
        self.passing -= u8::try_from(pass).unwrap_or(self.passing);
        let skipped = matches!(self.state.destination, Destination::Skip | Destination::Fonts) || self.state.hidden;
        if !skipped {
            self.pending.extend_from_slice(&bytes[pass..]);
        }
    }

    /// Puts the letters of the bytes that wait where they belong.
    fn flush(&mut self) -> Result<(), ReadError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.pending);
        let (text, _) = self.state.encoding.decode_without_bom_handling(&bytes);
        self.push(&text)?;
        self.pending = bytes;
        self.pending.clear();
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), ReadError> {
        if self.state.hidden {
            return Ok(());
        }
        let holder = match self.state.destination {
            Destination::Skip | Destination::Fonts => return Ok(()),
            Destination::Body => &mut self.paragraph,
            Destination::Mark => &mut self.mark,
            Destination::Styles
            | Destination::Title
            | Destination::Note
            | Destination::Comment
            | Destination::Author => &mut self.aside,
        };
        holder.push_str(text);
        check_length(holder.len())
    }

    fn symbol(&mut self, symbol: u8) -> Result<(), ReadError> {
        match symbol {
            b'*' => self.starred = true,
            b'{' | b'}' | b'\\' => self.bytes(&[symbol]),
            b'~' => self.character(' ')?,
            b'_' => self.character('-')?,
            b'\t' => self.character('\t')?,
            // A hyphen that only shows at the end of a line, and marks of an index.
            _ => {}
        }
        Ok(())
    }

    fn character(&mut self, c: char) -> Result<(), ReadError> {
        self.flush()?;
        self.push(c.encode_utf8(&mut [0; 4]))
    }

    fn word(&mut self, word: &str, number: Option<i32>, starred: bool, cx: &StepContext) -> Result<(), ReadError> {
        self.flush()?;
        if word == "u" {
            return self.unicode(number.unwrap_or(0));
        }
        self.passing = 0;
        if let Some(destination) = destination(word, starred, self.state.destination) {
            self.state.destination = destination;
            if destination == Destination::Note {
                self.noted += 1;
                let mark = format!("[^{}]", self.noted);
                self.paragraph.push_str(&mark);
            }
            return Ok(());
        }
        match word {
            "uc" => self.state.fallback = u8::try_from(number.unwrap_or(1)).unwrap_or(1),
            "ansicpg" => {
                let encoding = code_page(number.unwrap_or(1252));
                (self.code_page, self.state.encoding) = (Some(encoding), encoding);
            }
            "deff" => self.default_font = number.unwrap_or(0),
            "mac" => self.state.encoding = code_page(10_000),
            "f" if self.state.destination == Destination::Fonts => self.state.number = number.unwrap_or(0),
            "fcharset" if self.state.destination == Destination::Fonts => {
                if let Some(encoding) = character_set(number.unwrap_or(0)) {
                    self.tables.set_font(self.state.number, encoding);
                }
            }
            "f" => self.set_font(number.unwrap_or(0)),
            "plain" => {
                self.state.hidden = false;
                self.set_font(self.default_font);
            }
            "v" => self.state.hidden = number != Some(0),
            "s" if self.state.destination == Destination::Styles => self.state.number = number.unwrap_or(0),
            "s" => self.style = self.tables.heading(number.unwrap_or(0)).or(self.style),
            "outlinelevel" if self.state.destination == Destination::Body => {
                let level = number.and_then(|level| usize::try_from(level).ok()).filter(|level| *level < 9);
                self.style = level.map(|level| level.min(5) + 1).or(self.style);
            }
            "tab" => self.character('\t')?,
            "line" | "softline" => self.character('\n')?,
            "emdash" => self.character('—')?,
            "endash" => self.character('–')?,
            "bullet" => self.character('•')?,
            "lquote" => self.character('‘')?,
            "rquote" => self.character('’')?,
            "ldblquote" => self.character('“')?,
            "rdblquote" => self.character('”')?,
            "emspace" | "enspace" | "qmspace" => self.character(' ')?,
            _ => self.structure(word, cx)?,
        }
        Ok(())
    }

    fn set_font(&mut self, font: i32) {
        let fallback = self.code_page.unwrap_or(encoding_rs::WINDOWS_1252);
        self.state.encoding = self.tables.font(font).unwrap_or(fallback);
    }

    fn unicode(&mut self, number: i32) -> Result<(), ReadError> {
        self.passing = self.state.fallback;
        // Numbers are written signed, in 16 bits.
        let Ok(unit) = u16::try_from(if number < 0 { number + 65_536 } else { number }) else { return Ok(()) };
        let first = self.surrogate.take();
        if (0xd800..0xdc00).contains(&unit) {
            self.surrogate = Some(unit);
            return Ok(());
        }
        let units = first.into_iter().chain([unit]);
        let text: String = char::decode_utf16(units).flatten().collect();
        // Symbols of fonts are written in private codes.
        self.push(if text == "\u{f0b7}" { "•" } else { &text })
    }

    /// Words that end something: paragraphs, cells, rows.
    fn structure(&mut self, word: &str, cx: &StepContext) -> Result<(), ReadError> {
        if self.state.destination != Destination::Body {
            if matches!(word, "par" | "cell" | "row" | "sect") {
                self.push(" ")?;
            }
            return Ok(());
        }
        match word {
            "pard" => (self.in_table, self.style) = (false, None),
            "intbl" => self.in_table = true,
            "par" | "sect" | "page" => self.end_paragraph(cx)?,
            "cell" => self.end_cell()?,
            "nestcell" => self.paragraph.push(' '),
            "nestrow" => self.paragraph.push('\n'),
            "row" => {
                if !self.paragraph.trim().is_empty() || !self.cell.is_empty() {
                    self.end_cell()?;
                }
                (self.row, self.column) = (self.row + 1, 0);
            }
            _ => {}
        }
        Ok(())
    }

    fn end_cell(&mut self) -> Result<(), ReadError> {
        let mut text = std::mem::take(&mut self.cell);
        text.push_str(&std::mem::take(&mut self.mark));
        text.push_str(&std::mem::take(&mut self.paragraph));
        self.table.push(self.row, self.column, &text)?;
        self.column += 1;
        Ok(())
    }

    fn end_paragraph(&mut self, cx: &StepContext) -> Result<(), ReadError> {
        let text = std::mem::take(&mut self.paragraph);
        let mark = std::mem::take(&mut self.mark);
        if self.in_table {
            self.cell.push_str(&mark);
            self.cell.push_str(&text);
            self.cell.push(' ');
            return check_length(self.cell.len());
        }
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        self.end_table(cx)?;
        let mark = mark.trim();
        if let Some(level) = self.style {
            let numbered = format!("{mark} {text}");
            return self.out.heading(level, &numbered);
        }
        if mark.is_empty() {
            return self.out.block(text);
        }
        // Bullets are letters of symbol fonts; numbers and letters count.
        let numbered = mark.trim_end_matches(['.', ')']).chars().all(char::is_alphanumeric) && mark.is_ascii();
        let item = one_line(text);
        self.out.line(&if numbered && mark.len() > 1 { format!("{mark} {item}") } else { format!("- {item}") })
    }

    fn end_table(&mut self, cx: &StepContext) -> Result<(), ReadError> {
        (self.row, self.column) = (0, 0);
        let table = std::mem::take(&mut self.table);
        if table.is_empty() {
            return Ok(());
        }
        self.out.block(&table.render(cx)?)
    }

    /// A group ends that was for something else than the one around it.
    fn end_destination(&mut self, destination: Destination) {
        match destination {
            Destination::Note => {
                let text = one_line(&std::mem::take(&mut self.aside));
                self.notes.push(format!("[^{}]: {text}", self.noted));
            }
            Destination::Comment => {
                let text = one_line(&std::mem::take(&mut self.aside));
                let author = std::mem::take(&mut self.author);
                let by = if author.is_empty() { String::new() } else { format!(" ({author})") };
                if !text.is_empty() {
                    self.notes.push(format!("Comment{by}: {text}"));
                }
            }
            Destination::Author => self.author = one_line(&std::mem::take(&mut self.aside)),
            Destination::Title => self.title = title(&std::mem::take(&mut self.aside)).or(self.title.take()),
            Destination::Styles => self.aside.clear(),
            Destination::Body | Destination::Skip | Destination::Fonts | Destination::Mark => {}
        }
    }

    fn end_style(&mut self, number: i32) {
        let name = std::mem::take(&mut self.aside);
        self.tables.set_style(number, &name);
    }

    /// The document, with what was not ended.
    pub(super) fn finish(mut self, cx: &StepContext) -> Result<Parsed, ReadError> {
        self.flush()?;
        self.in_table = false;
        let last_cell = std::mem::take(&mut self.cell);
        self.paragraph.insert_str(0, &last_cell);
        self.end_paragraph(cx)?;
        self.end_table(cx)?;
        std::mem::take(&mut self.notes).iter().try_for_each(|note| self.out.block(note))?;
        if self.out.is_empty() {
            return Err(ReadError::Skipped("empty rtf file".to_owned()));
        }
        Ok(self.out.finish("rtf", self.title))
    }
}
