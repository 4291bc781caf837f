//! What can be said to a run: typed commands, the only way back into it.

/// A command to a running pipeline. Each takes effect at once and kills no work in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Changes how many records or batches a stage works on at once; bounded by the stage's `min` and `max`.
    SetWidth {
        /// The stage's id.
        stage: String,
        /// The width wanted.
        width: usize,
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
