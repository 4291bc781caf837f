//! `docmill submit`: hands documents to a service over HTTP, each once, and waits for their ends where that is wanted.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use docmill_api::units::Span;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::ENVIRONMENT;
use super::pipeline_args::{Format, refuse_usage};
use super::remote::{self, Client, Failure, KEY};
use crate::report::printable;

/// How many documents are sent at once.
const TOGETHER: usize = 8;

/// How long one request may take; an upload of some hundred megabytes too.
const REQUEST: Duration = Duration::from_secs(600);

/// How long is waited where a service that is full does not say so.
const PAUSE: Duration = Duration::from_secs(1);

/// How long one question for a document's end waits.
const ASK: &str = "30s";

/// Hands documents to a service, `docmill serve` there.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  docmill submit report.pdf notes/                 files, and all files below a directory
  docmill submit https://example.org/a.html        an address, which the service fetches
  docmill submit --wait notes/                     until each has come to its end; says how
  docmill submit --to https://mill.example notes/  another service; a key is read from DOCMILL_API_KEY

A file below a directory is called by its path from there. A service that is full is waited for, `--patience` at most. The
same name again is the same document: what is unchanged is not done again, what has changed replaces what was there. Exit code 1: a document was refused or, with `--wait`, failed; 4: the service is not there.")]
pub struct Args {
    /// Files, directories and addresses
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
    /// The service's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    to: String,
    /// The session that they belong to
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The user that they belong to
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Waits until each has come to its end
    #[arg(long)]
    wait: bool,
    /// How long a service is waited for that is full or not there
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = span)]
    patience: Duration,
    /// How what became of them is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

fn span(text: &str) -> Result<Duration, String> {
    serde_json::from_value::<Span>(text.into()).map(|span| span.0).map_err(|error| error.to_string())
}

/// What is handed in.
#[derive(Clone, Debug, PartialEq)]
enum Input {
    /// A file, and the name that the document has.
    File(PathBuf, String),
    Address(String),
}

impl Input {
    fn shown(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Address(address) => address.clone(),
        }
    }
}

/// A document, as the service tells of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    id: String,
    state: String,
    error: Option<String>,
}

/// Why a document was not handed in, or not to its end.
enum Refusal {
    /// It alone.
    Document(String),
    /// Nobody is there, or nobody that knows this key.
    Service(String),
}

/// Hands in documents and says on `out` what became of each.
///
/// # Errors
/// The event loop cannot start, or `out` or `err` cannot be written.
pub fn run(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<u8> {
    let address = match remote::address(&args.to) {
        Ok(address) => address,
        Err(message) => return refuse_usage(&message, err),
    };
    let inputs = match inputs(&args.inputs) {
        Ok(inputs) => inputs,
        Err(message) => return refuse_usage(&message, err),
    };
    let key = std::env::var(KEY).ok().filter(|key| !key.is_empty());
    if key.is_some() && remote::is_open(&address) {
        writeln!(err, "warning: the key goes to `{address}` unencrypted")?;
    }
    let client = match Client::new(&address, key.as_deref(), REQUEST) {
        Ok(client) => client,
        Err(message) => return refuse_usage(&message, err),
    };
    super::event_loop()?.block_on(hand_in(args, &client, &address, inputs, out, err))
}

async fn hand_in(
    args: &Args,
    client: &Client,
    address: &Url,
    inputs: Vec<Input>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let (total, mut bad) = (inputs.len(), 0);
    let one = |input: Input| async move {
        let told = carry(args, client, &input).await;
        (input, told)
    };
    let mut ends = futures::stream::iter(inputs).map(one).buffered(TOGETHER);
    while let Some((input, told)) = ends.next().await {
        let told = match told {
            Ok(told) => told,
            Err(Refusal::Document(reason)) => Told { state: "refused".into(), error: Some(reason), ..Told::default() },
            Err(Refusal::Service(reason)) => {
                writeln!(err, "error: {}: {}", printable(address.as_str()), printable(&reason))?;
                return Ok(ENVIRONMENT);
            }
        };
        bad += usize::from(matches!(told.state.as_str(), "refused" | "failed" | "cancelled"));
        let (shown, reason) = (input.shown(), told.error.as_deref().unwrap_or_default());
        match args.format {
            Format::Json => {
                let line = json!({ "input": shown, "id": told.id, "state": told.state, "error": told.error });
                writeln!(out, "{line}")?;
            }
            Format::Text if reason.is_empty() => writeln!(out, "{}  {}  {}", told.state, told.id, printable(&shown))?,
            Format::Text => writeln!(out, "{}  {}: {}", told.state, printable(&shown), printable(reason))?,
        }
    }
    writeln!(err, "{total} handed in, {bad} of them refused or failed")?;
    Ok(u8::from(bad > 0))
}

/// Hands one document in, and waits for its end where that is wanted.
async fn carry(args: &Args, client: &Client, input: &Input) -> Result<Told, Refusal> {
    let mut until = Instant::now() + args.patience;
    let mut told = loop {
        match send(args, client, input).await {
            Ok(told) => break told,
            Err(Failure::Refused { status: 429 | 503, detail, after }) => {
                if Instant::now() >= until {
                    return Err(Refusal::Document(detail));
                }
                tokio::time::sleep_until(until.min(Instant::now() + after.unwrap_or(PAUSE))).await;
            }
            Err(Failure::Refused { status: 401 | 403, detail, .. }) => return Err(Refusal::Service(detail)),
            Err(Failure::Refused { detail, .. }) => return Err(Refusal::Document(detail)),
            Err(Failure::Silent(reason)) if Instant::now() >= until => return Err(Refusal::Service(reason)),
            Err(Failure::Silent(_)) => tokio::time::sleep(PAUSE).await,
        }
    };
    while args.wait && matches!(told.state.as_str(), "queued" | "running") {
        let asked = client.ask_with(reqwest::Method::GET, &["v1", "documents", &told.id], &[("wait", ASK)]).await;
        match asked {
            Ok(body) => {
                told = read(&body)?;
                // It is there: how long a document takes is not what patience is about.
                until = Instant::now() + args.patience;
            }
            Err(Failure::Refused { detail, .. }) => return Err(Refusal::Document(detail)),
            Err(Failure::Silent(reason)) if Instant::now() >= until => return Err(Refusal::Service(reason)),
            Err(Failure::Silent(_)) => tokio::time::sleep(PAUSE).await,
        }
    }
    Ok(told)
}

fn read(body: &[u8]) -> Result<Told, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::Service("what answers there is no docmill".into()))
}

