//! Edges: bounded channels between two stages. The runtime knows an edge, not what carries it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use docmill_api::{PayloadKind, Record};
use futures::future::select_all;

use super::budget::Charge;
use super::delivery::Token;
use super::origin::Doorstop;
use super::room::Room;
use crate::monitor::{EdgeSnapshot, QueueSnapshot, StageCounters};
use crate::plan::StagePlan;

/// A record on its way: with its share in the document's delivery and the memory it is charged for.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) record: Record,
    pub(crate) token: Token,
    /// Shared by the copies of one record: its content is in memory once.
    pub(crate) charge: Option<Arc<Held>>,
    /// What it adds to where it is now: an edge, or a stage that has it in hand.
    weight: Weight,
}

/// A record's bytes, counted where the record is. Copies are counted each where it is, though they share their content.
#[derive(Debug)]
struct Weight {
    bytes: u64,
    at: Arc<AtomicU64>,
}

impl Weight {
    fn new(bytes: u64, at: &Arc<AtomicU64>) -> Self {
        at.fetch_add(bytes, Ordering::Relaxed);
        Self { bytes, at: Arc::clone(at) }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.at.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A charge of the budget, noted with the document that holds it.
#[derive(Debug)]
pub(crate) struct Held {
    _charge: Charge,
    delivery: Arc<super::delivery::Delivery>,
    bytes: u64,
    /// Of a reference: whoever holds it may find further documents.
    _door: Option<Doorstop>,
}

impl Held {
    pub(crate) fn new(charge: Charge, token: &Token, bytes: u64, door: Option<Doorstop>) -> Arc<Self> {
        let delivery = Arc::clone(token.delivery());
        delivery.holds(bytes);
        Arc::new(Self { _charge: charge, delivery, bytes, _door: door })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.delivery.releases(self.bytes);
    }
}

/// What carries an edge's records.
#[derive(Clone, Debug)]
enum Sender {
    /// A channel of this process.
    Local(async_channel::Sender<Envelope>),
}

/// The sending end of an edge, with what its consumer accepts.
#[derive(Debug)]
pub(crate) struct Target {
    sender: Sender,
    room: Arc<Room>,
    takes: Vec<PayloadKind>,
    accept: Vec<String>,
    counters: Arc<StageCounters>,
    meter: Arc<Meter>,
}

impl Target {
    fn accepts(&self, record: &Record) -> bool {
        self.takes.contains(&record.payload.kind())
            && (self.accept.is_empty() || {
                let media_type = record.document.media_type.as_deref().unwrap_or("application/octet-stream");
                self.accept.iter().any(|pattern| matches(pattern, media_type))
            })
    }
}

/// Whether a media type fits a pattern such as `image/*`, `*` or `text/html`.
fn matches(pattern: &str, media_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => media_type.starts_with(prefix),
        None => media_type == pattern,
    }
}

/// All edges out of a stage.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    targets: Vec<Target>,
}

/// The run was aborted while a record waited for room.
#[derive(Debug)]
pub(crate) struct Closed;

impl Outlet {
    /// Opens an edge into `inlet`, from the stage whose outlet this is.
    pub(crate) fn add(&mut self, from: &str, inlet: &mut Inlet, to: &StagePlan) {
        let (sender, receiver) = async_channel::bounded(to.queue);
        let (meter, room) = (Arc::new(Meter::new(from, to)), Arc::new(Room::new(to.queue)));
        let hand = Arc::clone(&inlet.counters.held_bytes);
        inlet.edges.push(Edge { receiver, room: Arc::clone(&room), meter: Arc::clone(&meter), hand });
        inlet.capacity += to.queue;
        self.targets.push(Target {
            sender: Sender::Local(sender),
            room,
            takes: to.takes.clone(),
            accept: to.accept.clone(),
            counters: Arc::clone(&inlet.counters),
            meter,
        });
    }

    /// Hands a record to every consumer that accepts it, waiting for room; says how many there were and how long the
    /// wait took.
    pub(crate) async fn send(
        &self,
        record: Record,
        token: &Token,
        charge: Option<Arc<Held>>,
    ) -> Result<(usize, Duration), Closed> {
        let mut blocked = Duration::ZERO;
        let mut sent = 0;
        let bytes = charge.as_ref().map_or(0, |held| held.bytes);
        for target in self.targets.iter().filter(|target| target.accepts(&record)) {
            let weight = Weight::new(bytes, &target.meter.bytes);
            let envelope = Envelope { record: record.clone(), token: token.split(), charge: charge.clone(), weight };
            let Sender::Local(sender) = &target.sender;
            blocked += target.room.take().await.ok_or(Closed)?;
            sender.send(envelope).await.map_err(|_| Closed)?;
            target.meter.sent.fetch_add(1, Ordering::Relaxed);
            target.counters.queue_reached(sender.len());
            sent += 1;
        }
        Ok((sent, blocked))
    }

    /// Says that no further record comes.
    pub(crate) fn close(&self) {
        for target in &self.targets {
            let Sender::Local(sender) = &target.sender;
            sender.close();
        }
    }
}

/// What is told of an edge.
#[derive(Debug)]
struct Meter {
    from: String,
    to: String,
    capacity: usize,
    bytes: Arc<AtomicU64>,
    sent: AtomicU64,
    received: AtomicU64,
    /// How many had been sent at which moment, as far as those have not all been received: as long as the edge holds
    /// records at most.
    arrivals: Mutex<VecDeque<(u64, Instant)>>,
}

