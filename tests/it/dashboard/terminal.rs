//! A real terminal: a pseudo-terminal with the real program on it, and what its screen shows, kept by an emulator.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// When a screen that does not come is given up. No outcome depends on it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program on a terminal of its own.
pub(super) struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    emulator: vt100::Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    pub(super) fn start(command: &std::process::Command, columns: u16, rows: u16, variables: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(size(columns, rows)).expect("a pseudo-terminal");
        let mut builder = CommandBuilder::new(command.get_program());
        builder.args(command.get_args());
        builder.cwd(command.get_current_dir().expect("a directory"));
        for (name, value) in command.get_envs() {
            if value.is_none() {
                builder.env_remove(name);
            }
        }
        for (name, value) in [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8")] {
            builder.env(name, value);
        }
        builder.env_remove("NO_COLOR");
        for (name, value) in variables {
            builder.env(name, value);
        }
        let child = pair.slave.spawn_command(builder).expect("the program starts");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let writer = pair.master.take_writer().expect("a writer");
        let seen = Seen { emulator: vt100::Parser::new(rows, columns, 200), bytes: Vec::new() };
        let seen = Arc::new(Mutex::new(seen));
        let shown = Arc::clone(&seen);
        thread::spawn(move || {
            let mut buffer = [0_u8; 4096];
            // A terminal whose program has gone ends with an error.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut seen = lock(&shown);
                seen.emulator.process(&buffer[..count]);
                seen.bytes.extend_from_slice(&buffer[..count]);
            }
        });
        Self { child, master: pair.master, writer, seen }
    }

    /// What the screen shows.
    pub(super) fn screen(&self) -> String {
        lock(&self.seen).emulator.screen().contents()
    }

    /// Waits until the screen shows what is wanted.
    pub(super) fn wait_until(&self, what: &str, shows: impl Fn(&str) -> bool) {
        let since = Instant::now();
        while !shows(&self.screen()) {
            assert!(since.elapsed() < PATIENCE, "it never shows {what}:\n{}", self.screen());
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub(super) fn wait_for(&self, text: &str) {
        self.wait_until(text, |screen| screen.contains(text));
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.writer.write_all(keys.as_bytes()).and_then(|()| self.writer.flush()).expect("the terminal takes keys");
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) {
        self.master.resize(size(columns, rows)).expect("resized");
        lock(&self.seen).emulator.screen_mut().set_size(rows, columns);
    }

    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        let pid = self.child.process_id().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
        rustix::process::kill_process(pid.expect("it runs"), signal).expect("it runs");
    }

    /// Waits for the program's end and gives its exit code.
    pub(super) fn wait(&mut self) -> u32 {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                // What it printed last may still be on its way.
                thread::sleep(Duration::from_millis(200));
                return status.exit_code();
            }
            assert!(since.elapsed() < PATIENCE, "it does not end:\n{}", self.screen());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// That the terminal is as a shell needs it: the main screen, a cursor, no reports of mouse, focus or paste.
    pub(super) fn assert_sane(&self) {
        let seen = lock(&self.seen);
        let screen = seen.emulator.screen();
        assert!(!screen.alternate_screen(), "it is still on the other screen");
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        assert!(!screen.bracketed_paste(), "pastes are still bracketed");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        let (on, off) = (last(&seen.bytes, b"\x1b[?1004h"), last(&seen.bytes, b"\x1b[?1004l"));
        assert!(on <= off, "changes of focus are still reported");
        drop(seen);
        let modes = rustix_modes(&*self.master);
        assert!(modes.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO), "{modes:?}");
    }

    /// That nothing that was drawn had a colour, and that something was still set apart.
    pub(super) fn assert_no_colour(&self) {
        let seen = lock(&self.seen);
        let screen = seen.emulator.screen();
        let (rows, columns) = screen.size();
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let cells: Vec<&vt100::Cell> = cells.filter_map(|(row, column)| screen.cell(row, column)).collect();
        let plain =
            |cell: &&vt100::Cell| cell.fgcolor() == vt100::Color::Default && cell.bgcolor() == vt100::Color::Default;
        assert!(cells.iter().all(plain), "something is coloured");
        assert!(cells.iter().any(|cell| cell.inverse() || cell.bold()), "nothing is set apart");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn rustix_modes(master: &dyn MasterPty) -> rustix::termios::LocalModes {
    // The name of the other side: both share their modes.
    let name = master.tty_name().expect("a pseudo-terminal has a name");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(name).expect("it is still there");
    rustix::termios::tcgetattr(&file).expect("a terminal").local_modes
}

fn last(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).rposition(|window| window == what)
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}
