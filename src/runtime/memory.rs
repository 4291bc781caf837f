//! What the engine remembers of documents between runs: the ledger, as one run over certain stores reads and writes it.
//!
//! A document is as before where the ledger has its end with the same content under the same pipeline in the same stores:
//! then it is counted and not done again, whether it is stored, had nothing to store, or failed for what it is. A failure
//! that another moment may mend (a server that was down) is tried again.

use std::sync::Arc;

use docmill_api::{
    Digest, Document, ErrorClass, Known, MEMBER_MARK, Rest, Settled, SourceItem, StageError, canonical_uri,
};

use super::delivery::Delivery;
use super::told;
use crate::ledger::{Accepted, Change, Ended, Entry, Ledger, LedgerError, RunEntry, State, item_of};

/// The ledger as this run reads and writes it.
#[derive(Debug)]
pub(crate) struct Memory {
    ledger: Arc<Ledger>,
    /// The names of all sinks' stores; `None` where one has none: nothing can be said of what it holds then.
    stores: Option<String>,
    fingerprint: Digest,
    run: String,
    /// Whether what a document's caller is told is kept.
    keeps_results: bool,
}

/// Stands between a member that is itself a container and what is inside it (see `MEMBER_MARK`).
const WITHIN: &str = "!/";

/// How a document ended before.
#[derive(Clone, Debug)]
pub(crate) struct AsBefore {
    pub(crate) state: State,
    pub(crate) stage: String,
    pub(crate) reason: String,
    pub(crate) attempts: u32,
}

/// What is known of a document that is taken in hand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Past {
    /// A run that broke off had it in hand: what the stores hold of it may be anything.
    pub(crate) doubt: bool,
    /// The stores hold an earlier version of it.
    pub(crate) kept: bool,
    /// It never ended in these stores under this pipeline, whatever its content: once it is read, nothing is to be looked up.
    pub(crate) is_new: bool,
}

/// What is to be done with a document that was listed.
#[derive(Debug)]
pub(crate) enum Verdict {
    AsBefore(AsBefore),
    /// With what it ended with before, where its listing does not tell whether it is still that.
    TakeIn(Past, Option<Known>),
}

impl Memory {
    pub(crate) fn new(ledger: Arc<Ledger>, stores: &[Option<String>], fingerprint: Digest, run: String) -> Self {
        let names: Option<Vec<&str>> = stores.iter().map(Option::as_deref).collect();
        let stores = names.map(|mut names| {
            names.sort_unstable();
            names.join(" ")
        });
        Self { ledger, stores, fingerprint, run, keeps_results: false }
    }

    /// The same, with what a document's caller is told kept in the ledger or not.
    pub(crate) fn keeping_results(self, keeps_results: bool) -> Self {
        Self { keeps_results, ..self }
    }

    fn stores(&self) -> String {
        self.stores.clone().unwrap_or_default()
    }

    /// Notes the run's beginning, or how it ended.
    pub(crate) async fn note_run(&self, pipeline: &str, outcome: Option<String>) -> Result<(), StageError> {
        let run = RunEntry { run: self.run.clone(), pipeline: pipeline.to_owned(), outcome };
        self.write(vec![Change::Run(run)]).await
    }

    /// Says what is to be done with documents that were listed.
    pub(crate) async fn look(&self, listed: &[(Digest, &SourceItem)]) -> Result<Vec<Verdict>, StageError> {
        let ids = listed.iter().map(|(id, _)| *id).collect();
        let entries = self.ledger.look(ids).await.map_err(unusable)?;
        let verdict = |(item, entry): (&SourceItem, Option<Entry>)| {
            let Some(entry) = entry.filter(|entry| !item.gone && self.is_ours(entry)) else {
                return Verdict::TakeIn(Past { is_new: true, ..Past::default() }, None);
            };
            let same = !entry.open && item.stamp.is_some() && entry.stamp == item.stamp;
            let before = as_before_of(&entry).filter(|_| !entry.open && self.is_of_this_pipeline(&entry));
            match before {
                Some(before) if same => Verdict::AsBefore(before),
                before => {
                    let past = Past { doubt: entry.open, kept: entry.kept.is_some(), is_new: before.is_none() };
                    let may_be = before.is_some() && item.stamp.is_none();
                    let known = entry.stamp.zip(entry.content).filter(|_| may_be);
                    Verdict::TakeIn(past, known.map(|(stamp, content)| Known { stamp, content }))
                }
            }
        };
        Ok(listed.iter().map(|(_, item)| *item).zip(entries).map(verdict).collect())
    }

