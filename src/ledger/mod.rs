//! The ledger: what became of every document that was accepted, as the stores confirmed it. A document is written here
//! before it counts as accepted, and its end after the stores have it; what lies between is open, and in doubt after a
//! crash.
//!
//! A SQLite database in the state directory, written by one process. A thread of its own holds the connection, so that
//! no task waits on a disk; requests that come while one commit is under way share the next (group commit).

mod database;
mod entry;
mod page;
mod paid;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use docmill_api::{Digest, Durability};
use tokio::sync::{mpsc, oneshot};

use database::Database;
pub use entry::{Accepted, Change, Ended, Entry, RunEntry, State, item_of};
pub use page::{HandedIn, Page, Standing};

/// How many requests may wait for the ledger's thread. Askers wait for room: there is no use in more.
const REQUESTS: usize = 256;

/// The ledger cannot be opened, read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the ledger: {0}")]
pub struct LedgerError(pub(crate) String);

/// A ledger that is open. Its thread ends when this is dropped.
#[derive(Debug)]
pub struct Ledger {
    requests: Option<mpsc::Sender<Request>>,
    known: Arc<paid::Known>,
    thread: Option<JoinHandle<()>>,
}

type Answer<T> = oneshot::Sender<Result<T, LedgerError>>;

enum Request {
    Look(Vec<Digest>, Answer<Vec<Option<Entry>>>),
    Write(Vec<Change>, Answer<()>),
    Inside(String, Answer<Vec<Entry>>),
    InDoubt(String, String, usize, Answer<Vec<Entry>>),
    OfSource(String, Option<Digest>, usize, Answer<Vec<Entry>>),
    List(Option<State>, Option<String>, usize, Answer<(Vec<Entry>, u64)>),
    Recall(Vec<Digest>, Answer<Vec<Option<Bytes>>>),
    Keep(Vec<(Digest, Bytes)>, Answer<()>),
    ForgetPaid(Answer<u64>),
    Page(Page, Answer<(Vec<Entry>, u64)>),
    HandedIn(String, String, Answer<Option<(Digest, Digest)>>),
    OpenWithin(String, Answer<bool>),
}

impl Ledger {
    /// Opens the ledger at `path`, which is made where it is missing. `fresh` empties it first: every document is then
    /// done again.
    ///
    /// # Errors
    /// The file cannot be opened, is no ledger, or one of a later docmill.
    pub fn open(path: &Path, fresh: bool) -> Result<Self, LedgerError> {
        Self::open_for(path, fresh, Durability::Process)
    }

    /// The same, for changes that survive what `durability` says.
    ///
    /// # Errors
    /// See [`Ledger::open`].
    pub fn open_for(path: &Path, fresh: bool, durability: Durability) -> Result<Self, LedgerError> {
        let mut database = Database::open(path, durability)?;
        if fresh {
            database.clear()?;
        }
        Self::serve(database)
    }

    /// Opens a ledger that is there to read it, beside a run that writes it.
    ///
    /// # Errors
    /// There is none, it is no ledger, or one of another docmill.
    pub fn open_to_read(path: &Path) -> Result<Self, LedgerError> {
        Self::serve(Database::open_to_read(path)?)
    }

    fn serve(mut database: Database) -> Result<Self, LedgerError> {
        let (requests, mut asked) = mpsc::channel(REQUESTS);
        let known = Arc::<paid::Known>::default();
        let knows = Arc::clone(&known);
        let serve = move || {
            while let Some(first) = asked.blocking_recv() {
                let mut group = vec![first];
                while group.len() < REQUESTS
                    && let Ok(next) = asked.try_recv()
                {
                    group.push(next);
                }
                answer(&mut database, &knows, group);
            }
        };
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(serve)
            .map_err(|error| LedgerError(format!("its thread cannot start: {error}")))?;
        Ok(Self { requests: Some(requests), known, thread: Some(thread) })
    }

