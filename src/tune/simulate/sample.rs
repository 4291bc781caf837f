//! What a simulation looks like at one moment: the same snapshot that a run publishes.

use docmill_api::ServiceReport;

use super::engine::Simulation;
use super::stage::{Doing, Stage};
use crate::monitor::{
    DocumentCounts, EdgeSnapshot, Hand, QueueSnapshot, RunState, ServiceTimes, Snapshot, StageSnapshot, VERSION,
};

/// Seconds between two snapshots.
const EVERY: f64 = 0.25;
/// The CPUs in use are a mean of so many seconds.
const CPUS_OVER: f64 = 2.0;

impl Simulation {
    /// Goes on for a quarter of a second and takes a snapshot. It is for ever: see [`Simulation::is_over`].
    pub fn step(&mut self) -> Snapshot {
        let until = self.now + EVERY;
        self.advance(until);
        self.snapshot()
    }

    /// How many seconds it has been running.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.now
    }

    /// Whether every document has come to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.documents.ended >= self.model.documents
    }

    /// Documents that have come to their end.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.documents.ended
    }

    /// What it looks like now. What is said of the last seconds is over the snapshots that were taken.
    pub fn snapshot(&mut self) -> Snapshot {
        for stage in self.waiting_sources.clone() {
            self.tell_wait(stage);
        }
        let documents = &self.documents;
        let counts = DocumentCounts {
            seen: documents.seen,
            done: documents.ended,
            unfinished: documents.seen - documents.ended,
            ..DocumentCounts::default()
        };
        let mut snapshot = Snapshot {
            version: VERSION,
            pipeline: self.model.name.clone(),
            seconds: self.now,
            state: if self.is_over() { RunState::Completed } else { RunState::Running },
            listed: documents.listed >= self.model.documents,
            documents: counts,
            bytes: documents.seen * self.model.bytes,
            memory_used: self.memory_used(),
            memory_budget: self.model.memory,
            events: self.events.iter().cloned().collect(),
            ..Snapshot::default()
        };
        let now = self.now;
        for stage in &mut self.stages {
            stage.counters.queue_sum += stage.queue.len() as f64;
            stage.counters.queue_samples += 1.0;
        }
        snapshot.stages = self.stages.iter().map(|stage| tell(stage, now, self.model.bytes)).collect();
        snapshot.edges = self.edges.iter().map(|edge| self.tell_edge(*edge)).collect();
        for (name, service) in &self.services {
            let report = ServiceReport {
                calls: service.calls,
                errors: service.errors.clone(),
                breaker: "ok".into(),
                in_flight: service.in_flight as u64,
                concurrency: service.limit as u64,
                requests_per_minute: service.per_minute(),
                ..ServiceReport::default()
            };
            snapshot.services.insert(name.clone(), report);
        }
        self.tell_host(&mut snapshot);
        self.window.fill_in(&mut snapshot);
        snapshot
    }

    fn tell_host(&mut self, snapshot: &mut Snapshot) {
        self.cpu_marks.push_back((self.now, self.cpu_seconds));
        while self.cpu_marks.len() > 2 && self.now - self.cpu_marks[0].0 > CPUS_OVER {
            self.cpu_marks.pop_front();
        }
        let (then, before) = self.cpu_marks[0];
        let host = &mut snapshot.host;
        host.cpus = self.model.cpus;
        host.cpu_seconds = self.cpu_seconds;
        if self.now > then {
            host.cpus_used = (self.cpu_seconds - before) / (self.now - then);
        }
    }

    fn tell_edge(&self, (from, to, sent, length): (usize, usize, u64, u64)) -> EdgeSnapshot {
        let reader = &self.stages[to];
        EdgeSnapshot {
            from: self.stages[from].model.id.clone(),
            to: reader.model.id.clone(),
            capacity: reader.model.queue as u64,
            length,
            sent,
            oldest_seconds: reader.queue.front().map_or(0.0, |(.., since)| self.now - since),
            ..EdgeSnapshot::default()
        }
    }
}

fn tell(stage: &Stage, now: f64, bytes: u64) -> StageSnapshot {
    let (model, of) = (&stage.model, &stage.counters);
    let role = match (stage.is_source(), stage.readers.is_empty()) {
        (true, _) => "source",
        (_, true) => "sink",
        _ => "stage",
    };
    let at_work = |doing: &Doing| !matches!(doing, Doing::Gone | Doing::Idle | Doing::Gathers);
    let mut hands: Vec<f64> = stage
        .workers
        .iter()
        .filter(|worker| !stage.is_source() && at_work(&worker.doing))
        .map(|worker| now - worker.in_hand_since)
        .collect();
    hands.sort_by(|a, b| b.total_cmp(a));
    let in_hand = hands.len();
    let hand = |seconds: &f64| Hand { document: "a document".into(), seconds: *seconds };
    let held_by = stage.held_by();
    StageSnapshot {
        id: model.id.clone(),
        tier: model.tier.clone(),
        role: role.into(),
        service: model.service.clone(),
        width: stage.width,
        workers_alive: stage.workers.iter().filter(|worker| !matches!(worker.doing, Doing::Gone)).count(),
        min: model.min,
        max: model.max,
        auto: model.auto,
        isolated: model.isolated,
        input: of.input,
        output: of.output,
        calls: of.calls,
        retries: of.retries,
        busy_seconds: of.busy,
        held_seconds: held_by.values().sum(),
        held_by,
        blocked_seconds: of.blocked,
        starved_seconds: of.starved,
        cpu_seconds: of.cpu,
        held_bytes: in_hand as u64 * bytes,
        service_ms: times(&of.buckets),
        service_buckets: of.buckets.clone(),
        queue: QueueSnapshot {
            capacity: if stage.is_source() { 0 } else { stage.capacity() as u64 },
            length: stage.queue.len() as u64,
            mean: of.queue_sum / of.queue_samples.max(1.0),
            max: of.queue_max,
            bytes: stage.queue.len() as u64 * bytes,
            oldest_seconds: stage.queue.front().map_or(0.0, |(.., since)| now - since),
        },
        in_hand,
        hands: hands.iter().take(4).map(hand).collect(),
        ..StageSnapshot::default()
    }
}

/// Percentiles, as exactly as powers of two tell them.
fn times(buckets: &[u64]) -> ServiceTimes {
    let all = buckets.iter().sum::<u64>() as f64;
    let at = |share: f64| {
        let mut seen = 0.0;
        let power = buckets.iter().position(|count| {
            seen += *count as f64;
            seen >= share * all
        });
        power.filter(|_| all > 0.0).map_or(0.0, |power| 1e-3 * 1.5 * 2_f64.powi(i32::try_from(power).unwrap_or(0)))
    };
    ServiceTimes { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1.0) }
}
