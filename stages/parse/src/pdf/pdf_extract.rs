//! `pdf-extract`: the last resort. It panics on what it does not know, so each page is read on its own and what one page
//! costs is that page.

use docmill_api::TextKind;
use pdf_extract::{Dictionary, Document, Error, Object, PlainTextOutput, output_doc_page};

use super::{Engine, Pages};
use crate::reader::{ReadError, brief, contained};

#[derive(Debug)]
pub(super) struct PdfExtract;

impl Engine for PdfExtract {
    fn name(&self) -> &'static str {
        "pdf-extract"
    }

    fn kind(&self) -> TextKind {
        TextKind::Plain
    }

    fn is_last_resort(&self) -> bool {
        true
    }

    fn read(&self, bytes: &[u8], pages: &mut Pages<'_>) -> Result<(), ReadError> {
        let mut document = Document::load_mem(bytes).map_err(|error| read_error(&error))?;
        if document.is_encrypted() {
            document.decrypt("").map_err(|_| ReadError::Encrypted(String::new()))?;
        }
        pages.title = info_title(&document);
        for number in document.get_pages().into_keys() {
            let page = contained(|| {
                let mut text = String::new();
                let mut output = PlainTextOutput::new(&mut text);
                output_doc_page(&document, &mut output, number)
                    .map_err(|error| ReadError::Broken(brief(&error.to_string())))?;
                Ok(text)
            });
            if pages.take(number, page).is_break() {
                return Err(ReadError::OutOfTime);
            }
        }
        Ok(())
    }
}

/// The title that the document's information names, in UTF-16 or in bytes that are mostly ASCII.
fn info_title(document: &Document) -> Option<String> {
    let info = document.trailer.get(b"Info").ok()?;
    let info: &Dictionary = match info {
        Object::Reference(id) => document.get_dictionary(*id).ok()?,
        other => other.as_dict().ok()?,
    };
    let bytes = info.get(b"Title").ok()?.as_str().ok()?;
    match bytes {
        [0xfe, 0xff, rest @ ..] => {
            let (units, _) = rest.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            Some(String::from_utf16_lossy(&units))
        }
        bytes => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

fn read_error(error: &Error) -> ReadError {
    match error {
        Error::Decryption(_) | Error::InvalidPassword => ReadError::Encrypted(String::new()),
        error => ReadError::Broken(brief(&error.to_string())),
    }
}
