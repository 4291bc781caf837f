//! The walk: blocking, resumable batch by batch, never on the event loop.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use docmill_api::SourceItem;
use globset::GlobMatcher;
use ignore::{DirEntry, Walk};
use tracing::warn;

use crate::coverage::Coverage;
use crate::items;
use crate::pattern::{self, Pattern};
use crate::rules::{Rules, circle, path_of};
use crate::seen::Seen;

/// Items of a batch: some 100 KiB, and a hop to a thread for each 256 files costs nothing that shows.
const ITEMS: usize = 256;

/// Entries looked at for one batch: a glob that matches nothing in a large tree still comes back now and then, so that
/// a cancelled run is not held up.
const VISITS: usize = 4096;

/// What one turn of the walk found.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<SourceItem>,
    /// Whether nothing comes after it.
    pub(crate) last: bool,
    /// With the last: how many symbolic links were passed over.
    pub(crate) links: u64,
    /// With the last: what was looked at in full.
    pub(crate) coverage: Coverage,
}

/// Walks over the entries of `include` in their order.
pub(crate) struct Lister {
    rules: Rules,
    /// What the entries are relative to.
    from: PathBuf,
    entries: VecDeque<String>,
    walk: Option<Tree>,
    /// So that two entries that overlap list a file once; without a second entry there is nothing to overlap with.
    seen: Option<Seen>,
    /// Symbolic links passed over so far.
    links: u64,
    coverage: Coverage,
}

/// A directory being walked, for itself or for a glob.
struct Tree {
    entry: String,
    root: PathBuf,
    glob: Option<GlobMatcher>,
    walk: Walk,
    matched: bool,
    links: u64,
    /// Whether something in it could not be listed.
    missed: bool,
}

/// Tells once a listing that there are links, and how to have them followed: they may be all that a directory holds.
pub(crate) fn warn_of_links(links: u64) {
    if links > 0 {
        warn!(links, "symbolic links were passed over; `follow_links = true` lists what they lead to");
    }
}

impl Lister {
    pub(crate) fn new(rules: Rules, from: PathBuf, entries: Vec<String>) -> Self {
        let seen = (entries.len() > 1).then(Seen::default);
        Self { rules, from, seen, entries: entries.into(), walk: None, links: 0, coverage: Coverage::default() }
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
                        self.links += tree.links;
                        self.coverage.add(&tree.root, tree.glob.as_ref());
                        if tree.missed {
                            self.coverage.missed();
                        }
                        self.walk = None;
                        None
                    }
                },
                None => match self.entries.pop_front() {
                    Some(entry) => self.open(entry),
                    None => {
                        let coverage = std::mem::take(&mut self.coverage);
                        return Batch { last: true, links: self.links, coverage, ..batch };
                    }
                },
            };
            batch.items.extend(found.filter(|item| self.is_new(item)));
        }
        batch
    }

    fn is_new(&mut self, item: &SourceItem) -> bool {
        self.seen.as_mut().is_none_or(|seen| seen.insert(&item.uri))
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
            Ok(metadata) => Some(items::known(&path, Some(&metadata))),
            Err(_) if pattern::is_glob(&entry) => {
                self.open_glob(entry);
                None
            }
            Err(_) => Some(items::file(&path, None)),
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
        if Rules::is_state(&root) {
            warn!(directory = %root.display(), "a state directory holds no documents, skipped");
            return None;
        }
        let walk = self.rules.walk(&root, depth, None);
        Some(Tree { entry, root, glob, walk, matched: false, links: 0, missed: false })
    }
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

    fn visit(&mut self, entry: &DirEntry) -> Option<SourceItem> {
        if let Some(error) = entry.error() {
            warn!(%error, "part of an ignore file is not understood");
        }
        let kind = entry.file_type()?;
        let path = entry.path();
        self.links += u64::from(kind.is_symlink());
        if kind.is_dir() || kind.is_symlink() || !self.wants(path) {
            return None;
        }
        if !kind.is_file() {
            warn!(path = %path.display(), "neither file nor directory, skipped");
            return None;
        }
        Some(items::known(path, entry.metadata().ok().as_ref()))
    }

    /// What cannot be walked is listed under its own name, so that it fails as a document and is counted: files below
    /// it are missing, and a run without a failure would say that they are not.
    fn report(&mut self, error: &ignore::Error) -> Option<SourceItem> {
        if let Some((ancestor, child)) = circle(error) {
            warn!(link = %child.display(), leads_to = %ancestor.display(), "a link leads back above itself, skipped");
            return None;
        }
        self.missed = true;
        let path = path_of(error).unwrap_or(&self.root);
        let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
        if is_link && !self.wants(path) {
            return None;
        }
        warn!(path = %path.display(), %error, "cannot be listed; it will fail as a document");
        Some(items::file(path, None))
    }

    fn wants(&self, path: &Path) -> bool {
        let Some(glob) = &self.glob else { return true };
        path.strip_prefix(&self.root).is_ok_and(|relative| glob.is_match(relative))
    }
}
