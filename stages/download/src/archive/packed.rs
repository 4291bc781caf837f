//! What is packed as one stream, by gzip or Zstandard: unpacked once to a temporary file, which is a tar file or the one
//! document.

use std::io::{BufReader, Read, Write};
use std::sync::Arc;

use docmill_api::StageError;
use flate2::bufread::MultiGzDecoder;

use super::{Kind, Limits, Member, Place, STEP, Window, broken};
use crate::body::{temporary, unwritten};
use crate::sniff::{self, HEAD};

/// The largest window of Zstandard, as a power of two: 32 MiB, which all its usual levels stay below.
const ZSTD_WINDOW: u32 = 25;

/// Unpacks the whole of it.
pub(super) fn unpack(
    kind: Kind,
    file: &Window,
    limits: &Limits,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Window, StageError> {
    let packed = BufReader::with_capacity(STEP, file.clone());
    let mut stream: Box<dyn Read> = if kind == Kind::Zstd {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(|error| broken(&error))?;
        decoder.window_log_max(ZSTD_WINDOW).map_err(|error| broken(&error))?;
        Box::new(decoder)
    } else {
        Box::new(MultiGzDecoder::new(packed))
    };
    let mut plain = temporary()?;
    let mut buffer = vec![0; STEP];
    let mut total = 0;
    loop {
        if is_cancelled() {
            return Err(StageError::rejected("cancelled"));
        }
        let count = stream.read(&mut buffer).map_err(|error| broken(&error))?;
        if count == 0 {
            return Ok(Window::new(Arc::new(plain), total));
        }
        total += count as u64;
        limits.unpacked(total, file.length())?;
        plain.write_all(&buffer[..count]).map_err(|error| unwritten(&error))?;
    }
}

pub(super) fn is_tar(plain: &Window) -> Result<bool, StageError> {
    let head = plain.head(HEAD).map_err(|error| broken(&error))?;
    Ok(sniff::is_tar(&head))
}

/// The one document in a packed file, called as the file without the ending that says so.
pub(super) fn only(name: &str, size: u64) -> Member {
    let plain = name.rsplit_once('.').filter(|(stem, ending)| {
        let ending = ending.to_ascii_lowercase();
        !stem.is_empty() && matches!(ending.as_str(), "gz" | "gzip" | "z" | "zst" | "zstd")
    });
    let name = plain.map_or(name, |(stem, _)| stem);
    let name = if name.is_empty() { "content" } else { name };
    Member { name: name.to_owned(), size, packed: size, media_type: None, place: Place::Extent(0) }
}
