//! The exec stage of docmill: a program of the user's, in any language, works on the records.
//!
//! The stage speaks the frames of [`docmill_api::frames`] over the program's standard input and output, keeps a pool of
//! children, and turns whatever they do (answer, fail, crash, hang, print nonsense) into records and errors by class.
//! It knows nothing of what the program does, and it is apart from the engine's own child processes, which are this
//! program once more and need no configuration.
//!
//! | file | holds |
//! |---|---|
//! | `factory.rs` | kind, configuration, description |
//! | `program.rs` | what is started: file, arguments, directory, variables |
//! | `child.rs` | one child: its start, one conversation after another, its end |
//! | `pool.rs` | which child works on which input; starts, and when to give up on them |
//! | `wire.rs` | frames from a program that is not trusted to write any |
//! | `answer.rs` | what a program may answer, and the records that come of it |
//! | `obituary.rs` | why a child is gone, and whether its document is tried again |
//! | `words.rs` | what a program prints to standard error |
//! | `stage.rs` | a record in, records out |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails by panicking"))]

mod answer;
mod child;
mod factory;
mod obituary;
mod pool;
mod program;
mod stage;
mod wire;
mod words;

use docmill_api::Registry;

pub use factory::{Config, ExecFactory, Model};

/// Makes this crate's stage known.
pub fn register(registry: &mut Registry) {
    registry.add::<ExecFactory>();
}
