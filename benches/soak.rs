//! A long run leaks nothing: memory after 50,000 documents against memory after 5,000, and what is left when it is over.
//!
//! `cargo build --release && cargo bench -p docmill --no-default-features --bench soak`; see `pipeline.rs` for how the
//! program is found. Text and Markdown are read in threads, HTML and PDF in child processes. How many documents are done is
//! read from the ledger beside the run; memory and descriptors from `/proc`, so it needs Linux.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use docmill::ledger::{Ledger, State};

mod program;

const DOCUMENTS: usize = 50_000;
const EARLY: u64 = 5_000;

/// How long between two looks. The figures are of many looks, none of which has to be at a certain moment.
const EVERY: Duration = Duration::from_millis(200);

fn write(directory: &Path) {
    let pdf = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/documents/flyer.pdf")).unwrap();
    for number in 0..DOCUMENTS {
        let below = directory.join(format!("{}", number / 1_000));
        fs::create_dir_all(&below).unwrap();
        let line = format!("Note {number}: the sluice is greased on day {} of the season. ", number % 90);
        let (name, content) = match number % 50 {
            0 => (format!("{number}.pdf"), pdf.clone()),
            1..=5 => (format!("{number}.html"), format!("<h1>Note</h1><p>{}</p>", line.repeat(11)).into_bytes()),
            6..=10 => (format!("{number}.md"), format!("# Note\n\n{}\n", line.repeat(11)).into_bytes()),
            _ => (format!("{number}.txt"), line.repeat(11).into_bytes()),
        };
        fs::write(below.join(name), content).unwrap();
    }
}

/// The parts of `/proc/PID/stat` behind the program's name.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|other| stat(*other).is_some_and(|stat| stat[1] == pid.to_string())).collect()
}

/// Memory of the process and its children that no other process has, in MB: what is anonymous, not pages of files.
fn memory(pid: u32) -> f64 {
    let anonymous = |pid: u32| -> f64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or("0");
        line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0 / 1e6
    };
    anonymous(pid) + children(pid).into_iter().map(anonymous).sum::<f64>()
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// One look at the run.
struct Look {
    done: u64,
    memory: f64,
    descriptors: usize,
}

fn files(directory: &Path) -> usize {
    let below = |entry: fs::DirEntry| if entry.path().is_dir() { files(&entry.path()) } else { 1 };
    fs::read_dir(directory).map_or(0, |entries| entries.flatten().map(below).sum())
}

fn median<T: Copy + PartialOrd>(looks: &[Look], of: impl Fn(&Look) -> T, among: impl Fn(&Look) -> bool) -> T {
    let mut values: Vec<T> = looks.iter().filter(|look| among(look)).map(of).collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap());
    values[values.len() / 2]
}

fn main() {
    let base = tempfile::tempdir().unwrap();
    let temporary = base.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    write(&base.path().join("documents"));
    let mut command = program::command(base.path(), &["documents"]);
    let mut run = command.env("TMPDIR", &temporary).stdout(Stdio::piped()).spawn().unwrap();
    let event_loop = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut looks, mut seen) = (Vec::new(), BTreeSet::new());
    while run.try_wait().unwrap().is_none() {
        std::thread::sleep(EVERY);
        seen.extend(children(run.id()));
        let ledger = Ledger::open_to_read(&base.path().join(".docmill/ledger.db"));
        let Ok((_, done)) = ledger.and_then(|ledger| event_loop.block_on(ledger.list(Some(State::Done), None, 0)))
        else {
            continue;
        };
        looks.push(Look { done, memory: memory(run.id()), descriptors: descriptors(run.id()) });
    }
    let report: serde_json::Value = serde_json::from_slice(&run.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(report["documents"]["done"].as_u64(), Some(DOCUMENTS as u64), "{report}");
    let early = |look: &Look| (EARLY..EARLY * 2).contains(&look.done);
    let late = |look: &Look| (DOCUMENTS as u64 - EARLY..DOCUMENTS as u64).contains(&look.done);
    let (first, last) = (median(&looks, |look| look.memory, early), median(&looks, |look| look.memory, late));
    let most = looks.iter().map(|look| look.memory).fold(0.0, f64::max);
    println!("{DOCUMENTS} documents in {:.1} s", report["seconds"].as_f64().unwrap());
    println!(
        "memory, median of looks, after 5,000 documents {first:.0} MB, after 45,000 {last:.0} MB: {:.2} times",
        last / first
    );
    for step in 0..10 {
        let among = |look: &Look| look.done / EARLY == step;
        if looks.iter().any(among) {
            println!("  from {:>6} on: {:.0} MB", step * EARLY, median(&looks, |look| look.memory, among));
        }
    }
    println!("memory at most, the index at the end included, {most:.0} MB");
    let (few, many) = (median(&looks, |look| look.descriptors, early), median(&looks, |look| look.descriptors, late));
    println!("descriptors {few} and {many}");
    let left = seen.iter().filter(|pid| stat(**pid).is_some()).count();
    println!("children: {} seen, {left} left; temporary files left: {}", seen.len(), files(&temporary));
    println!("files of the store: {}", files(&base.path().join(".docmill")));
}
