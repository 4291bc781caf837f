//! Spans as OTLP's JSON: the Protobuf messages by their fields' names in camel case, ids in hexadecimal, 64-bit numbers as
//! text. Nothing else of OTLP is here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use docmill_api::Document;
use serde::{Serialize, Serializer};

/// `SPAN_KIND_INTERNAL`: neither end of a call.
const INTERNAL: u8 = 1;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;
/// The most of a text that is sent, in bytes: names and reasons are of any length, and a collector refuses a whole request
/// that is too large (4 MiB, often). 512 spans of the largest are below that.
const LONGEST: usize = 1024;

/// Where a span is: its trace, itself, and the span around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
}

/// A span that is to be sent.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) place: Place,
    pub(super) began: SystemTime,
    pub(super) took: Duration,
    pub(super) about: About,
}

/// What a span is about.
#[derive(Debug)]
pub(super) enum About {
    /// A document, from its beginning to its end.
    Document(Box<Ended>),
    /// A stay in a stage's hands.
    Stage { id: Arc<str>, attempt: u32, failed: Option<String> },
}

/// A document's end, as much of it as is told.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) document: Arc<Document>,
    pub(super) state: &'static str,
    pub(super) stage: String,
    pub(super) class: String,
    pub(super) reason: String,
    pub(super) attempts: u32,
    pub(super) chunks: Option<u64>,
    pub(super) tokens: Option<u64>,
}

/// The body of a request with these spans, sent by whom `resource` describes.
pub(super) fn body(spans: &[Span], resource: &[(String, String)]) -> Vec<u8> {
    let resource = resource.iter().map(|(name, value)| text(name, value)).collect();
    let scope = Scope { name: "docmill", version: env!("CARGO_PKG_VERSION") };
    let spans = spans.iter().map(told).collect();
    let request = Request {
        resource_spans: [ResourceSpans {
            resource: Resource { attributes: resource },
            scope_spans: [ScopeSpans { scope, spans }],
        }],
    };
    serde_json::to_vec(&request).expect("texts and numbers are written to memory")
}

fn told(span: &Span) -> Told<'_> {
    let (name, attributes, failed) = match &span.about {
        About::Document(ended) => {
            let failed = (ended.state == "failed").then_some(ended.reason.as_str());
            ("document", of_document(ended), failed)
        }
        About::Stage { id, attempt, failed } => {
            let outcome = if failed.is_some() { "failed" } else { "ok" };
            let attributes = vec![number("docmill.attempt", u64::from(*attempt)), text("docmill.outcome", outcome)];
            (&**id, attributes, failed.as_deref())
        }
    };
    let nanos = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
    let ended = span.began.checked_add(span.took).unwrap_or(span.began);
    let Place { trace, id, parent } = span.place;
    Told {
        trace_id: Hex(trace),
        span_id: Hex(id),
        parent_span_id: parent.map(Hex),
        name,
        kind: INTERNAL,
        start_time_unix_nano: nanos(span.began),
        end_time_unix_nano: nanos(ended),
        attributes,
        status: failed.map(|message| Status { code: ERROR, message: cut(message) }),
    }
}

fn of_document(ended: &Ended) -> Vec<Attribute<'_>> {
    let document = &*ended.document;
    let mut attributes = vec![
        Attribute { key: "docmill.document.id", value: Any::Hex(Hex(*document.id.as_bytes())) },
        text("docmill.document.uri", &document.uri),
        text("docmill.document.filename", &document.filename),
        text("docmill.document.state", ended.state),
        number("docmill.document.attempts", u64::from(ended.attempts)),
    ];
    let texts = [
        ("docmill.document.media_type", document.media_type.as_deref()),
        ("session.id", document.session_id.as_deref()),
        ("user.id", document.user_id.as_deref()),
        ("docmill.document.stage", Some(&*ended.stage)),
        ("error.type", Some(&*ended.class)),
        // Why it failed is the span's status.
        ("docmill.document.reason", Some(&*ended.reason).filter(|_| ended.state != "failed")),
    ];
    let given = |value: Option<&'_ str>| value.is_some_and(|value| !value.is_empty());
    attributes
        .extend(texts.iter().filter(|(_, value)| given(*value)).map(|(key, value)| text(key, value.unwrap_or(""))));
    let numbers = [
        ("docmill.document.size", document.size),
        ("docmill.document.chunks", ended.chunks),
        ("docmill.document.tokens", ended.tokens),
    ];
    attributes.extend(numbers.iter().filter_map(|(key, value)| value.map(|value| number(key, value))));
    attributes
}

fn text<'a>(key: &'a str, value: &'a str) -> Attribute<'a> {
    Attribute { key, value: Any::Text(cut(value)) }
}

fn number(key: &str, value: u64) -> Attribute<'_> {
    Attribute { key, value: Any::Number(value.to_string()) }
}

/// The beginning of a text.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

/// Bytes in hexadecimal.
struct Hex<const N: usize>([u8; N]);

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
        let digits: String = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&digits)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    trace_id: Hex<16>,
    span_id: Hex<8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<Hex<8>>,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u8,
    message: &'a str,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'a str,
    value: Any<'a>,
}

/// OTLP's `AnyValue`, as far as it is used.
#[derive(Serialize)]
enum Any<'a> {
    #[serde(rename = "stringValue")]
    Text(&'a str),
    #[serde(rename = "stringValue")]
    Hex(Hex<32>),
    /// 64 bits do not fit a number of JSON's.
    #[serde(rename = "intValue")]
    Number(String),
}
