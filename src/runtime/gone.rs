//! Finds documents that are no longer there: those that the ledger has from a source, and that the source did not name in
//! a whole listing of the place where they were (`--prune`).

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use docmill_api::{Digest, Document, MEMBER_MARK, SourceItem, StageError};

use super::memory::Memory;

/// How many entries of the ledger are looked at together.
const PAGE: usize = 512;

/// Which documents were listed: eight bytes of each id. A document that is gone and shares them with another, one in
/// some billions, is left.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<HashSet<u64>>);

impl Noted {
    pub(crate) fn note(&self, document: Digest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(short(&document));
    }

    fn has(&self, document: &Digest) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&short(document))
    }
}

fn short(document: &Digest) -> u64 {
    document.as_bytes().iter().take(8).fold(0, |short, byte| short << 8 | u64::from(*byte))
}

/// A document that was not listed.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) item: SourceItem,
    /// The address that a whole listing would have named, were the document there. `None` where it is known to be gone:
    /// what it was inside of was opened, and had it no longer.
    pub(crate) listed_by: Option<String>,
}

/// A search through the ledger under way. What is under way is kept here: a caller that drops the future of `next` loses
/// no document.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    after: Option<Digest>,
    page: VecDeque<(Digest, SourceItem)>,
    last: bool,
}

impl Gone {
    /// The next document that was not listed; `None` after the last.
    pub(crate) async fn next(
        &mut self,
        memory: &Memory,
        source: &str,
        listed: &Noted,
    ) -> Result<Option<Missing>, StageError> {
        loop {
            while let Some((document, item)) = self.page.front() {
                let found = if listed.has(document) { None } else { missing(memory, listed, item).await? };
                self.page.pop_front();
                if found.is_some() {
                    return Ok(found);
                }
            }
            if self.last {
                return Ok(None);
            }
            let page = memory.listed_before(source, self.after, PAGE).await?;
            self.last = page.len() < PAGE;
            self.after = page.last().map(|(document, _)| *document).or(self.after);
            self.page = page.into();
        }
    }
}

/// What was inside another document is gone where that is gone too, or was opened and had it no longer; not where it
/// could not be opened.
async fn missing(memory: &Memory, listed: &Noted, item: &SourceItem) -> Result<Option<Missing>, StageError> {
    let missing = |listed_by| Some(Missing { item: item.clone(), listed_by });
    let Some((container, _)) = item.uri.split_once(MEMBER_MARK) else { return Ok(missing(Some(item.uri.clone()))) };
    let container = SourceItem { uri: container.to_owned(), ..item.clone() };
    let document = Document::admit(container, Digest::of(&[]));
    if !listed.has(&document.id) {
        return Ok(missing(Some(document.uri)));
    }
    Ok(if memory.went_well(document.id).await? { missing(None) } else { None })
}
