//! What a run does now: the difference between a snapshot and one of some seconds before.

use std::collections::VecDeque;

use super::snapshot::{Rates, Snapshot, StageNow, StageSnapshot};

/// How many seconds the figures of now are over: long enough that ten documents a second do not flicker, short enough that
/// a change of width shows while one looks.
const WINDOW: f64 = 5.0;

/// What is remembered of a snapshot for the difference.
#[derive(Clone, Debug, Default)]
struct Mark {
    at: f64,
    ended: u64,
    bytes: u64,
    chunks: u64,
    tokens: u64,
    stages: Vec<StageMark>,
}

#[derive(Clone, Debug, Default)]
struct StageMark {
    input: u64,
    output: u64,
    calls: u64,
    failed: u64,
    busy: f64,
    held: Vec<f64>,
    blocked: f64,
    starved: f64,
    cpu: f64,
    queue: f64,
}

/// Remembers the snapshots of the last seconds and says what has happened since.
#[derive(Debug, Default)]
pub struct Window {
    marks: VecDeque<Mark>,
}

impl Window {
    /// Fills in what a snapshot says of now. Snapshots come in the order in which they were taken.
    pub fn fill_in(&mut self, snapshot: &mut Snapshot) {
        let now = Mark::of(snapshot);
        while self.marks.len() > 1 && now.at - self.marks[1].at >= WINDOW {
            self.marks.pop_front();
        }
        if let Some(before) = self.marks.front().filter(|before| before.stages.len() == now.stages.len()) {
            fill_in(snapshot, before, &now, &self.marks);
        }
        self.marks.push_back(now);
    }
}

