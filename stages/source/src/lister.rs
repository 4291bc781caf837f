//! The walk: blocking, resumable batch by batch, never on the event loop.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use docmill_api::{Digest, SourceItem};
use globset::{GlobMatcher, GlobSet};
use ignore::{DirEntry, Walk, WalkBuilder};
use tracing::warn;
use url::Url;

use crate::config::FilesConfig;
use crate::pattern::{self, Pattern};

/// Items of a batch: some 100 KiB, and a hop to a thread for each 256 files costs nothing that shows.
const ITEMS: usize = 256;

/// Entries looked at for one batch: a glob that matches nothing in a large tree still comes back now and then, so that
/// a cancelled run is not held up.
const VISITS: usize = 4096;

/// The directory in which a run keeps its ledger and its store: never a document.
const STATE: &str = ".docmill";

/// What one turn of the walk found.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<SourceItem>,
    /// Whether nothing comes after it.
    pub(crate) last: bool,
}

/// Walks over the entries of `include` in their order.
pub(crate) struct Lister {
    /// The pipeline's directory: what `exclude` is relative to.
    base: PathBuf,
    /// What the entries are relative to.
    from: PathBuf,
    entries: VecDeque<String>,
    walk: Option<Tree>,
    /// Half a hash of each path listed, 16 bytes a file, so that two entries that overlap list a file once. Without a
    /// second entry there is nothing to overlap with, and it stays empty.
    seen: Option<HashSet<[u8; 16]>>,
    exclude: Arc<GlobSet>,
    ignore_files: bool,
    hidden: bool,
    follow_links: bool,
}

/// A directory being walked, for itself or for a glob.
struct Tree {
    entry: String,
    root: PathBuf,
    glob: Option<GlobMatcher>,
    walk: Walk,
    matched: bool,
}

impl Lister {
    pub(crate) fn new(
        config: &FilesConfig,
        base: PathBuf,
        from: PathBuf,
        entries: Vec<String>,
    ) -> Result<Self, String> {
        Ok(Self {
            base: pattern::absolute(Path::new(""), &base).unwrap_or(base),
            from,
            seen: (entries.len() > 1).then(HashSet::new),
            entries: entries.into(),
            walk: None,
            exclude: Arc::new(pattern::exclude(&config.exclude)?),
            ignore_files: config.ignore_files,
            hidden: config.hidden,
            follow_links: config.follow_links,
        })
    }

    /// The next items; fewer than could be, even none, where the walk was long.
    pub(crate) fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..VISITS {
            if batch.items.len() >= ITEMS {
                return batch;
            }
            let found = match &mut self.walk {
                Some(tree) => match tree.next() {
                    Some(found) => found,
                    None => {
                        self.walk = None;
                        None
                    }
                },
                None => match self.entries.pop_front() {
                    Some(entry) => self.open(entry),
                    None => return Batch { last: true, ..batch },
                },
            };
            batch.items.extend(found.filter(|item| self.is_new(item)));
        }
        batch
    }

    fn is_new(&mut self, item: &SourceItem) -> bool {
        let Some(seen) = &mut self.seen else { return true };
        let digest = Digest::of(&[item.uri.as_bytes()]);
        let mut half = [0; 16];
        half.copy_from_slice(&digest.as_bytes()[..16]);
        seen.insert(half)
    }

    /// Begins an entry: lists it where it is one document, or starts the walk over its directory.
    fn open(&mut self, entry: String) -> Option<SourceItem> {
        if pattern::is_address(&entry) {
            return Some(SourceItem { uri: entry, ..SourceItem::default() });
        }
        let path = pattern::absolute(&self.from, Path::new(&entry)).unwrap_or_else(|_| self.from.join(&entry));
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                self.walk = self.tree(entry, path, None, None);
                None
            }
            // Named by itself, so it is taken, whatever it is: the stage that reads it says what is wrong with it.
            Ok(metadata) => Some(item(&path, metadata.is_file().then_some(metadata.len()))),
            Err(_) if pattern::is_glob(&entry) => {
                self.open_glob(entry);
                None
            }
            Err(_) => Some(item(&path, None)),
        }
    }

    fn open_glob(&mut self, entry: String) {
        let opened = Pattern::parse(&entry).and_then(|found| {
            let root = pattern::absolute(&self.from, &found.root).map_err(|error| error.to_string())?;
            if root.is_dir() { Ok((found, root)) } else { Err("its directory does not exist".to_owned()) }
        });
        match opened {
            Ok((found, root)) => self.walk = self.tree(entry, root, Some(found.glob), found.depth),
            Err(reason) => warn!(glob = entry, reason, "the glob matches nothing"),
        }
    }

    fn tree(&self, entry: String, root: PathBuf, glob: Option<GlobMatcher>, depth: Option<usize>) -> Option<Tree> {
        if root.file_name().is_some_and(|name| name == STATE) {
            warn!(directory = %root.display(), "a state directory holds no documents, skipped");
            return None;
        }
        let (base, exclude) = (self.base.clone(), Arc::clone(&self.exclude));
        let mut builder = WalkBuilder::new(&root);
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
            .filter_entry(move |entry| !is_left_out(entry, &base, &exclude));
        if self.ignore_files {
            builder.add_custom_ignore_filename(".docmillignore");
        }
        Some(Tree { entry, root, glob, walk: builder.build(), matched: false })
    }
}

