//! A recorded run: JSON lines, one a snapshot or an event, written while it runs and read by the dashboard, the report
//! and the planner. A recording that was cut off is read up to there.
//!
//! ```text
//! {"docmill":"recording","version":1}
//! {"snapshot":{…}}
//! {"event":{…}}
//! {"report":{…}}
//! ```
//! A snapshot's own list of events is left out: each is a line of its own, once, before the first snapshot that knows it.
//! The run's report is the last line.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::event::Event;
use super::snapshot::{Snapshot, VERSION};

/// How many seconds lie between two recorded snapshots at first. After [`DENSE`] seconds only each fourth is kept: a run of
/// an hour takes some 20 MiB.
const EVERY: f64 = 0.2;
const DENSE: f64 = 120.0;
const SPARSE: f64 = 0.9;

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The run at one moment.
    Snapshot(Box<Snapshot>),
    /// What happened.
    Event(Event),
    /// What the run reported at its end.
    Report(Value),
}

#[derive(Serialize, Deserialize)]
struct Head {
    docmill: String,
    version: u32,
}

/// Writes a recording.
#[derive(Debug)]
pub struct Recorder<W> {
    to: W,
    events: u64,
    last: Option<f64>,
}

impl<W: Write> Recorder<W> {
    /// Begins one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(mut to: W) -> io::Result<Self> {
        line(&mut to, &Head { docmill: "recording".into(), version: VERSION })?;
        to.flush()?;
        Ok(Self { to, events: 0, last: None })
    }

    /// Adds a snapshot, if its time has come, and the events that are new.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        for event in snapshot.events.iter().filter(|event| event.number > self.events) {
            line(&mut self.to, &Line::Event(event.clone()))?;
        }
        self.events = snapshot.events.last().map_or(self.events, |event| event.number.max(self.events));
        let every = if snapshot.seconds < DENSE { EVERY } else { SPARSE };
        let due = self.last.is_none_or(|last| snapshot.seconds - last >= every) || snapshot.state.is_over();
        if due {
            self.last = Some(snapshot.seconds);
            let bare = Snapshot { events: Vec::new(), ..snapshot.clone() };
            line(&mut self.to, &Line::Snapshot(Box::new(bare)))?;
        }
        self.to.flush()
    }

    /// Ends it with the run's report.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self, report: &impl Serialize) -> io::Result<()> {
        line(&mut self.to, &Line::Report(serde_json::to_value(report)?))?;
        self.to.flush()
    }
}

fn line(to: &mut impl Write, content: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, content)?;
    to.write_all(b"\n")
}

/// A recording that was read.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// In the order of time; at least one. Each has the events up to it again, the last of them.
    pub snapshots: Vec<Snapshot>,
    /// All events.
    pub events: Vec<Event>,
    /// The run's report, where the recording was finished.
    pub report: Option<Value>,
    /// Whether the last line was cut off: the run, or its disk, came to a sudden end.
    pub cut_off: bool,
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It begins with something else.
    #[error("this is no recording of a run: make one with `docmill run --record FILE`")]
    NotOne,
    /// It is of a later version.
    #[error("the recording has version {0}, and this docmill reads {VERSION}: use the docmill that wrote it")]
    Later(u32),
    /// A line in the middle is damaged.
    #[error("line {line} of the recording is damaged: {error}")]
    Damaged {
        /// Which, from 1 on.
        line: usize,
        /// How.
        error: serde_json::Error,
    },
    /// It was cut off before the first snapshot.
    #[error("the recording holds no snapshot: the run ended before its first quarter of a second")]
    Empty,
}

