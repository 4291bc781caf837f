//! What is told of a document: what its caller gets, where it is, how it ended.

use std::sync::Arc;
use std::time::SystemTime;

use docmill_api::{DocumentEnd, Visit};
use serde_json::{Value, json};

use super::delivery::{Delivery, Failure, Token};
use super::node::NodeRuntime;
use super::shared::Shared;

/// The class of a document that was taken back.
const CANCELLED: &str = "cancelled";

/// What a document's caller is told; nothing where nothing was made of it in this run, so that what was told before holds.
pub(crate) fn result(delivery: &Delivery) -> Option<Value> {
    if delivery.gone || delivery.is_as_before() {
        return None;
    }
    let document = delivery.document();
    let made = delivery.made();
    let failure = delivery.failure();
    let skip = delivery.skip().filter(|_| made.rows == 0);
    let is_well = failure.is_none();
    let message = failure.map(|failure| failure.error.message).or(skip.map(|(_, reason)| reason));
    Some(json!({
        "success": is_well,
        "document": document.uri,
        "filename": document.filename,
        "filetype": document.extension(),
        "is_code_file": is_code(document.media_type.as_deref()),
        "total_chunks": made.chunks,
        "token_count": made.tokens,
        "strategy": made.strategy,
        "summary": made.summary.unwrap_or_default(),
        "message": message.unwrap_or_default(),
        "peak_bytes": delivery.peak_bytes(),
    }))
}

/// The class of a failure: a document that was taken back has one of its own.
pub(crate) fn class_of(delivery: &Delivery, failure: &Failure) -> String {
    if delivery.is_taken_back() { CANCELLED.to_owned() } else { failure.error.class.to_string() }
}

/// Tells the witness of a document's end, where there is one and it has come to one.
pub(crate) fn ended(shared: &Shared, delivery: &Delivery) {
    let Some(witness) = &shared.witness else { return };
    if delivery.is_unfinished() {
        return;
    }
    let skip = delivery.skip().filter(|_| delivery.made().rows == 0);
    let took = delivery.age();
    let mut end = DocumentEnd {
        document: Arc::clone(delivery.document()),
        state: "done",
        stage: String::new(),
        class: String::new(),
        reason: String::new(),
        attempts: 1,
        began: SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH),
        took,
        result: result(delivery),
    };
    if let Some(failure) = delivery.failure() {
        end.state = if delivery.is_taken_back() { CANCELLED } else { "failed" };
        end.class = class_of(delivery, &failure);
        (end.stage, end.reason) = (failure.stage.to_string(), failure.error.message);
        end.attempts = failure.attempts;
    } else if delivery.gone {
        end.state = "deleted";
    } else if let Some((stage, reason)) = skip {
        (end.state, end.stage, end.reason) = ("skipped", stage.to_string(), reason);
    } else if delivery.is_unchanged() {
        end.state = "unchanged";
    }
    witness.ended(&end);
}

/// Whether a media type is that of source code: `text/x-rust` and the like.
pub(crate) fn is_code(media_type: Option<&str>) -> bool {
    media_type.is_some_and(|media_type| {
        media_type.starts_with("text/x-") || matches!(media_type, "text/javascript" | "application/javascript")
    })
}

impl NodeRuntime {
    /// Notes that this stage has a record of a document in hand, where somebody may ask.
    pub(super) fn notes_visit(&self, token: &Token, attempt: u32) {
        if self.shared.witness.is_some() {
            token.delivery().is_at(&self.id, attempt);
        }
    }

    /// Tells the witness of an attempt that is over.
    pub(super) fn tells_visit(&self, token: &Token, begun: tokio::time::Instant, attempt: u32, failed: Option<&str>) {
        let Some(witness) = &self.shared.witness else { return };
        let took = begun.elapsed();
        witness.visited(&Visit {
            document: token.delivery().document().id,
            stage: Arc::clone(&self.id),
            began: SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH),
            took,
            attempt,
            failed: failed.map(str::to_owned),
        });
    }
}
