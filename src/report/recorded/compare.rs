//! Two runs side by side, and whether the one was faster than the other.
//!
//! One run a side tells how much throughput varied within each, and nothing of how it would vary from run to run: a
//! difference of a few percent counts as none, and the verdict says how sure it is.

use serde::Serialize;

use super::digest::Digest;
use super::stages::{Shares, StageDigest};
use super::statistics::{Effect, interval};
use super::words::{float, percent, quoted, rounded};

/// A smaller difference between two runs says nothing: the same run, done twice, differs by as much.
const LEAST: f64 = 0.03;

/// What differs between a run and the one that it is compared with.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// `faster by 31 %`, `no difference beyond noise` …
    pub verdict: String,
    /// Why the two may not be comparable, a sentence each.
    pub notes: Vec<String>,
    /// Documents a second.
    pub throughput: Effect,
    /// Figures of the whole run.
    pub rows: Vec<Row>,
    /// Figures of each stage that either has.
    pub stages: Vec<StageRow>,
}

/// A figure of both runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// Which.
    pub name: &'static str,
    /// `per_second`, `seconds`, `count`, `ms` or `bytes`.
    pub unit: &'static str,
    /// Of the run.
    pub run: f64,
    /// Of the one that it is compared with.
    pub vs: f64,
    /// By how much it grew, as a share; none where there was nothing.
    pub change: Option<f64>,
}

/// A stage of both runs. What a run lacks is none.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StageRow {
    /// Its id.
    pub id: String,
    /// Its width at the end, of the run and of the other.
    pub width: (Option<usize>, Option<usize>),
    /// Half of the calls are faster, in milliseconds.
    pub p50_ms: (Option<f64>, Option<f64>),
    /// 95 of 100 calls are faster, in milliseconds.
    pub p95_ms: (Option<f64>, Option<f64>),
    /// By how much the median grew, as a share.
    pub change: Option<f64>,
    /// How its workers spent their time.
    pub shares: (Option<Shares>, Option<Shares>),
}

impl Comparison {
    /// Compares a run with another.
    pub(super) fn of(run: &Digest, vs: &Digest) -> Self {
        let throughput = Effect::between(vs.throughput, run.throughput, LEAST);
        Self {
            verdict: verdict(&throughput),
            notes: notes(run, vs),
            throughput,
            rows: rows(run, vs),
            stages: stages(run, vs),
        }
    }
}

fn verdict(throughput: &Effect) -> String {
    let Some(change) = throughput.change else { return "nothing to compare with: no document ended".to_owned() };
    let within = throughput.within.map_or(String::new(), |within| format!(" ({})", interval(within)));
    match (throughput.beyond_noise, change) {
        (Some(true), change) if change > 0.0 => format!("faster by {}{within}", percent(change)),
        (Some(true), change) => format!("slower by {}{within}", percent(-change)),
        (Some(false), _) => format!("no difference beyond noise{within}"),
        (None, _) => "too short to tell a difference from noise".to_owned(),
    }
}

fn notes(run: &Digest, vs: &Digest) -> Vec<String> {
    let mut notes = Vec::new();
    if run.pipeline != vs.pipeline {
        notes.push(format!(
            "The pipelines have different names: {} and {}.",
            quoted(&run.pipeline),
            quoted(&vs.pipeline)
        ));
    }
    let (one, other) = (&run.totals, &vs.totals);
    if one.documents.ended() != other.documents.ended() {
        notes.push("They ended different numbers of documents.".to_owned());
    }
    if one.documents.unchanged != other.documents.unchanged {
        notes.push("Different numbers of documents were unchanged, which costs next to nothing.".to_owned());
    }
    let mean = |digest: &Digest| float(digest.totals.bytes) / float(digest.totals.documents.ended().max(1));
    if change(mean(run), mean(vs)).is_some_and(|change| change.abs() > 0.1) {
        notes.push("The documents are not alike: their mean size differs by more than a tenth.".to_owned());
    }
    if (one.cpus - other.cpus).abs() > 0.01 {
        notes.push(format!("They had different CPUs: {:.1} and {:.1}.", one.cpus, other.cpus));
    }
    for (digest, which) in [(run, "This run"), (vs, "The other run")] {
        if !digest.incomplete.is_empty() {
            notes.push(format!("{which} is not recorded to its end."));
        }
    }
    notes
}

/// By how much a number grew, as a share.
fn change(run: f64, vs: f64) -> Option<f64> {
    (vs > 0.0).then(|| rounded(run / vs - 1.0))
}

fn rows(run: &Digest, vs: &Digest) -> Vec<Row> {
    let row = |name, unit, of: &dyn Fn(&Digest) -> f64| {
        let (run, vs) = (of(run), of(vs));
        Row { name, unit, run: rounded(run), vs: rounded(vs), change: change(run, vs) }
    };
    let mut rows = vec![
        row("Documents a second", "per_second", &|digest| digest.totals.documents_per_second),
        row("Time", "seconds", &|digest| digest.seconds),
        row("Documents", "count", &|digest| float(digest.totals.documents.seen)),
        row("Failed", "count", &|digest| float(digest.totals.documents.failed)),
        row("Chunks", "count", &|digest| float(digest.totals.chunks)),
        row("Tokens", "count", &|digest| float(digest.totals.tokens)),
        row("Document, median", "ms", &|digest| digest.totals.document_ms.p50),
        row("Document, 95 of 100", "ms", &|digest| digest.totals.document_ms.p95),
        row("CPU time", "seconds", &|digest| digest.totals.cpu_seconds),
        row("Peak memory", "bytes", &|digest| float(digest.totals.peak_rss)),
        row("Peak in flight", "bytes", &|digest| float(digest.totals.memory_peak)),
    ];
    if run.totals.cost > 0.0 || vs.totals.cost > 0.0 {
        rows.push(row("Cost", "cost", &|digest| digest.totals.cost));
    }
    rows
}

fn stages(run: &Digest, vs: &Digest) -> Vec<StageRow> {
    let gone = vs.stages.iter().filter(|stage| run.stage(&stage.id).is_none());
    let row = |stage: &StageDigest| {
        let both = (run.stage(&stage.id), vs.stage(&stage.id));
        let p50_ms = of_both(both, |stage| stage.service_ms.p50);
        StageRow {
            id: stage.id.clone(),
            width: of_both(both, |stage| stage.width),
            p50_ms,
            p95_ms: of_both(both, |stage| stage.service_ms.p95),
            change: p50_ms.0.zip(p50_ms.1).and_then(|(run, vs)| change(run, vs)),
            shares: of_both(both, |stage| stage.shares),
        }
    };
    run.stages.iter().chain(gone).map(row).collect()
}

fn of_both<T>(
    (run, vs): (Option<&StageDigest>, Option<&StageDigest>),
    of: impl Fn(&StageDigest) -> T,
) -> (Option<T>, Option<T>) {
    (run.map(&of), vs.map(&of))
}
