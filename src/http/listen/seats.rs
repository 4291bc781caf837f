//! Who sits where: how many connections there are, which of them ask nothing, and which of those goes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docmill_api::CancellationToken;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Limits;

/// A spare seat is given up sooner than another, by this factor: whoever asks for health has asked by then.
const SPARE_HURRY: u32 = 16;

/// How many may be on their way out of each row at once. They hold their descriptors until they have gone, so somebody who
/// connects faster than others can be closed must not drive their number up.
pub(super) const LEAVING: usize = 16;

/// Counts connections, for metrics.
#[derive(Debug, Default)]
pub struct Connections {
    now: AtomicUsize,
    most: AtomicUsize,
    accepted: AtomicU64,
    refused: AtomicU64,
    displaced: AtomicU64,
    short: AtomicU64,
}

impl Connections {
    /// Connections that are open now.
    pub fn now(&self) -> usize {
        self.now.load(Relaxed)
    }

    /// The most that were open at once.
    pub fn most(&self) -> usize {
        self.most.load(Relaxed)
    }

    /// Connections that were ever accepted.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Requests that were answered `503` because there were too many connections.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Connections that asked nothing and were closed for others.
    pub fn displaced(&self) -> u64 {
        self.displaced.load(Relaxed)
    }

    /// How often the machine had no descriptor or no memory for one more.
    pub fn short(&self) -> u64 {
        self.short.load(Relaxed)
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    fn count_accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.most.fetch_max(now, Relaxed);
    }
}

/// What a connection may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything.
    Full,
    /// Health; with all else it is to come again.
    Spare,
}

/// The seats of one kind.
struct Row {
    seats: usize,
    taken: usize,
    leaving: usize,
    grace: Duration,
    /// Who asks nothing: since when, and how to tell them to go. Numbers rise, so the first is idle for longest.
    idle: BTreeMap<u64, (Instant, CancellationToken)>,
}

impl Row {
    /// Takes a seat that is free, or that of who was idle for longest. Otherwise it says when to ask again.
    fn take(&mut self, now: Instant) -> Result<Option<CancellationToken>, Instant> {
        if self.taken < self.seats {
            self.taken += 1;
            return Ok(None);
        }
        match self.idle.first_entry() {
            // Who goes says so.
            _ if self.leaving >= LEAVING => Err(now + self.grace),
            // The seat changes hands here: who leaves does not give it back.
            Some(first) if first.get().0 + self.grace <= now => {
                self.leaving += 1;
                Ok(Some(first.remove().1))
            }
            Some(first) => Err(first.get().0 + self.grace),
            None => Err(now + self.grace),
        }
    }
}

struct Rows {
    next: u64,
    full: Row,
    spare: Row,
}

impl Rows {
    fn of(&mut self, kind: Kind) -> &mut Row {
        match kind {
            Kind::Full => &mut self.full,
            Kind::Spare => &mut self.spare,
        }
    }
}

/// All seats of a listener.
pub(super) struct Seats {
    rows: Mutex<Rows>,
    freed: Notify,
    counts: Arc<Connections>,
}

impl Seats {
    pub(super) fn new(limits: &Limits, counts: Arc<Connections>) -> Self {
        let row = |seats, grace| Row { seats, taken: 0, leaving: 0, grace, idle: BTreeMap::new() };
        let rows = Rows {
            next: 0,
            full: row(limits.connections, limits.grace),
            spare: row(limits.spare, limits.grace / SPARE_HURRY),
        };
        Self { rows: Mutex::new(rows), freed: Notify::new(), counts }
    }

    /// The counters of this listener.
    pub(super) fn counts(&self) -> &Connections {
        &self.counts
    }

    /// A panic while the rows were held is none of the other connections' concern: every change of them is one step.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a seat. Only the accept loop asks, so nobody can be passed over.
    pub(super) async fn take(self: &Arc<Self>) -> Arc<Seat> {
        loop {
            // It is kept by `Notify` when a seat comes free between the look and the wait.
            let freed = self.freed.notified();
            match self.try_take() {
                Ok(seat) => return seat,
                Err(again) => {
                    let _ = tokio::time::timeout_at(again, freed).await;
                }
            }
        }
    }

