//! What is left out of a walk: hidden names, ignore files, `exclude`, state directories. One place for the listing and
//! for the watch after it, so that both see the same files.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::GlobSet;
use ignore::{DirEntry, Walk, WalkBuilder};

use crate::config::FilesConfig;
use crate::pattern;

/// The directory in which a run keeps its ledger and its store: never a document.
const STATE: &str = ".docmill";

/// This program's own ignore files.
const OWN: &str = ".docmillignore";

/// The configuration, as a walk needs it.
#[derive(Clone)]
pub(crate) struct Rules {
    /// The pipeline's directory: what `exclude` is relative to.
    base: PathBuf,
    exclude: Arc<GlobSet>,
    ignore_files: bool,
    hidden: bool,
    pub(crate) follow_links: bool,
}

impl Rules {
    pub(crate) fn new(config: &FilesConfig, base: PathBuf) -> Result<Self, String> {
        Ok(Self {
            base: pattern::absolute(Path::new(""), &base).unwrap_or(base),
            exclude: Arc::new(pattern::exclude(&config.exclude)?),
            ignore_files: config.ignore_files,
            hidden: config.hidden,
            follow_links: config.follow_links,
        })
    }

    /// Whether a directory is one that holds no documents, even where it is named by itself.
    pub(crate) fn is_state(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == STATE)
    }

    /// Whether a change of this file changes which others are listed.
    pub(crate) fn is_ignore_file(&self, name: &std::ffi::OsStr) -> bool {
        self.ignore_files && [".gitignore", ".ignore", OWN].iter().any(|known| name == *known)
    }

    /// Walks over what is below a directory, in the order of names; `only` these names right below it, where given.
    pub(crate) fn walk(&self, root: &Path, depth: Option<usize>, only: Option<BTreeSet<OsString>>) -> Walk {
        let (base, exclude) = (self.base.clone(), Arc::clone(&self.exclude));
        let mut builder = WalkBuilder::new(root);
        builder
            .hidden(!self.hidden)
            .parents(self.ignore_files)
            .ignore(self.ignore_files)
            .git_ignore(self.ignore_files)
            .git_exclude(self.ignore_files)
            // A list outside the tree would make the same directory mean other documents on another machine.
            .git_global(false)
            // A directory that was exported from a repository keeps its `.gitignore`; it means the same there.
            .require_git(false)
            .follow_links(self.follow_links)
            .max_depth(depth)
            .sort_by_file_name(std::cmp::Ord::cmp)
            .filter_entry(move |entry| {
                let named = || only.as_ref().is_none_or(|only| only.contains(entry.file_name()));
                entry.depth() == 0 || (named() && !is_left_out(entry, &base, &exclude))
            });
        if self.ignore_files {
            builder.add_custom_ignore_filename(OWN);
        }
        builder.build()
    }
}

fn is_left_out(entry: &DirEntry, base: &Path, exclude: &GlobSet) -> bool {
    let path = entry.path();
    let relative = path.strip_prefix(base).unwrap_or(path);
    (entry.file_name() == STATE && entry.file_type().is_some_and(|kind| kind.is_dir()))
        || exclude.is_match(relative)
        || exclude.is_match(path)
}

/// The link and the directory above it that it leads back to, where that is what went wrong.
pub(crate) fn circle(error: &ignore::Error) -> Option<(&Path, &Path)> {
    match error {
        ignore::Error::Loop { ancestor, child } => Some((ancestor, child)),
        ignore::Error::WithPath { err, .. }
        | ignore::Error::WithDepth { err, .. }
        | ignore::Error::WithLineNumber { err, .. } => circle(err),
        _ => None,
    }
}

/// What could not be walked.
pub(crate) fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}
