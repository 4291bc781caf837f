//! What happened in a run: a numbered list of which the last are kept.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// How many events are kept. Failures are one event each and may be more in a quarter of a second than a reader sees, which
/// their numbers tell; of the others there are few, and none is lost to them.
const KEPT: usize = 128;

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Its number, from 1 on without gaps.
    pub number: u64,
    /// When, in seconds from the run's start.
    pub at: f64,
    /// What.
    pub kind: EventKind,
    /// Where; empty for the whole run.
    pub stage: String,
    /// Who did it: `you`, `tuner`, `run`, or what another program called itself.
    pub by: String,
    /// In words.
    pub text: String,
    /// The width before, where one was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<usize>,
    /// The width after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<usize>,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A width was changed.
    Width,
    /// A width was handed over to the tuner.
    HandOver,
    /// The run began, was paused, drains, ended.
    Run,
    /// A document failed.
    Failure,
    /// An alert was raised or is over.
    Alert,
    /// What a change of width brought, and other findings of the tuner.
    Advice,
    /// Anything else that somebody wanted noted.
    #[default]
    Note,
}

/// The last events of a run.
#[derive(Debug, Default)]
pub struct EventLog {
    began: OnceLock<Instant>,
    log: Mutex<(u64, VecDeque<Event>)>,
}

impl EventLog {
    /// When the run began: what its snapshots and events count their seconds from. The first who asks begins it.
    pub fn began(&self) -> Instant {
        *self.began.get_or_init(Instant::now)
    }

    /// Adds one, and gives it its number and its time.
    pub fn add(&self, event: Event) {
        let at = self.began.get().map_or(0.0, |began| began.elapsed().as_secs_f64());
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.0 += 1;
        let number = log.0;
        if log.1.len() == KEPT {
            // Failures may come by the thousand: they push each other out, and not what somebody did.
            let oldest = log.1.iter().position(|event| event.kind == EventKind::Failure).unwrap_or(0);
            log.1.remove(oldest);
        }
        log.1.push_back(Event { number, at, ..event });
    }

    /// Those that are kept, the latest at the end.
    #[must_use]
    pub fn last(&self) -> Vec<Event> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).1.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_kept_and_numbers_tell_of_the_others() {
        let log = EventLog::default();
        for _ in 0..KEPT + 5 {
            log.add(Event::default());
        }
        let last = log.last();
        assert_eq!(last.len(), KEPT);
        assert_eq!((last[0].number, last[KEPT - 1].number), (6, KEPT as u64 + 5));
    }

    #[test]
    fn failures_push_out_nothing_but_failures() {
        let log = EventLog::default();
        log.add(Event { kind: EventKind::Width, ..Event::default() });
        for _ in 0..10 * KEPT {
            log.add(Event { kind: EventKind::Failure, ..Event::default() });
        }
        let last = log.last();
        assert_eq!((last.len(), last[0].kind, last[1].kind), (KEPT, EventKind::Width, EventKind::Failure));
    }
}
