//! Intake: where documents enter. Asks a source for the next one when there is room, admits it, and hands it on.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use docmill_api::crash::crash_point;
use docmill_api::{Context, Digest, Document, Payload, Record, Reference, Source, SourceItem, StageError};
use futures::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::budget::Charge;
use super::delivery::{Admitted, Delivery, Token};
use super::door::Waits;
use super::edge::{Held, Outlet};
use super::gone::{Gone, Missing, Noted};
use super::memory::{AsBefore, Past, Verdict};
use super::origin::{Doorstop, Origin};
use super::retry::{Next, Patience};
use super::shared::{Shared, Turn};
use super::tier::cpu::message_of;
use crate::control::Pace;
use crate::ledger::State;
use crate::monitor::{Cause, Ended, RunCounters, StageCounters};
use crate::plan::StagePlan;

/// How many documents may be under way at once. More than two full batches of a sink, so that a batch of one-row
/// documents fills before its age is up; what each costs besides its content is about a kilobyte.
pub(crate) const IN_FLIGHT: usize = 16_384;

/// What an admitted document is charged for where its size is not known before it is read.
const UNKNOWN_SIZE: u64 = 64 << 10;

/// A source under way.
pub(crate) struct Intake {
    pub(crate) id: Arc<str>,
    pub(crate) plan: StagePlan,
    pub(crate) outlet: Outlet,
    pub(crate) counters: Arc<StageCounters>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) fingerprint: Digest,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) pace: Option<Arc<dyn Pace>>,
    pub(crate) origin: Arc<Origin>,
    /// Shared by all sources of a run.
    pub(crate) sequence: Arc<AtomicU64>,
    /// What it listed, where what it did not list is to be found.
    pub(crate) listed: Noted,
}

/// How many documents the ledger is asked after at once, where that many are listed without waiting: going to its thread
/// and back takes several times as long as the look-up of one.
const TOGETHER: usize = 128;

/// How many documents are accepted by one write of the ledger, where that many are listed and have a place and memory. What
/// is accepted is under way, whether or not the run is to close: no more than an edge of the default length gives room for.
const ACCEPTED_TOGETHER: usize = 16;

/// A document that was listed and is to be taken in. It is not accepted yet: a run that closes leaves it.
struct Waiting {
    document: Document,
    item: SourceItem,
    past: Past,
    /// It was accepted when it was handed in.
    accepted: Accepted,
    /// It keeps the intake open, which what is inside it comes in by.
    door: Doorstop,
}

/// Whether a document was accepted before the intake saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepted {
    No,
    Before,
    /// And taken back since.
    TakenBack,
}

/// A document that may be admitted: there is a place and memory for it.
struct Listed {
    admitted: Admitted,
    item: SourceItem,
    accepted: Accepted,
    charge: Charge,
    door: Doorstop,
}

