//! Writes widths back into the pipeline file: first what would change, then, once that was agreed to, the change itself,
//! unless the file is no longer what was shown.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use docmill_api::Digest;

use crate::config::{Rewritten, set_widths};

/// A change that was shown and can be made.
pub(super) struct Proposed {
    pub(super) path: PathBuf,
    pub(super) rewritten: Rewritten,
    /// Of the text that it was made from.
    pub(super) before: Digest,
}

/// What writing these widths would change. Nothing is written.
///
/// # Errors
/// A sentence: the file cannot be read, is no TOML now, or has no such stage.
pub(super) fn propose(path: &Path, widths: &[(String, usize)]) -> Result<Proposed, String> {
    let text = read(path)?;
    let rewritten = set_widths(&text, widths).map_err(|error| format!("`{}`: {error}", path.display()))?;
    Ok(Proposed { path: path.to_owned(), rewritten, before: Digest::of(&[text.as_bytes()]) })
}

/// Makes the change: as a whole or not at all, and with the rights that the file has.
///
/// # Errors
/// A sentence: the file has changed since it was read, or cannot be written.
pub(super) fn write(proposed: &Proposed) -> Result<(), String> {
    // Through a link to the file itself: a rename would put a file in the link's place.
    let path = fs::canonicalize(&proposed.path).unwrap_or_else(|_| proposed.path.clone());
    if Digest::of(&[read(&path)?.as_bytes()]) != proposed.before {
        return Err(format!("`{}` has changed meanwhile: look at the change anew", path.display()));
    }
    replace(&path, &proposed.rewritten.text).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = (|| {
        let mut file = fs::File::create(&new)?;
        file.set_permissions(fs::metadata(path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    if written.is_err() {
        // What is left of it is of no use.
        let _ = fs::remove_file(&new);
    }
    written
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_was_shown_is_written_unless_the_file_has_changed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pipeline.toml");
        fs::write(&path, "[stages.embed]\nwidth = 5 # two a core\n").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("set");
        let widths = [("embed".to_owned(), 8)];
        let first = propose(&path, &widths).expect("it can be");
        assert_eq!(first.rewritten.lines.len(), 1);
        write(&first).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("read"), "[stages.embed]\nwidth = 8 # two a core\n");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        let refused = write(&first).expect_err("it is not what it was");
        assert!(refused.contains("has changed meanwhile"), "{refused}");
        assert_eq!(fs::read_dir(directory.path()).expect("read").count(), 1);
        assert!(propose(&path, &[("nowhere".into(), 1)]).is_err_and(|error| error.contains("[stages.nowhere]")));
    }
}