    /// Accepts documents: when this returns, the ledger has them.
    pub(crate) async fn accept(&self, source: &str, documents: Vec<(Digest, &SourceItem)>) -> Result<(), StageError> {
        let accepted = |(document, item): (Digest, &SourceItem)| {
            Change::Accept(Accepted {
                document,
                uri: canonical_uri(&item.uri),
                source: source.to_owned(),
                item: as_listed(item),
                stores: self.stores(),
                run: self.run.clone(),
            })
        };
        self.write(documents.into_iter().map(accepted).collect()).await
    }

    /// Notes that documents are to be done again, whatever they ended with.
    pub(crate) async fn reopen(&self, items: impl Iterator<Item = &SourceItem>) -> Result<(), StageError> {
        let id = |item: &SourceItem| Document::admit(item.clone(), self.fingerprint).id;
        self.write(items.map(|item| Change::Reopen(id(item))).collect()).await
    }

    /// How a document that was just read ended before with this very content.
    pub(crate) async fn recall(&self, document: &Document) -> Result<Option<AsBefore>, StageError> {
        let entry = self.ledger.look(vec![document.id]).await.map_err(unusable)?.pop().flatten();
        let same = entry.filter(|entry| {
            document.content.is_some()
                && entry.content == document.content
                && self.is_ours(entry)
                && self.is_of_this_pipeline(entry)
        });
        Ok(same.as_ref().and_then(as_before_of))
    }

    /// Notes that documents are stored in full, before the stores delete the rows of the versions that these replace: a
    /// run that breaks off in between has the deletion to finish, and not the rows to take back.
    pub(crate) async fn seal(&self, group: &[Arc<Delivery>]) -> Result<(), StageError> {
        let replaces = |delivery: &&Arc<Delivery>| {
            delivery.past.kept && !delivery.gone && !delivery.is_unchanged() && delivery.failure().is_none()
        };
        let seal = |delivery: &Arc<Delivery>| {
            let document = delivery.document();
            document.content.map(|content| Change::Seal {
                document: document.id,
                content,
                fingerprint: self.fingerprint,
            })
        };
        self.write(group.iter().filter(replaces).filter_map(seal).collect()).await
    }

    /// Notes how the documents of a group came to their end, after the stores were told, and forgets those that are gone.
    pub(crate) async fn end(&self, group: &[Arc<Delivery>]) -> Result<(), StageError> {
        self.write(group.iter().filter_map(|delivery| self.end_of(delivery)).collect()).await
    }

    fn end_of(&self, delivery: &Delivery) -> Option<Change> {
        let document = delivery.document();
        let failure = delivery.failure();
        if delivery.gone {
            return failure.is_none().then_some(Change::Forget(document.id));
        }
        let mut ended = Ended {
            document: document.id,
            state: State::Done,
            content: document.content,
            fingerprint: self.fingerprint,
            // Of what documents were found in, they are to be found again: one of them may not be done.
            stamp: document.stamp.clone().filter(|_| !delivery.is_container()),
            stage: String::new(),
            class: String::new(),
            reason: String::new(),
            attempts: 1,
            result: self.keeps_results.then(|| told::result(delivery)).flatten().map(|result| result.to_string()),
        };
        match (failure, delivery.skip()) {
            // It stays open: nobody can say that it failed.
            (Some(_), _) if delivery.is_unfinished() => return None,
            (Some(failure), _) => {
                ended.state = State::Failed;
                ended.stage = failure.stage.to_string();
                ended.class = told::class_of(delivery, &failure);
                ended.reason = failure.error.message;
                ended.attempts = if delivery.is_as_before() { 0 } else { failure.attempts };
            }
            (None, Some((stage, reason))) if delivery.made().rows == 0 => {
                ended.state = State::Skipped;
                ended.stage = stage.to_string();
                ended.reason = reason;
                ended.content = ended.content.filter(|_| !delivery.is_container());
            }
            (None, _) => {}
        }
        Some(Change::End(ended))
    }

    /// Documents that earlier runs left in doubt in these stores and this run did not take in, each with what the stores
    /// are to keep of it: the version that they held before, or nothing.
    pub(crate) async fn in_doubt(&self, limit: usize) -> Result<Vec<Settled>, StageError> {
        let Some(stores) = &self.stores else { return Ok(Vec::new()) };
        let entries = self.ledger.in_doubt(&self.run, stores, limit).await.map_err(unusable)?;
        Ok(entries.iter().map(settled).collect())
    }

