//! The integration tests: one binary, files named by the property they hold. See tests/README.md.

mod backpressure;
mod child;
mod delivery;
mod doctor;
mod embed;
mod event_loop;
mod exec;
mod found;
mod layering;
mod ledger_model;
mod load;
mod memory;
mod page;
mod paid;
#[cfg(feature = "builtin")]
mod pipeline;
mod pool;
mod reference;
mod report;
mod retry;
mod scenarios;
mod seen;
mod stop;
mod support;
mod timeout;
mod tui;
mod tune;
mod tune_command;
mod unchanged;
mod width;

#[cfg(feature = "builtin")]
mod bombs;
#[cfg(feature = "builtin")]
mod cluster;
#[cfg(feature = "builtin")]
mod command_line;
#[cfg(feature = "builtin")]
mod conformance;
#[cfg(feature = "builtin")]
mod corpus;
#[cfg(feature = "builtin")]
mod crash;
#[cfg(feature = "builtin")]
mod dashboard;
#[cfg(feature = "builtin")]
mod dead_letters;
#[cfg(feature = "builtin")]
mod guide;
#[cfg(feature = "builtin")]
mod incremental;
#[cfg(feature = "builtin")]
mod inside;
#[cfg(feature = "builtin")]
mod out_of_memory;
#[cfg(feature = "builtin")]
mod power;
#[cfg(feature = "builtin")]
mod serve;
#[cfg(feature = "builtin")]
mod services;
mod waiting;
