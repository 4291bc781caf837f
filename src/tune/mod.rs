//! From snapshots to advice. Pure: a snapshot in, a sentence out.

mod bottleneck;

pub use bottleneck::{Bottleneck, bottleneck};
