//! A folder of documents that are made up: written once, used again where it holds what is wanted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use docmill_api::SourceItem;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{Format, Recipe};

/// Grows when the same recipe makes other documents than before.
const REVISION: u32 = 1;

/// What says what the folder holds; written last.
const STAMP: &str = "docmill-load.json";

/// A line for each document, as a source lists it.
const LISTING: &str = "documents.jsonl";

/// How many documents a directory holds: more are slow to list with some tools.
const TOGETHER: u64 = 1000;

/// Documents of one format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// How many.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The size that half of them do not exceed.
    pub p50: u64,
    /// The size that 95 of 100 do not exceed.
    pub p95: u64,
    /// The largest.
    pub max: u64,
}

/// A folder that has been filled.
#[derive(Clone, Debug)]
pub struct Folder {
    /// A file with a document a line, as a source lists it.
    pub listing: PathBuf,
    /// What is in it, by format.
    pub made: BTreeMap<Format, Made>,
    /// Whether it was there already.
    pub reused: bool,
}

#[derive(Serialize, Deserialize)]
struct Stamp {
    revision: u32,
    recipe: Recipe,
    made: BTreeMap<Format, Made>,
}

/// Fills a folder with the recipe's documents, unless it holds just them. `progress` is told how many are written, after
/// each.
///
/// # Errors
/// It cannot be written, or it holds something that this did not write.
pub fn fill(folder: &Path, recipe: &Recipe, progress: &mut dyn FnMut(u64)) -> io::Result<Folder> {
    fs::create_dir_all(folder)?;
    // An absolute path, since a document's address is one.
    let folder = folder.canonicalize()?;
    let listing = folder.join(LISTING);
    let before = fs::read(folder.join(STAMP)).ok().map(|text| serde_json::from_slice::<Stamp>(&text));
    if let Some(Ok(Stamp { revision: REVISION, recipe: of, made })) = &before
        && of == recipe
        && listing.is_file()
    {
        return Ok(Folder { listing, made: made.clone(), reused: true });
    }
    // Only what was written here is written over.
    if before.is_none() && fs::read_dir(&folder)?.next().is_some() && !listing.is_file() {
        let message = format!("`{}` is not empty and holds no documents of a load test", folder.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    clear(&folder)?;
    let made = write(&folder, &listing, recipe, progress)?;
    let stamp = Stamp { revision: REVISION, recipe: recipe.clone(), made };
    fs::write(folder.join(STAMP), serde_json::to_vec(&stamp)?)?;
    Ok(Folder { listing, made: stamp.made, reused: false })
}

/// Takes away what an earlier filling left, and nothing else. The listing is the last to go: while it is there, the folder
/// is known to be ours.
fn clear(folder: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    gone(fs::remove_file(folder.join(STAMP)))?;
    gone(fs::remove_dir_all(folder.join("documents")))?;
    gone(fs::remove_file(folder.join(LISTING)))
}

fn write(
    folder: &Path,
    listing: &Path,
    recipe: &Recipe,
    progress: &mut dyn FnMut(u64),
) -> io::Result<BTreeMap<Format, Made>> {
    let mut lines = BufWriter::new(File::create(listing)?);
    let mut sizes: BTreeMap<Format, (u64, Histogram<u64>)> = BTreeMap::new();
    for number in 0..recipe.documents {
        let directory = folder.join("documents").join(format!("{:05}", number / TOGETHER));
        if number.is_multiple_of(TOGETHER) {
            fs::create_dir_all(&directory)?;
        }
        let (format, extension, content) = recipe.make(number);
        let file = directory.join(format!("{number:08}.{extension}"));
        fs::write(&file, &content)?;
        let uri = url::Url::from_file_path(&file).map_err(|()| io::Error::other("the folder has no absolute path"))?;
        let size = content.len() as u64;
        let item = SourceItem { uri: uri.into(), size: Some(size), ..SourceItem::default() };
        serde_json::to_writer(&mut lines, &item)?;
        lines.write_all(b"\n")?;
        let empty = || (0, Histogram::new_with_max(1 << 40, 3).expect("the bounds are in order"));
        let (bytes, of) = sizes.entry(format).or_insert_with(empty);
        *bytes += size;
        of.saturating_record(size);
        progress(number + 1);
    }
    lines.flush()?;
    let made = |(bytes, sizes): &(u64, Histogram<u64>)| Made {
        documents: sizes.len(),
        bytes: *bytes,
        p50: sizes.value_at_quantile(0.5),
        p95: sizes.value_at_quantile(0.95),
        max: sizes.max(),
    };
    Ok(sizes.iter().map(|(format, sizes)| (*format, made(sizes))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_filled_once_and_written_anew_for_another_recipe() {
        let directory = tempfile::tempdir().expect("a directory");
        let recipe = Recipe { documents: 30, median: 600, ..Recipe::default() };
        let mut told = Vec::new();
        let filled = fill(directory.path(), &recipe, &mut |written| told.push(written)).expect("filled");
        assert_eq!((filled.reused, told.len(), told.last()), (false, 30, Some(&30)));
        let text = fs::read_to_string(&filled.listing).expect("a listing");
        let items: Vec<SourceItem> = text.lines().map(|line| serde_json::from_str(line).expect("an item")).collect();
        let bytes: u64 = items
            .iter()
            .map(|item| {
                let file = url::Url::parse(&item.uri).expect("an address").to_file_path().expect("a path");
                let length = fs::metadata(file).expect("it is there").len();
                assert_eq!(item.size, Some(length));
                length
            })
            .sum();
        assert_eq!((items.len(), bytes), (30, filled.made.values().map(|made| made.bytes).sum()));
        let again = fill(directory.path(), &recipe, &mut |_| panic!("nothing is written")).expect("there");
        assert!(again.reused && again.made == filled.made);
        let fewer = Recipe { documents: 3, ..recipe };
        let other = fill(directory.path(), &fewer, &mut |_| {}).expect("filled");
        assert_eq!((other.reused, fs::read_to_string(other.listing).expect("a listing").lines().count()), (false, 3));
    }

    #[test]
    fn what_is_not_ours_is_not_touched() {
        let directory = tempfile::tempdir().expect("a directory");
        let precious = directory.path().join("thesis.txt");
        fs::write(&precious, "ten years").expect("written");
        let refused = fill(directory.path(), &Recipe::default(), &mut |_| {});
        assert!(refused.is_err_and(|error| error.to_string().contains("not empty")));
        assert_eq!(fs::read_to_string(precious).expect("there"), "ten years");
    }
}
