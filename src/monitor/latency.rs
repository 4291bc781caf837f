//! How long documents take from admission to their end, and which took longest.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::snapshot::ServiceTimes;

/// The longest time that is told apart: a day in microseconds.
const LONGEST: u64 = 86_400_000_000;

/// How many of the slowest documents are told of.
const SLOWEST: usize = 10;

/// A document that took long.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SlowDocument {
    /// Its URI.
    pub document: String,
    /// From admission to its end.
    pub seconds: f64,
    /// The most bytes of it that were in memory at once.
    pub bytes: u64,
    /// Its chunks.
    pub chunks: u64,
}

/// The times of all documents of a run.
#[derive(Debug)]
pub struct Latencies(Mutex<(Histogram<u64>, Vec<SlowDocument>)>);

impl Default for Latencies {
    fn default() -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST, 2).expect("the bounds are in order");
        Self(Mutex::new((times, Vec::new())))
    }
}

impl Latencies {
    /// Adds a document that came to its end. `which` is asked only of one that is among the slowest.
    pub fn add(&self, time: Duration, which: impl FnOnce() -> SlowDocument) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        all.0.saturating_record(micros.max(1));
        let seconds = time.as_secs_f64();
        let slowest = &mut all.1;
        if slowest.len() == SLOWEST && slowest.last().is_some_and(|last| last.seconds >= seconds) {
            return;
        }
        let at = slowest.partition_point(|other| other.seconds >= seconds);
        slowest.insert(at, SlowDocument { seconds, ..which() });
        slowest.truncate(SLOWEST);
    }

    /// The percentiles, and the slowest with the longest first.
    #[must_use]
    pub fn told(&self) -> (ServiceTimes, Vec<SlowDocument>) {
        // A copy: who adds waits for no percentiles.
        let (times, slowest) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (ServiceTimes::of(&times), slowest)
    }

    /// All times in microseconds: the difference between two moments is what lies between them.
    #[must_use]
    pub fn times(&self) -> Histogram<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_are_kept_in_order() {
        let latencies = Latencies::default();
        for millis in (0..50_u64).map(|step| (step * 37) % 50 + 1) {
            latencies.add(Duration::from_millis(millis), SlowDocument::default);
        }
        let (times, slowest) = latencies.told();
        let told: Vec<f64> = slowest.iter().map(|slow| (slow.seconds * 1000.0).round()).collect();
        assert_eq!(told, (41..=50).rev().map(f64::from).collect::<Vec<_>>());
        assert!((times.p50 - 25.0).abs() < 1.5 && times.max >= 50.0, "{times:?}");
    }
}
