//! Where a stage's work runs: on the event loop, in the CPU pool, or in child processes.

pub(crate) mod child;
pub(crate) mod cpu;
pub(crate) mod process;
mod queue;
mod sandbox;
