//! Bytes between processes: in an object store, or in a directory that all machines share. What a job's blobs are called
//! follows from its id, so that whoever ends it can remove them.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use docmill_api::frames::{self, Message};
use docmill_api::{Digest, Record, StageError};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;

use crate::plan::{BlobsPlan, ClusterPlan};

/// Below which the blobs of jobs lie.
const JOBS: &str = "jobs";

/// Below which results lie that were paid for.
const PAID: &str = "paid";

/// Up to how many bytes a file is read or written at once.
const SMALL: u64 = 4 << 20;

/// Where blobs lie.
#[derive(Clone, Debug)]
pub(super) struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// The directory that the store is, where it is one: what is to be done there with the blobs of a job is one turn of
    /// another thread.
    directory: Option<Arc<Path>>,
}

impl Blobs {
    /// Opens the place of a stream below the one that all share; a directory is made where it is missing.
    pub(super) fn open(plan: &ClusterPlan) -> Result<Self, StageError> {
        match &plan.blobs {
            BlobsPlan::Directory(directory) => Self::at(&directory.join(&plan.stream)),
            BlobsPlan::Store { uri, stores } => {
                let own = docmill_objects::Own::open(uri, stores, &std::env::vars().collect())?;
                let store = PrefixStore::new(own.bucket, own.prefix.join(plan.stream.as_str()));
                Ok(Self { store: Arc::new(store), directory: None })
            }
        }
    }

    pub(super) fn at(directory: &Path) -> Result<Self, StageError> {
        let failed = |error: &dyn std::fmt::Display| {
            StageError::fatal(format!("the blobs at `{}`: {error}", directory.display()))
        };
        std::fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        let store = LocalFileSystem::new_with_prefix(directory).map_err(|error| failed(&error))?;
        Ok(Self { store: Arc::new(store), directory: Some(directory.into()) })
    }

    /// Sees whether blobs can be written, read and removed.
    pub(super) async fn probe(&self) -> Result<(), StageError> {
        let key = Key::from(format!("probe-{:016x}", fastrand::u64(..)));
        let tried = async {
            self.store.put(&key, Bytes::from_static(b"docmill").into()).await?;
            self.store.get(&key).await?.bytes().await?;
            self.store.delete(&key).await
        };
        tried.await.map_err(|error| StageError::fatal(format!("the blobs: {}", docmill_objects::reason(&error))))
    }

    /// Stores the content of a file as a job's input.
    pub(super) async fn put_input(&self, job: Digest, path: &Path) -> Result<(), StageError> {
        // Each step of a file is a turn of another thread: a small one, as most are, is read in one.
        let key = input(job);
        let to = self.file(&key);
        let read = move |path: &Path| match (small(path)?, to) {
            (Some(bytes), Some(to)) => write(&to, &bytes).map(|()| None).map_err(Failed::Blobs),
            (bytes, _) => Ok(Some(bytes)),
        };
        let read = off_the_loop(path, read).await.map_err(|failed| match failed {
            Failed::Blobs(error) => away(&error),
            Failed::Other(error) => unreadable(path, &error),
        })?;
        match read {
            None => return Ok(()),
            Some(Some(bytes)) => {
                return self.store.put(&key, bytes.into()).await.map(drop).map_err(|error| away(&error));
            }
            Some(None) => {}
        }
        let mut file = tokio::fs::File::open(path).await.map_err(|error| unreadable(path, &error))?;
        let mut writer = BufWriter::new(Arc::clone(&self.store), key);
        match tokio::io::copy(&mut file, &mut writer).await {
            Ok(_) => writer.shutdown().await.map_err(|error| away(&error)),
            Err(error) => {
                let _ = writer.abort().await;
                Err(away(&error))
            }
        }
    }

