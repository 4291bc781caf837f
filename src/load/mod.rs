//! Load without cost: what stands in for a paid service when a pipeline is tuned or tried to its limits.
//!
//! Apart from the engine, which knows services by their address alone: nothing here may be reached from a run, and
//! nothing here prints.

pub mod simulate;
