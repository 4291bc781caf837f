//! The dashboard: what it draws, as pictures that are read by people; what keys do; that no size makes it fall.
//!
//! A picture changes on purpose by `INSTA_UPDATE=always cargo test`, and is read before it is committed.

mod fixture;
mod keys;
mod pictures;
mod pty;
mod real;
mod sizes;
mod truth;
