//! The parts of a message, found in one pass over its lines.
//!
//! `mail-parser` is given the fields of a part, or one part, never a whole message: it reads and frees messages within
//! messages by recursion, which ends the process after some hundred thousand of them, also where they are packed as
//! base64; and it reads on to the end for each boundary that never comes, which takes hours where there are many. What is
//! read here is read in the engine's own process, and no thread of it can be killed.

use docmill_api::StageError;
use mail_parser::{ContentType, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use crate::archive::Limits;

/// Multiparts within one another. Every forwarding adds two or three, and each line that begins with two dashes is held
/// against the boundaries of all that are open.
const MAX_OPEN: usize = 100;

/// The fields of one part that are about its content. A long name in many pieces takes some KiB; the library's time for
/// pieces grows with the square of their number, and of so many is still below a tenth of a second.
const MAX_FIELDS: usize = 64 << 10;

/// What a part is, as far as that decides whether it belongs to the letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Plain,
    Html,
    Picture,
    Message,
    Other,
}

/// How the parts of a multipart belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Alternative,
    Related,
    Digest,
    Other,
}

/// A multipart whose end has not come; the first one is the message itself, which has no boundary.
struct Open {
    boundary: Vec<u8>,
    kind: Kind,
    within_alternative: bool,
    parts: usize,
    wants_text: bool,
    wants_html: bool,
}

/// A part that is no part of the letter itself.
pub(super) struct Attachment<'a> {
    /// Its fields, without its content.
    pub(super) fields: MessagePart<'a>,
    pub(super) is_message: bool,
    body: &'a [u8],
    raw_fields: &'a [u8],
}

/// Gives every attachment of a message, in their order.
pub(super) fn each_attachment(
    message: &[u8],
    limits: &Limits,
    is_cancelled: &dyn Fn() -> bool,
    mut give: impl FnMut(&Attachment<'_>) -> Result<(), StageError>,
) -> Result<(), StageError> {
    let parser = parser();
    let mut walk = Walk { message, at: 0, open: vec![Open::new(Vec::new(), Kind::Other, None)] };
    let mut count = 0;
    loop {
        count += 1;
        limits.count(count)?;
        if is_cancelled() {
            return Err(StageError::rejected("cancelled"));
        }
        let raw_fields = walk.fields()?;
        let fields = fields(&parser, &raw_fields);
        if let Some(inner) = walk.multipart(&fields) {
            if walk.open.len() > MAX_OPEN {
                let message = format!("too large: over {MAX_OPEN} multiparts within one another");
                return Err(StageError::rejected(message));
            }
            let level = walk.open.len();
            walk.open.push(inner);
            // What stands before its first boundary is for programs that know no multiparts; where none comes, it is all
            // that there is.
            let body = walk.body();
            if body.ended_by != Some(level) {
                give(&Attachment { fields, is_message: false, body: body.bytes, raw_fields: &raw_fields })?;
            }
            if body.has_next {
                continue;
            }
            return Ok(());
        }
        let (sort, is_attachment) = walk.classify(&fields);
        let body = walk.body();
        if is_attachment {
            let is_message = sort == Sort::Message;
            give(&Attachment { fields, is_message, body: body.bytes, raw_fields: &raw_fields })?;
        }
        if !body.has_next {
            return Ok(());
        }
    }
}

impl Attachment<'_> {
    /// What it holds, decoded, and the ending of a file that would hold it.
    pub(super) fn content(&self) -> (Vec<u8>, &'static str) {
        // A message within is not read here, so it is no message to the library. It ought not to be encoded; some are.
        let head = if self.is_message { self.opaque() } else { self.raw_fields.to_vec() };
        let whole = [head.as_slice(), b"\n", self.body].concat();
        let part = first(parser().parse(&whole));
        match part.body {
            PartType::Html(text) => (text.into_owned().into_bytes(), ".html"),
            PartType::Text(text) => (text.into_owned().into_bytes(), ".txt"),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                (bytes.into_owned(), if self.is_message { ".eml" } else { "" })
            }
            PartType::Message(_) | PartType::Multipart(_) => (Vec::new(), ""),
        }
    }

    /// Fields that say of a message only how it is encoded.
    fn opaque(&self) -> Vec<u8> {
        let encoding = self.fields.content_transfer_encoding().unwrap_or_default();
        let known = ["base64", "quoted-printable"].into_iter().find(|known| known.eq_ignore_ascii_case(encoding));
        let encoding = known.map(|encoding| format!("Content-Transfer-Encoding: {encoding}\n")).unwrap_or_default();
        format!("Content-Type: application/octet-stream\n{encoding}").into_bytes()
    }
}

/// Addresses and dates are for the stage that reads the letter.
fn parser() -> MessageParser {
    MessageParser::new().with_mime_headers().default_header_ignore()
}

fn fields<'a>(parser: &MessageParser, raw: &'a [u8]) -> MessagePart<'a> {
    first(parser.parse_headers(raw))
}

fn first(message: Option<Message<'_>>) -> MessagePart<'_> {
    message.and_then(|message| message.parts.into_iter().next()).unwrap_or_default()
}

/// What stands between a part's fields and the next boundary.
struct Body<'a> {
    bytes: &'a [u8],
    /// The open multipart that the boundary belongs to.
    ended_by: Option<usize>,
    /// Whether a part begins behind it, or behind what follows the last part of a multipart.
    has_next: bool,
}

struct Walk<'a> {
    message: &'a [u8],
    at: usize,
    open: Vec<Open>,
}

