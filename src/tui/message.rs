//! What comes to the dashboard and what it wants done: the two ends of `update`, which itself does neither input nor
//! output.

use std::sync::Arc;

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::Size;

use super::link::FileChange;
use super::replay::{Playback, Seek};
use crate::control::Command;
use crate::monitor::Snapshot;
use crate::tune::{Advice, Alert, Change, Prediction};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// A text was pasted.
    Paste(String),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// The terminal has another size.
    Resize(Size),
    /// A snapshot that is newer than the last.
    Snapshot(Arc<Snapshot>),
    /// Snapshots between the last one and the one that comes next: a recording was turned forward.
    Past(Vec<Arc<Snapshot>>),
    /// What the advisor makes of the last snapshot.
    Advised(Box<Advice>, Vec<Alert>),
    /// Time passed: the dashboard's clock in seconds, and the share of a CPU that it uses.
    Clock {
        /// Seconds since the dashboard began.
        now: f64,
        /// CPU time of its thread in a second, over the last seconds.
        cpu: f64,
    },
    /// Whether snapshots still come, and where in a recording one is.
    Source {
        /// Whether snapshots still come.
        live: bool,
        /// Of a recording.
        playback: Option<Playback>,
    },
    /// What became of an effect.
    Answer(Answer),
}

/// What became of an effect.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A command was sent: what is told of it, or why it was refused, and the stages that it was about.
    Sent {
        /// The stage whose width was to change; empty for none.
        stage: String,
        /// What is told.
        result: Result<String, String>,
    },
    /// What writing widths would change.
    Proposed(Result<FileChange, String>),
    /// The file was written, with these widths.
    Written(Result<FileChange, String>),
    /// How many failed documents of a stage are tried again.
    Retried(String, Result<usize, String>),
    /// What other widths would bring.
    Predicted(Option<Box<Prediction>>),
}

/// Something that is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tells the run something; the sentence is shown if it was taken.
    Send(Command, String),
    /// Asks what writing these widths would change.
    Propose(Vec<(String, usize)>),
    /// Writes a change that was agreed to.
    Write(FileChange),
    /// Has failed documents of a stage tried again.
    Retry(String),
    /// Asks what widths would bring.
    Predict(Vec<Change>),
    /// Goes elsewhere in a recording.
    Seek(Seek),
    /// Takes the mouse or leaves it.
    Mouse(bool),
    /// Draws with the next theme.
    NextTheme,
    /// Copies to the terminal's clipboard.
    Copy(String),
    /// Stops the program until the shell brings it back.
    Suspend,
    /// The dashboard is over.
    Leave(Wish, bool),
}

/// What the user wanted when the dashboard ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing more: the run is over, or it is another process's and goes on.
    Leave,
    /// The run goes on and is told of in plain lines.
    Plain,
    /// The run was told to stop at once ([`Command::Stop`] is sent) and nobody waits for it.
    Abort,
}
