//! What the watch knows, and what it looks at next. Blocking; one turn is bounded, so that its caller can stop between
//! two.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use docmill_api::SourceItem;

use super::entry::{Entry, Place, Stamp};
use super::eyes::Eyes;
use super::marks::Marks;
use crate::rules::Rules;

/// Items after which a turn ends.
const ITEMS: usize = 256;

/// Looks after which a turn ends: a run that is cancelled waits for no more than these.
const LOOKS: usize = 256;

/// How often and how carefully files are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet {
    /// How long nothing may have happened to a file before it is listed.
    pub(crate) quiet: Duration,
    /// How often all is looked at; nought for being told.
    pub(crate) poll: Duration,
}

/// What a turn found, and when the next is due; `None` for when a mark says so.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(super) items: Vec<SourceItem>,
    pub(super) until: Option<Instant>,
}

/// A directory that is listed: some 170 bytes for each file in it, with names of 20.
#[derive(Debug, Default)]
pub(super) struct Dir {
    /// The entries that lead here.
    pub(super) entries: Vec<usize>,
    /// Its path without links, by which the system speaks of it.
    pub(super) real: PathBuf,
    pub(super) files: BTreeMap<OsString, Stamp>,
    pub(super) below: BTreeSet<OsString>,
    /// Whether it could not be read, and was listed itself to fail.
    pub(super) failed: bool,
}

/// What is to be done with a directory.
#[derive(Debug)]
pub(super) enum Job {
    /// Look at these names.
    Names(BTreeSet<OsString>),
    /// Look at all names.
    All,
    /// It is no longer listed, nor is what is below it.
    Gone,
}

/// The watch over the entries of `include`.
pub(crate) struct Watch {
    pub(super) rules: Rules,
    pub(super) entries: Vec<Entry>,
    /// The entries that begin at a path.
    pub(super) rooted: BTreeMap<PathBuf, Vec<usize>>,
    /// The same by their real paths, as far as events name them.
    pub(super) told: HashMap<PathBuf, Vec<usize>>,
    pub(super) dirs: BTreeMap<PathBuf, Dir>,
    /// The directories of a real path: more than one where links lead to it.
    pub(super) faces: HashMap<PathBuf, Vec<PathBuf>>,
    /// Entries to look at, and whether their own events say so.
    pub(super) checks: BTreeMap<usize, bool>,
    /// Directories to look at. A directory comes before what is below it.
    pub(super) queue: BTreeMap<PathBuf, Job>,
    /// Changed files that may still be written to: listed when a second look, a quiet time later, finds them the same.
    held: HashMap<PathBuf, (Stamp, Instant)>,
    pub(super) marks: Arc<Marks>,
    pub(super) eyes: Eyes,
    quiet: Duration,
    /// Whether the first listing is over. In it a file is listed as it is found.
    listed: bool,
    pub(super) links: u64,
    pub(super) now: Instant,
}

