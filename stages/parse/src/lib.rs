//! The parse stage of docmill: documents of many formats to Markdown-flavoured text.
//!
//! One record comes in with a document's bytes, one goes out with its text. Which reader does it is decided by what the
//! bytes say, then by the media type, then by the name (`media`); one module holds one family of formats. Formats whose
//! readers are other people's parsers of hostile input (PDF, office formats, HTML, source code that has a grammar) are
//! meant to run in a child process; other text formats are read by code that neither hangs nor overflows, and the stage
//! says so ([`docmill_api::CpuStage::trusts`]).
//!
//! What cannot be read is never passed over: it is an error (encrypted, broken, too large) or a skip with its reason
//! (empty, of no known type, an image, no text layer, a format without a reader).

mod code;
mod csv;
mod docx;
mod encoding;
mod epub;
mod factory;
mod html;
mod json;
mod mail;
mod markdown;
mod media;
mod names;
mod notebook;
mod office;
mod package;
mod pdf;
mod plain;
mod reader;
mod stage;
mod syntax;
mod text;
mod xml;

pub use factory::{Config, HtmlPart, ParseFactory, PdfChoice};
pub use stage::ParseStage;

/// Makes the kind `parse` known to a program.
pub fn register(registry: &mut docmill_api::Registry) {
    registry.add::<ParseFactory>();
}
