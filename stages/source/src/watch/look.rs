//! One look into one directory: reads it under the rules of the listing, compares it with what is known, and says what
//! is new, changed and gone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use docmill_api::SourceItem;
use ignore::DirEntry;
use tracing::warn;

use super::entry::Stamp;
use super::turn::{Job, Watch};
use crate::items;
use crate::rules::path_of;

/// What a directory holds of what is wanted.
#[derive(Default)]
struct Found {
    files: BTreeMap<OsString, (Stamp, Option<u64>)>,
    /// Directories, and the entries that lead there.
    below: BTreeMap<OsString, Vec<usize>>,
}

impl Watch {
    /// Does what is to be done with a directory.
    pub(super) fn look(&mut self, path: &Path, job: Job, items: &mut Vec<SourceItem>) {
        let names = match job {
            Job::Gone => return self.forget(path, items),
            Job::All => None,
            Job::Names(names) => Some(names),
        };
        let Some(dir) = self.dirs.get(path) else { return };
        let leading = dir.entries.clone();
        if leading.is_empty() {
            return self.forget(path, items);
        }
        if leading.iter().any(|index| !self.entries[*index].is_mounted()) {
            warn!(directory = %path.display(), "on another file system than before, so its documents are kept");
            return;
        }
        let read = self.attend(path, names.is_none()).and_then(|()| self.read(path, &leading, names.as_ref()));
        match read {
            Ok(found) => {
                if let Some(dir) = self.dirs.get_mut(path) {
                    dir.failed = false;
                }
                self.compare_below(path, names.as_ref(), &found);
                self.compare_files(path, names.as_ref(), &found, items);
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                self.drop_tree(path);
            }
            Err(error) => self.fail(path, &error, items),
        }
    }

    /// Watches the directory before it is read, so that what happens after the reading is told. Each full look does so
    /// again: there may be another directory in its place.
    fn attend(&mut self, path: &Path, again: bool) -> io::Result<()> {
        let real = fs::canonicalize(path)?;
        let known = self.dirs.get(path).map(|dir| dir.real.clone()).unwrap_or_default();
        if known != real {
            self.unface(path, &known);
            self.faces.entry(real.clone()).or_default().push(path.to_owned());
            if let Some(dir) = self.dirs.get_mut(path) {
                dir.real.clone_from(&real);
            }
        }
        if again || known != real {
            self.marks.attend(&real, None);
            self.eyes.watch(&real);
        }
        Ok(())
    }

    /// A directory is not to be found under its real path any more.
    fn unface(&mut self, path: &Path, real: &Path) {
        let Some(faces) = self.faces.get_mut(real) else { return };
        faces.retain(|face| face != path);
        if faces.is_empty() {
            self.faces.remove(real);
            if self.marks.leave(real) {
                self.eyes.unwatch(real);
            }
        }
    }

    fn read(&mut self, path: &Path, leading: &[usize], names: Option<&BTreeSet<OsString>>) -> io::Result<Found> {
        let mut found = Found::default();
        let mut links = 0;
        for (turn, index) in leading.iter().enumerate() {
            for entry in self.rules.walk(path, Some(1), names.cloned()) {
                match entry {
                    Ok(entry) if entry.depth() == 0 => {}
                    Ok(entry) => {
                        // Each entry that leads here passes over the same links.
                        links += u64::from(turn == 0 && entry.file_type().is_some_and(|kind| kind.is_symlink()));
                        self.sort(*index, &entry, &mut found);
                    }
                    Err(error) => self.misread(*index, path, error, &mut found)?,
                }
            }
        }
        self.links += links;
        let is_single = |path: &Path| {
            let rooted = self.rooted.get(path).into_iter().flatten();
            rooted.into_iter().any(|index| self.entries[*index].is_single())
        };
        found.files.retain(|name, _| !is_single(&path.join(name)));
        Ok(found)
    }

    fn sort(&self, index: usize, entry: &DirEntry, found: &mut Found) {
        let Some(kind) = entry.file_type() else { return };
        let path = entry.path();
        let name = entry.file_name().to_owned();
        if kind.is_dir() {
            if self.entries[index].reaches(path) && !self.is_circle(path) {
                found.below.entry(name).or_default().push(index);
            }
        } else if kind.is_file() && self.entries[index].wants(path) {
            match entry.metadata() {
                Ok(metadata) => {
                    found.files.insert(name, (Stamp::of(&metadata), Some(metadata.len())));
                }
                // Gone since the directory was read.
                Err(error) if is_missing(&error) => {}
                Err(_) => {
                    found.files.insert(name, (Stamp::UNKNOWN, None));
                }
            }
        }
    }

