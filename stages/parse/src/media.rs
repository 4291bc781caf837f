//! Which reader a document needs: by what its bytes say, then by its media type, then by its name, then by how its text
//! begins. Cheap, and safe on hostile bytes: it runs in the engine's process, before anything is isolated.

use docmill_api::Document;

use crate::encoding::is_binary;
use crate::names;
use crate::office::Kind;

/// What a document is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    Pdf,
    Docx,
    /// Another office format.
    Office(Kind),
    Html,
    Markdown,
    /// JSON, or a sequence of JSON values.
    Json {
        lines: bool,
    },
    /// A table, with what separates its cells where the format says so.
    Csv(Option<u8>),
    /// Source code in the named language.
    Code(&'static str),
    Plain,
    Epub,
    /// E-mail, one message.
    Mail,
    /// A Jupyter notebook.
    Notebook,
    /// A zip archive that has not been looked into.
    Zip,
    /// A compound file: Office of before 2007, or a newer document behind a password.
    Ole,
    /// A picture, with its media type.
    Image(&'static str),
    /// A format that is known and has no reader here.
    Unread(&'static str),
    /// Of no known type, with its media type.
    Unknown(String),
    /// No bytes.
    Empty,
}

impl Format {
    /// The media type that is stored where nobody told one.
    pub(crate) fn media_type(&self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Docx => names::DOCX,
            Self::Office(kind) => kind.media_type(),
            Self::Html => "text/html",
            Self::Markdown => "text/markdown",
            Self::Json { lines: false } => "application/json",
            Self::Json { lines: true } => "application/x-ndjson",
            Self::Csv(Some(b'\t')) => "text/tab-separated-values",
            Self::Csv(_) => "text/csv",
            Self::Zip => "application/zip",
            Self::Epub => "application/epub+zip",
            Self::Mail => "message/rfc822",
            Self::Notebook => "application/x-ipynb+json",
            Self::Image(media_type) => media_type,
            Self::Code("xml") => "application/xml",
            Self::Code(_) | Self::Plain => "text/plain",
            Self::Ole | Self::Unread(_) | Self::Unknown(_) | Self::Empty => "application/octet-stream",
        }
    }
}

/// Decides what a document is.
pub(crate) fn detect(document: &Document, bytes: &[u8]) -> Format {
    if bytes.is_empty() {
        return Format::Empty;
    }
    let claimed = claimed(document);
    if let Some(format) = by_magic(bytes, claimed.as_ref()) {
        return format;
    }
    match claimed {
        // Nothing but a type of any text: how it begins says more.
        Some(Format::Plain) | None => by_text(document, bytes, claimed.is_some()),
        Some(format) => format,
    }
}

/// What the media type says, or else the name. The types that servers send for want of a better one say nothing.
pub(crate) fn claimed(document: &Document) -> Option<Format> {
    let media_type = document.media_type.as_deref().map(essence).unwrap_or_default();
    let told = names::by_media_type(&media_type);
    match told {
        Some(Format::Plain) | None => names::by_filename(&document.filename).or(told),
        told => told,
    }
}

/// The `charset` parameter of a media type.
pub(crate) fn charset(media_type: Option<&str>) -> Option<&str> {
    let parameters = media_type?.split(';').skip(1);
    let value = parameters
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    value.map(|(_, value)| value.trim().trim_matches('"'))
}

fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Formats that begin with bytes that no other does.
const MAGIC: [(&[u8], Format); 23] = [
    (b"%PDF-", Format::Pdf),
    (b"PK\x03\x04", Format::Zip),
    (b"PK\x05\x06", Format::Zip),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format::Ole),
    (b"{\\rtf", Format::Office(Kind::Rtf)),
    (b"%!PS", Format::Unread("ps")),
    (b"\x89PNG\r\n\x1a\n", Format::Image("image/png")),
    (b"\xff\xd8\xff", Format::Image("image/jpeg")),
    (b"GIF87a", Format::Image("image/gif")),
    (b"GIF89a", Format::Image("image/gif")),
    (b"II*\0", Format::Image("image/tiff")),
    (b"MM\0*", Format::Image("image/tiff")),
    (b"\0\0\x01\0", Format::Image("image/x-icon")),
    (b"8BPS", Format::Image("image/vnd.adobe.photoshop")),
    (b"\xff\x0a", Format::Image("image/jxl")),
    (b"\0\0\0\x0cJXL ", Format::Image("image/jxl")),
    (b"\0\0\0\x0cjP  ", Format::Image("image/jp2")),
    (b"\x1f\x8b\x08", Format::Unread("gzip")),
    (b"BZh", Format::Unread("bzip2")),
    (b"\xfd7zXZ\0", Format::Unread("xz")),
    (b"\x28\xb5\x2f\xfd", Format::Unread("zstd")),
    (b"7z\xbc\xaf\x27\x1c", Format::Unread("7z")),
    (b"Rar!\x1a\x07", Format::Unread("rar")),
];

/// How far into a file readers look for the header of a PDF.
const PDF_HEADER_WITHIN: usize = 1024;

fn by_magic(bytes: &[u8], claimed: Option<&Format>) -> Option<Format> {
    // Text may begin with the letters `BZh` or `%PDF-`; only binary data is taken at its first bytes alone.
    let found = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, format)| format.clone());
    if let Some(format) = found {
        let certain =
            matches!(format, Format::Pdf | Format::Office(Kind::Rtf) | Format::Unread("ps")) || is_binary(bytes);
        if certain && !(format == Format::Unread("ps") && matches!(claimed, Some(Format::Code(_)))) {
            return Some(format);
        }
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some(Format::Image("image/webp"));
    }
    if bytes.starts_with(b"BM") && is_binary(bytes) && bytes.get(6..10) == Some(&[0; 4]) {
        return Some(Format::Image("image/bmp"));
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        let picture = matches!(bytes.get(8..12), Some(b"heic" | b"heix" | b"mif1" | b"avif" | b"avis"));
        return Some(if picture { Format::Image("image/heif") } else { Format::Unknown("video/mp4".to_owned()) });
    }
    let head = &bytes[..bytes.len().min(PDF_HEADER_WITHIN)];
    let behind_junk = memchr::memmem::find(head, b"%PDF-").is_some() && (is_binary(bytes) || claimed.is_none());
    behind_junk.then_some(Format::Pdf)
}

