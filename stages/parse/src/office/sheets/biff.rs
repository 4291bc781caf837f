//! The guard before an xls workbook is read: a pass over its records for what would make the reader hold gigabytes or
//! panic. It reads places and lengths and no values; `calamine` reads those.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use cfb::CompoundFile;

use crate::reader::{ReadError, brief};

/// The places of all sheets together, empty ones included: the reader holds each at some 56 bytes, and a child process
/// has 1 GiB. Ten sheets of 65,536 rows by 12 columns are as many.
const MAX_PLACES: u64 = 8_000_000;

/// What one sheet may say it spans: all that the format has room for, which some programs write into every file.
const MAX_DECLARED: u64 = 65_536 * 256;

/// The stream with the records; a workbook of over a quarter of a gigabyte is none that a person reads.
const MAX_STREAM: u64 = 256 << 20;

const FILE_PASS: u16 = 0x002f;
const BOUND_SHEET: u16 = 0x0085;
const DIMENSIONS: u16 = 0x0200;
/// A sheet begins, or a chart within one.
const BEGIN: u16 = 0x0809;
const END: u16 = 0x000a;

/// Refuses a workbook that is encrypted, or whose cells would not fit in memory.
pub(super) fn check(container: &mut CompoundFile<Cursor<&[u8]>>) -> Result<(), ReadError> {
    let name = ["/Workbook", "/Book"].into_iter().find(|name| container.is_stream(name));
    let name = name.ok_or_else(|| ReadError::Broken("no workbook in its container".to_owned()))?;
    let broken = |error: std::io::Error| ReadError::Broken(format!("its container: {}", brief(&error.to_string())));
    let mut stream = Vec::new();
    let size = container.open_stream(name).map_err(broken)?.take(MAX_STREAM + 1).read_to_end(&mut stream);
    if size.map_err(broken)? as u64 > MAX_STREAM {
        return Err(ReadError::TooLarge(format!("a workbook stream of over {} MiB", MAX_STREAM >> 20)));
    }
    check_records(&stream)
}

/// What is held of one sheet, or of all.
#[derive(Clone, Copy, Default)]
struct Extent {
    first: Option<(u64, u64)>,
    last: (u64, u64),
}

impl Extent {
    fn add(&mut self, row: u64, column: u64) {
        let (top, left) = self.first.unwrap_or((row, column));
        self.first = Some((top.min(row), left.min(column)));
        self.last = (self.last.0.max(row), self.last.1.max(column));
    }

    fn places(&self) -> u64 {
        self.first.map_or(0, |(top, left)| (self.last.0 - top + 1) * (self.last.1 - left + 1))
    }
}

fn check_records(stream: &[u8]) -> Result<(), ReadError> {
    let mut sheets: BTreeMap<usize, Extent> = BTreeMap::new();
    let (mut named, mut whole) = (Vec::new(), Extent::default());
    let (mut current, mut depth) = (None, 0_u32);
    for (at, kind, data) in records(stream) {
        match kind {
            FILE_PASS if data.first_chunk() != Some(&[0_u8; 2]) => {
                return Err(ReadError::Encrypted("a workbook that needs a password".to_owned()));
            }
            BEGIN | 0x0409 | 0x0209 | 0x0009 => {
                if depth == 0 {
                    current = Some(at);
                    sheets.insert(at, Extent::default());
                }
                depth += 1;
            }
            END => depth = depth.saturating_sub(1),
            BOUND_SHEET => named.extend(data.first_chunk().map(|place| u32::from_le_bytes(*place) as usize)),
            DIMENSIONS => check_declared(data)?,
            _ => {}
        }
        if let Some((row, first, last)) = cell(kind, data) {
            for extent in [Some(&mut whole), current.and_then(|at| sheets.get_mut(&at))].into_iter().flatten() {
                extent.add(row, first);
                extent.add(row, last);
            }
        }
    }
    // A sheet that is said to begin where none does is read from there to anywhere.
    let held = named.iter().map(|at| sheets.get(at).unwrap_or(&whole).places());
    refuse_over(held.fold(0, u64::saturating_add), MAX_PLACES)
}

/// Room is made for as many cells as a sheet says it spans, before one is read.
fn check_declared(data: &[u8]) -> Result<(), ReadError> {
    if data.len() < 12 {
        return Ok(());
    }
    let rows = (number(data, 4) + number(data, 6) * 65_536).saturating_sub(number(data, 0));
    let columns = number(data, 10).saturating_sub(number(data, 8));
    refuse_over(rows.saturating_mul(columns), MAX_DECLARED)
}

fn refuse_over(places: u64, limit: u64) -> Result<(), ReadError> {
    if places > limit {
        return Err(ReadError::TooLarge(format!("its sheets span {places} cells, over {limit}")));
    }
    Ok(())
}

/// The records of a stream with their places, as far as they go.
fn records(stream: &[u8]) -> impl Iterator<Item = (usize, u16, &[u8])> {
    let mut at = 0_usize;
    std::iter::from_fn(move || {
        let header: &[u8; 4] = stream.get(at..)?.first_chunk()?;
        let kind = u16::from_le_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
        let data = stream.get(at + 4..at + 4 + length)?;
        let begun = at;
        at += 4 + length;
        Some((begun, kind, data))
    })
}

/// Row, first and last column of a record that holds cells.
fn cell(kind: u16, data: &[u8]) -> Option<(u64, u64, u64)> {
    let one = matches!(kind, 0x0203 | 0x0204 | 0x00d6 | 0x0205 | 0x027e | 0x00fd | 0x0006);
    let many = kind == 0x00bd;
    if !(one || many) || data.len() < 4 {
        return None;
    }
    let (row, first) = (number(data, 0), number(data, 2));
    let last = if many { number(data, data.len() - 2).max(first) } else { first };
    Some((row, first, last))
}

fn number(data: &[u8], at: usize) -> u64 {
    data.get(at..at + 2).map_or(0, |pair| u64::from(u16::from_le_bytes([pair[0], pair[1]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).expect("short");
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
    }

    fn book(sheet: &[Vec<u8>]) -> Vec<u8> {
        let bof = record(0x0809, &[0, 6, 5, 0]);
        let head = bof.len() + 4 + 8 + 4;
        let bound = record(BOUND_SHEET, &[&u32::try_from(head).expect("short").to_le_bytes()[..], &[0; 4]].concat());
        let end = record(0x000a, &[]);
        [bof.clone(), bound, end.clone(), bof, sheet.concat(), end].concat()
    }

    fn at(row: u16, column: u16) -> Vec<u8> {
        record(0x0203, &[&row.to_le_bytes()[..], &column.to_le_bytes(), &[0; 10]].concat())
    }

    #[test]
    fn far_corners_are_refused_and_a_large_sheet_is_not() {
        let far = check_records(&book(&[at(0, 0), at(65_535, 255)]));
        assert_eq!(far, Err(ReadError::TooLarge("its sheets span 16777216 cells, over 8000000".into())));
        assert_eq!(check_records(&book(&[at(0, 0), at(65_535, 99)])), Ok(()));
    }

    #[test]
    fn a_password_is_seen_before_anything_is_read() {
        let locked = book(&[record(FILE_PASS, &[1, 0, 2, 3])]);
        assert!(matches!(check_records(&locked), Err(ReadError::Encrypted(_))));
    }

    #[test]
    fn cut_records_end_the_pass() {
        let whole = book(&[at(1, 1)]);
        for end in 0..whole.len() {
            assert_eq!(check_records(&whole[..end]), Ok(()));
        }
    }
}
