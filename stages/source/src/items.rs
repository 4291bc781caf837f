//! How the sources name documents: a file by its address, and what cannot be read by an address that no stage reads.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use docmill_api::{BuildContext, SourceItem, StageError};
use serde_json::Value;
use url::Url;

/// How much of a reason is kept.
const REASON: usize = 300;

/// How long a file has to have been left alone before its times tell whether it changed: they are counted in steps, and
/// of two writes within one the second leaves no trace.
const SETTLED: Duration = Duration::from_secs(2);

/// Names a file with what is known of it.
pub(crate) fn known(path: &Path, metadata: Option<&Metadata>) -> SourceItem {
    let size = metadata.filter(|metadata| metadata.is_file()).map(Metadata::len);
    SourceItem { stamp: metadata.and_then(stamp), ..file(path, size) }
}

/// Size and times of a file, to the nanosecond.
fn stamp(metadata: &Metadata) -> Option<String> {
    let modified = metadata.modified().ok()?;
    // A time to come tells nothing either.
    let left_alone = SystemTime::now().duration_since(modified).ok()?;
    if !metadata.is_file() || left_alone < SETTLED {
        return None;
    }
    let modified = modified.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    Some(format!("{} {modified}{}", metadata.len(), changed(metadata)?))
}

/// When a file's record last changed, which a program cannot set back; within the last moments it tells nothing.
#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let settled = now.saturating_sub(metadata.ctime()) > i64::try_from(SETTLED.as_secs()).ok()?;
    settled.then(|| format!(" {}.{:09}", metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on unix")]
fn changed(_metadata: &Metadata) -> Option<String> {
    Some(String::new())
}

/// Names a file: its address keeps every byte of the name (percent-encoded), its file name is for people.
pub(crate) fn file(path: &Path, size: Option<u64>) -> SourceItem {
    let uri = Url::from_file_path(path).map_or_else(|()| format!("file://{}", path.display()), String::from);
    let filename = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    SourceItem { uri, filename, size, ..SourceItem::default() }
}

/// A file that is no longer there.
pub(crate) fn gone(path: &Path) -> SourceItem {
    SourceItem { gone: true, ..file(path, None) }
}

/// What is listed in the place of something that names no document (a bad line, a sitemap that cannot be read): it is
/// counted, and fails as a document. Its address is of a scheme that no stage reads and says where it stands and what
/// is wrong: `stdin:line 17: no address`.
pub(crate) fn unusable(scheme: &str, place: &str, reason: &str) -> SourceItem {
    let plain = |text: &str| text.replace(char::is_control, " ");
    let (place, mut reason) = (plain(place), plain(reason));
    if let Some((end, _)) = reason.char_indices().nth(REASON) {
        reason.truncate(end);
        reason.push('…');
    }
    let mut item = SourceItem { uri: format!("{scheme}:{place}: {reason}"), filename: place, ..SourceItem::default() };
    item.metadata.insert("error".into(), Value::String(reason));
    item
}

/// The current directory.
pub(crate) fn here() -> Result<PathBuf, StageError> {
    std::env::current_dir().map_err(|error: io::Error| StageError::fatal(format!("no current directory: {error}")))
}

/// The pipeline's directory, absolute.
pub(crate) fn base(cx: &BuildContext) -> Result<PathBuf, StageError> {
    if cx.base.is_absolute() { Ok(cx.base.clone()) } else { Ok(here()?.join(&cx.base)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unusable_says_so_in_an_address_of_its_own_scheme() {
        let item = unusable("stdin", "line 17", "no\naddress?");
        assert_eq!(item.uri, "stdin:line 17: no address?");
        assert_eq!(Url::parse(&item.uri).unwrap().scheme(), "stdin");
        assert_eq!((item.filename.as_str(), &item.metadata["error"]), ("line 17", &Value::from("no address?")));
        let long = unusable("sitemap", "https://h/sitemap.xml", &"ü".repeat(1000));
        assert!(long.uri.chars().count() < 400 && long.uri.ends_with('…'));
        assert_eq!(Url::parse(&long.uri).unwrap().scheme(), "sitemap");
    }
}
