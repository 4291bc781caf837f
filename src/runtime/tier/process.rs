//! The engine's side of process isolation: one child per worker, fed by frames, killed when time is up, started again
//! when it is gone.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use docmill_api::frames::{self, Message, PROTOCOL};
use docmill_api::{Record, StageError};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::monitor::{cpu_of_process, rss_of_process};

/// Which program a child is: this one, unless a test or an embedding program says otherwise.
#[derive(Clone, Debug)]
pub struct WorkerProgram {
    /// The file to execute.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables that it gets besides the few that every child gets.
    pub variables: Vec<(OsString, OsString)>,
}

impl WorkerProgram {
    /// The running program, with the hidden command by which it becomes a child.
    ///
    /// # Errors
    /// The system does not tell which file is running.
    pub fn current() -> std::io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, arguments: vec![STAGE_WORKER.into()], variables: Vec::new() })
    }
}

/// The hidden command by which the program becomes a child.
pub const STAGE_WORKER: &str = "stage-worker";

/// The variables that a child inherits: where to find libraries and temporary files. No secret is among them.
const INHERITED: [&str; 7] =
    ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "LANG", "DOCMILL_PDFIUM", "RUST_BACKTRACE"];

/// How many documents a child works on before another takes its place. A new one costs some 20 ms: below a thousandth of
/// what this many PDFs take.
const MOST_DOCUMENTS: u32 = 1_000;

/// After how many documents a child's memory is looked at. It has a limit besides; this is for what adds up.
const MEASURED_EVERY: u32 = 16;

/// How long a child may take to start and build its stage.
const START: Duration = Duration::from_secs(20);

/// How long a child may take to end once it is told to, or has closed its socket.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// How long the rest of what a dead child printed is waited for.
const LAST_PRINT: Duration = Duration::from_millis(200);

/// What of a child's last words is kept for the error.
const LAST_WORDS: usize = 2048;

/// What a child is to be.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) program: WorkerProgram,
    pub(crate) kind: String,
    pub(crate) config: Value,
    pub(crate) memory: Option<u64>,
}

/// A child that is built and waits for an input.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    socket: UnixStream,
    words: Arc<Mutex<Vec<u8>>>,
    pipes: Vec<JoinHandle<()>>,
    /// How many documents it has worked on.
    served: u32,
    /// CPU time of it that was told.
    cpu_told: Duration,
    /// What it may use of memory.
    memory: Option<u64>,
}

/// What a child says about an input.
#[derive(Debug)]
pub(crate) enum Said {
    Output(Record),
    End {
        skip: Option<String>,
    },
    Failed(StageError),
    /// What it sent is none of these: what follows belongs to nobody, so it is not to be asked again.
    Broken(StageError),
}

/// A child that ended by itself, and why.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) out_of_memory: bool,
    pub(crate) message: String,
}

