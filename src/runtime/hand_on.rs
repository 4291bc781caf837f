//! What follows a stage's work on a record: what it gave is handed on, with memory and room for it; what it found comes in
//! by the source's door; what ended before as it ends now is given that end.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use docmill_api::{Document, Known, Outputs, Payload, PayloadKind, Record, SourceItem, StageError};

use super::delivery::Token;
use super::edge::{Closed, Held};
use super::node::NodeRuntime;
use super::serve::{Trouble, Went};
use crate::monitor::Cause;

impl NodeRuntime {
    /// Hands records on, waiting for memory and for room.
    pub(super) async fn hand_on(&self, token: &Token, mut outputs: Outputs) -> Result<Went, Trouble> {
        if outputs.is_as_known() {
            return self.end_as_known(token).await;
        }
        self.let_in(token, outputs.take_found())?;
        let (records, skip) = outputs.into_parts();
        let emitted = self.send_all(token, records).await?;
        Ok(Went { emitted, skip })
    }

    /// Brings documents found inside this one to its source's door, under the same session and user.
    pub(super) fn let_in(&self, token: &Token, found: Vec<SourceItem>) -> Result<(), Trouble> {
        if found.is_empty() {
            return Ok(());
        }
        if let Some(witness) = &self.shared.witness {
            witness.found(&token.delivery().document().id, &found);
        }
        if self.shared.alone {
            return Ok(());
        }
        if !self.plan.takes.contains(&PayloadKind::Reference) {
            let message = "a stage that takes no references found documents: their source may have ended by now";
            return Err(Trouble::failed(StageError::rejected(message)));
        }
        let delivery = token.delivery();
        let document = delivery.document();
        let (session_id, user_id) = (&document.session_id, &document.user_id);
        let of_the_same = |item| SourceItem { session_id: session_id.clone(), user_id: user_id.clone(), ..item };
        let found: Vec<SourceItem> = found.into_iter().map(of_the_same).collect();
        delivery.hold_door(delivery.origin.keep_open());
        delivery.note_members(found.iter().map(|item| Document::admit(item.clone(), document.fingerprint).id));
        for item in found {
            delivery.origin.find(item);
        }
        Ok(())
    }

    /// Whether a document that was just read ended before with this very content, by what is remembered: then it is given
    /// that end.
    async fn ends_as_before(&self, token: &Token, document: &Document) -> Result<bool, Closed> {
        let delivery = token.delivery();
        let may_be = !delivery.past.doubt && !delivery.past.is_new;
        let Some(memory) = self.shared.memory.get().filter(|_| may_be) else { return Ok(false) };
        match memory.recall(document).await {
            Ok(Some(before)) => {
                delivery.end_as_before(before);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => {
                self.shared.halt(&self.id, error);
                Err(Closed)
            }
        }
    }

    /// Gives a document of which a stage says that it is what it was the end that it had.
    async fn end_as_known(&self, token: &Token) -> Result<Went, Trouble> {
        let delivery = token.delivery();
        let document = delivery.document();
        if let (Some(memory), Some(Known { stamp, content })) = (self.shared.memory.get(), document.known.clone()) {
            let known = Document { content: Some(content), stamp: Some(stamp), ..(**document).clone() };
            match memory.recall(&known).await {
                Ok(Some(before)) => {
                    delivery.note(&Arc::new(known));
                    delivery.end_as_before(before);
                    return Ok(Went::default());
                }
                Ok(None) => {}
                Err(error) => {
                    self.shared.halt(&self.id, error);
                    return Err(Trouble::Aborted);
                }
            }
        }
        // Somebody asked meanwhile that it be done again.
        Err(Trouble::failed(StageError::transient("its content is what it was, and what that was is forgotten")))
    }

    pub(super) async fn send_all(&self, token: &Token, records: Vec<Record>) -> Result<usize, Closed> {
        let emitted = records.len();
        for record in records {
            if token.delivery().note(&record.document) && self.ends_as_before(token, &record.document).await? {
                return Ok(0);
            }
            if let Payload::Blob(blob) = &record.payload {
                self.shared.counters.bytes.fetch_add(blob.bytes.len() as u64, Relaxed);
            }
            let bytes = record.payload.bytes();
            let charge = match self.shared.budget.try_reserve(bytes) {
                Some(charge) => charge,
                None => {
                    let start = Instant::now();
                    let sequence = token.delivery().sequence;
                    let charge = self.shared.budget.reserve(self.plan.depth, sequence, bytes).await;
                    self.counters.held(Cause::Memory, start.elapsed());
                    charge
                }
            };
            let held = Held::new(charge, token, bytes, None);
            let media_type = record.document.media_type.clone();
            let (sent, blocked) = self.outlet.send(record, token, Some(held)).await?;
            if sent == 0 {
                let what = media_type.as_deref().unwrap_or("of an unknown type");
                token.split().skipped(&self.id, format!("no stage accepts it ({what})"));
            } else {
                self.counters.output.fetch_add(1, Relaxed);
            }
            if !blocked.is_zero() {
                self.counters.blocked(blocked);
            }
        }
        Ok(emitted)
    }
}
