//! What the watcher's thread leaves for the [`super::Watch`]: the paths that something happened to, and when.
//!
//! Bounded: beyond [`MARKS`] paths the marks give way to one word, that all has to be looked at again. Nothing here
//! asks the file system, and no lock is held while the watcher is spoken to, whose thread waits for the same lock.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind};
use tokio::sync::Notify;

/// Paths that are marked at once: a megabyte of them, and more than anybody writes by hand within a second.
const MARKS: usize = 4096;

/// The marks, shared with the watcher's thread.
#[derive(Debug)]
pub(super) struct Marks {
    state: Mutex<State>,
    quiet: Duration,
    /// Told when there is a first mark: its reader knows from [`Marks::next`] when to come for the others.
    pub(super) wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// By the directory's real path.
    interest: HashMap<PathBuf, Interest>,
    /// By the real path of a directory, and the name below it: when something last happened there.
    marked: HashMap<PathBuf, Instant>,
    /// Since when all has to be looked at again.
    rescan: Option<Instant>,
    /// What keeps the watcher from watching.
    trouble: Option<String>,
}

/// Which events of a directory count. A directory may be watched for one name in it alone, in the middle of a busy
/// directory that is nobody's business.
#[derive(Debug, Default)]
struct Interest {
    whole: bool,
    names: HashSet<OsString>,
}

/// What is to be looked at now.
#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) paths: Vec<PathBuf>,
    pub(super) rescan: bool,
    pub(super) trouble: Option<String>,
}

impl Marks {
    pub(super) fn new(quiet: Duration) -> Self {
        Self { state: Mutex::default(), quiet, wake: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A map of times is whole whatever its last writer did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the watcher says. Called on its thread.
    pub(super) fn hear(&self, event: notify::Result<Event>) {
        let now = Instant::now();
        match event {
            Ok(event) if event.need_rescan() => self.rescan(now),
            Ok(event) if is_of_reading(event.kind) => {}
            Ok(event) => {
                for path in &event.paths {
                    self.note(path, now);
                }
            }
            Err(error) if matches!(error.kind, notify::ErrorKind::MaxFilesWatch) => {
                self.lock().trouble = Some(error.to_string());
                self.rescan(now);
            }
            // An event may be missing, so nothing is known any more.
            Err(_) => self.rescan(now),
        }
    }

    fn note(&self, path: &Path, now: Instant) {
        let state = self.lock();
        let is_wanted = |directory: &Path, name: Option<&OsStr>| {
            let interest = state.interest.get(directory);
            interest.is_some_and(|found| found.whole || name.is_some_and(|name| found.names.contains(name)))
        };
        let below = path.parent().is_some_and(|parent| is_wanted(parent, path.file_name()));
        if below || is_wanted(path, None) {
            self.put(state, path.to_owned(), now);
        }
    }

    /// Marks a path that has to be looked at a second time.
    pub(super) fn mark(&self, path: PathBuf, now: Instant) {
        self.put(self.lock(), path, now);
    }

    fn put(&self, mut state: MutexGuard<'_, State>, path: PathBuf, now: Instant) {
        let was_idle = state.marked.is_empty() && state.rescan.is_none();
        if state.marked.len() >= MARKS && !state.marked.contains_key(&path) {
            state.marked.clear();
            state.rescan.get_or_insert(now);
        } else {
            state.marked.insert(path, now);
        }
        drop(state);
        if was_idle {
            self.wake.notify_one();
        }
    }

    fn rescan(&self, now: Instant) {
        self.lock().rescan.get_or_insert(now);
        self.wake.notify_one();
    }

    /// Has all events of a directory count, or those of one name in it. Whether it was unknown before.
    pub(super) fn attend(&self, directory: &Path, name: Option<&OsStr>) -> bool {
        let mut state = self.lock();
        let is_new = !state.interest.contains_key(directory);
        let interest = state.interest.entry(directory.to_owned()).or_default();
        match name {
            Some(name) => {
                interest.names.insert(name.to_owned());
            }
            None => interest.whole = true,
        }
        is_new
    }

    /// Has a directory's events count no more. Whether none of its names counts either, so that it need not be watched.
    pub(super) fn leave(&self, directory: &Path) -> bool {
        let mut state = self.lock();
        let is_over = state.interest.get_mut(directory).is_none_or(|interest| {
            interest.whole = false;
            interest.names.is_empty()
        });
        if is_over {
            state.interest.remove(directory);
        }
        is_over
    }

    /// Takes the paths where nothing has happened for a quiet time.
    pub(super) fn take(&self, now: Instant) -> Due {
        let mut state = self.lock();
        let is_due = |since: Instant| now.saturating_duration_since(since) >= self.quiet;
        let rescan = state.rescan.is_some_and(is_due);
        if rescan {
            state.rescan = None;
        }
        let mut paths: Vec<PathBuf> =
            state.marked.iter().filter(|(_, since)| is_due(**since)).map(|(path, _)| path.clone()).collect();
        for path in &paths {
            state.marked.remove(path);
        }
        paths.sort_unstable();
        Due { paths, rescan, trouble: state.trouble.take() }
    }

    /// When something is due next, if nothing else happens.
    pub(super) fn next(&self) -> Option<Instant> {
        let state = self.lock();
        let first = state.marked.values().copied().chain(state.rescan).min();
        first.map(|since| since + self.quiet)
    }
}

/// Our own reading of a file is an event as well.
fn is_of_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, Flag};

    use super::*;

    const QUIET: Duration = Duration::from_secs(10);

    fn created(path: &str) -> notify::Result<Event> {
        Ok(Event::new(EventKind::Create(CreateKind::File)).add_path(path.into()))
    }

    #[test]
    fn only_what_counts_is_marked_and_it_is_due_when_it_was_quiet() {
        let marks = Marks::new(QUIET);
        assert!(marks.attend(Path::new("/a"), None));
        assert!(marks.attend(Path::new("/b"), Some(OsStr::new("one"))));
        for path in ["/a/x", "/b/one", "/b/two", "/c/x", "/a"] {
            marks.hear(created(path));
        }
        let reading = Event::new(EventKind::Access(AccessKind::Open(AccessMode::Any))).add_path("/a/read".into());
        marks.hear(Ok(reading));
        let heard = Instant::now();
        assert!(marks.take(heard).paths.is_empty());
        marks.mark("/a/x".into(), heard + QUIET / 2);
        let first: Vec<PathBuf> = marks.take(heard + QUIET).paths;
        assert_eq!(first, [PathBuf::from("/a"), "/b/one".into()]);
        assert_eq!(marks.next(), Some(heard + QUIET / 2 + QUIET));
        assert_eq!(marks.take(heard + QUIET * 2).paths, [PathBuf::from("/a/x")]);
        assert_eq!(marks.next(), None);
        assert!(marks.leave(Path::new("/a")) && marks.next().is_none());
        marks.hear(created("/a/x"));
        assert_eq!(marks.next(), None);
    }

    #[test]
    fn more_marks_than_there_is_room_for_and_lost_events_have_all_looked_at() {
        let marks = Marks::new(QUIET);
        marks.attend(Path::new("/a"), None);
        for number in 0..=MARKS {
            marks.hear(created(&format!("/a/{number}")));
        }
        let heard = Instant::now();
        let due = marks.take(heard + QUIET);
        assert!(due.rescan && due.paths.is_empty());
        marks.hear(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(!marks.take(heard).rescan && marks.take(Instant::now() + QUIET).rescan);
        marks.hear(Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
        let due = marks.take(Instant::now() + QUIET);
        assert!(due.rescan && due.trouble.is_some());
    }
}
