//! The collector's side of tracing: a thread that takes spans out of the queue, in batches, and posts them. Its event loop is
//! its own: a run that keeps its event loop busy is what is to be seen, and a large batch costs no task of the run time.

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use docmill_api::CancellationToken;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use serde::Deserialize;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use url::Host;

use super::encode::{self, Span};
use super::settings::Settings;

/// The most spans in a request, as OpenTelemetry's own exporters have it.
const BATCH: usize = 512;
/// How long a span waits for others to be sent with.
const WAIT: Duration = Duration::from_secs(1);
/// How often the queue is looked at meanwhile. To be woken by every span would cost the run's tasks a system call each.
const LOOK: Duration = Duration::from_millis(50);
/// How often a batch is sent again before it is given up: some half a minute. The queue fills meanwhile, and drops.
const AGAIN: usize = 5;
/// The longest pause that a collector may ask for.
const LONGEST: Duration = Duration::from_secs(60);
/// The most of an answer that is read.
const ANSWER: usize = 64 << 10;

/// What became of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// All that there were, of documents that are traced.
    pub spans: u64,
    /// Those that the collector has.
    pub sent: u64,
    /// Those that found the queue full, and after the end those that were left in it.
    pub dropped: u64,
    /// Those that the collector refused, or did not answer about.
    pub refused: u64,
}

impl Sent {
    /// The same once nothing is sent any more.
    pub(super) fn settled(self) -> Self {
        Self { dropped: self.spans.saturating_sub(self.sent + self.refused), ..self }
    }
}

/// What is counted of spans, by both sides of the queue.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) heard: AtomicU64,
    pub(super) dropped: AtomicU64,
    sent: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    pub(super) fn sent(&self) -> Sent {
        let [sent, refused, dropped] = [&self.sent, &self.refused, &self.dropped].map(|count| count.load(Relaxed));
        // Last, so that there are never more of the others.
        Sent { spans: self.heard.load(Relaxed), sent, dropped, refused }
    }
}

/// What both sides know.
type Shared = (Arc<OnceLock<String>>, Arc<Counts>, CancellationToken);

/// Sends spans.
pub(super) struct Sender {
    settings: Settings,
    client: Client,
    spans: mpsc::Receiver<Span>,
    run: Arc<OnceLock<String>>,
    counts: Arc<Counts>,
    ending: CancellationToken,
    /// Taken out of the queue, and not yet sent.
    batch: Vec<Span>,
    /// Whether the last request came to nothing: what is said once is not said again with every batch.
    down: bool,
}

/// Why a request came to nothing.
enum Failure {
    /// It will again.
    Refused(String),
    /// It may not, after a pause, which the collector may have named.
    Passing(String, Option<Duration>),
}

