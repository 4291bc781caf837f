//! E-mail: the subject as a heading, who wrote it to whom and when, the body, then forwarded messages one level down,
//! then the names of what is attached. Attachments are documents of their own and are not read here.

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;
use docmill_api::{StepContext, TextKind};
use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use crate::plain::{decoded, without_structure};
use crate::reader::{Input, Parsed, ReadError, Reader};
use crate::text::{title, unix_lines};
use crate::{encoding, html};

/// Reads e-mail.
#[derive(Debug)]
pub(crate) struct MailReader;

/// Messages within messages that are read: who forwards a forward of a forward seldom goes past five.
const MAX_DEPTH: usize = 10;

/// Messages within messages that the parser is let into: what it gives is as deep, and is freed by recursion.
const MAX_NESTED: usize = 1000;

impl Reader for MailReader {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        let bytes = narrow(input.bytes);
        refuse_nesting(&bytes)?;
        let message = MessageParser::default().parse(&*bytes);
        let Some(message) = message.filter(is_mail) else {
            return Ok(without_structure("mail", &decoded(input)?));
        };
        let mut letter = Letter { cx, out: String::new(), attachments: 0, unread: 0 };
        letter.message(&message, 0)?;
        let mut parsed = Parsed::new("mail", TextKind::Markdown, unix_lines(&letter.out).unwrap_or(letter.out));
        parsed.title = message.subject().and_then(title);
        if letter.attachments > 0 {
            parsed = parsed.note("attachments", letter.attachments);
        }
        Ok(if letter.unread > 0 { parsed.note("messages_unread", letter.unread) } else { parsed })
    }
}

/// A mail that was saved as UTF-16 as if it were UTF-8: its headers are looked for as ASCII.
fn narrow(bytes: &Bytes) -> Bytes {
    let head = &bytes[..bytes.len().min(64)];
    if !head.contains(&0) {
        return bytes.clone();
    }
    match encoding::decode(bytes, None) {
        Some(decoded) if decoded.encoding.starts_with("UTF-") => decoded.text.into_bytes(),
        _ => bytes.clone(),
    }
}

/// Every message within another says so in a header of its own, or its parent does.
fn refuse_nesting(bytes: &[u8]) -> Result<(), ReadError> {
    /// As far behind its name as a header's value is looked for.
    const VALUE: usize = 96;
    let mut count = 0;
    for at in memchr::memchr2_iter(b'c', b'C', bytes) {
        let Some(header) = bytes.get(at..bytes.len().min(at + VALUE)) else { break };
        if header.len() > 12 && header[..12].eq_ignore_ascii_case(b"content-type") {
            let value = header[12..].to_ascii_lowercase();
            let nests = [b"rfc822".as_slice(), b"global", b"digest"];
            count += usize::from(nests.iter().any(|word| memchr::memmem::find(&value, word).is_some()));
        }
    }
    if count > MAX_NESTED {
        return Err(ReadError::TooLarge(format!("{count} messages within messages, over {MAX_NESTED}")));
    }
    Ok(())
}

/// Whether it has what any mail has: the parser finds headers in any text with a colon.
fn is_mail(message: &Message<'_>) -> bool {
    message.headers().iter().any(|header| !header.name.is_other())
}

/// A mail as it is written down.
struct Letter<'a> {
    cx: &'a StepContext,
    out: String,
    attachments: usize,
    /// Messages that stand too deep to be read.
    unread: usize,
}

impl Letter<'_> {
    fn message(&mut self, message: &Message<'_>, depth: usize) -> Result<(), ReadError> {
        if self.cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
        self.headers(message, depth);
        for part in message.text_bodies() {
            self.body(message, part)?;
        }
        let mut named = Vec::new();
        for part in message.attachments() {
            match &part.body {
                PartType::Message(inner) if depth + 1 < MAX_DEPTH => self.message(inner, depth + 1)?,
                PartType::Message(inner) => {
                    self.unread += 1;
                    named.push(inner.subject().unwrap_or("a message").to_owned());
                }
                _ => named.extend(attachment_name(part)),
            }
        }
        if !named.is_empty() {
            self.attachments += named.len();
            self.out.push_str("Attachments:\n\n");
            for name in named {
                self.line("- ", &name);
            }
            self.out.push('\n');
        }
        Ok(())
    }

    fn headers(&mut self, message: &Message<'_>, depth: usize) {
        let marks = "#".repeat((depth + 1).min(6));
        match message.subject().map(str::trim).filter(|subject| !subject.is_empty()) {
            Some(subject) => self.line(&format!("{marks} "), subject),
            // A forwarded message without a subject still begins somewhere.
            None if depth > 0 => self.line(&format!("{marks} "), "Forwarded message"),
            None => {}
        }
        let roles = [("From: ", message.from()), ("To: ", message.to()), ("Cc: ", message.cc())];
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        for (label, address) in roles {
            if let Some(names) = address.map(people).filter(|names| !names.is_empty()) {
                self.line(label, &names);
            }
        }
        if let Some(date) = message.date() {
            self.line("Date: ", &date.to_rfc3339());
        }
        self.out.push('\n');
    }

    /// One line, whatever line ends are in what it says.
    fn line(&mut self, label: &str, text: &str) {
        self.out.push_str(label);
        for (index, word) in text.split_whitespace().enumerate() {
            self.out.push_str(if index > 0 { " " } else { "" });
            self.out.push_str(word);
        }
        self.out.push('\n');
    }

    fn body(&mut self, message: &Message<'_>, part: &MessagePart<'_>) -> Result<(), ReadError> {
        match &part.body {
            PartType::Text(text) => push_plain(&mut self.out, &undamaged(message, part, text)),
            PartType::Html(text) => {
                let markdown = html::fragment(text, self.cx)?;
                self.out.push_str(markdown.trim());
            }
            _ => return Ok(()),
        }
        self.out.truncate(self.out.trim_end().len());
        self.out.push_str("\n\n");
        Ok(())
    }
}

