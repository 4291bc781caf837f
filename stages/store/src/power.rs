//! The barrier against a power cut: everything that was written to a file system so far is on its disk.
//!
//! One call for the whole file system, because neither store here syncs what it writes, and a commit of LanceDB is
//! several files in several directories that nobody outside can name.

use std::fs::File;
use std::io;
use std::path::Path;

/// Waits until all that was written to the file system of `directory` is on disk. Takes some 10 ms where there is little.
///
/// # Errors
/// The disk failed, or this system has no such call.
#[cfg(target_os = "linux")]
pub(crate) fn sync_file_system(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(directory)?)?)
}

/// Not on this system.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sync_file_system(_directory: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "`durability = \"power\"` needs Linux: use \"process\""))
}

/// Replaces a small file whole, on disk when it returns.
///
/// # Errors
/// It cannot be written.
pub(crate) fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let beside = file.with_extension("new");
    let mut written = File::create(&beside)?;
    io::Write::write_all(&mut written, content)?;
    written.sync_all()?;
    std::fs::rename(&beside, file)?;
    sync_directory_of(file)
}

/// Removes a file for good; it need not be there.
///
/// # Errors
/// It cannot be removed.
pub(crate) fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_directory_of(file),
    }
}

fn sync_directory_of(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
