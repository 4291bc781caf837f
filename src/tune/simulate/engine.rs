//! What happens, one event after another: workers take records, wait for what is granted, work, hand on.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use fastrand::Rng;

use super::model::{Model, ModelError};
use super::service::Service;
use super::stage::{Doing, Record, Stage, Worker};
use crate::monitor::{Event, EventKind, Window};

/// A pipeline under way.
#[derive(Debug)]
pub struct Simulation {
    pub(super) model: Model,
    pub(super) now: f64,
    pub(super) random: Rng,
    agenda: BinaryHeap<Reverse<Due>>,
    pub(super) numbers: u64,
    pub(super) stages: Vec<Stage>,
    /// From, to, records that went into it, records in it.
    pub(super) edges: Vec<(usize, usize, u64, u64)>,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) permits: usize,
    pub(super) at_the_gate: BTreeMap<(Reverse<usize>, u64), (usize, usize)>,
    /// CPUs that work asks for, and the CPU time so far.
    pub(super) load: f64,
    pub(super) cpu_seconds: f64,
    pub(super) load_since: f64,
    pub(super) documents: Documents,
    /// Sources that wait for a place or for memory.
    pub(super) waiting_sources: VecDeque<usize>,
    pub(super) events: VecDeque<Event>,
    pub(super) event_number: u64,
    pub(super) window: Window,
    pub(super) cpu_marks: VecDeque<(f64, f64)>,
}

/// The documents of a run.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// How many records of each document in flight there are; a place is used again.
    pub(super) records: Vec<usize>,
    pub(super) free: Vec<usize>,
    pub(super) listed: u64,
    pub(super) seen: u64,
    pub(super) ended: u64,
}

/// What is to happen, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Due {
    at: f64,
    number: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    /// A worker's call ends.
    Ends(usize, usize),
    /// A batch has waited long enough.
    Gathered(usize, usize, u64),
    /// A worker asks its service again.
    Asks(usize, usize),
}

impl Eq for Due {}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.total_cmp(&other.at).then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Simulation {
    /// A pipeline at its start.
    ///
    /// # Errors
    /// The model makes no sense.
    pub fn new(model: &Model, seed: u64) -> Result<Self, ModelError> {
        model.check()?;
        let mut stages: Vec<Stage> = model.stages.iter().cloned().map(Stage::new).collect();
        let mut edges = Vec::new();
        for to in 0..stages.len() {
            for input in stages[to].model.inputs.clone() {
                let Some(from) = stages[..to].iter().position(|stage| stage.model.id == input) else { continue };
                stages[from].readers.push((to, edges.len()));
                stages[to].depth = stages[to].depth.max(stages[from].depth + 1);
                edges.push((from, to, 0, 0));
            }
        }
        let services = model.services.iter().map(|(name, model)| (name.clone(), Service::new(*model))).collect();
        let mut simulation = Self {
            model: model.clone(),
            now: 0.0,
            random: Rng::with_seed(seed),
            agenda: BinaryHeap::new(),
            numbers: 0,
            stages,
            edges,
            services,
            permits: model.cpu_threads,
            at_the_gate: BTreeMap::new(),
            load: 0.0,
            cpu_seconds: 0.0,
            load_since: 0.0,
            documents: Documents::default(),
            waiting_sources: VecDeque::new(),
            events: VecDeque::new(),
            event_number: 0,
            window: Window::default(),
            cpu_marks: VecDeque::new(),
        };
        for stage in 0..simulation.stages.len() {
            let width = simulation.stages[stage].model.width;
            simulation.start_workers(stage, width);
        }
        Ok(simulation)
    }

