//! The dashboard of a run: starts it on a thread of its own, and links it with the run, its pipeline file and its ledger.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use docmill_api::SourceItem;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::logs;
use super::tuner::rules;
use super::width_file::{self, Proposed};
use crate::control::Command;
use crate::ledger::{Ledger, State};
use crate::monitor::Snapshot;
use crate::plan::{AlertPlan, Plan, UiPlan};
use crate::runtime::{View, item_of};
use crate::tui::{self, ChangedLine, Ending, FileChange, GlyphSet, Keys, Link, Options, ThemeName};
use crate::tune::{Advice, Advisor, Alert, Alerts, Change, Prediction};

/// How the dashboard looks and which keys it has, as a pipeline's `[ui]` says.
pub(super) struct Looks {
    keys: Keys,
    theme: ThemeName,
    glyphs: GlyphSet,
}

impl Looks {
    /// Reads them.
    ///
    /// # Errors
    /// A sentence: a key or what it is to do is unknown, or two conflict.
    pub(super) fn of(ui: &UiPlan) -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok();
        let keys = Keys::from_map(&ui.keys).map_err(|error| format!("`keys` in `[ui]`: {error}"))?;
        // What stands in the file is one of the names, or `auto`.
        let theme = ui.theme.parse().unwrap_or_else(|_| ThemeName::of(variable));
        let glyphs = ui.glyphs.parse().unwrap_or_else(|_| GlyphSet::of(variable));
        Ok(Self { keys, theme, glyphs })
    }

    /// Shows a run on this thread until the user leaves it or it is over.
    ///
    /// # Errors
    /// There is no terminal, or it is gone.
    pub(super) fn show(self, link: &mut dyn Link, tuned: &mut Tuned, options: Options) -> io::Result<Ending> {
        logs::hold();
        let ended = tui::run(link, tuned, options, self.keys, self.theme, self.glyphs);
        logs::release();
        ended
    }
}

/// The advice and the alerts that a dashboard shows: its own, since it may show a run of another process or a recording.
pub(super) struct Tuned {
    advisor: Advisor,
    alerts: Alerts,
}

impl Tuned {
    /// For a run with so many threads for CPU work.
    pub(super) fn of(cpu_threads: usize, alerts: &AlertPlan) -> Self {
        Self { advisor: Advisor::new(cpu_threads), alerts: Alerts::new(rules(alerts)) }
    }
}

impl tui::Advisor for Tuned {
    fn advise(&mut self, snapshot: &Snapshot) -> (Advice, Vec<Alert>) {
        (self.advisor.look(snapshot), self.alerts.look(snapshot))
    }

    fn predict(&mut self, snapshot: &Snapshot, changes: &[Change]) -> Option<Prediction> {
        self.advisor.what_if(snapshot, changes)
    }
}

/// The widths that a pipeline begins with: those of its file, or what was said instead.
pub(super) fn widths(plan: &Plan) -> BTreeMap<String, usize> {
    plan.stages.iter().map(|stage| (stage.id.clone(), stage.width.start)).collect()
}

/// A pipeline file that widths are written into.
pub(super) struct WidthFile {
    path: PathBuf,
    proposed: Option<Proposed>,
}

impl WidthFile {
    pub(super) fn of(plan: &Plan) -> Self {
        Self { path: plan.base.join(&plan.name), proposed: None }
    }

    pub(super) fn propose(&mut self, widths: &[(String, usize)]) -> Result<FileChange, String> {
        let proposed = width_file::propose(&self.path, widths)?;
        let lines = proposed.rewritten.lines.iter().map(|(number, before, after)| ChangedLine {
            number: *number,
            before: before.clone(),
            after: Some(after.clone()),
        });
        let change = FileChange {
            path: self.path.clone(),
            lines: lines.collect(),
            widths: widths.to_vec(),
            token: proposed.before.to_string(),
        };
        self.proposed = Some(proposed);
        Ok(change)
    }

