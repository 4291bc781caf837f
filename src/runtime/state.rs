//! The state directory's lock: one process writes what outlives a run. Reading commands work beside it.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Held while a process writes a state directory; given up when dropped, and by the system when the process ends.
#[derive(Debug)]
pub struct StateLock {
    file: File,
}

/// Why a state directory cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process writes it.
    #[error(
        "process {pid} already runs on the state directory `{directory}`: wait for it, or name another `run.state`"
    )]
    Taken {
        /// The directory.
        directory: String,
        /// The other process, as it wrote it down.
        pid: String,
    },
    /// It cannot be made or opened.
    #[error("cannot write the state directory `{directory}`: {error}")]
    Unusable {
        /// The directory.
        directory: String,
        /// What the system said.
        error: std::io::Error,
    },
}

impl StateLock {
    /// Takes the lock, making the directory where there is none.
    ///
    /// # Errors
    /// Another process holds it, or the directory cannot be written.
    pub fn take(directory: &Path) -> Result<Self, StateError> {
        let name = || directory.display().to_string();
        let unusable = |error| StateError::Unusable { directory: name(), error };
        fs::create_dir_all(directory).map_err(unusable)?;
        let path = directory.join("lock");
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Who it is helps, and is not needed to refuse.
                let _ = file.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "another".to_owned() } else { pid.trim().to_owned() };
                return Err(StateError::Taken { directory: name(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)).map(drop))
            .and_then(|()| write!(file, "{}", std::process::id()));
        written.map_err(unusable)?;
        Ok(Self { file })
    }
}

impl Drop for StateLock {
    /// Said, and not left to the closing of the file: a process that is being started has, until it is another program,
    /// the same open file, and the lock with it.
    fn drop(&mut self) {
        // What cannot be said is done when the file is closed.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_the_next_after_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("deep/state");
        let held = StateLock::take(&state).expect("nobody holds it");
        let refused = StateLock::take(&state).expect_err("it is held").to_string();
        assert!(refused.starts_with(&format!("process {} already runs", std::process::id())), "{refused}");
        let inherited = held.file.try_clone().expect("a process being started has the file open as well");
        drop(held);
        StateLock::take(&state).expect("it was given up");
        drop(inherited);
        let file = directory.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(matches!(StateLock::take(&file), Err(StateError::Unusable { .. })));
    }
}
