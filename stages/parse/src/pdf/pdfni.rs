//! `pdfni`: few dependencies and the most robust of the readers on hostile files. It reads a whole document at once, on
//! threads of its own.

use docmill_api::TextKind;
use pdfni::{DocBlock, Error, ExtractOptions, Table, TextBlock, TextBlockKind, extract_document_from_bytes};

use super::{Engine, Pages};
use crate::reader::{ReadError, brief};

#[derive(Debug)]
pub(super) struct Pdfni;

/// A stream's inflated size. Its own default of 512 MiB leaves a child with 1 GiB little room for the rest.
const MAX_STREAM: usize = 256 << 20;

impl Engine for Pdfni {
    fn name(&self) -> &'static str {
        "pdfni"
    }

    fn kind(&self) -> TextKind {
        TextKind::Markdown
    }

    fn read(&self, bytes: &[u8], pages: &mut Pages<'_>) -> Result<(), ReadError> {
        let mut options = ExtractOptions { bidi: true, ..ExtractOptions::default() };
        options.reader.max_decoded_bytes = MAX_STREAM;
        let document = extract_document_from_bytes(bytes, None, &options).map_err(|error| read_error(&error))?;
        for (number, page) in (1..).zip(&document.pages) {
            let blocks: Vec<String> = page.blocks.iter().map(block_markdown).filter(|text| !text.is_empty()).collect();
            if pages.add(number, &blocks.join("\n\n")).is_break() {
                return Err(ReadError::OutOfTime);
            }
        }
        Ok(())
    }
}

fn block_markdown(block: &DocBlock) -> String {
    match block {
        DocBlock::Table(table) => table_markdown(table),
        DocBlock::Text(text) => text_markdown(text),
    }
}

fn text_markdown(block: &TextBlock) -> String {
    match block.kind {
        TextBlockKind::Heading { level } => {
            let line = block.text.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{} {line}", "#".repeat(usize::from(level.clamp(1, 6))))
        }
        TextBlockKind::Paragraph | TextBlockKind::List { .. } => block.text.trim().to_owned(),
    }
}

fn table_markdown(table: &Table) -> String {
    let mut out = String::new();
    for (index, row) in table.data.iter().enumerate() {
        out.push('|');
        for cell in row {
            let line = cell.text.split_whitespace().collect::<Vec<_>>().join(" ");
            out.push(' ');
            out.push_str(&line.replace('|', "\\|"));
            out.push_str(" |");
        }
        out.push('\n');
        if index == 0 {
            out.push('|');
            out.push_str(&" --- |".repeat(row.len()));
            out.push('\n');
        }
    }
    out
}

fn read_error(error: &Error) -> ReadError {
    match error {
        Error::BadPassword | Error::SecurityRestricted => ReadError::Encrypted(String::new()),
        error => ReadError::Broken(brief(&error.to_string())),
    }
}
