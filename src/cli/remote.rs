//! A service's run as the dashboard sees it, over HTTP: the same [`Link`] as over a state directory's socket. An event loop on
//! a thread of its own asks for the newest snapshot four times a second; what the dashboard sends goes by the same
//! connections. Nothing here waits for ever: a service that does not answer is shown as gone, and asked again.

mod client;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep_until};
use url::Url;

pub(super) use self::client::{Client, Failure};
use crate::control::Command;
use crate::monitor::{Snapshot, VERSION};
use crate::tui::{FileChange, Link};

/// As many as a pipeline may have threads.
const MOST_CPUS: usize = 1024;

/// The variable with the key.
pub(super) const KEY: &str = "DOCMILL_API_KEY";

/// How often a service takes a snapshot: to ask more often shows nothing new.
const EVERY: Duration = Duration::from_millis(250);
/// How long an answer may take: so long a key may keep the screen still, and then a service is taken for gone.
const PATIENCE: Duration = Duration::from_secs(4);
/// The longest pause between two attempts while the service is gone.
const LONGEST: Duration = Duration::from_secs(5);

/// Reads the address of a service from the command line.
///
/// # Errors
/// A sentence: it is no address, or says what has no place in it.
pub(super) fn address(text: &str) -> Result<Url, String> {
    let hint = "hint: write it as `docmill top http://127.0.0.1:8080`";
    let web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let url = Url::parse(text).ok().filter(web);
    // What is no address is not repeated where it may hold a password.
    let shown = if text.contains('@') { "this" } else { text };
    let url = url.ok_or_else(|| format!("`{shown}` is no address of a service\n{hint}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address holds no user and no password here: others see the command line\n\
                    hint: a key is read from `DOCMILL_API_KEY`"
            .into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("the address of a service has neither `?` nor `#`\n{hint}"));
    }
    Ok(url)
}

/// Whether what is sent there can be read on its way.
pub(super) fn is_open(address: &Url) -> bool {
    address.scheme() == "http" && !client::is_near(address)
}

/// The run of a service.
pub(super) struct Remote {
    client: Arc<Client>,
    latest: Arc<Mutex<Arc<Snapshot>>>,
    live: Arc<AtomicBool>,
    /// Taken when it goes: what is under way is then left.
    event_loop: Option<Runtime>,
}

impl Remote {
    /// Begins to watch a service, once it has shown its run.
    ///
    /// # Errors
    /// A sentence and a hint: nobody answers there, it is no docmill, or it wants another key.
    pub(super) fn watch(address: &Url, key: Option<&str>) -> Result<Self, String> {
        let client = Arc::new(Client::new(address, key, PATIENCE)?);
        let event_loop = Builder::new_multi_thread().worker_threads(1).thread_name("remote").enable_all().build();
        let event_loop = event_loop.map_err(|error| format!("no thread: {error}"))?;
        let first = event_loop.block_on(snapshot(&client)).map_err(|failure| explained(&failure, address, key))?;
        let (latest, live) = (Arc::new(Mutex::new(Arc::new(first))), Arc::new(AtomicBool::new(true)));
        event_loop.spawn(follow(Arc::clone(&client), Arc::clone(&latest), Arc::clone(&live)));
        Ok(Self { client, latest, live, event_loop: Some(event_loop) })
    }

    /// The CPUs of the machine that the run is on.
    pub(super) fn cpus(&mut self) -> usize {
        // A run that has only just begun says 0, and another program might say anything.
        (self.latest().host.cpus.ceil() as usize).clamp(1, MOST_CPUS)
    }

    /// Says something to the service and waits for the answer: for as long as the client does.
    fn tell(&self, method: Method, path: &[&str], body: Option<serde_json::Value>) -> Result<Vec<u8>, String> {
        let event_loop = self.event_loop.as_ref().ok_or("the dashboard has ended")?;
        let told = event_loop.block_on(self.client.ask(method, path, body));
        told.map_err(|failure| match failure {
            Failure::Refused { status: 401 | 403, detail, .. } => {
                format!("the service does not let this key do that: {detail}")
            }
            Failure::Refused { detail, .. } => format!("the service refuses: {detail}"),
            Failure::Silent(reason) => format!("the service cannot be told: {reason}"),
        })
    }
}

