//! The tables, and the way from one version of them to the next.

use std::path::Path;
use std::time::Duration;

use docmill_api::{Digest, Durability};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::paid::Kept;
use super::{Accepted, Change, Ended, Entry, LedgerError, RunEntry, State};

/// What each version adds to the one before; the first makes the tables. Never changed once released, only added to.
const MIGRATIONS: [&str; 4] = [
    "CREATE TABLE documents (
    document BLOB PRIMARY KEY,
    uri TEXT NOT NULL,
    version BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    stamp TEXT,
    stores TEXT NOT NULL
) WITHOUT ROWID",
    // The first version knew what was stored and neither its content nor how it was listed, so nothing can be taken
    // over: its documents are done once more, which writes no row twice.
    "DROP TABLE documents;
CREATE TABLE documents (
    document BLOB PRIMARY KEY,
    uri TEXT NOT NULL,
    source TEXT NOT NULL,
    item TEXT NOT NULL,
    open INTEGER NOT NULL,
    state TEXT,
    content BLOB,
    fingerprint BLOB,
    stamp TEXT,
    kept_content BLOB,
    kept_fingerprint BLOB,
    stores TEXT NOT NULL,
    stage TEXT NOT NULL DEFAULT '',
    class TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    run TEXT NOT NULL,
    changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX documents_to_see_to ON documents (uri) WHERE open = 1 OR state = 'failed';
CREATE INDEX documents_inside ON documents (uri) WHERE instr(uri, '#member=') > 0;
CREATE TABLE runs (
    run TEXT PRIMARY KEY,
    pipeline TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    outcome TEXT
) WITHOUT ROWID",
    "CREATE TABLE paid (key BLOB PRIMARY KEY, result BLOB NOT NULL, bytes INTEGER NOT NULL, used INTEGER NOT NULL);
CREATE INDEX paid_by_use ON paid (used, key, bytes)",
    "ALTER TABLE documents ADD COLUMN result TEXT;
CREATE TABLE handed_in (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    document BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE INDEX handed_in_by_time ON handed_in (at);
CREATE INDEX documents_uploaded ON documents (uri) WHERE open = 1 AND uri >= 'upload:' AND uri < 'upload;'",
];

/// How long a reader of another process may hold the database up.
const PATIENCE: Duration = Duration::from_secs(10);

/// In the order that [`entry`] reads them.
pub(super) const COLUMNS: &str = "document, uri, source, item, open, state, content, fingerprint, stamp, kept_content, \
                       kept_fingerprint, stores, stage, class, reason, attempts, run, changed, result";

pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) kept: Kept,
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

impl Database {
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self, LedgerError> {
        let within = |error: rusqlite::Error| LedgerError(format!("`{}`: {error}", path.display()));
        let mut connection = Connection::open(path).map_err(within)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(within)?;
        // A committed transaction survives the end of the process either way; where it is not synced, a power cut may
        // take the last ones, whose documents are then looked at again.
        let synchronous = if durability == Durability::Power { "FULL" } else { "NORMAL" };
        connection.pragma_update(None, "synchronous", synchronous)?;
        migrate(&mut connection)?;
        if durability == Durability::Power {
            // SQLite syncs what is in the files; that they are there at all, their directory knows.
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            std::fs::File::open(directory)
                .and_then(|directory| directory.sync_all())
                .map_err(|error| LedgerError(format!("`{}`: {error}", directory.display())))?;
        }
        Ok(Self { connection, kept: Kept::default() })
    }

