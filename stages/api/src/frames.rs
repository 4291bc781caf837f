//! The frames by which a stage runs in another process.
//!
//! A frame is a `u32` header length, a JSON header, a `u64` body length and the raw body; both lengths are
//! little-endian. The header is a [`Message`]; the body holds what is large (bytes, texts, vectors), so that no content
//! is ever escaped.
//!
//! | from | message | then |
//! |---|---|---|
//! | engine | [`Message::Hello`] | once, at start: protocol version, kind, configuration, limits |
//! | stage | [`Message::Ready`] | once, when it is built; or [`Message::Failed`] |
//! | engine | [`Message::Input`] | one record |
//! | stage | [`Message::Output`] … | any number of records |
//! | stage | [`Message::End`] or [`Message::Failed`] | the input is finished; the next may come |

use std::io::{self, Read, Write};

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::payload::{
    Blob, Block, Chunk, Chunks, Page, Part, Payload, Record, Reference, Slice, Text, TextKind, Vectors,
};
use crate::{Document, StageError};

/// The version of this protocol. A peer with another is refused.
pub const PROTOCOL: u32 = 1;

/// The most a header may hold: positions and headings of a document of some hundred thousand chunks.
const MAX_HEADER: u32 = 256 << 20;

/// The most a body may hold. Above every `max_bytes` that makes sense; below what would exhaust a machine by mistake.
const MAX_BODY: u64 = 4 << 30;

/// The header of a frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Message {
    /// Begins the conversation.
    Hello {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The kind of stage to be.
        kind: String,
        /// Its configuration, with all defaults in.
        config: Value,
        /// The most memory it may use, in bytes; the stage sets the limit on itself. `None` for no limit.
        memory: Option<u64>,
    },
    /// The stage is built.
    Ready {
        /// [`PROTOCOL`].
        protocol: u32,
        /// By what it has shut itself in (`landlock`, `seccomp`, `limits`); empty for a program that says nothing of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        confined: Vec<String>,
    },
    /// A record to work on.
    Input {
        /// Whose.
        document: Box<Document>,
        /// What of it; its content is in the body.
        payload: Header,
        /// How long it may take, in milliseconds; 0 for no limit.
        timeout_ms: u64,
    },
    /// A record that the input gave.
    Output {
        /// Whose.
        document: Box<Document>,
        /// What of it; its content is in the body.
        payload: Header,
    },
    /// The input is finished.
    End {
        /// Why it gave nothing, where it gave nothing.
        skip: Option<String>,
    },
    /// The input failed, or the stage could not be built.
    Failed {
        /// With its class.
        error: StageError,
    },
}

/// What of a payload goes into the header.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case")]
pub enum Header {
    /// No body.
    Reference,
    /// The body is the bytes.
    Blob,
    /// The body is the text.
    Text {
        /// How it is to be read.
        kind: TextKind,
        /// The document's title.
        title: Option<String>,
        /// Where pages begin.
        pages: Vec<Page>,
        /// Syntactic units.
        #[serde(default)]
        blocks: Vec<Block>,
        /// Whether its lines are the original's.
        #[serde(default)]
        lines: bool,
    },
    /// The body is the texts, one after another.
    Chunks {
        /// What they are.
        chunks: ChunksHeader,
    },
    /// The body is the texts, then the vectors as little-endian `f32`.
    Vectors {
        /// What they are.
        chunks: ChunksHeader,
        /// The length of a vector.
        dimensions: usize,
    },
}

/// What of some chunks goes into the header.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChunksHeader {
    /// Which part they are.
    pub part: Part,
    /// The document's title.
    pub title: Option<String>,
    /// One per chunk.
    pub items: Vec<ChunkHeader>,
}

/// What of a chunk goes into the header.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChunkHeader {
    /// Its place.
    pub ordinal: u32,
    /// The bytes of the body that are its text.
    pub bytes: usize,
    /// Its tokens.
    pub tokens: u32,
    /// Its page.
    pub page: Option<u32>,
    /// Its first line.
    pub line_start: Option<u32>,
    /// Its last line.
    pub line_end: Option<u32>,
    /// Its headings.
    pub heading: Vec<String>,
}

