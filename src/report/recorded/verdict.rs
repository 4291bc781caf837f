//! What a run comes to, in words: what bounded throughput over which part of the time, and what to do about it.
//!
//! The bottleneck is the tuner's (`tune::bottleneck`), asked of one piece of the run after the other: one answer for a
//! whole run hides that a service was slow for ten minutes of an hour.

use serde::Serialize;

use super::digest::Digest;
use super::series::{Cut, mean, within};
use super::stages::{Shares, StageDigest, fill};
use super::words::{clock, documents, float, number, percent, quoted, rate, rounded, span};
use crate::monitor::{HostSnapshot, QueueSnapshot, Snapshot, StageNow, StageSnapshot};
use crate::tune::{Bottleneck, bottleneck};

/// How many pieces a run is judged in at most, and how long one is at least: as long as what is said of "now" is over.
const PIECES: f64 = 40.0;
const LEAST: f64 = 5.0;

/// A stage that is at work less than this share of its time bounds nothing.
const AT_WORK: f64 = 0.5;

/// Which share of the CPUs in use means that there are none left.
const CPUS_ARE_USED: f64 = 0.85;

/// What a run comes to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// What bounded throughput, in a sentence.
    pub headline: String,
    /// The evidence and what else stands out, a sentence each.
    pub findings: Vec<String>,
    /// What to do, a sentence each; empty where nothing is.
    pub advice: Vec<String>,
    /// What bounded throughput most of the time.
    pub bottleneck: Bottleneck,
    /// Over which share of the run it did.
    pub share: f64,
    /// What bounded it when.
    pub phases: Vec<Phase>,
}

/// A stretch of time in which the same thing bounded throughput.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Phase {
    /// From when, in seconds from the run's start.
    pub from: f64,
    /// Up to when.
    pub to: f64,
    /// The stage; empty where none did.
    pub stage: String,
    /// What of it was scarce.
    pub resource: String,
}

impl Verdict {
    /// Judges a run. The digest is complete but for the verdict.
    pub(super) fn of(digest: &Digest, snapshots: &[Snapshot]) -> Self {
        let phases = phases(snapshots);
        let mut told = Self { phases, ..Self::default() };
        let Some((stage, resource, share)) = told.most() else {
            told.headline = match digest.totals.documents.seen {
                0 => "No document was taken in.".to_owned(),
                _ => "No stage was at work for long enough to bound throughput.".to_owned(),
            };
            told.findings = other_findings(digest);
            return told;
        };
        told.share = rounded(share);
        let (name, scarce) = (quoted(&stage), scarce(&resource, digest, &stage));
        told.headline = match percent(share).as_str() {
            "100 %" => format!("{name} bounded throughput all the time: {scarce}."),
            part => format!("{name} bounded throughput over {part} of the run: {scarce}."),
        };
        let because = evidence(digest, &stage, &told.phases);
        told.findings = vec![format!("{because}.")];
        told.findings.extend(told.others(&stage, &resource));
        told.findings.extend(other_findings(digest));
        if let Some(found) = digest.stage(&stage) {
            told.advice = advice(digest, found, &resource);
        }
        told.bottleneck = Bottleneck { stage, resource, because };
        told
    }

    /// What bounded throughput for the longest time, and over which share of it.
    fn most(&self) -> Option<(String, String, f64)> {
        self.by_share().into_iter().next()
    }

    /// What bounded throughput, the longest first.
    fn by_share(&self) -> Vec<(String, String, f64)> {
        let all: f64 = self.phases.iter().map(|phase| phase.to - phase.from).sum();
        let mut shares: Vec<(String, String, f64)> = Vec::new();
        for phase in self.phases.iter().filter(|phase| !phase.stage.is_empty()) {
            let share = if all > 0.0 { (phase.to - phase.from) / all } else { 1.0 };
            match shares.iter_mut().find(|(stage, resource, _)| *stage == phase.stage && *resource == phase.resource) {
                Some(known) => known.2 += share,
                None => shares.push((phase.stage.clone(), phase.resource.clone(), share)),
            }
        }
        shares.sort_by(|a, b| b.2.total_cmp(&a.2));
        shares
    }

    /// What else bounded it, where that was a good part of the time.
    fn others(&self, stage: &str, resource: &str) -> Vec<String> {
        let others =
            self.by_share().into_iter().filter(|other| (other.0.as_str(), other.1.as_str()) != (stage, resource));
        let worth_telling = others.filter(|(_, _, share)| *share >= 0.08).take(3);
        let when = |stage: &str, resource: &str| {
            let same = |phase: &&Phase| phase.stage == stage && phase.resource == resource;
            let longest = self.phases.iter().filter(same).max_by(|a, b| (a.to - a.from).total_cmp(&(b.to - b.from)));
            longest.map_or(String::new(), |phase| format!("from {} to {}", clock(phase.from), clock(phase.to)))
        };
        worth_telling
            .map(|(stage, resource, share)| {
                let when = when(&stage, &resource);
                let (name, why) = (quoted(&stage), short(&resource));
                format!("{name} ({why}) did over {} of it, longest {when}.", percent(share))
            })
            .collect()
    }
}