    /// Sets a stage's width within its bounds, as a command to a run does. One that works goes on until it has handed on.
    pub fn set_width(&mut self, stage: &str, width: usize, by: &str, why: &str) {
        let Some(index) = self.stages.iter().position(|other| other.model.id == stage) else { return };
        let of = &self.stages[index];
        let (from, to) = (of.width, width.clamp(of.model.min, of.model.max.max(of.model.min)));
        if from == to || of.is_source() {
            return;
        }
        self.event_number += 1;
        if self.events.len() == 128 {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            number: self.event_number,
            at: self.now,
            kind: EventKind::Width,
            stage: stage.to_owned(),
            by: by.to_owned(),
            text: why.to_owned(),
            from: Some(from),
            to: Some(to),
        });
        self.start_workers(index, to);
    }

    fn start_workers(&mut self, index: usize, width: usize) {
        let stage = &mut self.stages[index];
        stage.width = width;
        if stage.workers.len() < width {
            stage.workers.resize_with(width, Worker::default);
        }
        let beyond = stage.workers.iter_mut().skip(width);
        for worker in beyond.filter(|worker| matches!(worker.doing, Doing::Idle)) {
            stage.counters.starved += self.now - worker.since;
            worker.doing = Doing::Gone;
        }
        stage.idle.retain(|worker| *worker < width);
        for worker in 0..width {
            if matches!(self.stages[index].workers[worker].doing, Doing::Gone) {
                self.is_free(index, worker);
            }
        }
    }

    /// Goes on until this time.
    pub fn advance(&mut self, until: f64) {
        while let Some(Reverse(due)) = self.agenda.peek().copied().filter(|Reverse(due)| due.at <= until) {
            self.agenda.pop();
            self.now = due.at;
            match due.what {
                What::Ends(stage, worker) => self.ends(stage, worker),
                What::Gathered(stage, worker, turn) => {
                    let of = &self.stages[stage].workers[worker];
                    if of.turn == turn && matches!(of.doing, Doing::Gathers) {
                        self.has_gathered(stage, worker);
                    }
                }
                What::Asks(stage, worker) => self.ask(stage, worker),
            }
        }
        self.now = until;
    }

    pub(super) fn sample(&mut self, stage: usize) -> f64 {
        let Self { stages, random, .. } = self;
        stages[stage].model.call.sample(random)
    }

    pub(super) fn note(&mut self, at: f64, what: What) {
        self.numbers += 1;
        self.agenda.push(Reverse(Due { at, number: self.numbers, what }));
    }

    pub(super) fn worker(&mut self, stage: usize, worker: usize) -> &mut Worker {
        &mut self.stages[stage].workers[worker]
    }

    /// How long a worker has been doing what it did; from now on it does something else.
    pub(super) fn becomes(&mut self, stage: usize, worker: usize, doing: Doing) -> f64 {
        let now = self.now;
        let of = self.worker(stage, worker);
        of.doing = doing;
        now - std::mem::replace(&mut of.since, now)
    }

    /// A worker has nothing in hand.
    pub(super) fn is_free(&mut self, stage: usize, worker: usize) {
        if worker >= self.stages[stage].width {
            self.becomes(stage, worker, Doing::Gone);
        } else if self.stages[stage].is_source() {
            self.list(stage, worker);
        } else {
            self.becomes(stage, worker, Doing::Idle);
            self.stages[stage].idle.push(worker);
            self.feed(stage);
        }
    }

    /// Gives what waits to whoever waits for it.
    fn feed(&mut self, stage: usize) {
        while !self.stages[stage].queue.is_empty() {
            let of = &mut self.stages[stage];
            let items = of.model.batch.map_or(1, |batch| batch.items);
            let (worker, gathers) = match (of.gathering.last(), of.idle.pop()) {
                (Some(worker), idle) => {
                    of.idle.extend(idle);
                    (*worker, true)
                }
                (None, Some(worker)) => (worker, false),
                (None, None) => return,
            };
            let Some((record, edge, _)) = of.queue.pop_front() else { return };
            self.edges[edge].3 -= 1;
            if !gathers {
                let waited = self.becomes(stage, worker, Doing::Gathers);
                let now = self.now;
                let of = &mut self.stages[stage];
                of.counters.starved += waited;
                of.gathering.push(worker);
                of.workers[worker].in_hand_since = now;
                of.workers[worker].turn += 1;
                if let Some(batch) = of.model.batch {
                    let turn = of.workers[worker].turn;
                    self.note(now + batch.wait, What::Gathered(stage, worker, turn));
                }
            }
            self.stages[stage].counters.input += 1;
            self.worker(stage, worker).records.push(record);
            if self.stages[stage].workers[worker].records.len() >= items {
                self.has_gathered(stage, worker);
            }
            self.make_room(stage);
        }
    }

    /// A place in a stage's queue is free: whoever has waited longest for it goes on.
    fn make_room(&mut self, stage: usize) {
        if self.stages[stage].has_room()
            && let Some((from, worker)) = self.stages[stage].senders.pop_front()
        {
            self.hand_on(from, worker);
        }
    }

    /// What a worker made of what it has in hand, and where each goes.
    pub(super) fn outputs(&mut self, stage: usize, worker: usize) -> VecDeque<(usize, Record)> {
        let records = std::mem::take(&mut self.worker(stage, worker).records);
        let mut made = VecDeque::new();
        let of = &self.stages[stage];
        for record in &records {
            let whole = of.model.yields.floor();
            let more = self.random.f64() < of.model.yields - whole;
            for _ in 0..whole as usize + usize::from(more) {
                for (place, (reader, _)) in of.readers.iter().enumerate() {
                    let accepts = self.stages[*reader].model.accepts;
                    if accepts >= 1.0 || self.random.f64() < accepts {
                        self.documents.records[*record] += 1;
                        made.push_back((place, *record));
                    }
                }
            }
        }
        self.worker(stage, worker).records = records;
        made
    }

    /// Hands on what there is room for; the rest waits for it.
    pub(super) fn hand_on(&mut self, stage: usize, worker: usize) {
        loop {
            let Doing::Blocked(made) = &mut self.stages[stage].workers[worker].doing else { return };
            let Some((place, record)) = made.front().copied() else { break };
            let (reader, edge) = self.stages[stage].readers[place];
            if !self.stages[reader].has_room() {
                self.stages[reader].senders.push_back((stage, worker));
                return;
            }
            let Doing::Blocked(made) = &mut self.stages[stage].workers[worker].doing else { return };
            made.pop_front();
            self.edges[edge].2 += 1;
            self.edges[edge].3 += 1;
            // A source counts documents, whoever reads it.
            let source = self.stages[stage].is_source();
            self.stages[stage].counters.output += u64::from(!source);
            let now = self.now;
            let to = &mut self.stages[reader];
            to.queue.push_back((record, edge, now));
            to.counters.queue_max = to.counters.queue_max.max(to.queue.len() as u64);
            self.feed(reader);
        }
        let waited = self.becomes(stage, worker, Doing::Idle);
        self.stages[stage].counters.blocked += waited;
        if self.stages[stage].readers.is_empty() || self.stages[stage].is_source() {
            let many = self.stages[stage].workers[worker].records.len() as u64;
            self.stages[stage].counters.output += many;
        }
        for record in std::mem::take(&mut self.worker(stage, worker).records) {
            self.consumed(record);
        }
        self.is_free(stage, worker);
    }

    /// A source's worker begins to list, or ends its call, as any other's.
    pub(super) fn lists(&mut self, stage: usize, worker: usize) {
        self.becomes(stage, worker, Doing::Works { refused: false });
        let seconds = self.sample(stage);
        self.note(self.now + seconds, What::Ends(stage, worker));
    }
}