impl ChunksHeader {
    fn of(chunks: &Chunks, body: &mut Vec<u8>) -> Self {
        let items = chunks
            .items
            .iter()
            .map(|chunk| {
                body.extend_from_slice(chunk.text.as_bytes());
                ChunkHeader {
                    ordinal: chunk.ordinal,
                    bytes: chunk.text.len(),
                    tokens: chunk.tokens,
                    page: chunk.page,
                    line_start: chunk.line_start,
                    line_end: chunk.line_end,
                    heading: chunk.heading.to_vec(),
                }
            })
            .collect();
        Self { part: chunks.part, title: chunks.title.clone(), items }
    }

    fn restore(self, source: &ByteString) -> io::Result<Chunks> {
        let mut at = 0_usize;
        let mut items = Vec::with_capacity(self.items.len());
        for header in self.items {
            let end = at.checked_add(header.bytes).ok_or_else(|| invalid("a chunk is longer than the body"))?;
            let text = Slice::new(source, at..end).ok_or_else(|| invalid("a chunk is not within the body"))?;
            at = end;
            items.push(Chunk {
                ordinal: header.ordinal,
                text,
                tokens: header.tokens,
                page: header.page,
                line_start: header.line_start,
                line_end: header.line_end,
                heading: header.heading.into(),
            });
        }
        Ok(Chunks { part: self.part, title: self.title, items })
    }

    /// The bytes of all texts; `None` where no body could hold them.
    fn text_bytes(&self) -> Option<usize> {
        self.items.iter().try_fold(0_usize, |sum, item| sum.checked_add(item.bytes))
    }
}

/// Splits a payload into what goes into the header and the body. Bytes and texts are shared, not copied.
#[must_use]
pub fn split(payload: &Payload) -> (Header, Bytes) {
    match payload {
        Payload::Reference(_) => (Header::Reference, Bytes::new()),
        Payload::Blob(blob) => (Header::Blob, blob.bytes.clone()),
        Payload::Text(text) => (
            Header::Text {
                kind: text.kind.clone(),
                title: text.title.clone(),
                pages: text.pages.to_vec(),
                blocks: text.blocks.to_vec(),
                lines: text.lines,
            },
            text.content.as_bytes().clone(),
        ),
        Payload::Chunks(chunks) => {
            let mut body = Vec::new();
            let chunks = ChunksHeader::of(chunks, &mut body);
            (Header::Chunks { chunks }, body.into())
        }
        Payload::Vectors(vectors) => {
            let mut body = Vec::new();
            let chunks = ChunksHeader::of(&vectors.chunks, &mut body);
            body.extend(vectors.values.iter().flat_map(|value| value.to_le_bytes()));
            (Header::Vectors { chunks, dimensions: vectors.dimensions }, body.into())
        }
    }
}

