//! Plain text of any encoding: decoded, line ends made one, nothing else touched. UTF-8 costs one check, and where its line
//! ends are `\n` no copy: the text is the bytes that were read. The other text formats begin here.

use docmill_api::{StepContext, TextKind};

use crate::encoding::{self, Decoded};
use crate::reader::{Input, PLAIN_TEXT_NOTE, Parsed, ReadError, Reader};
use crate::text::unix_lines;

/// Reads plain text.
#[derive(Debug)]
pub(crate) struct PlainReader;

impl Reader for PlainReader {
    fn read(&self, input: &Input<'_>, _cx: &StepContext) -> Result<Parsed, ReadError> {
        Ok(verbatim("plain", TextKind::Plain, &decoded(input)?))
    }
}

/// The document's text with `\n` line ends, in the encoding it turned out to be in.
pub(crate) fn decoded(input: &Input<'_>) -> Result<Decoded, ReadError> {
    let Decoded { text, encoding } = encoding::decode(input.bytes, input.charset)
        .ok_or_else(|| ReadError::Broken("binary data where text was expected".to_owned()))?;
    let clean = unix_lines(&text).map(|clean| clean.into_boxed_str().into());
    Ok(Decoded { text: clean.unwrap_or(text), encoding })
}

/// The text as it stands, line for line.
pub(crate) fn verbatim(reader: &'static str, kind: TextKind, decoded: &Decoded) -> Parsed {
    let mut parsed = Parsed::of(reader, kind, decoded.text.clone());
    parsed.lines = true;
    with_encoding(parsed, decoded.encoding)
}

/// The text as it stands, of a document whose structure could not be read.
pub(crate) fn without_structure(reader: &'static str, decoded: &Decoded) -> Parsed {
    let (key, value) = PLAIN_TEXT_NOTE;
    verbatim(reader, TextKind::Plain, decoded).note(key, value)
}

/// Notes an encoding that is worth knowing: any but UTF-8.
pub(crate) fn with_encoding(parsed: Parsed, encoding: &'static str) -> Parsed {
    if encoding == "UTF-8" { parsed } else { parsed.note("encoding", encoding) }
}