    /// What the stores are to keep of the documents of a group that were in doubt and failed: there may be rows of a version
    /// that this run knows nothing of.
    pub(crate) async fn in_doubt_still(&self, group: &[Arc<Delivery>]) -> Result<Vec<Settled>, StageError> {
        let failed = group.iter().filter(|delivery| delivery.past.doubt && delivery.failure().is_some());
        let ids: Vec<Digest> = failed.map(|delivery| delivery.document().id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let entries = self.ledger.look(ids).await.map_err(unusable)?;
        Ok(entries.iter().flatten().map(settled).collect())
    }

    /// Notes that the stores hold of these what they should.
    pub(crate) async fn rest(&self, settled: &[Settled]) -> Result<(), StageError> {
        self.write(settled.iter().map(|settled| Change::Rest(settled.document.id)).collect()).await
    }

    /// Documents that a source listed before, behind `after` in the order of their ids, as it listed them.
    pub(crate) async fn listed_before(
        &self,
        source: &str,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, SourceItem)>, StageError> {
        let entries = self.ledger.of_source(source, after, limit).await.map_err(unusable)?;
        Ok(entries.into_iter().map(|entry| (entry.document, item_of(&entry))).collect())
    }

    /// Documents that earlier runs found inside this one: right inside, or `deep` within others there too.
    pub(crate) async fn inside(
        &self,
        document: &Document,
        deep: bool,
    ) -> Result<Vec<(Digest, SourceItem)>, StageError> {
        let mark = if document.uri.contains(MEMBER_MARK) { WITHIN } else { MEMBER_MARK };
        let prefix = format!("{}{mark}", document.uri);
        let entries = self.ledger.inside(&prefix).await.map_err(unusable)?;
        let is_meant = |entry: &Entry, item: &SourceItem| {
            (deep || !entry.uri[prefix.len()..].contains(WITHIN))
                && (&item.session_id, &item.user_id) == (&document.session_id, &document.user_id)
        };
        let found = entries.into_iter().map(|entry| (item_of(&entry), entry));
        Ok(found.filter(|(item, entry)| is_meant(entry, item)).map(|(item, entry)| (entry.document, item)).collect())
    }

    /// Whether a document came to an end that is no failure.
    pub(crate) async fn went_well(&self, document: Digest) -> Result<bool, StageError> {
        let entry = self.ledger.look(vec![document]).await.map_err(unusable)?.pop().flatten();
        Ok(entry.is_some_and(|entry| matches!(entry.state(), State::Done | State::Skipped)))
    }

    fn is_ours(&self, entry: &Entry) -> bool {
        self.stores.as_ref() == Some(&entry.stores)
    }

    fn is_of_this_pipeline(&self, entry: &Entry) -> bool {
        entry.fingerprint == Some(self.fingerprint)
    }

    async fn write(&self, changes: Vec<Change>) -> Result<(), StageError> {
        if changes.is_empty() { Ok(()) } else { self.ledger.write(changes).await.map_err(unusable) }
    }
}

/// Its end, where the same content would end so again.
fn as_before_of(entry: &Entry) -> Option<AsBefore> {
    let state = entry.ended?;
    let again = state == State::Failed && entry.class != ErrorClass::Rejected.to_string();
    (!again).then(|| AsBefore {
        state,
        stage: entry.stage.clone(),
        reason: entry.reason.clone(),
        attempts: entry.attempts,
    })
}

/// How a document was listed, so that it can be listed again. Without a signature, which is never stored.
fn as_listed(item: &SourceItem) -> String {
    let item = SourceItem { uri: canonical_uri(&item.uri), stamp: None, ..item.clone() };
    serde_json::to_string(&item).unwrap_or_default()
}

fn settled(entry: &Entry) -> Settled {
    let mut document = Document::admit(item_of(entry), entry.kept.map_or(Digest::of(&[]), |(_, pipeline)| pipeline));
    document.id = entry.document;
    document.content = entry.kept.map(|(content, _)| content);
    let rest = if entry.kept.is_some() { Rest::Done } else { Rest::Gone };
    Settled { document: Arc::new(document), rest }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn unusable(error: LedgerError) -> StageError {
    StageError::fatal(error.to_string())
}
