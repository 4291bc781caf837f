//! All that the dashboard knows: what is shown, where one is in it, and what is being asked. Views read it; only `update`
//! changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ratatui::layout::Size;

pub(super) use super::choices::{Asked, Overlay, SORTS, Sort, TABS, Tab, WINDOWS};
use super::graph::GraphLayout;
use super::history::History;
use super::keys::{Action, Keys};
use super::layout::{Pane, Plan, Shape, layout};
use super::message::Wish;
use super::replay::Playback;
use super::widths::Widths;
use crate::monitor::{Ended, Snapshot, StageSnapshot};
use crate::tune::{Advice, Alert, Change, Prediction, Proposal};

/// Whose run is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seat {
    /// The run of this process: leaving asks what becomes of it.
    #[default]
    Owner,
    /// Another's, or a recording: leaving leaves it alone.
    Visitor,
}

/// How the dashboard behaves.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whose run it is.
    pub seat: Seat,
    /// Hides and refuses whatever changes the run or a file.
    pub read_only: bool,
    /// Whether it stays when the run is over, until a key says otherwise.
    pub stay: bool,
    /// The widths that the pipeline's file says, by stage. Those that are missing count as what the first snapshot says:
    /// right for a run's own dashboard, not for one that comes later.
    pub widths: BTreeMap<String, usize>,
    /// Throughput of another run to compare with: what it is called, and documents a second.
    pub baseline: Option<(String, f64)>,
}

/// A sentence that is shown for a while.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) until: f64,
    pub(super) bad: bool,
}

/// The dashboard's state.
#[derive(Debug)]
pub struct Model {
    pub(super) options: Options,
    pub(super) keys: Keys,
    pub(super) size: Size,
    /// The snapshot on the screen.
    pub(super) shown: Arc<Snapshot>,
    /// The newest; another than the one on the screen while the view is frozen.
    pub(super) newest: Arc<Snapshot>,
    pub(super) advice: Advice,
    pub(super) alerts: Vec<Alert>,
    pub(super) history: History,
    pub(super) graph: GraphLayout,
    pub(super) widths: Widths,
    pub(super) live: bool,
    pub(super) playback: Option<Playback>,
    /// Seconds since the dashboard began.
    pub(super) clock: f64,
    pub(super) cpu: f64,
    /// Since when the view has been frozen.
    pub(super) frozen: Option<f64>,
    /// The stages that are listed, by their place in the snapshot.
    pub(super) rows: Vec<usize>,
    pub(super) selected: String,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    /// The order that is kept.
    pub(super) locked: Option<Vec<String>>,
    pub(super) filter: String,
    pub(super) pane: Pane,
    pub(super) zoomed: bool,
    pub(super) graph_hidden: bool,
    pub(super) tab: Tab,
    /// Which of a stage's failed documents, the latest first.
    pub(super) failure: usize,
    /// The document that is looked at.
    pub(super) document: Option<Ended>,
    /// By how many lines the events are scrolled back.
    pub(super) events_back: usize,
    pub(super) window: usize,
    pub(super) baseline: Option<(String, f64)>,
    /// What was predicted of the last change, and when it was made by the run's clock.
    pub(super) predicted: Option<(f64, Prediction)>,
    /// The change that a prediction was made of; it is dismissed by it.
    pub(super) dismissed: BTreeSet<String>,
    pub(super) overlay: Option<Overlay>,
    pub(super) said: Option<Said>,
    pub(super) mouse: bool,
    /// The run was told to drain and the dashboard goes when it has.
    pub(super) leaving: bool,
    /// It is over: how.
    pub(super) left: Option<Wish>,
}

impl Model {
    /// A dashboard that has seen nothing yet.
    #[must_use]
    pub fn new(size: Size, options: Options, keys: Keys) -> Self {
        Self {
            baseline: options.baseline.clone(),
            keys,
            size,
            shown: Arc::default(),
            newest: Arc::default(),
            advice: Advice::default(),
            alerts: Vec::new(),
            history: History::default(),
            graph: GraphLayout::default(),
            widths: Widths::saved(options.widths.clone()),
            live: true,
            playback: None,
            clock: 0.0,
            cpu: 0.0,
            frozen: None,
            rows: Vec::new(),
            selected: String::new(),
            sort: Sort::default(),
            reversed: false,
            locked: None,
            filter: String::new(),
            pane: Pane::default(),
            zoomed: false,
            graph_hidden: false,
            tab: Tab::default(),
            failure: 0,
            document: None,
            events_back: 0,
            window: 1,
            predicted: None,
            dismissed: BTreeSet::new(),
            overlay: None,
            said: None,
            mouse: false,
            leaving: false,
            left: None,
            options,
        }
    }

    /// The moment of the snapshot on the screen, in seconds from the run's start.
    #[must_use]
    pub fn moment(&self) -> f64 {
        self.shown.seconds
    }

    /// The moment up to which the course of the run is known.
    pub(super) fn known(&self) -> f64 {
        self.history.last()
    }

    /// Where everything goes.
    pub(super) fn plan(&self) -> Plan {
        self.plan_in(self.size)
    }

    /// The same on a screen of another size: a terminal may have shrunk a moment before it is told.
    pub(super) fn plan_in(&self, size: Size) -> Plan {
        let graph = if self.graph_hidden { 0 } else { self.graph.lines() };
        let shape = Shape { stages: self.rows.len(), graph, zoomed: self.zoomed.then_some(self.pane) };
        layout(size, shape)
    }

