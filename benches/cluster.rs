//! What several processes cost and bring, beside a real `nats-server`.
//!
//! ```text
//! cargo build --release && cargo bench -p docmill --no-default-features --bench cluster -- [cost|pair|messages]
//! ```
//!
//! - `cost`: the same small documents in one process, and through the queue by one worker: CPU of all processes together,
//!   the server's apart, and the difference for a document.
//! - `pair`: pages of 0.6 MB of markup and a paragraph or two of text, which is work for who reads them and little for who
//!   stores them: one worker on one CPU, and two on one CPU each; coordinator and server have no CPU of their own on a
//!   machine of two.
//! - `messages`: what the queue itself does: jobs published one after the other and many at once, and taken.
//!
//! The released program in processes of its own, blobs and table in a directory.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench")]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::StreamExt;
use serde_json::Value;

mod program;

use program::documents;

/// Runs of `pair`, in turn.
const ROUNDS: usize = 3;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the bench.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// CPU seconds so far, its children's that have ended included.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // In hundredths, which is what Linux shows to every program.
        fields[11..15].iter().map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    /// Ends it as Ctrl-C does.
    fn leave(mut self) {
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

struct Nats {
    process: Process,
    port: u16,
}

fn nats(base: &Path) -> Nats {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("nats-server");
    command.args(["--jetstream", "--addr", "127.0.0.1", "--port", &port.to_string(), "--store_dir"]);
    command.arg(base.join("jetstream")).stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process(command.spawn().expect("nats-server is installed"));
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    Nats { process, port }
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if runs("messages") {
        tokio::runtime::Runtime::new().unwrap().block_on(messages());
    }
    if runs("cost") {
        cost(2_000, 2_000);
    }
    if runs("pair") {
        pair();
    }
}

/// A command of the program in this directory, pinned where that is wanted.
fn command(base: &Path, name: &str, nats: Option<&Nats>, only: Option<usize>) -> Command {
    let mut command = match only {
        None => Command::new(program::path()),
        Some(cpu) => {
            let mut pinned = Command::new("taskset");
            pinned.args(["--cpu-list", &cpu.to_string()]).arg(program::path());
            pinned
        }
    };
    command.current_dir(base).arg(name);
    if name != "workers" {
        command.args(["--ui", "none"]);
    }
    command.args(["--set", "stages.source.include=[\"documents\"]", "--set", "stages.download.max_bytes=\"64MiB\""]);
    if let Some(nats) = nats {
        command.args(["--set", "queue.kind=\"nats\"", "--set", "blobs.uri=\"blobs\""]);
        command.args(["--set", &format!("queue.url=\"nats://127.0.0.1:{}\"", nats.port)]);
    }
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn begin(base: &Path) {
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/pipeline.toml"), base.join("pipeline.toml")).unwrap();
    let _ = fs::remove_dir_all(base.join(".docmill"));
}

/// Runs it to its end: seconds, and its report.
fn run(mut command: Command) -> (f64, Value) {
    let begun = Instant::now();
    let output = command.args(["--format", "json"]).output().unwrap();
    let wall = begun.elapsed().as_secs_f64();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success() && report["documents"]["failed"] == 0, "{report}");
    (wall, report)
}

fn workers(base: &Path, nats: &Nats, pins: &[Option<usize>]) -> Vec<Process> {
    let workers = pins.iter().map(|pin| {
        // Nothing of it is looked at, and a pipe that nobody reads would stop it.
        let child = command(base, "work", Some(nats), *pin).stdout(Stdio::null()).spawn().unwrap();
        Process(child)
    });
    let workers: Vec<Process> = workers.collect();
    let begun = Instant::now();
    loop {
        let mut asked = command(base, "workers", Some(nats), None);
        let listed = asked.args(["--format", "json"]).output().unwrap();
        let fleet: Value = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        if fleet["alive"] == pins.len() {
            return workers;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&listed.stderr));
    }
}

fn cost(count: usize, bytes: usize) {
    let place = tempfile::tempdir().unwrap();
    let base = place.path();
    documents(base, count, bytes);
    println!("\n{count} documents of {bytes} bytes, CPU seconds of:\n");
    println!("| | coordinator | worker | nats-server | all |\n|---|---|---|---|---|");
    begin(base);
    let (_, report) = run(command(base, "run", None, None));
    let alone = report["cpu_seconds"].as_f64().unwrap();
    println!("| one process | {alone:.2} | | | {alone:.2} |");
    let server = nats(base);
    begin(base);
    let workers = workers(base, &server, &[None]);
    let (before, idle) = (workers[0].cpu(), server.process.cpu());
    let (_, report) = run(command(base, "run", Some(&server), None));
    let coordinator = report["cpu_seconds"].as_f64().unwrap();
    let queue = server.process.cpu() - idle;
    let worker = workers[0].cpu() - before;
    let all = coordinator + worker + queue;
    println!("| one worker | {coordinator:.2} | {worker:.2} | {queue:.2} | {all:.2} |");
    workers.into_iter().for_each(Process::leave);
    let each = |seconds: f64| seconds * 1e3 / count as f64;
    println!(
        "\n{:.2} ms of CPU a document beyond one process ({:.2} of them the server's); the coordinator's own part {:.2} ms",
        each(all - alone),
        each(queue),
        each(coordinator)
    );
}