impl Sender {
    pub(super) fn new(settings: Settings, spans: mpsc::Receiver<Span>, shared: Shared) -> io::Result<Self> {
        let near = match settings.endpoint.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        // Headers hold keys: they go where they were meant to, and nowhere that an answer points to.
        let builder = Client::builder()
            .user_agent(concat!("docmill/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .default_headers(settings.headers.clone())
            .timeout(settings.timeout);
        // A proxy does not lead to this machine.
        let builder = if near { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(io::Error::other)?;
        let (run, counts, ending) = shared;
        Ok(Self { settings, client, spans, run, counts, ending, batch: Vec::with_capacity(BATCH), down: false })
    }

    /// Starts the thread; `ends` is told when nothing more will be sent.
    pub(super) fn start(self, ends: oneshot::Sender<()>) -> io::Result<()> {
        let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sends = move || {
            event_loop.block_on(self.send_all());
            let _ = ends.send(());
            // A name that is still being looked up is not waited for.
            event_loop.shutdown_background();
        };
        thread::Builder::new().name("traces".into()).spawn(sends).map(drop)
    }

    async fn send_all(mut self) {
        let ending = self.ending.clone();
        loop {
            let open = tokio::select! {
                biased;
                () = ending.cancelled() => break,
                open = self.gather() => open,
            };
            self.send().await;
            if !open {
                return;
            }
        }
        self.spans.close();
        loop {
            while self.batch.len() < BATCH
                && let Ok(span) = self.spans.try_recv()
            {
                self.batch.push(span);
            }
            // A collector that is not there for one batch is not there for the next.
            if self.batch.is_empty() || !self.send().await {
                return;
            }
        }
    }

    /// Fills the batch; says whether there may be more. May be dropped at any time: what it has taken is in the batch.
    async fn gather(&mut self) -> bool {
        if self.batch.is_empty() {
            match self.spans.recv().await {
                Some(span) => self.batch.push(span),
                None => return false,
            }
        }
        let until = Instant::now() + WAIT;
        loop {
            while self.batch.len() < BATCH {
                match self.spans.try_recv() {
                    Ok(span) => self.batch.push(span),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return false,
                }
            }
            let now = Instant::now();
            if self.batch.len() >= BATCH || now >= until {
                return true;
            }
            sleep_until(until.min(now + LOOK)).await;
        }
    }

    /// Sends the batch, or gives it up; says which.
    async fn send(&mut self) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        let count = self.batch.len() as u64;
        let mut resource = self.settings.resource.clone();
        if let Some(run) = self.run.get().filter(|_| !resource.iter().any(|(name, _)| name == "service.instance.id")) {
            resource.push(("service.instance.id".into(), run.clone()));
        }
        let body = Bytes::from(encode::body(&self.batch, &resource));
        self.batch.clear();
        match self.deliver(body).await {
            Ok(refused) => {
                let refused = refused.min(count);
                self.counts.sent.fetch_add(count - refused, Relaxed);
                self.counts.refused.fetch_add(refused, Relaxed);
                if std::mem::take(&mut self.down) {
                    tracing::warn!(collector = self.settings.place(), "traces are sent again");
                }
                true
            }
            Err(reason) => {
                self.counts.refused.fetch_add(count, Relaxed);
                if !std::mem::replace(&mut self.down, true) {
                    tracing::warn!(collector = self.settings.place(), reason, "traces cannot be sent");
                }
                false
            }
        }
    }

    /// Posts a body, again where that may help; gives how many of its spans the collector refused.
    async fn deliver(&self, body: Bytes) -> Result<u64, String> {
        let (first, longest) = self.settings.pauses;
        let pauses = ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest).with_jitter();
        let mut pauses = pauses.with_max_times(AGAIN).build();
        loop {
            let (reason, named) = match self.post(body.clone()).await {
                Ok(refused) => return Ok(refused),
                Err(Failure::Refused(reason)) => return Err(reason),
                Err(Failure::Passing(reason, named)) => (reason, named),
            };
            let Some(pause) = pauses.next().filter(|_| !self.ending.is_cancelled()) else { return Err(reason) };
            let pause = named.map_or(pause, |named| named.min(LONGEST).max(pause));
            tokio::select! {
                // The last attempt is made at once.
                () = self.ending.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
    }

    async fn post(&self, body: Bytes) -> Result<u64, Failure> {
        let request = self.client.post(self.settings.endpoint.clone()).header(CONTENT_TYPE, "application/json");
        let answer = request.body(body).send().await.map_err(|error| Failure::Passing(chain(error), None))?;
        let status = answer.status();
        // A whole number of seconds; a date is as good as nothing, and the usual pause does.
        let named = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        if status.is_success() {
            return Ok(self.refused_of(answer).await);
        }
        let reason = format!("the collector answers {}", status.as_u16());
        // Those that OTLP says are to be tried again.
        Err(match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Failure::Passing(reason, named.map(Duration::from_secs)),
            _ => Failure::Refused(reason),
        })
    }

    /// How many spans a collector refused that took the others. An answer that cannot be read refuses none.
    async fn refused_of(&self, mut answer: Response) -> u64 {
        let mut body = Vec::new();
        while body.len() < ANSWER
            && let Ok(Some(piece)) = answer.chunk().await
        {
            body.extend_from_slice(&piece);
        }
        let partial = serde_json::from_slice::<Answer>(&body).unwrap_or_default().partial_success;
        let refused = match partial.rejected_spans {
            Number::Text(text) => text.parse().unwrap_or(0),
            Number::Number(number) => number,
        };
        if refused > 0 {
            tracing::warn!(refused, reason = partial.error_message, "the collector refuses some spans");
        }
        refused
    }
}

/// An error with its causes, without the address, which may hold a key.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    partial_success: Partial,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Partial {
    rejected_spans: Number,
    error_message: String,
}

/// 64 bits, which are text in Protobuf's JSON, and a number where somebody writes them so.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Number(u64),
    Text(String),
}

impl Default for Number {
    fn default() -> Self {
        Self::Number(0)
    }
}
