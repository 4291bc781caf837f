//! The tuner on this machine, on real runs of the released program: from wrong starts, held against the best widths that
//! stay. What it does in a simulator, and how it decides, is in docs/tuning.md.
//!
//! ```text
//! cargo build --release && cargo bench -p docmill --no-default-features --bench tuner -- [cpu|service|sink]
//! ```
//!
//! Three pipelines: one that computes, one whose embeddings come from a simulated service that takes twelve calls at once,
//! and one whose store writes a row a commit. Each is run with some sets of widths that stay, half a minute each, and then
//! with the tuner from two wrong starts, all 1 and all 64, two minutes each. Throughput is of the last 15 s of a static run,
//! and of the last minute of a tuned one; each commit of a row costs more than the one before, so with that store both
//! last as long. Some 25 minutes in all, on a machine that does nothing else.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

mod program;

use std::fs;
use std::io::{BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use docmill::load::simulate::{Server, Settings};
use docmill::monitor::{EventKind, Recording};
use docmill::tune::bottleneck_now;

/// The stages whose widths are set: all but the source and the store, which have one worker.
const STAGES: [&str; 5] = ["download", "parse", "chunk", "summarize", "embed"];
const STATIC: f64 = 30.0;
const TUNED: f64 = 120.0;

struct Case {
    name: &'static str,
    sets: Vec<String>,
    documents: usize,
    /// Whether a run becomes slower the longer it lasts, so that one with widths that stay must last as long as a tuned one.
    slows: bool,
    /// Widths that stay: download, parse, chunk, summarize, embed.
    tried: &'static [[usize; 5]],
}

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let settings =
        Settings { latency: Duration::from_millis(150), spread: 0.2, concurrency: Some(12), ..Settings::default() };
    let service = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), settings).await.unwrap().start();
    let url = format!("providers.work.base_url={:?}", service.base_url());
    let to_service = [
        "providers.work.kind=\"openai\"",
        &url,
        "providers.work.model=\"simulated\"",
        "providers.work.dimensions=256",
        "stages.embed.provider=\"work\"",
        "stages.embed.batch={items=1,tokens=100000,wait=\"5ms\"}",
    ];
    let cases = [
        Case {
            name: "cpu",
            sets: Vec::new(),
            documents: 260_000,
            slows: true,
            tried: &[[1, 1, 1, 1, 1], [4, 2, 2, 2, 2], [16, 4, 4, 4, 4]],
        },
        Case {
            name: "service",
            sets: to_service.iter().map(|set| (*set).to_owned()).collect(),
            documents: 20_000,
            slows: false,
            tried: &[[4, 2, 2, 2, 6], [4, 2, 2, 2, 12], [4, 2, 2, 2, 16], [4, 2, 2, 2, 32]],
        },
        Case {
            name: "sink",
            sets: vec!["stages.store.batch={items=1,tokens=100000,wait=\"1ms\"}".to_owned()],
            documents: 20_000,
            slows: true,
            tried: &[[1, 1, 1, 1, 1], [4, 2, 2, 2, 2], [16, 4, 4, 4, 4]],
        },
    ];
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    println!(
        "| pipeline | widths | documents a second | of the best | changes, first minute and second | bottleneck |"
    );
    println!("|---|---|---|---|---|---|");
    for case in cases.iter().filter(|case| runs(case.name)) {
        tokio::task::block_in_place(|| in_turn(case));
    }
    drop(service);
}

fn in_turn(case: &Case) {
    let base = tempfile::tempdir().unwrap();
    documents(base.path(), case.documents);
    let mut best: f64 = 0.0;
    for widths in case.tried {
        let sets = STAGES.iter().zip(widths).map(|(stage, width)| format!("stages.{stage}.width={width}"));
        let (seconds, measured) = if case.slows { (TUNED, 60.0) } else { (STATIC, 15.0) };
        let ran = Ran::of(base.path(), case, &sets.collect::<Vec<_>>(), None, seconds, measured);
        best = best.max(ran.rate);
        println!("| {} | {widths:?} | {:.1} | | | {} |", case.name, ran.rate, ran.bottleneck);
    }
    for start in [1, 64] {
        let sets = STAGES.iter().map(|stage| format!("stages.{stage}.width={{min=1,max=64}}"));
        let ran = Ran::of(base.path(), case, &sets.collect::<Vec<_>>(), Some(start), TUNED, 60.0);
        println!(
            "| {} | tuned, from all {start}: {:?} | {:.1} | {:.0}% | {}, {} | {} |",
            case.name,
            ran.widths,
            ran.rate,
            100.0 * ran.rate / best,
            ran.changes.0,
            ran.changes.1,
            ran.bottleneck
        );
    }
}

