//! The charts of the whole run: throughput, memory, CPU.

use super::super::super::size;
use super::super::RecordedRun;
use super::super::digest::Digest;
use super::super::words::{clock, float, rate, span, whole};
use super::svg::{Frame, tick};

/// A chart over the page's whole width, and one over half of it.
pub(super) const WIDE: f64 = 960.0;
const HALF: f64 = 470.0;

/// More marks than this are drawn without their numbers, which would lie upon each other.
const NUMBERED: usize = 40;

/// Documents a second over time, with marks where widths changed and the other run's line.
pub(super) fn throughput(recorded: &RecordedRun) -> String {
    let (run, vs) = (&recorded.run, recorded.vs.as_ref());
    let seconds = vs.map_or(run.seconds, |vs| vs.seconds.max(run.seconds));
    let other = vs.map(|vs| &vs.series.documents);
    let most = run.series.documents.iter().chain(other.into_iter().flatten()).copied().fold(0.0, f64::max);
    let mut frame = Frame::new((WIDE, 260.0), seconds, most * 1.02);
    frame.values(tick);
    frame.area("fill-1", run.series.step, &run.series.documents, run.seconds);
    if let Some(vs) = vs {
        frame.line("line-2 dashed", vs.series.step, &vs.series.documents, vs.seconds);
        frame.level("line-2 dotted", vs.totals.documents_per_second, "other run, mean");
    }
    frame.line("line-1", run.series.step, &run.series.documents, run.seconds);
    frame.times();
    marks(&mut frame, run);
    let mean = rate(run.totals.documents_per_second);
    let description = format!(
        "Documents a second over {}: {mean} on average, {} at most, {}.",
        span(run.seconds),
        rate(most),
        match run.changes.len() {
            0 => "no change of width".to_owned(),
            1 => "one change of width is marked".to_owned(),
            many => format!("{many} changes of width are marked"),
        }
    );
    frame.finish("throughput", "Documents a second", &description)
}

/// A mark for each change of a width.
pub(super) fn marks(frame: &mut Frame, run: &Digest) {
    for change in &run.changes {
        let number = (run.changes.len() <= NUMBERED).then_some(change.number);
        let (at, stage, from, to) = (clock(change.at), &change.stage, change.from, change.to);
        let title = format!("{}: {at} {stage} {from} → {to} by {}", change.number, change.by);
        frame.mark(change.at, number, &title);
    }
}

/// Memory over time: what documents in flight hold, and what the process holds.
pub(super) fn memory(run: &Digest) -> String {
    let bytes = |series: &[u64]| series.iter().map(|bytes| float(*bytes)).collect::<Vec<_>>();
    let (used, rss) = (bytes(&run.series.memory_used), bytes(&run.series.rss));
    let (budget, limit) = (float(run.totals.memory_budget), float(run.totals.memory_limit));
    let seen = used.iter().chain(&rss).copied().fold(0.0, f64::max);
    // A budget or limit that is far away would press the rest flat: it is told in words.
    let near = |level: f64| level > 0.0 && level <= 2.5 * seen;
    let levels = [budget, limit].into_iter().filter(|level| near(*level)).fold(0.0, f64::max);
    let most = seen.max(levels);
    let mut frame = Frame::new((HALF, 220.0), run.seconds, most).of_bytes(most);
    frame.values(|value| size(whole(value)));
    frame.area("fill-1", run.series.step, &used, run.seconds);
    frame.line("line-1", run.series.step, &used, run.seconds);
    frame.line("line-2 dashed", run.series.step, &rss, run.seconds);
    if near(budget) {
        frame.level("line-3 dotted", budget, "budget");
    }
    if near(limit) {
        frame.level("line-4 dotted", limit, "limit");
    }
    frame.times();
    let description = format!(
        "Documents in flight held {} at most, of a budget of {}; the process and its children {} at most{}.",
        size(run.totals.memory_peak),
        size(run.totals.memory_budget),
        size(run.totals.peak_rss),
        if run.totals.memory_limit > 0 { format!(", of {}", size(run.totals.memory_limit)) } else { String::new() }
    );
    frame.finish("memory", "Memory over time", &description)
}

/// CPUs in use over time.
pub(super) fn cpu(run: &Digest) -> String {
    let most = run.series.cpus.iter().copied().fold(0.0, f64::max);
    let all = run.totals.cpus;
    let near = all > 0.0 && all <= 4.0 * most.max(0.25);
    let mut frame = Frame::new((HALF, 220.0), run.seconds, if near { most.max(all) } else { most });
    frame.values(tick);
    frame.area("fill-1", run.series.step, &run.series.cpus, run.seconds);
    frame.line("line-1", run.series.step, &run.series.cpus, run.seconds);
    if near {
        frame.level("line-3 dotted", all, "all");
    }
    frame.times();
    let description = format!("CPUs in use: {} at most, of {all:.1}.", rate(most));
    frame.finish("cpu", "CPUs in use over time", &description)
}
