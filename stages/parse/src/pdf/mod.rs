//! PDF: several readers behind one trait, in the order of what was measured of them. A reader's turn comes only where
//! those before it failed or gave no text; what it gives is judged before it is taken.

mod annotations;
mod pdf_extract;
mod pdfium;
mod pdfni;
mod quality;
mod right_to_left;
mod signs;
mod unpdf;

use std::ops::ControlFlow;

use docmill_api::{Page, StageError, StepContext, TextKind};
use serde_json::{Map, Value};

use self::quality::Verdict;
use crate::factory::PdfChoice;
use crate::reader::{Input, Parsed, ReadError, Reader, contained};
use crate::text::{first_heading, tidy, title};

/// Reads PDF with one reader or the chain of them.
#[derive(Debug)]
pub(crate) struct PdfReader {
    readers: Vec<&'static dyn Engine>,
}

/// One PDF library.
trait Engine: std::fmt::Debug + Sync {
    /// As it is written in `pipeline.toml`.
    fn name(&self) -> &'static str;

    /// What kind of text it gives.
    fn kind(&self) -> TextKind;

    /// Whether it is asked only where others could not read the file at all.
    fn is_last_resort(&self) -> bool {
        false
    }

    /// Reads a file that begins with its header, page by page.
    fn read(&self, bytes: &[u8], pages: &mut Pages<'_>) -> Result<(), ReadError>;
}

/// Where an engine puts what it reads. Cleans each page as it comes and keeps where it begins.
struct Pages<'a> {
    cx: &'a StepContext,
    text: String,
    starts: Vec<Page>,
    title: Option<String>,
    /// How many pages the file has, with text or without.
    count: u32,
    /// Pages that could not be read.
    lost: u32,
}

impl<'a> Pages<'a> {
    fn new(cx: &'a StepContext) -> Self {
        Self { cx, text: String::new(), starts: Vec::new(), title: None, count: 0, lost: 0 }
    }

    /// Adds a page; `Break` where the time is over.
    fn add(&mut self, number: u32, text: &str) -> ControlFlow<()> {
        self.count += 1;
        let page = tidy(text);
        let page = right_to_left::mended(&page);
        let page = page.trim();
        if !page.is_empty() {
            if !self.text.is_empty() {
                self.text.push_str("\n\n");
            }
            self.starts.push(Page { offset: self.text.len(), number });
            self.text.push_str(page);
        }
        self.go_on()
    }

    /// The next page, or the loss of one that cannot be read.
    fn take<E>(&mut self, number: u32, page: Result<String, E>) -> ControlFlow<()> {
        match page {
            Ok(text) => self.add(number, &text),
            Err(_) => {
                self.lose();
                self.go_on()
            }
        }
    }

    /// Counts a page that could not be read.
    fn lose(&mut self) {
        self.count += 1;
        self.lost += 1;
    }

