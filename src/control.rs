//! What can be said to a run: typed commands, the only way back into it. As JSON they come by the socket of a state
//! directory as well.

use docmill_api::{SourceItem, async_trait};
use serde::{Deserialize, Serialize};

use crate::monitor::EventKind;

/// A command to a running pipeline. Each takes effect at once and kills no work in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// Changes how many records or batches a stage works on at once; bounded by the stage's `min` and `max`.
    SetWidth {
        /// The stage's id.
        stage: String,
        /// The width wanted.
        width: usize,
        /// Who wants it: `you` for a person, `tuner`, or what a program calls itself.
        #[serde(default)]
        by: String,
        /// Why, in a few words; may be empty.
        #[serde(default)]
        why: String,
    },
    /// Changes the width of a stage of workers on other machines.
    OrderWorkers {
        /// Which of them, by its name; empty for all.
        #[serde(default)]
        worker: String,
        /// The stage's id, as the workers have it.
        stage: String,
        /// The width wanted; a worker keeps within the stage's bounds.
        width: usize,
        /// Who wants it.
        #[serde(default)]
        by: String,
    },
    /// Hands a stage's width over to the tuner, which sets it from then on, within the stage's bounds, until somebody else
    /// does.
    HandOver {
        /// The stage's id.
        stage: String,
        /// Who does it.
        #[serde(default)]
        by: String,
    },
    /// Tries documents again, whatever they ended with: in this run where their source still takes documents in, otherwise
    /// in the next.
    Retry {
        /// Each with the id of the source that listed it.
        documents: Vec<(String, SourceItem)>,
    },
    /// Puts a sentence among the run's events.
    Note {
        /// What it is about.
        kind: EventKind,
        /// The stage that it is about; empty for the whole run.
        #[serde(default)]
        stage: String,
        /// Who says it.
        #[serde(default)]
        by: String,
        /// The sentence.
        text: String,
    },
    /// Admits no further document until [`Command::Resume`].
    Pause,
    /// Admits documents again.
    Resume,
    /// Admits no further document and lets those in hand finish, within `run.drain`.
    Drain,
    /// Ends the run now: what is in hand stays unfinished.
    Stop,
}

/// When documents are taken in, where that is not left to the pipeline: a load test has a rate to keep.
#[async_trait]
pub trait Pace: std::fmt::Debug + Send + Sync {
    /// Waits until the next document may be taken in. Called once for each, by several sources at a time; the future is
    /// dropped when the run takes no more in, and no turn is used up by that.
    async fn turn(&self);
}
