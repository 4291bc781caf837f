//! Zip and OLE containers: which format is inside, and whether it is safe to inflate. Readers of zip-based formats are
//! only let in after `check_parts`.

use std::io::{BufReader, Cursor, Read};

use docmill_api::StepContext;
use quick_xml::events::Event;
use zip::ZipArchive;

use crate::media::Format;
use crate::office::{Kind, ole_kind};
use crate::reader::{ReadError, brief};

/// More parts than any office document has; each costs its reader an allocation or two.
const MAX_PARTS: usize = 10_000;

/// Inflated XML of a whole document. A thousand pages of Word text are some 30 MiB; a reader's tree takes ten times that.
const MAX_XML: u64 = 128 << 20;

/// Inflated size of all parts, as the archive declares it: pictures and fonts are not inflated to memory at once.
const MAX_DECLARED: u64 = 1 << 30;

/// Elements within elements. Word writes about 30 deep, tables within tables included; readers recurse.
const MAX_DEPTH: usize = 256;

/// An archive in memory.
pub(crate) type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Opens an archive; its parts are not looked at.
pub(crate) fn open(bytes: &[u8]) -> Result<Archive<'_>, ReadError> {
    ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| ReadError::Broken(format!("its zip archive: {}", brief(&error.to_string()))))
}

/// What a zip archive holds. Where it cannot be opened, what the document claims to be decides whether that is a failure.
pub(crate) fn zip_format(bytes: &[u8], claimed: Option<&Format>) -> Result<Format, ReadError> {
    let packed = match claimed {
        Some(Format::Docx) => Some("a Word document"),
        Some(Format::Epub) => Some("a book"),
        Some(Format::Office(kind)) if kind.is_zip() => Some(kind.name()),
        _ => None,
    };
    let mut archive = match open(bytes) {
        Ok(archive) => archive,
        Err(error) if packed.is_some() => return Err(error),
        Err(_) => return Ok(claimed_or_zip(claimed)),
    };
    if let Some(format) = by_mimetype_part(&mut archive) {
        return Ok(format);
    }
    let has = |prefix: &str| archive.file_names().flatten().any(|name| part_name(&name).starts_with(prefix));
    let folders = [
        ("word/", Format::Docx),
        ("ppt/", Format::Office(Kind::Pptx)),
        ("xl/workbook.bin", Format::Office(Kind::Xlsb)),
        ("xl/", Format::Office(Kind::Xlsx)),
        ("visio/", Format::Unread("vsdx")),
        ("meta-inf/container.xml", Format::Epub),
        ("meta-inf/manifest.mf", Format::Unread("jar")),
    ];
    if let Some((_, format)) = folders.into_iter().find(|(prefix, _)| has(prefix)) {
        return Ok(format);
    }
    let without_mimetype = has("content.xml");
    if let Some(format) = by_content_types(&mut archive) {
        return Ok(format);
    }
    match (packed, claimed) {
        // OpenDocument whose `mimetype` was lost.
        (Some(_), Some(Format::Office(kind))) if without_mimetype => Ok(Format::Office(*kind)),
        (Some(name @ ("a Word document" | "a book")), _) => {
            Err(ReadError::Broken(format!("a zip archive without {name} in it")))
        }
        (Some(name), _) => Err(ReadError::Broken(format!("a zip archive without the parts of an `{name}` file"))),
        (None, _) => Ok(claimed_or_zip(claimed)),
    }
}

fn claimed_or_zip(claimed: Option<&Format>) -> Format {
    match claimed {
        Some(Format::Unread(name)) => Format::Unread(name),
        _ => Format::Unread("zip"),
    }
}

/// OpenDocument and EPUB say in a part of their own what they are.
fn by_mimetype_part(archive: &mut Archive<'_>) -> Option<Format> {
    let mut kind = String::new();
    archive.by_name("mimetype").ok()?.take(100).read_to_string(&mut kind).ok()?;
    match kind.trim() {
        "application/epub+zip" => Some(Format::Epub),
        "application/vnd.oasis.opendocument.graphics" => Some(Format::Unread("odg")),
        media_type => Kind::by_media_type(media_type).filter(|kind| kind.is_zip()).map(Format::Office),
    }
}

/// Office documents may have their parts in any folder; which is the document, their list of types says.
fn by_content_types(archive: &mut Archive<'_>) -> Option<Format> {
    let mut types = String::new();
    archive.by_name("[Content_Types].xml").ok()?.take(1 << 20).read_to_string(&mut types).ok()?;
    let known = [
        ("wordprocessingml.document.main+xml", Format::Docx),
        ("spreadsheetml.sheet.main+xml", Format::Office(Kind::Xlsx)),
        ("presentationml.presentation.main+xml", Format::Office(Kind::Pptx)),
    ];
    known.into_iter().find(|(name, _)| types.contains(name)).map(|(_, format)| format)
}

/// A part's name as it is looked for: names do not differ by case, and some programs write backslashes.
pub(crate) fn part_name(name: &str) -> String {
    name.replace('\\', "/").to_ascii_lowercase()
}

/// What an OLE container holds: an Office document of before 2007, or a newer one behind a password.
pub(crate) fn ole_format(bytes: &[u8], claimed: Option<&Format>) -> Result<Format, ReadError> {
    let part: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if memchr::memmem::find(bytes, &part).is_some() {
        return Err(ReadError::Encrypted("an Office document that needs a password".to_owned()));
    }
    match (ole_kind(bytes)?, claimed) {
        (Some(kind), _) => Ok(Format::Office(kind)),
        (None, Some(Format::Office(kind))) if !kind.is_zip() => Ok(Format::Office(*kind)),
        (None, Some(Format::Unread(name))) => Ok(Format::Unread(name)),
        (None, Some(Format::Docx)) => Ok(Format::Office(Kind::Doc)),
        (None, _) => Ok(Format::Unread("ole")),
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

/// Refuses an archive whose parts of one ending are too much when inflated: binary parts that a reader holds whole.
pub(crate) fn check_inflated(bytes: &[u8], ending: &str, cx: &StepContext) -> Result<(), ReadError> {
    let mut archive = open(bytes)?;
    let mut left = MAX_XML;
    for index in 0..archive.len() {
        if cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
        // What cannot be inflated is for the reader to judge: it may not need that part.
        let Ok(part) = archive.by_index(index) else { continue };
        if !part.name().is_ok_and(|name| name.ends_with(ending)) {
            continue;
        }
        let size = std::io::copy(&mut part.take(left + 1), &mut std::io::sink()).unwrap_or(0);
        if size > left {
            return Err(ReadError::TooLarge(format!("over {} MiB of `{ending}` parts when inflated", MAX_XML >> 20)));
        }
        left -= size;
    }
    Ok(())
}
