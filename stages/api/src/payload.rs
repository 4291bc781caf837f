//! What flows through the graph: a record of one document, and the five shapes its payload takes.
//!
//! Payloads are cheap to clone: bytes and texts are shared, never copied, so that fan-out costs a reference.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::Document;

/// What flows on an edge: one document's reference, blob, text, chunks or vectors, with the document's identity.
#[derive(Clone, Debug)]
pub struct Record {
    /// Whose record this is.
    pub document: Arc<Document>,
    /// What of it.
    pub payload: Payload,
}

impl Record {
    /// A record of the same document with another payload: what most stages emit.
    #[must_use]
    pub fn derive(&self, payload: Payload) -> Self {
        Self { document: Arc::clone(&self.document), payload }
    }
}

/// The five shapes of a payload, in the order in which a pipeline usually takes them.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A location, nothing read yet.
    Reference(Reference),
    /// The bytes.
    Blob(Blob),
    /// Markdown-flavoured, plain or code text.
    Text(Text),
    /// Some consecutive chunks of the document, or its summary.
    Chunks(Chunks),
    /// Chunks with their vectors: what a sink stores.
    Vectors(Vectors),
}

/// The name of a payload's shape: what a stage says it takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadKind {
    /// A location.
    Reference,
    /// Bytes.
    Blob,
    /// Text.
    Text,
    /// Chunks.
    Chunks,
    /// Chunks with vectors.
    Vectors,
}

impl fmt::Display for PayloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Blob => "blob",
            Self::Text => "text",
            Self::Chunks => "chunks",
            Self::Vectors => "vectors",
        })
    }
}

impl Payload {
    /// Which shape this is.
    #[must_use]
    pub fn kind(&self) -> PayloadKind {
        match self {
            Self::Reference(_) => PayloadKind::Reference,
            Self::Blob(_) => PayloadKind::Blob,
            Self::Text(_) => PayloadKind::Text,
            Self::Chunks(_) => PayloadKind::Chunks,
            Self::Vectors(_) => PayloadKind::Vectors,
        }
    }

    /// The bytes it holds in memory, for the memory budget: content and vectors, with a small constant for the rest.
    /// Content shared with another record counts in each.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let content = match self {
            Self::Reference(_) => 0,
            Self::Blob(blob) => blob.bytes.len(),
            Self::Text(text) => text.content.len(),
            Self::Chunks(chunks) => chunks.bytes(),
            Self::Vectors(vectors) => vectors.chunks.bytes() + vectors.values.len() * 4,
        };
        content as u64 + RECORD_OVERHEAD
    }

    /// How many items a batch counts it for: its chunks, or one.
    #[must_use]
    pub fn items(&self) -> usize {
        match self {
            Self::Chunks(chunks) => chunks.items.len(),
            Self::Vectors(vectors) => vectors.chunks.items.len(),
            _ => 1,
        }
    }

    /// How many tokens it is known to hold; 0 before a text is chunked.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        match self {
            Self::Chunks(chunks) => chunks.tokens(),
            Self::Vectors(vectors) => vectors.chunks.tokens(),
            _ => 0,
        }
    }
}

/// What a record costs besides its content: the envelope, the document's strings, an allocation or two.
const RECORD_OVERHEAD: u64 = 512;

/// A location, nothing read yet: the document's `location` says where.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reference {}

/// A document's bytes, decoded from transfer and compression.
#[derive(Clone, Debug, PartialEq)]
pub struct Blob {
    /// Shared, never copied.
    pub bytes: Bytes,
}

/// What kind of text a stage gave: it decides how a chunker cuts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextKind {
    /// Markdown: headings, lists, tables and fences mean something.
    Markdown,
    /// Prose without markup.
    Plain,
    /// Source code in the named language.
    Code(String),
}

/// A document's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// UTF-8, line ends `\n`. Shared with whatever else holds it; of a file of such text it is the bytes that were read.
    pub content: ByteString,
    /// How it is to be read.
    pub kind: TextKind,
    /// The document's title, where it has one.
    pub title: Option<String>,
    /// Where pages, sheets or slides begin, ascending by offset; empty where the format has none.
    pub pages: Arc<[Page]>,
    /// Syntactic units of source code: functions, types, methods. Ascending by start, an outer unit before those in
    /// it; empty where the reader knows of none.
    pub blocks: Arc<[Block]>,
    /// Whether line `n` of the content is line `n` of the original.
    pub lines: bool,
}

/// A syntactic unit of source code: a function, a type, a method, with the comments and attributes that belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Byte offset of its first character into the content.
    pub start: usize,
    /// Byte offset behind its last character.
    pub end: usize,
    /// How deep it stands, from 0; a unit of depth n + 1 lies within the last one of depth n before it.
    pub depth: u8,
    /// What it is called, as its author would say it: `fn main`, `class Basket`; empty where it has no name.
    pub name: String,
}

/// Where a page begins in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Byte offset into the content.
    pub offset: usize,
    /// The page, from 1.
    pub number: u32,
}

/// A part of a shared text, or the whole of one. Dereferences to `str`.
#[derive(Clone)]
pub struct Slice(ByteString);

impl Slice {
    /// The part of `source` in `range`, or `None` where the range is outside or cuts a character.
    #[must_use]
    pub fn new(source: &ByteString, range: Range<usize>) -> Option<Self> {
        let part = source.get(range)?;
        Some(Self(source.slice_ref(part)))
    }
}

impl From<String> for Slice {
    fn from(text: String) -> Self {
        Self(text.into_boxed_str().into())
    }
}

impl From<&str> for Slice {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Deref for Slice {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl PartialEq for Slice {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// Which part of a document a row is: it makes the row's id together with the ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// A chunk of the text.
    Chunk,
    /// The document's summary.
    Summary,
}

impl Part {
    /// `chunk` or `summary`, as stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chunk => "chunk",
            Self::Summary => "summary",
        }
    }
}

/// A piece of a document's text, sized for a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Its place among the parts of its kind, from 0.
    pub ordinal: u32,
    /// What it says.
    pub text: Slice,
    /// Its exact length in tokens of the chunker's encoding.
    pub tokens: u32,
    /// The page it begins on, from 1.
    pub page: Option<u32>,
    /// Its first line in the original, from 1.
    pub line_start: Option<u32>,
    /// Its last line in the original, from 1.
    pub line_end: Option<u32>,
    /// The headings it stands under, outermost first.
    pub heading: Arc<[String]>,
}

/// Some consecutive chunks of one document, or its summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunks {
    /// Which part all of them are.
    pub part: Part,
    /// The document's title, carried to the row.
    pub title: Option<String>,
    /// In ascending order.
    pub items: Vec<Chunk>,
}

impl Chunks {
    /// Text bytes of all items, with what a chunk costs besides.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.items.iter().map(|chunk| chunk.text.len() + size_of::<Chunk>()).sum()
    }

    /// Tokens of all items.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.items.iter().map(|chunk| u64::from(chunk.tokens)).sum()
    }
}

/// Chunks with one vector each.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// The chunks.
    pub chunks: Chunks,
    /// The length of each vector.
    pub dimensions: usize,
    /// The vectors, one after another in the order of the chunks.
    pub values: Arc<[f32]>,
}

impl Vectors {
    /// The vector of chunk `index`, or `None` beyond the last.
    #[must_use]
    pub fn vector(&self, index: usize) -> Option<&[f32]> {
        self.values.get(index * self.dimensions..(index + 1) * self.dimensions)
    }
}
