//! Archives and packed files other than zip, and which first bytes open an archive that may be larger than a document.

use super::{container, names};
use crate::archive::Kind;

/// How many first bytes tell: the header of a tar file.
pub(crate) const HEAD: usize = 512;

/// The type of what is no zip file.
pub(super) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => Some("application/gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("application/zstd"),
        _ if is_tar(bytes) => Some("application/x-tar"),
        _ => None,
    }
}

/// Whether these first bytes open an archive. A zip file that is called a document is taken at its word: it has to be
/// small enough to be read as one.
pub(crate) fn archive(head: &[u8], name: &str) -> Option<Kind> {
    match media_type(head) {
        Some(found) => Kind::of(found),
        None if !container::is_zip(head) => None,
        None if names::binary(name).is_some() || container::declared(head).is_some() => None,
        None => Some(Kind::Zip),
    }
}

/// By the checksum of the first header, which tar files had before they had a magic number.
pub(crate) fn is_tar(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..HEAD) else { return false };
    let field = &header[148..156];
    let digits = field.iter().skip_while(|byte| **byte == b' ').take_while(|byte| matches!(byte, b'0'..=b'7'));
    let stated = digits.fold(None, |sum: Option<u32>, digit| Some(sum.unwrap_or(0) * 8 + u32::from(digit - b'0')));
    let counted: u32 = header.iter().map(|byte| u32::from(*byte)).sum::<u32>()
        - field.iter().map(|byte| u32::from(*byte)).sum::<u32>()
        + 8 * u32::from(b' ');
    header[0] != 0 && stated == Some(counted)
}
