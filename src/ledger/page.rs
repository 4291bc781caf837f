//! What a service asks of the ledger besides: documents of a user or a session by pages, and requests that were made
//! before.

use docmill_api::Digest;
use rusqlite::{OptionalExtension, params};

use super::database::{Database, entry};
use super::{Entry, Ledger, LedgerError, Request};

/// How long a request is one with its repetition.
const REMEMBERED: i64 = 24 * 60 * 60 * 1_000_000;

/// How documents that are asked for stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They have not come to their end.
    Open,
    /// The stores hold them.
    Done,
    /// They had nothing to store.
    Skipped,
    /// They failed.
    Failed,
    /// They were taken back.
    Cancelled,
}

/// Which documents are asked for. All that is set must hold.
#[derive(Clone, Debug)]
pub struct Page {
    /// Those that stand so.
    pub states: Option<Standing>,
    /// Those of this user.
    pub user_id: Option<String>,
    /// Those of this session.
    pub session_id: Option<String>,
    /// Those behind this one, in the order of their ids.
    pub after: Option<Digest>,
    /// At most so many.
    pub limit: usize,
}

/// A request that handed a document in.
#[derive(Clone, Debug)]
pub struct HandedIn {
    /// Whose request it was: the name of a key.
    pub owner: String,
    /// What the request called itself.
    pub key: String,
    /// The hash of what it said.
    pub body: Digest,
    /// The document.
    pub document: Digest,
}

impl Ledger {
    /// Documents in the order of their ids, and how many there are in all that stand so.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn page(&self, page: Page) -> Result<(Vec<Entry>, u64), LedgerError> {
        self.ask(|answer| Request::Page(page, answer)).await
    }

    /// The document that an earlier request of this name handed in, and whether that said the same.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn handed_in(&self, owner: &str, key: &str, body: Digest) -> Result<Option<(Digest, bool)>, LedgerError> {
        let (owner, key) = (owner.to_owned(), key.to_owned());
        let found = self.ask(|answer| Request::HandedIn(owner, key, answer)).await?;
        Ok(found.map(|(document, before)| (document, before == body)))
    }

    /// Whether a document whose address begins like this has not come to its end.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn has_open_within(&self, prefix: &str) -> Result<bool, LedgerError> {
        self.ask(|answer| Request::OpenWithin(prefix.to_owned(), answer)).await
    }
}

impl Database {
    pub(super) fn page(&mut self, page: &Page) -> Result<(Vec<Entry>, u64), LedgerError> {
        let state = match page.states {
            None => "1",
            Some(Standing::Open) => "open = 1",
            Some(Standing::Done) => "open = 0 AND state = 'done'",
            Some(Standing::Skipped) => "open = 0 AND state = 'skipped'",
            Some(Standing::Failed) => "open = 0 AND state = 'failed' AND class <> 'cancelled'",
            Some(Standing::Cancelled) => "open = 0 AND state = 'failed' AND class = 'cancelled'",
        };
        let whose = "(?1 IS NULL OR json_extract(item, '$.user_id') = ?1)
             AND (?2 IS NULL OR json_extract(item, '$.session_id') = ?2)";
        let count = format!("SELECT count(*) FROM documents WHERE {state} AND {whose}");
        let total: i64 = self
            .connection
            .prepare_cached(&count)?
            .query_row(params![page.user_id, page.session_id], |row| row.get(0))?;
        let select = format!(
            "SELECT {} FROM documents WHERE {state} AND {whose} AND document > ?3 ORDER BY document LIMIT ?4",
            super::database::COLUMNS
        );
        let after = page.after.as_ref().map_or(&[][..], |after| after.as_bytes().as_slice());
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let mut select = self.connection.prepare_cached(&select)?;
        let rows = select.query_map(params![page.user_id, page.session_id, after, limit], entry)?;
        Ok((rows.collect::<Result<_, _>>()?, total.unsigned_abs()))
    }

