//! Edges: bounded channels between two stages. The runtime knows an edge, not what carries it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use docmill_api::{PayloadKind, Record};
use futures::future::select_all;

use super::budget::Charge;
use super::delivery::Token;
use super::origin::Doorstop;
use crate::monitor::StageCounters;

/// A record on its way: with its share in the document's delivery and the memory it is charged for.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) record: Record,
    pub(crate) token: Token,
    /// Shared by the copies of one record: its content is in memory once.
    pub(crate) charge: Option<Arc<Held>>,
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
    takes: Vec<PayloadKind>,
    accept: Vec<String>,
    counters: Arc<StageCounters>,
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
    pub(crate) fn add(&mut self, inlet: &mut Inlet, capacity: usize, takes: &[PayloadKind], accept: &[String]) {
        let (sender, receiver) = async_channel::bounded(capacity);
        inlet.edges.push(receiver);
        inlet.capacity += capacity;
        self.targets.push(Target {
            sender: Sender::Local(sender),
            takes: takes.to_vec(),
            accept: accept.to_vec(),
            counters: Arc::clone(&inlet.counters),
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
        for target in self.targets.iter().filter(|target| target.accepts(&record)) {
            let envelope = Envelope { record: record.clone(), token: token.split(), charge: charge.clone() };
            let Sender::Local(sender) = &target.sender;
            if let Err(error) = sender.try_send(envelope) {
                let async_channel::TrySendError::Full(envelope) = error else { return Err(Closed) };
                let start = Instant::now();
                sender.send(envelope).await.map_err(|_| Closed)?;
                blocked += start.elapsed();
            }
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

/// All edges into a stage, taken in turn.
#[derive(Debug)]
pub(crate) struct Inlet {
    edges: Vec<async_channel::Receiver<Envelope>>,
    turn: AtomicUsize,
    capacity: usize,
    counters: Arc<StageCounters>,
}

impl Inlet {
    pub(crate) fn new(counters: Arc<StageCounters>) -> Self {
        Self { edges: Vec::new(), turn: AtomicUsize::new(0), capacity: 0, counters }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn counters(&self) -> Arc<StageCounters> {
        Arc::clone(&self.counters)
    }

    pub(crate) fn len(&self) -> usize {
        self.edges.iter().map(async_channel::Receiver::len).sum()
    }

    /// The next record, or `None` once every edge is closed and empty. Dropping the future loses nothing.
    pub(crate) async fn receive(&self) -> Option<Envelope> {
        if let [edge] = self.edges.as_slice() {
            return edge.recv().await.ok();
        }
        loop {
            let mut open = Vec::with_capacity(self.edges.len());
            match self.poll_edges(&mut open) {
                Some(envelope) => return Some(envelope),
                None if open.is_empty() => return None,
                None => {}
            }
            // One closes or one has a record: an error only means that the others have to be asked again.
            if let (Ok(envelope), ..) = select_all(open.into_iter().map(|edge| Box::pin(edge.recv()))).await {
                return Some(envelope);
            }
        }
    }

    /// Whether no further record comes.
    pub(crate) fn is_drained(&self) -> bool {
        self.edges.iter().all(|edge| edge.is_closed() && edge.is_empty())
    }

    /// What is there now, without waiting.
    pub(crate) fn try_receive(&self) -> Option<Envelope> {
        self.poll_edges(&mut Vec::new())
    }

    fn poll_edges<'a>(&'a self, open: &mut Vec<&'a async_channel::Receiver<Envelope>>) -> Option<Envelope> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.edges.len() {
            let edge = &self.edges[(first + step) % self.edges.len()];
            match edge.try_recv() {
                Ok(envelope) => return Some(envelope),
                Err(async_channel::TryRecvError::Empty) => open.push(edge),
                Err(async_channel::TryRecvError::Closed) => {}
            }
        }
        None
    }

    /// Refuses what is still to come and drops what waits: the run is aborted.
    pub(crate) fn abort(&self) {
        for edge in &self.edges {
            edge.close();
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