/// What a text without a telling type is, by its first characters; what is no text is of no known type.
fn by_text(document: &Document, bytes: &[u8], claimed: bool) -> Format {
    if is_binary(bytes) {
        let told = document.media_type.as_deref().map(essence).filter(|told| !told.starts_with("text/"));
        return Format::Unknown(told.unwrap_or_else(|| "application/octet-stream".to_owned()));
    }
    let head = &bytes[..bytes.len().min(512)];
    let head = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if head.starts_with("<!doctype html") || head.starts_with("<html") {
        return Format::Html;
    }
    if head.starts_with("<?xml") && !claimed {
        let page = head.contains("<html") || head.contains("xhtml");
        return if page { Format::Html } else { Format::Code("xml") };
    }
    if !claimed && looks_like_mail(&head) {
        return Format::Mail;
    }
    names::by_interpreter(&head).filter(|_| !claimed).unwrap_or(Format::Plain)
}

/// Whether a text begins with headers that only mail has, in lower case: a name and a colon in every line, and one of
/// those that servers write.
fn looks_like_mail(head: &str) -> bool {
    const TELLING: [&str; 6] =
        ["received", "return-path", "delivered-to", "message-id", "mime-version", "dkim-signature"];
    let name = |line: &str| Some(line.split_once(':')?.0.to_owned());
    let lines: Vec<&str> = head.lines().take_while(|line| !line.is_empty()).collect();
    // The last line may be cut off.
    let whole = &lines[..lines.len().saturating_sub(1)];
    let is_header = |line: &&str| line.starts_with([' ', '\t']) || name(line).is_some_and(|name| !name.contains(' '));
    whole.iter().all(is_header) && whole.iter().any(|line| name(line).is_some_and(|name| TELLING.contains(&&*name)))
}

#[cfg(test)]
mod tests {
    use docmill_api::{Digest, SourceItem};

    use super::*;

    fn detected(name: &str, media_type: Option<&str>, bytes: &[u8]) -> Format {
        let item = SourceItem {
            uri: format!("file:///{name}"),
            media_type: media_type.map(str::to_owned),
            ..SourceItem::default()
        };
        detect(&Document::admit(item, Digest::of(&[])), bytes)
    }

    #[test]
    fn content_goes_before_type_and_type_before_name() {
        assert_eq!(detected("a.txt", Some("text/plain"), b"%PDF-1.4\n"), Format::Pdf);
        assert_eq!(detected("a.docx", None, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0"), Format::Ole);
        assert_eq!(detected("a", Some("text/html; charset=utf-8"), b"x"), Format::Html);
        assert_eq!(detected("page.md", Some("text/html"), b"# x"), Format::Html);
        assert_eq!(detected("main.rs", Some("text/plain"), b"fn main() {}"), Format::Code("rust"));
        assert_eq!(detected("main.rs", Some("application/octet-stream"), b"fn main() {}"), Format::Code("rust"));
        assert_eq!(detected("notes", None, b"just text"), Format::Plain);
        assert_eq!(detected("page", None, b"\n<!DOCTYPE HTML><p>x"), Format::Html);
        assert_eq!(detected("tool", None, b"#!/usr/bin/env python3\nprint(1)"), Format::Code("python"));
        assert_eq!(detected("a.pdf", None, b"no header"), Format::Pdf, "its reader says what is wrong");
        assert_eq!(detected("mail.eml", None, b"From: a@b.c\n\nHi"), Format::Mail);
        let mail = b"Received: from x\n by y\nMIME-Version: 1.0\nSubject: x\n\nHi";
        assert_eq!(detected("a", None, mail), Format::Mail);
        assert_eq!(detected("a", None, b"Dear reader,\nmime-version: is a header.\n\n"), Format::Plain);
    }

    #[test]
    fn a_text_about_pdf_is_no_pdf_and_junk_before_one_is() {
        assert_eq!(detected("header.py", None, b"HEADER = b'%PDF-1.4'\n"), Format::Code("python"));
        let junk = [&[0_u8, 1, 2, 3].repeat(50), b"%PDF-1.4\n".as_slice()].concat();
        assert_eq!(detected("a.bin", None, &junk), Format::Pdf);
    }

    #[test]
    fn what_is_unknown_says_so() {
        let noise: Vec<u8> = (0..999_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        assert_eq!(detected("a.bin", None, &noise), Format::Unknown("application/octet-stream".into()));
        assert_eq!(detected("a", Some("application/x-foo"), &noise), Format::Unknown("application/x-foo".into()));
        assert_eq!(detected("a.png", None, b"\x89PNG\r\n\x1a\n\0\0"), Format::Image("image/png"));
        assert_eq!(detected("mail.msg", None, b"From: a@b.c\n\nHi"), Format::Unread("msg"));
        assert_eq!(detected("a.txt", None, b""), Format::Empty);
    }

    #[test]
    fn charsets_are_read_from_media_types() {
        assert_eq!(charset(Some("text/html; Charset=\"koi8-r\"; x=y")), Some("koi8-r"));
        assert_eq!(charset(Some("text/html")), None);
    }
}