impl<'a> Walk<'a> {
    /// The next line, its end included.
    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = self.message.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        self.at += length;
        Some(&rest[..length])
    }

    /// The fields about the content of the part that begins here; ends behind the blank line.
    fn fields(&mut self) -> Result<Vec<u8>, StageError> {
        const PREFIX: &[u8] = b"content-";
        let (mut fields, mut is_kept) = (Vec::new(), false);
        loop {
            let start = self.at;
            let Some(line) = self.line().filter(|line| !line.trim_ascii().is_empty()) else { return Ok(fields) };
            if self.boundary(line).is_some() {
                self.at = start;
                return Ok(fields);
            }
            if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                is_kept = line.get(..PREFIX.len()).is_some_and(|name| name.eq_ignore_ascii_case(PREFIX));
            }
            if is_kept {
                fields.extend_from_slice(line.trim_ascii_end());
                fields.push(b'\n');
            }
            if fields.len() > MAX_FIELDS {
                let most = MAX_FIELDS >> 10;
                return Err(StageError::rejected(format!("too large: over {most} KiB of fields about one part")));
            }
        }
    }

    /// What stands before the next boundary; goes on to where the next part begins.
    fn body(&mut self) -> Body<'a> {
        let start = self.at;
        let mut body = Body { bytes: &[], ended_by: None, has_next: false };
        while !body.has_next {
            let before = self.at;
            let Some(line) = self.line() else { break };
            let Some((level, is_last)) = self.boundary(line) else { continue };
            if body.ended_by.is_none() {
                // The line end before a boundary belongs to the boundary.
                let bytes = &self.message[start..before];
                let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                body = Body { bytes: bytes.strip_suffix(b"\r").unwrap_or(bytes), ended_by: Some(level), ..body };
            }
            self.open.truncate(if is_last { level } else { level + 1 });
            body.has_next = !is_last;
        }
        if body.ended_by.is_none() {
            body.bytes = &self.message[start..];
        }
        body
    }

    /// Which open multipart a line belongs to, and whether it ends that.
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let rest = line.strip_prefix(b"--")?;
        self.open.iter().enumerate().skip(1).rev().find_map(|(level, open)| {
            let behind = rest.strip_prefix(open.boundary.as_slice())?;
            let is_last = behind.starts_with(b"--");
            (is_last || behind.trim_ascii().is_empty()).then_some((level, is_last))
        })
    }

    /// The multipart that begins with these fields.
    fn multipart(&mut self, fields: &MessagePart<'_>) -> Option<Open> {
        let around = self.open.last_mut()?;
        let content = fields.content_type().filter(|content| content.ctype() == "multipart")?;
        let boundary = content.attribute("boundary").filter(|boundary| !boundary.is_empty())?;
        around.parts += 1;
        let kind = match content.subtype() {
            Some("alternative") => Kind::Alternative,
            Some("related") => Kind::Related,
            Some("digest") => Kind::Digest,
            _ => Kind::Other,
        };
        Some(Open::new(boundary.as_bytes().to_vec(), kind, Some(around)))
    }

    fn classify(&mut self, fields: &MessagePart<'_>) -> (Sort, bool) {
        // The message itself is never closed.
        let around = self.open.last_mut();
        around.map_or((Sort::Other, true), |around| around.classify(fields))
    }
}

impl Open {
    fn new(boundary: Vec<u8>, kind: Kind, around: Option<&Self>) -> Self {
        Self {
            boundary,
            kind,
            within_alternative: kind == Kind::Alternative || around.is_some_and(|around| around.within_alternative),
            parts: 0,
            wants_text: around.is_none_or(|around| around.wants_text),
            wants_html: around.is_none_or(|around| around.wants_html),
        }
    }

    /// What its next part is, and whether that is an attachment: what is no part of the letter, by the rules of
    /// `mail-parser`, which reads the letter.
    fn classify(&mut self, fields: &MessagePart<'_>) -> (Sort, bool) {
        self.parts += 1;
        let content = fields.content_type();
        let sort = sort(content, self.kind);
        let asked = fields.content_disposition().is_some_and(ContentType::is_attachment);
        let is_named = content.is_some_and(|content| content.has_attribute("name"));
        let fits = self.parts == 1 || (self.kind != Kind::Related && (sort == Sort::Picture || !is_named));
        let is_inline = matches!(sort, Sort::Plain | Sort::Html | Sort::Picture) && !asked && fits;
        let (as_html, as_text) = match self.kind {
            Kind::Alternative => (sort == Sort::Html, sort == Sort::Plain),
            _ if !is_inline => (false, false),
            _ => {
                if self.within_alternative && (self.wants_text || self.wants_html) {
                    self.wants_text &= sort != Sort::Html;
                    self.wants_html &= sort != Sort::Plain;
                }
                (self.wants_html, self.wants_text)
            }
        };
        let is_letter = match sort {
            Sort::Html => as_html,
            Sort::Plain => as_text,
            Sort::Picture | Sort::Message | Sort::Other => false,
        };
        (sort, !is_letter)
    }
}

fn sort(content: Option<&ContentType<'_>>, around: Kind) -> Sort {
    let Some(content) = content else { return if around == Kind::Digest { Sort::Message } else { Sort::Plain } };
    match (content.ctype(), content.subtype()) {
        ("text", Some("plain")) => Sort::Plain,
        ("text", Some("html")) => Sort::Html,
        ("image" | "audio" | "video", _) => Sort::Picture,
        ("message", Some("rfc822" | "global")) => Sort::Message,
        _ => Sort::Other,
    }
}
