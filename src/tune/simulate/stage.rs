//! A stage under way: its workers, its queue, its counters. What moves them is in `engine.rs`.

use std::collections::{BTreeMap, VecDeque};

use super::model::StageModel;

/// A record: the document that it is of.
pub(super) type Record = usize;

/// What a worker does.
#[derive(Clone, Debug, Default)]
pub(super) enum Doing {
    /// Has left, or was never there.
    #[default]
    Gone,
    /// Waits for input.
    Idle,
    /// Gathers a batch.
    Gathers,
    /// Waits for a permit of the CPU pool.
    AtTheGate,
    /// Waits for what its model service grants.
    AtTheService,
    /// Works. Whether the service will refuse.
    Works { refused: bool },
    /// Waits for room downstream, with what is still to be handed on and where.
    Blocked(VecDeque<(usize, Record)>),
}

/// A worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Worker {
    pub(super) doing: Doing,
    /// Since when.
    pub(super) since: f64,
    /// What it has in hand.
    pub(super) records: Vec<Record>,
    /// Since when.
    pub(super) in_hand_since: f64,
    /// CPU seconds of the call that is under way, and the share of a CPU that it takes.
    pub(super) cpu: (f64, f64),
    /// Grows with each batch, so that an old alarm is told from a new one.
    pub(super) turn: u64,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) calls: u64,
    pub(super) retries: u64,
    pub(super) busy: f64,
    pub(super) gate: f64,
    pub(super) memory: f64,
    pub(super) provider: f64,
    pub(super) blocked: f64,
    pub(super) starved: f64,
    pub(super) cpu: f64,
    pub(super) buckets: Vec<u64>,
    pub(super) queue_sum: f64,
    pub(super) queue_samples: f64,
    pub(super) queue_max: u64,
}

/// A stage.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) model: StageModel,
    pub(super) depth: usize,
    /// The stages that read it, with the edge to each.
    pub(super) readers: Vec<(usize, usize)>,
    pub(super) width: usize,
    pub(super) workers: Vec<Worker>,
    pub(super) idle: Vec<usize>,
    pub(super) gathering: Vec<usize>,
    /// Records that wait, with their edge and since when.
    pub(super) queue: VecDeque<(Record, usize, f64)>,
    /// Workers of stages before it that wait for room.
    pub(super) senders: VecDeque<(usize, usize)>,
    pub(super) counters: Counters,
}

impl Stage {
    pub(super) fn new(model: StageModel) -> Self {
        Self {
            width: 0,
            depth: 0,
            readers: Vec::new(),
            workers: Vec::new(),
            idle: Vec::new(),
            gathering: Vec::new(),
            queue: VecDeque::new(),
            senders: VecDeque::new(),
            counters: Counters::default(),
            model,
        }
    }

    pub(super) fn is_source(&self) -> bool {
        self.model.inputs.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < self.capacity()
    }

    pub(super) fn capacity(&self) -> usize {
        self.model.queue * self.model.inputs.len().max(1)
    }

    pub(super) fn pooled(&self) -> bool {
        self.model.tier == "cpu" && !self.model.isolated
    }

    /// Counts a call that took so long.
    pub(super) fn served(&mut self, seconds: f64) {
        let counters = &mut self.counters;
        counters.calls += 1;
        counters.busy += seconds;
        let power = ((seconds * 1e6) as u64).max(1).ilog2() as usize;
        if counters.buckets.len() <= power {
            counters.buckets.resize(power + 1, 0);
        }
        counters.buckets[power] += 1;
    }

    /// What its workers were held by, as a snapshot tells it.
    pub(super) fn held_by(&self) -> BTreeMap<String, f64> {
        let of = &self.counters;
        let causes = [("cpu", of.gate), ("memory", of.memory), ("retry", 0.0), ("provider", of.provider)];
        causes.into_iter().map(|(cause, time)| (cause.to_owned(), time)).collect()
    }
}
