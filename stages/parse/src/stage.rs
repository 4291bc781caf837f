//! The stage itself: from a record with bytes to a record with text, through the reader that the document needs.

use std::sync::Arc;

use docmill_api::{CpuStage, Document, Outputs, Payload, Record, StageError, StepContext, Text, Work, one_shot};

use crate::code::CodeReader;
use crate::csv::CsvReader;
use crate::docx::DocxReader;
use crate::epub::EpubReader;
use crate::factory::Config;
use crate::html::HtmlReader;
use crate::json::JsonReader;
use crate::mail::MailReader;
use crate::markdown::MarkdownReader;
use crate::media::{self, Format};
use crate::notebook::NotebookReader;
use crate::office::OfficeReader;
use crate::package;
use crate::pdf::PdfReader;
use crate::plain::PlainReader;
use crate::reader::{Input, Parsed, ReadError, Reader, contained};
use crate::syntax;
use crate::xml::XmlReader;

/// Turns blobs into texts. Cheap to build, and free to share between threads.
#[derive(Debug)]
pub struct ParseStage {
    readers: Arc<Readers>,
}

#[derive(Debug)]
struct Readers {
    pdf: PdfReader,
    html: HtmlReader,
}

impl ParseStage {
    /// A stage with these settings.
    ///
    /// # Errors
    /// `pdf = "pdfium"`, and no libpdfium is found.
    pub fn new(config: &Config) -> Result<Self, StageError> {
        let readers = Readers { pdf: PdfReader::new(config.pdf)?, html: HtmlReader::new(config.html) };
        Ok(Self { readers: Arc::new(readers) })
    }
}

impl CpuStage for ParseStage {
    fn open(&self, _cx: &StepContext, input: Record) -> Result<Box<dyn Work>, StageError> {
        let Payload::Blob(_) = &input.payload else { return Err(StageError::unexpected(input.payload.kind())) };
        let readers = Arc::clone(&self.readers);
        Ok(one_shot(move |cx, out| {
            *out = parse(&readers, &input, cx)?;
            Ok(())
        }))
    }

    fn trusts(&self, input: &Record) -> bool {
        let Payload::Blob(blob) = &input.payload else { return false };
        match media::detect(&input.document, &blob.bytes) {
            Format::Pdf
            | Format::Docx
            | Format::Office(_)
            | Format::Html
            | Format::Epub
            | Format::Mail
            | Format::Zip
            | Format::Ole => false,
            Format::Code(language) => !syntax::has_grammar(language),
            Format::Markdown
            | Format::Json { .. }
            | Format::Csv(_)
            | Format::Notebook
            | Format::Plain
            | Format::Image(_)
            | Format::Unread(_)
            | Format::Unknown(_)
            | Format::Empty => true,
        }
    }
}

fn parse(readers: &Readers, record: &Record, cx: &StepContext) -> Result<Outputs, StageError> {
    let Payload::Blob(blob) = &record.payload else { return Err(StageError::unexpected(record.payload.kind())) };
    if cx.is_over() {
        return ReadError::OutOfTime.into_outputs();
    }
    let detected = media::detect(&record.document, &blob.bytes);
    let input = Input { bytes: &blob.bytes, charset: media::charset(record.document.media_type.as_deref()) };
    let outcome = contained(|| {
        let format = match detected {
            Format::Zip => package::zip_format(&blob.bytes, media::claimed(&record.document).as_ref())?,
            Format::Ole => package::ole_format(&blob.bytes, media::claimed(&record.document).as_ref())?,
            other => other,
        };
        let parsed = read(readers, &format, &input, cx)?;
        if parsed.content.chars().all(char::is_whitespace) {
            return Err(ReadError::Skipped("empty".to_owned()));
        }
        Ok((parsed, format))
    });
    match outcome {
        Ok((parsed, format)) => Ok(Outputs::one(emit(&record.document, &format, parsed))),
        Err(error) => error.into_outputs(),
    }
}

fn read(readers: &Readers, format: &Format, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
    match format {
        Format::Pdf => readers.pdf.read(input, cx),
        Format::Html => readers.html.read(input, cx),
        Format::Docx => DocxReader.read(input, cx),
        Format::Office(kind) => OfficeReader { kind: *kind }.read(input, cx),
        Format::Markdown => MarkdownReader.read(input, cx),
        Format::Json { lines } => JsonReader { lines: *lines }.read(input, cx),
        Format::Csv(delimiter) => CsvReader { delimiter: *delimiter }.read(input, cx),
        Format::Epub => EpubReader.read(input, cx),
        Format::Mail => MailReader.read(input, cx),
        Format::Notebook => NotebookReader.read(input, cx),
        Format::Code("xml") => XmlReader.read(input, cx),
        Format::Code(language) => CodeReader { language }.read(input, cx),
        Format::Plain => PlainReader.read(input, cx),
        Format::Empty => Err(ReadError::Skipped("empty".to_owned())),
        Format::Image(_) => Err(ReadError::Skipped("an image: needs a vision stage".to_owned())),
        Format::Unread(name) => Err(ReadError::Skipped(format!("no reader for `{name}` files"))),
        Format::Unknown(media_type) => Err(ReadError::Skipped(format!("no known type: {media_type}"))),
        Format::Zip | Format::Ole => {
            Err(ReadError::Skipped("no known type: a container of no known format".to_owned()))
        }
    }
}

/// The record that goes on: the text, and the document with what was learned about it.
fn emit(document: &Document, format: &Format, parsed: Parsed) -> Record {
    let mut document = document.clone();
    document.metadata.insert("reader".to_owned(), parsed.reader.into());
    // What the source told of a document goes before what its file says of itself.
    parsed.notes.into_iter().for_each(|(key, value)| _ = document.metadata.entry(key).or_insert(value));
    let told = document.media_type.as_deref().unwrap_or_default();
    if matches!(told, "" | "application/octet-stream" | "binary/octet-stream") {
        document.media_type = Some(format.media_type().to_owned());
    }
    let text = Text {
        content: parsed.content,
        kind: parsed.kind,
        title: parsed.title,
        pages: parsed.pages.into(),
        blocks: parsed.blocks.into(),
        lines: parsed.lines,
    };
    Record { document: Arc::new(document), payload: Payload::Text(text) }
}