    /// What is known of these documents, in their order.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn look(&self, documents: Vec<Digest>) -> Result<Vec<Option<Entry>>, LedgerError> {
        self.ask(|answer| Request::Look(documents, answer)).await
    }

    /// Makes these changes: all of them, or none. When it returns, they survive the end of the
    /// process, or what else the ledger was opened for.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn write(&self, changes: Vec<Change>) -> Result<(), LedgerError> {
        self.ask(|answer| Request::Write(changes, answer)).await
    }

    /// Documents inside others whose addresses begin with `prefix`.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn inside(&self, prefix: &str) -> Result<Vec<Entry>, LedgerError> {
        self.ask(|answer| Request::Inside(prefix.to_owned(), answer)).await
    }

    /// Up to `limit` documents that an earlier run than `run` left open over these stores, and that were not brought to
    /// rest since.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn in_doubt(&self, run: &str, stores: &str, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        self.ask(|answer| Request::InDoubt(run.to_owned(), stores.to_owned(), limit, answer)).await
    }

    /// Up to `limit` documents that the source `source` listed, behind `after` in the order of their ids.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn of_source(
        &self,
        source: &str,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        self.ask(|answer| Request::OfSource(source.to_owned(), after, limit, answer)).await
    }

    /// Up to `limit` documents in a state (or in any), behind `after` in the order of their addresses; and how many
    /// there are in that state.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn list(
        &self,
        state: Option<State>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), LedgerError> {
        self.ask(|answer| Request::List(state, after.map(str::to_owned), limit, answer)).await
    }

    /// Forgets every paid result; says how many there were.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn forget_paid(&self) -> Result<u64, LedgerError> {
        self.ask(Request::ForgetPaid).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, LedgerError> {
        let broken = || LedgerError("its thread has ended".into());
        let requests = self.requests.as_ref().ok_or_else(broken)?;
        let (answer, answered) = oneshot::channel();
        requests.send(request(answer)).await.map_err(|_| broken())?;
        answered.await.map_err(|_| broken())?
    }
}

/// What is written at once or not at all.
enum Write {
    Changes(Vec<Change>),
    Paid(Vec<(Digest, Bytes)>),
}

