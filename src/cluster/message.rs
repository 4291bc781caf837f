//! What goes through the queue: claim checks of some hundred bytes, never a document's content.

use docmill_api::{Digest, SourceItem};
use serde::{Deserialize, Serialize};

/// A document to be worked on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Job {
    /// No other job has it; blobs of the job lie below it.
    pub(super) id: Digest,
    /// The pipeline's fingerprint: a worker of another one must not touch it.
    pub(super) pipeline: Digest,
    /// The document, as its source listed it.
    pub(super) item: SourceItem,
    /// Whether its bytes are among the blobs, since only the coordinator can read its place.
    pub(super) bytes: bool,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) job: Digest,
    pub(super) outcome: Outcome,
    /// Documents that were found inside it.
    pub(super) found: Vec<SourceItem>,
    /// Whether it was handed out more than once: then there may be blobs that nobody tells of.
    pub(super) again: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Outcome {
    /// Its rows are in so many blobs.
    Done {
        parts: u32,
    },
    Skipped {
        reason: String,
    },
    Failed {
        stage: String,
        reason: String,
    },
}

impl Answer {
    pub(super) fn failed(job: Digest, stage: &str, reason: impl Into<String>) -> Self {
        let outcome = Outcome::Failed { stage: stage.to_owned(), reason: reason.into() };
        Self { job, outcome, found: Vec::new(), again: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_small_and_come_back_as_they_were() {
        let item = SourceItem { uri: "file:///a/b.pdf".into(), size: Some(10 << 20), ..SourceItem::default() };
        let job = Job { id: Digest::of(&[b"1"]), pipeline: Digest::of(&[b"2"]), item, bytes: true };
        let text = serde_json::to_vec(&job).expect("it is written");
        assert!(text.len() < 512, "{} bytes", text.len());
        assert_eq!(serde_json::from_slice::<Job>(&text).expect("it is read"), job);
        let answer = Answer::failed(job.id, "parse", "broken");
        let text = serde_json::to_vec(&answer).expect("it is written");
        assert_eq!(serde_json::from_slice::<Answer>(&text).expect("it is read"), answer);
    }
}
