//! What a load test measures, step by step: marks at the beginning, the middle and the end of each, and what lies between
//! them.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::profile::Step;
use super::threshold::Measured;
use crate::monitor::{ServiceTimes, Snapshot, StageSnapshot};

/// A run at the boundary of a step.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The run's counters.
    pub snapshot: Snapshot,
    /// How long documents took so far, in microseconds.
    pub times: Histogram<u64>,
    /// CPU time that process and children had used, in seconds.
    pub cpu_seconds: f64,
    /// What process and children held, in bytes.
    pub memory: u64,
}

/// A step that has begun.
#[derive(Debug)]
struct Begun {
    step: Step,
    begin: Mark,
    half: Option<Mark>,
    /// The most memory that was seen.
    peak: u64,
}

/// Puts a load test's steps together from marks, which come in the order of time.
#[derive(Debug, Default)]
pub struct Meter {
    begun: Vec<Begun>,
    /// When the last step was over.
    over: Option<Mark>,
    /// The most memory that was seen after that.
    peak_after: u64,
}

/// What was measured of a step.
#[derive(Clone, Debug, Serialize)]
pub struct Stretch {
    /// What was to be.
    #[serde(flatten)]
    pub step: Step,
    /// Whether this is what followed the last step: documents that were under way came to their end.
    pub finishing: bool,
    /// When it began, in seconds from the run's start.
    pub from: f64,
    /// When it ended.
    pub to: f64,
    /// Documents that were taken in in a second.
    pub taken_in: f64,
    /// Documents that came to an end in a second.
    pub achieved: f64,
    /// The same over the step's second half, when what was before it no longer counts.
    pub settled: f64,
    /// Documents that came to an end.
    pub documents: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Documents under way at its end.
    pub under_way: u64,
    /// How long the documents took that came to an end in it; zeros where none did.
    pub document_ms: ServiceTimes,
    /// CPUs in use.
    pub cpus: f64,
    /// The most memory that process and children held together whenever it was looked, in bytes.
    pub memory: u64,
    /// How long the second half was, in seconds.
    #[serde(skip)]
    pub half: f64,
    /// The run as if it had been this step alone, for what names a bottleneck.
    #[serde(skip)]
    pub seen: Snapshot,
}

/// All that was measured.
#[derive(Clone, Debug)]
pub struct Results {
    /// Step by step.
    pub stretches: Vec<Stretch>,
    /// What thresholds are compared with: all but the warm-up. Rates are over the steps; times and failures are of what
    /// came to an end after them as well.
    pub measured: Measured,
}

impl Meter {
    /// A step begins.
    pub fn begin(&mut self, step: Step, mark: Mark) {
        let peak = mark.memory;
        self.begun.push(Begun { step, begin: mark, half: None, peak });
    }

    /// The middle of a step.
    pub fn half(&mut self, mark: Mark) {
        self.look(mark.memory);
        if let Some(last) = self.begun.last_mut() {
            last.half = Some(mark);
        }
    }

    /// The last step is over, if it was not before.
    pub fn over(&mut self, mark: Mark) {
        self.look(mark.memory);
        self.over.get_or_insert(mark);
    }

    /// Whether the last step is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Notes what is in memory.
    pub fn look(&mut self, bytes: u64) {
        let peak = match self.begun.last_mut() {
            Some(last) if self.over.is_none() => &mut last.peak,
            _ => &mut self.peak_after,
        };
        *peak = bytes.max(*peak);
    }

    /// What was measured, once the run has ended.
    #[must_use]
    pub fn finish(self, end: &Mark) -> Results {
        let over = self.over.as_ref().unwrap_or(end);
        let ends = self.begun.iter().skip(1).map(|next| &next.begin).chain(std::iter::once(over));
        let mut stretches: Vec<Stretch> = self.begun.iter().zip(ends).map(|(begun, end)| stretch(begun, end)).collect();
        let first = self.begun.iter().find(|begun| !begun.step.warm_up).map(|begun| &begun.begin);
        let peaks = self.begun.iter().filter(|begun| !begun.step.warm_up).map(|begun| begun.peak);
        let memory = peaks.chain(std::iter::once(self.peak_after)).max().unwrap_or_default();
        let measured = first.map_or_else(Measured::default, |first| {
            let (of_steps, of_all) = (between(first, over), between(first, end));
            Measured {
                document_ms: ServiceTimes::of(&of_all.times),
                documents_per_second: rate(of_steps.snapshot.documents.ended(), of_steps.snapshot.seconds),
                bytes_per_second: rate(of_steps.snapshot.bytes, of_steps.snapshot.seconds),
                failed: of_all.snapshot.documents.failed,
                ended: of_all.snapshot.documents.ended(),
                memory,
                cpu: share(of_steps.cpu_seconds, of_steps.snapshot.seconds),
            }
        });
        if end.snapshot.documents.ended() > over.snapshot.documents.ended() {
            let rest = Begun { step: Step::default(), begin: over.clone(), half: None, peak: self.peak_after };
            stretches.push(Stretch { finishing: true, ..stretch(&rest, end) });
        }
        Results { stretches, measured }
    }
}

fn stretch(begun: &Begun, end: &Mark) -> Stretch {
    let (begin, whole) = (&begun.begin, between(&begun.begin, end));
    let second = between(begun.half.as_ref().unwrap_or(begin), end);
    let documents = &whole.snapshot.documents;
    let taken_in = end.snapshot.documents.seen.saturating_sub(begin.snapshot.documents.seen);
    let seconds = whole.snapshot.seconds;
    Stretch {
        step: begun.step,
        finishing: false,
        from: begin.snapshot.seconds,
        to: end.snapshot.seconds,
        taken_in: rate(taken_in, seconds),
        achieved: rate(documents.ended(), seconds),
        settled: rate(second.snapshot.documents.ended(), second.snapshot.seconds),
        documents: documents.ended(),
        failed: documents.failed,
        under_way: end.snapshot.documents.unfinished,
        document_ms: if whole.times.is_empty() { ServiceTimes::default() } else { ServiceTimes::of(&whole.times) },
        cpus: share(whole.cpu_seconds, seconds),
        memory: begun.peak,
        half: second.snapshot.seconds,
        seen: whole.snapshot,
    }
}