/// Puts a payload together again.
///
/// # Errors
/// The body does not fit the header.
pub fn join(header: Header, body: Bytes) -> io::Result<Payload> {
    Ok(match header {
        Header::Reference => Payload::Reference(Reference::default()),
        Header::Blob => Payload::Blob(Blob { bytes: body }),
        Header::Text { kind, title, pages, blocks, lines } => {
            let content = text_of(body)?;
            if pages.iter().any(|page| !content.is_char_boundary(page.offset)) {
                return Err(invalid("a page does not begin within the text"));
            }
            let fits = |block: &Block| content.get(block.start..block.end).is_some();
            if !blocks.iter().all(fits) {
                return Err(invalid("a block does not lie within the text"));
            }
            Payload::Text(Text { content, kind, title, pages: pages.into(), blocks: blocks.into(), lines })
        }
        Header::Chunks { chunks } => Payload::Chunks(chunks.restore(&text_of(body)?)?),
        Header::Vectors { chunks, dimensions } => {
            let misfit = || invalid("the vectors do not fit the body");
            let texts = chunks.text_bytes().filter(|texts| *texts <= body.len()).ok_or_else(misfit)?;
            let (texts, floats) = body.split_at(texts);
            if chunks.items.len().checked_mul(dimensions).and_then(|values| values.checked_mul(4)) != Some(floats.len())
            {
                return Err(misfit());
            }
            let values = floats.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            let chunks = chunks.restore(&text_of(Bytes::copy_from_slice(texts))?)?;
            Payload::Vectors(Vectors { chunks, dimensions, values })
        }
    })
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn text_of(body: Bytes) -> io::Result<ByteString> {
    ByteString::try_from(body).map_err(|_| invalid("a text is not UTF-8"))
}

fn prefix(message: &Message, body: &[u8]) -> io::Result<Vec<u8>> {
    let header = serde_json::to_vec(message)?;
    let length = u32::try_from(header.len()).ok().filter(|length| *length <= MAX_HEADER);
    let length = length.ok_or_else(|| invalid("a header is too large"))?;
    let mut bytes = Vec::with_capacity(header.len() + 12);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
    Ok(bytes)
}

fn body_length(bytes: [u8; 8]) -> io::Result<usize> {
    let length = u64::from_le_bytes(bytes);
    if length > MAX_BODY {
        return Err(invalid("a body is too large"));
    }
    usize::try_from(length).map_err(|_| invalid("a body is too large"))
}

fn header_length(bytes: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(bytes);
    if length > MAX_HEADER {
        return Err(invalid("a header is too large"));
    }
    Ok(length as usize)
}

/// Writes a frame.
///
/// # Errors
/// The other side is gone, or the header is too large.
pub fn write(to: &mut impl Write, message: &Message, body: &[u8]) -> io::Result<()> {
    to.write_all(&prefix(message, body)?)?;
    to.write_all(body)?;
    to.flush()
}

/// How much room is made on the word of the other side: one that announces 4 GiB and sends nothing gets no more.
const RESERVE: usize = 1 << 20;

/// How much is read next into room of its own: as much again as has come.
fn next_step(come: usize, length: usize) -> usize {
    come.max(RESERVE).min(length - come)
}

fn came_whole(step: usize, count: usize) -> io::Result<()> {
    if count == step { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn read_bytes(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let step = next_step(bytes.len(), length);
        bytes.reserve_exact(step);
        came_whole(step, from.by_ref().take(step as u64).read_to_end(&mut bytes)?)?;
    }
    Ok(bytes)
}

async fn read_bytes_async(from: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let step = next_step(bytes.len(), length);
        bytes.reserve_exact(step);
        came_whole(step, (&mut *from).take(step as u64).read_to_end(&mut bytes).await?)?;
    }
    Ok(bytes)
}

/// Reads a frame, or `None` where the other side has closed between two frames.
///
/// # Errors
/// The other side closed within a frame, or sent what is none.
pub fn read(from: &mut impl Read) -> io::Result<Option<(Message, Bytes)>> {
    let mut length = [0; 4];
    let mut got = 0;
    while got < 4 {
        match from.read(&mut length[got..]) {
            Ok(0) if got == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let header = read_bytes(from, header_length(length)?)?;
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let body = read_bytes(from, body_length(length)?)?;
    Ok(Some((serde_json::from_slice(&header)?, body.into())))
}

/// Writes a frame without blocking the event loop.
///
/// # Errors
/// See [`write`].
pub async fn write_async(to: &mut (impl AsyncWrite + Unpin), message: &Message, body: &[u8]) -> io::Result<()> {
    to.write_all(&prefix(message, body)?).await?;
    to.write_all(body).await?;
    to.flush().await
}

/// Reads a frame without blocking the event loop, or `None` where the other side has closed between two frames.
///
/// # Errors
/// See [`read`].
pub async fn read_async(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(Message, Bytes)>> {
    let mut length = [0; 4];
    match from.read(&mut length).await? {
        0 => return Ok(None),
        count => from.read_exact(&mut length[count..]).await?,
    };
    let header = read_bytes_async(from, header_length(length)?).await?;
    let mut length = [0; 8];
    from.read_exact(&mut length).await?;
    let body = read_bytes_async(from, body_length(length)?).await?;
    Ok(Some((serde_json::from_slice(&header)?, body.into())))
}

/// The frame that carries a record as an output.
#[must_use]
pub fn output(record: &Record) -> (Message, Bytes) {
    let (payload, body) = split(&record.payload);
    (Message::Output { document: Box::new((*record.document).clone()), payload }, body)
}

/// The frame that carries a record as an input.
#[must_use]
pub fn input(record: &Record, timeout_ms: u64) -> (Message, Bytes) {
    let (payload, body) = split(&record.payload);
    (Message::Input { document: Box::new((*record.document).clone()), payload, timeout_ms }, body)
}

#[cfg(test)]
mod tests;
