//! Measures a run from its snapshots: what a record costs at each stage, lately. What follows from that is reckoned in
//! `estimate.rs`; nothing is decided here.

use std::collections::VecDeque;

use super::estimate::{Estimate, StageEstimate};
use super::shares::is_source;
use super::visits::finished;
use crate::monitor::{Snapshot, StageSnapshot};

/// A window is at least so many seconds,
const SECONDS: f64 = 2.0;
/// and holds at least so many calls: below, a mean says more of chance than of the stage.
const CALLS: u64 = 20;
/// After so many seconds a window counts for 1/e of a new one: long enough that documents of all sizes are in it, short
/// enough that other documents show within a minute.
const MEMORY: f64 = 30.0;
/// Fewer calls than these say little.
const FEW_CALLS: f64 = 10.0;
/// How many windows are kept for the spread.
const KEPT: usize = 30;

/// What is counted of a stage, as totals at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    input: f64,
    calls: f64,
    busy: f64,
    gate: f64,
    provider: f64,
    blocked: f64,
    cpu: f64,
}

impl Totals {
    fn of(stage: &StageSnapshot) -> Self {
        let held = |cause: &str| stage.held_by.get(cause).copied().unwrap_or_default();
        Self {
            input: finished(stage),
            calls: stage.calls as f64,
            busy: stage.busy_seconds,
            gate: held("cpu"),
            provider: held("provider"),
            blocked: stage.blocked_seconds,
            cpu: stage.cpu_seconds,
        }
    }

    fn each(&self, other: &Self, with: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            input: with(self.input, other.input),
            calls: with(self.calls, other.calls),
            busy: with(self.busy, other.busy),
            gate: with(self.gate, other.gate),
            provider: with(self.provider, other.provider),
            blocked: with(self.blocked, other.blocked),
            cpu: with(self.cpu, other.cpu),
        }
    }
}

/// What is known of a stage.
#[derive(Clone, Debug, Default)]
struct StageMeter {
    last: Totals,
    /// Sums over the past, the older the less.
    sums: Totals,
    batches: Batches,
    /// Busy seconds per record, of each of the last windows.
    windows: VecDeque<f64>,
    /// CPU seconds per busy second where CPUs were not scarce.
    cpu_share: Option<f64>,
    widest: usize,
}

/// How long a call takes by how many records are in it: sums for a straight line through the windows.
#[derive(Clone, Copy, Debug, Default)]
struct Batches {
    weight: f64,
    items: f64,
    seconds: f64,
    items_squared: f64,
    both: f64,
    largest: f64,
}

impl Batches {
    fn add(&mut self, items: f64, seconds: f64, weight: f64, keep: f64) {
        for sum in [&mut self.weight, &mut self.items, &mut self.seconds, &mut self.items_squared, &mut self.both] {
            *sum *= keep;
        }
        self.weight += weight;
        self.items += weight * items;
        self.seconds += weight * seconds;
        self.items_squared += weight * items * items;
        self.both += weight * items * seconds;
        self.largest = self.largest.max(items);
    }

    /// Records in the largest batches, and the seconds per record then; none where batches were all alike.
    fn full(&self) -> Option<(f64, f64)> {
        let (items, seconds) = (self.items / self.weight, self.seconds / self.weight);
        // A stage that takes one at a time has no batches, and one that takes steps at a record has less than one.
        if self.weight <= 0.0 || items <= 1.2 {
            return None;
        }
        let variance = self.items_squared / self.weight - items * items;
        if variance < 0.01 * items * items {
            return None;
        }
        let slope = ((self.both / self.weight - items * seconds) / variance).clamp(0.0, seconds / items);
        let fixed = seconds - slope * items;
        Some((self.largest, (fixed + slope * self.largest) / self.largest))
    }
}

/// Measures a run. Snapshots come in the order in which they were taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    begun: bool,
    at: f64,
    ended: f64,
    host_cpu: f64,
    calls: u64,
    stages: Vec<StageMeter>,
    overhead: Option<f64>,
    /// Documents a second of each of the last windows, with its length.
    rates: VecDeque<(f64, f64)>,
    /// The shares of time that stages were held by memory in the last window, at most.
    memory_held: f64,
}

