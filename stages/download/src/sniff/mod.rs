//! Tells what bytes are. Content is trusted first, then the name, then what the server said.
//!
//! Containers are told by magic numbers and by what they hold; among texts, which look alike, the extension decides.
//! Nothing here decodes, decompresses or recurses, and all reads are bounded, so any bytes may be given.
//!
//! Source code is always `text/x-<language>`, and nothing else is called so.

mod compound;
mod container;
mod names;
mod packed;
mod text;

use std::borrow::Cow;

pub(crate) use container::{ZIP, by_names as zip};
pub(crate) use packed::{HEAD, archive, is_tar};
use text::Encoding;

/// What is looked at to tell text from binary data, and to read marks at the beginning.
const SAMPLE: usize = 64 << 10;

/// What nobody knows.
const UNKNOWN: &str = "application/octet-stream";

/// The media type of some bytes, which are not empty. `name` is a file's name, `declared` a media type without
/// parameters.
pub(crate) fn media_type(bytes: &[u8], name: &str, declared: Option<&str>) -> Cow<'static, str> {
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let encoding = text::encoding(sample);
    let is_text = encoding != Encoding::Binary;
    // First of all, for an archive may hold anything near its beginning.
    if let Some(found) = packed::media_type(bytes) {
        return found.into();
    }
    if container::is_zip(bytes) {
        return container::media_type(bytes, name).into();
    }
    if is_pdf(bytes, is_text) {
        return "application/pdf".into();
    }
    if is_text {
        return text::media_type(bytes, encoding, name, declared);
    }
    if compound::is_compound(bytes) {
        return compound::media_type(bytes, name).into();
    }
    // A text format with a few stray bytes, such as a damaged RTF file.
    if let Some(found) = text::magic(bytes) {
        return found.into();
    }
    match infer::get(sample) {
        Some(found) if found.matcher_type() != infer::MatcherType::Text => found.mime_type().into(),
        // A document without its magic number is a broken document: its reader says so better than a guess would.
        _ => names::binary(name).unwrap_or(UNKNOWN).into(),
    }
}

/// The header stands within the first 1024 bytes, says the format. Where it does not stand first, a text that speaks of
/// it (`%PDF-` in a sentence) is told apart by the trailer that only a file has.
fn is_pdf(bytes: &[u8], is_text: bool) -> bool {
    const HEADER: &[u8] = b"%PDF-";
    let head = &bytes[..bytes.len().min(1024 + HEADER.len())];
    let Some(at) = find(head, HEADER) else { return false };
    let leading = head[..at].strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head[..at]);
    if !is_text || leading.iter().all(u8::is_ascii_whitespace) {
        return true;
    }
    let tail = &bytes[bytes.len().saturating_sub(2048)..];
    find(tail, b"startxref").is_some() && find(tail, b"%%EOF").is_some()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let end = at.checked_add(2)?;
    bytes.get(at..end)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    bytes.get(at..end)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests;
