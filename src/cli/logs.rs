//! Where log lines go: to standard error; while a dashboard has the terminal they are kept, the last of them, and written
//! when it is given back. That one terminal belongs to the whole process is why this is a static.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much is kept: some hundred lines.
const KEPT: usize = 64 << 10;

static HELD: Mutex<Option<VecDeque<u8>>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<VecDeque<u8>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps lines from here on.
pub(super) fn hold() {
    held().get_or_insert_default();
}

/// Writes what was kept, and all that follows, to standard error.
pub(super) fn release() {
    if let Some(kept) = held().take() {
        // Where standard error is gone there is nobody to tell.
        let _ = io::stderr().write_all(&Vec::from(kept));
    }
}

/// Writes one line.
pub(super) struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = held();
        let Some(kept) = held.as_mut() else { return io::stderr().write(bytes) };
        kept.extend(bytes);
        // The first line that is kept may be half of one.
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
