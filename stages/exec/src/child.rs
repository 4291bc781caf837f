//! One child: its start, one conversation after another, its end.
//!
//! A child is either in step, waiting for its next input, or it is dropped, which kills it with its process group: a
//! call that is given up in the middle leaves no child that would answer the next one with the last one's words.

use std::pin::pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docmill_api::frames::{self, Message, PROTOCOL};
use docmill_api::{ErrorClass, Record, StageError};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{ChildStdin, ChildStdout};

use crate::answer::{Answer, Said};
use crate::obituary;
use crate::program::Program;
use crate::wire::{Frames, MAX_HEADER, Unread};
use crate::words::Words;

/// How long a child whose output has closed is given to end by itself, so that its own status is known.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// How long idle children are given to end once their input is closed, before they are killed.
const GRACE: Duration = Duration::from_secs(1);

/// How often one looks whether they have.
const LOOK: Duration = Duration::from_millis(5);

const PRINTS: &str = "wrote something that is no frame to its standard output; print to standard error instead";

/// A child that is ready and waits for an input.
#[derive(Debug)]
pub(crate) struct Child {
    name: Arc<str>,
    process: tokio::process::Child,
    /// Its process group, until that is killed.
    group: Option<Pid>,
    input: Option<ChildStdin>,
    output: Frames<ChildStdout>,
    words: Words,
}

/// Why a child did not start.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// It never will.
    Never(StageError),
    /// The machine is short of something: that is no fault of the program.
    Busy(StageError),
    /// It ended, or did not answer in time: so it may again.
    Died(StageError),
}

/// Why a conversation did not end well.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The program says so, and waits for the next input.
    Failed(StageError),
    /// The child is gone or out of step: it is to be dropped.
    Lost(StageError),
}

impl Child {
    /// Starts a child and waits until it says that it is ready.
    pub(crate) async fn start(program: &Program) -> Result<Self, NotStarted> {
        let mut child = Self::spawn(program)?;
        let greeted = tokio::time::timeout(program.start_timeout, child.greet(&program.hello())).await;
        if let Ok(greeted) = greeted {
            return greeted.map(|()| child);
        }
        let begun = if child.output.has_begun() { "; what it wrote is no whole frame" } else { "" };
        let limit = docmill_api::units::Span(program.start_timeout);
        let message = format!("`{}` did not say that it is ready within {limit}{begun}", program.name);
        Err(NotStarted::Died(StageError::transient(with(message, child.words.last_few()))))
    }

