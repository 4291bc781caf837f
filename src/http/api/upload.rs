//! A document is handed in: by its URL, or with its bytes. A place in the queue comes first, then the body, then the
//! ledger, and then the answer.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use docmill_api::{Acceptance, Digest, SourceItem};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::JSON;
use super::body::{TEXT, Tap, Uploaded, read_json, read_multipart, too_large};
use super::view::{DocumentState, DocumentView, unreadable};
use crate::http::keys::{Caller, InFlight};
use crate::http::listen::drop_body;
use crate::http::problem::Problem;
use crate::http::queue::{NoPlace, Place};
use crate::http::spool::UPLOAD;
use crate::http::state::{Service, Shared};
use crate::ledger::{Change, HandedIn};

/// The header that makes a request one with its repetition.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header by which a session has a place of its own in the queue; `session_id` in the query does the same.
const SESSION: &str = "x-session-id";
/// The most characters of a name, an id or a key.
const LONGEST: usize = 1024;

/// A document that is fetched, or what is said of one whose bytes come with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submission {
    /// Where it is; not with an upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    /// Its name; the last part of the URL, or the name of the file, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<String>,
    /// Its type: an extension such as `pdf`, or a media type. Content is trusted before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) filetype: Option<String>,
    /// The session it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) session_id: Option<String>,
    /// The user it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user_id: Option<String>,
    /// Whatever else is to be stored with its rows.
    #[serde(default)]
    pub(super) metadata: Map<String, Value>,
}

pub(super) async fn submit(
    State(service): State<Shared>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let is_upload = match headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(media_type).as_deref() {
        Some("multipart/form-data") => true,
        Some("application/json") => false,
        _ => {
            drop_body(request.into_body()).await;
            let detail = "send `application/json` with a `url`, or `multipart/form-data` with a file";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    };
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // Text parts and boundaries may come on top.
    let most = service.parts.settings.max_bytes;
    if declared.is_some_and(|bytes| bytes > most.saturating_add(TEXT as u64)) {
        drop_body(request.into_body()).await;
        return Err(too_large(most));
    }
    let (key, share) = match key_of(&headers).and_then(|key| Ok((key, share(&caller, &request)?))) {
        Ok(known) => known,
        Err(problem) => {
            drop_body(request.into_body()).await;
            return Err(problem);
        }
    };
    let (place, in_flight) = match admitted(&service, &caller, &share).await {
        Ok(admitted) => admitted,
        Err(problem) => {
            drop_body(request.into_body()).await;
            return Err(problem);
        }
    };
    let body = Tap::new(request.into_body(), most.saturating_add(JSON as u64));
    let read = if is_upload { read_multipart(&service, &headers, &body).await } else { read_json(&body).await };
    let (submission, file) = match read {
        Ok(read) => read,
        Err(problem) => {
            drop_body(body.rest()).await;
            return Err(problem);
        }
    };
    let _kept = file.as_ref().map(|file| Kept(Arc::clone(&service), file.hash));
    let item = item(&service, &caller, submission, file)?;
    // A caller that goes leaves no document accepted and not lined up.
    let taking_in = async move { service.take_in(&caller, item, key, place, in_flight).await };
    match tokio::spawn(taking_in).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::error!(%error, "accepting a document broke off");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "accepting the document broke off"))
        }
    }
}

/// A file in the spool whose document is not accepted yet. Dropped, it is looked at whether somebody needs it.
struct Kept(Shared, Digest);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.parts.spool.is_there(self.1);
    }
}

async fn admitted(service: &Service, caller: &Caller, share: &str) -> Result<(Place, InFlight), Problem> {
    let view = service.parts.queue.view();
    let Some(in_flight) = caller.takes_one() else {
        return Err(Problem::too_many("this key has as many documents in flight as it may", view.retry_after));
    };
    let place = service.parts.queue.place(share).await.map_err(|refused| match refused {
        NoPlace::Full(after) => Problem::full("the queue is full", after),
        NoPlace::Closed => Problem::full("the service takes no documents in any more", view.retry_after),
    })?;
    Ok((place, in_flight))
}

impl Service {
    /// Accepts a document, lines it up, and says so.
    async fn take_in(
        &self,
        caller: &Caller,
        item: SourceItem,
        key: Option<String>,
        place: Place,
        in_flight: InFlight,
    ) -> Result<Response, Problem> {
        let id = self.parts.intake.id_of(&item);
        let owner = caller.name().to_owned();
        let body = Digest::of(&[serde_json::to_string(&item).unwrap_or_default().as_bytes()]);
        let _answering = match &key {
            Some(key) => Some(Answering::begin(self, format!("{owner}\n{key}"))?),
            None => None,
        };
        if let Some(key) = &key
            && let Some((first, same)) = self.parts.ledger.handed_in(&owner, key, body).await.map_err(unreadable)?
        {
            if !same {
                let detail = format!("`{IDEMPOTENCY_KEY}` was used for another document");
                return Err(Problem::unprocessable(detail));
            }
            return Ok((StatusCode::OK, Json(self.document(first, caller).await?)).into_response());
        }
        let user_id = item.user_id.clone();
        let acceptance = self.parts.intake.accept(&item).await?;
        if let Some(key) = key {
            let handed = HandedIn { owner, key, body, document: id };
            self.parts.ledger.write(vec![Change::HandIn(handed)]).await.map_err(unreadable)?;
        }
        match acceptance {
            Acceptance::Taken => {
                place.fill(item, in_flight);
                self.parts.heard.accepted(id, user_id);
            }
            Acceptance::AsBefore | Acceptance::UnderWay => {}
        }
        let mut document = self.document(id, caller).await?;
        if acceptance == Acceptance::AsBefore && document.state == DocumentState::Done {
            document.state = DocumentState::Unchanged;
        }
        let location = format!("/v1/documents/{id}");
        Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json::<DocumentView>(document)).into_response())
    }
}

