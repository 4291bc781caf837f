//! One pipeline over several processes with a real `nats-server`: what is stored is what one process stores, whoever of
//! them is killed. Run where the server is installed.

mod away;
mod deploy;
mod killed;
mod model;
mod same;
mod seen;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::pipeline::mill::Mill;

/// When a process that hangs is given up. No outcome depends on it.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many documents the large test has.
const MANY: usize = 2_000;

fn free_port(address: &str) -> u16 {
    TcpListener::bind((address, 0)).and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// A server of this test's own, with its messages on disk.
struct Nats {
    program: PathBuf,
    address: String,
    port: u16,
    store: PathBuf,
    more: Vec<String>,
    child: Child,
}

impl Nats {
    /// Starts one, where it is installed.
    fn start(place: &Path) -> Option<Self> {
        Self::start_with(place, &[])
    }

    fn start_with(place: &Path, more: &[&str]) -> Option<Self> {
        Self::start_at("127.0.0.1", place, more)
    }

    fn start_at(address: &str, place: &Path, more: &[&str]) -> Option<Self> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let found =
            std::env::split_paths(&paths).map(|directory| directory.join("nats-server")).find(|path| path.exists());
        let Some(program) = found else {
            assert!(std::env::var_os("DOCMILL_NEED_NATS").is_none(), "`nats-server` is not installed");
            #[expect(clippy::print_stderr, reason = "a test says what it skips")]
            {
                eprintln!("not run: `nats-server` is not installed");
            }
            return None;
        };
        let (port, store) = (free_port(address), place.join("jetstream"));
        let more: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
        let child = Self::spawn(&program, (address, port), &store, &more);
        Some(Self { program, address: address.into(), port, store, more, child })
    }

    fn spawn(program: &Path, (address, port): (&str, u16), store: &Path, more: &[String]) -> Child {
        let mut command = Command::new(program);
        command.args(["--jetstream", "--addr", address, "--port", &port.to_string(), "--store_dir"]).arg(store);
        command.args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills it as `kill -9` does, and starts it again on the same directory, or on an empty one.
    fn restart(&mut self, wiped: bool) {
        self.kill();
        if wiped {
            fs::remove_dir_all(&self.store).expect("removed");
        }
        self.child = Self::spawn(&self.program, (&self.address, self.port), &self.store, &self.more);
    }

    /// The pipeline of a directory, shared by this server.
    fn share(&self, mill: Mill) -> Mill {
        let blobs = format!("blobs.uri={:?}", mill.path().join("blobs").display().to_string());
        mill.set("queue.kind=\"nats\"")
            .set(&format!("queue.url=\"nats://{}:{}\"", self.address, self.port))
            .set("queue.ack_wait=\"2s\"")
            .set(&blobs)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that is killed when the test is over.
struct Process(Child);

impl Process {
    fn start(mill: &Mill, name: &str) -> Self {
        Self::spawn(mill.command(name))
    }

    fn spawn(mut command: Command) -> Self {
        command.args(["--ui", "none"]).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().expect("it starts"))
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.0.try_wait().expect("it can be waited for") {
                return status.code();
            }
            thread::park_timeout(Duration::from_millis(50));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn blobs_left(mill: &Mill) -> usize {
    let listed = fs::read_dir(mill.path().join("blobs/docmill/jobs")).into_iter().flatten();
    listed.flatten().filter(|job| fs::read_dir(job.path()).is_ok_and(|mut blobs| blobs.next().is_some())).count()
}

/// Waits for what processes come to, without an outcome that depends on how long it takes.
fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !what() && Instant::now() < end {
        thread::park_timeout(Duration::from_millis(10));
    }
}
