//! The same pipeline over several machines: NATS JetStream hands out documents, an object store or a directory that all
//! share holds bytes and vectors. The only room that names either.
//!
//! The process that runs `docmill run` keeps the ledger and is the one committer of the store. Its plan is cut
//! ([`coordinator`]): between its sources and its store stands one stage (`away.rs`), which gives a document to the queue
//! and waits for what becomes of it. `docmill work` runs the stages between ([`Worker`]), fed by the queue and with a sink
//! that writes what they make to the shared place. Neither remembers anything that the ledger does not: whatever is
//! lost of the queue, its messages or its directory, the ledger still says which documents are not finished.
//!
//! | message | stream | from, to |
//! |---|---|---|
//! | `Job` | `NAME-jobs` | the coordinator, any worker; acknowledged once its answer is in the queue |
//! | `Answer` | `NAME-answers` | a worker, the coordinator; acknowledged once it is read |
//!
//! Besides, workers tell of themselves, and hear what is wanted of them (`fleet.rs`), by messages that nobody keeps.
//!
//! Both streams hold only what is under way, and both are emptied when a coordinator starts: it hands out anew what the
//! ledger has open.

mod away;
mod blobs;
mod cut;
mod desk;
mod fleet;
mod message;
mod paid;
mod places;
mod queue;
mod worker;

pub use cut::{Unfit, coordinator, stages, worker as worker_plan};
pub use fleet::{BEAT, Member, Watch, order, workers};
pub use worker::Worker;