    pub(super) fn write(&mut self, change: &FileChange) -> Result<(), String> {
        match self.proposed.take().filter(|proposed| proposed.before.to_string() == change.token) {
            Some(proposed) => width_file::write(&proposed),
            None => Err("another change was proposed meanwhile: look at it anew".into()),
        }
    }
}

/// The run of this process.
struct OwnRun {
    view: View,
    published: watch::Receiver<Arc<Snapshot>>,
    commands: mpsc::Sender<Command>,
    file: WidthFile,
    ledger: Arc<Ledger>,
    event_loop: Handle,
}

impl Link for OwnRun {
    fn latest(&mut self) -> Arc<Snapshot> {
        Arc::clone(&self.published.borrow_and_update())
    }

    fn send(&mut self, command: Command) -> Result<(), String> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => "the run still works on what it was told before: try again".into(),
            mpsc::error::TrySendError::Closed(_) => "the run is over".into(),
        })
    }

    fn propose(&mut self, widths: &[(String, usize)]) -> Result<FileChange, String> {
        self.file.propose(widths)
    }

    fn write(&mut self, change: &FileChange) -> Result<(), String> {
        self.file.write(change)
    }

    fn retry_failed(&mut self, stage: &str) -> Result<usize, String> {
        let listed = self.event_loop.block_on(self.ledger.list(Some(State::Failed), None, usize::MAX));
        let (failed, _) = listed.map_err(|error| error.to_string())?;
        let documents: Vec<(String, SourceItem)> = failed
            .iter()
            .filter(|entry| entry.stage == stage)
            .map(|entry| (entry.source.clone(), item_of(entry)))
            .collect();
        let count = documents.len();
        if count > 0 {
            self.send(Command::Retry { documents })?;
        }
        Ok(count)
    }

    fn note_cpu(&mut self, used: Duration) {
        self.view.note_ui_cpu(used);
    }

    fn is_live(&self) -> bool {
        self.published.has_changed().is_ok()
    }
}

/// A dashboard at work. Dropping it gives the terminal back.
pub(super) struct Dashboard {
    ending: oneshot::Receiver<io::Result<Ending>>,
}

/// What a dashboard shows of a run of this process.
pub(super) struct Shown<'a> {
    pub(super) plan: &'a Plan,
    pub(super) view: &'a View,
    pub(super) commands: &'a mpsc::Sender<Command>,
    pub(super) ledger: &'a Arc<Ledger>,
}

impl Dashboard {
    /// Starts it, on the event loop whose run it shows.
    ///
    /// # Errors
    /// There can be no thread.
    pub(super) fn start(looks: Looks, shown: &Shown<'_>, stay: bool) -> io::Result<Self> {
        let mut run = OwnRun {
            view: shown.view.clone(),
            published: shown.view.published(),
            commands: shown.commands.clone(),
            file: WidthFile::of(shown.plan),
            ledger: Arc::clone(shown.ledger),
            event_loop: Handle::current(),
        };
        let mut tuned = Tuned::of(shown.plan.run.cpu_threads, &shown.plan.ui.alerts);
        let (ends, ending) = oneshot::channel();
        let options = Options { stay, widths: widths(shown.plan), ..Options::default() };
        tui::open();
        thread::Builder::new().name(tui::THREAD.into()).spawn(move || {
            // Where it panics nothing is sent, which tells as well.
            let _ = ends.send(looks.show(&mut run, &mut tuned, options));
        })?;
        Ok(Self { ending })
    }

    /// Waits until the user leaves it; says what is to be printed then.
    pub(super) async fn ended(&mut self) -> Option<String> {
        match (&mut self.ending).await {
            Ok(Ok(ending)) => ending.screen,
            Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => None,
            Ok(Err(error)) => Some(format!("the dashboard has ended: {error}\n")),
            Err(_) => Some("the dashboard broke off; the run goes on\n".into()),
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        // Also a thread that is only about to take it.
        tui::close();
        logs::release();
    }
}