/// How many events a snapshot of a recording is given back.
const SHOWN: usize = 128;

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// It is none, or damaged in the middle. A last line that was cut off is left out.
    pub fn read(from: impl BufRead) -> Result<Self, RecordingError> {
        // By bytes: a cut may go through a character.
        let mut lines = from.split(b'\n').enumerate().peekable();
        let head = match lines.next() {
            Some((_, line)) => line?,
            None => return Err(RecordingError::NotOne),
        };
        let head: Head = serde_json::from_slice(&head).map_err(|_| RecordingError::NotOne)?;
        if head.docmill != "recording" {
            return Err(RecordingError::NotOne);
        }
        if head.version > VERSION {
            return Err(RecordingError::Later(head.version));
        }
        let mut recording = Self::default();
        while let Some((index, text)) = lines.next() {
            match serde_json::from_slice(&text?) {
                Ok(line) => recording.take(line),
                Err(_) if lines.peek().is_none() => recording.cut_off = true,
                Err(error) => return Err(RecordingError::Damaged { line: index + 1, error }),
            }
        }
        if recording.snapshots.is_empty() {
            return Err(RecordingError::Empty);
        }
        Ok(recording)
    }

    fn take(&mut self, line: Line) {
        match line {
            Line::Event(event) => self.events.push(event),
            Line::Report(report) => self.report = Some(report),
            Line::Snapshot(mut snapshot) => {
                let from = self.events.len().saturating_sub(SHOWN);
                snapshot.events = self.events[from..].to_vec();
                self.snapshots.push(*snapshot);
            }
        }
    }

    /// The last snapshot.
    #[must_use]
    pub fn last(&self) -> Option<&Snapshot> {
        self.snapshots.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::RunState;

    fn recorded() -> Vec<u8> {
        let mut written = Vec::new();
        let mut recorder = Recorder::begin(&mut written).expect("memory can be written");
        let mut events = Vec::new();
        for step in 0..10_u32 {
            events.push(Event { number: u64::from(step) + 1, text: format!("event {step}"), ..Event::default() });
            let seconds = f64::from(step) / 4.0;
            let snapshot = Snapshot { seconds, events: events.clone(), ..Snapshot::default() };
            recorder.add(&snapshot).expect("written");
        }
        let over = Snapshot { seconds: 2.26, state: RunState::Completed, events, ..Snapshot::default() };
        recorder.add(&over).expect("written");
        recorder.finish(&serde_json::json!({"version": 1})).expect("written");
        written
    }

    #[test]
    fn what_was_written_is_read_again() {
        let recording = Recording::read(recorded().as_slice()).expect("it is one");
        assert_eq!(recording.snapshots.len(), 11);
        assert_eq!(recording.events.len(), 10);
        assert_eq!(recording.snapshots[3].events.len(), 4);
        assert_eq!(recording.last().map(|last| last.state), Some(RunState::Completed));
        assert_eq!(recording.report, Some(serde_json::json!({"version": 1})));
        assert!(!recording.cut_off);
    }

    #[test]
    fn a_cut_is_read_up_to_it_and_damage_is_told() {
        let whole = recorded();
        let umlaut = [&whole[..whole.len() / 2], "{\"event\":{\"text\":\"ü".as_bytes()].concat();
        assert!(Recording::read(&umlaut[..umlaut.len() - 1]).is_ok_and(|recording| recording.cut_off));
        let cut = Recording::read(&whole[..whole.len() / 2]).expect("read up to the cut");
        assert!(cut.cut_off && !cut.snapshots.is_empty() && cut.report.is_none());
        assert!(matches!(Recording::read(&b"{}\n"[..]), Err(RecordingError::NotOne)));
        assert!(matches!(Recording::read(&b""[..]), Err(RecordingError::NotOne)));
        let later = b"{\"docmill\":\"recording\",\"version\":9}\n";
        assert!(matches!(Recording::read(&later[..]), Err(RecordingError::Later(9))));
        let text = String::from_utf8(whole).expect("text");
        let damaged = text.replacen("{\"event\"", "{\"evnt\"", 1);
        assert!(matches!(Recording::read(damaged.as_bytes()), Err(RecordingError::Damaged { line: 2, .. })));
        let head = text.lines().next().expect("a head");
        assert!(matches!(Recording::read(head.as_bytes()), Err(RecordingError::Empty)));
    }
}