fn calls_of(snapshot: &Snapshot) -> u64 {
    snapshot.stages.iter().filter(|stage| !is_source(stage)).map(|stage| stage.calls).sum()
}

/// Documents that went through the pipeline and came to their end.
pub(super) fn through(snapshot: &Snapshot) -> f64 {
    (snapshot.documents.ended() - snapshot.documents.unchanged.min(snapshot.documents.ended())) as f64
}

impl Meter {
    /// Looks at a snapshot. Says whether it ended a window: only then there is something new.
    pub(super) fn look(&mut self, snapshot: &Snapshot) -> bool {
        let another = self.stages.len() != snapshot.stages.len() || snapshot.seconds < self.at;
        if !self.begun || another {
            *self = Self { begun: true, ..Self::default() };
            self.mark(snapshot);
            return false;
        }
        let span = snapshot.seconds - self.at;
        let calls = calls_of(snapshot);
        if span < SECONDS || calls < self.calls + CALLS {
            return false;
        }
        self.add(snapshot, span);
        self.mark(snapshot);
        true
    }

    /// Forgets what has been counted since the last window: something has changed in the middle of it.
    pub(super) fn skip(&mut self, snapshot: &Snapshot) {
        if self.begun && self.stages.len() == snapshot.stages.len() {
            self.mark(snapshot);
        }
    }

    fn mark(&mut self, snapshot: &Snapshot) {
        self.at = snapshot.seconds;
        self.ended = through(snapshot);
        self.host_cpu = snapshot.host.cpu_seconds;
        self.calls = calls_of(snapshot);
        self.stages.resize_with(snapshot.stages.len(), StageMeter::default);
        for (meter, stage) in self.stages.iter_mut().zip(&snapshot.stages) {
            meter.last = Totals::of(stage);
            meter.widest = meter.widest.max(stage.workers_alive.min(stage.width));
        }
    }

    fn add(&mut self, snapshot: &Snapshot, span: f64) {
        let keep = (-span / MEMORY).exp();
        let full = snapshot.host.cpus > 0.0 && snapshot.host.cpus_used >= 0.9 * snapshot.host.cpus;
        let mut of_stages = 0.0;
        for (meter, stage) in self.stages.iter_mut().zip(&snapshot.stages) {
            let since = Totals::of(stage).each(&meter.last, |now, before| (now - before).max(0.0));
            of_stages += since.cpu;
            meter.sums = meter.sums.each(&since, |sum, now| sum * keep + now);
            if since.input >= 1.0 && since.busy > 0.0 {
                if meter.windows.len() == KEPT {
                    meter.windows.pop_front();
                }
                meter.windows.push_back(since.busy / since.input);
            }
            if since.calls >= 1.0 {
                meter.batches.add(since.input / since.calls, since.busy / since.calls, since.calls, keep);
            }
            if !full && since.busy > 0.0 && since.cpu > 0.0 {
                let share = (since.cpu / since.busy).min(1.0);
                meter.cpu_share = Some(meter.cpu_share.map_or(share, |before| 0.7 * before + 0.3 * share));
            }
        }
        let ended = (through(snapshot) - self.ended).max(0.0);
        if self.rates.len() == KEPT {
            self.rates.pop_front();
        }
        self.rates.push_back((ended / span, span));
        let beside = (snapshot.host.cpu_seconds - self.host_cpu - of_stages).max(0.0);
        if ended >= 1.0 {
            let each = beside / ended;
            self.overhead = Some(self.overhead.map_or(each, |before| 0.8 * before + 0.2 * each));
        }
        let held = |stage: &&StageSnapshot| stage.now.held_by == "memory";
        self.memory_held = snapshot.stages.iter().filter(held).map(|stage| stage.now.held).fold(0.0, f64::max);
    }

