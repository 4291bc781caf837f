//! The `files` source that stays: lists like the other, then watches what it listed.
//!
//! | here | what it does |
//! |---|---|
//! | this file | the source: hands out what a turn found, and waits between turns |
//! | `turn` | [`turn::Watch`]: what is known, and which directories are looked at next; blocking |
//! | `look` | one look into one directory |
//! | `check` | one look at an entry of `include` itself |
//! | `entry` | an entry of `include`, and what it was when it was last looked at |
//! | `marks` | what the system said has changed |
//! | `eyes` | whether the system says so at all |
//!
//! A change is never believed, only looked into: an event marks a path, and once nothing has happened to it for a quiet
//! time, its directory is read under the rules of the listing and compared with what is known. So ignore files,
//! `exclude` and links mean the same as in the listing, and an event too many costs a look and no document.

mod check;
mod entry;
mod eyes;
mod look;
mod marks;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use docmill_api::{Context, Source, SourceItem, StageError};
use tokio::task::JoinHandle;

use self::marks::Marks;
use self::turn::Turn;
pub(crate) use self::turn::{Quiet, Watch};

/// The source that stays.
pub(crate) struct Watched {
    state: State,
    marks: Arc<Marks>,
    /// Found and not yet handed out; what one turn found.
    ready: VecDeque<SourceItem>,
}

enum State {
    /// Until then, or until the marks wake it.
    Resting(Box<Watch>, Option<Instant>),
    /// Kept here and not in the future of `next`: a caller that drops that future loses no item.
    Turning(JoinHandle<(Box<Watch>, Turn)>),
    Broken,
}

impl Watched {
    pub(crate) fn new(watch: Watch) -> Self {
        let marks = Arc::clone(watch.marks());
        Self { state: State::Resting(Box::new(watch), Some(Instant::now())), marks, ready: VecDeque::new() }
    }

    /// Waits until there is something to do, then has it done.
    async fn advance(&mut self, cx: &Context) -> Result<(), StageError> {
        if let State::Resting(_, until) = &self.state {
            match *until {
                Some(until) => tokio::select! {
                    () = cx.cancel.cancelled() => return Ok(()),
                    () = self.marks.wake.notified() => {}
                    () = tokio::time::sleep_until(until.into()) => {}
                },
                None => tokio::select! {
                    () = cx.cancel.cancelled() => return Ok(()),
                    () = self.marks.wake.notified() => {}
                },
            }
        }
        self.state = match std::mem::replace(&mut self.state, State::Broken) {
            State::Resting(mut watch, _) => State::Turning(tokio::task::spawn_blocking(move || {
                let turn = watch.turn(Instant::now());
                (watch, turn)
            })),
            other => other,
        };
        let State::Turning(turning) = &mut self.state else {
            return Err(StageError::fatal("the watch broke off"));
        };
        let joined = turning.await;
        self.state = State::Broken;
        let (watch, turn) = joined.map_err(|error| StageError::fatal(format!("the watch broke off: {error}")))?;
        self.ready = turn.items.into();
        self.state = State::Resting(watch, turn.until);
        Ok(())
    }
}

#[async_trait]
impl Source for Watched {
    /// Never `None`: there may always be another change.
    async fn next(&mut self, cx: &Context) -> Result<Option<SourceItem>, StageError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if cx.cancel.is_cancelled() {
                return Err(StageError::transient("the watch was cancelled"));
            }
            self.advance(cx).await?;
        }
    }

    fn waits(&self) -> bool {
        true
    }
}
