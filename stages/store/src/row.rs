//! What both sinks agree on: which row a chunk is, and which records can be stored at all.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use docmill_api::{Digest, Document, Embedding, Part, Payload, Record, StageError, Vectors};
use serde::{Deserialize, Serialize};

/// A row within one version of one document. Its id is a hash of the three.
pub(crate) type Key = (Part, u32);

/// One version of one document: the unit that is written, kept or taken back.
pub(crate) type Version = (Digest, Digest);

/// `blake3(document, version, part, ordinal)`: the same for the same work, however often it is done.
pub(crate) fn row_id((document, version): Version, (part, ordinal): Key) -> Digest {
    Digest::of(&[document.as_bytes(), version.as_bytes(), part.as_str().as_bytes(), &ordinal.to_le_bytes()])
}

/// What a store says of itself, in the metadata of a table or the marker file of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The model that made its vectors.
    #[serde(rename = "docmill.model")]
    pub(crate) model: String,
    /// The length of its vectors.
    #[serde(rename = "docmill.dimensions")]
    pub(crate) dimensions: usize,
    /// Which store it is: whoever remembers what is in it can tell it from another at the same place.
    #[serde(rename = "docmill.store")]
    pub(crate) store: String,
}

impl Identity {
    /// Of a store that is made now.
    pub(crate) fn new(embedding: &Embedding) -> Self {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let id = Digest::of(&[&nanos.to_le_bytes(), &std::process::id().to_le_bytes()]).to_string();
        Self { model: embedding.model.clone(), dimensions: embedding.dimensions, store: id[..32].to_owned() }
    }

    /// The embedding it was made with.
    pub(crate) fn embedding(&self) -> Embedding {
        Embedding { model: self.model.clone(), dimensions: self.dimensions }
    }

    /// Refuses a store whose vectors cannot be compared with those of this pipeline.
    pub(crate) fn accepts(&self, embedding: &Embedding, place: &str) -> Result<(), StageError> {
        if self.model == embedding.model && self.dimensions == embedding.dimensions {
            return Ok(());
        }
        Err(StageError::fatal(format!(
            "{place} holds vectors of `{}` with {} dimensions, this pipeline makes vectors of `{}` with {}: \
             name another place for them, or embed with the model that the store was made with",
            self.model, self.dimensions, embedding.model, embedding.dimensions
        )))
    }
}

/// A record that is fit to be stored.
pub(crate) struct Incoming {
    pub(crate) document: Arc<Document>,
    pub(crate) version: Digest,
    pub(crate) vectors: Vectors,
}

impl Incoming {
    /// Looks at a record before anything is written, so that a wrong one costs itself and not its batch.
    pub(crate) fn admit(record: Record, dimensions: usize) -> Result<Self, StageError> {
        let Record { document, payload } = record;
        let vectors = match payload {
            Payload::Vectors(vectors) => vectors,
            other => return Err(StageError::unexpected(other.kind())),
        };
        let Some(version) = document.version() else {
            return Err(StageError::rejected("rows without a version: no stage has read the document's content"));
        };
        let rows = vectors.chunks.items.len();
        if vectors.dimensions != dimensions {
            return Err(StageError::rejected(format!(
                "vectors of {} dimensions, the store holds vectors of {dimensions}",
                vectors.dimensions
            )));
        }
        if Some(vectors.values.len()) != rows.checked_mul(dimensions) {
            return Err(StageError::rejected(format!(
                "{} numbers are not {rows} vectors of {dimensions} dimensions",
                vectors.values.len()
            )));
        }
        // A vector with such a number would be found by no query, and spoil the sums of an index.
        if !vectors.values.iter().all(|value| value.is_finite()) {
            return Err(StageError::rejected("a vector holds a number that is not finite"));
        }
        Ok(Self { document, version, vectors })
    }

    /// Whose rows these are.
    pub(crate) fn key(&self) -> Version {
        (self.document.id, self.version)
    }

    /// The row that item `index` is.
    pub(crate) fn row(&self, index: usize) -> Key {
        (self.vectors.chunks.part, self.vectors.chunks.items[index].ordinal)
    }

    /// The document's metadata as JSON: once a record, not once a row.
    pub(crate) fn metadata(&self) -> String {
        serde_json::Value::Object(self.document.metadata.clone()).to_string()
    }
}

/// Microseconds since 1970 UTC.
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A number as a column of `int32` holds it; none of them comes near the limit in a document that fits in memory.
pub(crate) fn int32(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The error of a store, in the class that its cause asks for: a full disk or a missing permission stops the run, all
/// else is worth another attempt.
pub(crate) fn failed(what: &str, error: &(dyn std::error::Error + 'static)) -> StageError {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && needs_a_person(io.kind())
        {
            return StageError::fatal(format!("{what}: {io}"));
        }
        cause = error.source();
    }
    let text = in_words(&error.to_string());
    // The store wraps some causes as text only: no space, no permission, read-only, over quota.
    if [28, 13, 30, 122].iter().any(|code| text.contains(&format!("(os error {code})"))) {
        return StageError::fatal(format!("{what}: {text}"));
    }
    // A file that a commit names is gone: nobody but docmill was to touch the store, and no attempt brings it back.
    if text.contains("Not found: ") {
        return StageError::fatal(format!("{what}: the store is damaged, move it away and run again: {text}"));
    }
    StageError::transient(format!("{what}: {text}"))
}

/// Without the places in its own source that the store adds to its messages (`, /…/file.rs:12:34`).
fn in_words(message: &str) -> String {
    let places = |part: &&str| !(part.trim_start().starts_with('/') && part.contains(".rs:"));
    message.split(", ").filter(places).collect::<Vec<_>>().join(", ")
}

fn needs_a_person(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(kind, Kind::StorageFull | Kind::PermissionDenied | Kind::ReadOnlyFilesystem | Kind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    use docmill_api::ErrorClass;

    #[test]
    fn a_message_does_not_name_places_in_a_dependency() {
        let told = in_words("not found: chunks, some detail, /a/b/lance-14/src/x.rs:273:40");
        assert_eq!(told, "not found: chunks, some detail");
    }

    #[test]
    fn a_full_disk_stops_the_run_and_a_hiccup_is_tried_again() {
        let full = std::io::Error::from_raw_os_error(28);
        assert_eq!(failed("writing", &full).class, ErrorClass::Fatal);
        let wrapped = std::io::Error::other("put failed: No space left on device (os error 28)");
        assert_eq!(failed("writing", &wrapped).class, ErrorClass::Fatal);
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(failed("writing", &broken).class, ErrorClass::Transient);
    }

    #[test]
    fn a_row_id_names_document_version_part_and_ordinal() {
        let (a, b) = (Digest::of(&[b"a"]), Digest::of(&[b"b"]));
        let id = row_id((a, b), (Part::Chunk, 1));
        assert_eq!(id, row_id((a, b), (Part::Chunk, 1)));
        for other in [row_id((b, b), (Part::Chunk, 1)), row_id((a, a), (Part::Chunk, 1))] {
            assert_ne!(id, other);
        }
        assert_ne!(id, row_id((a, b), (Part::Summary, 1)));
        assert_ne!(id, row_id((a, b), (Part::Chunk, 2)));
    }
}