/// A body that is not in the encoding that it claims, or claims none, read again by what its bytes say.
fn undamaged<'a>(message: &Message<'_>, part: &MessagePart<'_>, text: &'a str) -> Cow<'a, str> {
    if part.encoding != mail_parser::Encoding::None || !text.contains(char::REPLACEMENT_CHARACTER) {
        return Cow::Borrowed(text);
    }
    let raw = message.raw_message.get(part.offset_body as usize..part.offset_end as usize).unwrap_or_default();
    match encoding::decode(&Bytes::copy_from_slice(raw), None) {
        Some(decoded) => Cow::Owned(decoded.text.into()),
        None => Cow::Borrowed(text),
    }
}

fn attachment_name(part: &MessagePart<'_>) -> Option<String> {
    if let Some(name) = part.attachment_name() {
        return Some(name.to_owned());
    }
    // Nameless text is another form of the body; a nameless picture stands within it.
    let PartType::Binary(_) = part.body else { return None };
    let kind = part.content_type()?;
    Some(format!("unnamed ({}/{})", kind.ctype(), kind.subtype().unwrap_or_default()))
}

fn people(address: &Address<'_>) -> String {
    let mut out = String::new();
    for person in address.iter() {
        let separator = if out.is_empty() { "" } else { ", " };
        let written = match (person.name(), person.address()) {
            (Some(name), Some(address)) if name != address => write!(out, "{separator}{name} <{address}>"),
            (_, Some(one)) | (Some(one), None) => write!(out, "{separator}{one}"),
            (None, None) => Ok(()),
        };
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    out
}

/// Plain text within Markdown: a line that begins with `#` is no heading, and a line of dashes under a paragraph (a
/// signature's) does not make one of it.
fn push_plain(out: &mut String, text: &str) {
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') {
            out.push('\\');
            out.push_str(line.trim_start());
        } else if !trimmed.is_empty() && trimmed.bytes().all(|byte| matches!(byte, b'-' | b'=')) {
            out.push('\n');
            out.push_str(trimmed);
        } else {
            out.push_str(line.trim_end());
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mail: &str) -> Parsed {
        let bytes = mail.as_bytes().to_vec().into();
        MailReader.read(&Input { bytes: &bytes, charset: None }, &StepContext::detached()).expect("read")
    }

    #[test]
    fn plain_text_makes_no_headings() {
        let parsed = read("From: a@b.example\r\n\r\n# not a heading\r\nBrindle\r\n-- \r\nZant\r\n");
        assert_eq!(&*parsed.content, "From: a@b.example\n\n\\# not a heading\nBrindle\n\n--\nZant\n\n");
    }

    #[test]
    fn undeclared_encodings_are_guessed() {
        let mut mail = b"Subject: x\nContent-Type: text/plain\n\n".to_vec();
        let body = "Größe und Übung des Quorvex, schließlich für die Tür. ".repeat(4);
        mail.extend_from_slice(&encoding_rs::WINDOWS_1252.encode(&body).0);
        let bytes = mail.into();
        let parsed = MailReader.read(&Input { bytes: &bytes, charset: None }, &StepContext::detached()).expect("read");
        assert!(parsed.content.contains("Größe und Übung des Quorvex"), "{}", parsed.content);
    }

    #[test]
    fn what_is_no_mail_is_plain_text() {
        let parsed = read("note: the quorvex slept\n\nzant\n");
        assert_eq!(parsed.notes["parsed"], "plain text");
        assert!(parsed.lines && parsed.content.contains("quorvex"));
    }
}
