//! What a run says of itself: counters in, snapshots out.
//!
//! The runtime writes atomics and never waits for a reader; a sampler takes a [`Snapshot`] four times a second, fills in
//! what is said of now ([`Window`]) and publishes it. Progress, dashboard, recording and every later view read the same
//! snapshot. Depends on nothing above it.

mod counters;
mod event;
mod fleet;
mod host;
mod latency;
mod limits;
mod recording;
mod snapshot;
mod window;

pub use counters::{Cause, RunCounters, StageCounters, Tally};
pub use event::{Event, EventKind, EventLog};
pub use fleet::{Fleet, FleetSnapshot, TOLD, WorkerSnapshot, WorkerStage};
pub use host::{HostSampler, HostSnapshot, HostUse, cpu_of_process, host_use, rss_of_process};
pub use latency::{Latencies, SlowDocument};
pub use limits::{cpu_quota, memory_limit};
pub use recording::{Line, Recorder, Recording, RecordingError};
pub use snapshot::{
    DocumentCounts, EdgeSnapshot, Ended, FULL, Hand, QueueSnapshot, Rates, RunState, ServiceTimes, Snapshot, StageNow,
    StageSnapshot, VERSION, WorkerEnds,
};
pub use window::Window;
