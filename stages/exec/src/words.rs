//! What a program prints to standard error: each line goes to the log, and the last ones are kept for an error message.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinHandle;

/// How many lines are kept: the end of a stack trace.
const LINES: usize = 4;

/// The bytes of a line that are kept; a line without an end must not fill the memory.
const LINE: usize = 400;

/// How long the rest of what a dead child printed is waited for: a grandchild may hold the pipe open.
const LAST_PRINT: Duration = Duration::from_millis(200);

/// The reader of one child's standard error.
#[derive(Debug)]
pub(crate) struct Words {
    lines: Arc<Mutex<VecDeque<String>>>,
    reader: JoinHandle<()>,
}

impl Words {
    /// Reads until the end of `pipe`, so that a full pipe never stops the program.
    pub(crate) fn listen(pipe: impl AsyncRead + Unpin + Send + 'static, stage: Arc<str>) -> Self {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let reader = tokio::spawn(read(pipe, stage, Arc::clone(&lines)));
        Self { lines, reader }
    }

    /// Forgets what was said: of one document it explains nothing of the next.
    pub(crate) fn forget(&self) {
        lock(&self.lines).clear();
    }

    /// The very last line.
    pub(crate) fn last(&self) -> Option<String> {
        lock(&self.lines).back().cloned()
    }

    /// The last few lines, as one.
    pub(crate) fn last_few(&self) -> Option<String> {
        let lines = lock(&self.lines);
        (!lines.is_empty()).then(|| lines.iter().map(String::as_str).collect::<Vec<_>>().join(" | "))
    }

    /// Waits, for a moment, for the end of what a dead child printed.
    pub(crate) async fn end(&mut self) {
        if !self.reader.is_finished() {
            let _ = tokio::time::timeout(LAST_PRINT, &mut self.reader).await;
        }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn lock(lines: &Mutex<VecDeque<String>>) -> MutexGuard<'_, VecDeque<String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(mut pipe: impl AsyncRead + Unpin, stage: Arc<str>, lines: Arc<Mutex<VecDeque<String>>>) {
    let mut buffer = [0_u8; 4096];
    let mut line: Vec<u8> = Vec::new();
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        for byte in &buffer[..count] {
            if *byte == b'\n' {
                keep(&mut line, &stage, &lines);
            } else if line.len() < LINE {
                line.push(*byte);
            }
        }
    }
    keep(&mut line, &stage, &lines);
}

fn keep(line: &mut Vec<u8>, stage: &str, lines: &Mutex<VecDeque<String>>) {
    // Colours and carriage returns would play with the terminal that an error is shown on.
    let text: String =
        String::from_utf8_lossy(line).chars().map(|symbol| if symbol.is_control() { ' ' } else { symbol }).collect();
    line.clear();
    let text = text.trim_end();
    if text.trim().is_empty() {
        return;
    }
    tracing::debug!(stage, line = text, "the program printed a line");
    let mut lines = lock(lines);
    lines.push_back(text.to_owned());
    if lines.len() > LINES {
        lines.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_cut_and_without_control_characters() {
        let long = "x".repeat(10_000);
        let text = format!("one\ntwo\n\nthree\r\n\u{1b}[31mfour\n{long}\nno end");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut words = Words::listen(std::io::Cursor::new(text.into_bytes()), "stage".into());
            words.end().await;
            assert_eq!(words.last().as_deref(), Some("no end"));
            let few = words.last_few().unwrap();
            assert_eq!(few, format!("three |  [31mfour | {} | no end", "x".repeat(LINE)));
            words.forget();
            assert_eq!((words.last(), words.last_few()), (None, None));
        });
    }
}
