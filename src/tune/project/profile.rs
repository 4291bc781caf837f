//! From a recorded run to the model of it: what each stage costs, as measured. Nothing is planned here.

use std::collections::BTreeMap;

use super::ProjectError;
use super::stretch::{Stretch, Work};
use crate::monitor::{Recording, Snapshot, StageSnapshot};
use crate::tune::estimate::REFUSED;
use crate::tune::shares::{is_source, neighbours};
use crate::tune::simulate::{BatchModel, Model, ServiceModel, StageModel, Times};
use crate::tune::visits::ratio;

/// How many documents a run takes in at once at most: the runtime's own bound.
const IN_FLIGHT: usize = 16_384;
/// From this share of all CPUs in use on, work takes longer than it would.
const CPUS_FULL: f64 = 0.9;
/// The share of a CPU that computing takes, where nothing was measured with CPUs to spare.
const COMPUTING: f64 = 0.95;
/// From so many calls in a stretch on, they say what a call costs; below, those of the whole run do.
const CALLS: f64 = 10.0;
/// How long a batch is waited for, where the recording does not tell.
const BATCH_WAIT: f64 = 1.0;

/// A recorded run, measured.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    /// The pipeline on the machine that it ran on, with the widths of the run.
    pub(super) model: Model,
    /// What the run did in the stretch that was looked at.
    pub(super) seconds: f64,
    pub(super) documents: f64,
    pub(super) steady: bool,
    pub(super) changed: bool,
    pub(super) cpus_used: f64,
    /// The share of time at work, by stage in the model's order.
    pub(super) busy: Vec<f64>,
    /// Memory of the machine; of the process without what is in flight; of one child.
    pub(super) memory_limit: u64,
    pub(super) process: f64,
    pub(super) child: f64,
    /// Calls in the model for a real one, by service: a batch is of whole records there.
    pub(super) calls: BTreeMap<String, f64>,
    /// What was found out and should be known, a sentence each.
    pub(super) notes: Vec<String>,
}

impl Profile {
    /// Measures.
    pub(super) fn of(recording: &Recording) -> Result<Self, ProjectError> {
        let stretch = Stretch::of(recording)?;
        let snapshot = stretch.to;
        let works: Vec<Work> = (0..snapshot.stages.len()).map(|index| work(&stretch, index)).collect();
        let mut notes = Vec::new();
        let mut stages: Vec<StageModel> = snapshot
            .stages
            .iter()
            .zip(&works)
            .enumerate()
            .map(|(index, (stage, work))| model_of(&stretch, index, stage, work))
            .collect();
        connect(stretch.last, &mut stages);
        spread_overhead(&stretch, &mut stages, &works, &mut notes);
        let calls = calls(&stages, &works);
        let services = services(&stretch, &works, &calls, &mut notes);
        for stage in stages.iter_mut().filter(|stage| !services.contains_key(&stage.service)) {
            stage.service.clear();
        }
        let (process, child) = memory(&stretch);
        let cpus = if snapshot.host.cpus > 0.0 { snapshot.host.cpus } else { 1.0 };
        let model = Model {
            name: snapshot.pipeline.clone(),
            cpus,
            cpu_threads: threads(cpus),
            memory: snapshot.memory_budget,
            in_flight: IN_FLIGHT,
            documents: u64::MAX,
            bytes: bytes_of_a_document(&stretch),
            stages,
            services,
        };
        model.check()?;
        let seconds = stretch.seconds();
        let widths = snapshot.stages.iter().map(|stage| stage.width.max(1) as f64);
        let busy = |index: usize, width: f64| (stretch.work(index).busy / (width * seconds)).min(1.0);
        Ok(Self {
            busy: widths.enumerate().map(|(index, width)| busy(index, width)).collect(),
            model,
            seconds,
            documents: stretch.documents(),
            steady: stretch.steady,
            changed: stretch.changed,
            cpus_used: stretch.cpu_seconds() / seconds.max(f64::MIN_POSITIVE),
            memory_limit: snapshot.host.memory_limit,
            process,
            child,
            calls,
            notes,
        })
    }
}

/// The CPU pool has as many threads as there are CPUs.
pub(super) fn threads(cpus: f64) -> usize {
    (cpus.ceil() as usize).max(1)
}

fn work(stretch: &Stretch<'_>, index: usize) -> Work {
    let work = stretch.work(index);
    if work.calls >= CALLS && work.records > 0.0 { work } else { Work::of(stretch.last, index) }
}

