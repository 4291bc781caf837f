//! What the dashboard needs of the world: a run to look at, a tuner to ask. The command line implements both, so that
//! nothing here knows an event loop, a socket or a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::replay::Replay;
use crate::control::Command;
use crate::monitor::Snapshot;
use crate::tune::{Advice, Alert, Change, Prediction};

/// A run, as the dashboard's thread sees it. Every call is made from that one thread and may block it for a moment: the run
/// goes on meanwhile, only the screen waits. Errors are sentences for a person; they are shown as they are.
pub trait Link: Send {
    /// The newest snapshot. It is asked ten times a second: give the one that is published, do not take one.
    fn latest(&mut self) -> Arc<Snapshot>;

    /// Tells the run something. It is shown as done when a snapshot says so, not when this returns.
    ///
    /// # Errors
    /// The run is over, cannot be reached, or takes no commands.
    fn send(&mut self, command: Command) -> Result<(), String>;

    /// What writing these widths into the pipeline's file would change. Nothing is written.
    ///
    /// # Errors
    /// The file cannot be read, or has no place for a width (it comes from the environment, say).
    fn propose(&mut self, widths: &[(String, usize)]) -> Result<FileChange, String>;

    /// Writes what was proposed and agreed to.
    ///
    /// # Errors
    /// The file is not what it was when the change was proposed, or cannot be written.
    fn write(&mut self, change: &FileChange) -> Result<(), String>;

    /// Has the documents that failed at a stage tried again, and says how many.
    ///
    /// # Errors
    /// As with [`Link::send`].
    fn retry_failed(&mut self, stage: &str) -> Result<usize, String>;

    /// Takes note of the CPU time that the dashboard's thread has used since it began; comes once a second.
    fn note_cpu(&mut self, used: Duration) {
        let _ = used;
    }

    /// Whether snapshots still come. A recording is not live, nor is a run whose process is gone.
    fn is_live(&self) -> bool;

    /// The recording, where one is looked at instead of a run.
    fn replay(&mut self) -> Option<&mut Replay> {
        None
    }
}

/// Who says what bounds a run and what would speed it up.
pub trait Advisor: Send {
    /// What it makes of the run now. It is asked once for every new snapshot.
    fn advise(&mut self, snapshot: &Snapshot) -> (Advice, Vec<Alert>);

    /// What the run would do with other widths; none where too little was measured.
    fn predict(&mut self, snapshot: &Snapshot, changes: &[Change]) -> Option<Prediction>;
}

/// What writing widths would change in a pipeline's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileChange {
    /// The file.
    pub path: PathBuf,
    /// The lines that change, in their order; none where the file says so already.
    pub lines: Vec<ChangedLine>,
    /// The widths that it writes: stage and width.
    pub widths: Vec<(String, usize)>,
    /// Tells the file as it was read from any other; only who proposed the change reads it.
    pub token: String,
}

/// A line of a file that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedLine {
    /// Its number, from 1 on.
    pub number: usize,
    /// What it says; none where it is new.
    pub before: Option<String>,
    /// What it will say; none where it goes.
    pub after: Option<String>,
}
