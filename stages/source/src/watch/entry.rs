//! An entry of `include` as the watch keeps it: where it begins, and what it was when it was last looked at.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use globset::GlobMatcher;
use tracing::warn;

use crate::pattern::{self, Pattern};

/// What tells one content of a file from another without reading it: time of change, size, and which file it is, so
/// that one that was renamed into the place of another is another whatever its time says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64);

impl Stamp {
    /// Of what cannot be asked.
    pub(super) const UNKNOWN: Self = Self(0);

    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        let mut hasher = DefaultHasher::new();
        (metadata.modified().ok(), metadata.len(), file_number(metadata)).hash(&mut hasher);
        Self(hasher.finish())
    }
}

#[cfg(unix)]
fn file_number(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn file_number(_metadata: &fs::Metadata) -> u64 {
    0
}

/// The file system that a path is on.
#[cfg(unix)]
pub(super) fn device(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::dev(metadata)
}

/// The file system that a path is on.
#[cfg(not(unix))]
pub(super) fn device(_metadata: &fs::Metadata) -> u64 {
    0
}

/// One entry of `include`.
#[derive(Debug)]
pub(super) struct Entry {
    /// As it was written.
    pub(super) text: String,
    pub(super) place: Place,
    pub(super) known: Known,
    /// The file system that its directory was on when it was first seen. On another, it was unmounted, and its files
    /// are out of reach and not gone.
    pub(super) device: Option<u64>,
}

/// What an entry names.
#[derive(Debug)]
pub(super) enum Place {
    /// An address: listed once.
    Address,
    /// A file or directory.
    Path(PathBuf),
    /// A directory, and what is wanted of it.
    Glob { root: PathBuf, glob: GlobMatcher, depth: Option<usize> },
    /// Nothing; a warning was given.
    Nothing,
}

/// What an entry was when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Never,
    Missing,
    File(Stamp),
    Tree,
}

impl Entry {
    /// Finds out what an entry names, as the listing does.
    pub(super) fn new(from: &Path, text: String) -> Self {
        let place = Self::place(from, &text);
        Self { text, place, known: Known::Never, device: None }
    }

    fn place(from: &Path, text: &str) -> Place {
        if pattern::is_address(text) {
            return Place::Address;
        }
        let path = pattern::absolute(from, Path::new(text)).unwrap_or_else(|_| from.join(text));
        if !pattern::is_glob(text) || fs::symlink_metadata(&path).is_ok() {
            return Place::Path(path);
        }
        let parsed = Pattern::parse(text).and_then(|found| {
            let root = pattern::absolute(from, &found.root).map_err(|error| error.to_string())?;
            Ok(Place::Glob { root, glob: found.glob, depth: found.depth })
        });
        parsed.unwrap_or_else(|reason| {
            warn!(glob = text, reason, "the glob matches nothing");
            Place::Nothing
        })
    }

    /// Where it begins on disk.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Path(path) => Some(path),
            Place::Glob { root, .. } => Some(root),
            Place::Address | Place::Nothing => None,
        }
    }

    /// Whether it is a file by itself, and so no business of the directory around it.
    pub(super) fn is_single(&self) -> bool {
        matches!(self.place, Place::Path(_)) && self.known != Known::Tree
    }

    /// Whether a file below its directory is meant.
    pub(super) fn wants(&self, path: &Path) -> bool {
        match &self.place {
            Place::Glob { root, glob, .. } => path.strip_prefix(root).is_ok_and(|relative| glob.is_match(relative)),
            _ => true,
        }
    }

    /// Whether what is meant can lie below this directory.
    pub(super) fn reaches(&self, directory: &Path) -> bool {
        match &self.place {
            Place::Glob { root, depth: Some(depth), .. } => {
                directory.strip_prefix(root).is_ok_and(|relative| relative.components().count() < *depth)
            }
            _ => true,
        }
    }

    /// Whether its directory is still on the file system where it was first seen.
    pub(super) fn is_mounted(&mut self) -> bool {
        let Some(metadata) = self.path().and_then(|path| fs::metadata(path).ok()) else { return true };
        let now = device(&metadata);
        *self.device.get_or_insert(now) == now
    }
}