    /// Makes a job's input a file.
    pub(super) async fn get_input(&self, job: Digest, path: &Path) -> Result<(), StageError> {
        if let Some(from) = self.file(&input(job)) {
            return off_the_loop(path, move |path| link(&from, path)).await.map_err(|error| away(&error));
        }
        let found = self.store.get(&input(job)).await.map_err(|error| away(&error))?;
        if found.meta.size <= SMALL {
            let bytes = found.bytes().await.map_err(|error| away(&error))?;
            let written = off_the_loop(path, move |path| std::fs::write(path, &bytes)).await;
            return written.map_err(|error| away(&error));
        }
        let mut stream = found.into_stream();
        let mut file = tokio::fs::File::create(path).await.map_err(|error| away(&error))?;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|error| away(&error))?;
            file.write_all(&bytes).await.map_err(|error| away(&error))?;
        }
        file.flush().await.map_err(|error| away(&error))
    }

    /// Stores a part of what a job gave.
    pub(super) async fn put_part(&self, job: Digest, part: u32, frames: Bytes) -> Result<(), StageError> {
        let key = output(job, part);
        match self.file(&key) {
            Some(to) => off_the_loop(&to, move |to| write(to, &frames)).await.map_err(|error| away(&error)),
            None => self.store.put(&key, frames.into()).await.map(drop).map_err(|error| away(&error)),
        }
    }

    /// Reads what a job gave, in so many parts, and leaves it where it is.
    pub(super) async fn get(&self, job: Digest, parts: u32) -> Result<Vec<Record>, StageError> {
        let mut read = Vec::new();
        for part in 0..parts {
            let found = self.store.get(&output(job, part)).await.map_err(|error| away(&error))?;
            let bytes = found.bytes().await.map_err(|error| away(&error))?;
            read.extend(records(&bytes).map_err(|error| unreadable_part(&error))?);
        }
        Ok(read)
    }

    /// Reads what a job gave, and removes it with its input.
    pub(super) async fn take(&self, job: Digest, input: bool, parts: u32) -> Result<Vec<Record>, StageError> {
        let outputs = (0..parts).map(|part| output(job, part));
        let Some(directory) = self.directory.clone() else {
            let read = self.get(job, parts).await;
            let keys: Vec<Key> = input.then(|| self::input(job)).into_iter().chain(outputs).collect();
            self.remove_all(futures::stream::iter(keys.into_iter().map(Ok)).boxed()).await;
            return read;
        };
        let paths: Vec<PathBuf> = outputs.map(|key| directory.join(key.as_ref())).collect();
        let input = input.then(|| directory.join(self::input(job).as_ref()));
        let took = off_the_loop(&directory, move |_| {
            let read = paths.iter().map(std::fs::read).collect::<std::io::Result<Vec<_>>>()?;
            paths.iter().chain(&input).for_each(|path| drop(std::fs::remove_file(path)));
            Ok::<_, std::io::Error>(read.iter().map(|bytes| records(bytes)).collect::<std::io::Result<Vec<_>>>())
        });
        let read = took.await.map_err(|error| away(&error))?;
        read.map(|parts| parts.into_iter().flatten().collect()).map_err(|error| unreadable_part(&error))
    }

    fn file(&self, key: &Key) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(key.as_ref()))
    }

    /// What a model was paid for under this key.
    pub(super) async fn paid(&self, key: Digest) -> Result<Option<Bytes>, StageError> {
        match async { self.store.get(&paid(key)).await?.bytes().await }.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(away(&error)),
        }
    }

    /// Keeps what a model was paid for.
    pub(super) async fn keep_paid(&self, key: Digest, result: Bytes) -> Result<(), StageError> {
        self.store.put(&paid(key), result.into()).await.map(drop).map_err(|error| away(&error))
    }

    /// Forgets what was paid for longer ago.
    pub(super) async fn forget_paid(&self, older: Duration) {
        let until = chrono::Utc::now() - older;
        let listed = self.store.list(Some(&Key::from(PAID)));
        let old = listed.try_filter(move |meta| futures::future::ready(meta.last_modified < until));
        self.remove_all(old.map_ok(|meta| meta.location).boxed()).await;
    }

    /// Removes all blobs of a job, however many there are.
    pub(super) async fn remove(&self, job: Digest) {
        let near = self.store.list_with_offset(Some(&neighbours(job)), &neighbours(job).join(job.to_string()));
        let own = format!("{job}.");
        let own = near.try_filter(move |meta| {
            futures::future::ready(meta.location.filename().is_some_and(|name| name.starts_with(&own)))
        });
        self.remove_all(own.map_ok(|meta| meta.location).boxed()).await;
    }

    /// Removes the blobs of all jobs.
    pub(super) async fn clear(&self) {
        let jobs = self.store.list(Some(&Key::from(JOBS))).map_ok(|meta| meta.location);
        self.remove_all(jobs.boxed()).await;
    }

    /// What cannot be removed stays: it is of no use to anybody, and does no harm.
    async fn remove_all(&self, keys: BoxStream<'static, object_store::Result<Key>>) {
        let removed = self.store.delete_stream(keys).try_collect::<Vec<_>>().await;
        if let Err(error) = removed
            && !matches!(error, object_store::Error::NotFound { .. })
        {
            tracing::warn!(error = docmill_objects::reason(&error), "blobs of a job that is over stay");
        }
    }
}

fn away(error: &(dyn Error + 'static)) -> StageError {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(store) = inner.downcast_ref::<object_store::Error>() {
            return StageError::transient(format!("the blobs: {}", docmill_objects::reason(store)));
        }
        cause = inner.source();
    }
    StageError::transient(format!("the blobs: {error}"))
}

/// The content of a small file; none of a larger one, and of what is no file.
fn small(path: &Path) -> std::io::Result<Option<Bytes>> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() || about.len() > SMALL {
        return Ok(None);
    }
    std::fs::read(path).map(|content| Some(content.into()))
}

/// Writes a file that nobody is told of before it is whole.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    match std::fs::write(path, bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, bytes)
        }
        other => other,
    }
}

/// Makes `to` the file `from` is, or a copy where a link cannot be.
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    let linked = match std::fs::hard_link(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(to)?;
            std::fs::hard_link(from, to)
        }
        other => other,
    };
    linked.or_else(|_| std::fs::copy(from, to).map(drop))
}

