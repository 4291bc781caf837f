//! Reads files. Blocking: called where blocking is allowed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use bytes::Bytes;
use docmill_api::StageError;

use crate::download::too_large;

/// How much is read between two looks at cancellation: some ten milliseconds of a slow disk.
const STEP: u64 = 4 << 20;

/// The whole of a regular file, in one allocation of its size.
///
/// What is no regular file is never opened: opening a pipe waits for a writer, opening a device may do anything.
pub(crate) fn read(path: &Path, max_bytes: u64, is_cancelled: &dyn Fn() -> bool) -> Result<Bytes, StageError> {
    let metadata = fs::metadata(path).map_err(|error| failure(&error))?;
    if metadata.is_dir() {
        return Err(directory(path));
    }
    if !metadata.is_file() {
        return Err(StageError::rejected("neither file nor directory: a pipe, socket or device"));
    }
    if metadata.len() > max_bytes {
        return Err(too_large(Some(metadata.len()), max_bytes));
    }
    let mut file = File::open(path).map_err(|error| failure(&error))?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    loop {
        if is_cancelled() {
            return Err(StageError::rejected("cancelled"));
        }
        // One more than the limit, to tell a file at the limit from one that grew beyond it since.
        let room = (max_bytes - bytes.len() as u64).saturating_add(1).min(STEP);
        let count = (&mut file).take(room).read_to_end(&mut bytes).map_err(|error| failure(&error))?;
        if bytes.len() as u64 > max_bytes {
            return Err(too_large(None, max_bytes));
        }
        if (count as u64) < room {
            return Ok(bytes.into());
        }
    }
}

/// A source lists a directory only where it could not look into it.
fn directory(path: &Path) -> StageError {
    match fs::read_dir(path) {
        Ok(_) => StageError::rejected("is a directory"),
        Err(error) => failure(&error).context("is a directory that cannot be listed"),
    }
}

/// Rejected for what stays as it is, transient for what a network file system says on a bad day.
fn failure(error: &io::Error) -> StageError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => StageError::rejected("not found"),
        ErrorKind::PermissionDenied => StageError::rejected("permission denied"),
        ErrorKind::IsADirectory => StageError::rejected("is a directory"),
        ErrorKind::Interrupted
        | ErrorKind::TimedOut
        | ErrorKind::WouldBlock
        | ErrorKind::StaleNetworkFileHandle
        | ErrorKind::OutOfMemory => StageError::transient(format!("cannot be read: {error}")),
        // Too many open files: ours, and over as soon as others are closed.
        _ if matches!(error.raw_os_error(), Some(23 | 24)) => StageError::transient(format!("cannot be read: {error}")),
        _ => StageError::rejected(format!("cannot be read: {error}")),
    }
}
