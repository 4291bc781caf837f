//! What happens to documents, as server-sent events.

use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use docmill_api::{CancellationToken, Digest};
use futures::{Stream, StreamExt};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::documents::path;
use super::view::{DocumentView, id};
use crate::http::hear::Happened;
use crate::http::keys::Caller;
use crate::http::problem::Problem;
use crate::http::state::Shared;

/// How often something is sent where nothing happens, so that who has gone is noticed.
const ALIVE: Duration = Duration::from_secs(15);
/// How often a document is looked at, besides when something is heard of it: it goes from stage to stage meanwhile.
const LOOK: Duration = Duration::from_millis(500);

type Events = Sse<axum::response::sse::KeepAliveStream<Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>>>;

/// Every document that is accepted or comes to its end from now on, of those that the caller sees.
pub(super) async fn of_all(State(service): State<Shared>, caller: Caller) -> Events {
    let (happened, closing) = (service.parts.heard.listen(), service.closing.clone());
    let events = futures::stream::unfold((service, caller, happened), |(service, caller, mut happened)| async move {
        loop {
            let event = match happened.recv().await {
                Ok(one) if !caller.sees(one.user_id.as_deref()) => continue,
                Ok(Happened { document, deleted: true, .. }) => deleted(&document),
                Ok(one) => match service.document(one.document, &caller).await {
                    Ok(document) => changed(&document),
                    // It is gone already: the event of that follows.
                    Err(_) => continue,
                },
                Err(RecvError::Lagged(missed)) => Event::default().event("missed").data(missed.to_string()),
                Err(RecvError::Closed) => return None,
            };
            return Some((Ok(event), (service, caller, happened)));
        }
    });
    stream(events, closing)
}

/// One document whenever it changes, until it has come to its end.
pub(super) async fn of_document(
    State(service): State<Shared>,
    caller: Caller,
    of: Result<Path<String>, PathRejection>,
) -> Result<Events, Problem> {
    let id = id(&path(of)?)?;
    service.entry(id, &caller).await?;
    let (happened, closing) = (service.parts.heard.listen(), service.closing.clone());
    let begun = (service, caller, happened, None::<DocumentView>, false);
    let events = futures::stream::unfold(begun, move |(service, caller, mut happened, mut last, over)| async move {
        if over {
            return None;
        }
        loop {
            let Ok(document) = service.document(id, &caller).await else {
                return Some((Ok(deleted(&id)), (service, caller, happened, last, true)));
            };
            let key = |view: &DocumentView| (view.state, view.stage.clone(), view.attempts);
            if last.as_ref().map(key) != Some(key(&document)) {
                let (event, over) = (changed(&document), document.state.is_final());
                last = Some(document);
                return Some((Ok(event), (service, caller, happened, last, over)));
            }
            let _ = tokio::time::timeout(LOOK, heard_of(&mut happened, id)).await;
        }
    });
    Ok(stream(events, closing))
}

async fn heard_of(happened: &mut Receiver<Happened>, id: Digest) {
    loop {
        match happened.recv().await {
            Ok(one) if one.document != id => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn changed(document: &DocumentView) -> Event {
    Event::default().event("document").json_data(document).unwrap_or_default()
}

fn deleted(document: &Digest) -> Event {
    Event::default().event("deleted").data(serde_json::json!({ "id": document }).to_string())
}

/// Until there are no more, or the service ends.
fn stream(
    events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
    closing: CancellationToken,
) -> Events {
    let events = events.take_until(closing.cancelled_owned());
    let events: Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>> = Box::pin(events);
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE))
}
