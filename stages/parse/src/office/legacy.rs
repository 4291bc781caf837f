//! What Office wrote before 2007 (doc, ppt) by `undoc`, and what an OLE container holds, which those, xls workbooks,
//! messages and encrypted documents share.

use std::io::Cursor;

use cfb::CompoundFile;
use docmill_api::StepContext;
use undoc::render::{RenderOptions, to_markdown};

use super::Kind;
use super::out::Out;
use crate::reader::{Input, Parsed, ReadError, brief};
use crate::text::title;

/// Opens an OLE container; its chains are checked for loops.
pub(super) fn container(bytes: &[u8]) -> Result<CompoundFile<Cursor<&[u8]>>, ReadError> {
    CompoundFile::open(Cursor::new(bytes))
        .map_err(|error| ReadError::Broken(format!("its container: {}", brief(&error.to_string()))))
}

/// What an OLE container holds; `None` for what is read nowhere here.
///
/// # Errors
/// It is a document of Office since 2007 behind a password.
pub(crate) fn ole_kind(bytes: &[u8]) -> Result<Option<Kind>, ReadError> {
    let Ok(container) = container(bytes) else { return Ok(None) };
    if container.exists("/EncryptedPackage") {
        return Err(ReadError::Encrypted("an Office document that needs a password".to_owned()));
    }
    let known = [
        ("/WordDocument", Kind::Doc),
        ("/PowerPoint Document", Kind::Ppt),
        ("/Workbook", Kind::Xls),
        ("/Book", Kind::Xls),
    ];
    Ok(known.into_iter().find(|(stream, _)| container.is_stream(stream)).map(|(_, kind)| kind))
}

/// Reads a document or a presentation of before 2007.
pub(super) fn read(kind: Kind, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
    if !input.bytes.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(ReadError::Broken(format!("no container that a `{}` file is", kind.name())));
    }
    let mut document = undoc::parse_bytes(input.bytes).map_err(|error| match error {
        undoc::Error::Encrypted => ReadError::Encrypted("an Office document that needs a password".to_owned()),
        error => ReadError::Broken(format!("{}: {}", kind.name(), brief(&error.to_string()))),
    })?;
    let named = document.metadata.title.as_deref().and_then(title);
    let options = RenderOptions::new().with_images(false).with_include_headers_footers(true).with_preserve_breaks(true);
    let sections = std::mem::take(&mut document.sections);
    let mut out = Out::default();
    for section in sections {
        if cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
        if kind == Kind::Ppt {
            out.begin_page();
        }
        document.sections = vec![section];
        let text = to_markdown(&document, &options)
            .map_err(|error| ReadError::Broken(format!("{}: {}", kind.name(), brief(&error.to_string()))))?;
        out.block(&text)?;
    }
    if out.is_empty() {
        return Err(ReadError::Skipped(format!("empty {} file", kind.name())));
    }
    Ok(out.finish("undoc", named))
}
