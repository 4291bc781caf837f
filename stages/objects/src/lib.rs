//! What the parts of docmill that speak to object stores have in common: a client for a bucket of S3 and its like, Google
//! Cloud Storage or Azure Blob Storage, from a table of settings and the environment; and, for who writes to one, what is
//! asked of it first.
//!
//! A library and no stage. [`open`] makes a client that is carried by whatever its caller brings (the download stage has a
//! guard in between); [`Own`] is a place that the operator named, written to and trusted. A place that is written to must
//! keep two writers apart: [`probe`] sees whether it does.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod config;
mod lease;
mod own;
mod probe;
mod settings;

pub use config::{Az, Gs, S3, Stores, endpoint_issues, fields};
pub use lease::{Lease, host};
pub use own::{Own, SCHEMES, is_store, reason};
pub use probe::probe;
pub use settings::{Asked, Environment, Hint, no_retries, open, plain};
