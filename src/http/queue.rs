//! The queue in front of the pipeline: so many documents wait, and whoever brings one more is told when to come again.
//!
//! Places and turns are shared fairly between those who bring documents (a key, and a session where the request names one).
//! Who has more than a fair share of a full queue is sent away at once; who has less waits a moment for the next place that
//! becomes free. And the pipeline takes from each in turn, so that one user's thousand files are not all before another's
//! one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docmill_api::{Feed, SourceItem, async_trait};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::keys::InFlight;

/// How long one who has less than a fair share waits for a place.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many wait for a place at once.
const WAITERS: usize = 64;
/// The drain rate is that of the last so many documents, or of the last so many seconds.
const DRAINED: usize = 64;
const LATELY: Duration = Duration::from_secs(30);
/// When to come again, where it is not known how fast the queue drains.
const UNKNOWN: Duration = Duration::from_secs(5);
/// The longest that anybody is told to wait: by then much may have changed.
const LONGEST: Duration = Duration::from_secs(120);

/// The documents that wait for the pipeline.
#[derive(Debug)]
pub struct Queue {
    capacity: usize,
    lines: Mutex<Lines>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Lines {
    /// One line for each who brings documents, in the order in which they have their turn.
    shares: VecDeque<(String, VecDeque<Waiting>)>,
    /// Before all others and beyond the capacity: what an earlier process accepted, and what is to be deleted.
    first: VecDeque<SourceItem>,
    /// How many wait in all lines.
    length: usize,
    /// Places that are given to documents which are not here yet, by who brings them.
    promised: Vec<String>,
    wait: VecDeque<(String, oneshot::Sender<()>)>,
    /// When documents were taken, the last at the end.
    taken: VecDeque<Instant>,
    refused: u64,
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    item: SourceItem,
    since: Instant,
    _in_flight: InFlight,
}

/// There is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// Now; there may be one after so long.
    Full(Duration),
    /// The service takes nothing in any more.
    Closed,
}

/// The queue at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct QueueView {
    pub(crate) length: usize,
    pub(crate) capacity: usize,
    pub(crate) oldest: Duration,
    /// Documents a second.
    pub(crate) drain_rate: f64,
    pub(crate) retry_after: Duration,
    pub(crate) refused: u64,
    pub(crate) closed: bool,
}

/// A place for one document, kept until that is here or given up.
#[derive(Debug)]
pub(crate) struct Place {
    queue: Arc<Queue>,
    share: Option<String>,
}

impl Queue {
    /// A queue for so many, which begins with what an earlier process accepted.
    #[must_use]
    pub fn new(capacity: usize, left: Vec<SourceItem>) -> Arc<Self> {
        let lines = Lines { first: left.into(), ..Lines::default() };
        Arc::new(Self { capacity, lines: Mutex::new(lines), arrived: Notify::new() })
    }

    /// A place for a document that `share` brings.
    pub(crate) async fn place(self: &Arc<Self>, share: &str) -> Result<Place, NoPlace> {
        let waits = {
            let mut lines = self.lines();
            if lines.closed {
                return Err(NoPlace::Closed);
            }
            let occupied = lines.length + lines.promised.len();
            if occupied < self.capacity && lines.wait.is_empty() {
                lines.promised.push(share.to_owned());
                return Ok(self.promised(share));
            }
            if lines.has(share) >= self.fair(&lines, share) || lines.wait.len() >= WAITERS {
                return Err(self.full(&mut lines));
            }
            let (told, waits) = oneshot::channel();
            lines.wait.push_back((share.to_owned(), told));
            waits
        };
        match tokio::time::timeout(PATIENCE, waits).await {
            // Whoever told it has promised the place.
            Ok(Ok(())) => Ok(self.promised(share)),
            _ => {
                let mut lines = self.lines();
                lines.wait.retain(|(_, told)| !told.is_closed());
                Err(if lines.closed { NoPlace::Closed } else { self.full(&mut lines) })
            }
        }
    }

    /// What there is a fair number of places for one who brings documents: as many as for any other who does now.
    fn fair(&self, lines: &Lines, share: &str) -> usize {
        let mut names: Vec<&str> = lines.shares.iter().map(|(name, _)| name.as_str()).collect();
        names.extend(lines.promised.iter().map(String::as_str));
        names.push(share);
        names.sort_unstable();
        names.dedup();
        (self.capacity / names.len()).max(1)
    }

    fn full(&self, lines: &mut Lines) -> NoPlace {
        lines.refused += 1;
        NoPlace::Full(self.retry_after(lines))
    }

    fn promised(self: &Arc<Self>, share: &str) -> Place {
        Place { queue: Arc::clone(self), share: Some(share.to_owned()) }
    }

