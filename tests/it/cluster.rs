//! One pipeline over several processes with a real `nats-server`: what is stored is what one process stores, whoever of
//! them is killed. Run where the server is installed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use docmill_testkit::moto::Moto;

use super::crash::{assert_mended, forget_all, rows, rows_at, run, write_documents};
use super::pipeline::mill::{Mill, block_on};
use super::waiting::within;

/// When a process that hangs is given up. No outcome depends on it.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many documents the large test has.
const MANY: usize = 2_000;

/// A server of this test's own, with its messages on disk.
struct Nats {
    program: PathBuf,
    port: u16,
    store: PathBuf,
    user: Option<(&'static str, &'static str)>,
    child: Child,
}

impl Nats {
    /// Starts one, where it is installed.
    fn start(place: &Path, user: Option<(&'static str, &'static str)>) -> Option<Self> {
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
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let store = place.join("jetstream");
        let child = Self::spawn(&program, port, &store, user);
        Some(Self { program, port, store, user, child })
    }

    fn spawn(program: &Path, port: u16, store: &Path, user: Option<(&str, &str)>) -> Child {
        let mut command = Command::new(program);
        command.args(["--jetstream", "--addr", "127.0.0.1", "--port", &port.to_string(), "--store_dir"]).arg(store);
        if let Some((user, password)) = user {
            command.args(["--user", user, "--pass", password]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
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
        self.child = Self::spawn(&self.program, self.port, &self.store, self.user);
    }

    /// The pipeline of a directory, shared by this server.
    fn share(&self, mill: Mill) -> Mill {
        let blobs = format!("blobs.uri={:?}", mill.path().join("blobs").display().to_string());
        mill.set("queue.kind=\"nats\"")
            .set(&format!("queue.url=\"nats://127.0.0.1:{}\"", self.port))
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
        let mut command = mill.command(name);
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

#[test]
fn three_workers_store_what_one_process_stores() {
    block_on(async || {
        let mill = Mill::new();
        let Some(nats) = Nats::start(mill.path(), None) else { return };
        write_documents(&mill, "flour");
        for number in 0..300 {
            mill.write(&format!("page-{number}.txt"), format!("Page {number} tells of wheel {}.\n", number * 7));
        }
        mill.write("empty.txt", "");
        mill.write("broken.pdf", "%PDF-1.4 and no more");
        let ended = |mill: &Mill| {
            let mut command = mill.command("run");
            let ended = within(PATIENCE, command.args(["--format", "json", "--ui", "none"])).expect("an end");
            let report: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("a report");
            (ended.status.code(), report["documents"].clone(), report["rows"].clone(), report["tokens"].clone())
        };
        let alone = ended(&mill);
        let expected = rows(&mill).await;
        assert!(expected.len() > 300, "a row of each at least");
        forget_all(&mill);

        let mill = nats.share(mill);
        let _workers: Vec<Process> = (0..3).map(|_| Process::start(&mill, "work")).collect();
        assert_eq!(ended(&mill), alone);
        assert_eq!(rows(&mill).await, expected);
        assert_eq!(blobs_left(&mill), 0, "no blob is left");
        let further = run_again(&mill);
        assert_eq!(further["documents"]["done"], 0, "{further}");
    });
}

#[test]
fn bytes_and_rows_go_through_an_object_store_as_through_a_directory() {
    block_on(async || {
        let mill = Mill::new();
        let Some(nats) = Nats::start(mill.path(), None) else { return };
        let Some(moto) = Moto::start().expect("it starts") else { return };
        moto.put("mill", b"").expect("a bucket");
        write_documents(&mill, "flour");
        for number in 0..MANY {
            mill.write(&format!("page-{number}.txt"), format!("Page {number} tells of wheel {}.\n", number * 7));
        }
        run(&mill, &[]);
        let expected = rows(&mill).await;
        forget_all(&mill);

        let endpoint = format!("s3.endpoint={:?}", moto.endpoint());
        let mill = nats
            .share(mill)
            .set("blobs.uri=\"s3://mill/between\"")
            .set(&format!("blobs.{endpoint}"))
            .set("stages.store.uri=\"s3://mill/tables\"")
            .set(&format!("stages.store.{endpoint}"))
            .variable("AWS_ACCESS_KEY_ID", "mill")
            .variable("AWS_SECRET_ACCESS_KEY", "grist");
        let _workers: Vec<Process> = (0..3).map(|_| Process::start(&mill, "work")).collect();
        let mut coordinator = Process::start(&mill, "run");
        // Killed in the midst of it: who comes after it has its state directory, and so its lease.
        thread::park_timeout(Duration::from_secs(4));
        coordinator.kill();
        run(&mill, &[]);
        assert_eq!(rows_in(&moto, &mill).await, expected);
        let keys = moto.keys("mill").expect("listed");
        assert!(!keys.iter().any(|key| key.starts_with("between/")), "no blob is left: {keys:?}");
        assert_eq!(keys.iter().filter(|key| key.starts_with("tables/chunks.writer/")).count(), 1, "{keys:?}");

        // Another state directory is another writer: welcome, once the first has given the lease back.
        let other =
            mill.command("run").args(["--set", "run.state=\"other\"", "--ui", "none"]).output().expect("it runs");
        assert_eq!(other.status.code(), Some(0), "{}", String::from_utf8_lossy(&other.stderr));
        assert_eq!(rows_in(&moto, &mill).await, expected, "every row was there already");
    });
}

/// The rows of the table in a store: it is one of LanceDB's, so that a copy of its files is read as any other.
async fn rows_in(moto: &Moto, mill: &Mill) -> BTreeMap<String, String> {
    let copy = mill.path().join("copy");
    let _ = fs::remove_dir_all(&copy);
    for key in moto.keys("mill").expect("listed").iter().filter(|key| key.starts_with("tables/")) {
        let file = copy.join(key);
        fs::create_dir_all(file.parent().expect("below it")).expect("made");
        fs::write(file, moto.get(&format!("mill/{key}")).expect("read")).expect("written");
    }
    rows_at(mill, "copy/tables").await
}

/// Where one document fails each time.
fn run_again(mill: &Mill) -> serde_json::Value {
    let mut command = mill.command("run");
    let ended =
        within(PATIENCE, command.args(["--format", "json", "--ui", "none", "--max-failed", "1"])).expect("an end");
    serde_json::from_slice(&ended.stdout).expect("a report")
}

#[test]
fn nothing_is_lost_or_there_twice_whoever_is_killed() {
    block_on(async || {
        let mill = Mill::new();
        let Some(mut nats) = Nats::start(mill.path(), None) else { return };
        write_documents(&mill, "rye");
        for number in 0..300 {
            mill.write(&format!("page-{number}.txt"), format!("Page {number} tells of wheel {}.\n", number * 7));
        }
        run(&mill, &[]);
        let expected = rows(&mill).await;
        let mill = nats.share(mill);
        for round in 0..6_u64 {
            forget_all(&mill);
            let mut workers: Vec<Process> = (0..2).map(|_| Process::start(&mill, "work")).collect();
            let mut coordinator = Process::start(&mill, "run");
            // Moments of the run's, not such that anything waits for: wherever they fall, the same has to hold.
            thread::park_timeout(Duration::from_millis(400 + 300 * round));
            match round {
                0 | 3 => {
                    workers[0].kill();
                    workers[0] = Process::start(&mill, "work");
                }
                1 | 4 => nats.restart(round == 4),
                _ => {
                    coordinator.kill();
                    coordinator = Process::start(&mill, "run");
                }
            }
            assert_eq!(coordinator.wait(), Some(0), "round {round}");
            assert_mended(&mill, &expected, &format!("round {round}")).await;
        }
    });
}

#[test]
fn a_worker_that_hangs_loses_its_documents_to_another() {
    block_on(async || {
        let mill = Mill::new();
        let Some(nats) = Nats::start(mill.path(), None) else { return };
        write_documents(&mill, "oats");
        run(&mill, &[]);
        let expected = rows(&mill).await;
        forget_all(&mill);
        let mill = nats.share(mill);
        let hangs = Process::start(&mill, "work");
        let mut coordinator = Process::start(&mill, "run");
        // As soon as the one worker has something in hand it stops, as one that swaps or is cut off does.
        let until = Instant::now() + PATIENCE;
        while blobs_left(&mill) == 0 && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(5));
        }
        signal(&hangs, "-STOP");
        let _other = Process::start(&mill, "work");
        assert_eq!(coordinator.wait(), Some(0));
        assert_eq!(rows(&mill).await, expected);
        signal(&hangs, "-CONT");
        assert_mended(&mill, &expected, "after the other went on").await;
    });
}

fn signal(process: &Process, name: &str) {
    let sent = Command::new("kill").args([name, &process.0.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

#[test]
fn a_queue_that_is_away_is_waited_for_and_one_that_refuses_is_not() {
    block_on(async || {
        let mill = Mill::new();
        let Some(mut nats) = Nats::start(mill.path(), Some(("miller", "grist"))) else { return };
        mill.write("note.txt", "The sluice is greased in spring.");
        run(&mill, &[]);
        let expected = rows(&mill).await;
        forget_all(&mill);
        let mill = nats.share(mill).set("queue.user=\"miller\"").set("queue.password_env=\"MILL_PASSWORD\"");
        for name in ["run", "work"] {
            let mut command = mill.command(name);
            let ended = within(PATIENCE, command.env("MILL_PASSWORD", "wrong").args(["--ui", "none"])).expect("an end");
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(4), "{said}");
            assert!(said.contains("refuses the credentials") && !said.contains("wrong"), "{said}");
        }
        nats.kill();
        let start = |name: &str| {
            let mut command = mill.command(name);
            command.env("MILL_PASSWORD", "grist").args(["--ui", "none"]).stdout(Stdio::null()).stderr(Stdio::piped());
            Process(command.spawn().expect("it starts"))
        };
        let (_worker, mut coordinator) = (start("work"), start("run"));
        let said = BufReader::new(coordinator.0.stderr.take().expect("it is piped")).lines();
        let mut said = said.map(|line| line.expect("a line"));
        let waits =
            said.any(|line| line.contains("the queue at nats://127.0.0.1:") && line.contains("it is waited for"));
        assert!(waits, "it says that it waits");
        assert!(coordinator.0.try_wait().expect("asked").is_none(), "and does");
        nats.restart(false);
        // Whoever writes must not wait for a reader.
        let rest = thread::spawn(move || said.collect::<Vec<_>>());
        assert_eq!(coordinator.wait(), Some(0), "{:?}", rest.join());
        assert_eq!(rows(&mill).await, expected);
    });
}

#[test]
fn workers_are_seen_and_told_their_widths() {
    block_on(async || {
        let mill = Mill::new();
        let Some(nats) = Nats::start(mill.path(), None) else { return };
        mill.write("note.txt", "The sluice is greased in spring.");
        let mill = nats.share(mill);
        let workers = |args: &[&str]| {
            let ended = within(PATIENCE, mill.command("workers").args(args)).expect("an end");
            (
                ended.status.code(),
                String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr),
            )
        };
        assert_eq!(workers(&["--width", "embed=3"]), (Some(2), "error: no worker is there\n".to_owned()));
        let (_one, _other) = (Process::start(&mill, "work"), Process::start(&mill, "work"));
        let fleet = || -> serde_json::Value { serde_json::from_str(&workers(&["--format", "json"]).1).expect("JSON") };
        let until = Instant::now() + PATIENCE;
        while fleet()["alive"] != 2 && Instant::now() < until {}
        let (code, said) = workers(&["--width", "embed=3"]);
        assert_eq!((code, said.as_str()), (Some(0), "2 workers were told: `embed` has width 3 now\n"));
        let widths = |fleet: &serde_json::Value| -> Vec<u64> {
            let all = fleet["workers"].as_array().expect("a list").iter();
            let stages = all.filter_map(|worker| worker["stages"].as_array()?.iter().find(|one| one["id"] == "embed"));
            stages.filter_map(|stage| stage["width"].as_u64()).collect()
        };
        while widths(&fleet()) != [3, 3] && Instant::now() < until {}
        let (code, said) = workers(&[]);
        assert!(code == Some(0) && said.contains("embed 3") && said.contains("2 workers, "), "{said}");
        let (code, said) = workers(&["--width", "grind=3"]);
        assert!(code == Some(2) && said.contains("no stage `grind` with a width: "), "{said}");

        let mut command = mill.command("run");
        let ended = within(PATIENCE, command.args(["--format", "json", "--ui", "none"])).expect("an end");
        let report: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("a report");
        assert_eq!(
            (&report["documents"]["done"], &report["fleet"]["stage"]),
            (&1.into(), &"cluster".into()),
            "{report}"
        );
    });
}

#[test]
fn a_second_coordinator_is_refused_while_the_first_is_there() {
    block_on(async || {
        let (first, second) = (Mill::new(), Mill::new());
        let Some(nats) = Nats::start(first.path(), None) else { return };
        for mill in [&first, &second] {
            mill.write("note.txt", "The sluice is greased in spring.");
        }
        let (first, second) = (nats.share(first), nats.share(second));
        // Without a worker it waits for its document.
        let mut goes_on = Process::start(&first, "run");
        let until = Instant::now() + PATIENCE;
        while blobs_left(&first) == 0 && Instant::now() < until {
            thread::park_timeout(Duration::from_millis(20));
        }
        let ended = within(PATIENCE, second.command("run").args(["--ui", "none"])).expect("an end");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(4), "{said}");
        assert!(said.contains("hands out documents") && said.contains("`stream`"), "{said}");
        let _worker = Process::start(&first, "work");
        assert_eq!(goes_on.wait(), Some(0), "the first has lost nothing");
    });
}
