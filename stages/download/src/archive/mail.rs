//! Messages: what is attached to them, decoded once to a temporary file. The message itself stays a document.

mod parts;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;

use docmill_api::StageError;
use mail_parser::{MessagePart, MimeHeaders};

use super::{Limits, Member, Place, Window, broken};
use crate::body::{temporary, unwritten};
use crate::member::file_name;

/// The attachments and where they are.
pub(super) fn open(
    file: &Window,
    limits: &Limits,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<(Vec<Member>, Window), StageError> {
    let mut message = Vec::new();
    file.clone().take(limits.max_bytes).read_to_end(&mut message).map_err(|error| broken(&error))?;
    let mut content = None;
    let mut members = Vec::new();
    let mut names = HashMap::new();
    let mut end = 0;
    parts::each_attachment(&message, limits, is_cancelled, |attachment| {
        let (bytes, ending) = attachment.content();
        let fields = &attachment.fields;
        if bytes.is_empty() || is_shown(fields) {
            return Ok(());
        }
        let to = match &mut content {
            Some(to) => to,
            none => none.insert(temporary()?),
        };
        to.write_all(&bytes).map_err(|error| unwritten(&error))?;
        let media_type = media_type(fields);
        let ending = if media_type.as_deref() == Some("application/pdf") { ".pdf" } else { ending };
        let name = unique(&name(fields, members.len() + 1, ending), &mut names);
        let size = bytes.len() as u64;
        members.push(Member { name, size, packed: size, media_type, place: Place::Extent(end) });
        end += size;
        Ok(())
    })?;
    // Most messages have no attachments, and need no file.
    let content = content.map_or_else(|| file.part(0, 0), |content| Window::new(Arc::new(content), end));
    Ok((members, content))
}

/// Pictures that the text itself shows are part of the text.
fn is_shown(part: &MessagePart<'_>) -> bool {
    part.content_id().is_some()
        && !part.content_disposition().is_some_and(mail_parser::ContentType::is_attachment)
        && part.content_type().is_some_and(|kind| kind.ctype().eq_ignore_ascii_case("image"))
}

fn media_type(part: &MessagePart<'_>) -> Option<String> {
    let kind = part.content_type()?;
    Some(format!("{}/{}", kind.ctype(), kind.subtype()?).to_ascii_lowercase())
}

/// What the sender called it; by its place and type where nobody did.
fn name(part: &MessagePart<'_>, number: usize, ending: &str) -> String {
    let named = part.attachment_name().map(file_name).filter(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("attachment {number}{ending}"))
}

/// `report (2).pdf` for the second of one name. What is taken is kept with the last number that was given to it.
fn unique(name: &str, taken: &mut HashMap<String, u32>) -> String {
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    let mut candidate = name.to_owned();
    while taken.contains_key(&candidate) {
        let last = taken.entry(name.to_owned()).or_insert(1);
        *last += 1;
        candidate = format!("{stem} ({last}){ending}");
    }
    taken.insert(candidate.clone(), 1);
    candidate
}
