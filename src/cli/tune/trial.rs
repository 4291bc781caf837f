//! One trial: a run with fixed widths over the sample, measured after it has warmed up, and then stopped. Its state and
//! its store are deleted with it.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use docmill_api::Registry;
use tokio::sync::mpsc;

use super::super::ENVIRONMENT;
use super::super::carry_out::{Begun, Started, State, Work, carry_out};
use super::super::load::Rows;
use super::super::load::docs::Documents;
use super::super::load::redirect::{Scratch, redirect};
use super::super::pipeline_args::USAGE;
use super::super::progress::Ui;
use super::super::run::INTERRUPTED;
use super::search::Measured;
use crate::control::Command;
use crate::monitor::{DocumentCounts, Snapshot};
use crate::plan::Plan;
use crate::runtime::{RunEnd, View};
use crate::tune::{Planner, PlannerSettings, bottleneck_now};

/// This share of a trial's time is left out at its beginning.
const WARM_UP: f64 = 0.3;
/// What is measured is cut into so many windows at most, whose spread says how sure it is.
const WINDOWS: usize = 8;
/// A trial waits for its first document for so many times as long as it lasts.
const PATIENCE: f64 = 10.0;
/// What is under way when a trial is interrupted has so long to end: nobody waits for what is thrown away.
const DRAIN: Duration = Duration::from_secs(2);

/// What all trials have in common.
pub(super) struct Setting<'a> {
    pub(super) plan: &'a Plan,
    pub(super) documents: &'a Documents,
    pub(super) into: Rows,
    pub(super) seconds: f64,
    pub(super) registry: &'a Registry,
}

/// What a trial brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial {
    pub(super) measured: Measured,
    /// Seconds that were measured.
    pub(super) seconds: f64,
    /// Documents of the whole trial, its beginning included.
    pub(super) documents: DocumentCounts,
    /// CPUs in use.
    pub(super) cpus: f64,
    /// Calls that were made, by model service.
    pub(super) calls: BTreeMap<String, u64>,
}

/// How a trial ended that brought nothing: what to say, and the exit code.
pub(super) struct Ended {
    pub(super) message: String,
    pub(super) code: u8,
}

/// Makes a trial with these widths, in the order of the plan's stages.
///
/// # Errors
/// The event loop cannot start, or `err` cannot be written.
pub(super) fn carry(
    setting: &Setting<'_>,
    widths: &[usize],
    err: &mut dyn Write,
) -> anyhow::Result<Result<Trial, Ended>> {
    let scratch = Scratch::new().context("cannot make a directory for the trial's state")?;
    let mut plan = match redirect(setting.plan, setting.into, &scratch) {
        Ok(mut changed) => {
            changed.give(setting.documents);
            changed.plan
        }
        Err(message) => return Ok(Err(Ended { message, code: USAGE })),
    };
    plan.run.drain = DRAIN;
    // What this machine does by itself is tried.
    plan.cluster = None;
    for (stage, width) in plan.stages.iter_mut().zip(widths) {
        stage.width.start = *width;
        // Nobody changes it while it is tried.
        stage.width.auto = false;
    }
    let notes = Arc::new(Mutex::new(Notes::new(plan.run.cpu_threads)));
    let work = Work { begun: Some(begin(setting.seconds, Arc::clone(&notes))), ..Work::default() };
    let failed = |code| Ok(Err(Ended { message: String::new(), code }));
    let state = match State::open(&plan, true, err)? {
        Ok(state) => state,
        Err(code) => return failed(code),
    };
    let ran = match carry_out(plan, setting.registry, &state, work, Ui::None, err)? {
        Ok(ran) => ran,
        Err(code) => return failed(code),
    };
    let notes = std::mem::take(&mut *noting(&notes));
    Ok(match ran.end {
        RunEnd::Fatal { stage, error } => {
            Err(Ended { message: format!("stage `{stage}`: {error}"), code: ENVIRONMENT })
        }
        RunEnd::Stopped | RunEnd::Drained if !notes.over => {
            Err(Ended { message: "interrupted".to_owned(), code: INTERRUPTED })
        }
        _ => notes.told(&ran.view.snapshot()).ok_or_else(|| Ended {
            message: format!(
                "no document came to its end in {:.0}s\nhint: give each trial more time by `--seconds`",
                PATIENCE * setting.seconds
            ),
            code: USAGE,
        }),
    })
}

/// What is noted while a trial goes on.
#[derive(Debug, Default)]
struct Notes {
    planner: Planner,
    /// Seconds, documents that have ended, CPU seconds: since it was warm.
    marks: Vec<(f64, u64, f64)>,
    last: Option<Arc<Snapshot>>,
    /// Whether it had its time.
    over: bool,
}

