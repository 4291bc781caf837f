//! docmill: from a pile of documents to a searchable vector store.
//!
//! A pipeline is declared in `pipeline.toml` and runs in one direction: [`config`] reads it, [`plan`] checks it,
//! [`runtime`] sets it in motion, [`monitor`] counts, [`tune`] and [`report`] tell, [`query`] asks the store.
//! ARCHITECTURE.md follows one record from file to row.
//!
//! To run the command line with stages of your own, write a `main` that calls [`cli::main_with`]; to embed the engine,
//! fill a `docmill_api::Registry` and build a [`runtime::Topology`].

#[cfg(feature = "builtin")]
pub mod builtin;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod control;
pub mod http;
pub mod ledger;
pub mod load;
pub mod monitor;
pub mod otlp;
pub mod plan;
pub mod query;
pub mod rehearse;
pub mod report;
pub mod runtime;
pub mod tui;
pub mod tune;