/// Answers requests that came together: those that write in one transaction, and told once that is durable; where it
/// fails, each in its own, so that one that cannot be written costs no other.
fn answer(database: &mut Database, known: &paid::Known, group: Vec<Request>) {
    let mut writes = Vec::new();
    // Whoever asked may have gone: then nobody is told.
    for request in group {
        match request {
            Request::Look(documents, answer) => {
                let found = documents.iter().map(|document| database.look(document)).collect();
                drop(answer.send(found));
            }
            Request::Inside(prefix, answer) => drop(answer.send(database.inside(&prefix))),
            Request::InDoubt(run, stores, limit, answer) => drop(answer.send(database.in_doubt(&run, &stores, limit))),
            Request::OfSource(source, after, limit, answer) => {
                drop(answer.send(database.of_source(&source, after.as_ref(), limit)));
            }
            Request::List(state, after, limit, answer) => {
                drop(answer.send(database.list(state, after.as_deref(), limit)));
            }
            Request::Page(page, answer) => drop(answer.send(database.page(&page))),
            Request::HandedIn(owner, key, answer) => drop(answer.send(database.handed_in(&owner, &key))),
            Request::OpenWithin(prefix, answer) => drop(answer.send(database.open_within(&prefix))),
            Request::Recall(keys, answer) => {
                let found = known.read(database).and_then(|()| database.recall(&keys));
                drop(answer.send(found));
            }
            Request::ForgetPaid(answer) => drop(answer.send(database.forget_paid())),
            Request::Keep(results, answer) => writes.push((Write::Paid(results), answer)),
            Request::Write(changes, answer) => writes.push((Write::Changes(changes), answer)),
        }
    }
    let apply = |database: &mut Database, write: &Write| match write {
        Write::Changes(changes) => changes.iter().try_for_each(|change| database.apply(change)),
        Write::Paid(results) => database.keep(results),
    };
    let all = |database: &mut Database| writes.iter().try_for_each(|(write, _)| apply(database, write));
    let together = if writes.is_empty() { Ok(()) } else { database.together(all) };
    for (write, answer) in writes {
        let written = match &together {
            Ok(()) => Ok(()),
            Err(_) => database.together(|database| apply(database, &write)),
        };
        if let (Write::Paid(results), Ok(())) = (&write, &written) {
            known.add(results);
        }
        drop(answer.send(written));
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

    fn id(name: &str) -> Digest {
        Digest::of(&[name.as_bytes()])
    }

    fn accept(name: &str) -> Change {
        Change::Accept(Accepted {
            document: id(name),
            uri: format!("file:///{name}"),
            source: "source".into(),
            item: "{}".into(),
            stores: "store".into(),
            run: "run".into(),
        })
    }

    fn end(name: &str, state: State, content: &str) -> Change {
        Change::End(Ended {
            document: id(name),
            state,
            content: Some(id(content)),
            fingerprint: id("fingerprint"),
            stamp: Some("stamp".into()),
            stage: "parse".into(),
            class: if state == State::Failed { "rejected".into() } else { String::new() },
            reason: "broken".into(),
            attempts: 1,
            result: None,
        })
    }

    async fn look(ledger: &Ledger, name: &str) -> Option<Entry> {
        ledger.look(vec![id(name)]).await.expect("read").remove(0)
    }

    #[tokio::test]
    async fn a_document_is_open_until_its_end_and_what_is_kept_outlives_a_failure() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.db");
        {
            let ledger = Ledger::open(&path, false).expect("opened");
            ledger.write(vec![accept("one"), accept("two")]).await.expect("written");
            ledger.write(vec![end("one", State::Done, "1")]).await.expect("written");
        }
        let ledger = Ledger::open(&path, false).expect("opened again");
        let one = look(&ledger, "one").await.expect("there");
        let kept = Some((id("1"), id("fingerprint")));
        assert_eq!((one.open, one.ended, one.kept), (false, Some(State::Done), kept));
        let two = look(&ledger, "two").await.expect("there");
        assert_eq!((two.open, two.ended, two.state()), (true, None, State::Unfinished));
        // Another content fails twice.
        for attempts in [1, 2] {
            ledger.write(vec![accept("one"), end("one", State::Failed, "2")]).await.expect("written");
            let one = look(&ledger, "one").await.expect("there");
            assert_eq!((one.state(), one.kept, one.attempts), (State::Failed, kept, attempts));
        }
        let (failed, total) = ledger.list(Some(State::Failed), None, 10).await.expect("read");
        assert_eq!((failed.len(), total, failed[0].reason.as_str()), (1, 1, "broken"));
        let doubtful = ledger.in_doubt("another run", "store", 10).await.expect("read");
        assert_eq!(doubtful.iter().map(|entry| entry.document).collect::<Vec<_>>(), [id("two")]);
        assert!(ledger.in_doubt("run", "store", 10).await.expect("read").is_empty(), "a run's own are in its hands");
        ledger.write(vec![Change::Rest(id("two"))]).await.expect("written");
        assert!(ledger.in_doubt("another run", "store", 10).await.expect("read").is_empty());
        assert_eq!(look(&ledger, "two").await.map(|two| two.state()), Some(State::Unfinished), "and not forgotten");
        drop(ledger);
        let fresh = Ledger::open(&path, true).expect("opened fresh");
        assert_eq!(look(&fresh, "one").await, None);
    }

    #[tokio::test]
    async fn what_another_store_held_says_nothing_of_this_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(&directory.path().join("ledger.db"), false).expect("opened");
        ledger.write(vec![accept("one"), end("one", State::Done, "1")]).await.expect("written");
        let Change::Accept(accepted) = accept("one") else { unreachable!("as made above") };
        let elsewhere = Accepted { stores: "another".into(), ..accepted };
        ledger.write(vec![Change::Accept(elsewhere)]).await.expect("written");
        let one = look(&ledger, "one").await.expect("there");
        assert_eq!((one.open, one.ended, one.content, one.kept), (true, None, None, None));
    }

    #[tokio::test]
    async fn a_reader_sees_what_is_committed_and_cannot_write() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.db");
        let writer = Ledger::open(&path, false).expect("opened");
        writer.write(vec![accept("one")]).await.expect("written");
        let reader = Ledger::open_to_read(&path).expect("opened beside it");
        assert!(look(&reader, "one").await.is_some());
        writer.write(vec![accept("two")]).await.expect("the reader is in nobody's way");
        assert!(look(&reader, "two").await.is_some());
        assert!(reader.write(vec![accept("three")]).await.is_err());
        assert!(Ledger::open_to_read(&directory.path().join("none.db")).is_err());
    }

    #[tokio::test]
    async fn a_ledger_of_the_first_version_is_brought_up_to_date() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.db");
        database::make_first_version(&path);
        assert!(Ledger::open_to_read(&path).is_err(), "a reader changes nothing");
        let ledger = Ledger::open(&path, false).expect("opened");
        assert_eq!(ledger.list(None, None, 10).await.expect("read").1, 0, "its documents are done again");
        ledger.write(vec![accept("one")]).await.expect("written");
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
