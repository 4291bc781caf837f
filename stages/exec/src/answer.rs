//! What a program may answer to an input, and the records that come of it.
//!
//! A program may set what a stage may set: a document's media type, size, metadata and content. What it is called,
//! whose it is and where it came from stay as the engine gave them, whatever the program sends back.

use std::sync::Arc;

use docmill_api::frames::{self, ChunksHeader, Header, Message};
use docmill_api::units::Size;
use docmill_api::{Digest, Document, Outputs, Payload, PayloadKind, Record, StageError};

use crate::wire::Frame;

/// A frame whose decoding would hold up the event loop is decoded in a thread.
const LARGE: u64 = 256 << 10;

/// What is accepted of any input.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) gives: Vec<PayloadKind>,
    /// The most bytes that one input may give.
    pub(crate) limit: u64,
    /// The length of its vectors, where its configuration says one.
    pub(crate) dimensions: Option<usize>,
}

/// What one input has given so far.
#[derive(Debug)]
pub(crate) struct Answer {
    terms: Arc<Terms>,
    input: Arc<Document>,
    dimensions: Option<usize>,
    records: Vec<Record>,
    /// Of all bodies, where nobody has said yet what the document's content is.
    content: Option<Box<blake3::Hasher>>,
    bytes: u64,
}

/// What a frame means for the conversation.
#[derive(Debug)]
pub(crate) enum Said {
    /// There is more to come.
    More,
    /// The input is finished.
    End { skip: Option<String> },
    /// It failed, and the program goes on.
    Failed(StageError),
}

impl Answer {
    pub(crate) fn new(terms: &Arc<Terms>, input: &Record) -> Self {
        let through = match &input.payload {
            Payload::Vectors(vectors) => Some(vectors.dimensions),
            _ => None,
        };
        Self {
            terms: Arc::clone(terms),
            input: Arc::clone(&input.document),
            dimensions: terms.dimensions.or(through),
            records: Vec::new(),
            content: input.document.content.is_none().then(Box::default),
            bytes: 0,
        }
    }

    /// How many bytes the next frame may hold. The end of an input is not counted, and has to fit as well.
    pub(crate) fn room(&self) -> u64 {
        const END: u64 = 64 << 10;
        self.terms.limit.saturating_sub(self.bytes).saturating_add(END)
    }

    /// The error of a frame beyond that.
    pub(crate) fn too_large(&self) -> StageError {
        StageError::rejected(format!("gave more than `max_output` ({}) for one input", Size(self.terms.limit)))
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// What it holds is no answer to this input: what follows cannot be trusted.
    pub(crate) async fn take(self, frame: Frame) -> Result<(Self, Said), StageError> {
        if frame.bytes() <= LARGE {
            return self.decode(frame);
        }
        let decoded = tokio::task::spawn_blocking(move || self.decode(frame)).await;
        decoded.unwrap_or_else(|panic| Err(StageError::rejected(format!("gave what cannot be read: {panic}"))))
    }

    fn decode(mut self, frame: Frame) -> Result<(Self, Said), StageError> {
        let message = serde_json::from_slice(&frame.header)
            .map_err(|error| StageError::rejected(format!("gave a header that cannot be read: {error}")))?;
        let said = match message {
            Message::Output { document, payload } => {
                self.output(*document, payload, frame)?;
                Said::More
            }
            Message::End { skip } => Said::End { skip },
            Message::Failed { error } => Said::Failed(error),
            _ => return Err(StageError::rejected("gave a message that is no answer to an input")),
        };
        Ok((self, said))
    }

    fn output(&mut self, document: Document, header: Header, frame: Frame) -> Result<(), StageError> {
        self.bytes = self.bytes.saturating_add(frame.bytes());
        if self.bytes > self.terms.limit {
            return Err(self.too_large());
        }
        if document.id != self.input.id {
            return Err(StageError::rejected("answered for another document"));
        }
        self.fits(&header, frame.body.len())?;
        if let Some(content) = &mut self.content {
            content.update(&frame.body);
        }
        let payload = frames::join(header, frame.body)
            .map_err(|error| StageError::rejected(format!("gave a payload that cannot be read: {error}")))?;
        if matches!(&payload, Payload::Vectors(vectors) if !vectors.values.iter().all(|value| value.is_finite())) {
            return Err(StageError::rejected("gave a vector with a value that is no number"));
        }
        self.records.push(Record { document: self.merged(document), payload });
        Ok(())
    }

    /// Checks what [`frames::join`] takes for granted, and what was promised.
    fn fits(&self, header: &Header, body: usize) -> Result<(), StageError> {
        let kind = kind_of(header);
        if !self.terms.gives.contains(&kind) {
            let gives: Vec<String> = self.terms.gives.iter().map(ToString::to_string).collect();
            return Err(StageError::rejected(format!("gave {kind}, and `gives` says {}", gives.join(" or "))));
        }
        if let Header::Vectors { dimensions, .. } = header {
            match self.dimensions {
                Some(wanted) if wanted == *dimensions => {}
                Some(wanted) => {
                    let message = format!("gave vectors of {dimensions} dimensions, wanted are {wanted}");
                    return Err(StageError::rejected(message));
                }
                None => return Err(StageError::rejected("gave vectors of a model that nobody named")),
            }
        }
        if let Header::Chunks { chunks } | Header::Vectors { chunks, .. } = header
            && !is_within(chunks, body)
        {
            return Err(StageError::rejected("gave chunks that are longer than their body"));
        }
        Ok(())
    }

    fn merged(&self, said: Document) -> Arc<Document> {
        let Document { size, media_type, metadata, content, .. } = said;
        let content = self.input.content.or(content);
        let merged = Document { size, media_type, metadata, content, ..(*self.input).clone() };
        // One document is shared by all its records where the program left it as it was.
        match self.records.last().map(|record| &record.document) {
            _ if merged == *self.input => Arc::clone(&self.input),
            Some(before) if **before == merged => Arc::clone(before),
            _ => Arc::new(merged),
        }
    }

    /// All records.
    pub(crate) fn into_outputs(mut self, skip: Option<String>) -> Outputs {
        // A document that was first read here gets the digest of what was read, as one that was downloaded does:
        // without it, a row would have no version.
        if let Some(hasher) = self.content.take() {
            let content = Digest::from(*hasher.finalize().as_bytes());
            for record in &mut self.records {
                let reads = !matches!(record.payload, Payload::Reference(_));
                if reads && record.document.content.is_none() {
                    let document = Document { content: Some(content), ..(*record.document).clone() };
                    record.document = Arc::new(document);
                }
            }
        }
        let mut outputs = Outputs::new();
        self.records.into_iter().for_each(|record| outputs.emit(record));
        if let Some(reason) = skip {
            outputs.skip(reason);
        }
        outputs
    }
}

fn kind_of(header: &Header) -> PayloadKind {
    match header {
        Header::Reference => PayloadKind::Reference,
        Header::Blob => PayloadKind::Blob,
        Header::Text { .. } => PayloadKind::Text,
        Header::Chunks { .. } => PayloadKind::Chunks,
        Header::Vectors { .. } => PayloadKind::Vectors,
    }
}

/// Whether the lengths of all chunks fit into a body; their sum is hostile too.
fn is_within(chunks: &ChunksHeader, body: usize) -> bool {
    let total = chunks.items.iter().try_fold(0_usize, |sum, item| sum.checked_add(item.bytes));
    total.is_some_and(|total| total <= body)
}
