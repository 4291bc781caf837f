//! Zip files: the directory once, then any member by itself.

use docmill_api::StageError;
use zip::ZipArchive;
use zip::result::ZipError;

use super::{Limits, Member, Place, Window, broken, clean, is_document};
use crate::sniff::{self, HEAD};

/// What the header of an entry takes before its name.
const LOCAL_HEADER: u64 = 30;

/// An archive and its documents.
type Opened = (ZipArchive<Window>, Vec<Member>);

/// Reads the directory; `None` where the zip file is a document.
pub(super) fn open(file: &Window, name: &str, limits: &Limits) -> Result<Option<Opened>, StageError> {
    let window = file.limited(limits.directory());
    let archive = ZipArchive::new(window.clone()).map_err(|error| broken_archive(&error))?;
    limits.count(archive.len() as u64)?;
    window.lift();
    let head = file.head(HEAD).map_err(|error| broken(&error))?;
    if sniff::zip(&head, archive.file_names_raw(), name) != sniff::ZIP {
        return Ok(None);
    }
    let members = members(&archive, limits, file.length())?;
    Ok(Some((archive, members)))
}

fn members(archive: &ZipArchive<Window>, limits: &Limits, length: u64) -> Result<Vec<Member>, StageError> {
    let mut members = Vec::new();
    let mut ranges = Vec::with_capacity(archive.len());
    let mut unpacked: u64 = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(|error| broken_archive(&error))?;
        let raw = entry.name_raw();
        let start = entry.header_start();
        let end = (start + LOCAL_HEADER + raw.len() as u64).saturating_add(entry.compressed_size());
        unpacked = unpacked.saturating_add(entry.size());
        let is_outside = end > length;
        if !is_outside {
            ranges.push((start, end));
        }
        let name = match (std::str::from_utf8(raw), entry.name()) {
            (Ok(name), _) => clean(name),
            (_, Ok(name)) => clean(&name),
            _ => clean(&String::from_utf8_lossy(raw)),
        };
        if entry.is_dir() || entry.is_symlink() || !is_document(&name, entry.size()) {
            continue;
        }
        let place = match () {
            () if entry.encrypted() => Place::Nowhere("encrypted"),
            () if is_outside => Place::Nowhere("broken: it lies outside its archive"),
            () => Place::Entry(index),
        };
        members.push(Member { name, size: entry.size(), packed: entry.compressed_size(), media_type: None, place });
    }
    limits.unpacked(unpacked, length)?;
    // The same bytes, unpacked as many members: how a few kilobytes become terabytes.
    ranges.sort_unstable();
    if ranges.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(StageError::rejected("broken: its members lie upon each other"));
    }
    Ok(members)
}

fn broken_archive(error: &ZipError) -> StageError {
    match error {
        ZipError::UnsupportedArchive(what) => StageError::rejected(format!("a zip file that is not supported: {what}")),
        error => broken(error),
    }
}

/// Why a member cannot be read.
pub(super) fn failure(error: &ZipError) -> StageError {
    match error {
        ZipError::UnsupportedArchive(what) if *what == ZipError::PASSWORD_REQUIRED => StageError::rejected("encrypted"),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            StageError::rejected("packed by a method that is not supported: pack it again by deflate")
        }
        error => broken(error),
    }
}