fn pair() {
    let place = tempfile::tempdir().unwrap();
    let base = place.path();
    let count = 240;
    pages(base, count);
    begin(base);
    let mut one = command(base, "run", None, Some(0));
    one.args(["--set", "run.cpu_threads=1"]);
    let (wall, report) = run(one);
    let work = report["cpu_seconds"].as_f64().unwrap() * 1e3 / count as f64;
    println!("\n{count} pages of 0.6 MB; one process on one CPU: {wall:.1} s, {work:.0} ms of CPU a document\n");
    println!("| round | one worker on one CPU, s | two workers on one each, s | times |\n|---|---|---|---|");
    let server = nats(base);
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let mut walls = Vec::new();
        for pins in [&[Some(0)][..], &[Some(0), Some(1)][..]] {
            begin(base);
            let workers = workers(base, &server, pins);
            let mut coordinator = command(base, "run", Some(&server), None);
            // More than workers have in hand, and few enough that none waits for the last.
            coordinator.args(["--set", "queue.in_flight=32"]);
            walls.push(run(coordinator).0);
            workers.into_iter().for_each(Process::leave);
        }
        ratios.push(walls[0] / walls[1]);
        println!("| {round} | {:.1} | {:.1} | {:.2} |", walls[0], walls[1], walls[0] / walls[1]);
    }
    ratios.sort_by(f64::total_cmp);
    println!("\nmedian {:.2}", ratios[ratios.len() / 2]);
}

/// Pages that are long to read and short to store.
fn pages(base: &Path, count: usize) {
    let below = base.join("documents");
    fs::create_dir_all(&below).unwrap();
    for number in 0..count {
        let mut page = format!("<html><body><h1>Page {number}</h1>");
        let mut at = 0;
        while page.len() < 600_000 {
            at += 1;
            page.push_str("<div class=\"row wide\" data-at=\"7\"><span style=\"color: red\"></span></div>");
            if at % 4_000 == 0 {
                page.push_str(&format!(
                    "<p>The wheel {at} of mill {number} turns when the sluice is open, and rests in frost.</p>"
                ));
            }
        }
        page.push_str("</body></html>");
        fs::write(below.join(format!("{number}.html")), page).unwrap();
    }
}

/// A message as large as a job is.
const JOB: usize = 400;

async fn messages() {
    let place = tempfile::tempdir().unwrap();
    let server = nats(place.path());
    let client = async_nats::connect(format!("nats://127.0.0.1:{}", server.port)).await.unwrap();
    let context = jetstream::new(client);
    let stream = jetstream::stream::Config {
        name: "bench".into(),
        subjects: vec!["bench".into()],
        retention: jetstream::stream::RetentionPolicy::WorkQueue,
        ..jetstream::stream::Config::default()
    };
    let stream = context.create_stream(stream).await.unwrap();
    let payload = bytes::Bytes::from(vec![b'x'; JOB]);
    println!("\n| messages of {JOB} bytes | a second |\n|---|---|");
    let rate = |what: &str, count: usize, begun: Instant| {
        println!("| {what} | {:.0} |", count as f64 / begun.elapsed().as_secs_f64());
    };
    let begun = Instant::now();
    for _ in 0..5_000 {
        context.publish("bench", payload.clone()).await.unwrap().await.unwrap();
    }
    rate("published one after the other, each acknowledged", 5_000, begun);
    let begun = Instant::now();
    let publish = |_| async { context.publish("bench", payload.clone()).await.unwrap().await.unwrap() };
    futures::stream::iter(0..45_000).map(publish).buffer_unordered(256).for_each(|_| async {}).await;
    rate("published, 256 under way", 45_000, begun);
    let consumer = jetstream::consumer::pull::Config {
        durable_name: Some("bench".into()),
        max_ack_pending: 1024,
        ..jetstream::consumer::pull::Config::default()
    };
    let consumer = stream.create_consumer(consumer).await.unwrap();
    let begun = Instant::now();
    let taken = consumer.messages().await.unwrap().take(50_000);
    taken.for_each_concurrent(128, |message| async { message.unwrap().double_ack().await.unwrap() }).await;
    rate("taken and acknowledged, 128 under way", 50_000, begun);
}
