//! The tables, and the way from one version of them to the next.

use std::path::Path;
use std::time::Duration;

use docmill_api::Digest;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Entry, LedgerError};

/// What each version adds to the one before; the first makes the tables. Never changed once released, only added to.
const MIGRATIONS: [&str; 1] = ["CREATE TABLE documents (
    document BLOB PRIMARY KEY,
    uri TEXT NOT NULL,
    version BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    stamp TEXT,
    stores TEXT NOT NULL
) WITHOUT ROWID"];

/// How long a reader of another process may hold the database up.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Database(Connection);

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

impl Database {
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let within = |error: rusqlite::Error| LedgerError(format!("`{}`: {error}", path.display()));
        let mut connection = Connection::open(path).map_err(within)?;
        connection.busy_timeout(PATIENCE)?;
        // A committed transaction survives the end of the process; a power cut may take the last ones, whose documents
        // are then looked at again.
        connection.pragma_update(None, "journal_mode", "WAL").map_err(within)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        migrate(&mut connection)?;
        Ok(Self(connection))
    }

    pub(super) fn clear(&mut self) -> Result<(), LedgerError> {
        self.0.execute("DELETE FROM documents", [])?;
        Ok(())
    }

    pub(super) fn look(&mut self, document: &Digest) -> Result<Option<Entry>, LedgerError> {
        let mut select = self.0.prepare_cached(
            "SELECT document, uri, version, fingerprint, stamp, stores FROM documents WHERE document = ?1",
        )?;
        Ok(select.query_row([document.as_bytes().as_slice()], entry).optional()?)
    }

    pub(super) fn write(&mut self, entries: &[Entry], gone: &[Digest]) -> Result<(), LedgerError> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO documents (document, uri, version, fingerprint, stamp, stores)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for entry in entries {
                insert.execute(params![
                    entry.document.as_bytes().as_slice(),
                    entry.uri,
                    entry.version.as_bytes().as_slice(),
                    entry.fingerprint.as_bytes().as_slice(),
                    entry.stamp,
                    entry.stores,
                ])?;
            }
            let mut delete = transaction.prepare_cached("DELETE FROM documents WHERE document = ?1")?;
            for document in gone {
                delete.execute([document.as_bytes().as_slice()])?;
            }
        }
        Ok(transaction.commit()?)
    }
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

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let digest = |index: usize| row.get::<_, [u8; 32]>(index).map(Digest::from);
    Ok(Entry {
        document: digest(0)?,
        uri: row.get(1)?,
        version: digest(2)?,
        fingerprint: digest(3)?,
        stamp: row.get(4)?,
        stores: row.get(5)?,
    })
}

/// Makes a ledger one of another version.
#[cfg(test)]
pub(super) fn set_version(path: &Path, version: u32) {
    let connection = Connection::open(path).expect("opened");
    connection.pragma_update(None, "user_version", version).expect("set");
}