/// Asks for snapshots for as long as the event loop is there.
async fn follow(client: Arc<Client>, latest: Arc<Mutex<Arc<Snapshot>>>, live: Arc<AtomicBool>) {
    let mut pause = EVERY;
    let mut next = Instant::now() + pause;
    loop {
        sleep_until(next).await;
        // From the beginning of one to the next, so that it is four a second however long an answer takes.
        let begun = Instant::now();
        match snapshot(&client).await {
            Ok(snapshot) => {
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
                live.store(true, Ordering::Relaxed);
                pause = EVERY;
            }
            Err(_) => {
                live.store(false, Ordering::Relaxed);
                pause = (pause * 2).min(LONGEST);
            }
        }
        next = begun + pause;
    }
}

async fn snapshot(client: &Client) -> Result<Snapshot, Failure> {
    let body = client.ask(Method::GET, &["v1", "snapshot"], None).await?;
    let snapshot: Option<Snapshot> = serde_json::from_slice(&body).ok();
    // Every field has a default: an object of something else would pass for an empty run.
    snapshot
        .filter(|snapshot| snapshot.version == VERSION)
        .ok_or_else(|| Failure::Silent("what answers there shows no run as this version of docmill knows it".into()))
}

/// Why a service cannot be watched, and what to do.
fn explained(failure: &Failure, address: &Url, key: Option<&str>) -> String {
    match (failure, key) {
        (Failure::Refused { status: 401, .. }, None) => {
            format!("the service at `{address}` wants a key\nhint: set `DOCMILL_API_KEY` to one of its keys")
        }
        (Failure::Refused { status: 401, .. }, Some(_)) => format!(
            "the service at `{address}` does not know the key in `DOCMILL_API_KEY`\n\
             hint: ask who runs it for one of its keys"
        ),
        (Failure::Refused { status: 403, detail, .. }, _) => format!(
            "the service at `{address}` does not show its run to this key: {detail}\n\
             hint: a key that is bound to a user sees documents, not the run; take one that is not"
        ),
        (Failure::Refused { detail, .. }, _) => format!(
            "the service at `{address}` does not show its run: {detail}\n\
             hint: is it `docmill serve`, and is the address right?"
        ),
        (Failure::Silent(reason), _) => format!(
            "no service at `{address}` ({reason})\n\
             hint: is `docmill serve` running there, and are host and port right?"
        ),
    }
}

impl Link for Remote {
    fn latest(&mut self) -> Arc<Snapshot> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn send(&mut self, command: Command) -> Result<(), String> {
        let (method, path, body) = match &command {
            Command::SetWidth { stage, width, by, why } => {
                let body = json!({ "width": width, "by": by, "why": why });
                (Method::PATCH, vec!["v1", "stages", stage], Some(body))
            }
            Command::HandOver { stage, by } => {
                (Method::PATCH, vec!["v1", "stages", stage], Some(json!({ "auto": true, "by": by })))
            }
            Command::Pause => (Method::POST, vec!["v1", "run", "pause"], None),
            Command::Resume => (Method::POST, vec!["v1", "run", "resume"], None),
            Command::Drain => (Method::POST, vec!["v1", "run", "drain"], None),
            other => {
                let body =
                    serde_json::to_value(other).map_err(|error| format!("it cannot be said as JSON: {error}"))?;
                (Method::POST, vec!["v1", "commands"], Some(body))
            }
        };
        self.tell(method, &path, body).map(drop)
    }

    fn propose(&mut self, _: &[(String, usize)]) -> Result<FileChange, String> {
        Err("the pipeline's file is where the service runs: write the widths there".into())
    }

    fn write(&mut self, _: &FileChange) -> Result<(), String> {
        self.propose(&[]).map(drop)
    }

    fn retry_failed(&mut self, stage: &str) -> Result<usize, String> {
        #[derive(Deserialize)]
        struct Answer {
            documents: usize,
        }
        let body = self.tell(Method::POST, &["v1", "run", "retry"], Some(json!({ "stage": stage })))?;
        let answer = serde_json::from_slice::<Answer>(&body);
        answer.map(|answer| answer.documents).map_err(|_| "the service does not say how many are tried again".into())
    }

    fn is_live(&self) -> bool {
        self.live.load(Ordering::Relaxed)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if let Some(event_loop) = self.event_loop.take() {
            // A name that is still being looked up is not waited for.
            event_loop.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
