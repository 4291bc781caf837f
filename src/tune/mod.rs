//! From snapshots to advice, and to widths. Pure: snapshots in, sentences and decisions out; no clock, no I/O. Who shows
//! advice and who sets widths is elsewhere. See docs/tuning.md.

mod advice;
mod advisor;
mod alerts;
mod bottleneck;
mod estimate;
mod evidence;
mod meter;
mod outcomes;
mod planner;
pub mod project;
mod shares;
pub mod simulate;
mod visits;
mod what_if;

pub use advice::{Advice, Alert, Change, Outcome, Prediction, Proposal};
pub use advisor::Advisor;
pub use alerts::{AlertChange, AlertRules, Alerts};
pub use bottleneck::{Bottleneck, bottleneck, bottleneck_now};
pub use planner::{Decision, Mode, Planner, PlannerSettings, TUNER};
pub use what_if::what_if;
