//! One process writes a store. A run has a lock on its state directory as well; this one is for two that have different
//! state directories and the same store, where each would append the rows that the other has.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use docmill_api::StageError;

/// Held while a sink writes; given up when dropped, and by the system when the process ends.
#[derive(Debug)]
pub(crate) struct StoreLock {
    file: File,
}

impl StoreLock {
    /// Takes the lock on a store; `file` is its lock file, in the store's directory.
    ///
    /// # Errors
    /// Fatal: another sink holds it, or the file cannot be written.
    pub(crate) fn take(file: &Path, store: &str) -> Result<Self, StageError> {
        let unusable = |error: std::io::Error| StageError::fatal(format!("{store} cannot be locked: {error}"));
        let mut opened =
            File::options().create(true).truncate(false).read(true).write(true).open(file).map_err(unusable)?;
        match opened.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Who it is helps, and is not needed to refuse.
                let _ = opened.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "another" } else { pid.trim() };
                return Err(StageError::fatal(format!("process {pid} writes {store}: wait for it, or name another")));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let written = opened
            .set_len(0)
            .and_then(|()| opened.seek(SeekFrom::Start(0)).map(drop))
            .and_then(|()| write!(opened, "{}", std::process::id()));
        written.map_err(unusable)?;
        Ok(Self { file: opened })
    }
}

impl Drop for StoreLock {
    /// Said, and not left to the closing of the file: a process that is being started has, until it is another program,
    /// the same open file, and the lock with it.
    fn drop(&mut self) {
        // What cannot be said is done when the file is closed.
        let _ = self.file.unlock();
    }
}