    fn go_on(&self) -> ControlFlow<()> {
        if self.cx.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The readers that a choice means here, by name, in their order.
pub(crate) fn names(choice: PdfChoice) -> Vec<&'static str> {
    engines(choice).iter().map(|engine| engine.name()).collect()
}

fn engines(choice: PdfChoice) -> Vec<&'static dyn Engine> {
    let pure: [&'static dyn Engine; 3] = [&unpdf::Unpdf, &pdfni::Pdfni, &pdf_extract::PdfExtract];
    match choice {
        PdfChoice::Auto if pdfium::is_available() => {
            let first: &'static dyn Engine = &pdfium::PdfiumEngine;
            std::iter::once(first).chain(pure).collect()
        }
        PdfChoice::Auto => pure.to_vec(),
        PdfChoice::Pdfium => vec![&pdfium::PdfiumEngine],
        PdfChoice::Unpdf => vec![pure[0]],
        PdfChoice::Pdfni => vec![pure[1]],
        PdfChoice::PdfExtract => vec![pure[2]],
    }
}

impl PdfReader {
    /// The reader that a choice means.
    pub(crate) fn new(choice: PdfChoice) -> Result<Self, StageError> {
        if choice == PdfChoice::Pdfium {
            pdfium::library().map_err(|error| StageError::fatal(format!("`pdf = \"pdfium\"`: {error}")))?;
        }
        Ok(Self { readers: engines(choice) })
    }
}

/// The header may stand behind other bytes (a mail's, a printer's): readers disagree on how to count from there.
const HEADER_WITHIN: usize = 1024;

fn from_header(bytes: &[u8]) -> Result<&[u8], ReadError> {
    let head = &bytes[..bytes.len().min(HEADER_WITHIN)];
    let at = memchr::memmem::find(head, b"%PDF-");
    at.map(|at| &bytes[at..]).ok_or_else(|| ReadError::Broken("no `%PDF-` header".to_owned()))
}

impl Reader for PdfReader {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        let bytes = from_header(input.bytes)?;
        let mut attempts = Attempts::default();
        let mut engines = self.readers.iter().copied().peekable();
        while let Some(engine) = engines.next() {
            if cx.is_over() {
                return Err(ReadError::OutOfTime);
            }
            match attempt(engine, bytes, cx) {
                Ok(mut parsed) => {
                    annotations::add(&mut parsed, &annotations::read(bytes, cx));
                    return Ok(parsed);
                }
                Err(Failure::OutOfTime) => return Err(ReadError::OutOfTime),
                Err(failure) => attempts.note(engine.name(), failure),
            }
            if attempts.are_enough(engines.peek().copied()) {
                break;
            }
        }
        if attempts.without_text > 0 && attempts.encrypted == 0 {
            let lines = annotations::read(bytes, cx);
            if !lines.is_empty() {
                return Ok(annotations::alone(&lines));
            }
        }
        Err(attempts.into_error())
    }
}

/// Why an engine's turn gave nothing.
enum Failure {
    Encrypted,
    Broken(String),
    /// It has pages, and no text on them.
    NoText,
    /// It has text that nobody can read.
    Unreadable(String),
    OutOfTime,
}

fn attempt(engine: &dyn Engine, bytes: &[u8], cx: &StepContext) -> Result<Parsed, Failure> {
    let mut pages = Pages::new(cx);
    match contained(|| engine.read(bytes, &mut pages)) {
        Ok(()) if cx.is_over() => return Err(Failure::OutOfTime),
        Ok(()) => {}
        Err(ReadError::Encrypted(_)) => return Err(Failure::Encrypted),
        Err(ReadError::OutOfTime) => return Err(Failure::OutOfTime),
        Err(ReadError::Broken(reason) | ReadError::TooLarge(reason) | ReadError::Skipped(reason)) => {
            return Err(Failure::Broken(reason));
        }
    }
    if pages.lost * 2 > pages.count {
        return Err(Failure::Broken(format!("{} of {} pages cannot be read", pages.lost, pages.count)));
    }
    match quality::judge(&pages.text) {
        Verdict::Good => {}
        Verdict::Empty if pages.count == 0 => return Err(Failure::Broken("no pages".to_owned())),
        Verdict::Empty => return Err(Failure::NoText),
        Verdict::Broken(reason) => return Err(Failure::Unreadable(reason)),
    }
    let mut notes = Map::from_iter([("page_count".to_owned(), Value::from(pages.count))]);
    if pages.lost > 0 {
        notes.insert("pages_lost".to_owned(), pages.lost.into());
    }
    let mut parsed = Parsed::new(engine.name(), engine.kind(), pages.text);
    parsed.title = pages.title.as_deref().and_then(title);
    if parsed.title.is_none() && parsed.kind == TextKind::Markdown {
        parsed.title = first_heading(&parsed.content);
    }
    parsed.pages = pages.starts;
    parsed.notes = notes;
    Ok(parsed)
}

/// What the engines said, for the one answer of all.
#[derive(Default)]
struct Attempts {
    encrypted: usize,
    without_text: usize,
    unreadable: Option<String>,
    broken: Vec<String>,
}

impl Attempts {
    fn note(&mut self, engine: &str, failure: Failure) {
        match failure {
            Failure::Encrypted => self.encrypted += 1,
            Failure::NoText => self.without_text += 1,
            Failure::Unreadable(reason) => self.unreadable = self.unreadable.take().or(Some(reason)),
            Failure::Broken(reason) => self.broken.push(format!("`{engine}` says {reason}")),
            Failure::OutOfTime => {}
        }
    }

