//! The `stdin` source: takes documents from another program, a line each, while it writes them.
//!
//! A read of standard input can only be waited for, so it happens in a thread of its own, which is never joined: when the
//! run ends before the writer does, the thread ends with the process. Between the two is a channel of [`LINES`] lines,
//! so that a writer that is faster than the pipeline waits.

mod line;
#[cfg(test)]
mod tests;

use std::io::{BufReader, IsTerminal, Read};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use docmill_api::{
    BuildContext, Context, Node, PayloadKind, Source, SourceItem, StageError, StageFactory, StageSpec, Tier,
};
use serde::Deserialize;
use tokio::sync::mpsc;
use tracing::warn;

use self::line::Lines;
use crate::items;

/// Lines that were read and not yet asked for: with the longest lines 16 MiB.
const LINES: usize = 16;

/// The `stdin` table of `pipeline.toml`. There is nothing to set: what there is to say, each line says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdinConfig {}

/// Makes the `stdin` source.
#[derive(Debug)]
pub struct StdinFactory;

#[async_trait]
impl StageFactory for StdinFactory {
    type Config = StdinConfig;
    const KIND: &'static str = "stdin";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec {
            summary: "Lists what is written to standard input: an address, a path or a JSON object a line.",
            takes: &[],
            gives: &[PayloadKind::Reference],
            tier: Tier::Io,
            fields: Vec::new(),
            batch: None,
            width: Some(1),
            timeout: Duration::from_secs(60),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "A line that begins with `{` is `{\"uri\": …}`, with `filename`, `media_type`, `size`, `metadata`, \
                         `session_id`, `user_id`, `gone` and `stamp` if need be; any other is an address or a path, relative to \
                         the current directory. A line that is neither, or longer than 1 MiB, is listed to fail with its \
                         number and its reason; those after it are read. Reads no further than the pipeline takes.",
            example: r#"[stages.source]
kind = "stdin""#,
        }
    }

    async fn build(_config: StdinConfig, cx: &BuildContext) -> Result<Node, StageError> {
        if cx.inputs.iter().any(|input| input != "-") {
            return Err(StageError::fatal(
                "a source of kind `stdin` takes its documents from standard input and none from the command line",
            ));
        }
        Ok(Node::Source(Box::new(Stdin::new(std::io::stdin(), items::here()?))))
    }
}

/// The source, over anything that can be read.
struct Stdin {
    state: State,
}

enum State {
    /// Nothing is read before it is asked for.
    Ready(Box<dyn Read + Send>, PathBuf),
    Reading(mpsc::Receiver<Result<SourceItem, StageError>>),
    Over,
}

impl Stdin {
    fn new(input: impl Read + Send + 'static, here: PathBuf) -> Self {
        Self { state: State::Ready(Box::new(input), here) }
    }
}

#[async_trait]
impl Source for Stdin {
    async fn next(&mut self, cx: &Context) -> Result<Option<SourceItem>, StageError> {
        loop {
            if cx.cancel.is_cancelled() {
                return Err(StageError::transient("the listing was cancelled"));
            }
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Ready(input, here) => State::Reading(read(input, here)?),
                other => other,
            };
            let State::Reading(lines) = &mut self.state else { return Ok(None) };
            // Dropped between two polls, the channel keeps what it has.
            let line = tokio::select! {
                biased;
                () = cx.cancel.cancelled() => continue,
                line = lines.recv() => line,
            };
            match line {
                Some(Ok(item)) => return Ok(Some(item)),
                Some(Err(error)) => {
                    self.state = State::Over;
                    return Err(error);
                }
                None => self.state = State::Over,
            }
        }
    }

    fn waits(&self) -> bool {
        true
    }
}

/// Begins to read, in a thread that ends with its input or with its reader.
fn read(
    input: Box<dyn Read + Send>,
    here: PathBuf,
) -> Result<mpsc::Receiver<Result<SourceItem, StageError>>, StageError> {
    if std::io::stdin().is_terminal() {
        warn!("documents are read from the terminal, one a line; end with Ctrl-D");
    }
    let (lines, read) = mpsc::channel(LINES);
    let reading = move || {
        for line in Lines::new(BufReader::new(input), here) {
            let is_over = line.is_err();
            if lines.blocking_send(line).is_err() || is_over {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("stdin".into())
        .spawn(reading)
        .map_err(|error| StageError::fatal(format!("no thread to read standard input: {error}")))?;
    Ok(read)
}
