//! The closed form: from what a record costs at each stage to what a run does with any widths. Pure reckoning.
//!
//! Throughput is the least of five terms, each in documents a second: what the workers of each stage can do, the CPUs (and
//! the permits of the CPU pool), the limits of each model service, memory, and what the sources list. What a stage costs
//! does not depend on its width; what it waits for does, and is left out of it.

use std::collections::BTreeMap;

use super::shares::{has_a_queue, is_source};
use super::visits::visits;
use crate::monitor::Snapshot;

/// Of all CPUs, so much can be used: the rest goes to the system and to moments in which no work is at hand.
const CPUS_USABLE: f64 = 0.97;
/// Of its time, so much a worker that never waits is really at work.
const AT_WORK: f64 = 0.98;
/// From this share of its time on, a stage that its model service holds is bound by it.
pub(super) const REFUSED: f64 = 0.08;

/// From this share of its time on, a stage that waits for memory says that there is too little of it.
const MEMORY_HELD: f64 = 0.3;

/// What a record costs at a stage.
#[derive(Clone, Debug, Default)]
pub(super) struct StageEstimate {
    /// How many calls this is from; the older count less.
    pub(super) calls: f64,
    /// Records in a call, when there are enough to fill it.
    pub(super) items: f64,
    /// Seconds of a worker's time for a record, without waiting.
    pub(super) seconds: f64,
    /// Seconds that a record waits for a CPU.
    pub(super) gate: f64,
    /// CPU seconds for a record.
    pub(super) cpu: f64,
    /// CPU seconds in a second of work where CPUs are not scarce.
    pub(super) cpu_share: Option<f64>,
    /// The share of its occupied time that its model service held it.
    pub(super) refused: f64,
    /// The widest that was seen.
    pub(super) widest: usize,
    /// Bytes in a worker's hands.
    pub(super) bytes: f64,
    /// The relative standard error of `seconds`.
    pub(super) error: f64,
}

/// A stage in the reckoning.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage {
    pub(super) id: String,
    pub(super) source: bool,
    pub(super) sink: bool,
    pub(super) cpu: bool,
    pub(super) isolated: bool,
    pub(super) service: String,
    pub(super) width: usize,
    pub(super) min: usize,
    pub(super) max: usize,
    pub(super) auto: bool,
    /// Records for one document.
    pub(super) visits: f64,
    pub(super) cost: StageEstimate,
    /// Seconds of a worker's time for one document.
    pub(super) demand: f64,
    /// What a worker waits for a CPU for one document, because others are at work on it.
    pub(super) wait: f64,
    /// CPU seconds for one document.
    pub(super) cpus: f64,
}

/// A run, reckoned.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimate {
    pub(super) stages: Vec<Stage>,
    pub(super) cpus: f64,
    /// Documents a second now.
    pub(super) rate: f64,
    /// CPU seconds for one document beside the stages'.
    pub(super) overhead: f64,
    pub(super) memory: f64,
    memory_held: bool,
    pub(super) services: BTreeMap<String, ServiceLimits>,
}

/// What a model service takes.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceLimits {
    /// Calls at once; none where nothing says that there is a limit.
    pub(super) concurrency: Option<f64>,
    /// Calls a second.
    pub(super) rate: Option<f64>,
    /// Whether it is left alone now.
    pub(super) open: bool,
}

/// What bounds throughput.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    /// The workers of a stage.
    Width(usize),
    /// The CPUs, or the pool.
    Cpu(usize),
    /// The model service of a stage.
    Provider(usize),
    /// The memory budget.
    Memory,
    /// Nothing that is known.
    Unknown,
}

impl Estimate {
    pub(super) fn new(
        snapshot: &Snapshot,
        costs: Vec<StageEstimate>,
        rate: f64,
        overhead: f64,
        memory_held: f64,
    ) -> Self {
        let visits = visits(snapshot);
        let make = |((stage, cost), visits): ((&crate::monitor::StageSnapshot, StageEstimate), f64)| Stage {
            id: stage.id.clone(),
            source: is_source(stage),
            sink: stage.role == "sink",
            cpu: stage.tier == "cpu",
            isolated: stage.isolated,
            service: stage.service.clone(),
            width: stage.width.max(1),
            min: stage.min.max(1),
            max: stage.max.max(stage.width).max(1),
            auto: stage.auto,
            visits,
            cpus: visits * cost.cpu,
            cost,
            ..Stage::default()
        };
        let stages = snapshot.stages.iter().zip(costs).zip(visits).map(make).collect();
        let mut estimate = Self {
            stages,
            cpus: snapshot.host.cpus,
            rate,
            overhead,
            memory: snapshot.memory_used as f64,
            memory_held: false,
            services: BTreeMap::new(),
        };
        estimate.reckon_demands(snapshot.host.cpus_used);
        estimate.reckon_services(snapshot);
        estimate.memory_held = memory_held >= MEMORY_HELD && !snapshot.stages.iter().any(has_a_queue);
        estimate
    }

