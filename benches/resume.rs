//! The same command again over files of which none has changed: what it takes, beside the first time, and how that grows
//! with their number.
//!
//! `cargo build --release && cargo bench -p docmill --no-default-features --bench resume`. The released program runs in a
//! process of its own; see `pipeline.rs` for how it is found.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

mod program;

const COUNTS: [usize; 4] = [2_500, 5_000, 10_000, 20_000];

/// How often the run that finds nothing changed is measured.
const RUNS: usize = 5;

/// Files that were written two seconds ago are read again, since they may have changed within one tick of their clock.
const AGE: Duration = Duration::from_secs(60);

fn write(directory: &Path, count: usize) {
    let old = SystemTime::now() - AGE;
    for number in 0..count {
        let below = directory.join(format!("{}", number / 1_000));
        fs::create_dir_all(&below).unwrap();
        let line = format!("Note {number}: the sluice is greased on day {} of the season. ", number % 90);
        let path = below.join(format!("{number}.txt"));
        fs::write(&path, line.repeat(11)).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    }
}

fn seconds(base: &Path, count: u64, state: &str) -> f64 {
    let start = Instant::now();
    let report = program::run(base, &["documents"]);
    let wall = start.elapsed().as_secs_f64();
    assert_eq!(report["documents"][state].as_u64(), Some(count), "{report}");
    wall
}

fn main() {
    println!("files      first    again (least to most)    again / first    again, microseconds a file");
    for count in COUNTS {
        let base = tempfile::tempdir().unwrap();
        write(&base.path().join("documents"), count);
        // Their change times are of now.
        std::thread::sleep(Duration::from_secs(2));
        let first = seconds(base.path(), count as u64, "done");
        let mut again: Vec<f64> = (0..RUNS).map(|_| seconds(base.path(), count as u64, "unchanged")).collect();
        again.sort_by(f64::total_cmp);
        let median = again[RUNS / 2];
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let each = median / count as f64 * 1e6;
        println!(
            "{count:>6}  {first:>6.2} s  {median:>6.2} s ({:.2} to {:.2})           {:>6.3}           {each:>6.1}",
            again[0],
            again[RUNS - 1],
            median / first,
        );
    }
}
