//! The socket of a state directory: by it other commands reach the run that holds the directory. A line of JSON each way:
//! a [`Command`], and whether it was taken.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::control::Command;

/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that a command may say: some hundred thousand documents by their addresses.
const LONGEST: u64 = 64 << 20;

fn place(state: &Path) -> PathBuf {
    state.join("control.sock")
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
        Ok(Self { listener, path })
    }

    /// Hands commands on, one after another, for as long as it is polled.
    pub(super) async fn serve(&self, commands: &mpsc::Sender<Command>) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    // Who says nothing in time, or goes, is no concern of the run's.
                    let _ = tokio::time::timeout(PATIENCE, answer(stream, commands)).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket cannot be listened to");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

async fn answer(mut stream: UnixStream, commands: &mpsc::Sender<Command>) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    tokio::io::BufReader::new(read.take(LONGEST)).read_line(&mut line).await?;
    let answer = match serde_json::from_str::<Command>(&line) {
        Err(error) => Answer::Refused(format!("no command of this docmill: {error}")),
        Ok(command) => match commands.send(command).await {
            Ok(()) => Answer::Taken,
            Err(_) => Answer::Refused("the run has just ended".into()),
        },
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    write.write_all(&line).await
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