    /// Documents a second over the last windows, at most so many seconds of them, and its standard error.
    pub(super) fn rate(&self, seconds: f64) -> Option<(f64, f64)> {
        let mut taken = Vec::new();
        let mut span = 0.0;
        for (rate, length) in self.rates.iter().rev() {
            if span >= seconds {
                break;
            }
            span += length;
            taken.push((*rate, *length));
        }
        let mean = taken.iter().map(|(rate, length)| rate * length).sum::<f64>() / span;
        // Chance alone, if documents ended independently. They come more evenly than that where a stage is busy all the
        // time, and in bursts of a batch; the spread of a few windows says too little to go below it.
        let chance = (mean.max(1.0 / span) / span).sqrt();
        (span > 0.0).then_some((mean, chance.max(0.02 * mean)))
    }

    /// Forgets the rates: they were those of other widths.
    pub(super) fn forget_rates(&mut self) {
        self.rates.clear();
    }

    /// What follows from what was measured so far; none before the first window.
    pub(super) fn estimate(&self, snapshot: &Snapshot) -> Option<Estimate> {
        let (rate, _) = self.rate(MEMORY)?;
        let stages = self.stages.iter().zip(&snapshot.stages).map(|(meter, stage)| meter.estimate(stage));
        Some(Estimate::new(snapshot, stages.collect(), rate, self.overhead.unwrap_or(0.0), self.memory_held))
    }
}

impl StageMeter {
    fn estimate(&self, stage: &StageSnapshot) -> StageEstimate {
        // Where little was counted lately, all that was ever counted says more.
        let all = Totals::of(stage);
        let sums = if self.sums.calls < FEW_CALLS && all.calls > self.sums.calls { &all } else { &self.sums };
        let estimate = of_sums(sums, stage, self.widest, self.cpu_share);
        let mean = self.windows.iter().sum::<f64>() / (self.windows.len().max(1) as f64);
        let spread = self.windows.iter().map(|one| (one - mean).powi(2)).sum::<f64>();
        let many = self.windows.len() as f64;
        let error = match self.windows.len() {
            0..=2 => 0.15,
            _ if mean > 0.0 => (spread / (many - 1.0) / many).sqrt() / mean,
            _ => 0.15,
        };
        match self.batches.full() {
            Some((items, seconds)) => StageEstimate { items, seconds, error, ..estimate },
            None => StageEstimate { error, ..estimate },
        }
    }
}

fn of_sums(sums: &Totals, stage: &StageSnapshot, widest: usize, cpu_share: Option<f64>) -> StageEstimate {
    let records = sums.input.max(f64::MIN_POSITIVE);
    let known = sums.input > 0.0 && sums.busy > 0.0;
    let each = |sum: f64| if known { sum / records } else { 0.0 };
    let occupied = sums.busy + sums.gate + sums.provider;
    StageEstimate {
        calls: sums.calls,
        items: if sums.calls > 0.0 { sums.input / sums.calls } else { 1.0 },
        seconds: each(sums.busy),
        gate: each(sums.gate),
        cpu: each(sums.cpu),
        cpu_share,
        refused: if occupied > 0.0 { sums.provider / occupied } else { 0.0 },
        widest: widest.max(stage.width),
        bytes: if stage.in_hand > 0 { stage.held_bytes as f64 / stage.in_hand as f64 } else { 0.0 },
        error: 0.15,
    }
}

/// What follows from the totals of a run so far.
pub(super) fn of_run(snapshot: &Snapshot) -> Option<Estimate> {
    let through = through(snapshot);
    if snapshot.seconds <= 0.0 || through < 1.0 {
        return None;
    }
    let own: f64 = snapshot.stages.iter().map(|stage| stage.cpu_seconds).sum();
    let overhead = (snapshot.host.cpu_seconds - own).max(0.0) / through;
    let stages = snapshot.stages.iter().map(|stage| of_sums(&Totals::of(stage), stage, stage.width, None)).collect();
    let flows = snapshot.window > 0.0 && snapshot.rates.documents > 0.0 && snapshot.documents.unchanged == 0;
    let rate = if flows { snapshot.rates.documents } else { through / snapshot.seconds };
    let held = |stage: &&StageSnapshot| stage.now.held_by == "memory";
    let memory = snapshot.stages.iter().filter(held).map(|stage| stage.now.held).fold(0.0, f64::max);
    Some(Estimate::new(snapshot, stages, rate, overhead, memory))
}
