//! Takes in what a place gives, piece by piece: a document into memory, up to `max_bytes`; an archive beyond that into a
//! temporary file without a name, up to `archive_bytes`. Which of the two it is, its first bytes tell, before more is
//! taken in.
//!
//! It is fed from servers, stores and members of archives alike. It never reads by itself.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use bytes::Bytes;
use docmill_api::StageError;
use docmill_api::units::Size;

use crate::archive::{Limits, Window};
use crate::sniff::{self, HEAD};

/// The most that is reserved on the word of a server: one that announces much and sends little gets no more memory
/// than this.
const RESERVE: u64 = 1 << 20;

/// How much of an archive is gathered before it is written.
const WRITE: usize = 1 << 20;

/// What a place gave.
#[derive(Debug)]
pub(crate) enum Body {
    /// All of it; with the file that it is in, where it is in one.
    Whole(Bytes, Option<Window>),
    /// An archive larger than `max_bytes`, by its first bytes.
    Large(Window),
}

/// A body under way.
pub(crate) struct Collector {
    limits: Limits,
    name: String,
    announced: Option<u64>,
    is_archive: Option<bool>,
    memory: Vec<u8>,
    spool: Option<File>,
    total: u64,
}

impl Collector {
    /// For a document of this name, of whose size somebody said something.
    pub(crate) fn new(limits: Limits, name: String, announced: Option<u64>) -> Self {
        let reserve = usize::try_from(announced.unwrap_or_default().min(RESERVE)).unwrap_or_default();
        let memory = Vec::with_capacity(reserve);
        Self { limits, name, announced, is_archive: None, memory, spool: None, total: 0 }
    }

    /// Takes in a piece. Never blocks: the caller looks at [`Collector::is_due`].
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), StageError> {
        self.total += piece.len() as u64;
        self.memory.extend_from_slice(piece);
        if self.is_archive.is_none() && self.memory.len() >= HEAD {
            self.decide()?;
        }
        self.check()
    }

    /// Whether [`Collector::flush`] is to be called, where blocking is allowed.
    pub(crate) fn is_due(&self) -> bool {
        self.is_archive == Some(true) && self.total > self.limits.max_bytes && self.memory.len() >= WRITE
    }

    /// Writes what was gathered to the temporary file. Blocks.
    pub(crate) fn flush(&mut self) -> Result<(), StageError> {
        if self.spool.is_none() {
            self.spool = Some(temporary()?);
        }
        if let Some(spool) = &mut self.spool {
            spool.write_all(&self.memory).map_err(|error| unwritten(&error))?;
        }
        self.memory.clear();
        Ok(())
    }

    /// Whether the end has to be written as well: [`Collector::finish`] blocks then.
    pub(crate) fn is_large(&self) -> bool {
        self.is_archive == Some(true) && self.total > self.limits.max_bytes
    }

    /// The whole of it.
    pub(crate) fn finish(mut self) -> Result<Body, StageError> {
        if self.is_archive.is_none() {
            self.decide()?;
            self.check()?;
        }
        if self.is_large() {
            self.flush()?;
            if let Some(spool) = self.spool {
                return Ok(Body::Large(Window::new(Arc::new(spool), self.total)));
            }
        }
        // The budget counts what is used, so what is not is given back.
        self.memory.shrink_to_fit();
        Ok(Body::Whole(self.memory.into(), None))
    }

    /// The error for a body that broke off: that it is too large, where it was announced to be.
    pub(crate) fn broken(&self, error: StageError) -> StageError {
        match self.announced {
            Some(size) if size > self.limits.max_bytes && self.is_archive.is_none() => self.too_large(Some(size)),
            _ => error,
        }
    }

    fn decide(&mut self) -> Result<(), StageError> {
        let is_archive = sniff::archive(&self.memory, &self.name).is_some();
        self.is_archive = Some(is_archive);
        match self.announced {
            Some(size) if size > self.most() => Err(self.too_large(Some(size))),
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), StageError> {
        let is_decided = self.is_archive.is_some();
        if is_decided && self.total > self.most() { Err(self.too_large(None)) } else { Ok(()) }
    }

    fn most(&self) -> u64 {
        if self.is_archive == Some(true) { self.limits.largest() } else { self.limits.max_bytes }
    }

    fn too_large(&self, size: Option<u64>) -> StageError {
        if self.is_archive == Some(true) {
            larger("archive_bytes", size, self.limits.largest())
        } else {
            too_large(size, self.limits.max_bytes)
        }
    }
}

/// The error for a document that is larger than `max_bytes`, with its size where that is known.
pub(crate) fn too_large(size: Option<u64>, max_bytes: u64) -> StageError {
    larger("max_bytes", size, max_bytes)
}

/// The error for what is larger than a field says.
pub(crate) fn larger(field: &str, size: Option<u64>, most: u64) -> StageError {
    let size = size.map(|size| format!("{}, ", Size(size))).unwrap_or_default();
    StageError::rejected(format!("too large: {size}more than `{field}` ({})", Size(most)))
}

/// A file without a name: gone with the process, however it ends.
pub(crate) fn temporary() -> Result<File, StageError> {
    tempfile::tempfile().map_err(|error| unwritten(&error))
}

/// Other archives may be about to give their room back, so it is worth another attempt.
pub(crate) fn unwritten(error: &io::Error) -> StageError {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room there, or lower `archive_bytes`",
        _ => "",
    };
    StageError::transient(format!("an archive cannot be unpacked to the temporary directory: {error}{hint}"))
}
