//! The socket of a state directory: by it other commands reach the run that holds the directory. A line of JSON each way:
//! a [`Command`], and whether it was taken; or `{"command":"watch"}`, and then a snapshot a line, for as long as both sides
//! are there.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::WriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use crate::control::Command;
use crate::monitor::Snapshot;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that a command may say: some hundred thousand documents by their addresses.
const LONGEST: u64 = 64 << 20;

fn place(state: &Path) -> PathBuf {
    state.join("control.sock")
}

/// How many may be listened to at once: some dashboards, and a command now and then. Who is beyond it waits.
const TOGETHER: usize = 16;

/// What is said to a run by its socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Request {
    Watch { command: Watch },
    Command(Command),
}

#[derive(Debug, Serialize, Deserialize)]
enum Watch {
    #[serde(rename = "watch")]
    Watch,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Taken,
    Refused(String),
}

/// Where a run listens. Only who may write the state directory gets there.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    connected: AtomicUsize,
}

impl Socket {
    /// Listens, in a state directory that this process holds: whoever listened there before is gone.
    ///
    /// # Errors
    /// The directory's path is too long for a socket, or it cannot be written.
    pub(super) fn bind(state: &Path) -> io::Result<Self> {
        let path = place(state);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path, connected: AtomicUsize::new(0) })
    }

    /// Whether somebody is connected: who watches is still to be shown how the run ended.
    pub(super) fn is_busy(&self) -> bool {
        self.connected.load(Relaxed) > 0
    }

    /// Hands commands on and shows the run to who watches, for as long as it is polled.
    pub(super) async fn serve(&self, commands: &mpsc::Sender<Command>, published: &watch::Receiver<Arc<Snapshot>>) {
        let mut connections = FuturesUnordered::new();
        let mut not_before = tokio::time::Instant::now();
        loop {
            let accept = async {
                tokio::time::sleep_until(not_before).await;
                self.listener.accept().await
            };
            tokio::select! {
                accepted = accept, if connections.len() < TOGETHER => match accepted {
                    Ok((stream, _)) => connections.push(attend(stream, commands, published.clone())),
                    Err(error) => {
                        tracing::warn!(%error, "the control socket cannot be listened to");
                        // Those who are connected are served meanwhile.
                        not_before = tokio::time::Instant::now() + PATIENCE;
                    }
                },
                // Who says nothing in time, or goes, is no concern of the run's.
                Some(_) = connections.next(), if !connections.is_empty() => {}
            }
            self.connected.store(connections.len(), Relaxed);
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

async fn attend(
    mut stream: UnixStream,
    commands: &mpsc::Sender<Command>,
    published: watch::Receiver<Arc<Snapshot>>,
) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let request = async { tokio::io::BufReader::new(read.take(LONGEST)).read_line(&mut line).await };
    tokio::time::timeout(PATIENCE, request).await??;
    let answer = match serde_json::from_str::<Request>(&line) {
        Ok(Request::Watch { .. }) => return show(&mut write, published).await,
        Err(error) => Answer::Refused(format!("no command of this docmill: {error}")),
        Ok(Request::Command(command)) => match tokio::time::timeout(PATIENCE, commands.send(command)).await? {
            Ok(()) => Answer::Taken,
            Err(_) => Answer::Refused("the run has just ended".into()),
        },
    };
    send(&mut write, &answer).await
}

async fn send(to: &mut WriteHalf<'_>, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    tokio::time::timeout(PATIENCE, to.write_all(&line)).await?
}

/// Sends every snapshot that is published while the other side takes them in time.
async fn show(to: &mut WriteHalf<'_>, mut published: watch::Receiver<Arc<Snapshot>>) -> io::Result<()> {
    loop {
        let snapshot = Arc::clone(&published.borrow_and_update());
        send(to, &*snapshot).await?;
        if published.changed().await.is_err() {
            return Ok(());
        }
    }
}

/// A run of another process, as it is shown.
pub(super) struct Watched(BufReader<BlockingStream>);

impl Watched {
    /// Begins to watch the run that holds a state directory.
    ///
    /// # Errors
    /// Nobody runs there.
    pub(super) fn begin(state: &Path) -> io::Result<Self> {
        let mut stream = BlockingStream::connect(place(state))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(&Request::Watch { command: Watch::Watch })?;
        line.push(b'\n');
        stream.write_all(&line)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The next snapshot, a quarter of a second after the one before it; `None` once the run has ended.
    ///
    /// # Errors
    /// The run says nothing for ten seconds, or what it says is of another docmill.
    pub(super) fn next(&mut self) -> io::Result<Option<Snapshot>> {
        let mut line = String::new();
        if (&mut self.0).take(LONGEST).read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }
}

/// Tells the run that holds a state directory.
///
/// # Errors
/// Nobody listens there, or the run takes no such command.
pub(super) fn tell(state: &Path, command: &Command) -> io::Result<()> {
    let mut stream = BlockingStream::connect(place(state))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(command)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    match serde_json::from_str(&line)? {
        Answer::Taken => Ok(()),
        Answer::Refused(reason) => Err(io::Error::other(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_watches_sees_snapshots_and_commands_come_beside() {
        let state = tempfile::tempdir().expect("a directory");
        let socket = Socket::bind(state.path()).expect("it listens");
        let (commands, mut commanded) = mpsc::channel(4);
        let (publish, published) = watch::channel(Arc::new(Snapshot { run: "one".into(), ..Snapshot::default() }));
        let serving = tokio::spawn(async move { socket.serve(&commands, &published).await });
        let place = state.path().to_owned();
        let (seen, told) = tokio::task::spawn_blocking(move || {
            let mut watched = Watched::begin(&place).expect("somebody is there");
            let first = watched.next().expect("read").expect("a snapshot");
            publish.send_replace(Arc::new(Snapshot { run: "two".into(), ..Snapshot::default() }));
            let told = tell(&place, &Command::Pause);
            let second = watched.next().expect("read").expect("a snapshot");
            drop(publish);
            assert!(watched.next().expect("read").is_none(), "the run has ended");
            ([first.run, second.run], told)
        })
        .await
        .expect("it does not panic");
        assert_eq!(seen, ["one", "two"]);
        assert!(told.is_ok(), "{told:?}");
        assert_eq!(commanded.recv().await, Some(Command::Pause));
        serving.abort();
    }
}
