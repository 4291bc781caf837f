//! The run's side of tracing: what its tasks tell becomes spans in a bounded queue, without waiting for anything.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use docmill_api::{CancellationToken, Digest, DocumentEnd, Visit, Witness};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::encode::{About, Ended, Place, Span};
use super::sampler::Sampler;
use super::sender::{Counts, Sender, Sent};
use super::settings::Settings;

/// How many spans wait to be sent at most: sixteen requests' worth, some 2 MB. What comes when it is full is dropped.
pub(super) const QUEUE: usize = 8192;

/// How many documents under way are remembered at most. There are as many as the run lets in at once; the bound is for what
/// never ends, and for visits that are told of after their document's end.
const UNDER_WAY: usize = 1 << 16;

/// Traces a run: hears what becomes of its documents and hands that to a thread that sends it to a collector.
///
/// Each document is one trace, told by the document and the run; its span is named `document`, and has one span for each
/// stay in a stage's hands below it, named as the stage. A document that is done again in the same run adds a second such
/// tree to its trace.
///
/// Nothing here waits: what finds the queue full, or comes after [`Exporter::finish`], is dropped and counted. Dropping an
/// exporter lets its thread send what is in the queue, if the process lives so long; `finish` waits for that.
pub struct Exporter {
    queue: mpsc::Sender<Span>,
    sampler: Sampler,
    run: Arc<OnceLock<String>>,
    under_way: Mutex<HashMap<Digest, Place>>,
    counts: Arc<Counts>,
    ending: CancellationToken,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("sent", &self.sent()).finish_non_exhaustive()
    }
}

impl Exporter {
    /// Starts the thread that sends.
    ///
    /// # Errors
    /// There can be no thread, no event loop on it, or no HTTP client.
    pub fn start(settings: Settings) -> std::io::Result<Self> {
        let (queue, spans) = mpsc::channel(QUEUE);
        let (ends, ended) = oneshot::channel();
        let (run, counts, ending) = (Arc::default(), Arc::<Counts>::default(), CancellationToken::new());
        let sampler = settings.sampler;
        let sender = Sender::new(settings, spans, (Arc::clone(&run), Arc::clone(&counts), ending.clone()))?;
        sender.start(ends)?;
        let ended = Mutex::new(Some(ended));
        Ok(Self { queue, sampler, run, under_way: Mutex::default(), counts, ending, ended })
    }

    /// Says which run it is, before its first document: traces of one document in two runs are two. The first call counts.
    pub fn begin(&self, run: &str) {
        let _ = self.run.set(run.to_owned());
    }

    /// What became of the spans so far.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.counts.sent()
    }

    /// Sends what is in the queue, for so long at most, and ends the thread; says what became of all spans. A collector that
    /// does not answer now is not asked again. What is left then counts as dropped; so does what comes after it.
    pub async fn finish(&self, within: Duration) -> Sent {
        self.ending.cancel();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            // Late or gone: either way the counts tell.
            let _ = tokio::time::timeout(within, ended).await;
        }
        self.sent().settled()
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Digest, Place>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the span of a document is that is under way or just begins; none where its trace is not kept.
    fn place_of(&self, document: Digest, ends: bool) -> Option<Place> {
        let mut under_way = self.under_way();
        let known = if ends { under_way.remove(&document) } else { under_way.get(&document).copied() };
        if known.is_some() {
            return known;
        }
        let run = self.run.get().map_or("", String::as_str);
        let digest = Digest::of(&[document.as_bytes(), run.as_bytes()]);
        let (mut trace, mut id) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&digest.as_bytes()[..16]);
        if !self.sampler.keeps(&trace) {
            return None;
        }
        let remembered = under_way.len() < UNDER_WAY;
        if remembered {
            id = span_id();
        } else {
            // One that the document's end comes to as well, without having been told.
            id.copy_from_slice(&digest.as_bytes()[16..24]);
        }
        let place = Place { trace, id, parent: None };
        if remembered && !ends {
            under_way.insert(document, place);
        }
        Some(place)
    }

    fn put(&self, span: Span) {
        self.counts.heard.fetch_add(1, Relaxed);
        if self.queue.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// A span's id: any but zero.
fn span_id() -> [u8; 8] {
    fastrand::u64(1..).to_be_bytes()
}

impl Witness for Exporter {
    fn visited(&self, visit: &Visit) {
        let Some(document) = self.place_of(visit.document, false) else { return };
        let place = Place { id: span_id(), parent: Some(document.id), ..document };
        let about = About::Stage { id: Arc::clone(&visit.stage), attempt: visit.attempt, failed: visit.failed.clone() };
        self.put(Span { place, began: visit.began, took: visit.took, about });
    }

    fn ended(&self, end: &DocumentEnd) {
        let Some(place) = self.place_of(end.document.id, true) else { return };
        let figure = |name: &str| end.result.as_ref().and_then(|result| result.get(name)).and_then(Value::as_u64);
        let ended = Ended {
            document: Arc::clone(&end.document),
            state: end.state,
            stage: end.stage.clone(),
            class: end.class.clone(),
            reason: end.reason.clone(),
            attempts: end.attempts,
            chunks: figure("total_chunks"),
            tokens: figure("token_count"),
        };
        self.put(Span { place, began: end.began, took: end.took, about: About::Document(Box::new(ended)) });
    }
}
