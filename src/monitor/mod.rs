//! What a run says of itself: counters in, snapshots out.
//!
//! The runtime writes atomics and never waits for a reader; a reader takes a [`Snapshot`] whenever it likes. Progress,
//! report and every later view read the same snapshot. Depends on nothing above it.

mod counters;
mod host;
mod snapshot;

pub use counters::{Cause, RunCounters, StageCounters, Tally};
pub use host::{HostUse, host_use, rss_of_process};
pub use snapshot::{DocumentCounts, Ended, QueueSnapshot, ServiceTimes, Snapshot, StageSnapshot, WorkerEnds};
