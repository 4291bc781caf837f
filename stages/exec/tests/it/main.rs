//! What the stage promises, with real programs. Those in Python are skipped, and say so, where there is no `python3`.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking, and says what it skips")]

mod answers;
mod conformance;
mod ends;
mod guide;
mod program;
mod starts;
