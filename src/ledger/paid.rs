//! Paid results in the ledger: what a model answered, by a hash of what it was asked. Bounded in size: what was not asked
//! for the longest goes first.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use docmill_api::crash::crash_point;
use docmill_api::{Digest, PaidResults, StageError, async_trait};
use rusqlite::{OptionalExtension, params};

use super::database::Database;
use super::{Ledger, LedgerError, Request};

/// How much is kept: summaries of some hundred thousand documents, or vectors of 1,536 dimensions for as many chunks.
const LIMIT: u64 = 1 << 30;

/// Of a day, what makes a use worth noting: so that recalling writes next to nothing.
const DAY: i64 = 86_400;

/// Up to how many results their keys are held in memory, some two megabytes of them.
const KNOWN: usize = 100_000;

/// Which results there may be, so that what is new is known to be so without a way to the thread and the disk. A part of
/// each key: what seems to be there is looked for.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Keys>);

#[derive(Debug, Default)]
enum Keys {
    #[default]
    NotRead,
    All(HashSet<u64>),
    TooMany,
}

impl Known {
    /// Whether none of them was ever kept, for certain.
    fn has_none_of(&self, keys: &[Digest]) -> bool {
        match &*self.lock() {
            Keys::All(known) => !keys.iter().any(|key| known.contains(&part_of(key))),
            Keys::NotRead | Keys::TooMany => false,
        }
    }

    /// Takes in all that are there, the first time it is called. Only the ledger's thread calls this and [`Known::add`], so
    /// that nobody who asks waits for the database.
    pub(super) fn read(&self, database: &Database) -> Result<(), LedgerError> {
        if !matches!(*self.lock(), Keys::NotRead) {
            return Ok(());
        }
        let mut select = database.connection.prepare(&format!("SELECT key FROM paid LIMIT {}", KNOWN + 1))?;
        let parts = select.query_map([], |row| Ok(part_of(&Digest::from(row.get::<_, [u8; 32]>(0)?))))?;
        let parts = parts.collect::<Result<HashSet<_>, _>>()?;
        *self.lock() = if parts.len() > KNOWN { Keys::TooMany } else { Keys::All(parts) };
        Ok(())
    }