fn model_of(stretch: &Stretch<'_>, index: usize, stage: &StageSnapshot, work: &Work) -> StageModel {
    let before = neighbours(stretch.to, index).0;
    let per_record = if work.records > 0.0 { seconds(stretch, index, stage, work) / work.records } else { 0.0 };
    let items = batch(work);
    let inputs: Vec<String> = if is_source(stage) {
        Vec::new()
    } else {
        before.iter().map(|from| stretch.to.stages[*from].id.clone()).collect()
    };
    let full = work.cpu / (per_record * work.records).max(f64::MIN_POSITIVE);
    StageModel {
        id: stage.id.clone(),
        tier: stage.tier.clone(),
        service: stage.service.clone(),
        isolated: stage.isolated,
        width: stage.width.max(1),
        min: stage.min.max(1),
        max: stage.max.max(stage.width).max(1),
        auto: stage.auto,
        queue: usize::try_from(stage.queue.capacity).unwrap_or(usize::MAX).div_ceil(inputs.len().max(1)).max(1),
        inputs,
        // A stage that works in steps has several calls a record: the shape is theirs, the mean a record's.
        call: Times::Measured { counts: work.buckets.clone(), mean: per_record * items as f64 },
        item: 0.0,
        cpu: if work.cpu > 0.0 { full.clamp(0.0, 1.0) } else { 0.0 },
        batch: (items > 1).then(|| BatchModel { items, wait: batch_wait(stage) }),
        yields: 1.0,
        accepts: 1.0,
    }
}

/// Records in a batch, as they were: the recording does not tell what larger ones would cost.
fn batch(work: &Work) -> usize {
    if work.calls > 0.0 { ((work.records / work.calls).round() as usize).max(1) } else { 1 }
}

/// `100 items, 8000 tokens, 50ms` ends with how long a batch is waited for.
fn batch_wait(stage: &StageSnapshot) -> f64 {
    let wait = stage.settings.get("batch").and_then(|batch| batch.rsplit(", ").next());
    let wait = wait.and_then(|wait| docmill_api::units::parse_span(wait).ok());
    wait.map_or(BATCH_WAIT, |wait| wait.0.as_secs_f64())
}

/// The time that a stage's work takes where CPUs are not scarce. With all of them in use it takes longer by the clock, and
/// as long in CPU time.
fn seconds(stretch: &Stretch<'_>, index: usize, stage: &StageSnapshot, work: &Work) -> f64 {
    let cpus = stretch.to.host.cpus;
    let full = cpus > 0.0 && stretch.cpu_seconds() >= CPUS_FULL * cpus * stretch.seconds();
    if stage.tier != "cpu" || !full || work.cpu <= 0.0 {
        return work.busy;
    }
    work.busy.min(work.cpu / cpu_share(stretch.all, index))
}

/// CPU seconds in a second of work, over the moments in which CPUs were not scarce.
fn cpu_share(snapshots: &[Snapshot], index: usize) -> f64 {
    let (mut cpu, mut busy) = (0.0, 0.0);
    for pair in snapshots.windows(2) {
        let host = &pair[1].host;
        if host.cpus_used > 0.0 && host.cpus_used < CPUS_FULL * host.cpus {
            let since = Work::of(&pair[1], index).since(&Work::of(&pair[0], index));
            cpu += since.cpu;
            busy += since.busy;
        }
    }
    // Less than a second of it says nothing.
    if busy >= 1.0 && cpu > 0.0 { (cpu / busy).clamp(0.05, 1.0) } else { COMPUTING }
}

/// Says of each stage how many records it makes of one, and of each reader how many of those it accepts.
fn connect(snapshot: &Snapshot, stages: &mut [StageModel]) {
    let sent = |from: usize, to: usize| ratio(snapshot, from, &snapshot.stages[to]);
    let mut visits = vec![1.0; stages.len()];
    for index in 0..stages.len().min(snapshot.stages.len()) {
        let (before, after) = neighbours(snapshot, index);
        let source = is_source(&snapshot.stages[index]);
        if !source {
            let came = |from: &usize| visits[*from] * sent(*from, index);
            // A source's documents go to every stage that reads it.
            let offered = |from: &usize| if stages[*from].inputs.is_empty() { 1.0 } else { stages[*from].yields };
            let offers: f64 = before.iter().map(|from| visits[*from] * offered(from)).sum();
            let comes: f64 = before.iter().map(came).sum();
            stages[index].accepts = if offers > 0.0 { (comes / offers).min(1.0) } else { 1.0 };
            visits[index] = comes;
        }
        let most = after.iter().map(|to| sent(index, *to)).fold(0.0, f64::max);
        stages[index].yields = if after.is_empty() || source { 1.0 } else { most };
    }
}

