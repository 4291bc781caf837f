//! How a run's cost grows: with the number of documents, with the size of one, with the CPUs; and what a run of the
//! same documents would do on more of them.
//!
//! ```text
//! cargo build --release && cargo bench -p docmill --no-default-features --bench scaling -- [counts|sizes|cpus|account]
//! ```
//!
//! - `counts`: 10 to 100,000 documents of one kilobyte.
//! - `sizes`: one document of 1 KB to 100 MB.
//! - `cpus`: 3,000 documents, 96 MB, on one CPU and on all there are (`taskset`), and `docmill tune --plan` for 64 from the
//!   recording of the latter: a simulation from measured service times, not a measurement.
//! - `account`: 45 files of 10 MB: which share of the CPUs' time a run uses that they bound, and where it goes, stage by
//!   stage. Writing and indexing run beside the engine, so what no stage of the CPU tier used is given as one figure.
//!
//! The released program in a process of its own, the default pipeline, an empty directory for each run. Prints tables in
//! Markdown with a bar for what should stay the same from row to row.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

mod program;

use program::documents;

const COUNTS: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
const SIZES: [usize; 6] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// What a document may have here at most.
const LIMIT: &str = "stages.download.max_bytes=\"256MiB\"";

struct Run {
    wall: f64,
    cpu: f64,
    memory: f64,
    report: Value,
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if runs("counts") {
        counts();
    }
    if runs("sizes") {
        sizes();
    }
    if runs("cpus") {
        cpus();
    }
    if runs("account") {
        account();
    }
}

/// Runs the program over `documents` of this directory, on these CPUs where some are named.
fn run(base: &Path, only: Option<&str>) -> Run {
    let command = program::command(base, &["documents", "--set", LIMIT]);
    let mut command = match only {
        None => command,
        Some(list) => {
            let mut pinned = Command::new("taskset");
            pinned.args(["--cpu-list", list]).arg(command.get_program()).args(command.get_args()).current_dir(base);
            pinned
        }
    };
    let start = Instant::now();
    let output = command.output().unwrap();
    let wall = start.elapsed().as_secs_f64();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| report[key].as_f64().unwrap();
    Run { wall, cpu: number("cpu_seconds"), memory: number("peak_rss_bytes") / 1e6, report }
}

fn bar(value: f64, of: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bar")]
    let length = (30.0 * value / of).round().max(1.0) as usize;
    "█".repeat(length)
}

fn counts() {
    println!(
        "\n| documents of 1 KB | wall, s | CPU, s | peak memory, MB | CPU beyond an empty run, ms a document | |\n|---|---|---|---|---|---|"
    );
    let empty = empty();
    let rows: Vec<(usize, Run)> = COUNTS.into_iter().map(|count| (count, made(count, 1_000))).collect();
    let each = |count: usize, run: &Run| (run.cpu - empty).max(0.0) * 1e3 / count as f64;
    let most = rows.iter().map(|(count, run)| each(*count, run)).fold(0.0, f64::max);
    for (count, run) in &rows {
        let each = each(*count, run);
        println!(
            "| {count} | {:.2} | {:.2} | {:.0} | {each:.2} | {} |",
            run.wall,
            run.cpu,
            run.memory,
            bar(each, most)
        );
    }
}

fn sizes() {
    println!(
        "\n| one document, bytes | wall, s | CPU, s | CPUs busy | peak memory, MB | CPU beyond an empty run, s a MB | |\n|---|---|---|---|---|---|---|"
    );
    let empty = empty();
    let rows: Vec<(usize, Run)> = SIZES.into_iter().map(|size| (size, made(1, size))).collect();
    let each = |size: usize, run: &Run| (run.cpu - empty).max(0.0) * 1e6 / size as f64;
    let most = rows.iter().skip(2).map(|(size, run)| each(*size, run)).fold(0.0, f64::max);
    for (size, run) in &rows {
        let (each, busy) = (each(*size, run), run.cpu / run.wall);
        let bar = if *size < 100_000 { String::new() } else { bar(each, most) };
        println!("| {size} | {:.2} | {:.2} | {busy:.2} | {:.0} | {each:.3} | {bar} |", run.wall, run.cpu, run.memory);
    }
}

fn made(count: usize, bytes: usize) -> Run {
    let base = tempfile::tempdir().unwrap();
    documents(base.path(), count, bytes);
    run(base.path(), None)
}

/// CPU seconds of a run that finds nothing.
fn empty() -> f64 {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("documents")).unwrap();
    run(base.path(), None).cpu
}

fn cpus() {
    /// So many that a projection has three seconds of steady work to go by.
    const AT_ALL: usize = 3_000;
    let there = std::thread::available_parallelism().unwrap().get();
    println!("\n| CPUs | wall, s | CPU, s | documents a second |\n|---|---|---|---|");
    let mut last = None;
    let mut number = 1;
    while number <= there {
        let base = tempfile::tempdir().unwrap();
        documents(base.path(), AT_ALL, 32_000);
        let list = format!("0-{}", number - 1);
        let run = run(base.path(), Some(&list));
        println!("| {number} | {:.2} | {:.2} | {:.0} |", run.wall, run.cpu, AT_ALL as f64 / run.wall);
        last = Some(base);
        number *= 2;
    }
    let base = last.unwrap();
    for cores in [there, 2 * there, 16, 64] {
        let plan = format!("cores={cores}");
        let output =
            Command::new(program::path()).current_dir(base.path()).args(["tune", "--plan", &plan]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("\nSimulated, {cores} CPUs:\n{}", String::from_utf8_lossy(&output.stdout));
    }
}

fn account() {
    const FILES: usize = 45;
    let there = std::thread::available_parallelism().unwrap().get();
    let run = made(FILES, 10_000_000);
    let megabytes = (FILES * 10) as f64;
    let share = 100.0 * run.cpu / run.wall / there as f64;
    println!("\n{:.1} s, {:.1} CPU-s, {share:.1} % of {there} CPUs, peak {:.0} MB", run.wall, run.cpu, run.memory);
    println!("\n| stage | CPU, ms a MB | share |\n|---|---|---|");
    let mut rest = run.cpu;
    for (name, stage) in run.report["stages"].as_object().unwrap() {
        let cpu = stage["cpu_seconds"].as_f64().unwrap();
        if cpu > 0.0 {
            rest -= cpu;
            println!("| {name} | {:.2} | {:.1} % |", 1e3 * cpu / megabytes, 100.0 * cpu / run.cpu);
        }
    }
    println!(
        "| all else: writing, indexing, the engine | {:.2} | {:.1} % |",
        1e3 * rest / megabytes,
        100.0 * rest / run.cpu
    );
}
