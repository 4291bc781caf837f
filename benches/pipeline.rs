//! The default pipeline, whole, from files on disk to searchable rows: one 10 MiB text file, and 600 small ones.
//!
//! `cargo build --release && cargo bench -p docmill --no-default-features --bench pipeline`. Each case runs the released
//! program in a process of its own, in an empty directory, and prints the median of wall time, CPU time and peak memory.
//! Without default features, because a bench is built with the tests' dependencies, and LanceDB would be built again for
//! them. The program is the one in the same target directory, or the one that `DOCMILL_PROGRAM` names.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::fs;
use std::path::Path;
use std::time::Instant;

mod program;

const RUNS: usize = 5;
const WORDS: [&str; 40] = [
    "grain", "the", "mill", "of", "water", "and", "wheel", "to", "stone", "in", "flour", "a", "sluice", "is", "river",
    "that", "miller", "it", "sack", "was", "harvest", "for", "spring", "on", "autumn", "with", "market", "as", "bread",
    "by", "village", "at", "timber", "from", "ledger", "this", "season", "had", "barley", "which",
];

/// Prose of this many bytes: sentences and paragraphs of plausible lengths, the same at every run.
fn prose(bytes: usize, mut seed: u64) -> String {
    let mut next = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut text = String::with_capacity(bytes + 4096);
    while text.len() < bytes {
        for _ in 0..4 + next(5) {
            for word in 0..6 + next(18) {
                let chosen = WORDS[usize::try_from(next(40)).unwrap()];
                text.push_str(if word == 0 { "The " } else { " " });
                text.push_str(chosen);
            }
            text.push_str(". ");
        }
        text.push_str("\n\n");
    }
    text.truncate(bytes);
    text
}

fn case(name: &str, input: &Path) {
    let mut runs: Vec<(f64, f64, f64)> = (0..RUNS)
        .map(|_| {
            let state = tempfile::tempdir().unwrap();
            let start = Instant::now();
            let report = program::run(state.path(), &[input.to_str().unwrap()]);
            let wall = start.elapsed().as_secs_f64();
            let number = |key: &str| report[key].as_f64().unwrap();
            (wall, number("cpu_seconds"), number("peak_rss_bytes") / 1e6)
        })
        .collect();
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (median, least, most) = (runs[RUNS / 2], runs[0].0, runs[RUNS - 1].0);
    println!("{name}: {:.2} s ({least:.2} to {most:.2}), {:.2} CPU-s, peak {:.0} MB", median.0, median.1, median.2);
}

fn main() {
    let documents = tempfile::tempdir().unwrap();
    let (empty, one, many) =
        (documents.path().join("empty"), documents.path().join("one"), documents.path().join("many"));
    for directory in [&empty, &one, &many] {
        fs::create_dir(directory).unwrap();
    }
    fs::write(one.join("ten.txt"), prose(10 << 20, 1)).unwrap();
    for index in 0..600 {
        fs::write(many.join(format!("{index}.txt")), prose(32_000, index)).unwrap();
    }
    case("nothing", &empty);
    case("one text file of 10 MiB", &one);
    case("600 text files, 19 MB", &many);
}