impl Worker {
    /// Starts a child and waits until its stage is built.
    pub(crate) async fn start(role: &Role) -> Result<Self, StageError> {
        // Transient: a machine that is short of processes or time for a moment ends no run. What is wrong for good is
        // told by the child itself.
        let cannot = |error: &dyn std::fmt::Display| {
            StageError::transient(format!("cannot start `{}`: {error}", role.program.program.display()))
        };
        let (ours, theirs) = StdUnixStream::pair().map_err(|error| cannot(&error))?;
        ours.set_nonblocking(true).map_err(|error| cannot(&error))?;
        let mut command = Command::new(&role.program.program);
        command
            .args(&role.program.arguments)
            .env_clear()
            .envs(INHERITED.iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))))
            .envs(role.program.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C on a terminal is for the engine, which drains; a child finishes its document.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| cannot(&error))?;
        // The command holds the child's end of the socket: while it lives, a dead child would not close it.
        drop(command);
        let words = Arc::new(Mutex::new(Vec::new()));
        let pipes = [keep_last_words(child.stdout.take(), &words), keep_last_words(child.stderr.take(), &words)];
        let pipes = pipes.into_iter().flatten().collect();
        let socket = UnixStream::from_std(ours).map_err(|error| cannot(&error))?;
        let mut worker = Self { child, socket, words, pipes, served: 0, cpu_told: Duration::ZERO, memory: role.memory };
        let built = tokio::time::timeout(START, worker.greet(role)).await;
        match built {
            Ok(Ok(())) => Ok(worker),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(cannot(&"it did not answer in time")),
        }
    }

    async fn greet(&mut self, role: &Role) -> Result<(), StageError> {
        let hello = Message::Hello {
            protocol: PROTOCOL,
            kind: role.kind.clone(),
            config: role.config.clone(),
            memory: role.memory,
        };
        let sent = frames::write_async(&mut self.socket, &hello, &[]).await;
        let answer = match sent {
            Ok(()) => frames::read_async(&mut self.socket).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(Some((Message::Ready { protocol: PROTOCOL, .. }, _))) => Ok(()),
            Ok(Some((Message::Failed { error }, _))) => Err(error),
            _ => {
                let gone = self.gone().await;
                Err(StageError::transient(format!("a stage worker did not start: {}", gone.message)))
            }
        }
    }

    /// Itself, if it still lives: a child that ended while it waited for work is no document's fault.
    pub(crate) fn if_alive(mut self) -> Option<Self> {
        matches!(self.child.try_wait(), Ok(None)).then_some(self)
    }

    /// Itself, to work on another document; `None` for one that is to be replaced by a new one, because it has worked on
    /// many or holds much: what readers leave behind does not add up.
    pub(crate) fn after_document(mut self) -> Option<Self> {
        self.served += 1;
        let is_old = self.served >= MOST_DOCUMENTS;
        let is_large = self.served.is_multiple_of(MEASURED_EVERY)
            && self.memory.zip(self.child.id()).is_some_and(|(memory, pid)| rss_of_process(pid) > memory / 2);
        (!is_old && !is_large).then_some(self)
    }

    /// CPU time that it has used since this was asked last, as the system counts it: in hundredths of a second.
    pub(crate) fn cpu_since(&mut self) -> Duration {
        let used = self.child.id().map(|pid| Duration::from_secs_f64(cpu_of_process(pid))).unwrap_or_default();
        let since = used.saturating_sub(self.cpu_told);
        self.cpu_told = self.cpu_told.max(used);
        since
    }

    /// Sends an input.
    pub(crate) async fn send(&mut self, record: &Record, timeout: Duration) -> Result<(), Gone> {
        // What it said of an earlier document explains nothing of this one.
        self.words.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let (message, body) = frames::input(record, timeout_ms);
        match frames::write_async(&mut self.socket, &message, body.as_ref()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.gone().await),
        }
    }

    /// What it says next.
    pub(crate) async fn next(&mut self) -> Result<Said, Gone> {
        match frames::read_async(&mut self.socket).await {
            Ok(Some((Message::Output { document, payload }, body))) => match frames::join(payload, body) {
                Ok(payload) => Ok(Said::Output(Record { document: Arc::new(*document), payload })),
                Err(error) => Ok(Said::Broken(StageError::rejected(format!("unreadable output: {error}")))),
            },
            Ok(Some((Message::End { skip }, _))) => Ok(Said::End { skip }),
            Ok(Some((Message::Failed { error }, _))) => Ok(Said::Failed(error)),
            Ok(Some(_)) => Ok(Said::Broken(StageError::rejected("the stage worker broke the protocol"))),
            Ok(None) | Err(_) => Err(self.gone().await),
        }
    }

    /// Ends it at once.
    pub(crate) async fn kill(mut self) {
        // It may be gone already: then there is nothing to kill. One that the system cannot end is left to it.
        let _ = tokio::time::timeout(LAST_MOMENT, self.child.kill()).await;
    }

    async fn gone(&mut self) -> Gone {
        let waited = tokio::time::timeout(LAST_MOMENT, self.child.wait()).await;
        let status = match waited {
            Ok(Ok(status)) => Some(status),
            _ => {
                let _ = self.child.start_kill();
                None
            }
        };
        for pipe in &mut self.pipes {
            // Until the end of what it printed; a grandchild that holds the pipe is not waited for.
            let _ = tokio::time::timeout(LAST_PRINT, pipe).await;
        }
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&words);
        explain(status, &said)
    }
}

fn explain(status: Option<ExitStatus>, said: &str) -> Gone {
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let starved = said.contains("memory allocation of") || said.contains("out of memory");
    let signal = status.and_then(|status| status.signal());
    if starved || signal == Some(9) {
        return Gone { out_of_memory: true, message: "out of memory: needs more than the stage's `memory`".into() };
    }
    if said.contains("overflowed its stack") {
        return Gone { out_of_memory: false, message: "crashed: nested too deeply (stack overflow)".into() };
    }
    let how = match (signal, status.and_then(|status| status.code())) {
        (Some(signal), _) => format!("crashed with signal {signal}"),
        (None, Some(code)) => format!("ended with status {code}"),
        (None, None) => "crashed".into(),
    };
    let message = if last.is_empty() { how } else { format!("{how}: {last}") };
    Gone { out_of_memory: false, message }
}

/// Reads what a child prints, so that a full pipe never stops it, and keeps the end.
fn keep_last_words(
    pipe: Option<impl AsyncRead + Unpin + Send + 'static>,
    words: &Arc<Mutex<Vec<u8>>>,
) -> Option<JoinHandle<()>> {
    let mut pipe = pipe?;
    let words = Arc::clone(words);
    Some(tokio::spawn(async move {
        let mut buffer = [0_u8; 1024];
        while let Ok(count) = pipe.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            words.extend_from_slice(&buffer[..count]);
            let surplus = words.len().saturating_sub(LAST_WORDS);
            words.drain(..surplus);
        }
    }))
}
