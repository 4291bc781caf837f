//! What bounds a container: how many members, how much its directory may take to read, how much all of it may unpack to,
//! and how much more that may be than the container itself, with the archives within it taken together.

use docmill_api::StageError;
use docmill_api::units::Size;

use crate::config::DownloadConfig;

/// How much an archive may grow when unpacked, as a multiple of its size; texts reach some twenty, tables and logs some
/// hundred. Below [`SMALL`], anything goes: a page of blanks is no bomb.
const RATIO: u64 = 200;
const SMALL: u64 = 64 << 20;

/// What an entry of a directory may take to read, on average: header, name and extra fields; and the part of a directory
/// that does not grow with it.
const ENTRY: u64 = 1 << 10;
const FRAME: u64 = 1 << 20;

/// What bounds a container and its members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest document.
    pub(crate) max_bytes: u64,
    /// The most that an archive may unpack to, and the largest that is fetched.
    pub(crate) archive_bytes: u64,
    /// The most entries of an archive.
    pub(crate) max_members: u64,
    /// What an archive within another may unpack to: its share of what that one may.
    pub(crate) share: Option<u64>,
}

impl Limits {
    pub(crate) fn of(config: &DownloadConfig) -> Self {
        Self {
            max_bytes: config.max_bytes.0,
            archive_bytes: config.archive_bytes.0,
            max_members: u64::from(config.max_members),
            share: None,
        }
    }

    /// The same for an archive that is within another.
    pub(crate) fn with_share(self, share: Option<u64>) -> Self {
        Self { share, ..self }
    }

    /// The largest archive: an archive may always be as large as any other document.
    pub(crate) fn largest(&self) -> u64 {
        self.archive_bytes.max(self.max_bytes)
    }

    /// What may be read of a directory.
    pub(super) fn directory(&self) -> u64 {
        self.max_members.saturating_mul(ENTRY).saturating_add(FRAME)
    }

    pub(super) fn count(&self, entries: u64) -> Result<(), StageError> {
        if entries <= self.max_members {
            return Ok(());
        }
        Err(StageError::rejected(format!("it holds more than `max_members` ({}) entries", self.max_members)))
    }

    /// What may come out of an archive of this size, before `archive_bytes`.
    ///
    /// An archive within another has a share of what may come out of that, as large as its part of it. Bounds for each by
    /// itself would multiply: two megabytes that hold 180 archives of 1,000 archives each give ten terabytes, and none of
    /// them more than [`SMALL`].
    pub(super) fn allowance(&self, length: u64) -> u64 {
        self.share.unwrap_or_else(|| length.saturating_mul(RATIO).max(SMALL))
    }

    /// Whether so much may come out of an archive of this size.
    pub(super) fn unpacked(&self, bytes: u64, from: u64) -> Result<(), StageError> {
        let most = Size(self.largest());
        if bytes > most.0 {
            return Err(StageError::rejected(format!("it unpacks to more than `archive_bytes` ({most})")));
        }
        match self.share {
            _ if bytes <= self.allowance(from) => Ok(()),
            None => Err(StageError::rejected(format!("it unpacks to more than {RATIO} times its size"))),
            Some(share) => Err(StageError::rejected(format!(
                "it unpacks to more than {}, its share of what the archive that it is in may unpack to",
                Size(share)
            ))),
        }
    }
}
