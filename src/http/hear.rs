//! Hears of documents that come to their ends, tells those who wait for them, and sees to the uploads that nobody needs
//! any more.

use std::sync::Arc;
use std::time::Duration;

use docmill_api::{Digest, DocumentEnd, Intake, Witness};
use tokio::sync::broadcast;

use super::spool::{Spool, UPLOAD};
use crate::ledger::Ledger;

/// How many ends are kept for those who are slow to look: a batch of the store, and some.
const KEPT: usize = 4096;
/// How often it is looked which uploads are needed.
const LOOK: Duration = Duration::from_secs(1);

/// Something happened to a document.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) document: Digest,
    pub(crate) user_id: Option<String>,
    /// Its rows are gone, and with them all that is known of it.
    pub(crate) deleted: bool,
}

/// Who hears of documents, and tells.
#[derive(Debug)]
pub struct Heard {
    happened: broadcast::Sender<Happened>,
    spool: Arc<Spool>,
}

impl Heard {
    /// One for the uploads of a spool.
    #[must_use]
    pub fn new(spool: Arc<Spool>) -> Arc<Self> {
        Arc::new(Self { happened: broadcast::Sender::new(KEPT), spool })
    }

    /// What happens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Happened> {
        self.happened.subscribe()
    }

    /// Tells that a document was accepted.
    pub(crate) fn accepted(&self, document: Digest, user_id: Option<String>) {
        // Where nobody listens nobody is told.
        let _ = self.happened.send(Happened { document, user_id, deleted: false });
    }
}

impl Witness for Heard {
    fn ended(&self, end: &DocumentEnd) {
        let document = &end.document;
        self.spool.ended(&document.uri, end.state == "failed");
        let (user_id, deleted) = (document.user_id.clone(), end.state == "deleted");
        let _ = self.happened.send(Happened { document: document.id, user_id, deleted });
    }
}

/// Removes uploads that nobody needs, for as long as it is polled.
pub(crate) async fn sweep(spool: &Spool, intake: &dyn Intake, ledger: &Ledger) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for (hash, _) in spool.unneeded() {
            let prefix = format!("{UPLOAD}{hash}/");
            // The ledger's word as well: one that this process does not have in hand is left for another attempt.
            let needed = intake.holds_within(&prefix) || ledger.has_open_within(&prefix).await.unwrap_or(true);
            spool.looked(&hash, needed);
        }
    }
}
