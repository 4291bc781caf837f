//! What the stages that fetch over the network have in common: which addresses may be asked, and a client that asks no
//! others.
//!
//! A library and no stage: stages do not depend on each other, and two copies of a rule that keeps a program off its
//! owner's network would sooner or later be two rules. What comes back, how large it may be and what its status means
//! is for the stage that asked.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod address;
mod client;
mod guard;
mod resolver;

pub use address::{Cidr, special};
pub use client::{CONNECT, FetchError, Late, USER_AGENT, builder, chain, client, follow, follow_with};
pub use guard::{Allow, Guard, Refused};
pub use resolver::Resolver;
