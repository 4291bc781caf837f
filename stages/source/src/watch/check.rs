//! A look at an entry of `include` itself: a file, the directory that it begins at, or nothing, and each of them may turn
//! into another.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use docmill_api::SourceItem;
use tracing::warn;

use super::entry::{Known, Place, Stamp};
use super::turn::{Job, Watch};
use crate::items;
use crate::rules::Rules;

impl Watch {
    /// Looks at an entry itself: a file, the directory that it begins at, or nothing.
    pub(super) fn check(&mut self, index: usize, own: bool, items: &mut Vec<SourceItem>) {
        let entry = &self.entries[index];
        let (known, is_glob) = (entry.known, matches!(entry.place, Place::Glob { .. }));
        let Some(path) = entry.path().map(Path::to_owned) else {
            if known == Known::Never && matches!(entry.place, Place::Address) {
                items.push(SourceItem { uri: entry.text.clone(), ..SourceItem::default() });
                self.entries[index].known = Known::Missing;
            }
            return;
        };
        if known == Known::Never {
            self.attend_entry(index, &path);
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => self.check_tree(index, &path, items),
            Ok(metadata) if !is_glob => {
                self.leave_tree(index, &path);
                let stamp = Stamp::of(&metadata);
                if known != Known::File(stamp) && self.is_quiet(&path, stamp, own) {
                    self.entries[index].known = Known::File(stamp);
                    items.push(items::known(&path, Some(&metadata)));
                }
            }
            Ok(_) => self.leave_tree(index, &path),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                self.leave_tree(index, &path);
                match known {
                    Known::Never if is_glob => warn!(glob = self.entries[index].text, "the glob matches nothing"),
                    Known::Never => items.push(items::file(&path, None)),
                    Known::File(_) => items.push(items::gone(&path)),
                    Known::Missing | Known::Tree => {}
                }
                self.entries[index].known = Known::Missing;
            }
            Err(error) => {
                if known == Known::Never && !is_glob {
                    items.push(items::file(&path, None));
                    self.entries[index].known = Known::Missing;
                }
                warn!(path = %path.display(), %error, "cannot be looked at");
            }
        }
    }

    fn check_tree(&mut self, index: usize, path: &Path, items: &mut Vec<SourceItem>) {
        if Rules::is_state(path) {
            warn!(directory = %path.display(), "a state directory holds no documents, skipped");
            self.entries[index].known = Known::Tree;
            return;
        }
        if !self.entries[index].is_mounted() {
            warn!(directory = %path.display(), "on another file system than before, so its documents are kept");
            return;
        }
        if let Known::File(_) = self.entries[index].known {
            items.push(items::gone(path));
        }
        self.entries[index].known = Known::Tree;
        let dir = self.dirs.entry(path.to_owned()).or_default();
        if !dir.entries.contains(&index) {
            dir.entries.push(index);
        }
        self.enqueue(path, Job::All);
    }

    /// An entry that is no directory any more leads to none.
    fn leave_tree(&mut self, index: usize, path: &Path) {
        if self.entries[index].known == Known::Tree {
            self.entries[index].known = Known::Missing;
            self.entries[index].device = None;
            self.drop_tree(path);
        }
    }

    /// Has the events of an entry's own path count: those that make it, and those that take it away.
    fn attend_entry(&mut self, index: usize, path: &Path) {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
        let Ok(parent) = fs::canonicalize(parent) else {
            if self.eyes.are_told() {
                warn!(path = %path.display(), "not watched, its directory does not exist");
            }
            return;
        };
        self.told.entry(parent.join(name)).or_default().push(index);
        if self.marks.attend(&parent, Some(name)) {
            self.eyes.watch(&parent);
        }
    }
}