impl Meter {
    fn new(from: &str, to: &StagePlan) -> Self {
        Self {
            from: from.to_owned(),
            to: to.id.clone(),
            capacity: to.queue,
            bytes: Arc::default(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            arrivals: Mutex::default(),
        }
    }

    /// Notes what has arrived since it was looked last.
    fn sample(&self) {
        let sent = self.sent.load(Ordering::Relaxed);
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_received(&mut arrivals);
        if sent > self.received.load(Ordering::Relaxed) && arrivals.back().is_none_or(|(last, _)| *last < sent) {
            arrivals.push_back((sent, Instant::now()));
        }
    }

    fn forget_received(&self, arrivals: &mut VecDeque<(u64, Instant)>) {
        let received = self.received.load(Ordering::Relaxed);
        while arrivals.front().is_some_and(|(sent, _)| *sent <= received) {
            arrivals.pop_front();
        }
    }

    /// How long the oldest record has waited.
    fn oldest(&self) -> Duration {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget_received(&mut arrivals);
        arrivals.front().map(|(_, at)| at.elapsed()).unwrap_or_default()
    }
}

/// The receiving end of an edge.
#[derive(Debug)]
struct Edge {
    receiver: async_channel::Receiver<Envelope>,
    room: Arc<Room>,
    meter: Arc<Meter>,
    /// Bytes in the hands of the stage that it goes into.
    hand: Arc<AtomicU64>,
}

impl Edge {
    fn took(&self, mut envelope: Envelope) -> Envelope {
        self.meter.received.fetch_add(1, Ordering::Relaxed);
        self.room.give_back();
        envelope.weight = Weight::new(envelope.weight.bytes, &self.hand);
        envelope
    }

    async fn receive(&self) -> Option<Envelope> {
        self.receiver.recv().await.ok().map(|envelope| self.took(envelope))
    }
}

/// All edges into a stage, taken in turn.
#[derive(Debug)]
pub(crate) struct Inlet {
    edges: Vec<Edge>,
    turn: AtomicUsize,
    capacity: usize,
    counters: Arc<StageCounters>,
}

impl Inlet {
    pub(crate) fn new(counters: Arc<StageCounters>) -> Self {
        Self { edges: Vec::new(), turn: AtomicUsize::new(0), capacity: 0, counters }
    }

    pub(crate) fn counters(&self) -> Arc<StageCounters> {
        Arc::clone(&self.counters)
    }

    /// What is told of each edge.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = EdgeSnapshot> + '_ {
        self.edges.iter().map(|Edge { receiver, meter, .. }| EdgeSnapshot {
            from: meter.from.clone(),
            to: meter.to.clone(),
            capacity: meter.capacity as u64,
            length: receiver.len() as u64,
            bytes: meter.bytes.load(Ordering::Relaxed),
            sent: meter.sent.load(Ordering::Relaxed),
            oldest_seconds: meter.oldest().as_secs_f64(),
        })
    }

    /// What is told of all edges together; how full they were is the counters' part.
    pub(crate) fn queue(&self) -> QueueSnapshot {
        self.snapshots().fold(QueueSnapshot::default(), |all, edge| QueueSnapshot {
            capacity: all.capacity + edge.capacity,
            length: all.length + edge.length,
            bytes: all.bytes + edge.bytes,
            oldest_seconds: all.oldest_seconds.max(edge.oldest_seconds),
            ..all
        })
    }

    /// Notes how much is in the edges, at a steady rate.
    pub(crate) fn sample(&self) {
        self.counters.queue_sample(self.edges.iter().map(|edge| edge.receiver.len()).sum());
        for edge in &self.edges {
            edge.meter.sample();
        }
    }

    /// The next record, or `None` once every edge is closed and empty. Dropping the future loses nothing.
    pub(crate) async fn receive(&self) -> Option<Envelope> {
        if let [edge] = self.edges.as_slice() {
            return edge.receive().await;
        }
        loop {
            let mut open = Vec::with_capacity(self.edges.len());
            match self.poll_edges(&mut open) {
                Some(envelope) => return Some(envelope),
                None if open.is_empty() => return None,
                None => {}
            }
            // One closes or one has a record: nothing only means that the others have to be asked again.
            if let (Some(envelope), ..) = select_all(open.into_iter().map(|edge| Box::pin(edge.receive()))).await {
                return Some(envelope);
            }
        }
    }

    /// Whether no further record comes.
    pub(crate) fn is_drained(&self) -> bool {
        self.edges.iter().all(|edge| edge.receiver.is_closed() && edge.receiver.is_empty())
    }

    /// What is there now, without waiting.
    pub(crate) fn try_receive(&self) -> Option<Envelope> {
        self.poll_edges(&mut Vec::new())
    }

    fn poll_edges<'a>(&'a self, open: &mut Vec<&'a Edge>) -> Option<Envelope> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.edges.len() {
            let edge = &self.edges[(first + step) % self.edges.len()];
            match edge.receiver.try_recv() {
                Ok(envelope) => return Some(edge.took(envelope)),
                Err(async_channel::TryRecvError::Empty) => open.push(edge),
                Err(async_channel::TryRecvError::Closed) => {}
            }
        }
        None
    }

    /// Refuses what is still to come and drops what waits: the run is aborted.
    pub(crate) fn abort(&self) {
        for edge in &self.edges {
            edge.receiver.close();
            edge.room.close();
        }
        while self.try_receive().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn media_type_patterns() {
        assert!(matches("image/*", "image/png"));
        assert!(matches("*", "text/plain"));
        assert!(matches("text/html", "text/html"));
        assert!(!matches("image/*", "text/plain"));
        assert!(!matches("text/html", "text/htm"));
    }
}
