//! Uploads on disk: each in a file that is called by its content's hash, from its first byte until nobody needs it.
//!
//! A file is needed while its document, or one that was found inside it, is under way; that of a document that failed is
//! kept for another attempt as long as there is room.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use docmill_api::{Digest, Durability};

/// The scheme of a document that was uploaded: `upload://HASH/NAME`.
pub(crate) const UPLOAD: &str = "upload://";
/// So much is gathered before it is written.
const BUFFER: usize = 256 << 10;
/// What an unfinished upload ends with.
const PART: &str = "part";

/// The directory of uploads.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    most: u64,
    used: AtomicU64,
    numbers: AtomicU64,
    durability: Durability,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Files that may be needed no longer, and how often that was seen.
    ended: HashMap<Digest, u32>,
    /// Those of documents that failed, the oldest first.
    failed: VecDeque<Digest>,
}

/// Why an upload ended.
#[derive(Debug)]
pub(crate) enum SpoolError {
    /// It is larger than it may be.
    TooLarge,
    /// There is no room for it now.
    Full,
    Io(io::Error),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull { Self::Full } else { Self::Io(error) }
    }
}

impl Spool {
    /// Opens a state directory's, and clears it of uploads that were not finished.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(state: &Path, most: u64, durability: Durability) -> io::Result<Arc<Self>> {
        let directory = state.join("uploads");
        fs::create_dir_all(&directory)?;
        let spool = Self {
            directory,
            most,
            used: AtomicU64::new(0),
            numbers: AtomicU64::new(0),
            durability,
            state: Mutex::default(),
        };
        for entry in fs::read_dir(&spool.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            match name.to_str().and_then(|name| name.parse::<Digest>().ok()) {
                Some(hash) => {
                    spool.used.fetch_add(entry.metadata()?.len(), Ordering::Relaxed);
                    // Whoever still needs it says so.
                    spool.state().ended.insert(hash, 0);
                }
                None => fs::remove_file(entry.path())?,
            }
        }
        Ok(Arc::new(spool))
    }

    /// Bytes on disk, those of unfinished uploads included.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Begins an upload of at most so many bytes.
    pub(crate) fn begin(self: &Arc<Self>, most: u64) -> Upload {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{number}.{PART}"));
        let (spool, buffer, hasher) = (Arc::clone(self), BytesMut::new(), blake3::Hasher::new());
        Upload { spool, path, file: None, buffer, hasher: Box::new(hasher), written: 0, most }
    }

    /// Takes so many bytes of the room, at the cost of what is kept of documents that failed.
    fn reserve(&self, bytes: u64) -> Result<(), SpoolError> {
        loop {
            let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                used.checked_add(bytes).filter(|used| *used <= self.most)
            });
            if taken.is_ok() {
                return Ok(());
            }
            let Some(oldest) = self.state().failed.pop_front() else { return Err(SpoolError::Full) };
            self.remove(&oldest);
        }
    }

    fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    fn path(&self, hash: &Digest) -> PathBuf {
        self.directory.join(hash.to_string())
    }

    /// Whether the bytes of a document at this address are here; yes for one that was not uploaded.
    pub(crate) fn has(&self, uri: &str) -> bool {
        !uri.starts_with(UPLOAD) || hash_of(uri).is_some_and(|hash| self.path(&hash).exists())
    }

    /// Takes note that a document has come to its end: one that failed may be tried again.
    pub(crate) fn ended(&self, uri: &str, failed: bool) {
        let Some(hash) = hash_of(uri) else { return };
        let mut state = self.state();
        if failed {
            if !state.failed.contains(&hash) {
                state.failed.push_back(hash);
            }
        } else {
            state.failed.retain(|other| *other != hash);
            state.ended.entry(hash).or_insert(0);
        }
    }

    /// Takes note of a file whose document may have been accepted, or not.
    pub(crate) fn is_there(&self, hash: Digest) {
        self.state().ended.entry(hash).or_insert(0);
    }

    /// Those that may be removed; each was seen to be needed by nobody `times` before.
    pub(crate) fn unneeded(&self) -> Vec<(Digest, u32)> {
        self.state().ended.iter().map(|(hash, times)| (*hash, *times)).collect()
    }

    /// Takes note whether a file is still needed; the second time that it is not it goes. Twice, because a document that
    /// is handed from one to the next is with neither for a moment.
    pub(crate) fn looked(&self, hash: &Digest, needed: bool) {
        let gone = {
            let mut state = self.state();
            if needed || state.failed.contains(hash) {
                state.ended.remove(hash);
                return;
            }
            let Some(times) = state.ended.get_mut(hash) else { return };
            *times += 1;
            *times >= 2 && state.ended.remove(hash).is_some()
        };
        if gone {
            self.remove(hash);
        }
    }

    fn remove(&self, hash: &Digest) {
        let path = self.path(hash);
        let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        match fs::remove_file(&path) {
            Ok(()) => self.release(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "an upload that nobody needs stays on disk"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The hash in the address of an upload, or of a document inside one.
pub(crate) fn hash_of(uri: &str) -> Option<Digest> {
    uri.strip_prefix(UPLOAD)?.split('/').next()?.parse().ok()
}

/// An upload under way. Dropped before it is finished, it leaves nothing.
pub(crate) struct Upload {
    spool: Arc<Spool>,
    path: PathBuf,
    file: Option<File>,
    buffer: BytesMut,
    hasher: Box<blake3::Hasher>,
    /// Bytes that are reserved: on disk or in the buffer.
    written: u64,
    most: u64,
}

impl Upload {
    /// Takes more of it.
    pub(crate) async fn write(mut self, bytes: Bytes) -> Result<Self, SpoolError> {
        let length = bytes.len() as u64;
        if self.written + length > self.most {
            return Err(SpoolError::TooLarge);
        }
        self.spool.reserve(length)?;
        self.written += length;
        self.hasher.update(&bytes);
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() < BUFFER {
            return Ok(self);
        }
        off_the_loop(move || {
            self.flush()?;
            Ok(self)
        })
        .await
    }

    fn flush(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::options().write(true).create_new(true).open(&self.path)?),
        };
        file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Ends it: its hash, and how many bytes it has. It survives what the run's durability says.
    pub(crate) async fn finish(mut self) -> Result<(Digest, u64), SpoolError> {
        off_the_loop(move || {
            self.flush()?;
            let hash = Digest::from(*self.hasher.finalize().as_bytes());
            let place = self.spool.path(&hash);
            if self.spool.durability == Durability::Power
                && let Some(file) = &self.file
            {
                file.sync_all()?;
            }
            let bytes = self.written;
            {
                // Under the lock, so that nobody removes it between the look and the note that it is needed.
                let mut state = self.spool.state();
                state.ended.remove(&hash);
                state.failed.retain(|other| *other != hash);
                // The same content is there already: the drop of this one gives its room back.
                if !place.exists() {
                    fs::rename(&self.path, &place)?;
                    self.written = 0;
                }
            }
            if self.spool.durability == Durability::Power {
                File::open(&self.spool.directory)?.sync_all()?;
            }
            Ok((hash, bytes))
        })
        .await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.spool.release(self.written);
        if self.file.take().is_some() {
            // It has another name by now where it was finished.
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, SpoolError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(SpoolError::Io(io::Error::other(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn upload(spool: &Arc<Spool>, content: &[u8]) -> Result<(Digest, u64), SpoolError> {
        let mut upload = spool.begin(1 << 20);
        for part in content.chunks(100_000) {
            upload = upload.write(Bytes::copy_from_slice(part)).await?;
        }
        upload.finish().await
    }

    fn files(state: &Path) -> usize {
        fs::read_dir(state.join("uploads")).expect("there").count()
    }

    #[tokio::test]
    async fn an_upload_is_a_file_by_its_hash_until_nobody_needs_it() {
        let state = tempfile::tempdir().expect("a directory");
        let spool = Spool::open(state.path(), 1 << 20, Durability::Power).expect("opened");
        let content = vec![7_u8; 600_000];
        let (hash, bytes) = upload(&spool, &content).await.expect("room");
        assert_eq!((hash, bytes), (Digest::from(*blake3::hash(&content).as_bytes()), 600_000));
        assert_eq!(upload(&spool, &content).await.map(|(hash, _)| hash).ok(), None, "no room for both at once");
        let uri = format!("{UPLOAD}{hash}/a.txt");
        assert!(spool.has(&uri) && spool.has(&format!("{uri}#member=b")) && spool.has("https://elsewhere/"));
        assert_eq!((spool.used(), files(state.path())), (600_000, 1));
        spool.ended(&uri, false);
        spool.looked(&hash, true);
        assert!(spool.unneeded().is_empty(), "somebody needs it");
        spool.ended(&uri, false);
        spool.looked(&hash, false);
        assert!(spool.has(&uri));
        spool.looked(&hash, false);
        assert_eq!((spool.has(&uri), spool.used(), files(state.path())), (false, 0, 0));
    }

    #[tokio::test]
    async fn what_is_too_large_or_given_up_leaves_nothing_and_what_failed_gives_way() {
        let state = tempfile::tempdir().expect("a directory");
        let spool = Spool::open(state.path(), 1 << 20, Durability::Process).expect("opened");
        assert!(matches!(upload(&spool, &vec![1; (1 << 20) + 1]).await, Err(SpoolError::TooLarge)));
        let given_up = spool.begin(1 << 20).write(Bytes::from(vec![2; 300_000])).await.expect("room");
        assert_eq!(spool.used(), 300_000);
        drop(given_up);
        assert_eq!((spool.used(), files(state.path())), (0, 0));
        let (hash, _) = upload(&spool, &vec![3; 700_000]).await.expect("room");
        let uri = format!("{UPLOAD}{hash}/a");
        assert!(matches!(upload(&spool, &vec![4; 700_000]).await, Err(SpoolError::Full)), "it is under way");
        spool.ended(&uri, true);
        assert!(spool.has(&uri), "it may be tried again");
        upload(&spool, &vec![4; 700_000]).await.expect("in its place");
        assert!(!spool.has(&uri));
        drop(spool);
        fs::write(state.path().join("uploads/9.part"), "half").expect("written");
        let again = Spool::open(state.path(), 1 << 20, Durability::Process).expect("opened again");
        assert_eq!((again.used(), files(state.path()), again.unneeded().len()), (700_000, 1, 1));
    }
}
