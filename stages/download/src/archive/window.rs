//! A file as a container reader sees it: positioned reads, so that many read one open file at once, and a count of what
//! was read, so that a directory cannot be larger than what the container may hold.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A view of a file from its beginning, or of a part of it. A clone has a place of its own and shares the count.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    file: Arc<File>,
    start: u64,
    length: u64,
    at: u64,
    left: Arc<AtomicU64>,
}

/// Says that the count ran out.
pub(super) const TOO_MUCH: &str = "its directory is larger than `max_members` entries need";

impl Window {
    /// The whole of a file.
    pub(crate) fn new(file: Arc<File>, length: u64) -> Self {
        Self { file, start: 0, length, at: 0, left: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// A part of it, with a count of its own. What lies outside is not there.
    pub(super) fn part(&self, start: u64, length: u64) -> Self {
        let mut part = Self::new(Arc::clone(&self.file), length.min(self.length.saturating_sub(start)));
        part.start = self.start + start;
        part
    }

    /// The same view, of which at most so much may be read until [`Window::lift`].
    pub(super) fn limited(&self, bytes: u64) -> Self {
        let limited = self.part(0, self.length);
        limited.left.store(bytes, Ordering::Relaxed);
        limited
    }

    pub(super) fn lift(&self) {
        self.left.store(u64::MAX, Ordering::Relaxed);
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The first bytes, so many as there are.
    pub(crate) fn head(&self, length: usize) -> io::Result<Vec<u8>> {
        let mut head = Vec::with_capacity(length);
        self.part(0, length as u64).read_to_end(&mut head)?;
        Ok(head)
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            // Behind the end there is nothing, however far: a place beyond what the system knows is no fault of its own.
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..most], self.start + self.at)?;
        let spent = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(count as u64));
        if spent.is_err() {
            return Err(io::Error::other(TOO_MUCH));
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