/// Some four kilobytes each, no two alike.
fn documents(base: &Path, count: usize) {
    for number in 0..count {
        let folder = base.join(format!("documents/{}", number / 1000));
        fs::create_dir_all(&folder).unwrap();
        let line = |line: usize| {
            format!(
                "Line {line} of ledger {number} tells which miller brought how much grain, and when it was ground. "
            )
        };
        fs::write(folder.join(format!("{number}.txt")), (0..40).map(line).collect::<String>()).unwrap();
    }
}

/// What a run came to.
struct Ran {
    rate: f64,
    widths: Vec<usize>,
    changes: (usize, usize),
    bottleneck: String,
}

impl Ran {
    /// Runs for so many seconds, from nothing, and reads its recording; throughput is of the last `measured` seconds.
    fn of(base: &Path, case: &Case, sets: &[String], start: Option<usize>, seconds: f64, measured: f64) -> Self {
        let _ = fs::remove_dir_all(base.join(".docmill"));
        let recording = base.join("run.jsonl");
        let mut command = program::command(base, &["documents", "--record"]);
        command.arg(&recording);
        for set in case.sets.iter().chain(sets).map(String::as_str).chain(["run.drain=\"1s\""]) {
            command.args(["--set", set]);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let began = Instant::now();
        if let Some(width) = start.filter(|width| *width > 1) {
            widen(&base.join(".docmill/control.sock"), width);
        }
        sleep(Duration::from_secs_f64(seconds + 1.0).saturating_sub(began.elapsed()));
        interrupt(&mut child);
        Self::read(&recording, seconds, measured)
    }

    fn read(recording: &PathBuf, seconds: f64, measured: f64) -> Self {
        let recording = Recording::read(BufReader::new(fs::File::open(recording).unwrap())).unwrap();
        let at = |moment: f64| {
            let index = recording.snapshots.partition_point(|snapshot| snapshot.seconds < moment);
            &recording.snapshots[index.min(recording.snapshots.len() - 1)]
        };
        let (from, to) = (at(seconds - measured), at(seconds));
        let ended = (to.documents.ended() - from.documents.ended()) as f64;
        let widths = STAGES.iter().filter_map(|stage| to.stage(stage)).map(|stage| stage.width).collect();
        let changes = recording.events.iter().filter(|event| event.kind == EventKind::Width && event.at > 2.0);
        let times: Vec<f64> = changes.map(|event| event.at).collect();
        let named = bottleneck_now(to).0;
        Self {
            rate: ended / (to.seconds - from.seconds),
            widths,
            changes: (
                times.iter().filter(|at| **at <= 60.0).count(),
                times.iter().filter(|at| (60.0..=120.0).contains(*at)).count(),
            ),
            bottleneck: format!("{} ({})", named.stage, named.resource),
        }
    }
}

/// Sets all widths as the tuner itself would, so that they stay its own.
fn widen(socket: &Path, width: usize) {
    for stage in STAGES {
        let command = format!(
            "{{\"command\":\"set_width\",\"stage\":\"{stage}\",\"width\":{width},\"by\":\"tuner\",\"why\":\"a wrong start\"}}\n"
        );
        let since = Instant::now();
        let mut stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) => assert!(since.elapsed() < Duration::from_secs(30), "{error}"),
            }
            sleep(Duration::from_millis(20));
        };
        stream.write_all(command.as_bytes()).unwrap();
        // The answer says that it was taken.
        let mut answer = [0_u8; 64];
        assert!(std::io::Read::read(&mut stream, &mut answer).unwrap() > 0);
    }
}

fn interrupt(child: &mut Child) {
    let pid = i32::try_from(child.id()).unwrap();
    let _ = Command::new("kill").args(["-INT", &pid.to_string()]).status();
    child.wait().unwrap();
}
