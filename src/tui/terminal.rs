//! The terminal: taken when the dashboard comes, given back on every way out, whoever is the first to notice.
//!
//! That it is taken is a fact of the process, not of a run, and those who give it back (a panic in any thread, a signal)
//! have nothing in their hands: so it is kept in a static. The screen is drawn to standard error, since standard output is
//! for data; keys come from `/dev/tty`, so that standard input may be a pipe.

use std::io::{self, BufWriter, Stderr, Write, stderr};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue, style};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;

use super::model::Model;
use super::theme::Theme;

/// How long it takes at most until every thread has stopped.
const STOPPED: Duration = Duration::from_millis(50);

/// What the dashboard's thread is to be called.
pub const THREAD: &str = "dashboard";

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the terminal is not to be taken any more: who wanted a dashboard has gone on without it.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Held while a frame goes out: what gives the terminal back waits for its end, or the rest of it would go to the user's
/// own screen.
static FRAME: Mutex<()> = Mutex::new(());

/// Gives the terminal back, if it is taken: cooked mode, the screen and the cursor that there were, no reports of focus,
/// mouse or paste. May be called at any time, from any thread, any number of times; for handlers of signals that run as
/// ordinary code.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // But not for ever: a frame may hang in a terminal that takes nothing, or be what has panicked.
    let mut waited = 0;
    let _frame = loop {
        match FRAME.try_lock() {
            Err(TryLockError::WouldBlock) if waited < 20 => waited += 1,
            locked => break locked,
        }
        thread::sleep(Duration::from_millis(5));
    };
    // There is nobody to tell of a terminal that is gone.
    let _ = disable_raw_mode();
    let _ = execute!(
        stderr(),
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        style::ResetColor,
        LeaveAlternateScreen,
        Show
    );
}

/// Gives the terminal back and has no dashboard take it again, also one that is just about to, until [`open`] is called.
pub fn close() {
    CLOSED.store(true, Ordering::SeqCst);
    restore();
}

/// Lets a dashboard take the terminal again.
pub fn open() {
    CLOSED.store(false, Ordering::SeqCst);
}

fn given_back() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the terminal was given back")
}

fn take(mouse: bool) -> io::Result<()> {
    // Whoever gives it back waits for this, or looks before it: then it is closed.
    let _frame = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
    TAKEN.store(true, Ordering::SeqCst);
    if CLOSED.load(Ordering::SeqCst) {
        TAKEN.store(false, Ordering::SeqCst);
        return Err(given_back());
    }
    enable_raw_mode()?;
    execute!(stderr(), EnterAlternateScreen, Clear(ClearType::All), Hide, EnableFocusChange, EnableBracketedPaste)?;
    if mouse {
        execute!(stderr(), EnableMouseCapture)?;
    }
    Ok(())
}

type Drawn = Terminal<CrosstermBackend<BufWriter<Stderr>>>;

/// A terminal on which nothing is drawn yet. Made anew rather than cleared: to clear, the library asks the terminal where
/// its cursor is, and waits two seconds for those that do not answer.
fn blank() -> io::Result<Drawn> {
    // A frame goes out in one write.
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 15, stderr())))
}

/// A panic that ends the dashboard or the program gives the terminal back before it is told of: told into a raw terminal it
/// could not be read. One of a worker is caught, fails a document and is told of there: it must not end the dashboard, nor
/// write over it.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ends = matches!(thread::current().name(), Some("main" | THREAD));
            if !ends && TAKEN.load(Ordering::SeqCst) {
                tracing::error!(panic = %info, "a worker panicked");
                return;
            }
            restore();
            before(info);
        }));
    });
}

/// The terminal, as long as it is ours.
pub(super) struct Screen(Drawn);

impl Screen {
    pub(super) fn take() -> io::Result<Self> {
        restore_on_panic();
        // With `NO_COLOR` crossterm writes a bare reset for every colour, which wipes bold and reversed; the theme without
        // colours sets none, so nothing is coloured by this.
        style::force_color_output(true);
        let screen = take(false).and_then(|()| blank()).map(Self);
        if screen.is_err() {
            restore();
        }
        screen
    }

    pub(super) fn size(&self) -> io::Result<Size> {
        self.0.size()
    }

    /// Draws a frame. The terminal shows it as one, if it can.
    pub(super) fn draw(&mut self, model: &Model, theme: &Theme) -> io::Result<()> {
        let _frame = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever has given the terminal back meanwhile has ended this: nothing more may reach the user's own screen.
        if !TAKEN.load(Ordering::SeqCst) {
            return Err(given_back());
        }
        queue!(self.0.backend_mut(), BeginSynchronizedUpdate)?;
        self.0.draw(|frame| {
            let area = frame.area();
            super::draw(model, theme, area, frame.buffer_mut());
        })?;
        queue!(self.0.backend_mut(), EndSynchronizedUpdate)?;
        Write::flush(self.0.backend_mut())
    }

    /// Takes the mouse or leaves it to the terminal.
    pub(super) fn mouse(&mut self, on: bool) -> io::Result<()> {
        let _frame = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
        if !TAKEN.load(Ordering::SeqCst) {
            return Err(given_back());
        }
        if on { execute!(stderr(), EnableMouseCapture) } else { execute!(stderr(), DisableMouseCapture) }
    }

    /// Puts a text on the clipboard of the terminal's side, wherever that is.
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        let _frame = FRAME.lock().unwrap_or_else(PoisonError::into_inner);
        if !TAKEN.load(Ordering::SeqCst) {
            return Err(given_back());
        }
        let mut to = stderr();
        write!(to, "\x1b]52;c;{}\x1b\\", base64(text.as_bytes()))?;
        to.flush()
    }

    /// Stops this process until the shell brings it back, and takes the terminal again then.
    pub(super) fn suspend(&mut self, mouse: bool) -> io::Result<()> {
        restore();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP)?;
        // The signal may be handed to another thread, and this one stops a moment later: not after taking the terminal.
        thread::sleep(STOPPED);
        take(mouse)?;
        self.0 = blank()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// As clipboards are written to terminals.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for digit in 0..4_usize {
            let value = (bits >> (18 - 6 * digit)) & 63;
            let letter =
                usize::try_from(value).ok().and_then(|value| DIGITS.get(value)).map_or('=', |d| char::from(*d));
            text.push(if digit > chunk.len() { '=' } else { letter });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipboards_are_written_as_base64() {
        assert_eq!(
            (base64(b"docmill"), base64(b"ab"), base64(b"")),
            ("ZG9jbWlsbA==".into(), "YWI=".into(), String::new())
        );
    }

    #[test]
    fn giving_back_what_was_not_taken_does_nothing() {
        restore();
        restore();
        assert!(!TAKEN.load(Ordering::SeqCst));
    }
}
