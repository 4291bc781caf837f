//! Zip files: Word, Excel, PowerPoint, OpenDocument, EPUB, Java archives, and those that are only zip files.
//!
//! Told by the names in the central directory, read in place: nothing is allocated or inflated, so a directory of a
//! million names costs no more than the first few thousand.

use super::{names, u16_at, u32_at};

/// Entries looked at. What tells the type stands among the first dozen in files of all known writers; a presentation
/// with thousands of slides may put them anywhere.
const ENTRIES: usize = 8192;

/// The record that ends a zip file, without its comment; the comment is 64 KiB at most.
const END: &[u8] = b"PK\x05\x06";
const END_LEN: usize = 22;

pub(super) const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
pub(super) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
pub(super) const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
pub(super) const XLSB: &str = "application/vnd.ms-excel.sheet.binary.macroenabled.12";
pub(crate) const ZIP: &str = "application/zip";

pub(super) fn is_zip(bytes: &[u8]) -> bool {
    [b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"].iter().any(|magic| bytes.starts_with(*magic))
}

/// The type by what is inside; by the extension for one that is cut short, so that its reader can say so.
pub(super) fn media_type(bytes: &[u8], name: &str) -> &'static str {
    match directory(bytes) {
        Some(directory) => by_names(bytes, Entries { bytes, at: directory }, name),
        None => declared(bytes).or_else(|| names::binary(name)).unwrap_or(ZIP),
    }
}

/// The type by the first bytes and the names of the entries: for a file whose directory somebody else has read.
pub(crate) fn by_names<'a>(head: &[u8], entries: impl Iterator<Item = &'a [u8]>, name: &str) -> &'static str {
    if let Some(declared) = declared(head) {
        return declared;
    }
    let of_name = names::binary(name);
    let mut seen = Seen::default();
    for entry in entries.take(ENTRIES) {
        if let Some(found) = seen.note(entry) {
            return variant(found, of_name);
        }
    }
    seen.conclude(of_name)
}

/// A type that its extension says more exactly: macros, templates and shows are read as what they are variants of.
fn variant(found: &'static str, of_name: Option<&'static str>) -> &'static str {
    match of_name {
        Some(named) if names::family(named) == Some(found) => named,
        _ => found,
    }
}

/// OpenDocument and EPUB say their type in a first entry `mimetype`, stored as it is.
pub(super) fn declared(bytes: &[u8]) -> Option<&'static str> {
    const NAME: &[u8] = b"mimetype";
    if u16_at(bytes, 8)? != 0 || usize::from(u16_at(bytes, 26)?) != NAME.len() || !bytes.get(30..)?.starts_with(NAME) {
        return None;
    }
    let start = 30 + NAME.len() + usize::from(u16_at(bytes, 28)?);
    let content = bytes.get(start..bytes.len().min(start + 128))?;
    const KNOWN: [&str; 8] = [
        "application/epub+zip",
        // The longer before those that they begin with.
        "application/vnd.oasis.opendocument.text-template",
        "application/vnd.oasis.opendocument.spreadsheet-template",
        "application/vnd.oasis.opendocument.presentation-template",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.presentation",
        "application/vnd.oasis.opendocument.graphics",
    ];
    let found = KNOWN.into_iter().find(|known| content.starts_with(known.as_bytes()))?;
    Some(found.strip_suffix("-template").unwrap_or(found))
}

/// Where the central directory begins.
fn directory(bytes: &[u8]) -> Option<usize> {
    let from = bytes.len().saturating_sub(END_LEN + 0xffff);
    let at = from + bytes[from..].windows(END.len()).rposition(|window| window == END)?;
    let size = usize::try_from(u32_at(bytes, at + 12)?).ok()?;
    let offset = usize::try_from(u32_at(bytes, at + 16)?).ok()?;
    // Counted from the end first: true also where something was put before the file.
    let candidates = [at.checked_sub(size), Some(offset)];
    candidates.into_iter().flatten().find(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(b"PK\x01\x02")))
}

/// The names in the central directory, up to the first header that is none.
struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        const HEADER: usize = 46;
        if !self.bytes.get(self.at..)?.starts_with(b"PK\x01\x02") {
            return None;
        }
        let length = |field: usize| u16_at(self.bytes, self.at + field).map(usize::from);
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let start = self.at + HEADER;
        let found = self.bytes.get(start..start + name)?;
        self.at = start + name + extra + comment;
        Some(found)
    }
}

/// Names that tell nothing alone.
#[derive(Default)]
struct Seen {
    content_types: bool,
    folder: Option<&'static str>,
    manifest: bool,
    open_document: bool,
    content: bool,
    container: bool,
    package: bool,
}

impl Seen {
    /// Notes a name; says the type where it is one that nothing else has.
    fn note(&mut self, name: &[u8]) -> Option<&'static str> {
        let found = match name {
            b"word/document.xml" | b"word\\document.xml" => DOCX,
            b"xl/workbook.xml" | b"xl\\workbook.xml" => XLSX,
            b"xl/workbook.bin" => XLSB,
            b"ppt/presentation.xml" | b"ppt\\presentation.xml" => PPTX,
            _ => {
                self.remember(name);
                return None;
            }
        };
        Some(found)
    }

    fn remember(&mut self, name: &[u8]) {
        match name {
            b"[Content_Types].xml" => self.content_types = true,
            b"META-INF/MANIFEST.MF" => self.manifest = true,
            b"META-INF/manifest.xml" => self.open_document = true,
            b"META-INF/container.xml" => self.container = true,
            b"content.xml" => self.content = true,
            _ if name.ends_with(b".opf") => self.package = true,
            _ => {
                let folders: [(&[u8], &'static str); 3] = [(b"word/", DOCX), (b"xl/", XLSX), (b"ppt/", PPTX)];
                let folder = folders.iter().find(|(folder, _)| name.starts_with(folder)).map(|(_, found)| *found);
                self.folder = self.folder.or(folder);
            }
        }
    }

    fn conclude(&self, of_name: Option<&'static str>) -> &'static str {
        if self.content_types {
            // A package without a document in it is a broken one of the kind that it is called.
            match self.folder.map(|found| variant(found, of_name)) {
                Some(found) => return found,
                None if of_name.is_some_and(|name| names::family(name).is_some()) => return of_name.unwrap_or(ZIP),
                None => {}
            }
        }
        if self.open_document && self.content {
            let open = of_name.filter(|name| name.starts_with("application/vnd.oasis.opendocument."));
            return open.unwrap_or("application/vnd.oasis.opendocument.text");
        }
        if self.container && (self.package || of_name == Some("application/epub+zip")) {
            return "application/epub+zip";
        }
        if self.manifest {
            return "application/java-archive";
        }
        ZIP
    }
}
