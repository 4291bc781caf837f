//! A line of input and what it names. Blocking, and bounded: a line without an end fills no memory.

use std::fs;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use docmill_api::{SourceItem, StageError};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{items, pattern};

/// The longest line, its end included.
const LONGEST: u64 = 1 << 20;

/// A line that is JSON. A key that is not known is refused: a `user` that was meant for `user_id` would put a document
/// where anybody finds it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    uri: String,
    #[serde(default)]
    filename: Option<String>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
    #[serde(default)]
    gone: bool,
    #[serde(default)]
    stamp: Option<String>,
}

/// The documents of an input. Ends with the input, or with an error where that cannot be read.
pub(super) struct Lines<R> {
    input: R,
    /// What paths are relative to.
    here: PathBuf,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R, here: PathBuf) -> Self {
        Self { input, here, number: 0 }
    }

    /// The next line's document; `Some(None)` for a line that is empty, `None` at the end.
    #[expect(clippy::option_option, reason = "the end of the input, and a line that says nothing, are two things")]
    fn line(&mut self) -> io::Result<Option<Option<SourceItem>>> {
        let mut line = Vec::new();
        if (&mut self.input).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if line.len() as u64 == LONGEST && line.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
            return Ok(Some(Some(self.unusable("longer than 1 MiB"))));
        }
        let mut text = line.trim_ascii();
        if self.number == 1 {
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        if text.is_empty() {
            return Ok(Some(None));
        }
        let named = if text.first() == Some(&b'{') { described(text, &self.here) } else { bare(text, &self.here) };
        Ok(Some(Some(named.unwrap_or_else(|reason| self.unusable(&reason)))))
    }

    fn unusable(&self, reason: &str) -> SourceItem {
        items::unusable("stdin", &format!("line {}", self.number), reason)
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<SourceItem, StageError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.line() {
                Ok(Some(Some(item))) => return Some(Ok(item)),
                Ok(Some(None)) => {}
                Ok(None) => return None,
                Err(error) => {
                    let after = self.number;
                    let message = format!("standard input cannot be read after line {after}: {error}");
                    return Some(Err(StageError::fatal(message)));
                }
            }
        }
    }
}

fn described(text: &[u8], here: &Path) -> Result<SourceItem, String> {
    let line: Described = serde_json::from_slice(text).map_err(|error| {
        // Each line is the first of its own.
        let message = error.to_string();
        let message = message
            .rsplit_once(" at line 1 column ")
            .map_or(message.clone(), |(what, column)| format!("{what} (column {column})"));
        format!("not a document in JSON: {message}")
    })?;
    if line.uri.trim().is_empty() {
        return Err("its `uri` is empty".to_owned());
    }
    let named = bare(line.uri.trim().as_bytes(), here)?;
    Ok(SourceItem {
        location: None,
        uri: named.uri,
        filename: line.filename.unwrap_or(named.filename),
        size: line.size.or(named.size),
        media_type: line.media_type,
        session_id: line.session_id,
        user_id: line.user_id,
        metadata: line.metadata,
        gone: line.gone,
        stamp: line.stamp.or(named.stamp),
    })
}

/// An address as it is; a path as the address of its file, with its size, which is the better place in memory.
fn bare(text: &[u8], here: &Path) -> Result<SourceItem, String> {
    if let Ok(text) = std::str::from_utf8(text)
        && (pattern::is_address(text) || ["file:", "data:"].iter().any(|scheme| text.starts_with(scheme)))
    {
        return Ok(SourceItem { uri: text.to_owned(), ..SourceItem::default() });
    }
    if text.contains(&0) {
        return Err("neither an address nor a path: it has a NUL".to_owned());
    }
    let path = path_of(text)?;
    let path = pattern::absolute(here, &path).map_err(|error| format!("no path: {error}"))?;
    Ok(items::known(&path, fs::metadata(&path).ok().as_ref()))
}

/// A name of any bytes, as `find` prints it.
#[cfg(unix)]
fn path_of(text: &[u8]) -> Result<PathBuf, String> {
    Ok(PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(text)))
}

#[cfg(not(unix))]
fn path_of(text: &[u8]) -> Result<PathBuf, String> {
    std::str::from_utf8(text).map(PathBuf::from).map_err(|error| format!("neither an address nor a path: {error}"))
}