fn noting(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches the run beside it, and stops it when its time is up.
fn begin(seconds: f64, notes: Arc<Mutex<Notes>>) -> Begun {
    Box::new(move |Started { view, commands, .. }| {
        tokio::spawn(watch(view, commands, seconds, notes));
        None
    })
}

async fn watch(view: View, commands: mpsc::Sender<Command>, seconds: f64, notes: Arc<Mutex<Notes>>) {
    let mut published = view.published();
    while published.changed().await.is_ok() {
        let snapshot = Arc::clone(&published.borrow_and_update());
        if snapshot.state.is_over() {
            return;
        }
        if noting(&notes).look(&snapshot, seconds) {
            // A run that has just ended takes no command, and needs none.
            let _ = commands.send(Command::Stop).await;
            return;
        }
    }
}

impl Notes {
    fn new(cpu_threads: usize) -> Self {
        let planner = Planner::new(PlannerSettings { cpu_threads, all: true, ..PlannerSettings::default() });
        Self { planner, ..Self::default() }
    }

    /// Notes what the run looks like. Whether its time is up.
    fn look(&mut self, snapshot: &Arc<Snapshot>, seconds: f64) -> bool {
        self.planner.look(snapshot);
        self.last = Some(Arc::clone(snapshot));
        let warm = snapshot.documents.ended() > 0 && snapshot.seconds >= WARM_UP * seconds;
        if warm || !self.marks.is_empty() {
            self.marks.push((snapshot.seconds, snapshot.documents.ended(), snapshot.host.cpu_seconds));
        }
        let since = self.marks.first().map(|first| snapshot.seconds - first.0);
        self.over = match since {
            Some(measured) => measured >= (1.0 - WARM_UP) * seconds && self.marks.len() > 2,
            None => snapshot.seconds >= PATIENCE * seconds,
        };
        self.over
    }

    /// What was measured; none where no document came to its end.
    fn told(&self, end: &Snapshot) -> Option<Trial> {
        let (first, last) = (self.marks.first()?, self.marks.last()?);
        let seconds = last.0 - first.0;
        if seconds <= 0.0 {
            return None;
        }
        let snapshot = self.last.as_ref()?;
        let rate = (last.1 - first.1) as f64 / seconds;
        let proposed = self.planner.best(snapshot);
        let (limit, _) = bottleneck_now(snapshot);
        Some(Trial {
            measured: Measured { rate, error: error(&self.marks), limit, proposed },
            seconds,
            documents: end.documents,
            cpus: (last.2 - first.2).max(0.0) / seconds,
            calls: end.services.iter().map(|(name, report)| (name.clone(), report.calls)).collect(),
        })
    }
}

/// The standard error of a rate, from how much the windows differ that it is a mean of.
fn error(marks: &[(f64, u64, f64)]) -> f64 {
    let many = WINDOWS.min(marks.len() - 1);
    let at = |window: usize| marks[window * (marks.len() - 1) / many];
    let rates: Vec<f64> = (0..many)
        .map(|window| {
            let (from, to) = (at(window), at(window + 1));
            (to.1 - from.1) as f64 / (to.0 - from.0).max(f64::MIN_POSITIVE)
        })
        .collect();
    if rates.len() < 2 {
        return rates.first().copied().unwrap_or_default();
    }
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (rates.len() - 1) as f64;
    (variance / rates.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64, ended: u64) -> Arc<Snapshot> {
        let documents = DocumentCounts { seen: ended + 5, unfinished: 5, ..DocumentCounts::default() };
        let mut snapshot = Snapshot { seconds, documents, ..Snapshot::default() };
        snapshot.host.cpu_seconds = 2.0 * seconds;
        Arc::new(snapshot)
    }

    #[test]
    fn the_beginning_is_left_out_and_the_spread_of_windows_is_the_error() {
        let mut notes = Notes::new(2);
        let mut step = 0_u32;
        loop {
            step += 1;
            let seconds = f64::from(step) / 4.0;
            // Nothing for the first second, ten a second from then on.
            let ended = (10.0 * (seconds - 1.0).max(0.0)) as u64;
            if notes.look(&at(seconds, ended), 10.0) {
                break;
            }
        }
        assert!((f64::from(step) / 4.0 - 10.0).abs() < 0.3, "{step}");
        let trial = notes.told(&at(10.0, 90)).expect("measured");
        assert!((trial.measured.rate - 10.0).abs() < 0.2 && trial.measured.error < 0.4, "{trial:?}");
        assert!((trial.cpus - 2.0).abs() < 1e-9 && (trial.seconds - 7.0).abs() < 0.3);
    }

    #[test]
    fn a_trial_in_which_nothing_ends_is_given_up() {
        let mut notes = Notes::new(2);
        assert!((1..=40).all(|step| notes.look(&at(f64::from(step) / 4.0, 0), 1.0) == (step == 40)));
        assert!(notes.told(&at(10.0, 0)).is_none());
    }
}
