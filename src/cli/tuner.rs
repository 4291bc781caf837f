//! The tuner at work beside a run: sets the widths that the pipeline hands over to it, and notes among the run's events
//! what changes of width brought, and what a person should look at.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::control::Command;
use crate::monitor::{EventKind, Snapshot};
use crate::plan::{AlertPlan, Plan};
use crate::tune::{Advisor, AlertRules, Alerts, Mode, Outcome, Planner, PlannerSettings, TUNER};

/// What calls itself so is the watch that raises alerts.
const WATCH: &str = "watch";

/// When an alert is raised, as a pipeline has it.
pub(super) fn rules(plan: &AlertPlan) -> AlertRules {
    AlertRules {
        queue_full_seconds: plan.queue_full.as_secs_f64(),
        stalled_seconds: plan.stalled.as_secs_f64(),
        error_share: plan.error_rate,
        refused_share: plan.throttled,
        memory_share: plan.memory,
        slow_document_seconds: plan.slow_document.as_secs_f64(),
        ..AlertRules::default()
    }
}

/// A tuner of one run.
pub(super) struct Tuner {
    planner: Planner,
    advisor: Advisor,
    alerts: Alerts,
    /// When the last change was made whose outcome was noted.
    last: Option<f64>,
}

impl Tuner {
    pub(super) fn new(plan: &Plan) -> Self {
        let cpu_threads = plan.run.cpu_threads;
        let settings = PlannerSettings { mode: Mode::Auto, all: false, cpu_threads };
        Self {
            planner: Planner::new(settings),
            advisor: Advisor::new(cpu_threads),
            alerts: Alerts::new(rules(&plan.ui.alerts)),
            last: None,
        }
    }

    /// Tunes for as long as snapshots are published; never returns before.
    pub(super) async fn tune(&mut self, published: &watch::Receiver<Arc<Snapshot>>, commands: &mpsc::Sender<Command>) {
        let mut published = published.clone();
        loop {
            let snapshot = Arc::clone(&published.borrow_and_update());
            for command in self.look(&snapshot) {
                // A run that has just ended takes no command, and needs none.
                let _ = commands.send(command).await;
            }
            if published.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// What to tell the run, by what it looks like.
    fn look(&mut self, snapshot: &Snapshot) -> Vec<Command> {
        let mut commands: Vec<Command> = self
            .planner
            .look(snapshot)
            .into_iter()
            .map(|decision| Command::SetWidth {
                stage: decision.change.stage,
                width: decision.change.to,
                by: TUNER.to_owned(),
                why: decision.why,
            })
            .collect();
        let told = &self.advisor.update(snapshot).outcomes;
        let new = told.iter().filter(|outcome| self.last.is_none_or(|last| outcome.at > last));
        commands.extend(new.map(brought));
        self.last = told.iter().map(|outcome| outcome.at).chain(self.last).reduce(f64::max);
        self.alerts.look(snapshot);
        commands.extend(self.alerts.changes().into_iter().map(|change| Command::Note {
            kind: EventKind::Alert,
            stage: change.alert.stage,
            by: WATCH.to_owned(),
            text: if change.raised { change.alert.text } else { format!("over: {}", change.alert.text) },
        }));
        commands
    }
}

/// What a change of width brought, as an event.
fn brought(outcome: &Outcome) -> Command {
    let percent = |share: f64| format!("{:+.0}%", 100.0 * share);
    let predicted = outcome.predicted.map(|share| format!(", predicted {}", percent(share))).unwrap_or_default();
    let (low, high) = outcome.within;
    let reverted = if outcome.reverted { "; taken back" } else { "" };
    let (from, to) = (outcome.change.from, outcome.change.to);
    Command::Note {
        kind: EventKind::Advice,
        stage: outcome.change.stage.clone(),
        by: TUNER.to_owned(),
        text: format!(
            "{from} to {to} brought {} ({} to {}){predicted}{reverted}",
            percent(outcome.measured),
            percent(low),
            percent(high)
        ),
    }
}
