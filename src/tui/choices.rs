//! What one can choose between on the screen, and what can lie over it.

use super::link::FileChange;
use crate::tune::{Change, Prediction};

/// How long the chart goes back, in seconds.
pub(super) const WINDOWS: [f64; 5] = [60.0, 300.0, 900.0, 1800.0, 3600.0];

/// What stages are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Graph,
    Name,
    Width,
    Rate,
    Time,
    Queue,
    Busy,
    Memory,
    Errors,
}

pub(super) const SORTS: [(Sort, &str); 9] = [
    (Sort::Graph, "graph"),
    (Sort::Name, "name"),
    (Sort::Width, "width"),
    (Sort::Rate, "out/s"),
    (Sort::Time, "p95"),
    (Sort::Queue, "queue"),
    (Sort::Busy, "busy"),
    (Sort::Memory, "memory"),
    (Sort::Errors, "errors"),
];

impl Sort {
    pub(super) fn name(self) -> &'static str {
        SORTS.iter().find(|(sort, _)| *sort == self).map_or("", |(_, name)| name)
    }
}

/// What is told of the selected stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Latency,
    Workers,
    Queue,
    Errors,
    Settings,
}

pub(super) const TABS: [(Tab, &str); 5] = [
    (Tab::Latency, "latency"),
    (Tab::Workers, "workers"),
    (Tab::Queue, "queue"),
    (Tab::Errors, "errors"),
    (Tab::Settings, "settings"),
];

/// What lies over the screen and takes the keys.
#[derive(Debug)]
pub(super) enum Overlay {
    Help {
        query: String,
        scroll: usize,
    },
    Palette {
        query: String,
        at: usize,
    },
    Filter {
        before: String,
    },
    Number {
        stage: String,
        text: String,
    },
    /// A width of the workers on other machines: `STAGE=N` or `WORKER STAGE=N`.
    WorkerWidth {
        text: String,
    },
    Sort {
        at: usize,
    },
    Confirm(Asked),
    Diff {
        change: FileChange,
        scroll: usize,
    },
    WhatIf {
        changes: Vec<Change>,
        at: usize,
        prediction: Option<Box<Prediction>>,
    },
    Quit,
}

/// What is asked once before it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Pause,
    Drain,
    Retry(String),
}
