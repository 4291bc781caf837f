//! Tar files: one walk over the headers, past the contents, gives an index of places.

use docmill_api::StageError;
use tar::EntryType;

use super::{Limits, Member, Place, Window, broken, clean, is_document};

/// The documents of a tar file. Links, devices and pipes are none.
pub(super) fn members(file: &Window, limits: &Limits) -> Result<Vec<Member>, StageError> {
    // Long names are read into memory whole, so the count of what is read bounds those as well.
    let mut archive = tar::Archive::new(file.limited(limits.directory()));
    let mut members = Vec::new();
    let mut count = 0;
    for entry in archive.entries_with_seek().map_err(|error| broken(&error))? {
        let entry = entry.map_err(|error| broken(&error))?;
        count += 1;
        limits.count(count)?;
        let (start, size) = (entry.raw_file_position(), entry.size());
        if start.checked_add(size).is_none_or(|end| end > file.length()) {
            return Err(StageError::rejected("broken: it ends within a member"));
        }
        let name = clean(&String::from_utf8_lossy(&entry.path_bytes()));
        let place = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => Place::Extent(start),
            EntryType::GNUSparse => Place::Nowhere("a sparse file in a tar file, which is not supported"),
            _ => continue,
        };
        if is_document(&name, size) {
            members.push(Member { name, size, packed: size, media_type: None, place });
        }
    }
    Ok(members)
}
