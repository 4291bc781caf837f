//! The integration tests: one binary, files named by the property they hold. See tests/README.md.

mod backpressure;
mod child;
mod delivery;
mod event_loop;
mod layering;
mod memory;
#[cfg(feature = "builtin")]
mod pipeline;
mod pool;
mod retry;
mod scenarios;
mod stop;
mod support;
mod timeout;
mod width;

#[cfg(feature = "builtin")]
mod command_line;
#[cfg(feature = "builtin")]
mod conformance;
