//! A pipeline in virtual time: a [`Model`] in, [`Snapshot`](crate::monitor::Snapshot)s out, four a second as of a real run,
//! so that planner and advisor are driven by it as they are by one. The same model and seed give the same run.
//!
//! It knows workers with widths, bounded queues, batches, the permits of the CPU pool with later stages first, CPUs that
//! more work than there are shares, model services that refuse and a client that finds its limit, a memory budget, and
//! places in flight. It does not know the cost of switching, disks, networks, or documents that fail; see docs/tuning.md.

mod engine;
mod model;
mod sample;
mod service;
mod source;
mod stage;
mod times;
mod work;

pub use engine::Simulation;
pub use model::{BatchModel, Model, ModelError, ServiceModel, StageModel};
pub use times::Times;

#[cfg(test)]
mod tests;
