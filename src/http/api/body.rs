//! The body of a submission: JSON, or a form whose file goes to the spool as it comes.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use docmill_api::Digest;
use futures::Stream;

use super::JSON;
use super::upload::Submission;
use crate::http::problem::Problem;
use crate::http::spool::SpoolError;
use crate::http::state::Service;

/// The most parts of a form.
const FIELDS: usize = 32;
/// The most bytes of a text part.
pub(super) const TEXT: usize = 256 << 10;

/// A file whose bytes are in the spool.
pub(super) struct Uploaded {
    pub(super) hash: Digest,
    pub(super) bytes: u64,
    pub(super) name: String,
    pub(super) declared: Option<String>,
}

/// A body that is read by somebody else, and whose rest can be had should that one stop.
#[derive(Clone)]
pub(super) struct Tap(Arc<Mutex<Tapped>>);

struct Tapped {
    stream: BodyDataStream,
    /// How many bytes may still come.
    left: u64,
    /// Whether more came.
    exceeded: bool,
}

impl Tap {
    /// A body of at most so many bytes.
    pub(super) fn new(body: Body, most: u64) -> Self {
        Self(Arc::new(Mutex::new(Tapped { stream: body.into_data_stream(), left: most, exceeded: false })))
    }

    /// Whether it is longer than any document with what is said of it.
    fn exceeded(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).exceeded
    }

    pub(super) fn rest(&self) -> Body {
        Body::from_stream(self.clone())
    }
}

impl Stream for Tap {
    type Item = Result<Bytes, axum::Error>;
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let polled = std::task::ready!(Pin::new(&mut body.stream).poll_next(cx));
        if let Some(Ok(bytes)) = &polled {
            let left = body.left.checked_sub(bytes.len() as u64);
            if left.is_none() && !std::mem::replace(&mut body.exceeded, true) {
                return Poll::Ready(Some(Err(axum::Error::new("the body is too large"))));
            }
            // Whoever reads the rest to drop it has a limit of its own.
            body.left = left.unwrap_or_default();
        }
        Poll::Ready(polled)
    }
}

/// Whether a body was longer than it was asked for.
fn is_too_long(error: &axum::Error) -> bool {
    error.source().is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

/// A submission as JSON.
pub(super) async fn read_json(body: &Tap) -> Result<(Submission, Option<Uploaded>), Problem> {
    let detail = || format!("a submission has at most {JSON} bytes");
    let bytes = match axum::body::to_bytes(body.rest(), JSON).await {
        Ok(bytes) => bytes,
        Err(error) if is_too_long(&error) => return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail())),
        Err(_) => return Err(Problem::bad("the body broke off")),
    };
    let submission: Submission = match serde_json::from_slice(&bytes) {
        Ok(submission) => submission,
        Err(error) if error.is_data() => return Err(Problem::unprocessable(error.to_string())),
        Err(error) => return Err(Problem::bad(format!("the body is no JSON: {error}"))),
    };
    Ok((submission, None))
}

/// A submission as a form, with its file in the spool.
pub(super) async fn read_multipart(
    service: &Service,
    headers: &HeaderMap,
    body: &Tap,
) -> Result<(Submission, Option<Uploaded>), Problem> {
    let most = service.parts.settings.max_bytes;
    let broken = |error: &MultipartError| match error.status() {
        _ if body.exceeded() => too_large(most),
        StatusCode::PAYLOAD_TOO_LARGE => too_large(most),
        _ => Problem::bad(format!("the body is no form, or broke off: {}", error.body_text())),
    };
    let mut request = Request::new(body.rest());
    *request.headers_mut() = headers.clone();
    // The body has its limit already, and a larger one than what axum takes for usual.
    DefaultBodyLimit::disable().apply(&mut request);
    let parts = Multipart::from_request(request, &()).await;
    let mut parts = parts.map_err(|refused| Problem::bad(refused.body_text()))?;
    let mut fields = 0;
    let (mut submission, mut file) = (Submission::default(), None);
    while let Some(field) = parts.next_field().await.map_err(|error| broken(&error))? {
        fields += 1;
        if fields > FIELDS {
            return Err(Problem::unprocessable(format!("a form has at most {FIELDS} parts")));
        }
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" || field.file_name().is_some() {
            if file.is_some() {
                return Err(Problem::unprocessable("one document a request: there is more than one file"));
            }
            file = Some(spooled(service, field, body).await?);
            continue;
        }
        let text = text_of(field, most, body).await?;
        match name.as_str() {
            "filename" => submission.filename = Some(text),
            "filetype" => submission.filetype = Some(text),
            "session_id" => submission.session_id = Some(text),
            "user_id" => submission.user_id = Some(text),
            "metadata" => {
                let map = serde_json::from_str(&text);
                submission.metadata = map.map_err(|error| Problem::unprocessable(format!("`metadata`: {error}")))?;
            }
            _ => return Err(Problem::unprocessable(format!("there is no part `{}`", crate::report::printable(&name)))),
        }
    }
    match file {
        Some(file) => Ok((submission, Some(file))),
        None => Err(Problem::unprocessable("there is no file in the form")),
    }
}

async fn spooled(service: &Service, mut field: Field<'_>, body: &Tap) -> Result<Uploaded, Problem> {
    let name = field.file_name().unwrap_or_default().to_owned();
    let declared = field.content_type().map(str::to_owned);
    let most = service.parts.settings.max_bytes;
    let mut upload = service.parts.spool.begin(most);
    loop {
        let bytes = match field.chunk().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(_) if body.exceeded() => return Err(too_large(most)),
            Err(_) => return Err(Problem::bad("the body broke off")),
        };
        upload = upload.write(bytes).await.map_err(|error| unspooled(service, error))?;
    }
    let (hash, bytes) = upload.finish().await.map_err(|error| unspooled(service, error))?;
    Ok(Uploaded { hash, bytes, name, declared })
}

fn unspooled(service: &Service, error: SpoolError) -> Problem {
    match error {
        SpoolError::TooLarge => too_large(service.parts.settings.max_bytes),
        SpoolError::Full => {
            Problem::full("there is no room on disk for uploads", service.parts.queue.view().retry_after)
        }
        SpoolError::Io(error) => {
            tracing::error!(%error, "an upload cannot be written");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the upload cannot be written")
        }
    }
}

async fn text_of(mut field: Field<'_>, most: u64, body: &Tap) -> Result<String, Problem> {
    let mut text = Vec::new();
    let broken = |_| if body.exceeded() { too_large(most) } else { Problem::bad("the body broke off") };
    while let Some(bytes) = field.chunk().await.map_err(broken)? {
        if text.len() + bytes.len() > TEXT {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a text part has at most {TEXT} bytes")));
        }
        text.extend_from_slice(&bytes);
    }
    String::from_utf8(text).map_err(|_| Problem::bad("a text part is not UTF-8"))
}

/// 413 for a document.
pub(super) fn too_large(most: u64) -> Problem {
    let most = docmill_api::units::Size(most);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("a document has at most {most} (`serve.max_bytes`)"))
}