async fn send(args: &Args, client: &Client, input: &Input) -> Result<Told, Failure> {
    let path = ["v1", "documents"];
    let body = match input {
        Input::Address(address) => {
            let mut body = json!({ "url": address });
            for (name, value) in [("session_id", &args.session), ("user_id", &args.user)] {
                if let Some(value) = value {
                    body[name] = Value::String(value.clone());
                }
            }
            client.ask(reqwest::Method::POST, &path, Some(body)).await?
        }
        Input::File(file, name) => {
            let mut texts = vec![("filename", name.as_str())];
            texts.extend(args.session.as_deref().map(|session| ("session_id", session)));
            texts.extend(args.user.as_deref().map(|user| ("user_id", user)));
            client.upload(&path, &texts, file).await?
        }
    };
    serde_json::from_slice(&body).map_err(|_| Failure::Silent("what answers there is no docmill".into()))
}

/// The documents that the command line names, in its order; of a directory all files below it, by name.
fn inputs(named: &[String]) -> Result<Vec<Input>, String> {
    let mut inputs = Vec::new();
    for name in named {
        let is_address = Url::parse(name).is_ok_and(|url| url.scheme().len() > 1 && name.contains("://"));
        if is_address {
            inputs.push(Input::Address(name.clone()));
            continue;
        }
        let path = Path::new(name);
        let of = |error: std::io::Error| format!("`{name}`: {error}");
        if path.metadata().map_err(of)?.is_dir() {
            below(path, "", &mut inputs).map_err(of)?;
        } else {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            inputs.push(Input::File(path.to_owned(), name));
        }
    }
    if inputs.is_empty() { Err("there is no file below what is named".into()) } else { Ok(inputs) }
}

/// Files that are hidden are left, as a run leaves them; links are not followed, since they may lead round.
fn below(directory: &Path, prefix: &str, inputs: &mut Vec<Input>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        if kind.is_dir() {
            below(&entry.path(), &format!("{name}/"), inputs)?;
        } else if kind.is_file() {
            inputs.push(Input::File(entry.path(), name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stands_for_its_files_and_an_address_for_itself() {
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path();
        std::fs::create_dir_all(root.join("b/.git")).expect("made");
        for file in ["a.txt", "b/c.txt", "b/.hidden", "b/.git/d"] {
            std::fs::write(root.join(file), "x").expect("written");
        }
        std::os::unix::fs::symlink(root, root.join("round")).expect("linked");
        let named =
            [root.display().to_string(), "https://example.org/e".into(), root.join("a.txt").display().to_string()];
        let found = inputs(&named).expect("they are there");
        let file = |path: &str, name: &str| Input::File(root.join(path), name.into());
        let address = Input::Address("https://example.org/e".into());
        assert_eq!(found, [file("a.txt", "a.txt"), file("b/c.txt", "b/c.txt"), address, file("a.txt", "a.txt")]);
        assert!(inputs(&[root.join("none").display().to_string()]).expect_err("it is not there").contains("none"));
    }
}
