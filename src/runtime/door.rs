//! Documents that are handed in while the run goes on: accepted here, before whoever brings them is told so, and given to
//! the intake by a feed later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use docmill_api::crash::crash_point;
use docmill_api::{Acceptance, Digest, Document, Known, Progress, SourceItem, StageError, async_trait};

use super::intake::Intake;
use super::memory::{Past, Verdict};
use super::origin::Origin;
use super::shared::Shared;

/// What was known of a document when it was accepted.
#[derive(Debug)]
pub(crate) struct Waits {
    pub(crate) past: Past,
    pub(crate) known: Option<Known>,
    /// It was taken back before anybody looked at it.
    pub(crate) cancelled: bool,
    uri: String,
}

/// Documents that were accepted and that the intake has not taken yet. Bounded by whoever hands them in.
#[derive(Debug, Default)]
pub(crate) struct Lobby(Mutex<HashMap<Digest, Waits>>);

impl Lobby {
    /// Takes a document out, if it waits here.
    pub(crate) fn take(&self, document: &Digest) -> Option<Waits> {
        self.waiting().remove(document)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Waits>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Door {
    shared: Arc<Shared>,
    source: Arc<str>,
    fingerprint: Digest,
    origin: Arc<Origin>,
}

/// The door beside an intake.
pub(crate) fn of(intake: &Intake) -> Arc<dyn docmill_api::Intake> {
    Arc::new(Door {
        shared: Arc::clone(&intake.shared),
        source: Arc::clone(&intake.id),
        fingerprint: intake.fingerprint,
        origin: Arc::clone(&intake.origin),
    })
}

impl Door {
    async fn look_and_accept(&self, id: Digest, item: &SourceItem) -> Result<Acceptance, StageError> {
        let Some(memory) = self.shared.memory.get() else {
            return Err(StageError::fatal("a run without a ledger accepts no documents"));
        };
        let verdict = memory.look(&[(id, item)]).await?.pop();
        let (past, known) = match verdict {
            Some(Verdict::AsBefore(_)) => {
                self.shared.counters.tally(|tally| {
                    tally.documents.seen += 1;
                    tally.documents.unchanged += 1;
                });
                return Ok(Acceptance::AsBefore);
            }
            Some(Verdict::TakeIn(past, known)) => (past, known),
            None => (Past::default(), None),
        };
        crash_point("ledger", "accepting");
        memory.accept(&self.source, vec![(id, item)]).await?;
        crash_point("ledger", "accepted");
        self.shared.counters.tally(|tally| {
            tally.documents.seen += 1;
            tally.documents.unfinished += 1;
        });
        if let Some(waits) = self.shared.accepted.waiting().get_mut(&id) {
            (waits.past, waits.known) = (past, known);
        }
        Ok(Acceptance::Taken)
    }
}

#[async_trait]
impl docmill_api::Intake for Door {
    fn id_of(&self, item: &SourceItem) -> Digest {
        Document::admit(item.clone(), self.fingerprint).id
    }

    async fn accept(&self, item: &SourceItem) -> Result<Acceptance, StageError> {
        let document = Document::admit(item.clone(), self.fingerprint);
        let id = document.id;
        if self.shared.under_way.progress(&id).is_some() {
            return Ok(Acceptance::UnderWay);
        }
        {
            // From here on whoever brings the same document is told that it is under way.
            let mut waiting = self.shared.accepted.waiting();
            if waiting.contains_key(&id) {
                return Ok(Acceptance::UnderWay);
            }
            waiting.insert(id, Waits { past: Past::default(), known: None, cancelled: false, uri: document.uri });
        }
        // A caller that goes meanwhile must not leave it here.
        let mut entered = Entered { lobby: &self.shared.accepted, id: Some(id) };
        let accepted = self.look_and_accept(id, item).await;
        if matches!(accepted, Ok(Acceptance::Taken)) {
            entered.id = None;
        }
        accepted
    }

    fn progress(&self, document: &Digest) -> Option<Progress> {
        let waits = self.shared.accepted.waiting().get(document).map(|waits| waits.cancelled);
        let waiting = waits.map(|cancelled| Progress { stage: String::new(), attempts: 0, cancelled });
        waiting.or_else(|| self.shared.under_way.progress(document))
    }

    fn cancel(&self, document: &Digest) -> bool {
        if let Some(waits) = self.shared.accepted.waiting().get_mut(document) {
            waits.cancelled = true;
            return true;
        }
        self.shared.under_way.cancel(document)
    }

    fn holds_within(&self, prefix: &str) -> bool {
        self.shared.accepted.waiting().values().any(|waits| waits.uri.starts_with(prefix))
            || self.origin.holds_within(prefix)
            || self.shared.under_way.holds_within(prefix)
    }
}

/// Takes a document out of the lobby again unless it was accepted.
struct Entered<'a> {
    lobby: &'a Lobby,
    id: Option<Digest>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.lobby.take(&id);
        }
    }
}
