//! The dashboard on a real pseudo-terminal: it comes, takes keys, and gives the terminal back on every way out.
//!
//! Its process is this test binary once more, told by the environment to be a dashboard.

use std::env;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use docmill::control::Command;
use docmill::monitor::Snapshot;
use docmill::tui::{Advisor, FileChange, GlyphSet, Keys, Link, Options, THREAD, Wish, restore, run};
use docmill::tune::{Advice, Alert, Change, Prediction};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::fixture::{advice, alerts, snapshot};

const ROLE: &str = "DOCMILL_TEST_DASHBOARD";

struct Fake {
    shown: Arc<Snapshot>,
    panics: bool,
}

impl Link for Fake {
    fn latest(&mut self) -> Arc<Snapshot> {
        Arc::clone(&self.shown)
    }
    fn send(&mut self, command: Command) -> Result<(), String> {
        if let Command::SetWidth { stage, width, .. } = command {
            let mut next = Snapshot::clone(&self.shown);
            next.seconds += 1.0;
            for of in next.stages.iter_mut().filter(|of| of.id == stage) {
                (of.width, of.workers_alive) = (width, width);
            }
            self.shown = Arc::new(next);
        }
        assert!(!self.panics, "told to panic");
        Ok(())
    }
    fn propose(&mut self, _: &[(String, usize)]) -> Result<FileChange, String> {
        Err("there is no file".into())
    }
    fn write(&mut self, _: &FileChange) -> Result<(), String> {
        Err("there is no file".into())
    }
    fn retry_failed(&mut self, _: &str) -> Result<usize, String> {
        Ok(0)
    }
    fn is_live(&self) -> bool {
        true
    }
}

impl Advisor for Fake {
    fn advise(&mut self, _: &Snapshot) -> (Advice, Vec<Alert>) {
        (advice(), alerts())
    }
    fn predict(&mut self, _: &Snapshot, _: &[Change]) -> Option<Prediction> {
        None
    }
}

/// No test: the process on the pseudo-terminal.
#[test]
#[ignore = "is started by the tests beside it"]
fn dashboard() {
    let Ok(role) = env::var(ROLE) else { return };
    if role == "restored" {
        // As a handler of a signal would, from another thread.
        thread::spawn(|| {
            thread::sleep(Duration::from_millis(700));
            restore();
        });
    }
    let fake = || Fake { shown: Arc::new(snapshot()), panics: role == "panics" };
    let (mut link, mut advisor) = (fake(), fake());
    let variable = |name: &str| env::var(name).ok();
    let theme = docmill::tui::ThemeName::of(variable);
    let show = move || {
        let (options, keys) = (Options { stay: true, ..Options::default() }, Keys::default());
        run(&mut link, &mut advisor, options, keys, theme, GlyphSet::Block)
    };
    let shown = thread::Builder::new().name(THREAD.into()).spawn(show).expect("a thread").join();
    let told = match shown {
        Ok(Ok(ending)) => {
            assert_eq!(ending.wish, Wish::Plain);
            "left in order".to_owned()
        }
        Ok(Err(error)) => format!("error: {error}"),
        Err(_) => "panicked".to_owned(),
    };
    let _ = writeln!(std::io::stderr(), "{told}");
}

/// A terminal with a dashboard on it.
struct Terminal {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    seen: Arc<Mutex<(vt100::Parser, Vec<u8>)>>,
    before: String,
}

impl Terminal {
    fn new(role: &str, variables: &[(&str, &str)]) -> Self {
        Self::started(role, variables, CommandBuilder::new(env::current_exe().expect("this binary")))
    }

    fn started(role: &str, variables: &[(&str, &str)], mut command: CommandBuilder) -> Self {
        let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        command.args(["--exact", "tui::pty::dashboard", "--ignored", "--nocapture"]);
        for name in ["NO_COLOR", "COLORTERM", "COLORFGBG"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        command.env("RUST_BACKTRACE", "0");
        command.env(ROLE, role);
        for (name, value) in variables {
            command.env(name, value);
        }
        let before = format!("{:?}", pair.master.get_termios().expect("a terminal has modes"));
        let child = pair.slave.spawn_command(command).expect("started");
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let keys = pair.master.take_writer().expect("a writer");
        let seen = Arc::new(Mutex::new((vt100::Parser::new(40, 120, 0), Vec::new())));
        let sees = Arc::clone(&seen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                let mut seen = sees.lock().unwrap_or_else(PoisonError::into_inner);
                seen.0.process(&bytes[..read]);
                seen.1.extend_from_slice(&bytes[..read]);
            }
        });
        Self { master: pair.master, child, keys, seen, before }
    }

    fn screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.lock().unwrap_or_else(PoisonError::into_inner).0.screen())
    }

    /// Waits until a text is on the screen.
    #[track_caller]
    fn shows(&self, text: &str) {
        self.comes_to(text, true);
    }

    /// Waits until a text is on the screen no longer.
    #[track_caller]
    fn hides(&self, text: &str) {
        self.comes_to(text, false);
    }

    #[track_caller]
    fn comes_to(&self, text: &str, shown: bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.screen(|screen| screen.contents().contains(text)) != shown {
            let screen = self.screen(vt100::Screen::contents);
            assert!(Instant::now() < until, "`{text}`, shown: {shown}, does not come:\n{screen}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("pressed");
        self.keys.flush().expect("pressed");
    }

    /// The dashboard's process ends, and the terminal is as it was.
    #[track_caller]
    fn is_restored(&mut self, told: &str) {
        self.shows(told);
        self.child.wait().expect("it ends");
        self.screen(|screen| {
            assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
            assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        });
        assert_eq!(format!("{:?}", self.master.get_termios().expect("modes")), self.before, "raw mode is over");
    }

    fn bytes(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap_or_else(PoisonError::into_inner).1).into_owned()
    }
}