    /// The stages that are listed, in their order.
    pub(super) fn listed(&self) -> impl ExactSizeIterator<Item = &StageSnapshot> {
        self.rows.iter().map(|row| &self.shown.stages[*row])
    }

    /// The stage that keys go to.
    pub(super) fn stage(&self) -> Option<&StageSnapshot> {
        self.shown.stage(&self.selected)
    }

    /// Where it stands in the list.
    pub(super) fn row(&self) -> usize {
        self.listed().position(|stage| stage.id == self.selected).unwrap_or(0)
    }

    /// Whether a stage bounds throughput.
    pub(super) fn is_bottleneck(&self, id: &str) -> bool {
        !id.is_empty() && self.advice.bottleneck.stage == id
    }

    /// How many widths are not as the file says; a recording has no file.
    pub(super) fn unsaved(&self) -> usize {
        if self.playback.is_some() { 0 } else { self.widths.unsaved_count(&self.newest) }
    }

    /// Whether a stage's width is one of them.
    pub(super) fn is_unsaved(&self, stage: &StageSnapshot) -> bool {
        self.playback.is_none() && self.widths.changed(&stage.id, stage.width)
    }

    /// The documents that failed at the selected stage, the latest first.
    pub(super) fn failures(&self) -> impl Iterator<Item = &Ended> {
        self.shown.failures.iter().rev().filter(|ended| ended.stage == self.selected)
    }

    /// What the advisor proposes and was not dismissed, the best first.
    pub(super) fn proposals(&self) -> impl Iterator<Item = &Proposal> {
        self.advice.proposals.iter().filter(|proposal| !self.dismissed.contains(&named(&proposal.changes)))
    }

    /// Why what changes the run cannot be done now; none where it can.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        if self.playback.is_some() {
            return Some("this is a recording: it takes no commands");
        }
        self.options.read_only.then_some("this dashboard may only read (`--read-only`)")
    }

    /// Whether a key does something now.
    pub(super) fn offers(&self, action: Action) -> bool {
        let over = self.shown.state.is_over();
        match action {
            Action::WriteFile => self.refusal().is_none() && self.unsaved() > 0,
            Action::Apply => self.refusal().is_none() && !over && self.proposals().next().is_some(),
            Action::Dismiss => self.proposals().next().is_some(),
            action if action.binding().writes => self.refusal().is_none() && !over,
            Action::Left | Action::Right => self.playback.is_some() || self.frozen.is_some(),
            _ => true,
        }
    }

    /// Puts the stages in order and keeps the selection among them.
    pub(super) fn arrange(&mut self) {
        let stages = &self.shown.stages;
        let mut rows: Vec<usize> = (0..stages.len()).filter(|row| matches(&stages[*row], &self.filter)).collect();
        if let Some(order) = &self.locked {
            rows.sort_by_key(|row| order.iter().position(|id| *id == stages[*row].id).unwrap_or(usize::MAX));
        } else {
            rows.sort_by(|a, b| compare(self.sort, &stages[*a], &stages[*b]));
            if self.reversed {
                rows.reverse();
            }
        }
        self.rows = rows;
        if !self.listed().any(|stage| stage.id == self.selected) {
            let first = self.listed().next().map(|stage| stage.id.clone());
            self.select(first.unwrap_or_default());
        }
        self.failure = self.failure.min(self.failures().count().saturating_sub(1));
    }

    pub(super) fn select(&mut self, id: String) {
        if self.selected != id {
            self.selected = id;
            self.failure = 0;
            self.document = None;
        }
    }

    /// Shows a sentence for a while.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.said = Some(Said { text: text.into(), until: self.clock + 4.0, bad: false });
    }

    /// The same of something that did not work.
    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.said = Some(Said { text: text.into(), until: self.clock + 8.0, bad: true });
    }
}

/// What a proposal is known by.
pub(super) fn named(changes: &[Change]) -> String {
    changes.iter().map(|change| format!("{}:{} ", change.stage, change.to)).collect()
}

/// Whether a stage passes the filter.
fn matches(stage: &StageSnapshot, filter: &str) -> bool {
    let (inverse, wanted) = match filter.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, filter),
    };
    if wanted.is_empty() {
        return true;
    }
    let wanted = wanted.to_lowercase();
    let found = [&stage.id, &stage.kind, &stage.tier].iter().any(|text| text.to_lowercase().contains(&wanted));
    found != inverse
}

/// Largest first, but for names and the graph's own order.
fn compare(sort: Sort, a: &StageSnapshot, b: &StageSnapshot) -> std::cmp::Ordering {
    let fill = |stage: &StageSnapshot| super::paint::share(stage.queue.length, stage.queue.capacity);
    match sort {
        Sort::Graph => std::cmp::Ordering::Equal,
        Sort::Name => a.id.cmp(&b.id),
        Sort::Width => b.width.cmp(&a.width),
        Sort::Rate => b.now.output.total_cmp(&a.now.output),
        Sort::Time => b.service_ms.p95.total_cmp(&a.service_ms.p95),
        Sort::Queue => fill(b).total_cmp(&fill(a)),
        Sort::Busy => b.now.busy.total_cmp(&a.now.busy),
        Sort::Memory => memory(b).cmp(&memory(a)),
        Sort::Errors => b.failed.cmp(&a.failed),
    }
}

/// Bytes in a stage's queue and in its workers' hands.
pub(super) fn memory(stage: &StageSnapshot) -> u64 {
    stage.held_bytes + stage.queue.bytes
}