/// An idempotency key whose first request is being answered.
struct Answering<'a>(&'a Service, String);

impl<'a> Answering<'a> {
    fn begin(service: &'a Service, key: String) -> Result<Self, Problem> {
        let mut answering = service.answering.lock().unwrap_or_else(PoisonError::into_inner);
        if !answering.insert(key.clone()) {
            let detail = format!("another request with this `{IDEMPOTENCY_KEY}` is being answered");
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        Ok(Self(service, key))
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.answering.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// What the pipeline is given.
fn item(
    service: &Service,
    caller: &Caller,
    submission: Submission,
    file: Option<Uploaded>,
) -> Result<SourceItem, Problem> {
    for (name, value) in [
        ("filename", &submission.filename),
        ("filetype", &submission.filetype),
        ("session_id", &submission.session_id),
        ("user_id", &submission.user_id),
    ] {
        if value.as_ref().is_some_and(|value| value.len() > LONGEST || value.contains('\0')) {
            return Err(Problem::unprocessable(format!("`{name}` has more than {LONGEST} bytes, or holds a zero")));
        }
    }
    let user_id = match (caller.user(), submission.user_id) {
        (Some(own), Some(other)) if own != other => {
            return Err(Problem::forbidden(format!("this key is `{own}`'s: it hands in no document of another user")));
        }
        (Some(own), _) => Some(own.to_owned()),
        (None, given) => given,
    };
    let media_type = submission.filetype.and_then(|filetype| declared_type(&filetype));
    let item = SourceItem {
        session_id: submission.session_id,
        user_id,
        metadata: submission.metadata,
        ..SourceItem::default()
    };
    match (submission.url, file) {
        (None, Some(file)) => {
            let filename = submission.filename.filter(|name| !name.is_empty()).unwrap_or(file.name);
            let filename = base_name(&filename);
            let Uploaded { hash, bytes, declared, .. } = file;
            Ok(SourceItem {
                uri: format!("{UPLOAD}{hash}/{}", utf8_percent_encode(&filename, NON_ALPHANUMERIC)),
                filename,
                size: Some(bytes),
                media_type: media_type.or(declared.filter(|declared| declared != "application/octet-stream")),
                // The address holds the hash of the content: it is the same document, or another.
                stamp: Some(hash.to_string()),
                ..item
            })
        }
        (Some(url), None) => {
            let filename = submission.filename.map(|name| base_name(&name)).unwrap_or_default();
            Ok(SourceItem { uri: checked(service, &url)?, filename, media_type, ..item })
        }
        _ => Err(Problem::unprocessable("`url` is missing")),
    }
}

fn checked(service: &Service, url: &str) -> Result<String, Problem> {
    let parsed =
        url::Url::parse(url).map_err(|error| Problem::unprocessable(format!("`url` is no address: {error}")))?;
    let schemes = &service.parts.settings.schemes;
    if url.len() > 8 * LONGEST {
        return Err(Problem::unprocessable("`url` is too long"));
    }
    if !schemes.iter().any(|scheme| scheme == parsed.scheme()) {
        return Err(Problem::unprocessable(format!("`url` begins with one of: {}", schemes.join(", "))));
    }
    Ok(parsed.to_string())
}

/// The last part of a name, without what no file name holds: it may be a path of another machine.
fn base_name(name: &str) -> String {
    let last = name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|letter| !letter.is_control()).collect();
    if name.is_empty() { "document".to_owned() } else { name }
}

/// A media type as it is; an extension tells less than the content does, so that only those with a slash count.
fn declared_type(filetype: &str) -> Option<String> {
    let filetype = filetype.trim().to_ascii_lowercase();
    if filetype.contains('/') {
        return Some(filetype);
    }
    let known = match filetype.trim_start_matches('.') {
        "pdf" => "application/pdf",
        "html" | "htm" => "text/html",
        "md" | "markdown" => "text/markdown",
        "txt" | "text" => "text/plain",
        "csv" => "text/csv",
        "json" => "application/json",
        "xml" => "application/xml",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => return None,
    };
    Some(known.to_owned())
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match key.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= 255 => Ok(Some(key.to_owned())),
        _ => Err(Problem::bad(format!("`{IDEMPOTENCY_KEY}` has from 1 to 255 visible characters"))),
    }
}

/// Who brings the document, as the queue tells one from another: a key, and a session where the request names one.
fn share(caller: &Caller, request: &Request) -> Result<String, Problem> {
    let session = request.headers().get(SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let query = request.uri().query().unwrap_or_default();
    let named = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "session_id");
    let session = named.map(|(_, value)| value.into_owned()).or(session).unwrap_or_default();
    if session.len() > LONGEST {
        return Err(Problem::unprocessable(format!("`session_id` has more than {LONGEST} bytes")));
    }
    Ok(format!("{}\n{session}", caller.name()))
}

fn media_type(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
