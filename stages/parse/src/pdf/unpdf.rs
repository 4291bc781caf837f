//! `unpdf`: the best of the readers in Rust alone (order, headings, tables), so the first of them. Runs on this thread
//! only: its own pool has threads with small stacks, and the engine counts the time of one document on one thread.

use std::ops::ControlFlow;

use docmill_api::TextKind;
use unpdf::render::{BlockRenderer, CleanupOptions, CleanupPipeline, RenderOptions};
use unpdf::{Block, ErrorKind, FormField, PageStreamOptions, ParseEvent, ParseOptions, PdfParser};

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
        let parser = PdfParser::from_bytes_with_options(bytes, options).map_err(|error| read_error(&error))?;
        let renderer = Renderer::new();
        let mut fields = Vec::new();
        let mut last = 0;
        let quality = parser.for_each_page(stream, |event| match event {
            ParseEvent::DocumentStart { metadata, form_fields, .. } => {
                pages.title = metadata.title;
                fields = form_fields;
                pages.go_on()
            }
            ParseEvent::PageParsed(page) => {
                last = page.number;
                pages.add(page.number, &renderer.page(&page))
            }
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
        add_fields(pages, last, &fields);
        Ok(())
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

    fn page(&self, page: &unpdf::Page) -> String {
        let mut markdown = String::new();
        let mut previous = None;
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

/// What was filled into a form, which is on no page.
fn add_fields(pages: &mut Pages<'_>, page: u32, fields: &[FormField]) {
    let filled = fields.iter().map(|field| (&field.name, field.display_value())).filter(|(_, value)| {
        let value = value.trim();
        !value.is_empty() && value != "[ ]"
    });
    let lines: Vec<String> = filled.map(|(name, value)| format!("- {name}: {}", value.trim())).collect();
    if !lines.is_empty() {
        let count = pages.count;
        let _ = pages.add(page.max(1), &lines.join("\n"));
        pages.count = count.max(1);
    }
}

fn read_error(error: &unpdf::Error) -> ReadError {
    match error.kind() {
        ErrorKind::Encrypted | ErrorKind::InvalidPassword => ReadError::Encrypted(String::new()),
        _ => ReadError::Broken(brief(&error.to_string())),
    }
}