    /// Opens it beside a process that writes.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, LedgerError> {
        let within = |error: rusqlite::Error| LedgerError(format!("`{}`: {error}", path.display()));
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(within)?;
        connection.busy_timeout(PATIENCE)?;
        let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(within)?;
        if version as usize != MIGRATIONS.len() {
            return Err(LedgerError(format!("`{}` is of another docmill: run `docmill run` first", path.display())));
        }
        Ok(Self { connection, kept: Kept::default() })
    }

    pub(super) fn clear(&mut self) -> Result<(), LedgerError> {
        self.connection.execute("DELETE FROM documents", [])?;
        Ok(())
    }

    pub(super) fn look(&mut self, document: &Digest) -> Result<Option<Entry>, LedgerError> {
        let mut select =
            self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM documents WHERE document = ?1"))?;
        Ok(select.query_row([document.as_bytes().as_slice()], entry).optional()?)
    }

    /// Entries behind `after`, in the order of their addresses, and how many there are in all.
    pub(super) fn list(
        &mut self,
        state: Option<State>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Entry>, u64), LedgerError> {
        let condition = match state {
            None => "1",
            Some(State::Unfinished) => "open = 1",
            Some(State::Done) => "open = 0 AND state = 'done'",
            Some(State::Skipped) => "open = 0 AND state = 'skipped'",
            Some(State::Failed) => "open = 0 AND state = 'failed'",
        };
        let count = format!("SELECT count(*) FROM documents WHERE {condition}");
        let total: i64 = self.connection.query_row(&count, [], |row| row.get(0))?;
        let select =
            format!("SELECT {COLUMNS} FROM documents WHERE {condition} AND uri > ?1 ORDER BY uri, document LIMIT ?2");
        let mut select = self.connection.prepare_cached(&select)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = select.query_map(params![after.unwrap_or_default(), limit], entry)?;
        Ok((rows.collect::<Result<_, _>>()?, total.unsigned_abs()))
    }

    /// Documents that a source listed before, behind `after` in the order of their ids.
    pub(super) fn of_source(
        &mut self,
        source: &str,
        after: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        let select =
            format!("SELECT {COLUMNS} FROM documents WHERE document > ?1 AND source = ?2 ORDER BY document LIMIT ?3");
        let mut select = self.connection.prepare_cached(&select)?;
        let after = after.map_or(&[][..], |after| after.as_bytes().as_slice());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(select.query_map(params![after, source, limit], entry)?.collect::<Result<_, _>>()?)
    }

    /// Documents that an earlier run than `run` left open, of which these stores may hold what they should not.
    pub(super) fn in_doubt(&mut self, run: &str, stores: &str, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        let select =
            format!("SELECT {COLUMNS} FROM documents WHERE open = 1 AND run NOT IN ('', ?1) AND stores = ?2 LIMIT ?3");
        let mut select = self.connection.prepare_cached(&select)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(select.query_map(params![run, stores, limit], entry)?.collect::<Result<_, _>>()?)
    }

    /// Documents inside others whose addresses begin with `prefix`.
    pub(super) fn inside(&mut self, prefix: &str) -> Result<Vec<Entry>, LedgerError> {
        let select = format!(
            "SELECT {COLUMNS} FROM documents WHERE instr(uri, '#member=') > 0 AND uri >= ?1 AND uri < ?1 || ?2"
        );
        let mut select = self.connection.prepare_cached(&select)?;
        // Addresses are percent-encoded, so nothing in one comes behind this.
        let rows = select.query_map(params![prefix, char::MAX.to_string()], entry)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Does `work` in one transaction.
    pub(super) fn together<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let done = work(self).and_then(|done| {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(done)
        });
        if done.is_err() && !self.connection.is_autocommit() {
            // The error that is told is the one that came first.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        done
    }

    pub(super) fn apply(&mut self, change: &Change) -> Result<(), LedgerError> {
        match change {
            Change::Accept(accepted) => self.accept(accepted),
            Change::Seal { document, content, fingerprint } => self.seal(document, content, fingerprint),
            Change::End(ended) => self.end(ended),
            Change::Reopen(document) => self.reopen(document),
            Change::Drop(document) => self.drop_failure(document),
            Change::Rest(document) => self.rest(document),
            Change::Forget(document) => {
                let mut delete = self.connection.prepare_cached("DELETE FROM documents WHERE document = ?1")?;
                delete.execute([document.as_bytes().as_slice()])?;
                Ok(())
            }
            Change::Run(run) => self.note_run(run),
            Change::HandIn(handed) => self.hand_in(handed),
        }
    }

    /// What was known of it in other stores says nothing of these.
    fn accept(&mut self, accepted: &Accepted) -> Result<(), LedgerError> {
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO documents (document, uri, source, item, open, stores, run, changed)
             VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)
             ON CONFLICT (document) DO UPDATE SET
                source = excluded.source, item = excluded.item, open = 1, run = excluded.run, changed = excluded.changed,
                state = CASE WHEN stores = excluded.stores THEN state END,
                content = CASE WHEN stores = excluded.stores THEN content END,
                fingerprint = CASE WHEN stores = excluded.stores THEN fingerprint END,
                stamp = CASE WHEN stores = excluded.stores THEN stamp END,
                kept_content = CASE WHEN stores = excluded.stores THEN kept_content END,
                kept_fingerprint = CASE WHEN stores = excluded.stores THEN kept_fingerprint END,
                stores = excluded.stores",
        )?;
        upsert.execute(params![
            accepted.document.as_bytes().as_slice(),
            accepted.uri,
            accepted.source,
            accepted.item,
            accepted.stores,
            accepted.run,
            now(),
        ])?;
        Ok(())
    }

    fn seal(&mut self, document: &Digest, content: &Digest, fingerprint: &Digest) -> Result<(), LedgerError> {
        let mut update = self.connection.prepare_cached(
            "UPDATE documents SET kept_content = ?2, kept_fingerprint = ?3, stamp = NULL, content = NULL, state = NULL
             WHERE document = ?1",
        )?;
        update.execute([document, content, fingerprint].map(|digest| digest.as_bytes().as_slice()))?;
        Ok(())
    }

    fn end(&mut self, ended: &Ended) -> Result<(), LedgerError> {
        let mut update = self.connection.prepare_cached(
            "UPDATE documents SET open = 0, state = ?2, content = ?3, fingerprint = ?4, stamp = ?5, stage = ?6,
                class = ?7, reason = ?8, attempts = attempts * (?2 = 'failed' AND class <> '') + ?9, changed = ?10,
                result = coalesce(?11, result),
                kept_content = CASE ?2 WHEN 'done' THEN ?3 WHEN 'skipped' THEN NULL ELSE kept_content END,
                kept_fingerprint = CASE ?2 WHEN 'done' THEN ?4 WHEN 'skipped' THEN NULL ELSE kept_fingerprint END
             WHERE document = ?1",
        )?;
        update.execute(params![
            ended.document.as_bytes().as_slice(),
            ended.state.as_str(),
            ended.content.as_ref().map(|digest| digest.as_bytes().as_slice()),
            ended.fingerprint.as_bytes().as_slice(),
            ended.stamp,
            ended.stage,
            ended.class,
            ended.reason,
            ended.attempts,
            now(),
            ended.result,
        ])?;
        Ok(())
    }

    fn reopen(&mut self, document: &Digest) -> Result<(), LedgerError> {
        let mut update = self.connection.prepare_cached(
            "UPDATE documents SET open = 1, state = NULL, content = NULL, stamp = NULL, changed = ?2 WHERE document = ?1",
        )?;
        update.execute(params![document.as_bytes().as_slice(), now()])?;
        Ok(())
    }

    fn drop_failure(&mut self, document: &Digest) -> Result<(), LedgerError> {
        let key = document.as_bytes().as_slice();
        let mut update = self.connection.prepare_cached(
            "UPDATE documents SET state = 'done', content = kept_content, fingerprint = kept_fingerprint, stamp = NULL,
                stage = '', class = '', reason = '', attempts = 1, changed = ?2
             WHERE document = ?1 AND kept_content IS NOT NULL AND state = 'failed' AND open = 0",
        )?;
        update.execute(params![key, now()])?;
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM documents WHERE document = ?1 AND kept_content IS NULL AND state = 'failed' AND open = 0",
        )?;
        delete.execute([key])?;
        Ok(())
    }

    fn rest(&mut self, document: &Digest) -> Result<(), LedgerError> {
        let mut update = self.connection.prepare_cached("UPDATE documents SET run = '' WHERE document = ?1")?;
        update.execute([document.as_bytes().as_slice()])?;
        Ok(())
    }

    fn note_run(&mut self, run: &RunEntry) -> Result<(), LedgerError> {
        let mut upsert = self.connection.prepare_cached(
            "INSERT INTO runs (run, pipeline, started, ended, outcome) VALUES (?1, ?2, ?3, NULL, NULL)
             ON CONFLICT (run) DO UPDATE SET ended = ?3, outcome = ?4",
        )?;
        upsert.execute(params![run.run, run.pipeline, now(), run.outcome])?;
        Ok(())
    }
}