    /// How long until there is a place, by how fast documents were taken lately: half the queue, so that those who are
    /// told the same do not all come to a full one again.
    fn retry_after(&self, lines: &Lines) -> Duration {
        let rate = lines.drain_rate(Instant::now());
        if rate <= 0.0 {
            return UNKNOWN;
        }
        #[expect(clippy::cast_precision_loss, reason = "a time is told, not reckoned with")]
        let ahead = (self.capacity as f64 / 2.0).max(1.0);
        Duration::from_secs_f64((ahead / rate).clamp(1.0, LONGEST.as_secs_f64()).ceil())
    }

    /// Puts something before all others: it is known to be bounded.
    pub(crate) fn first(&self, item: SourceItem) {
        let mut lines = self.lines();
        if !lines.first.contains(&item) {
            lines.first.push_back(item);
        }
        drop(lines);
        self.arrived.notify_one();
    }

    /// Gives no place any more; what waits is still taken.
    pub fn close(&self) {
        let mut lines = self.lines();
        lines.closed = true;
        lines.wait.clear();
    }

    pub(crate) fn view(&self) -> QueueView {
        let lines = self.lines();
        let now = Instant::now();
        let oldest = lines.shares.iter().filter_map(|(_, line)| line.front()).map(|first| first.since).min();
        QueueView {
            length: lines.length + lines.first.len(),
            capacity: self.capacity,
            oldest: oldest.map_or(Duration::ZERO, |since| now.duration_since(since)),
            drain_rate: lines.drain_rate(now),
            retry_after: self.retry_after(&lines),
            refused: lines.refused,
            closed: lines.closed,
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn has(&self, share: &str) -> usize {
        let waiting = self.shares.iter().find(|(name, _)| name == share).map_or(0, |(_, line)| line.len());
        let wanting = self.wait.iter().filter(|(name, _)| name == share).count();
        waiting + wanting + self.promised.iter().filter(|name| *name == share).count()
    }

    /// Takes the next: from each who brings documents in turn.
    fn take(&mut self) -> Option<SourceItem> {
        if let Some(item) = self.first.pop_front() {
            return Some(item);
        }
        let (name, mut line) = self.shares.pop_front()?;
        let taken = line.pop_front()?;
        if !line.is_empty() {
            self.shares.push_back((name, line));
        }
        self.length -= 1;
        self.taken.push_back(Instant::now());
        if self.taken.len() > DRAINED {
            self.taken.pop_front();
        }
        self.invite();
        Some(taken.item)
    }

    /// Promises a place that became free to the one who waits and has fewest.
    fn invite(&mut self) {
        self.wait.retain(|(_, told)| !told.is_closed());
        while !self.wait.is_empty() {
            let fewest = (0..self.wait.len()).min_by_key(|at| self.has(&self.wait[*at].0));
            let Some((share, told)) = fewest.and_then(|at| self.wait.remove(at)) else { return };
            // Who has gone since leaves the place to the next.
            if told.send(()).is_ok() {
                self.promised.push(share);
                return;
            }
        }
    }

    fn drain_rate(&self, now: Instant) -> f64 {
        let lately = self.taken.iter().filter(|at| now.duration_since(**at) < LATELY);
        let (count, first) = lately.fold((0_u32, None), |(count, first), at| (count + 1, first.or(Some(*at))));
        let span = first.map_or(Duration::ZERO, |first: Instant| now.duration_since(first));
        if count < 2 || span.is_zero() { 0.0 } else { f64::from(count) / span.as_secs_f64().max(0.001) }
    }
}

impl Place {
    /// Puts the document here, into the line of who brings it.
    pub(crate) fn fill(mut self, item: SourceItem, in_flight: InFlight) {
        let Some(share) = self.share.take() else { return };
        let mut lines = self.queue.lines();
        lines.give_up(&share);
        let waiting = Waiting { item, since: Instant::now(), _in_flight: in_flight };
        match lines.shares.iter_mut().find(|(name, _)| *name == share) {
            Some((_, line)) => line.push_back(waiting),
            None => lines.shares.push_back((share, VecDeque::from([waiting]))),
        }
        lines.length += 1;
        drop(lines);
        self.queue.arrived.notify_one();
    }
}

impl Lines {
    fn give_up(&mut self, share: &str) {
        if let Some(at) = self.promised.iter().position(|name| name == share) {
            self.promised.swap_remove(at);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(share) = self.share.take() {
            let mut lines = self.queue.lines();
            lines.give_up(&share);
            lines.invite();
        }
    }
}

#[async_trait]
impl Feed for Queue {
    async fn next(&self) -> SourceItem {
        loop {
            // Before the look: what arrives after it wakes this.
            let arrived = self.arrived.notified();
            if let Some(item) = self.lines().take() {
                return item;
            }
            arrived.await;
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