/// The CPU time that no stage's own threads and children took goes to those that work on the event loop and in threads of
/// their own, by how long they are at work.
fn spread_overhead(stretch: &Stretch<'_>, stages: &mut [StageModel], works: &[Work], notes: &mut Vec<String>) {
    let indices = 0..stages.len();
    let own: f64 = indices.map(|index| stretch.work(index).cpu).sum();
    let documents = stretch.documents().max(1.0);
    let beside = (stretch.cpu_seconds() - own).max(0.0) / documents;
    let waits = |stage: &StageModel| stage.tier != "cpu" && !stage.inputs.is_empty();
    let busy_of = |index: usize| stretch.work(index).busy / documents;
    let busy: f64 = (0..stages.len()).filter(|index| waits(&stages[*index])).map(busy_of).sum();
    if beside <= 0.0 {
        return;
    }
    let share = beside / busy.max(f64::MIN_POSITIVE);
    let mut placed = 0.0;
    for index in 0..stages.len() {
        if waits(&stages[index]) && works[index].busy > 0.0 {
            let before = stages[index].cpu;
            stages[index].cpu = (before + share).min(1.0);
            placed += (stages[index].cpu - before) * busy_of(index);
        }
    }
    if placed < 0.8 * beside {
        notes.push(format!(
            "{:.1}ms of CPU time a document belong to no stage's work and are left out: CPUs are full somewhat earlier",
            1000.0 * (beside - placed)
        ));
    }
}

/// How many calls there are in the model for a real one, by service.
fn calls(stages: &[StageModel], works: &[Work]) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (stage, work) in stages.iter().zip(works).filter(|(stage, _)| !stage.service.is_empty()) {
        let items = stage.batch.map_or(1, |batch| batch.items) as f64;
        let sum = sums.entry(stage.service.clone()).or_default();
        sum.0 += work.records / items;
        // A stage that works in steps asks once a record.
        sum.1 += work.calls.min(work.records);
    }
    sums.into_iter().map(|(name, (model, real))| (name, if real > 0.0 { model / real } else { 1.0 })).collect()
}

/// What each model service takes: what it is told, or what was found out while it refused.
fn services(
    stretch: &Stretch<'_>,
    works: &[Work],
    calls: &BTreeMap<String, f64>,
    notes: &mut Vec<String>,
) -> BTreeMap<String, ServiceModel> {
    let mut services = BTreeMap::new();
    for (name, report) in &stretch.to.services {
        let asked = || stretch.to.stages.iter().zip(works).filter(|(stage, _)| stage.service == *name);
        if asked().next().is_none() {
            continue;
        }
        let held = |work: &Work| work.provider / (work.busy + work.gate + work.provider).max(f64::MIN_POSITIVE);
        let held = asked().map(|(_, work)| held(work)).fold(0.0, f64::max);
        let refused = ["rate_limited", "overloaded"].iter().any(|class| report.errors.contains_key(*class));
        let told = report.requests_per_minute;
        let limited = (held >= REFUSED && told <= 0.0) || refused;
        let seen: Vec<f64> = stretch
            .all
            .iter()
            .filter_map(|snapshot| Some(snapshot.services.get(name)?.concurrency as f64))
            .filter(|concurrency| *concurrency > 0.0)
            .collect();
        let mean = seen.iter().sum::<f64>() / (seen.len().max(1) as f64);
        let concurrency = if limited && mean > 0.0 { (mean.round() as usize).max(1) } else { 0 };
        notes.push(match (concurrency, told > 0.0) {
            (0, false) => format!("`{name}` takes any number of calls: it refused none in the run"),
            (0, true) => format!("`{name}` keeps to {told:.0} calls a minute, and takes any number at once"),
            (most, false) => format!("`{name}` takes {most} calls at once, as in the run"),
            (most, true) => format!("`{name}` takes {most} calls at once, as in the run, and {told:.0} a minute"),
        });
        let per_minute = told * calls.get(name).copied().unwrap_or(1.0);
        services.insert(name.clone(), ServiceModel { concurrency, per_minute, ..ServiceModel::default() });
    }
    services
}

fn bytes_of_a_document(stretch: &Stretch<'_>) -> u64 {
    let with = || stretch.all.iter().filter(|snapshot| snapshot.documents.unfinished > 0);
    let bytes: f64 = with().map(|snapshot| snapshot.memory_used as f64).sum();
    let documents: f64 = with().map(|snapshot| snapshot.documents.unfinished as f64).sum();
    if documents > 0.0 { (bytes / documents).round() as u64 } else { 0 }
}

/// What the process holds without documents in flight, and what a child holds.
fn memory(stretch: &Stretch<'_>) -> (f64, f64) {
    let process = |one: &Snapshot| one.host.rss_bytes as f64 - one.memory_used as f64;
    let child = |one: &Snapshot| one.host.children_rss_bytes as f64 / one.host.children.max(1) as f64;
    let most = |of: &dyn Fn(&Snapshot) -> f64| stretch.all.iter().map(of).fold(0.0, f64::max);
    (most(&process), most(&child))
}
