//! What the engine remembers of documents between runs: the ledger, together with the stores that this run writes. A
//! document is unchanged where the ledger has the same version of it in the same stores.

use std::sync::Arc;

use docmill_api::{Digest, Document, SourceItem, StageError};

use super::delivery::Delivery;
use crate::ledger::{Entry, Ledger, LedgerError};

/// The ledger as this run reads and writes it.
#[derive(Debug)]
pub(crate) struct Memory {
    ledger: Arc<Ledger>,
    /// The names of all sinks' stores.
    stores: String,
    fingerprint: Digest,
}

impl Memory {
    /// `None` where one of the stores has no name: nothing can be said of what it holds then.
    pub(crate) fn new(ledger: Arc<Ledger>, stores: &[Option<String>], fingerprint: Digest) -> Option<Self> {
        let mut names: Vec<&str> = stores.iter().map(Option::as_deref).collect::<Option<_>>()?;
        names.sort_unstable();
        Some(Self { ledger, stores: names.join(" "), fingerprint })
    }

    /// Whether a listed document is what it was, told by its stamp alone.
    pub(crate) async fn knows(&self, document: Digest, item: &SourceItem) -> Result<bool, StageError> {
        let Some(stamp) = &item.stamp else { return Ok(false) };
        let entry = self.ledger.look(document).await.map_err(unusable)?;
        Ok(entry.is_some_and(|entry| {
            entry.stamp.as_ref() == Some(stamp) && entry.fingerprint == self.fingerprint && entry.stores == self.stores
        }))
    }

    /// Whether a document that was read has the content that is stored. What was remembered of another content is
    /// forgotten before rows of the new one are written: should the run break off between, the document is in doubt, and
    /// done again.
    pub(crate) async fn holds(&self, document: &Document) -> Result<bool, StageError> {
        let Some(version) = document.version() else { return Ok(false) };
        let Some(entry) = self.ledger.look(document.id).await.map_err(unusable)? else { return Ok(false) };
        let same = entry.version == version && entry.stores == self.stores;
        if !same {
            self.ledger.write(Vec::new(), vec![document.id]).await.map_err(unusable)?;
        }
        Ok(same)
    }

    /// Remembers the documents of a group that are stored in full, and forgets those that are gone.
    pub(crate) async fn keep(&self, group: &[Arc<Delivery>]) -> Result<(), StageError> {
        let well = group.iter().filter(|delivery| delivery.failure().is_none());
        let (gone, ended): (Vec<_>, Vec<_>) = well.partition(|delivery| delivery.gone);
        let entries: Vec<Entry> = ended
            .iter()
            // What gave no rows is looked at again: the reason is worth saying every time.
            .filter(|delivery| delivery.is_unchanged() || delivery.made().rows > 0)
            .filter_map(|delivery| {
                let document = delivery.document();
                Some(Entry {
                    document: document.id,
                    uri: document.uri.clone(),
                    version: document.version()?,
                    fingerprint: self.fingerprint,
                    stamp: document.stamp.clone(),
                    stores: self.stores.clone(),
                })
            })
            .collect();
        let gone: Vec<Digest> = gone.iter().map(|delivery| delivery.document().id).collect();
        if entries.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.ledger.write(entries, gone).await.map_err(unusable)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn unusable(error: LedgerError) -> StageError {
    StageError::fatal(error.to_string())
}