    fn spawn(program: &Program) -> Result<Self, NotStarted> {
        let name = Arc::clone(&program.name);
        let mut process = program.command().spawn().map_err(|error| {
            let message = format!("cannot start `{name}`: {error}");
            match error.kind() {
                std::io::ErrorKind::NotFound => {
                    let message = format!("{message}; it, or the interpreter that its first line names, is gone");
                    NotStarted::Never(StageError::fatal(message))
                }
                std::io::ErrorKind::PermissionDenied => NotStarted::Never(StageError::fatal(message)),
                // No format that the system executes.
                _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
                    let message = format!("{message}; does its first line name an interpreter?");
                    NotStarted::Never(StageError::fatal(message))
                }
                _ => NotStarted::Busy(StageError::transient(message)),
            }
        })?;
        let group = process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(NotStarted::Busy(StageError::transient(format!("`{name}` was started without its pipes"))));
        };
        let words = Words::listen(errors, Arc::clone(&program.stage));
        Ok(Self { name, process, group, input: Some(input), output: Frames::new(output), words })
    }

    async fn greet(&mut self, hello: &Message) -> Result<(), NotStarted> {
        if let Some(input) = &mut self.input {
            // Whether it was read shows in the answer.
            let _ = frames::write_async(input, hello, &[]).await;
        }
        let never = |message: String| NotStarted::Never(StageError::fatal(message));
        let name = Arc::clone(&self.name);
        let frame = match self.output.next(MAX_HEADER as u64).await {
            Ok(frame) => frame,
            Err(Unread::Closed) => {
                let status = self.status().await;
                let message = format!("`{name}` {} before it was ready", obituary::manner(status));
                return Err(NotStarted::Died(StageError::transient(with(message, self.words.last_few()))));
            }
            Err(Unread::Garbage) => return Err(never(format!("`{name}` {PRINTS}"))),
            Err(Unread::TooLarge) => return Err(never(format!("`{name}` said hello with a frame without end"))),
        };
        match serde_json::from_slice(&frame.header) {
            Ok(Message::Ready { protocol: PROTOCOL, .. }) => Ok(()),
            Ok(Message::Ready { protocol, .. }) => {
                Err(never(format!("`{name}` speaks protocol {protocol}, docmill speaks {PROTOCOL}")))
            }
            Ok(Message::Failed { error }) => {
                let error = error.context(format!("`{name}` is not ready"));
                // No document is at stake yet: what is not for a moment is for good.
                if error.class == ErrorClass::Transient {
                    Err(NotStarted::Died(error))
                } else {
                    Err(never(error.message))
                }
            }
            Ok(_) => Err(never(format!("`{name}` answered hello with another message than ready"))),
            Err(error) => Err(never(format!("`{name}` answered hello with a header that cannot be read: {error}"))),
        }
    }

    /// Whether it waits for an input: one that ended by itself meanwhile is no document's fault.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Has it work on one input; the records gather in the answer.
    pub(crate) async fn work(&mut self, record: &Record, answer: Answer) -> Result<(Answer, Option<String>), Trouble> {
        self.words.forget();
        let (message, body) = frames::input(record, 0);
        let Self { input: Some(input), output, .. } = self else {
            return Err(Trouble::Lost(StageError::transient(format!("`{}` is being ended", self.name))));
        };
        let received = exchange(input, output, &message, body.as_ref(), answer).await;
        match received {
            Ok(ended) => Ok(ended),
            Err(Stopped::Failed(error)) => Err(Trouble::Failed(error)),
            Err(Stopped::Broken(error)) => Err(Trouble::Lost(error.context(format!("`{}`", self.name)))),
            Err(Stopped::Closed) => {
                let status = self.status().await;
                Err(Trouble::Lost(obituary::of(&self.name, status, self.words.last().as_deref())))
            }
        }
    }

    /// How it ended, where it did, and all that it said.
    async fn status(&mut self) -> Option<ExitStatus> {
        let status = tokio::time::timeout(LAST_MOMENT, self.process.wait()).await;
        // Whatever it started holds the pipes open, and is not wanted any more.
        self.kill_group();
        self.words.end().await;
        status.ok().and_then(Result::ok)
    }

    /// Kills its process group. Called while the leader is not reaped, or at once after: the number is nobody else's.
    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            // Where all of it is gone already there is nothing to kill.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Ends idle children: their input closes, and whoever is still there after a moment is killed. Blocks for that moment.
pub(crate) fn end(mut children: Vec<Child>) {
    for child in &mut children {
        child.input = None;
    }
    let until = Instant::now() + GRACE;
    loop {
        // One that has ended is dropped at once, so that what it left behind is killed while its group is its own.
        children.retain_mut(Child::is_alive);
        if children.is_empty() || Instant::now() >= until {
            return;
        }
        std::thread::sleep(LOOK);
    }
}

fn with(message: String, said: Option<String>) -> String {
    match said {
        Some(said) => format!("{message}: {said}"),
        None => message,
    }
}

enum Stopped {
    Failed(StageError),
    Broken(StageError),
    Closed,
}

/// Sends an input and receives what comes of it, both at once: a program may answer while it still reads, and both pipes
/// would be full.
async fn exchange(
    to: &mut ChildStdin,
    from: &mut Frames<ChildStdout>,
    message: &Message,
    body: &[u8],
    answer: Answer,
) -> Result<(Answer, Option<String>), Stopped> {
    let mut sending = pin!(frames::write_async(to, message, body));
    let mut receiving = pin!(receive(from, answer));
    tokio::select! {
        // Whether it was read shows in the answer.
        _ = &mut sending => receiving.await,
        received = &mut receiving => {
            if matches!(received, Ok(_) | Err(Stopped::Failed(_))) {
                // The rest of an input that was answered early still has to be read.
                let _ = sending.await;
            }
            received
        }
    }
}

async fn receive(from: &mut Frames<ChildStdout>, mut answer: Answer) -> Result<(Answer, Option<String>), Stopped> {
    loop {
        let frame = match from.next(answer.room()).await {
            Ok(frame) => frame,
            Err(Unread::Closed) => return Err(Stopped::Closed),
            Err(Unread::Garbage) => return Err(Stopped::Broken(StageError::rejected(PRINTS))),
            Err(Unread::TooLarge) => return Err(Stopped::Broken(answer.too_large())),
        };
        let (taken, said) = answer.take(frame).await.map_err(Stopped::Broken)?;
        answer = taken;
        match said {
            Said::More => {}
            Said::End { skip } => return Ok((answer, skip)),
            Said::Failed(error) => return Err(Stopped::Failed(error)),
        }
    }
}
