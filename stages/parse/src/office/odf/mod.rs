//! OpenDocument: text, spreadsheets and presentations, in packages and as one flat XML file. One pass over the content
//! (`content`) serves all three; this file finds the content, says what is encrypted, and knows the title.

mod content;
mod table;

use docmill_api::StepContext;

use super::Kind;
use super::parts::{Parts, decode, element_text};
use super::xml::{Token, Xml, attribute};
use crate::reader::{Input, Parsed, ReadError};

/// Reads a package.
pub(super) fn read_package(kind: Kind, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
    let mut parts = Parts::open(input.bytes, cx)?;
    let manifest = parts.text("META-INF/manifest.xml")?.unwrap_or_default();
    if manifest.contains("encryption-data") || parts.has("encrypted-package") {
        return Err(ReadError::Encrypted(format!("an `{}` document that needs a password", kind.name())));
    }
    let content = parts.text("content.xml")?;
    let content = content.ok_or_else(|| ReadError::Broken("no `content.xml` in its archive".to_owned()))?;
    let title = match parts.text("meta.xml") {
        Ok(Some(meta)) => element_text(&meta, "dc:title", cx)?,
        _ => None,
    };
    let styles = parts.text("styles.xml").ok().flatten().unwrap_or_default();
    content::read(kind, &content, &styles, cx)?.finish(kind, title)
}

/// Reads one flat XML file, after a look at how deep its elements are: no package was checked.
pub(super) fn read_flat(input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
    let text = decode(input.bytes.to_vec());
    let mut xml = Xml::new(&text, cx);
    let mut kind = Kind::Odt;
    let mut depth = 0_usize;
    loop {
        match xml.next()? {
            Token::Open(element) => {
                depth += 1;
                if depth == 1 {
                    let media_type = attribute(&element, "mimetype").unwrap_or_default();
                    kind = Kind::by_media_type(&media_type)
                        .ok_or_else(|| ReadError::Broken("no OpenDocument file".to_owned()))?;
                }
            }
            Token::Close(_) => depth = depth.saturating_sub(1),
            Token::Text(_) => {}
            Token::End => break,
        }
        if depth > content::MAX_DEPTH {
            return Err(ReadError::TooLarge(format!("its XML is over {} elements deep", content::MAX_DEPTH)));
        }
    }
    let title = element_text(&text, "dc:title", cx)?;
    content::read(kind, &text, &text, cx)?.finish(kind, title)
}
