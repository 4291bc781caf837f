//! Load: what a pipeline is tried with, to its limits and without cost. Documents that are made up, steps of a rate or of
//! documents at once, thresholds, and a service that stands in for a paid one.
//!
//! Apart from the engine, which knows nothing of load tests: a test is a run whose plan was changed and whose intake keeps
//! a pace. Nothing here may be reached from a run, and nothing here prints.

pub mod documents;
pub mod measure;
pub mod places;
pub mod profile;
pub mod simulate;
pub mod stages;
pub mod threshold;
