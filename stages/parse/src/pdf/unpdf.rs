//! `unpdf`: the best of the readers in Rust alone (order, headings, tables), so the first of them. Runs on this thread
//! only: its own pool has threads with small stacks, and the engine counts the time of one document on one thread.

use std::borrow::Cow;
use std::ops::ControlFlow;

use docmill_api::TextKind;
use unpdf::render::{BlockRenderer, CleanupOptions, CleanupPipeline, RenderOptions};
use unpdf::{Block, ErrorKind, InlineContent, PageStreamOptions, ParseEvent, ParseOptions, PdfParser, TextRun};

use super::{Engine, Pages};
use crate::reader::{ReadError, brief};

#[derive(Debug)]
pub(super) struct Unpdf;

impl Engine for Unpdf {
    fn name(&self) -> &'static str {
        "unpdf"
    }

    fn kind(&self) -> TextKind {
        TextKind::Markdown
    }

    fn read(&self, bytes: &[u8], pages: &mut Pages<'_>) -> Result<(), ReadError> {
        let options = ParseOptions::new().lenient().sequential();
        let stream = PageStreamOptions::from(&options);
        let parser =
            PdfParser::from_bytes_with_options(&without_form(bytes), options).map_err(|error| read_error(&error))?;
        let renderer = Renderer::new();
        let quality = parser.for_each_page(stream, |event| match event {
            ParseEvent::DocumentStart { metadata, .. } => {
                pages.title = metadata.title;
                pages.go_on()
            }
            ParseEvent::PageParsed(mut page) => pages.add(page.number, &renderer.page(&mut page)),
            ParseEvent::PageFailed { .. } => {
                pages.lose();
                pages.go_on()
            }
            ParseEvent::Progress { .. } | ParseEvent::DocumentEnd { .. } => ControlFlow::Continue(()),
        });
        let quality = quality.map_err(|error| read_error(&error))?;
        // Pages whose tree could not be followed never reach the callback.
        let declared = quality.declared_page_count.unwrap_or(0);
        if quality.pages_incomplete && declared > pages.count && declared - pages.count < 100_000 {
            pages.lost += declared - pages.count;
            pages.count = declared;
        }
        Ok(())
    }
}

/// The file with its form out of sight: unpdf follows a field's children for ever where one of them is its parent, and
/// forms are read elsewhere (`annotations`). One letter changes, so that every offset holds.
fn without_form(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut changed = Cow::Borrowed(bytes);
    for at in memchr::memmem::find_iter(bytes, b"/AcroForm") {
        changed.to_mut()[at + 1] = b'a';
    }
    changed
}

/// Links as the words that they are on the page: where they lead is in no reader's sight, and a link that covers half a
/// word would cut it.
fn unlinked(block: &mut Block) {
    let paragraphs: Vec<_> = match block {
        Block::Paragraph(paragraph) => vec![paragraph],
        Block::Table(table) => {
            let cells = table.rows.iter_mut().flat_map(|row| &mut row.cells);
            cells.flat_map(|cell| &mut cell.content).collect()
        }
        _ => return,
    };
    for content in paragraphs.into_iter().flat_map(|paragraph| &mut paragraph.content) {
        if let InlineContent::Link { text, style, .. } = content {
            *content = InlineContent::Text(TextRun { text: std::mem::take(text), style: style.clone() });
        }
    }
}

struct Renderer {
    blocks: BlockRenderer,
    cleanup: CleanupPipeline,
}

impl Renderer {
    fn new() -> Self {
        // Kept, so that the judge sees how many there are.
        let cleanup = CleanupOptions { remove_replacement_char: false, ..CleanupOptions::standard() };
        Self { blocks: BlockRenderer::new(RenderOptions::new()), cleanup: CleanupPipeline::new(cleanup) }
    }

    fn page(&self, page: &mut unpdf::Page) -> String {
        let mut markdown = String::new();
        let mut previous = None;
        page.elements.iter_mut().for_each(unlinked);
        for block in &page.elements {
            // A picture's reference leads nowhere once its bytes are gone.
            if !matches!(block, Block::Image { .. }) {
                markdown.push_str(&self.blocks.render_block_after(previous, block));
            }
            previous = Some(block);
        }
        self.cleanup.process(&markdown)
    }
}

fn read_error(error: &unpdf::Error) -> ReadError {
    match error.kind() {
        ErrorKind::Encrypted | ErrorKind::InvalidPassword => ReadError::Encrypted(String::new()),
        _ => ReadError::Broken(brief(&error.to_string())),
    }
}
