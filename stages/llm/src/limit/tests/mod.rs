//! The limits against services as they are known to behave, in virtual time.
//!
//! `server` holds the services and those who call them; the other files are named by what they claim.

mod breaker;
mod crowds;
mod noise;
mod order;
mod property;
mod rates;
mod server;
mod widths;

use super::{Cost, Limits, Outcome, Settings};

const ONE: Cost = Cost { requests: 1.0, tokens: 0.0 };
const GOOD: Outcome = Outcome::Answered { tokens: None };

/// A small generator with a seed (Knuth's MMIX constants): the same run every time.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// Between 0 and 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}
