//! From snapshots to advice. Pure: a snapshot in, a sentence out.

mod advice;
mod bottleneck;

pub use advice::{Advice, Alert, Change, Outcome, Prediction, Proposal};
pub use bottleneck::{Bottleneck, bottleneck};