    /// What went wrong with the directory itself, or a name in it that is listed to fail.
    fn misread(&self, index: usize, path: &Path, error: ignore::Error, found: &mut Found) -> io::Result<()> {
        let Some(at) = path_of(&error).filter(|at| *at != path).map(Path::to_owned) else {
            return Err(error.into_io_error().unwrap_or_else(|| io::Error::other("cannot be listed")));
        };
        let is_there = fs::symlink_metadata(&at).is_ok();
        if let Some(name) = at.file_name().filter(|_| is_there && self.entries[index].wants(&at)) {
            found.files.insert(name.to_owned(), (Stamp::UNKNOWN, None));
        }
        Ok(())
    }

    /// Whether a link leads back above itself.
    fn is_circle(&self, path: &Path) -> bool {
        if !self.rules.follow_links {
            return false;
        }
        let Ok(real) = fs::canonicalize(path) else { return false };
        path.ancestors().skip(1).any(|above| self.dirs.get(above).is_some_and(|dir| dir.real == real))
    }

    fn compare_below(&mut self, path: &Path, names: Option<&BTreeSet<OsString>>, found: &Found) {
        let Some(dir) = self.dirs.get_mut(path) else { return };
        let is_lost =
            |name: &&OsString| names.is_none_or(|names| names.contains(*name)) && !found.below.contains_key(*name);
        let lost: Vec<OsString> = dir.below.iter().filter(is_lost).cloned().collect();
        for name in &lost {
            dir.below.remove(name);
        }
        dir.below.extend(found.below.keys().cloned());
        for name in lost {
            self.drop_tree(&path.join(name));
        }
        for (name, leading) in &found.below {
            self.lead(&path.join(name), leading.clone(), names.is_some());
        }
    }

    /// Has a directory looked at that entries lead to: where it is new, where others lead there than before, where it
    /// was taken for gone, and where `again` an event says that something happened to it.
    fn lead(&mut self, path: &Path, mut leading: Vec<usize>, again: bool) {
        let rooted = self.rooted.get(path).into_iter().flatten().copied();
        leading.extend(rooted.filter(|index| self.entries[*index].known == super::entry::Known::Tree));
        leading.sort_unstable();
        leading.dedup();
        let is_new = !self.dirs.contains_key(path);
        let dir = self.dirs.entry(path.to_owned()).or_default();
        dir.entries.sort_unstable();
        let is_other = dir.entries != leading;
        dir.entries = leading;
        let was_gone = matches!(self.queue.get(path), Some(Job::Gone));
        if is_new || is_other || was_gone || again {
            self.enqueue(path, Job::All);
        }
    }

    fn compare_files(
        &mut self,
        path: &Path,
        names: Option<&BTreeSet<OsString>>,
        found: &Found,
        items: &mut Vec<SourceItem>,
    ) {
        let mut known = match self.dirs.get_mut(path) {
            Some(dir) => std::mem::take(&mut dir.files),
            None => return,
        };
        for (name, (stamp, size)) in &found.files {
            let file = path.join(name);
            if known.get(name) == Some(stamp) {
                self.release(&file);
            } else if self.is_quiet(&file, *stamp, names.is_some()) {
                known.insert(name.clone(), *stamp);
                items.push(items::file(&file, *size));
            }
        }
        let is_lost = |name: &&OsString| !found.files.contains_key(*name);
        let lost: Vec<OsString> = match names {
            None => known.keys().filter(is_lost).cloned().collect(),
            Some(names) => names.iter().filter(is_lost).cloned().collect(),
        };
        for name in lost {
            let file = path.join(&name);
            self.release(&file);
            if known.remove(&name).is_some() {
                items.push(items::gone(&file));
            }
        }
        if let Some(dir) = self.dirs.get_mut(path) {
            dir.files = known;
        }
    }

    /// A directory that cannot be read is listed itself, once, so that it fails as a document. Its files are out of
    /// reach and not gone.
    fn fail(&mut self, path: &Path, error: &io::Error, items: &mut Vec<SourceItem>) {
        let Some(dir) = self.dirs.get_mut(path) else { return };
        if !std::mem::replace(&mut dir.failed, true) {
            warn!(path = %path.display(), %error, "cannot be listed; it will fail as a document");
            items.push(items::file(path, None));
        }
    }

    /// A directory is not listed any more: its files are gone.
    fn forget(&mut self, path: &Path, items: &mut Vec<SourceItem>) {
        let Some(dir) = self.dirs.remove(path) else { return };
        for name in dir.files.keys() {
            let file = path.join(name);
            self.release(&file);
            items.push(items::gone(&file));
        }
        let real: PathBuf = dir.real;
        self.unface(path, &real);
    }
}

fn is_missing(error: &ignore::Error) -> bool {
    error.io_error().is_some_and(|error| error.kind() == ErrorKind::NotFound)
}