    fn reckon_demands(&mut self, used: f64) {
        let full = self.cpus > 0.0 && used >= 0.9 * self.cpus;
        for stage in &mut self.stages {
            let cost = &stage.cost;
            let mut seconds = cost.seconds;
            // Wall time stretches where more is at work than there are CPUs; CPU time does not.
            if stage.cpu && full && cost.cpu > 0.0 {
                let share = cost.cpu_share.unwrap_or(0.95).clamp(0.05, 1.0);
                seconds = seconds.min(cost.cpu / share);
            }
            stage.demand = stage.visits * seconds;
        }
        // A permit comes free when a step of another stage ends: that is what a later stage waits for, and only that. What
        // the hungriest stage waits for is its own kind.
        let pooled = |stage: &Stage| stage.cpu && !stage.isolated;
        let threads = self.cpus.max(1.0);
        let residual: Vec<f64> = self
            .stages
            .iter()
            .map(|stage| {
                if !pooled(stage) || stage.cost.calls <= 0.0 {
                    return 0.0;
                }
                let busy = (self.rate * stage.demand / threads).min(1.0);
                busy * stage.cost.seconds * stage.cost.items / threads
            })
            .collect();
        let all: f64 = residual.iter().sum();
        for (stage, own) in self.stages.iter_mut().zip(residual) {
            if pooled(stage) && stage.cost.items > 0.0 {
                let most = 1.5 * (all - own) / stage.cost.items;
                stage.wait = stage.visits * stage.cost.gate.min(most);
            }
        }
    }

    fn reckon_services(&mut self, snapshot: &Snapshot) {
        for (name, report) in &snapshot.services {
            let asked = || self.stages.iter().filter(|stage| stage.service == *name);
            let refused = asked().map(|stage| stage.cost.refused).fold(0.0, f64::max);
            let errors = ["rate_limited", "overloaded"].iter().any(|class| report.errors.contains_key(*class));
            let rate = (report.requests_per_minute > 0.0).then_some(report.requests_per_minute / 60.0);
            let limited = (refused >= REFUSED && rate.is_none()) || errors;
            let concurrency = (limited && report.concurrency > 0).then_some(report.concurrency as f64);
            let open = report.breaker == "open";
            self.services.insert(name.clone(), ServiceLimits { concurrency, rate, open });
        }
    }

    pub(super) fn widths(&self) -> Vec<usize> {
        self.stages.iter().map(|stage| stage.width).collect()
    }

    pub(super) fn index(&self, id: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.id == id)
    }

    /// Documents a second that these widths allow, and what bounds them.
    pub(super) fn limit(&self, widths: &[usize]) -> (f64, Term) {
        let mut terms = Vec::with_capacity(self.stages.len() + 4);
        for (index, (stage, width)) in self.stages.iter().zip(widths).enumerate() {
            let demand = stage.demand + stage.wait;
            if demand > 0.0 {
                terms.push((AT_WORK * *width as f64 / demand, Term::Width(index)));
            }
        }
        terms.extend(self.cpu_terms());
        terms.extend(self.provider_terms());
        if self.memory_held && self.rate > 0.0 {
            terms.push((self.rate, Term::Memory));
        }
        let least = terms.into_iter().filter(|(rate, _)| rate.is_finite()).min_by(|a, b| a.0.total_cmp(&b.0));
        least.unwrap_or((self.rate, Term::Unknown))
    }

    fn cpu_terms(&self) -> Vec<(f64, Term)> {
        let hungriest = self.stages.iter().enumerate().max_by(|a, b| a.1.cpus.total_cmp(&b.1.cpus));
        let Some((index, _)) = hungriest.filter(|_| self.cpus > 0.0) else { return Vec::new() };
        let used = self.cpus_each();
        let pooled = self.stages.iter().filter(|stage| stage.cpu && !stage.isolated);
        let pool: f64 = pooled.map(|stage| stage.demand).sum();
        let term = |each: f64, of: f64| (each > 0.0).then(|| (CPUS_USABLE * of / each, Term::Cpu(index)));
        // A permit of the pool is held for as long as a step takes, whether it computes or reads a file.
        [term(used, self.cpus), term(pool, self.cpus.ceil())].into_iter().flatten().collect()
    }

    /// CPU seconds for one document.
    pub(super) fn cpus_each(&self) -> f64 {
        self.overhead + self.stages.iter().map(|stage| stage.cpus).sum::<f64>()
    }

    fn provider_terms(&self) -> Vec<(f64, Term)> {
        let mut terms = Vec::new();
        for (name, limits) in &self.services {
            let asked = || self.stages.iter().enumerate().filter(|(_, stage)| stage.service == *name);
            let Some((index, most)) = asked().max_by(|a, b| a.1.demand.total_cmp(&b.1.demand)) else { continue };
            let demand: f64 = asked().map(|(_, stage)| stage.demand).sum();
            let calls: f64 = asked().map(|(_, stage)| stage.visits / stage.cost.items.max(1e-9)).sum();
            if let Some(concurrency) = limits.concurrency.filter(|_| demand > 0.0) {
                terms.push((concurrency / demand, Term::Provider(index)));
            }
            if let Some(rate) = limits.rate.filter(|_| calls > 0.0) {
                terms.push((rate / calls, Term::Provider(index)));
            }
            let held = most.cost.refused >= REFUSED && limits.concurrency.is_none() && limits.rate.is_none();
            if (held || limits.open) && self.rate > 0.0 {
                // Nobody tells the limit, and it is felt: what goes through now is what there is.
                terms.push((1.05 * self.rate, Term::Provider(index)));
            }
        }
        terms
    }
}
