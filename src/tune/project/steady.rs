//! Simulates a model until it goes steadily, several times, and says what it does then.

use super::machine::{closed_form, visits};
use crate::monitor::{Snapshot, StageSnapshot};
use crate::tune::simulate::{Model, ModelError, Simulation};
use crate::tune::{Bottleneck, bottleneck, bottleneck_now};

/// Simulated so often, from different seeds.
const SEEDS: u64 = 3;
/// Records that all stages of one simulation take in together, about: enough for a rate within a hundredth
/// or two, and done at once.
const RECORDS: f64 = 30_000.0;
/// The longest that is simulated, in virtual seconds: a week of documents that take hours.
const LONGEST: f64 = 7.0 * 86_400.0;
/// The shortest.
const SHORTEST: f64 = 2.0;
/// A simulation is looked at so often after it has warmed up.
const LOOKS: u32 = 10;
/// A whole run is simulated with so many documents at most.
const DOCUMENTS: f64 = 20_000.0;

/// What a model does.
#[derive(Clone, Debug, Default)]
pub(super) struct Steady {
    /// Documents a second.
    pub(super) rate: f64,
    /// Its standard error, as a share.
    pub(super) error: f64,
    /// CPUs in use.
    pub(super) cpus: f64,
    /// Bytes in flight.
    pub(super) in_flight: f64,
    /// The share of time at work, by stage.
    pub(super) busy: Vec<f64>,
    /// What bounds it.
    pub(super) limit: Bottleneck,
}

/// Simulates a model that goes on without end.
pub(super) fn steady(model: &Model) -> Result<Steady, ModelError> {
    let mut rates = Vec::new();
    let mut all = Vec::new();
    for seed in 1..=SEEDS {
        all.push(once(model, seed, &mut rates)?);
    }
    Ok(summed(all, &rates))
}

/// Simulates a model with so many documents from its beginning to its end.
pub(super) fn whole(model: &Model, documents: f64) -> Result<Steady, ModelError> {
    let model = Model { documents: documents.clamp(1.0, DOCUMENTS) as u64, ..model.clone() };
    let mut rates = Vec::new();
    let mut all = Vec::new();
    for seed in 1..=SEEDS {
        let mut simulation = Simulation::new(&model, seed)?;
        let mut snapshot = simulation.snapshot();
        while !simulation.is_over() && simulation.seconds() < LONGEST {
            snapshot = simulation.step();
        }
        rates.push(simulation.ended() as f64 / simulation.seconds().max(f64::MIN_POSITIVE));
        let stages = snapshot.stages.iter().map(|_| StageSnapshot::default()).collect();
        let start = Snapshot { stages, ..Snapshot::default() };
        let limit = bottleneck(&snapshot);
        all.push(between(&start, &snapshot, snapshot.memory_used as f64, limit));
    }
    Ok(summed(all, &rates))
}

fn once(model: &Model, seed: u64, rates: &mut Vec<f64>) -> Result<Steady, ModelError> {
    let mut simulation = Simulation::new(model, seed)?;
    let each: f64 = visits(model).iter().sum();
    let rate = closed_form(model).max(1e-6);
    // Until a document has gone all the way, and a service's limit was found by doubling from a few calls at once.
    let way: f64 = model.stages.iter().map(|stage| stage.call.mean()).sum();
    let slowest = model.stages.iter().map(|stage| stage.call.mean()).fold(0.0, f64::max);
    let lasts = (RECORDS / (rate * each.max(1.0))).clamp(SHORTEST, LONGEST);
    let warm_up = (lasts / 2.0).max(4.0 * way).max(10.0 * slowest).min(LONGEST);
    simulation.advance(warm_up);
    let before = simulation.snapshot();
    let (mut last, mut ended) = (before.clone(), simulation.ended());
    let mut in_flight = 0.0;
    let window = lasts.max(4.0 * slowest) / f64::from(LOOKS);
    for look in 1..=LOOKS {
        simulation.advance(warm_up + window * f64::from(look));
        last = simulation.snapshot();
        rates.push((simulation.ended() - ended) as f64 / window);
        ended = simulation.ended();
        in_flight += last.memory_used as f64 / f64::from(LOOKS);
    }
    let (limit, _) = bottleneck_now(&last);
    Ok(between(&before, &last, in_flight, limit))
}

/// What was done from one snapshot to another.
fn between(before: &Snapshot, after: &Snapshot, in_flight: f64, limit: Bottleneck) -> Steady {
    let seconds = (after.seconds - before.seconds).max(f64::MIN_POSITIVE);
    let stages = before.stages.iter().zip(&after.stages);
    let busy = stages
        .map(|(before, after)| (after.busy_seconds - before.busy_seconds) / (seconds * after.width.max(1) as f64));
    Steady {
        rate: 0.0,
        error: 0.0,
        cpus: (after.host.cpu_seconds - before.host.cpu_seconds) / seconds,
        in_flight,
        busy: busy.map(|share| share.clamp(0.0, 1.0)).collect(),
        limit,
    }
}

fn summed(all: Vec<Steady>, rates: &[f64]) -> Steady {
    let (many, looks) = (all.len().max(1) as f64, rates.len().max(1) as f64);
    let rate = rates.iter().sum::<f64>() / looks;
    let variance = rates.iter().map(|one| (one - rate).powi(2)).sum::<f64>() / (looks - 1.0).max(1.0);
    let mut sum = Steady { rate, ..Steady::default() };
    sum.error = if rate > 0.0 { (variance / looks).sqrt() / rate } else { 0.0 };
    for one in all {
        sum.cpus += one.cpus / many;
        sum.in_flight += one.in_flight / many;
        sum.busy.resize(one.busy.len(), 0.0);
        for (sum, busy) in sum.busy.iter_mut().zip(one.busy) {
            *sum += busy / many;
        }
        sum.limit = one.limit;
    }
    sum
}
