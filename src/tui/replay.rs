//! A recorded run that is played again: a [`Link`] without a run behind it. Commands are refused; time is its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::{FileChange, Link};
use crate::control::Command;
use crate::monitor::{Recording, Snapshot};

/// How fast a recording is played, as a factor.
const SPEEDS: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
const NORMAL: usize = 2;

/// A recording, and where in it one is.
#[derive(Debug)]
pub struct Replay {
    snapshots: Vec<Arc<Snapshot>>,
    /// In seconds of the run.
    at: f64,
    speed: usize,
    playing: bool,
    last: Instant,
}

/// Where in a recording one is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Playback {
    /// The moment, in seconds from the run's start.
    pub at: f64,
    /// The last moment of the recording.
    pub end: f64,
    /// How fast it goes, as a factor.
    pub speed: f64,
    /// Whether it goes.
    pub playing: bool,
}

/// What is done to the time of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seek {
    /// By so many seconds, forwards or backwards.
    By(f64),
    /// To the beginning.
    Start,
    /// To the end.
    End,
    /// Go, or stand.
    Toggle,
    /// Faster or slower, by a step.
    Faster(bool),
}

impl Replay {
    /// Begins at the recording's start, playing.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        let snapshots: Vec<_> = recording.snapshots.into_iter().map(Arc::new).collect();
        let at = snapshots.first().map_or(0.0, |first| first.seconds);
        Self { snapshots, at, speed: NORMAL, playing: true, last: Instant::now() }
    }

    /// Lets time pass. The end stops it.
    pub fn pass(&mut self, time: Duration) {
        if self.playing {
            self.at += time.as_secs_f64() * SPEEDS[self.speed];
        }
        if self.at >= self.end() {
            self.at = self.end();
            self.playing = false;
        }
    }

    /// Goes elsewhere in time.
    pub fn seek(&mut self, seek: Seek) {
        match seek {
            Seek::By(seconds) => self.at = (self.at + seconds).clamp(self.start(), self.end()),
            Seek::Start => self.at = self.start(),
            Seek::End => self.at = self.end(),
            Seek::Toggle => {
                // At the end there is nothing to play but the whole again.
                if !self.playing && self.at >= self.end() {
                    self.at = self.start();
                }
                self.playing = !self.playing;
            }
            Seek::Faster(true) => self.speed = (self.speed + 1).min(SPEEDS.len() - 1),
            Seek::Faster(false) => self.speed = self.speed.saturating_sub(1),
        }
    }

    /// Where one is.
    #[must_use]
    pub fn playback(&self) -> Playback {
        Playback { at: self.at, end: self.end(), speed: SPEEDS[self.speed], playing: self.playing }
    }

    /// The snapshots after a moment and up to now, for the course of the run that is drawn.
    #[must_use]
    pub fn since(&self, moment: f64) -> &[Arc<Snapshot>] {
        let from = self.snapshots.partition_point(|snapshot| snapshot.seconds <= moment);
        let to = self.snapshots.partition_point(|snapshot| snapshot.seconds <= self.at);
        self.snapshots.get(from..to).unwrap_or_default()
    }

    fn start(&self) -> f64 {
        self.snapshots.first().map_or(0.0, |first| first.seconds)
    }

    fn end(&self) -> f64 {
        self.snapshots.last().map_or(0.0, |last| last.seconds)
    }
}

/// Why a command to a recording is refused.
const OVER: &str = "this is a recording: what it shows is over and takes no commands";

impl Link for Replay {
    fn latest(&mut self) -> Arc<Snapshot> {
        let now = Instant::now();
        let passed = now.duration_since(self.last);
        self.last = now;
        self.pass(passed);
        let at = self.snapshots.partition_point(|snapshot| snapshot.seconds <= self.at).saturating_sub(1);
        self.snapshots.get(at).cloned().unwrap_or_default()
    }

    fn send(&mut self, _: Command) -> Result<(), String> {
        Err(OVER.into())
    }

    fn propose(&mut self, _: &[(String, usize)]) -> Result<FileChange, String> {
        Err(OVER.into())
    }

    fn write(&mut self, _: &FileChange) -> Result<(), String> {
        Err(OVER.into())
    }

    fn retry_failed(&mut self, _: &str) -> Result<usize, String> {
        Err(OVER.into())
    }

    fn is_live(&self) -> bool {
        false
    }

    fn replay(&mut self) -> Option<&mut Replay> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay() -> Replay {
        let at = |second: u32| Snapshot { seconds: f64::from(second), ..Snapshot::default() };
        Replay::new(Recording { snapshots: (0..10).map(at).collect(), ..Recording::default() })
    }

    #[test]
    fn time_passes_stands_and_goes_back() {
        let mut replay = replay();
        replay.pass(Duration::from_millis(2500));
        assert!((replay.playback().at - 2.5).abs() < 1e-9);
        assert_eq!(replay.since(0.5).len(), 2);
        replay.seek(Seek::Toggle);
        replay.pass(Duration::from_secs(5));
        assert!((replay.playback().at - 2.5).abs() < 1e-9, "it stands");
        replay.seek(Seek::By(-60.0));
        assert!(replay.playback().at.abs() < 1e-9, "not before the start");
        replay.seek(Seek::Toggle);
        replay.seek(Seek::Faster(true));
        replay.pass(Duration::from_secs(60));
        assert_eq!((replay.playback().at, replay.playback().playing), (9.0, false));
        replay.seek(Seek::Toggle);
        assert_eq!((replay.playback().at, replay.playback().playing), (0.0, true), "from the start again");
    }

    #[test]
    fn commands_are_refused() {
        let mut replay = replay();
        assert!(replay.send(Command::Pause).is_err_and(|error| error.contains("recording")));
        assert!(replay.retry_failed("parse").is_err() && replay.propose(&[]).is_err() && !replay.is_live());
    }
}
