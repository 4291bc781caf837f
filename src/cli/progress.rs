//! Progress of a run on standard error: a bar on a terminal, a line every few seconds without one, or the dashboard.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::dashboard::Dashboard;
use crate::monitor::{EventKind, HostUse, Snapshot, host_use};
use crate::report::{count, printable, size};
use crate::runtime::View;
use crate::tune::bottleneck_now;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Ui {
    /// A bar on a terminal, lines without one
    #[default]
    Auto,
    /// The dashboard: stages, queues, throughput, advice; keys change widths
    Tui,
    /// Lines
    Plain,
    /// Nothing
    None,
}

/// How often the bar moves: often enough to look alive, and a quarter of a second costs nothing.
const TICK: Duration = Duration::from_millis(250);

/// How often a line is written: a log of a night's run stays readable.
const LINE: Duration = Duration::from_secs(5);

/// Shows a run's progress until it is dropped, and tells what the run used.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    dashboard: Option<Dashboard>,
    next_line: Instant,
    /// The last event that a line told of.
    told: u64,
    /// CPU time that this process had used before: `exec` keeps the count of the program before it.
    used_before: f64,
}

impl Progress {
    pub(super) fn new(ui: Ui) -> Self {
        let mut progress = Self {
            bar: None,
            lines: false,
            dashboard: None,
            next_line: Instant::now() + LINE,
            told: 0,
            used_before: host_use().cpu_seconds,
        };
        match ui {
            Ui::Auto if std::io::stderr().is_terminal() => progress.show_bar(),
            Ui::Auto | Ui::Plain => progress.lines = true,
            // The dashboard comes when there is a run to show.
            Ui::Tui | Ui::None => {}
        }
        progress
    }

    fn show_bar(&mut self) {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(
            ProgressStyle::with_template("{spinner} [{bar:20}] {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        self.bar = Some(bar);
    }

    /// Shows the run by a dashboard from here on.
    pub(super) fn show_by(&mut self, dashboard: Dashboard) {
        self.dashboard = Some(dashboard);
    }

    /// Shows the run as it moves; never returns.
    pub(super) async fn follow(&mut self, view: &View) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            if let Some(dashboard) = &mut self.dashboard {
                tokio::select! {
                    said = dashboard.ended() => {
                        self.put_away(said);
                        self.show_bar();
                    }
                    _ = tick.tick() => {}
                }
            } else {
                tick.tick().await;
            }
            let published = Arc::clone(&view.published().borrow());
            if let Some(bar) = &self.bar {
                show(bar, &published);
            } else if self.lines {
                self.tell(&published);
            }
        }
    }

    /// Takes away a dashboard that has ended, and prints what is left of it.
    fn put_away(&mut self, said: Option<String>) {
        self.dashboard = None;
        if let Some(said) = said {
            let _ = write!(std::io::stderr(), "{said}");
        }
    }

    /// Writes a line every few seconds, and one for what a person should look at.
    fn tell(&mut self, snapshot: &Snapshot) {
        let alerts = snapshot.events.iter().filter(|event| event.kind == EventKind::Alert && event.number > self.told);
        for alert in alerts {
            // Where standard error is gone, the run goes on without its lines.
            let _ = writeln!(std::io::stderr(), "alert: {}", printable(&alert.text));
        }
        self.told = snapshot.events.last().map_or(self.told, |event| event.number);
        if Instant::now() >= self.next_line {
            self.next_line = Instant::now() + LINE;
            let _ = writeln!(std::io::stderr(), "{}", line(snapshot));
        }
    }

    /// A sentence above the bar. The dashboard shows what happens among its events.
    pub(super) fn say(&self, sentence: &str) {
        match (&self.bar, &self.dashboard) {
            (Some(bar), _) => bar.println(sentence),
            (None, Some(_)) => {}
            (None, None) => {
                let _ = writeln!(std::io::stderr(), "{sentence}");
            }
        }
    }

    /// Leaves the dashboard up until the user leaves it, where the run has come to its end by itself.
    pub(super) async fn linger(&mut self) {
        if let Some(dashboard) = &mut self.dashboard {
            let said = dashboard.ended().await;
            self.put_away(said);
        }
    }

    /// Takes bar and dashboard away.
    pub(super) fn finish(mut self) {
        self.dashboard = None;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// What was used so far: memory as the sampler has seen it, CPU time from when this was made.
    pub(super) fn used(&self, view: &View) -> HostUse {
        let used = host_use();
        let seen = view.published().borrow().host.peak_rss_bytes;
        HostUse {
            peak_rss_bytes: seen.max(used.peak_rss_bytes).max(used.rss_bytes + used.children_rss_bytes),
            cpu_seconds: used.cpu_seconds - self.used_before,
            ..used
        }
    }
}

fn show(bar: &ProgressBar, snapshot: &Snapshot) {
    // Before all is listed the length is what is known so far, which the line says.
    bar.set_length(snapshot.documents.seen);
    bar.set_position(snapshot.documents.seen - snapshot.documents.unfinished);
    bar.set_message(line(snapshot));
    bar.tick();
}

/// A run in one line: `1,204/2,000 documents 60%, 73/s, 11s left, 3 failed, 12.3MiB, parse is the bottleneck`.
fn line(snapshot: &Snapshot) -> String {
    let documents = &snapshot.documents;
    let ended = documents.ended();
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown, not reckoned with")]
    let (rate, share, left) = {
        let rate = if snapshot.window > 1.0 { snapshot.rates.documents } else { snapshot.documents_per_second() };
        (rate, 100.0 * ended as f64 / (documents.seen.max(1)) as f64, documents.unfinished as f64 / rate.max(0.001))
    };
    let mut parts = vec![if snapshot.listed {
        format!("{}/{} documents {share:.0}%", count(ended), count(documents.seen))
    } else {
        format!("{} of {}+ documents", count(ended), count(documents.seen))
    }];
    parts.push(format!("{rate:.0}/s"));
    if snapshot.listed && ended > 0 && documents.unfinished > 0 {
        parts.push(format!("{left:.0}s left"));
    }
    if documents.failed > 0 {
        parts.push(format!("{} failed", count(documents.failed)));
    }
    if documents.skipped > 0 {
        parts.push(format!("{} skipped", count(documents.skipped)));
    }
    parts.push(size(snapshot.bytes));
    if snapshot.paused {
        parts.push("paused".to_owned());
    }
    // Before the bottleneck: it says why nothing moves.
    for (name, service) in snapshot.services.iter().filter(|(_, service)| service.breaker != "ok") {
        let asked = if service.breaker == "probing" { "asked whether it is back" } else { "left alone" };
        parts.push(format!("{name} does not answer, {asked}"));
    }
    let narrow = bottleneck_now(snapshot).0.stage;
    if snapshot.indexing {
        parts.push("indexing".to_owned());
    } else if !narrow.is_empty() {
        parts.push(format!("{narrow} is the bottleneck"));
    }
    parts.join(", ")
}
