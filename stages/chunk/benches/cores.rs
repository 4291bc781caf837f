//! What a second core brings within one document. The speed of a machine changes faster than one bench follows another,
//! so each round takes one core, two cores on the same document, and two documents on a core each, right behind one
//! another: the last says what the machine gives at all.
//!
//! Run `cargo bench -p docmill-chunk --bench cores`; with `DOCMILL_BENCH_TEXT=FILE` a text of yours is measured besides, and
//! with `-- english file` behind it these kinds alone.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod input;

use std::time::{Duration, Instant};

use docmill_api::{CpuStage, Text};
use rayon::ThreadPool;

const ROUNDS: usize = 41;

fn main() {
    let mut kinds: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if kinds.is_empty() {
        kinds.extend(["english", "prose", "markdown", "chinese"].map(str::to_owned));
        kinds.extend(std::env::var_os("DOCMILL_BENCH_TEXT").map(|_| "file".to_owned()));
    }
    println!("{ROUNDS} rounds each; median, and the quarters around it, of the ratio to one core in the same round");
    for kind in kinds {
        measure(&kind);
    }
}

fn measure(kind: &str) {
    let (stage, text) = (input::stage(0), input::text(kind, input::MEGABYTES * 1_000_000));
    let (one, beside, two) = (input::pool(1), input::pool(1), input::pool(2));
    let mut times = Vec::new();
    // The first loads the vocabulary.
    on(&two, &*stage, &text);
    for _ in 0..ROUNDS {
        let before = on(&one, &*stage, &text);
        let two = on(&two, &*stage, &text);
        let after = on(&one, &*stage, &text);
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| on(&one, &*stage, &text));
            on(&beside, &*stage, &text);
        });
        times.push(((before + after) / 2, two, start.elapsed() / 2));
    }
    let speed = |mut times: Vec<Duration>| {
        times.sort_unstable();
        let bytes = u32::try_from(text.content.len()).expect("ten megabytes");
        f64::from(bytes) / 1e6 / times[ROUNDS / 2].as_secs_f64()
    };
    println!(
        "{kind:>9}: one core {:.0} MB/s, two cores on the document {:.0} MB/s, {}; two documents, a core each, {}",
        speed(times.iter().map(|round| round.0).collect()),
        speed(times.iter().map(|round| round.1).collect()),
        ratio(times.iter().map(|round| (round.0, round.1))),
        ratio(times.iter().map(|round| (round.0, round.2))),
    );
}

/// How long a text takes on the threads of a pool.
fn on(pool: &ThreadPool, stage: &dyn CpuStage, text: &Text) -> Duration {
    let start = Instant::now();
    pool.install(|| input::chunks(stage, text.clone()));
    start.elapsed()
}

fn ratio(rounds: impl Iterator<Item = (Duration, Duration)>) -> String {
    let mut ratios: Vec<f64> = rounds.map(|(one, other)| one.as_secs_f64() / other.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let quarter = ROUNDS / 4;
    format!("{:.2} times ({:.2} to {:.2})", ratios[ROUNDS / 2], ratios[quarter], ratios[ROUNDS - 1 - quarter])
}