    pub(super) fn handed_in(&mut self, owner: &str, key: &str) -> Result<Option<(Digest, Digest)>, LedgerError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT document, body FROM handed_in WHERE owner = ?1 AND key = ?2 AND at > ?3")?;
        let since = chrono::Utc::now().timestamp_micros() - REMEMBERED;
        let read = |row: &rusqlite::Row<'_>| {
            Ok((Digest::from(row.get::<_, [u8; 32]>(0)?), Digest::from(row.get::<_, [u8; 32]>(1)?)))
        };
        Ok(select.query_row(params![owner, key, since], read).optional()?)
    }

    pub(super) fn hand_in(&mut self, handed: &HandedIn) -> Result<(), LedgerError> {
        let now = chrono::Utc::now().timestamp_micros();
        self.connection.prepare_cached("DELETE FROM handed_in WHERE at <= ?1")?.execute([now - REMEMBERED])?;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO handed_in (owner, key, body, document, at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (owner, key) DO UPDATE SET body = ?3, document = ?4, at = ?5",
        )?;
        let (body, document) = (handed.body.as_bytes().as_slice(), handed.document.as_bytes().as_slice());
        insert.execute(params![handed.owner, handed.key, body, document, now])?;
        Ok(())
    }

    pub(super) fn open_within(&mut self, prefix: &str) -> Result<bool, LedgerError> {
        let mut select = self.connection.prepare_cached(
            "SELECT 1 FROM documents WHERE open = 1 AND uri >= ?1 AND uri < ?1 || ?2
             AND uri >= 'upload:' AND uri < 'upload;' LIMIT 1",
        )?;
        Ok(select.exists(params![prefix, char::MAX.to_string()])?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Accepted, Change};
    use super::*;

    fn id(name: &str) -> Digest {
        Digest::of(&[name.as_bytes()])
    }

    fn accept(name: &str, user: &str, session: &str) -> Change {
        Change::Accept(Accepted {
            document: id(name),
            uri: format!("upload://{}/{name}", id(name)),
            source: "source".into(),
            item: serde_json::json!({ "uri": name, "user_id": user, "session_id": session }).to_string(),
            stores: "store".into(),
            run: "run".into(),
        })
    }

    #[tokio::test]
    async fn pages_are_of_a_user_and_a_session_and_miss_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(&directory.path().join("ledger.db"), false).expect("opened");
        let names: Vec<String> = (0..25).map(|number| number.to_string()).collect();
        let user = |number: usize| if number.is_multiple_of(2) { "ada" } else { "bob" };
        let session = |number: usize| if number < 10 { "s" } else { "t" };
        let all = names.iter().enumerate().map(|(number, name)| accept(name, user(number), session(number)));
        ledger.write(all.collect()).await.expect("written");
        let mut page = Page { states: None, user_id: Some("ada".into()), session_id: None, after: None, limit: 4 };
        let mut seen = Vec::new();
        loop {
            let (entries, total) = ledger.page(page.clone()).await.expect("read");
            assert_eq!(total, 13);
            let Some(last) = entries.last() else { break };
            page.after = Some(last.document);
            seen.extend(entries.into_iter().map(|entry| entry.document));
        }
        seen.sort_unstable();
        let mut wanted: Vec<Digest> = names.iter().step_by(2).map(|name| id(name)).collect();
        wanted.sort_unstable();
        assert_eq!(seen, wanted);
        let of = Page { session_id: Some("s".into()), after: None, states: Some(Standing::Open), limit: 99, ..page };
        assert_eq!(ledger.page(of.clone()).await.expect("read").0.len(), 5);
        let done = Page { states: Some(Standing::Done), ..of };
        assert_eq!(ledger.page(done).await.expect("read"), (Vec::new(), 0));
        assert!(ledger.has_open_within(&format!("upload://{}/", id("3"))).await.expect("read"));
        assert!(!ledger.has_open_within(&format!("upload://{}/", id("99"))).await.expect("read"));
    }

    #[tokio::test]
    async fn a_request_is_known_by_its_owner_and_key() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = Ledger::open(&directory.path().join("ledger.db"), false).expect("opened");
        let (owner, key, body, document) = ("ada".to_owned(), "k".to_owned(), id("body"), id("document"));
        ledger.write(vec![Change::HandIn(HandedIn { owner, key, body, document })]).await.expect("written");
        let handed = |owner, body| ledger.handed_in(owner, "k", body);
        assert_eq!(handed("ada", body).await.expect("read"), Some((document, true)));
        assert_eq!(handed("ada", id("other")).await.expect("read"), Some((document, false)));
        assert_eq!(handed("bob", body).await.expect("read"), None);
    }
}
