//! What each stage uses, against the least that its work takes: the same documents, the same machine, a minute apart.
//!
//! ```text
//! cargo build --release -p docmill -p docmill-limits && target/release/docmill-limits [FILES]
//! ```
//!
//! FILES text files of 10 MB, ten where it is not said, go through the released program with the default pipeline, whose report has
//! the CPU time of each stage. Then the least is measured, in CPU seconds of this process as well: reading the files, encoding
//! their text once, fetching a row of the model for each word, and LanceDB alone with as many rows of as many
//! bytes, which it is handed from memory in one call, with the same full-text index, built in one go. Prints a table in Markdown.
#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench")]

#[path = "../../program/mod.rs"]
mod program;
mod store;
mod work;

use std::fs;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

/// The program's own, so that the same memory costs the same.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const FILES: usize = 10;
const BYTES: usize = 10_000_000;

/// Does it and gives what it made, with the CPU seconds that all threads of this process spent.
fn spent<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = cpu();
    let made = work();
    (made, cpu() - before)
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() {
    let files = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(FILES);
    let megabytes = (files * BYTES) as f64 / 1e6;
    let base = tempfile::tempdir().unwrap();
    program::documents(base.path(), files, BYTES);
    let report = program::run(base.path(), &["documents"]);
    let used = |stage: &str| report["stages"][stage]["cpu_seconds"].as_f64().unwrap();
    let whole = report["cpu_seconds"].as_f64().unwrap();
    let (parse, chunk, summarize, embed) = (used("parse"), used("chunk"), used("summarize"), used("embed"));
    let rest = whole - parse - chunk - summarize - embed;

    let paths = below(&base.path().join("documents"));
    let (texts, read) = spent(|| work::read(&paths));
    let (tokens, encode) = spent(|| work::encode(&texts));
    let words = work::Model::new(&texts);
    let ((), model) = spent(|| words.pass());
    let rows = store::rows(&texts, tokens);
    let bytes = rows.bytes();
    let ((), plain) = spent(|| fs::write(base.path().join("rows"), &bytes).unwrap());
    let ((), store) = spent(|| store::lancedb(&base.path().join("table"), rows));
    let least = read + encode + model + store;

    println!("\n| {megabytes:.0} MB of text | CPU, ms a MB | the least | ratio | which is |\n|---|---|---|---|---|");
    let row = |name: &str, used: f64, least: f64, what: &str| {
        let a_megabyte = |seconds: f64| 1e3 * seconds / megabytes;
        println!("| {name} | {:.2} | {:.2} | {:.1} | {what} |", a_megabyte(used), a_megabyte(least), used / least);
    };
    row("parse", parse, read, "files read from the page cache, looked at for UTF-8");
    row("chunk", chunk, encode, "one pass of the encoder");
    row("embed", embed, model, "a row of 256 bytes fetched for each word, none looked up");
    row("writing, indexing, the engine", rest, store, "LanceDB alone: one write, one full-text index");
    row("all of it", whole, least, "the sum of these");
    println!("\nThe bytes of the rows to a file, and nothing else: {:.2} ms a MB.", 1e3 * plain / megabytes);
}

fn below(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(below(&path)) } else { found.push(path) }
    }
    found
}
