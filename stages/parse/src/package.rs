//! Zip and OLE containers: which format is inside, and whether it is safe to inflate. Readers of zip-based formats are
//! only let in after `check_parts`.

use std::io::{BufReader, Cursor, Read};

use docmill_api::StepContext;
use quick_xml::events::Event;
use zip::ZipArchive;

use crate::media::Format;
use crate::reader::{ReadError, brief};

/// More parts than any office document has; each costs its reader an allocation or two.
const MAX_PARTS: usize = 10_000;

/// Inflated XML of a whole document. A thousand pages of Word text are some 30 MiB; a reader's tree takes ten times that.
const MAX_XML: u64 = 128 << 20;

/// Inflated size of all parts, as the archive declares it: pictures and fonts are not inflated to memory at once.
const MAX_DECLARED: u64 = 1 << 30;

/// Elements within elements. Word writes about 30 deep, tables within tables included; readers recurse.
const MAX_DEPTH: usize = 256;

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

fn open(bytes: &[u8]) -> Result<Archive<'_>, ReadError> {
    ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| ReadError::Broken(format!("its zip archive: {}", brief(&error.to_string()))))
}

/// What a zip archive holds. Where it cannot be opened, what the document claims to be decides whether that is a failure.
pub(crate) fn zip_format(bytes: &[u8], claimed: Option<Format>) -> Result<Format, ReadError> {
    let mut archive = match open(bytes) {
        Ok(archive) => archive,
        Err(error) => match claimed {
            Some(Format::Docx) => return Err(error),
            Some(Format::Unread(name)) => return Ok(Format::Unread(name)),
            _ => return Ok(Format::Unread("zip")),
        },
    };
    if let Some(format) = by_mimetype_part(&mut archive) {
        return Ok(format);
    }
    let has = |prefix: &str| archive.file_names().flatten().any(|name| name.starts_with(prefix));
    let folders = [
        ("word/", Format::Docx),
        ("ppt/", Format::Unread("pptx")),
        ("xl/", Format::Unread("xlsx")),
        ("visio/", Format::Unread("vsdx")),
        ("META-INF/container.xml", Format::Unread("epub")),
        ("META-INF/MANIFEST.MF", Format::Unread("jar")),
    ];
    let found = folders.into_iter().find(|(prefix, _)| has(prefix));
    match (found, claimed) {
        (Some((_, format)), _) => Ok(format),
        (None, Some(Format::Docx)) => Err(ReadError::Broken("a zip archive without a Word document in it".to_owned())),
        (None, Some(Format::Unread(name))) => Ok(Format::Unread(name)),
        (None, _) => Ok(Format::Unread("zip")),
    }
}

/// OpenDocument and EPUB say in a part of their own what they are.
fn by_mimetype_part(archive: &mut Archive<'_>) -> Option<Format> {
    let mut kind = String::new();
    archive.by_name("mimetype").ok()?.take(100).read_to_string(&mut kind).ok()?;
    let names = [
        ("application/epub+zip", "epub"),
        ("application/vnd.oasis.opendocument.text", "odt"),
        ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
        ("application/vnd.oasis.opendocument.presentation", "odp"),
        ("application/vnd.oasis.opendocument.graphics", "odg"),
    ];
    names.into_iter().find(|(media_type, _)| kind.trim() == *media_type).map(|(_, name)| Format::Unread(name))
}

/// What an OLE container holds: an Office document of before 2007, or a newer one behind a password.
pub(crate) fn ole_format(bytes: &[u8], claimed: Option<&Format>) -> Result<Format, ReadError> {
    let part: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if memchr::memmem::find(bytes, &part).is_some() {
        return Err(ReadError::Encrypted("an Office document that needs a password".to_owned()));
    }
    match claimed {
        Some(Format::Unread(name)) => Ok(Format::Unread(name)),
        Some(Format::Docx) => Ok(Format::Unread("doc")),
        _ => Ok(Format::Unread("ole")),
    }
}

/// Refuses bombs: too many parts, too much when inflated, elements too deep within one another. Reads every XML part
/// once, since the sizes that an archive declares may be lies.
pub(crate) fn check_parts(bytes: &[u8], cx: &StepContext) -> Result<(), ReadError> {
    let mut archive = open(bytes)?;
    if archive.len() > MAX_PARTS {
        return Err(ReadError::TooLarge(format!("{} parts in its archive, over {MAX_PARTS}", archive.len())));
    }
    let (mut declared, mut inflated) = (0_u64, 0_u64);
    for index in 0..archive.len() {
        let part = archive
            .by_index_raw(index)
            .map_err(|error| ReadError::Broken(format!("a part of its archive: {}", brief(&error.to_string()))))?;
        declared = declared.saturating_add(part.size());
        if declared > MAX_DECLARED {
            return Err(ReadError::TooLarge(format!("over {} MiB when inflated", MAX_DECLARED >> 20)));
        }
        if part.encrypted() {
            return Err(ReadError::Encrypted("a part of its archive needs a password".to_owned()));
        }
        let is_xml = part.name().is_ok_and(|name| name.ends_with(".xml") || name.ends_with(".rels"));
        drop(part);
        if is_xml {
            inflated += check_xml(&mut archive, index, MAX_XML - inflated, cx)?;
        }
    }
    Ok(())
}

/// Reads one XML part to its end, or until it is over a limit; its inflated size.
fn check_xml(archive: &mut Archive<'_>, index: usize, left: u64, cx: &StepContext) -> Result<u64, ReadError> {
    // What cannot be inflated or is not well formed is for the reader to judge: it may not need that part.
    let Ok(part) = archive.by_index(index) else { return Ok(0) };
    let mut xml = quick_xml::Reader::from_reader(BufReader::with_capacity(64 << 10, part.take(left + 1)));
    xml.config_mut().check_end_names = false;
    let (mut depth, mut buffer, mut events) = (0_usize, Vec::new(), 0_u64);
    while let Ok(event) = xml.read_event_into(&mut buffer) {
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof => break,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(ReadError::TooLarge(format!("its XML is over {MAX_DEPTH} elements deep")));
        }
        buffer.clear();
        events += 1;
        if events.is_multiple_of(65_536) && cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
    }
    // The rest of a part that is not well formed counts as well.
    let mut rest = xml.into_inner().into_inner();
    let _ = std::io::copy(&mut rest, &mut std::io::sink());
    let size = left + 1 - rest.limit();
    if size > left {
        return Err(ReadError::TooLarge(format!("over {} MiB of XML when inflated", MAX_XML >> 20)));
    }
    Ok(size)
}
