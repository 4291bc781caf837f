//! How changes are noticed: by the system's word, or by looking again now and then.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::warn;

use super::marks::Marks;

/// How often all is looked at where the system cannot tell and nobody said how often.
const POLL: Duration = Duration::from_secs(5);

/// Whether the system tells of changes below a directory from a watch on that directory alone. kqueue wants an open
/// file for each file, so what has kqueue is looked at.
const TELLS: bool = cfg!(any(target_os = "linux", target_os = "android", target_os = "windows"));

/// What notices changes.
pub(super) enum Eyes {
    /// The system tells.
    Told(RecommendedWatcher),
    /// All is looked at again each time that this has passed.
    Looking { every: Duration, next: Option<Instant> },
}

impl Eyes {
    /// `poll` is nought for being told.
    pub(super) fn open(poll: Duration, marks: &Arc<Marks>) -> Self {
        if !TELLS || !poll.is_zero() {
            return Self::looking(poll);
        }
        let heard = Arc::clone(marks);
        match RecommendedWatcher::new(move |event| heard.hear(event), notify::Config::default()) {
            Ok(watcher) => Self::Told(watcher),
            Err(error) => {
                warn!(%error, "the system tells of no changes; all files are looked at now and then");
                Self::looking(poll)
            }
        }
    }

    fn looking(poll: Duration) -> Self {
        Self::Looking { every: if poll.is_zero() { POLL } else { poll }, next: None }
    }

    pub(super) fn are_told(&self) -> bool {
        matches!(self, Self::Told(_))
    }

    /// Watches a directory, not what is below it: what the rules leave out costs no watch, and makes no noise.
    pub(super) fn watch(&mut self, directory: &Path) {
        let Self::Told(watcher) = self else { return };
        match watcher.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => {}
            Err(error) if is_of_limits(&error) => self.give_up(&error.to_string()),
            // Reading the directory says better what is wrong with it.
            Err(error) => warn!(directory = %directory.display(), %error, "a directory is not watched"),
        }
    }

    pub(super) fn unwatch(&mut self, directory: &Path) {
        if let Self::Told(watcher) = self {
            // A directory that is gone is not watched any more: no matter here.
            let _ = watcher.unwatch(directory);
        }
    }

    /// From now on looks.
    pub(super) fn give_up(&mut self, reason: &str) {
        if self.are_told() {
            warn!(reason, "there are more directories than the system watches; all files are looked at now and then");
            *self = Self::looking(Duration::ZERO);
        }
    }

    /// Whether it is time to look at all again.
    pub(super) fn is_time(&self, now: Instant) -> bool {
        matches!(self, Self::Looking { next: Some(next), .. } if now >= *next)
    }

    /// When to look next, counted from the end of a look: one that takes longer than the time between two leaves the
    /// machine that time to itself.
    pub(super) fn next(&mut self, now: Instant) -> Option<Instant> {
        match self {
            Self::Told(_) => None,
            Self::Looking { every, next } => Some(*next.get_or_insert(now + *every)),
        }
    }

    /// Begins a look at all.
    pub(super) fn looked(&mut self) {
        if let Self::Looking { next, .. } = self {
            *next = None;
        }
    }
}

fn is_of_limits(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(error) => matches!(error.raw_os_error(), Some(23 | 24)),
        _ => false,
    }
}
