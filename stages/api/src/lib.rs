//! The contract between docmill and its stages.
//!
//! A pipeline is a graph of stages. A [`Source`] lists documents, [`Stage`]s and [`CpuStage`]s turn one record into
//! others, a [`Sink`] makes rows durable. This crate holds the traits, what flows between them, how a stage describes
//! and builds itself, and the frames by which a stage runs in another process. It holds no stage and no engine.
//!
//! | to write | implement | it runs |
//! |---|---|---|
//! | a lister of documents | [`Source`] | on the event loop |
//! | a stage that waits (network, disk, a model) | [`Stage`] | on the event loop, with timeout and retry around it |
//! | a stage that computes | [`CpuStage`] | on the bounded CPU pool, or in child processes |
//! | a store | [`Sink`] | on the event loop, one committer |
//!
//! Whatever the trait, its author writes no metrics, no retry, no timeout and no limits: the engine wraps the same ones
//! around every stage. A [`StageFactory`] gives the stage its kind, its typed configuration and its documentation, and
//! [`Registry::add`] makes it known.
//!
//! # Example
//! A stage that drops the text of documents below a length:
//! ```
//! use docmill_api::*;
//!
//! struct Longer { than: usize }
//!
//! impl CpuStage for Longer {
//!     fn open(&self, _cx: &StepContext, input: Record) -> Result<Box<dyn Work>, StageError> {
//!         let than = self.than;
//!         Ok(one_shot(move |_cx, out| {
//!             match &input.payload {
//!                 Payload::Text(text) if text.content.len() > than => out.emit(input),
//!                 Payload::Text(_) => out.skip("shorter than wanted"),
//!                 other => return Err(StageError::unexpected(other.kind())),
//!             }
//!             Ok(())
//!         }))
//!     }
//! }
//! ```

mod clock;
mod context;
pub mod crash;
mod document;
mod error;
mod factory;
pub mod frames;
mod intake;
mod paid;
mod payload;
mod search;
mod service;
mod several;
mod spec;
mod stage;
pub mod units;
mod witness;

pub use async_trait::async_trait;
pub use bytestring::ByteString;
pub use clock::{Clock, Left};
pub use context::{Context, Outputs, Step, StepContext, Work, one_shot};
pub use document::{Digest, Document, Known, MEMBER_MARK, SourceItem, canonical_uri};
pub use error::{ErrorClass, StageError};
pub use factory::{BuildContext, Embedding, ErasedFactory, Issue, Ports, Registry, StageFactory, defaults};
pub use intake::{Acceptance, Feed, Intake, Progress};
pub use paid::{Paid, PaidResults};
pub use payload::{
    Blob, Block, Chunk, Chunks, Page, Part, Payload, PayloadKind, Record, Reference, Slice, Text, TextKind, Vectors,
};
pub use search::{Filter, Hit, Listed, Provider, Search, StoreInfo, Stored};
pub use service::{Answer, Chat, Conversation, Message, Service, ServiceFactory, ServiceReport, Services, Speaker};
pub use several::Several;
pub use spec::{ATTEMPTS, BatchDefaults, FieldSpec, FieldType, StageSpec, Tier};
pub use stage::{CpuStage, Durability, Node, Rest, Settled, Sink, Source, Stage};
pub use tokio_util::sync::CancellationToken;
pub use witness::{DocumentEnd, Visit, Witness};