/// What happened from one mark to another. A document that failed and is tried again is failed no more: counts may fall.
fn between(begin: &Mark, end: &Mark) -> Mark {
    let mut times = end.times.clone();
    // Both are of one run, and the later one has all that the earlier one has.
    if times.subtract(&begin.times).is_err() {
        times.reset();
    }
    let (before, after) = (&begin.snapshot, &end.snapshot);
    let mut snapshot = Snapshot {
        seconds: (after.seconds - before.seconds).max(0.0),
        bytes: after.bytes.saturating_sub(before.bytes),
        ..after.clone()
    };
    let documents = &mut snapshot.documents;
    documents.done = documents.done.saturating_sub(before.documents.done);
    documents.unchanged = documents.unchanged.saturating_sub(before.documents.unchanged);
    documents.skipped = documents.skipped.saturating_sub(before.documents.skipped);
    documents.failed = documents.failed.saturating_sub(before.documents.failed);
    documents.cancelled = documents.cancelled.saturating_sub(before.documents.cancelled);
    // Whoever is under way now: the sum has to hold.
    documents.seen = documents.done
        + documents.unchanged
        + documents.skipped
        + documents.failed
        + documents.cancelled
        + documents.unfinished;
    for (stage, before_it) in snapshot.stages.iter_mut().zip(&before.stages) {
        subtract(stage, before_it, before.seconds, after.seconds);
    }
    Mark { snapshot, times, cpu_seconds: (end.cpu_seconds - begin.cpu_seconds).max(0.0), memory: end.memory }
}

fn subtract(stage: &mut StageSnapshot, before: &StageSnapshot, from: f64, to: f64) {
    stage.input = stage.input.saturating_sub(before.input);
    stage.output = stage.output.saturating_sub(before.output);
    stage.calls = stage.calls.saturating_sub(before.calls);
    stage.failed = stage.failed.saturating_sub(before.failed);
    stage.retries = stage.retries.saturating_sub(before.retries);
    stage.timeouts = stage.timeouts.saturating_sub(before.timeouts);
    stage.busy_seconds = (stage.busy_seconds - before.busy_seconds).max(0.0);
    stage.held_seconds = (stage.held_seconds - before.held_seconds).max(0.0);
    stage.blocked_seconds = (stage.blocked_seconds - before.blocked_seconds).max(0.0);
    stage.starved_seconds = (stage.starved_seconds - before.starved_seconds).max(0.0);
    stage.cpu_seconds = (stage.cpu_seconds - before.cpu_seconds).max(0.0);
    for (cause, seconds) in &mut stage.held_by {
        *seconds = (*seconds - before.held_by.get(cause).copied().unwrap_or_default()).max(0.0);
    }
    // Sampled at a steady rate from the run's start: the means count by their time.
    if to > from {
        stage.queue.mean = ((stage.queue.mean * to - before.queue.mean * from) / (to - from)).max(0.0);
    }
}

fn rate(count: u64, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown, not reckoned with")]
    let count = count as f64;
    share(count, seconds)
}

fn share(amount: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount / seconds } else { 0.0 }
}

/// Where more load no longer brings more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Knee {
    /// The last step, by its place, at which the pipeline kept up.
    pub kept_up: Option<usize>,
    /// The first at which it did not.
    pub fell_behind: Option<usize>,
}

/// What of an offered rate has to come to an end in the second half of a step: less is falling behind, where it is more
/// than chance. Documents end in batches, and of `n` of them the square root of `n` may well be on the other side of a mark.
const KEPT: f64 = 0.95;

/// What of the growth in documents at once has to show as throughput.
const WORTH: f64 = 0.2;

/// Finds the knee of a test of several steps; `None` where there is nothing to compare.
#[must_use]
pub fn knee(stretches: &[Stretch]) -> Option<Knee> {
    let steps: Vec<(usize, &Stretch)> =
        stretches.iter().enumerate().filter(|(_, stretch)| !stretch.step.warm_up && !stretch.finishing).collect();
    if steps.len() < 2 {
        return None;
    }
    let mut kept_up = None;
    for (at, (index, stretch)) in steps.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| steps.get(before)).map(|(_, before)| *before);
        if falls_behind(stretch, before) {
            return Some(Knee { kept_up, fell_behind: Some(*index) });
        }
        kept_up = Some(*index);
    }
    Some(Knee { kept_up, fell_behind: None })
}

fn falls_behind(stretch: &Stretch, before: Option<&Stretch>) -> bool {
    if let Some(offered) = stretch.step.rate {
        let wanted = offered * stretch.half;
        return stretch.settled * stretch.half < (KEPT * wanted).min(wanted - wanted.sqrt());
    }
    let (Some(at_once), Some(before)) = (stretch.step.at_once, before) else { return false };
    let Some(less) = before.step.at_once.filter(|less| *less < at_once && before.settled > 0.0) else { return false };
    #[expect(clippy::cast_precision_loss, reason = "some thousands of documents at once")]
    let grown = at_once as f64 / less as f64 - 1.0;
    stretch.settled / before.settled - 1.0 < WORTH * grown
}

#[cfg(test)]
mod tests;
