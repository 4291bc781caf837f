//! pdfium, Chrome's PDF library, where a libpdfium is found at run time: the fastest of the readers and the best in
//! order. docmill neither ships nor downloads it.

use std::path::PathBuf;
use std::sync::OnceLock;

use docmill_api::TextKind;
use pdfium_render::prelude::{PdfDocumentMetadataTagType, Pdfium, PdfiumError, PdfiumInternalError};

use super::{Engine, Pages};
use crate::reader::{ReadError, brief};

/// Names a libpdfium, or the directory it is in.
const VARIABLE: &str = "DOCMILL_PDFIUM";

#[derive(Debug)]
pub(super) struct PdfiumEngine;

/// The library, loaded at first use. Of the whole process, as it is one: pdfium initialises global state, once.
static LIBRARY: OnceLock<Result<Pdfium, String>> = OnceLock::new();

/// The library, or why there is none.
pub(super) fn library() -> Result<&'static Pdfium, String> {
    LIBRARY.get_or_init(load).as_ref().map_err(Clone::clone)
}

/// Whether a libpdfium is found here.
pub(super) fn is_available() -> bool {
    library().is_ok()
}

fn load() -> Result<Pdfium, String> {
    let Some(named) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) else {
        return Pdfium::bind_to_system_library()
            .map(Pdfium::new)
            .map_err(|_| format!("no libpdfium is installed; set {VARIABLE} to the file or the directory it is in"));
    };
    let mut path = PathBuf::from(named);
    if path.is_dir() {
        path = Pdfium::pdfium_platform_library_name_at_path(&path);
    }
    Pdfium::bind_to_library(&path).map(Pdfium::new).map_err(|error| {
        let reason = format!("`{}` that {VARIABLE} names is no usable libpdfium: {}", path.display(), cause(&error));
        tracing::warn!(reason, "pdfium is left out");
        reason
    })
}

fn cause(error: &PdfiumError) -> String {
    match error {
        PdfiumError::LoadLibraryError(error) => brief(&error.to_string()),
        error => brief(&format!("{error:?}")),
    }
}

impl Engine for PdfiumEngine {
    fn name(&self) -> &'static str {
        "pdfium"
    }

    fn kind(&self) -> TextKind {
        TextKind::Plain
    }

    fn read(&self, bytes: &[u8], pages: &mut Pages<'_>) -> Result<(), ReadError> {
        let pdfium = library().map_err(ReadError::Broken)?;
        let document = pdfium.load_pdf_from_byte_slice(bytes, None).map_err(|error| read_error(&error))?;
        pages.title = document.metadata().get(PdfDocumentMetadataTagType::Title).map(|tag| tag.value().to_owned());
        for (number, index) in (1..).zip(document.pages().as_range()) {
            let text = document.pages().get(index).and_then(|page| page.text().map(|text| text.all()));
            if pages.take(number, text).is_break() {
                return Err(ReadError::OutOfTime);
            }
        }
        Ok(())
    }
}

fn read_error(error: &PdfiumError) -> ReadError {
    match error {
        PdfiumError::PdfiumLibraryInternalError(
            PdfiumInternalError::PasswordError | PdfiumInternalError::SecurityError,
        ) => ReadError::Encrypted(String::new()),
        PdfiumError::PdfiumLibraryInternalError(kind) => ReadError::Broken(brief(&format!("{kind:?}"))),
        error => ReadError::Broken(cause(error)),
    }
}
