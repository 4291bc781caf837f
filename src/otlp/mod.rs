//! Traces: what became of documents, stage by stage, sent to a collector of OpenTelemetry's as OTLP over HTTP in its JSON
//! encoding. Off unless the environment names a collector, with OpenTelemetry's own variables ([`Settings`]).
//!
//! A document is a trace: a span for the document, and in it one for each stay in a stage's hands. The runtime knows
//! nothing of it: it tells a [`docmill_api::Witness`], which is the [`Exporter`] here. That puts what it hears into a bounded
//! queue and returns; a thread of its own, with an event loop of its own, sends what is in the queue. What finds the queue
//! full is dropped and counted: a run never waits for a collector.
//!
//! ```text
//!   runtime ──▶ Exporter (a queue) ──▶ Sender, on its thread ──▶ POST …/v1/traces
//! ```
//!
//! Written here and not taken from OpenTelemetry's SDK: see `docs/adr/018-traces.md`.

mod encode;
mod exporter;
mod sampler;
mod sender;
mod settings;
#[cfg(test)]
mod tests;

pub use exporter::Exporter;
pub use sampler::Sampler;
pub use sender::Sent;
pub use settings::{Settings, SettingsError};
