//! The ledger: which documents the stores hold, in which version, as their last run left them. It is written after the
//! stores say so, and read so that what has not changed is not done again.
//!
//! A SQLite database in the state directory, written by one process. A thread of its own holds the connection, so that
//! no task waits on a disk; callers wait for its answers.

mod database;

use std::path::Path;
use std::thread::JoinHandle;

use docmill_api::Digest;
use tokio::sync::{mpsc, oneshot};

use database::Database;

/// How many requests may wait for the ledger's thread. Askers wait for room: there is no use in more.
const REQUESTS: usize = 256;

/// What is remembered of a document that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The document's id.
    pub document: Digest,
    /// Where it is.
    pub uri: String,
    /// Of its content under the pipeline.
    pub version: Digest,
    /// Of the pipeline.
    pub fingerprint: Digest,
    /// What told, before it was read, that it is this content: see `SourceItem::stamp`.
    pub stamp: Option<String>,
    /// Which stores hold it.
    pub stores: String,
}

/// The ledger cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[error("the ledger: {0}")]
pub struct LedgerError(String);

/// A ledger that is open. Its thread ends when this is dropped.
#[derive(Debug)]
pub struct Ledger {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

enum Request {
    Look(Digest, oneshot::Sender<Result<Option<Entry>, LedgerError>>),
    Write(Vec<Entry>, Vec<Digest>, oneshot::Sender<Result<(), LedgerError>>),
}

impl Ledger {
    /// Opens the ledger at `path`, which is made where it is missing. `fresh` empties it first: every document is then
    /// done again.
    ///
    /// # Errors
    /// The file cannot be opened, is no ledger, or one of a later docmill.
    pub fn open(path: &Path, fresh: bool) -> Result<Self, LedgerError> {
        let mut database = Database::open(path)?;
        if fresh {
            database.clear()?;
        }
        let (requests, mut asked) = mpsc::channel(REQUESTS);
        let serve = move || {
            while let Some(request) = asked.blocking_recv() {
                // Whoever asked may have gone.
                match request {
                    Request::Look(document, answer) => drop(answer.send(database.look(&document))),
                    Request::Write(entries, gone, answer) => drop(answer.send(database.write(&entries, &gone))),
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(serve)
            .map_err(|error| LedgerError(format!("its thread cannot start: {error}")))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// What is remembered of a document.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn look(&self, document: Digest) -> Result<Option<Entry>, LedgerError> {
        self.ask(|answer| Request::Look(document, answer)).await
    }

    /// Remembers these documents, in place of what was remembered of them, and forgets those that are gone: all of it, or
    /// nothing. When it returns, it survives the end of the process.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn write(&self, entries: Vec<Entry>, gone: Vec<Digest>) -> Result<(), LedgerError> {
        self.ask(|answer| Request::Write(entries, gone, answer)).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, LedgerError>>) -> Request,
    ) -> Result<T, LedgerError> {
        let broken = || LedgerError("its thread has ended".into());
        let requests = self.requests.as_ref().ok_or_else(broken)?;
        let (answer, answered) = oneshot::channel();
        requests.send(request(answer)).await.map_err(|_| broken())?;
        answered.await.map_err(|_| broken())?
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // What it holds is on disk; should it have panicked, the askers were told.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, version: &str) -> Entry {
        Entry {
            document: Digest::of(&[name.as_bytes()]),
            uri: format!("file:///{name}"),
            version: Digest::of(&[version.as_bytes()]),
            fingerprint: Digest::of(&[b"fingerprint"]),
            stamp: Some("stamp".into()),
            stores: "store".into(),
        }
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_a_reopening_and_newest() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.db");
        let (one, two) = (entry("one", "1"), Entry { stamp: None, ..entry("two", "1") });
        {
            let ledger = Ledger::open(&path, false).expect("opened");
            ledger.write(vec![one.clone(), two.clone()], Vec::new()).await.expect("written");
            ledger.write(vec![entry("one", "2")], Vec::new()).await.expect("written again");
        }
        let ledger = Ledger::open(&path, false).expect("opened again");
        assert_eq!(ledger.look(one.document).await.expect("read"), Some(entry("one", "2")));
        assert_eq!(ledger.look(two.document).await.expect("read"), Some(two.clone()));
        ledger.write(Vec::new(), vec![two.document]).await.expect("forgotten");
        assert_eq!(ledger.look(two.document).await.expect("read"), None);
        drop(ledger);
        let fresh = Ledger::open(&path, true).expect("opened fresh");
        assert_eq!(fresh.look(one.document).await.expect("read"), None);
    }

    #[test]
    fn what_is_no_ledger_or_of_a_later_docmill_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.db");
        std::fs::write(&path, "no database at all, but long enough to be looked at as one").expect("written");
        assert!(Ledger::open(&path, false).is_err());
        std::fs::remove_file(&path).expect("removed");
        drop(Ledger::open(&path, false).expect("made"));
        database::set_version(&path, 999);
        let refused = Ledger::open(&path, false).expect_err("a later one").to_string();
        assert!(refused.contains("later docmill"), "{refused}");
    }
}