    /// Whether `next` need not be asked: two say that it is locked; or two found a text layer missing, and `next` finds
    /// no text that others do not, but aborts where they end.
    fn are_enough(&self, next: Option<&dyn Engine>) -> bool {
        self.encrypted >= 2 || (self.without_text >= 2 && next.is_some_and(Engine::is_last_resort))
    }

    fn into_error(self) -> ReadError {
        if self.encrypted > 0 {
            return ReadError::Encrypted("this PDF needs a password".to_owned());
        }
        if let Some(reason) = self.unreadable {
            return ReadError::Skipped(format!("needs OCR: no readable text layer ({reason})"));
        }
        if self.without_text > 0 {
            return ReadError::Skipped("needs OCR: no text layer".to_owned());
        }
        ReadError::Broken(self.broken.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does what it was told when its turn comes.
    #[derive(Debug)]
    struct Scripted(&'static str);

    impl Engine for Scripted {
        fn name(&self) -> &'static str {
            self.0
        }
        fn kind(&self) -> TextKind {
            TextKind::Markdown
        }
        fn is_last_resort(&self) -> bool {
            self.0 == "last"
        }
        fn read(&self, _bytes: &[u8], pages: &mut Pages<'_>) -> Result<(), ReadError> {
            match self.0 {
                "panics" => panic!("index out of range"),
                "encrypted" => return Err(ReadError::Encrypted(String::new())),
                "broken" => return Err(ReadError::Broken("bad xref".to_owned())),
                "empty" => _ = pages.add(1, " "),
                "mangled" => _ = pages.add(1, "\u{fffd}\u{fffd}\u{fffd} a"),
                _ => _ = pages.add(1, "# Quorvex\n\nof\u{fb01}ce"),
            }
            Ok(())
        }
    }

    fn read(engines: &[&'static str]) -> Result<Parsed, ReadError> {
        let scripted = engines.iter().map(|name| -> &'static dyn Engine { Box::leak(Box::new(Scripted(name))) });
        let bytes = b"junk\n%PDF-1.4".as_slice().into();
        PdfReader { readers: scripted.collect() }
            .read(&Input { bytes: &bytes, charset: None }, &StepContext::detached())
    }

    #[test]
    fn the_next_reader_is_asked_only_where_one_failed() {
        let parsed = read(&["panics", "empty", "mangled", "good", "broken"]).expect("the fourth reads it");
        assert_eq!(parsed.reader, "good");
        assert_eq!(&*parsed.content, "# Quorvex\n\noffice");
        assert_eq!(parsed.title.as_deref(), Some("Quorvex"));
        assert_eq!(parsed.pages, [Page { offset: 0, number: 1 }]);
        assert_eq!(read(&["good", "panics"]).expect("read").reader, "good");
    }

    #[test]
    fn all_answers_make_one() {
        let no_text = ReadError::Skipped("needs OCR: no text layer".into());
        assert_eq!(read(&["broken", "empty"]).expect_err("no text"), no_text);
        assert_eq!(read(&["empty", "empty", "last"]).expect_err("two agree, the last is not asked"), no_text);
        assert!(read(&["broken", "empty", "last"]).is_ok(), "one is not enough");
        assert!(
            matches!(read(&["empty", "mangled"]), Err(ReadError::Skipped(reason)) if reason.starts_with("needs OCR"))
        );
        assert!(matches!(read(&["encrypted", "empty"]), Err(ReadError::Encrypted(_))));
        let Err(ReadError::Broken(reason)) = read(&["broken", "panics"]) else { panic!("broken") };
        assert_eq!(reason, "`broken` says bad xref; `panics` says its reader panicked: index out of range");
        assert!(matches!(read(&["broken", "encrypted", "good"]), Ok(parsed) if parsed.reader == "good"));
    }

    #[test]
    fn nothing_is_begun_past_the_deadline() {
        let over = StepContext::new(docmill_api::CancellationToken::new(), Some(std::time::Instant::now()));
        let bytes = b"%PDF-1.4".as_slice().into();
        let reader = PdfReader { readers: engines(PdfChoice::Unpdf) };
        let outcome = reader.read(&Input { bytes: &bytes, charset: None }, &over);
        assert_eq!(outcome.expect_err("too late"), ReadError::OutOfTime);
    }
}
