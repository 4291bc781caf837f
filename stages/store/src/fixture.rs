//! Documents and records for the tests of both sinks.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use docmill_api::{
    BuildContext, Chunk, Chunks, Context, Digest, Document, Embedding, Node, Part, Payload, Record, Rest, Settled,
    Sink, SourceItem, StageError, Vectors,
};

/// The length of the vectors here.
pub(crate) const DIMENSIONS: usize = 4;

/// A pipeline in this directory that embeds with `model`.
pub(crate) fn context(base: &Path) -> BuildContext {
    BuildContext {
        stage: "store".into(),
        base: base.to_owned(),
        fingerprint: Digest::of(&[b"fingerprint"]),
        embedding: Some(Embedding { model: "model".into(), dimensions: DIMENSIONS }),
        inputs: Vec::new(),
        ..BuildContext::default()
    }
}

/// A document with this content.
pub(crate) fn document(uri: &str, content: &str) -> Arc<Document> {
    let mut document = Document::admit(
        SourceItem { uri: uri.into(), media_type: Some("text/plain".into()), ..SourceItem::default() },
        Digest::of(&[b"fingerprint"]),
    );
    document.content = Some(Digest::of(&[content.as_bytes()]));
    Arc::new(document)
}

/// Chunks of a document, each with a text that names it and the content's word.
pub(crate) fn chunks(document: &Arc<Document>, word: &str, ordinals: Range<u32>) -> Record {
    let items: Vec<Chunk> = ordinals
        .clone()
        .map(|ordinal| Chunk {
            ordinal,
            text: format!("{word} part{ordinal} of {}", document.filename).into(),
            tokens: 5,
            page: Some(ordinal + 1),
            line_start: Some(ordinal * 10 + 1),
            line_end: None,
            heading: vec!["Top".to_owned(), format!("Section {ordinal}")].into(),
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let values: Vec<f32> = ordinals.flat_map(|ordinal| [1.0, ordinal as f32, 0.5, -1.0]).collect();
    let chunks = Chunks { part: Part::Chunk, title: Some("A \"title\"".into()), items };
    let vectors = Vectors { chunks, dimensions: DIMENSIONS, values: values.into() };
    Record { document: Arc::clone(document), payload: Payload::Vectors(vectors) }
}

/// The sink in a node.
pub(crate) fn sink(node: Node) -> Arc<dyn Sink> {
    match node {
        Node::Sink(sink) => sink,
        _ => panic!("no sink"),
    }
}

/// Writes a batch, of which every record must go in.
pub(crate) async fn write(sink: &Arc<dyn Sink>, batch: Vec<Record>) -> u64 {
    let outcomes = sink.write(&Context::detached(), batch).await;
    outcomes.into_iter().map(|outcome| outcome.expect("written")).sum()
}

/// Brings documents to rest.
pub(crate) async fn settle(sink: &Arc<dyn Sink>, documents: &[&Arc<Document>], done: bool) -> Result<(), StageError> {
    bring(sink, documents, if done { Rest::Done } else { Rest::Failed }).await
}

/// Brings documents to this rest.
pub(crate) async fn bring(sink: &Arc<dyn Sink>, documents: &[&Arc<Document>], rest: Rest) -> Result<(), StageError> {
    let ended: Vec<Settled> =
        documents.iter().map(|document| Settled { document: Arc::clone(document), rest }).collect();
    sink.settle(&Context::detached(), &ended).await
}
