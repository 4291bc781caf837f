//! Reads files. Blocking: called where blocking is allowed.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use docmill_api::StageError;

use crate::archive::{Limits, Window};
use crate::body::{Body, too_large};
use crate::sniff::{self, HEAD};

/// How much is read between two looks at cancellation: some ten milliseconds of a slow disk.
const STEP: u64 = 4 << 20;

/// What changes with the content of a file: its length, and when it was changed last.
pub(crate) type State = (u64, Option<SystemTime>);

pub(crate) fn state_of(metadata: &Metadata) -> State {
    (metadata.len(), metadata.modified().ok())
}

/// The whole of a regular file, in one allocation of its size, and its state before; an archive larger than a document is
/// only opened.
///
/// What is no regular file is never opened: opening a pipe waits for a writer, opening a device may do anything.
pub(crate) fn read(
    path: &Path,
    name: &str,
    limits: &Limits,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(Body, State), StageError> {
    let max_bytes = limits.max_bytes;
    let metadata = fs::metadata(path).map_err(|error| failure(&error))?;
    if metadata.is_dir() {
        return Err(directory(path));
    }
    if !metadata.is_file() {
        return Err(StageError::rejected("neither file nor directory: a pipe, socket or device"));
    }
    let state = state_of(&metadata);
    let mut file = File::open(path).map_err(|error| failure(&error))?;
    if metadata.len() > max_bytes {
        let window = Window::new(Arc::new(file), metadata.len());
        let head = window.head(HEAD).map_err(|error| failure(&error))?;
        return match sniff::archive(&head, name) {
            Some(_) => Ok((Body::Large(window), state)),
            None => Err(too_large(Some(metadata.len()), max_bytes)),
        };
    }
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
            let window = Window::new(Arc::new(file), bytes.len() as u64);
            return Ok((Body::Whole(bytes.into(), Some(window)), state));
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
