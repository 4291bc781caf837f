//! A list: a file with an address a line. Blocking, read a batch at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use docmill_api::SourceItem;
use url::Url;

use super::config::Filter;
use crate::items;

/// Lines of a batch: some 100 KiB.
const LINES: usize = 256;

/// The longest line: no server takes a longer address.
const LONGEST: u64 = 64 << 10;

/// A list that is being read.
#[derive(Debug)]
pub(super) struct List {
    name: String,
    input: BufReader<File>,
    number: u64,
}

/// Some lines' items.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) items: Vec<SourceItem>,
    /// Whether nothing comes after it.
    pub(super) last: bool,
    /// Why nothing does.
    pub(super) error: Option<String>,
}

impl List {
    /// Opens a file; what is none (a pipe that would be waited for, a directory) is no list.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name, input: BufReader::new(File::open(path)?), number: 0 })
    }

    pub(super) fn batch(&mut self, filter: &Filter) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..LINES {
            match self.line(filter) {
                Ok(Some(item)) => batch.items.extend(item),
                Ok(None) => return Batch { last: true, ..batch },
                Err(error) => {
                    let message =
                        format!("the list `{}` cannot be read after line {}: {error}", self.name, self.number);
                    return Batch { last: true, error: Some(message), ..batch };
                }
            }
        }
        batch
    }

    #[expect(clippy::option_option, reason = "the end of the list, and a line that lists nothing, are two things")]
    fn line(&mut self, filter: &Filter) -> io::Result<Option<Option<SourceItem>>> {
        let mut line = Vec::new();
        if (&mut self.input).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if line.len() as u64 == LONGEST && line.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
            return Ok(Some(Some(self.unusable("longer than 64 KiB"))));
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            return Ok(Some(Some(self.unusable("no text in UTF-8"))));
        };
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(Some(None));
        }
        let item = match Url::parse(text) {
            Ok(_) => filter.takes(text).then(|| SourceItem { uri: text.to_owned(), ..SourceItem::default() }),
            Err(error) => Some(self.unusable(&format!("no address: {error}"))),
        };
        Ok(Some(item))
    }

    fn unusable(&self, reason: &str) -> SourceItem {
        items::unusable("list", &format!("{} line {}", self.name, self.number), reason)
    }
}