impl Watch {
    pub(crate) fn new(rules: Rules, from: &Path, texts: Vec<String>, quiet: Quiet) -> Self {
        let marks = Arc::new(Marks::new(quiet.quiet));
        let entries: Vec<Entry> = texts.into_iter().map(|text| Entry::new(from, text)).collect();
        let mut rooted: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
        let mut checks = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            let others = entry.path().map(|path| rooted.entry(path.to_owned()).or_default());
            let is_path = |other: &usize| matches!(entries[*other].place, Place::Path(_));
            let is_double = matches!(entry.place, Place::Path(_))
                && others.as_ref().is_some_and(|others| others.iter().any(is_path));
            if !is_double {
                others.into_iter().for_each(|others| others.push(index));
                checks.insert(index, false);
            }
        }
        Self {
            rules,
            entries,
            rooted,
            told: HashMap::new(),
            dirs: BTreeMap::new(),
            faces: HashMap::new(),
            checks,
            queue: BTreeMap::new(),
            held: HashMap::new(),
            eyes: Eyes::open(quiet.poll, &marks),
            marks,
            quiet: quiet.quiet,
            listed: false,
            links: 0,
            now: Instant::now(),
        }
    }

    pub(super) fn marks(&self) -> &Arc<Marks> {
        &self.marks
    }

    /// Looks at what is due.
    pub(super) fn turn(&mut self, now: Instant) -> Turn {
        self.now = now;
        self.take_marks();
        if self.eyes.is_time(now) {
            self.rescan();
        }
        let mut items = Vec::new();
        for _ in 0..LOOKS {
            if items.len() >= ITEMS {
                break;
            }
            if let Some((index, own)) = self.checks.pop_first() {
                self.check(index, own, &mut items);
            } else if let Some((path, job)) = self.queue.pop_first() {
                self.look(&path, job, &mut items);
            } else {
                return Turn { items, until: self.rest() };
            }
        }
        Turn { items, until: Some(now) }
    }

    /// Nothing is left to look at: when there will be.
    fn rest(&mut self) -> Option<Instant> {
        if !self.listed {
            self.listed = true;
            crate::lister::warn_of_links(self.links);
        }
        let looking = self.eyes.next(Instant::now());
        self.marks.next().into_iter().chain(looking).min()
    }

    fn take_marks(&mut self) {
        let due = self.marks.take(self.now);
        if let Some(trouble) = due.trouble {
            self.eyes.give_up(&trouble);
        }
        if due.rescan {
            self.rescan();
        }
        for path in due.paths {
            for index in self.told.get(&path).into_iter().flatten() {
                self.checks.insert(*index, true);
            }
            for face in self.faces.get(&path).cloned().unwrap_or_default() {
                self.enqueue(&face, Job::All);
            }
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
            for face in self.faces.get(parent).cloned().unwrap_or_default() {
                self.enqueue(&face, Job::Names(BTreeSet::from([name.to_owned()])));
                if self.rules.is_ignore_file(name) {
                    self.enqueue_below(&face);
                }
            }
        }
    }

    /// Has everything looked at.
    fn rescan(&mut self) {
        self.eyes.looked();
        for index in self.rooted.values().flatten() {
            self.checks.entry(*index).or_insert(false);
        }
        for path in self.dirs.keys() {
            self.queue.insert(path.clone(), Job::All);
        }
    }

    fn enqueue_below(&mut self, path: &Path) {
        for below in keys_below(&self.dirs, path) {
            self.enqueue(&below, Job::All);
        }
    }

    pub(super) fn enqueue(&mut self, path: &Path, job: Job) {
        match (self.queue.get_mut(path), job) {
            (Some(Job::Names(names)), Job::Names(more)) => names.extend(more),
            (Some(Job::All | Job::Gone), Job::Names(_)) => {}
            (_, job) => {
                self.queue.insert(path.to_owned(), job);
            }
        }
    }

    /// Has what is below a path taken for gone, but for what other entries lead to by themselves.
    pub(super) fn drop_tree(&mut self, path: &Path) {
        for below in keys_below(&self.dirs, path) {
            if let Some(dir) = self.dirs.get_mut(&below) {
                dir.entries.clear();
            }
            self.queue.insert(below.clone(), Job::Gone);
            for index in self.rooted.get(&below).into_iter().flatten() {
                self.checks.entry(*index).or_insert(false);
            }
        }
    }

    /// Whether a changed file may be listed: in the first listing, when its own events have been quiet, and otherwise
    /// when it was the same a quiet time ago.
    pub(super) fn is_quiet(&mut self, path: &Path, stamp: Stamp, own: bool) -> bool {
        if !self.listed || (own && self.eyes.are_told()) {
            self.held.remove(path);
            return true;
        }
        match self.held.get(path) {
            Some((held, since)) if *held == stamp && self.now.saturating_duration_since(*since) >= self.quiet => {
                self.held.remove(path);
                return true;
            }
            Some((held, _)) if *held == stamp => {}
            _ => {
                self.held.insert(path.to_owned(), (stamp, self.now));
            }
        }
        let real = path.parent().and_then(|parent| fs::canonicalize(parent).ok()).zip(path.file_name());
        if let Some((parent, name)) = real {
            self.marks.mark(parent.join(name), self.now);
        }
        false
    }

    pub(super) fn release(&mut self, path: &Path) {
        self.held.remove(path);
    }
}

/// A path and all below it, as far as they are keys.
fn keys_below(dirs: &BTreeMap<PathBuf, Dir>, path: &Path) -> Vec<PathBuf> {
    let range = dirs.range(path.to_owned()..);
    range.map(|(below, _)| below).take_while(|below| below.starts_with(path)).cloned().collect()
}