#[test]
fn it_comes_takes_keys_and_goes() {
    let mut terminal = Terminal::new("normal", &[]);
    terminal.shows("Stages (7)");
    assert!(terminal.screen(|screen| screen.alternate_screen() && screen.hide_cursor()));
    terminal.press("?");
    terminal.shows("type to search");
    terminal.press("\x1b");
    // Not what the list of keys leaves free: that may be of the screen before it, and a key right after Escape would
    // be read as one with Alt.
    terminal.hides("type to search");
    terminal.hides("Esc closes");
    terminal.press("jjjjj");
    terminal.shows("embed  embed stage");
    terminal.press("+++");
    terminal.shows("embed×11");
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    terminal.master.resize(size).expect("a terminal changes its size");
    terminal.seen.lock().expect("not poisoned").0.screen_mut().set_size(24, 80);
    terminal.shows("BUSY█▓▒░");
    terminal.press("q");
    terminal.shows("Leave the run?");
    terminal.press("w");
    terminal.is_restored("left in order");
}

#[test]
fn a_panic_gives_the_terminal_back() {
    let mut terminal = Terminal::new("panics", &[]);
    terminal.shows("Stages (7)");
    terminal.press("jj+");
    terminal.is_restored("panicked");
    assert!(terminal.bytes().contains("told to panic"), "and the panic is told of afterwards");
}

#[test]
fn another_thread_gives_the_terminal_back() {
    let mut terminal = Terminal::new("restored", &[]);
    terminal.shows("Stages (7)");
    terminal.is_restored("error: the terminal was given back");
}

/// The bytes themselves: under `NO_COLOR` no colour is set, and what is selected is still reversed.
#[test]
fn no_color_sends_no_colour() {
    let mut terminal = Terminal::new("normal", &[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]);
    terminal.shows("Stages (7)");
    terminal.press("jj");
    terminal.shows("parse  parse stage");
    let bytes = terminal.bytes();
    let mut reversed = false;
    for sequence in bytes.split("\x1b[").skip(1) {
        let Some((codes, _)) =
            sequence.split_once('m').filter(|(codes, _)| codes.chars().all(|c| c.is_ascii_digit() || c == ';'))
        else {
            continue;
        };
        assert!(!codes.is_empty(), "a bare reset would wipe what is bold or reversed");
        for code in codes.split(';').filter_map(|code| code.parse::<u32>().ok()) {
            reversed |= code == 7;
            assert!(!matches!(code, 30..=38 | 40..=48 | 90..=107), "`{codes}` sets a colour");
        }
    }
    assert!(reversed, "what is selected is reversed");
    terminal.press("qw");
    terminal.is_restored("left in order");
}

/// A shell sees the program stop, has its terminal, and brings it back.
#[test]
fn it_is_suspended_and_comes_back() {
    let mut shell = CommandBuilder::new("sh");
    shell.args(["-c", r#"set -m; "$@"; echo "was stopped"; fg >/dev/null"#, "sh"]);
    shell.arg(env::current_exe().expect("this binary"));
    let mut terminal = Terminal::started("normal", &[], shell);
    terminal.shows("Stages (7)");
    terminal.press("\x1a");
    let until = Instant::now() + Duration::from_secs(30);
    while !terminal.bytes().contains("was stopped") {
        assert!(Instant::now() < until, "it does not stop:\n{}", terminal.bytes());
        thread::sleep(Duration::from_millis(20));
    }
    let bytes = terminal.bytes();
    let (before, _) = bytes.split_once("was stopped").expect("it is there");
    let (left, entered) = (before.rfind("\x1b[?1049l"), before.rfind("\x1b[?1049h"));
    assert!(left > entered, "the shell has its own screen");
    terminal.shows("Stages (7)");
    terminal.press("jj");
    terminal.shows("parse  parse stage");
    terminal.press("qw");
    terminal.is_restored("left in order");
}