    fn try_take(self: &Arc<Self>) -> Result<Arc<Seat>, Instant> {
        let now = Instant::now();
        let mut rows = self.rows();
        let (kind, displaced) = match rows.full.take(now) {
            Ok(displaced) => (Kind::Full, displaced),
            Err(full) => match rows.spare.take(now) {
                Ok(displaced) => (Kind::Spare, displaced),
                Err(spare) => return Err(full.min(spare)),
            },
        };
        drop(rows);
        if let Some(displaced) = displaced {
            self.counts.displaced.fetch_add(1, Relaxed);
            displaced.cancel();
        }
        self.counts.count_accepted();
        let seat = Arc::new(Seat {
            seats: Arc::clone(self),
            kind,
            turn: Mutex::new(None),
            leave: CancellationToken::new(),
            unread: AtomicBool::new(false),
            unanswered: AtomicBool::new(false),
        });
        seat.is_idle();
        Ok(seat)
    }

    /// Has who is idle for longest leave, with no grace, and its seat with it.
    pub(super) fn short_of_descriptors(&self) {
        self.counts.short.fetch_add(1, Relaxed);
        let mut rows = self.rows();
        for kind in [Kind::Spare, Kind::Full] {
            let row = rows.of(kind);
            if let Some((_, (_, leave))) = row.idle.pop_first() {
                row.taken = row.taken.saturating_sub(1);
                row.leaving += 1;
                self.counts.displaced.fetch_add(1, Relaxed);
                leave.cancel();
                return;
            }
        }
    }
}

/// The seat of one connection. It is idle until a request has come, and between requests.
pub(super) struct Seat {
    seats: Arc<Seats>,
    kind: Kind,
    turn: Mutex<Option<u64>>,
    leave: CancellationToken,
    /// A body was not read to its end, in whatever request.
    unread: AtomicBool,
    /// Bytes have come since the last answer was given away.
    unanswered: AtomicBool,
}

impl Seat {
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The counters of the listener.
    pub(super) fn counts(&self) -> &Connections {
        self.seats.counts()
    }

    /// Cancelled when the seat has gone to another: the connection is to end at once.
    pub(super) fn leave(&self) -> &CancellationToken {
        &self.leave
    }

    /// Says that something of a request's body was never read.
    pub(super) fn leaves_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Whether something of a request's body was never read.
    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }

    /// Says that bytes have come.
    pub(super) fn hears(&self) {
        self.unanswered.store(true, Relaxed);
    }

    /// Whether the peer may be sending still: a body that nobody read, or what was never a request.
    pub(super) fn may_be_sent_more(&self) -> bool {
        self.unread.load(Relaxed) || self.unanswered.load(Relaxed)
    }

    /// Says that an answer is given away, or given up.
    pub(super) fn has_answered(&self) {
        self.unanswered.store(false, Relaxed);
        self.is_idle();
    }

    fn turn(&self) -> MutexGuard<'_, Option<u64>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is asked: from now on the seat may go to another.
    pub(super) fn is_idle(&self) {
        let mut turn = self.turn();
        let mut rows = self.seats.rows();
        if turn.is_some() || self.leave.is_cancelled() {
            return;
        }
        let number = rows.next;
        rows.next += 1;
        rows.of(self.kind).idle.insert(number, (Instant::now(), self.leave.clone()));
        *turn = Some(number);
    }

    /// Something is asked or still under way: the seat is kept.
    pub(super) fn is_busy(&self) {
        let mut turn = self.turn();
        let mut rows = self.seats.rows();
        if let Some(number) = *turn
            && rows.of(self.kind).idle.remove(&number).is_some()
        {
            // Otherwise it has gone to another already: the number stays, and with it that nothing is to be given back.
            *turn = None;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let turn = *self.turn();
        let mut rows = self.seats.rows();
        let row = rows.of(self.kind);
        if turn.is_none_or(|number| row.idle.remove(&number).is_some()) {
            row.taken = row.taken.saturating_sub(1);
        } else {
            row.leaving = row.leaving.saturating_sub(1);
        }
        drop(rows);
        self.seats.counts.now.fetch_sub(1, Relaxed);
        self.seats.freed.notify_one();
    }
}
