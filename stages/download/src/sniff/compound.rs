//! OLE compound files: Word, Excel and PowerPoint before 2007, Outlook messages, encrypted Office files.
//!
//! Told by the names directly below the root, because a document embeds others: a Word file with an Excel sheet in it
//! holds the streams of both. The directory is read in place, by index, each entry once.

use super::{names, u16_at, u32_at};

const MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Sectors of the directory looked at; one of 512 bytes holds four entries.
const SECTORS: usize = 2048;

/// An entry of the directory.
const ENTRY: usize = 128;

/// Ends a chain of sectors, and stands for "no entry".
const NONE: u32 = 0xffff_fffa;

/// Office files from 2007 on, encrypted. Which kind, only the name tells; its reader finds no zip file in it and knows why.
const ENCRYPTED: &str = "encrypted";

/// What is none of the known, or cannot be followed.
const UNKNOWN: &str = "application/x-ole-storage";

pub(super) fn is_compound(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(super) fn media_type(bytes: &[u8], name: &str) -> &'static str {
    let of_name = names::binary(name);
    match File::open(bytes).and_then(|file| file.kind()) {
        Some(ENCRYPTED) | None => of_name.unwrap_or(UNKNOWN),
        Some(found) => found,
    }
}

struct File<'a> {
    bytes: &'a [u8],
    sector: usize,
    /// The sectors of the directory, in its order.
    directory: Vec<u32>,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let sector = match u16_at(bytes, 30)? {
            9 => 512,
            12 => 4096,
            _ => return None,
        };
        let mut file = Self { bytes, sector, directory: Vec::new() };
        let mut next = u32_at(bytes, 48)?;
        // The bound ends a chain that runs in a circle.
        while next < NONE && file.directory.len() < SECTORS {
            file.directory.push(next);
            let Some(following) = file.following(next) else { break };
            next = following;
        }
        Some(file)
    }

    fn offset(&self, sector: u32) -> Option<usize> {
        usize::try_from(sector).ok()?.checked_add(1)?.checked_mul(self.sector)
    }

    /// The sector after this one, by the table whose first 109 sectors the header names; those reach 6.8 MB of file, and
    /// the directory of a larger one is read as far as that.
    fn following(&self, sector: u32) -> Option<u32> {
        let per_sector = self.sector / 4;
        let index = usize::try_from(sector).ok()?;
        let slot = index / per_sector;
        if slot >= 109 {
            return None;
        }
        let table = u32_at(self.bytes, 76 + slot * 4).filter(|table| *table < NONE)?;
        u32_at(self.bytes, self.offset(table)? + (index % per_sector) * 4)
    }

    fn entry(&self, id: u32) -> Option<&'a [u8]> {
        let per_sector = self.sector / ENTRY;
        let id = usize::try_from(id).ok()?;
        let sector = self.directory.get(id / per_sector)?;
        let start = self.offset(*sector)? + (id % per_sector) * ENTRY;
        self.bytes.get(start..start + ENTRY)
    }

    /// Goes over the root's own entries: a tree by left and right sibling, bounded by the number of entries there are.
    fn kind(&self) -> Option<&'static str> {
        let most = self.directory.len() * (self.sector / ENTRY);
        let mut waiting = vec![u32_at(self.entry(0)?, 76)?];
        let mut best: Option<(usize, &'static str)> = None;
        for _ in 0..most {
            let Some(id) = waiting.pop() else { break };
            let Some(entry) = self.entry(id) else { continue };
            if let Some(found) = kind_of(entry) {
                best = Some(best.map_or(found, |best| best.min(found)));
            }
            waiting.extend([68, 72].into_iter().filter_map(|at| u32_at(entry, at)).filter(|id| *id < NONE));
        }
        best.map(|(_, kind)| kind)
    }
}

/// The type that a stream's name tells, with its rank where a file has several.
fn kind_of(entry: &[u8]) -> Option<(usize, &'static str)> {
    const STREAMS: [(&str, &str); 7] = [
        ("EncryptedPackage", ENCRYPTED),
        ("__properties_version1.0", "application/vnd.ms-outlook"),
        ("WordDocument", "application/msword"),
        ("PowerPoint Document", "application/vnd.ms-powerpoint"),
        ("Workbook", "application/vnd.ms-excel"),
        ("Book", "application/vnd.ms-excel"),
        ("FileHeader", "application/x-hwp"),
    ];
    let length = usize::from(u16_at(entry, 64)?).checked_sub(2)?;
    let name = entry.get(..length.min(64))?;
    let is = |text: &str| {
        name.len() == text.len() * 2
            && name.chunks_exact(2).zip(text.bytes()).all(|(unit, letter)| unit == [letter, 0].as_slice())
    };
    STREAMS.iter().enumerate().find(|(_, (stream, _))| is(stream)).map(|(rank, (_, kind))| (rank, *kind))
}
