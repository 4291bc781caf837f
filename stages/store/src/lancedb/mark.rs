//! Which version of a table is on disk for good, in a file beside it: how a table comes back after a power cut.
//!
//! LanceDB syncs nothing. After a power cut the newest manifests and the files that they name may be empty or missing, and
//! a table whose newest manifest is empty cannot be opened. So the committer syncs the file system at a barrier and notes
//! the version that the table had; whoever opens the table to write drops the manifests behind that version, unless
//! the last writer said that it left none. What is dropped with them no ledger has been told of.
//!
//! | the file | the table |
//! |---|---|
//! | is not there | is as its newest manifest says: nobody who writes it asked for more |
//! | `{"version": 0, "closed": false}` | was being made; it is made again |
//! | `{"version": 7, "closed": false}` | is version 7 |
//! | `{"version": 7, "closed": true}` | is as its newest manifest says: what came after 7 another program wrote |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::power;

/// The note beside a table.
#[derive(Debug)]
pub(super) struct Mark {
    /// None where whatever is written is there for good: in an object store.
    file: Option<PathBuf>,
    noted: Option<Noted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Noted {
    version: u64,
    closed: bool,
}

impl Mark {
    /// Of a table that needs none.
    pub(super) fn none() -> Self {
        Self { file: None, noted: None }
    }

    /// Reads the mark of a table, and brings the table back to the version that it names, where a writer broke off.
    /// `table` is the directory of its files.
    ///
    /// # Errors
    /// The mark is none, or what is behind it cannot be removed.
    pub(super) fn recover(file: PathBuf, table: &Path) -> io::Result<Self> {
        let noted: Option<Noted> = match fs::read(&file) {
            Ok(text) => Some(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match noted {
            Some(Noted { version: 0, closed: false }) if table.exists() => fs::remove_dir_all(table)?,
            Some(Noted { version, closed: false }) => go_back(table, version)?,
            _ => {}
        }
        Ok(Self { file: Some(file), noted })
    }

    /// Says that a table is being made: a power cut before the first barrier leaves nothing that has to be read.
    ///
    /// # Errors
    /// The mark cannot be written.
    pub(super) fn making(&mut self) -> io::Result<()> {
        self.note(Noted { version: 0, closed: false })
    }

    /// Says that commits follow. `keep` is whether there will be barriers; otherwise the mark goes, for what it says
    /// will no longer hold.
    ///
    /// # Errors
    /// The mark cannot be written.
    pub(super) fn before_commit(&mut self, keep: bool) -> io::Result<()> {
        match self.noted {
            None => Ok(()),
            Some(_) if !keep => {
                if let Some(file) = &self.file {
                    power::remove(file)?;
                }
                self.noted = None;
                Ok(())
            }
            Some(noted) if noted.closed => self.note(Noted { closed: false, ..noted }),
            Some(_) => Ok(()),
        }
    }

    /// Syncs the file system and notes the version that the table has. `closed` is whether no commit follows soon.
    ///
    /// # Errors
    /// The disk failed.
    pub(super) fn barrier(&mut self, version: u64, closed: bool) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        power::sync_file_system(file.parent().unwrap_or(Path::new(".")))?;
        self.note(Noted { version, closed })
    }

    fn note(&mut self, noted: Noted) -> io::Result<()> {
        if let Some(file) = &self.file
            && self.noted != Some(noted)
        {
            power::replace(file, &serde_json::to_vec(&noted)?)?;
            self.noted = Some(noted);
        }
        Ok(())
    }
}

/// Drops the manifests behind a version, and the file that says which is the newest.
fn go_back(table: &Path, version: u64) -> io::Result<()> {
    let versions = table.join("_versions");
    let entries = match fs::read_dir(&versions) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut behind = Vec::new();
    for entry in entries {
        let file = entry?.path();
        let is_manifest = file.extension().is_some_and(|extension| extension == "manifest");
        let number = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        // LanceDB counts names down, so that the newest version comes first in a listing.
        if is_manifest && number.is_some_and(|number| u64::MAX - number > version) {
            behind.push(file);
        }
    }
    if behind.is_empty() {
        return Ok(());
    }
    for file in behind {
        fs::remove_file(file)?;
    }
    power::remove(&versions.join("latest_version_hint.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(table: &Path) -> Vec<u64> {
        let mut found: Vec<u64> = fs::read_dir(table.join("_versions"))
            .expect("listed")
            .filter_map(|entry| entry.expect("an entry").path().file_stem()?.to_str()?.parse::<u64>().ok())
            .map(|number| u64::MAX - number)
            .collect();
        found.sort_unstable();
        found
    }

    fn table(base: &Path) -> (PathBuf, PathBuf) {
        let table = base.join("chunks.lance");
        fs::create_dir_all(table.join("_versions")).expect("made");
        for version in 1..=5 {
            let name = format!("{:020}.manifest", u64::MAX - version);
            fs::write(table.join("_versions").join(name), b"").expect("written");
        }
        (base.join(".chunks.mark"), table)
    }

    #[test]
    fn what_came_after_the_last_barrier_goes_unless_the_writer_closed() {
        let base = tempfile::tempdir().expect("a directory");
        let (file, table) = table(base.path());
        let mut mark = Mark::recover(file.clone(), &table).expect("no mark");
        assert_eq!(versions(&table), [1, 2, 3, 4, 5], "without a mark nothing is dropped");
        mark.barrier(4, true).expect("synced");
        let mut mark = Mark::recover(file.clone(), &table).expect("read");
        assert_eq!(versions(&table).len(), 5, "the last writer closed");
        mark.before_commit(true).expect("noted");
        Mark::recover(file.clone(), &table).expect("recovered");
        assert_eq!(versions(&table), [1, 2, 3, 4]);
        let mut mark = Mark::recover(file.clone(), &table).expect("recovered");
        mark.before_commit(false).expect("removed");
        assert!(!file.exists(), "who asks for less says so");
        mark.making().expect("noted");
        Mark::recover(file, &table).expect("recovered");
        assert!(!table.exists(), "it was being made");
    }

    #[test]
    fn a_mark_that_is_none_is_an_error() {
        let base = tempfile::tempdir().expect("a directory");
        let (file, table) = table(base.path());
        fs::write(&file, b"").expect("written");
        assert!(Mark::recover(file, &table).is_err());
    }
}