    /// Takes in what was kept, before anybody is told that it was.
    pub(super) fn add(&self, results: &[(Digest, Bytes)]) {
        let mut keys = self.lock();
        let Keys::All(known) = &mut *keys else { return };
        known.extend(results.iter().map(|(key, _)| part_of(key)));
        if known.len() > KNOWN {
            *keys = Keys::TooMany;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn part_of(key: &Digest) -> u64 {
    let [first, ..] = key.as_bytes().as_chunks().0 else { return 0 };
    u64::from_le_bytes(*first)
}

#[async_trait]
impl PaidResults for Ledger {
    async fn recall(&self, keys: &[Digest]) -> Result<Vec<Option<Bytes>>, StageError> {
        if self.known.has_none_of(keys) {
            return Ok(vec![None; keys.len()]);
        }
        let keys = keys.to_vec();
        self.ask(|answer| Request::Recall(keys, answer)).await.map_err(unusable)
    }

    async fn keep(&self, results: Vec<(Digest, Bytes)>) -> Result<(), StageError> {
        self.ask(|answer| Request::Keep(results, answer)).await.map_err(unusable)?;
        crash_point("ledger", "paid");
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn unusable(error: LedgerError) -> StageError {
    StageError::fatal(error.to_string())
}

/// What is known of the results without asking the database.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Bytes of all results; `None` until somebody has to know.
    bytes: Option<u64>,
}

impl Database {
    pub(super) fn recall(&mut self, keys: &[Digest]) -> Result<Vec<Option<Bytes>>, LedgerError> {
        let today = now();
        let mut found = Vec::with_capacity(keys.len());
        let mut used = Vec::new();
        let mut select = self.connection.prepare_cached("SELECT result, used FROM paid WHERE key = ?1")?;
        for key in keys {
            let row = select.query_row([key.as_bytes().as_slice()], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)));
            let row: Option<(Vec<u8>, i64)> = row.optional()?;
            if row.as_ref().is_some_and(|(_, last)| today - last >= DAY) {
                used.push(key);
            }
            found.push(row.map(|(result, _)| result.into()));
        }
        drop(select);
        if !used.is_empty() {
            self.together(|database| {
                let mut update = database.connection.prepare_cached("UPDATE paid SET used = ?2 WHERE key = ?1")?;
                for key in used {
                    update.execute(params![key.as_bytes().as_slice(), today])?;
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    pub(super) fn keep(&mut self, results: &[(Digest, Bytes)]) -> Result<(), LedgerError> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO paid (key, result, bytes, used) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO NOTHING",
        )?;
        let mut added = 0;
        for (key, result) in results {
            let (size, now) = (i64::try_from(result.len()).unwrap_or(i64::MAX), now());
            let inserted = insert.execute(params![key.as_bytes().as_slice(), result.as_ref(), size, now])?;
            added += if inserted > 0 { result.len() as u64 } else { 0 };
        }
        drop(insert);
        self.make_room(added, LIMIT)
    }

    /// Forgets what was not asked for the longest, where there is more than `limit`: a tenth at once, so that it is not
    /// done with every result.
    fn make_room(&mut self, added: u64, limit: u64) -> Result<(), LedgerError> {
        let before = match self.kept.bytes {
            Some(before) => before + added,
            None => self.connection.query_row("SELECT coalesce(sum(bytes), 0) FROM paid", [], |row| {
                row.get::<_, i64>(0).map(i64::unsigned_abs)
            })?,
        };
        self.kept.bytes = Some(before);
        if before <= limit {
            return Ok(());
        }
        let surplus = i64::try_from(before - limit / 10 * 9).unwrap_or(i64::MAX);
        let freed: i64 = self.connection.query_row(
            "WITH oldest AS (SELECT key, bytes, sum(bytes) OVER (ORDER BY used, key) - bytes AS ahead FROM paid)
             SELECT coalesce(sum(bytes), 0) FROM oldest WHERE ahead < ?1",
            [surplus],
            |row| row.get(0),
        )?;
        self.connection.execute(
            "DELETE FROM paid WHERE key IN (SELECT key FROM
               (SELECT key, sum(bytes) OVER (ORDER BY used, key) - bytes AS ahead FROM paid) WHERE ahead < ?1)",
            [surplus],
        )?;
        self.kept.bytes = Some(before.saturating_sub(freed.unsigned_abs()));
        Ok(())
    }

    /// Forgets all of it; says how many there were.
    pub(super) fn forget_paid(&mut self) -> Result<u64, LedgerError> {
        self.kept.bytes = Some(0);
        Ok(self.connection.execute("DELETE FROM paid", [])? as u64)
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

#[cfg(test)]
mod tests {
    use docmill_api::Durability;

    use super::*;

    fn key(number: usize) -> Digest {
        Digest::of(&[&number.to_le_bytes()])
    }

    #[tokio::test]
    async fn what_was_paid_for_outlives_the_ledger_that_kept_it_and_a_fresh_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.db");
        for fresh in [false, true] {
            let ledger = Ledger::open(&path, fresh).expect("opened");
            ledger.keep(vec![(key(1), Bytes::from_static(b"one"))]).await.expect("kept");
            ledger.keep(vec![(key(1), Bytes::from_static(b"another"))]).await.expect("there already");
        }
        let ledger = Ledger::open(&path, true).expect("opened");
        let found = ledger.recall(&[key(2), key(1)]).await.expect("read");
        assert_eq!(found, [None, Some(Bytes::from_static(b"one"))]);
        assert_eq!(ledger.forget_paid().await.expect("forgotten"), 1);
        assert_eq!(ledger.recall(&[key(1)]).await.expect("read"), [None]);
    }

    #[tokio::test]
    async fn what_was_kept_is_found_whenever_it_was_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.db");
        let one = Some(Bytes::from_static(b"one"));
        let ledger = Ledger::open(&path, false).expect("opened");
        assert!(!ledger.known.has_none_of(&[key(1)]), "it was not looked yet");
        assert_eq!(ledger.recall(&[key(1)]).await.expect("read"), [None]);
        assert!(ledger.known.has_none_of(&[key(1)]));
        ledger.keep(vec![(key(1), Bytes::from_static(b"one"))]).await.expect("kept");
        assert!(ledger.known.has_none_of(&[key(2)]) && !ledger.known.has_none_of(&[key(2), key(1)]));
        assert_eq!(ledger.recall(&[key(2), key(1)]).await.expect("read"), [None, one.clone()]);
        drop(ledger);
        let ledger = Ledger::open(&path, false).expect("opened again");
        assert_eq!(ledger.recall(&[key(1)]).await.expect("read"), [one]);
        // Too many to hold: each is looked for.
        ledger.known.add(&(0..=KNOWN).map(|number| (key(number), Bytes::new())).collect::<Vec<_>>());
        assert!(!ledger.known.has_none_of(&[key(KNOWN + 1)]));
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_where_there_is_no_room() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut database = Database::open(&directory.path().join("ledger.db"), Durability::Process).expect("opened");
        for number in 0..100 {
            database.keep(&[(key(number), Bytes::from(vec![0; 100]))]).expect("kept");
            // Each of another day, the last asked for long ago.
            let used = if number == 99 { 0 } else { 1 + number as i64 };
            let set = "UPDATE paid SET used = ?2 WHERE key = ?1";
            database.connection.execute(set, params![key(number).as_bytes().as_slice(), used]).expect("set");
        }
        // The two oldest are asked for again.
        assert!(database.recall(&[key(0), key(1)]).expect("read").iter().all(Option::is_some));
        database.make_room(0, 8_000).expect("room");
        let left: Vec<usize> =
            (0..100).filter(|number| database.recall(&[key(*number)]).expect("read")[0].is_some()).collect();
        assert_eq!(left.len(), 72, "nine tenths of what is allowed");
        assert!(left.starts_with(&[0, 1]) && !left.contains(&99) && !left.contains(&2), "{left:?}");
        assert_eq!(database.kept.bytes, Some(7_200));
    }
}