/// A source, until its last item.
enum Listing<'a> {
    Open(&'a mut dyn Source),
    /// All was listed; what was listed before and is no longer there is still to be found.
    Listed(&'a mut dyn Source, Gone),
    Ended,
}

impl Intake {
    /// Lists until the source ends, the run closes, or the source fails for good.
    pub(crate) async fn run(self, mut source: Box<dyn Source>) {
        self.list(source.as_mut()).await;
        self.shared.listing.fetch_sub(1, Relaxed);
        self.outlet.close();
    }

    async fn list(&self, source: &mut dyn Source) {
        let mut turn = Turn::begin();
        let mut source = Listing::Open(source);
        let mut waiting = VecDeque::new();
        loop {
            turn.pass(Instant::now()).await;
            // What is listed but not yet accepted may be dropped.
            let listed = tokio::select! {
                biased;
                () = self.shared.closing.cancelled() => None,
                listed = self.listed(&mut source, &mut waiting) => listed,
            };
            let Some(first) = listed else { return };
            let group = self.with_others(first, &mut waiting);
            if self.take_in(group).await.is_none() {
                return;
            }
        }
    }

    /// A document and those behind it that can be admitted without waiting.
    fn with_others(&self, first: Listed, waiting: &mut VecDeque<Waiting>) -> Vec<Listed> {
        let mut group = vec![first];
        // Those that are given a pace come one by one.
        while self.pace.is_none()
            && group.len() < ACCEPTED_TOGETHER
            && let Some(next) = waiting.front()
            && let Ok(place) = Arc::clone(&self.places).try_acquire_owned()
            && let Some(charge) = self.shared.budget.try_reserve(self.admission(&next.document))
        {
            let sequence = self.sequence.fetch_add(1, Relaxed) + 1;
            group.extend(waiting.pop_front().map(|next| self.admitted(next, sequence, place, charge)));
        }
        group
    }

    /// Begins documents, accepts them and hands them on. `None` once no more can be taken in.
    async fn take_in(&self, group: Vec<Listed>) -> Option<()> {
        let mut begun = Vec::with_capacity(group.len());
        for Listed { admitted, item, accepted, charge, door } in group {
            let (document, gone) = (Arc::clone(&admitted.document), admitted.gone);
            let token = Delivery::begin(admitted, &self.shared.board);
            self.shared.under_way.began(&document.id, token.delivery());
            if gone {
                // Nothing is to be read: the settler has its rows deleted.
                token.delivery().hold_door(door);
                token.consumed();
            } else {
                let held = Held::new(charge, &token, self.admission(&document), Some(door));
                begun.push((document, item, accepted, token, held));
            }
        }
        let new = begun.iter().filter(|(_, _, accepted, ..)| *accepted == Accepted::No);
        self.accept(new.map(|(document, item, ..)| (document.id, item)).collect()).await?;
        for (document, _, accepted, token, held) in begun {
            if accepted == Accepted::TakenBack {
                token.delivery().take_back();
            }
            // What is admitted is handed on even while the run closes; only an abort leaves it.
            tokio::select! {
                biased;
                () = self.shared.board.abort.cancelled() => return None,
                admitted = self.admit(document, token, held) => admitted.ok()?,
            }
        }
        Some(())
    }

    /// The next document with its place and its memory, or `None` after the last.
    async fn listed(&self, source: &mut Listing<'_>, waiting: &mut VecDeque<Waiting>) -> Option<Listed> {
        // The sender lives as long as the run.
        let _ = self.shared.paused.subscribe().wait_for(|paused| !paused).await;
        let start = Instant::now();
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        self.counters.blocked(start.elapsed());
        while waiting.is_empty() {
            self.look_ahead(source, waiting).await?;
        }
        let next = waiting.pop_front()?;
        // Only now that there is a document: the end of a listing has no turn to wait for.
        if let Some(pace) = &self.pace {
            pace.turn().await;
        }
        let sequence = self.sequence.fetch_add(1, Relaxed) + 1;
        let start = Instant::now();
        let charge = self.shared.budget.reserve(self.plan.depth, sequence, self.admission(&next.document)).await;
        self.counters.held(Cause::Memory, start.elapsed());
        Some(self.admitted(next, sequence, place, charge))
    }

    fn admitted(&self, next: Waiting, sequence: u64, place: OwnedSemaphorePermit, charge: Charge) -> Listed {
        let Waiting { document, item, past, accepted, door } = next;
        let (document, origin) = (Arc::new(document), Arc::clone(&self.origin));
        let admitted = Admitted { sequence, document, origin, gone: item.gone, past, place };
        Listed { admitted, item, accepted, charge, door }
    }

    /// Lists the next documents, those that come without waiting together, and counts those that are as before. `None`
    /// after the last.
    async fn look_ahead(&self, source: &mut Listing<'_>, waiting: &mut VecDeque<Waiting>) -> Option<()> {
        let mut listed = Vec::new();
        let first = self.next_item(source).await?;
        self.enter(first, &mut listed);
        // A listing that has to wait, or has ended, is asked again by whoever has none left.
        while listed.len() < TOGETHER
            && let Some(Some(item)) = self.next_item(source).now_or_never()
        {
            self.enter(item, &mut listed);
        }
        self.take_accepted(&mut listed, waiting);
        let verdicts = self.verdicts(&listed).await?;
        for ((mut document, item), verdict) in listed.into_iter().zip(verdicts) {
            match verdict {
                Verdict::AsBefore(before) => {
                    self.shared.under_way.leave(&document.id);
                    self.count_as_before(&document, before);
                }
                Verdict::TakeIn(past, known) => {
                    document.known = known;
                    let (accepted, door) = (Accepted::No, self.origin.keep_open());
                    waiting.push_back(Waiting { document, item, past, accepted, door });
                }
            }
        }
        Some(())
    }

    /// Lets those wait that were accepted when they were handed in: the ledger was asked then.
    fn take_accepted(&self, listed: &mut Vec<(Document, SourceItem)>, waiting: &mut VecDeque<Waiting>) {
        for (mut document, item) in std::mem::take(listed) {
            // A deletion may come before what it deletes, which has to find its note of having been taken back.
            let waits = if item.gone { None } else { self.shared.accepted.take(&document.id) };
            match waits {
                Some(Waits { past, known, cancelled, .. }) => {
                    document.known = known;
                    let accepted = if cancelled { Accepted::TakenBack } else { Accepted::Before };
                    waiting.push_back(Waiting { document, item, past, accepted, door: self.origin.keep_open() });
                }
                None => listed.push((document, item)),
            }
        }
    }

    /// Accepts documents: from here on they are counted, and the ledger has them. `None` where it could not.
    async fn accept(&self, new: Vec<(Digest, &SourceItem)>) -> Option<()> {
        if new.is_empty() {
            return Some(());
        }
        let count = new.len() as u64;
        if let Some(memory) = self.shared.memory.get() {
            crash_point("ledger", "accepting");
            if let Err(error) = memory.accept(&self.id, new).await {
                self.shared.halt(&self.id, error);
                return None;
            }
            crash_point("ledger", "accepted");
        }
        self.shared.counters.tally(|tally| {
            tally.documents.seen += count;
            tally.documents.unfinished += count;
        });
        Some(())
    }

    /// Gives an item its identity, unless its document is under way: then it waits for its turn.
    fn enter(&self, item: SourceItem, listed: &mut Vec<(Document, SourceItem)>) {
        let document = Document::admit(item.clone(), self.fingerprint);
        if self.shared.prune {
            self.listed.note(document.id);
        }
        if let Some(item) = self.shared.under_way.enter(document.id, item, &self.origin) {
            listed.push((document, item));
        }
    }

    /// What is to be done with documents that were listed.
    async fn verdicts(&self, listed: &[(Document, SourceItem)]) -> Option<Vec<Verdict>> {
        let Some(memory) = self.shared.memory.get() else {
            return Some(listed.iter().map(|_| Verdict::TakeIn(Past::default(), None)).collect());
        };
        let asked: Vec<_> = listed.iter().map(|(document, item)| (document.id, item)).collect();
        match memory.look(&asked).await {
            Ok(verdicts) => Some(verdicts),
            Err(error) => {
                self.shared.halt(&self.id, error);
                None
            }
        }
    }

    /// Counts a document that ended before just as it is listed now, and is not read.
    fn count_as_before(&self, document: &Document, before: AsBefore) {
        let AsBefore { state, stage, reason, attempts } = before;
        let ended =
            |class: &str| Ended { document: document.uri.clone(), stage, class: class.to_owned(), reason, attempts };
        self.shared.counters.tally(|tally| {
            tally.documents.seen += 1;
            match state {
                State::Failed => {
                    tally.remembered += 1;
                    RunCounters::failed(tally, ended("rejected"));
                }
                State::Skipped => RunCounters::skipped(tally, ended("")),
                State::Done | State::Unfinished => tally.documents.unchanged += 1,
            }
        });
    }

    /// The next document: of those found inside others first, so that few of them wait; then what the source lists.
    /// `None` once the source has ended and nothing can be found any more.
    async fn next_item(&self, source: &mut Listing<'_>) -> Option<SourceItem> {
        loop {
            if let Some(item) = self.origin.next() {
                return Some(item);
            }
            match source {
                Listing::Open(open) => {
                    // A source loses nothing when its future is dropped: that is its contract.
                    tokio::select! {
                        biased;
                        () = self.origin.changed() => {}
                        item = self.next(&mut **open) => match item {
                            Some(item) => return Some(item),
                            None => *source = self.listed_all(std::mem::replace(source, Listing::Ended)),
                        },
                    }
                }
                // What is inside a container is known once that was opened.
                Listing::Listed(covering, gone) if self.origin.is_quiet() => {
                    let memory = self.shared.memory.get()?;
                    match gone.next(memory, &self.id, &self.listed).await {
                        Ok(Some(Missing { item, listed_by })) => {
                            if listed_by.is_none_or(|address| covering.covers(&address)) {
                                return Some(SourceItem { gone: true, ..item });
                            }
                        }
                        Ok(None) => *source = Listing::Ended,
                        Err(error) => {
                            self.shared.halt(&self.id, error);
                            return None;
                        }
                    }
                }
                Listing::Ended if self.origin.close_if_quiet() => return None,
                Listing::Listed(..) | Listing::Ended => self.origin.changed().await,
            }
        }
    }

    /// What follows a listing: the search for what is gone, where that is wanted and the listing was whole.
    fn listed_all<'a>(&self, source: Listing<'a>) -> Listing<'a> {
        match source {
            Listing::Open(source) if self.shared.prune && !self.shared.closing.is_cancelled() => {
                Listing::Listed(source, Gone::default())
            }
            _ => Listing::Ended,
        }
    }

    /// What a document is charged for before it is read. Half the budget at most: what is larger is refused by the stage
    /// that reads, or is an archive, of which only members are ever in memory.
    fn admission(&self, document: &Document) -> u64 {
        document.size.unwrap_or(UNKNOWN_SIZE).min(self.shared.budget.capacity() / 2)
    }

    async fn admit(&self, document: Arc<Document>, token: Token, held: Arc<Held>) -> Result<(), super::edge::Closed> {
        let record = Record { document, payload: Payload::Reference(Reference::default()) };
        let (sent, blocked) = self.outlet.send(record, &token, Some(held)).await?;
        self.counters.blocked(blocked);
        if sent == 0 {
            token.skipped(&self.id, "no stage accepts it".into());
        } else {
            self.counters.output.fetch_add(1, Relaxed);
            token.consumed();
        }
        Ok(())
    }

    /// The next item, tried again after transient errors; `None` after the last, and when the source fails for good.
    async fn next(&self, source: &mut dyn Source) -> Option<SourceItem> {
        let mut patience = Patience::new(&self.plan.retry);
        let limit = if source.waits() { Duration::MAX } else { self.plan.timeout };
        self.shared.waits.fetch_or(source.waits(), Relaxed);
        loop {
            let cx = Context::new(self.shared.closing.child_token(), patience.attempts());
            let start = Instant::now();
            // One that waits for what may be long in coming does not list meanwhile.
            let lists = (!source.waits()).then(|| self.counters.lists());
            let asked = AssertUnwindSafe(source.next(&cx)).catch_unwind();
            let answer = match tokio::time::timeout(limit, asked).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(panic)) => Err(StageError::fatal(format!("crashed: {}", message_of(panic.as_ref())))),
                Err(_) => {
                    self.counters.timeouts.fetch_add(1, Relaxed);
                    Err(StageError::transient("listing timed out"))
                }
            };
            drop(lists);
            self.counters.served(start.elapsed());
            match answer {
                Ok(item) => {
                    self.counters.input.fetch_add(u64::from(item.is_some()), Relaxed);
                    return item;
                }
                Err(error) => {
                    let Next::After(delay) = patience.after(&error) else {
                        self.counters.failed_with(&error.class.to_string());
                        self.shared.halt_listing(&self.id, error);
                        return None;
                    };
                    self.counters.retries.fetch_add(1, Relaxed);
                    tokio::time::sleep(delay).await;
                    self.counters.held(Cause::Retry, delay);
                }
            }
        }
    }
}