/// Whose failure it is: that of the blobs, or of another file.
enum Failed {
    Blobs(std::io::Error),
    Other(std::io::Error),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error)
    }
}

async fn off_the_loop<T: Send + 'static, E: From<std::io::Error> + Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || work(&path)).await.map_err(|error| E::from(std::io::Error::other(error)))?
}

fn unreadable_part(error: &std::io::Error) -> StageError {
    StageError::rejected(format!("what a worker made cannot be read: {error}"))
}

fn unreadable(path: &Path, error: &std::io::Error) -> StageError {
    let message = format!("cannot read `{}`: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => StageError::rejected(message),
        _ => StageError::transient(message),
    }
}

fn paid(key: Digest) -> Key {
    Key::from(format!("{PAID}/{key}"))
}

/// Where a job's blobs lie beside those of others, one of 256: a directory of its own would be made and removed for each.
fn neighbours(job: Digest) -> Key {
    Key::from(format!("{JOBS}/{:02x}", job.as_bytes()[0]))
}

fn input(job: Digest) -> Key {
    neighbours(job).join(format!("{job}.input"))
}

fn output(job: Digest, part: u32) -> Key {
    neighbours(job).join(format!("{job}.{part}"))
}

/// Appends a record to a part.
pub(super) fn append(part: &mut Vec<u8>, record: &Record) -> Result<(), StageError> {
    let (message, body) = frames::output(record);
    frames::write(part, &message, body.as_ref())
        .map_err(|error| StageError::rejected(format!("a record cannot be written: {error}")))
}

fn records(mut bytes: &[u8]) -> std::io::Result<Vec<Record>> {
    let mut records = Vec::new();
    while let Some((message, body)) = frames::read(&mut bytes)? {
        let Message::Output { document, payload } = message else {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a frame that is no output"));
        };
        records.push(Record { document: Arc::new(*document), payload: frames::join(payload, body)? });
    }
    Ok(records)
}

/// Where a job's input is kept by a worker, below its directory of uploads.
pub(super) fn local(uploads: &Path, job: Digest) -> PathBuf {
    uploads.join(job.to_string())
}

#[cfg(test)]
mod tests {
    use docmill_api::{Blob, Document, Payload, SourceItem};

    use super::*;

    fn record(content: &[u8]) -> Record {
        let document = Arc::new(Document::admit(SourceItem::default(), Digest::of(&[])));
        Record { document, payload: Payload::Blob(Blob { bytes: content.to_vec().into() }) }
    }

    fn content(record: &Record) -> &[u8] {
        let Payload::Blob(blob) = &record.payload else { panic!("{record:?}") };
        &blob.bytes
    }

    #[tokio::test]
    async fn what_is_stored_comes_back_and_goes_with_its_job() {
        let place = tempfile::tempdir().expect("a directory");
        let blobs = Blobs::at(&place.path().join("new/blobs")).expect("it is made");
        let (job, other) = (Digest::of(&[b"1"]), Digest::of(&[b"2"]));
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        std::fs::write(&from, vec![7_u8; 20 << 20]).expect("it is written");
        blobs.put_input(job, &from).await.expect("it is stored");
        let little = Digest::of(&[b"3"]);
        std::fs::write(&to, b"little").expect("it is written");
        blobs.put_input(little, &to).await.expect("it is stored");
        blobs.get_input(little, &to).await.expect("it is there");
        assert_eq!(std::fs::read(&to).expect("it is read"), b"little");
        blobs.put_input(other, &from).await.expect("it is stored");
        blobs.get_input(job, &to).await.expect("it is there");
        assert_eq!(std::fs::read(&to).expect("it is read"), vec![7_u8; 20 << 20]);

        let mut part = Vec::new();
        for record in [record(b"one"), record(b"two")] {
            append(&mut part, &record).expect("it is written");
        }
        blobs.put_part(job, 0, part.into()).await.expect("it is stored");
        let read = blobs.get(job, 1).await.expect("it is read");
        assert_eq!(read.iter().map(content).collect::<Vec<_>>(), [&b"one"[..], b"two"]);
        assert_eq!(read[0].document, record(b"one").document);

        assert_eq!(blobs.take(job, true, 1).await.expect("it is read").len(), 2);
        assert!(blobs.get(job, 1).await.is_err() && blobs.get_input(job, &to).await.is_err());
        blobs.get_input(other, &to).await.expect("another job's stays");
        blobs.put_part(job, 0, Bytes::new()).await.expect("it is stored");
        blobs.put_part(job, 7, Bytes::from_static(b"left")).await.expect("it is stored");
        blobs.remove(job).await;
        assert!(blobs.get(job, 1).await.is_err());
        blobs.clear().await;
        assert!(blobs.get_input(other, &to).await.is_err(), "nothing is left");
        let gone = blobs.put_input(job, &place.path().join("gone")).await.expect_err("no such file");
        assert_eq!(gone.class, docmill_api::ErrorClass::Rejected, "{gone}");
    }
}
