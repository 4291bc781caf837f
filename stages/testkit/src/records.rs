//! Builders of records, with the least that a test has to say.

use std::sync::Arc;

use docmill_api::{
    Blob, Chunk, Chunks, Digest, Document, Page, Part, Payload, Record, Reference, SourceItem, Text, TextKind, Vectors,
};

/// A document as a source lists it, under an empty fingerprint.
#[must_use]
pub fn document(uri: &str) -> Document {
    Document::admit(SourceItem { uri: uri.to_owned(), ..SourceItem::default() }, Digest::of(&[]))
}

/// A record whose content is still to be read.
#[must_use]
pub fn reference(uri: &str) -> Record {
    Record { document: Arc::new(document(uri)), payload: Payload::Reference(Reference::default()) }
}

/// A record of bytes; its document's content is theirs. The media type may be left open.
#[must_use]
pub fn blob(uri: &str, media_type: Option<&str>, bytes: &[u8]) -> Record {
    let mut document = document(uri);
    document.media_type = media_type.map(str::to_owned);
    document.content = Some(Digest::from(*blake3::hash(bytes).as_bytes()));
    let payload = Payload::Blob(Blob { bytes: bytes.to_vec().into() });
    Record { document: Arc::new(document), payload }
}

/// A record of text.
#[must_use]
pub fn text(uri: &str, kind: TextKind, content: &str) -> Record {
    let mut document = document(uri);
    document.media_type = Some("text/plain".into());
    document.content = Some(Digest::from(*blake3::hash(content.as_bytes()).as_bytes()));
    let pages: Arc<[Page]> = Arc::new([]);
    let payload =
        Payload::Text(Text { content: content.into(), kind, title: None, pages, blocks: Arc::new([]), lines: true });
    Record { document: Arc::new(document), payload }
}

/// A record of chunks, one per text.
#[must_use]
pub fn chunks(uri: &str, texts: &[&str]) -> Record {
    let whole = texts.join("\n");
    let items = (0_u32..)
        .zip(texts)
        .map(|(ordinal, text)| Chunk {
            ordinal,
            text: (*text).into(),
            tokens: u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX),
            page: None,
            line_start: Some(ordinal + 1),
            line_end: Some(ordinal + 1),
            heading: Arc::new([]),
        })
        .collect();
    let chunks = Chunks { part: Part::Chunk, title: None, items };
    text(uri, TextKind::Plain, &whole).derive(Payload::Chunks(chunks))
}

/// A record of vectors, one per text; vector `i` has a 1 at `i`, modulo the dimensions.
#[must_use]
pub fn vectors(uri: &str, texts: &[&str], dimensions: usize) -> Record {
    let record = chunks(uri, texts);
    let Payload::Chunks(items) = &record.payload else { unreachable!("just made") };
    let mut values = vec![0.0; texts.len() * dimensions];
    for index in 0..texts.len() {
        values[index * dimensions + index % dimensions] = 1.0;
    }
    let vectors = Vectors { chunks: items.clone(), dimensions, values: values.into() };
    record.derive(Payload::Vectors(vectors))
}