/// Microseconds since 1970.
fn now() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

fn migrate(connection: &mut Connection) -> Result<(), LedgerError> {
    let transaction = connection.transaction()?;
    let version: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let version = version as usize;
    if version > MIGRATIONS.len() {
        return Err(LedgerError(format!(
            "of a later docmill (version {version}, this one knows {})",
            MIGRATIONS.len()
        )));
    }
    for migration in &MIGRATIONS[version..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len() as u32)?;
    Ok(transaction.commit()?)
}

pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let digest = |index: usize| row.get::<_, Option<[u8; 32]>>(index).map(|bytes| bytes.map(Digest::from));
    let ended: Option<String> = row.get(5)?;
    Ok(Entry {
        document: Digest::from(row.get::<_, [u8; 32]>(0)?),
        uri: row.get(1)?,
        source: row.get(2)?,
        item: row.get(3)?,
        open: row.get(4)?,
        ended: ended.as_deref().and_then(State::named),
        content: digest(6)?,
        fingerprint: digest(7)?,
        stamp: row.get(8)?,
        kept: digest(9)?.zip(digest(10)?),
        stores: row.get(11)?,
        stage: row.get(12)?,
        class: row.get(13)?,
        reason: row.get(14)?,
        attempts: row.get(15)?,
        run: row.get(16)?,
        changed: row.get(17)?,
        result: row.get(18)?,
    })
}

/// Makes a ledger one of another version.
#[cfg(test)]
pub(super) fn set_version(path: &Path, version: u32) {
    let connection = Connection::open(path).expect("opened");
    connection.pragma_update(None, "user_version", version).expect("set");
}

/// Makes a ledger of the first version with one document.
#[cfg(test)]
pub(super) fn make_first_version(path: &Path) {
    let connection = Connection::open(path).expect("opened");
    connection.execute_batch(MIGRATIONS[0]).expect("made");
    connection
        .execute("INSERT INTO documents VALUES (zeroblob(32), 'file:///a', zeroblob(32), zeroblob(32), NULL, 's')", [])
        .expect("written");
    connection.pragma_update(None, "user_version", 1).expect("set");
}