/// What bounded throughput when; neighbours that are alike are one.
fn phases(snapshots: &[Snapshot]) -> Vec<Phase> {
    let seconds = snapshots.last().map_or(0.0, |last| last.seconds);
    let mut phases: Vec<Phase> = Vec::new();
    for (from, to) in Cut::into_at_most(PIECES, LEAST, seconds).pieces() {
        let found = bounds(within(snapshots, from, to), to - from);
        match phases.last_mut() {
            Some(last) if last.stage == found.stage && last.resource == found.resource => last.to = rounded(to),
            _ => phases.push(Phase {
                from: rounded(from),
                to: rounded(to),
                stage: found.stage,
                resource: found.resource,
            }),
        }
    }
    phases
}

/// The tuner's answer for a piece of a run, as if there had been no more of it.
fn bounds(looked: &[Snapshot], seconds: f64) -> Bottleneck {
    let Some(last) = looked.last() else { return Bottleneck::default() };
    let stages: Vec<StageSnapshot> =
        last.stages.iter().enumerate().map(|(index, stage)| piece_of(stage, index, looked, seconds)).collect();
    // The CPUs in use in the piece, not over the run up to its end.
    let cpu_seconds = seconds * mean(looked.iter().map(|snapshot| snapshot.host.cpus_used));
    let host = HostSnapshot { cpu_seconds, ..last.host };
    let found = bottleneck(&Snapshot { seconds, window: seconds, stages, host, ..last.clone() });
    let at_work = last.stages.iter().position(|stage| stage.id == found.stage).map(|index| Shares::over(looked, index));
    if at_work.is_some_and(|shares| shares.busy + shares.held < AT_WORK) {
        return Bottleneck::default();
    }
    found
}

/// A stage as if the run had been this piece of it alone.
fn piece_of(last: &StageSnapshot, index: usize, looked: &[Snapshot], seconds: f64) -> StageSnapshot {
    let stages = || looked.iter().filter_map(|snapshot| snapshot.stages.get(index));
    let shares = Shares::over(looked, index);
    let time = seconds * mean(stages().map(|stage| number(stage.width)));
    let queue = mean(stages().map(|stage| float(stage.queue.length)));
    let held = shares.held * time;
    // What held it in the piece, where the snapshot says so; the whole run's causes otherwise, in their proportion.
    let all: f64 = last.held_by.values().sum();
    let held_by = if last.now.held_by.is_empty() {
        last.held_by.iter().filter(|_| all > 0.0).map(|(cause, of)| (cause.clone(), held * of / all)).collect()
    } else {
        std::iter::once((last.now.held_by.clone(), held)).collect()
    };
    StageSnapshot {
        busy_seconds: shares.busy * time,
        held_seconds: held,
        held_by,
        blocked_seconds: shares.blocked * time,
        starved_seconds: shares.starved * time,
        queue: QueueSnapshot { mean: queue, ..last.queue },
        now: StageNow {
            busy: shares.busy,
            held: shares.held,
            blocked: shares.blocked,
            starved: shares.starved,
            queue: mean(stages().map(fill)),
            ..last.now.clone()
        },
        ..last.clone()
    }
}

/// What a resource is called in a sentence.
fn scarce(resource: &str, digest: &Digest, stage: &str) -> String {
    let width = digest.stage(stage).map_or(1, |stage| stage.width.max(stage.width_before));
    match resource {
        "cpu" => "its work is CPU time".to_owned(),
        "memory" => "it waited for memory".to_owned(),
        "source" => "documents were listed no faster".to_owned(),
        "retry" => "it waited to try again what had failed".to_owned(),
        "provider" => "it waited for its model service".to_owned(),
        "width" if width == 1 => "its one worker could do no more".to_owned(),
        "width" => format!("its {width} workers could do no more"),
        other => format!("it waited for {other}"),
    }
}

fn short(resource: &str) -> &str {
    match resource {
        "cpu" => "CPU",
        "provider" => "model service",
        other => other,
    }
}