impl Mark {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            at: snapshot.seconds,
            ended: snapshot.documents.ended(),
            bytes: snapshot.bytes,
            chunks: snapshot.chunks,
            tokens: snapshot.tokens,
            stages: snapshot.stages.iter().map(StageMark::of).collect(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares and rates of counts that are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

impl StageMark {
    fn of(stage: &StageSnapshot) -> Self {
        Self {
            input: stage.input,
            output: stage.output,
            calls: stage.calls,
            failed: stage.failed,
            busy: stage.busy_seconds,
            held: stage.held_by.values().copied().collect(),
            blocked: stage.blocked_seconds,
            starved: stage.starved_seconds,
            cpu: stage.cpu_seconds,
            queue: float(stage.queue.length) / float(stage.queue.capacity.max(1)),
        }
    }
}

fn fill_in(snapshot: &mut Snapshot, before: &Mark, now: &Mark, marks: &VecDeque<Mark>) {
    let window = now.at - before.at;
    if window <= 0.0 {
        return;
    }
    let rate = |now: u64, before: u64| float(now.saturating_sub(before)) / window;
    snapshot.window = window;
    snapshot.rates = Rates {
        documents: rate(now.ended, before.ended),
        bytes: rate(now.bytes, before.bytes),
        chunks: rate(now.chunks, before.chunks),
        tokens: rate(now.tokens, before.tokens),
    };
    let listed = snapshot.listed;
    for (index, stage) in snapshot.stages.iter_mut().enumerate() {
        let (before, now) = (&before.stages[index], &now.stages[index]);
        let filled: f64 = marks.iter().filter_map(|mark| mark.stages.get(index)).map(|mark| mark.queue).sum();
        stage.now = StageNow {
            input: rate(now.input, before.input),
            output: rate(now.output, before.output),
            calls: rate(now.calls, before.calls),
            failed: rate(now.failed, before.failed),
            cpus: ((now.cpu - before.cpu) / window).max(0.0),
            service_ms: match now.calls.saturating_sub(before.calls) {
                0 => 0.0,
                calls => 1000.0 * (now.busy - before.busy) / float(calls),
            },
            queue: (filled + now.queue) / float(marks.len() as u64 + 1),
            ..shares(stage, before, now, (window, listed))
        };
    }
}

/// How a stage's workers spent their time. What they are in the middle of is told only when it is over: what is missing of
/// their time is counted as work of those that have a record in hand, and as waiting of the others; and where
/// more is told than there was time, it began before.
fn shares(stage: &StageSnapshot, before: &StageMark, now: &StageMark, (window, listed): (f64, bool)) -> StageNow {
    let workers = float(stage.workers_alive.max(1) as u64);
    let held: f64 = now.held.iter().sum::<f64>() - before.held.iter().sum::<f64>();
    let (mut busy, mut blocked) = (now.busy - before.busy, now.blocked - before.blocked);
    let mut starved = now.starved - before.starved;
    let told = busy + held + blocked + starved;
    let missing = (workers * window - told).max(0.0);
    let at_work = float(stage.in_hand as u64).min(workers) / workers;
    busy += missing * at_work;
    if stage.role == "source" {
        // What it lists not and has listed not all: it waits for a place, or for room.
        blocked += if listed { 0.0 } else { missing * (1.0 - at_work) };
    } else {
        starved += missing * (1.0 - at_work);
    }
    let all = busy + held + blocked + starved;
    if all <= 0.0 {
        return StageNow::default();
    }
    let held_by = stage.held_by.keys().zip(now.held.iter().zip(&before.held));
    let most = held_by.map(|(name, (now, before))| (now - before, name)).max_by(|a, b| a.0.total_cmp(&b.0));
    StageNow {
        busy: busy / all,
        held: held / all,
        blocked: blocked / all,
        starved: starved / all,
        held_by: most.filter(|(time, _)| *time > 0.0).map(|(_, name)| name.clone()).unwrap_or_default(),
        ..StageNow::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64, input: u64, busy: f64, starved: f64) -> Snapshot {
        let stage = StageSnapshot {
            role: "stage".into(),
            workers_alive: 2,
            input,
            calls: input,
            busy_seconds: busy,
            starved_seconds: starved,
            ..StageSnapshot::default()
        };
        Snapshot { seconds, stages: vec![stage], ..Snapshot::default() }
    }

    #[test]
    fn rates_are_over_the_last_seconds_and_not_over_the_run() {
        let mut window = Window::default();
        let mut last = Snapshot::default();
        for step in 0..=80_u32 {
            let seconds = f64::from(step) / 4.0;
            // Ten a second for ten seconds, then none.
            let done = (f64::from(step.min(40)) * 2.5).round();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
            let mut snapshot = at(seconds, done as u64, done * 0.1, seconds);
            window.fill_in(&mut snapshot);
            if step == 40 {
                assert!((snapshot.stages[0].now.input - 10.0).abs() < 0.2, "{:?}", snapshot.stages[0].now);
                assert!((snapshot.stages[0].now.service_ms - 100.0).abs() < 1.0);
                assert!((snapshot.window - 5.0).abs() < 0.01);
            }
            last = snapshot;
        }
        assert!(last.stages[0].now.input.abs() < 0.01);
    }

    #[test]
    fn a_worker_in_the_middle_of_a_long_call_is_busy() {
        let mut window = Window::default();
        let mut snapshot = at(0.0, 0, 0.0, 0.0);
        window.fill_in(&mut snapshot);
        let mut snapshot = at(4.0, 1, 0.0, 4.0);
        snapshot.stages[0].in_hand = 1;
        window.fill_in(&mut snapshot);
        let now = &snapshot.stages[0].now;
        assert!(now.busy > 0.2 && (now.busy + now.starved - 1.0).abs() < 1e-9, "{now:?}");
        // It ends, and its whole time is told at once: no share is above 1.
        let mut snapshot = at(5.0, 2, 30.0, 5.0);
        window.fill_in(&mut snapshot);
        let now = &snapshot.stages[0].now;
        assert!(now.busy <= 1.0 && now.busy > 0.8, "{now:?}");
    }
}