fn is_left_out(entry: &DirEntry, base: &Path, exclude: &GlobSet) -> bool {
    if entry.depth() == 0 {
        return false;
    }
    let path = entry.path();
    let relative = path.strip_prefix(base).unwrap_or(path);
    (entry.file_name() == STATE && entry.file_type().is_some_and(|kind| kind.is_dir()))
        || exclude.is_match(relative)
        || exclude.is_match(path)
}

impl Tree {
    /// The next entry's item, `Some(None)` for one that is none, `None` after the last.
    #[expect(clippy::option_option, reason = "the end of the walk, and an entry that is no document, are two things")]
    fn next(&mut self) -> Option<Option<SourceItem>> {
        let Some(entry) = self.walk.next() else {
            if self.glob.is_some() && !self.matched {
                warn!(glob = self.entry, "the glob matches nothing");
            }
            return None;
        };
        let found = match entry {
            Ok(entry) => self.visit(&entry),
            Err(error) => self.report(&error),
        };
        self.matched |= found.is_some();
        Some(found)
    }

    fn visit(&self, entry: &DirEntry) -> Option<SourceItem> {
        if let Some(error) = entry.error() {
            warn!(%error, "part of an ignore file is not understood");
        }
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() || kind.is_symlink() || !self.wants(path) {
            return None;
        }
        if !kind.is_file() {
            warn!(path = %path.display(), "neither file nor directory, skipped");
            return None;
        }
        Some(item(path, entry.metadata().ok().map(|metadata| metadata.len())))
    }

    /// What cannot be walked is listed under its own name, so that it fails as a document and is counted: files below
    /// it are missing, and a run without a failure would say that they are not.
    fn report(&self, error: &ignore::Error) -> Option<SourceItem> {
        if let Some((ancestor, child)) = circle(error) {
            warn!(link = %child.display(), leads_to = %ancestor.display(), "a link leads back above itself, skipped");
            return None;
        }
        let path = path_of(error).unwrap_or(&self.root);
        let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
        if is_link && !self.wants(path) {
            return None;
        }
        warn!(path = %path.display(), %error, "cannot be listed; it will fail as a document");
        Some(item(path, None))
    }

    fn wants(&self, path: &Path) -> bool {
        let Some(glob) = &self.glob else { return true };
        path.strip_prefix(&self.root).is_ok_and(|relative| glob.is_match(relative))
    }
}

fn circle(error: &ignore::Error) -> Option<(&Path, &Path)> {
    match error {
        ignore::Error::Loop { ancestor, child } => Some((ancestor, child)),
        ignore::Error::WithPath { err, .. }
        | ignore::Error::WithDepth { err, .. }
        | ignore::Error::WithLineNumber { err, .. } => circle(err),
        _ => None,
    }
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}

/// Names a file: its address keeps every byte of the name (percent-encoded), its file name is for people.
fn item(path: &Path, size: Option<u64>) -> SourceItem {
    let uri = Url::from_file_path(path).map_or_else(|()| format!("file://{}", path.display()), String::from);
    let filename = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    SourceItem { uri, filename, size, ..SourceItem::default() }
}