/// How a stage's workers spent the time in which it bounded throughput, and what its neighbours did.
fn evidence(digest: &Digest, id: &str, phases: &[Phase]) -> String {
    let Some(index) = digest.stages.iter().position(|stage| stage.id == id) else { return String::new() };
    let stage = &digest.stages[index];
    let step = digest.series.step;
    let bounds = |point: usize| {
        let middle = (number(point) + 0.5) * step;
        phases.iter().any(|phase| phase.stage == id && phase.from <= middle && middle <= phase.to.max(step))
    };
    let over = |of: &[f64]| mean(of.iter().enumerate().filter(|(point, _)| bounds(*point)).map(|(_, share)| *share));
    let mut told = format!("Then its workers were busy {} of their time", percent(over(&stage.series.busy)));
    let held = over(&stage.series.held);
    if held >= 0.01 {
        told.push_str(&format!(" and held {}", percent(held)));
    }
    if stage.queue_capacity > 0 {
        told.push_str(&format!(", its queue was {} full", percent(over(&stage.series.queue))));
    }
    let blocked = digest.stages[..index].iter().map(|other| over(&other.series.blocked)).fold(0.0, f64::max);
    if blocked >= 0.2 {
        told.push_str(&format!(", stages before it waited up to {} of theirs for room", percent(blocked)));
    }
    let starved = digest.stages[index + 1..].iter().map(|other| over(&other.series.starved)).fold(0.0, f64::max);
    if starved >= 0.2 {
        told.push_str(&format!(", stages behind it up to {} for input", percent(starved)));
    }
    told
}

/// What else stands out: failures, memory, changes.
fn other_findings(digest: &Digest) -> Vec<String> {
    let mut findings = Vec::new();
    let (totals, counts) = (&digest.totals, &digest.totals.documents);
    if counts.failed > 0 {
        let share = percent(float(counts.failed) / float(counts.seen.max(1)));
        let most = digest.failures.first();
        let most = most.map_or(String::new(), |group| format!(", most in {} ({})", quoted(&group.stage), group.class));
        findings.push(format!("{} of {} failed ({share}){most}.", counts.failed, documents(counts.seen)));
    }
    let used = float(totals.memory_peak) / float(totals.memory_budget.max(1));
    if totals.memory_budget > 0 && used >= 0.9 {
        findings.push(format!("Documents in flight filled {} of the memory budget.", percent(used.min(1.0))));
    }
    for (name, service) in digest.services.iter().filter(|(_, service)| service.breaker_opened > 0) {
        findings.push(format!(
            "The service {} did not answer and was left alone {}×.",
            quoted(name),
            service.breaker_opened
        ));
    }
    let told = |rose: fn(&f64) -> bool| {
        let beyond = digest.changes.iter().filter(|change| change.effect.beyond_noise == Some(true));
        beyond.filter_map(|change| change.effect.change).filter(rose).count()
    };
    if !digest.changes.is_empty() {
        let all = digest.changes.len();
        let noun = if all == 1 { "change of width" } else { "changes of width" };
        let (rose, fell) = (told(|change| *change > 0.0), told(|change| *change < 0.0));
        findings.push(format!("{all} {noun}: throughput rose by more than noise after {rose}, fell after {fell}."));
    }
    findings
}

/// What to do about a bottleneck.
fn advice(digest: &Digest, stage: &StageDigest, resource: &str) -> Vec<String> {
    let id = quoted(&stage.id);
    let wider = |so_that: &str| {
        let (_, max) = stage.bounds;
        if max > 0 && stage.width >= max {
            format!("{id} is as wide as it may be: raise its `max` above {max}{so_that}.")
        } else {
            let set = quoted(&format!("--set stages.{}.width=N", stage.id));
            format!("Widen {id} beyond {}{so_that}: {set}.", stage.width)
        }
    };
    let (used, cpus) = (mean(digest.series.cpus.iter().copied()), digest.totals.cpus);
    match resource {
        "cpu" if cpus > 0.0 && used >= CPUS_ARE_USED * cpus => vec![format!(
            "The CPUs were in use ({used:.1} of {cpus:.1}): more of them, or less work for {id}, is what helps; a larger \
             width is not."
        )],
        "cpu" | "width" if cpus > 0.0 && stage.tier == "cpu" => vec![wider(&format!(" (only {used:.1} of {cpus:.1} CPUs were in use)"))],
        "width" => vec![wider("")],
        "memory" => vec!["Raise `[run] memory`, or give fewer bytes at once to wide stages behind large documents.".into()],
        "source" => vec![
            "The stages could have taken in more: a faster listing is what helps, and no width. Narrower stages would do \
             as well."
                .into(),
        ],
        "provider" => {
            let service = if stage.service.is_empty() { "its service".to_owned() } else { quoted(&stage.service) };
            vec![format!("{service} gives no more at its limits: raise them with the provider, then `concurrency` or `requests_per_minute`.")]
        }
        "retry" => vec![format!("See what {id} failed with below: what is tried again costs the time of new work.")],
        _ => Vec::new(),
    }
}

/// A run's length and speed in one line.
pub(super) fn in_short(digest: &Digest) -> String {
    let totals = &digest.totals;
    let (ended, speed) = (documents(totals.documents.ended()), rate(totals.documents_per_second));
    format!("{ended} in {}, {speed} a second", span(digest.seconds))
}
