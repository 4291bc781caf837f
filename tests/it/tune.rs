//! The planner against the simulator: from every wrong start to widths that are as good as the best that a search finds,
//! the bottleneck named, and what was predicted held against what came. The planner sees snapshots alone.
//!
//! The table in docs/tuning.md is made here: `DOCMILL_RENEW=1 cargo test tune` writes it anew.

mod pipelines;
mod trial;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use self::pipelines::{Case, cases, starts};
use self::trial::{Trial, best_widths, predicted_and_measured, tuned};

/// Runs differ by their seed alone.
const SEEDS: [u64; 3] = [1, 2, 3];

/// A row of the table.
struct Row {
    case: &'static str,
    start: String,
    seed: u64,
    trial: Trial,
    best: f64,
}

fn rows(case: &Case) -> (Vec<Row>, Vec<(String, usize)>) {
    let (widths, best) = best_widths(&case.model);
    let mut rows = Vec::new();
    for (start, model) in starts(&case.model, &widths) {
        for seed in SEEDS {
            let trial = tuned(&model, seed);
            rows.push(Row { case: case.name, start: start.clone(), seed, trial, best });
        }
    }
    (rows, widths)
}

/// Does the same with each pipeline, all at once: each run depends on its seed alone.
fn side_by_side<T: Send>(with: impl Fn(&Case) -> T + Sync) -> Vec<(Case, T)> {
    let cases = cases();
    let all: Vec<T> = thread::scope(|scope| {
        let threads: Vec<_> = cases.iter().map(|case| scope.spawn(|| with(case))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no run panics")).collect()
    });
    cases.into_iter().zip(all).collect()
}

fn wrong(row: &Row, case: &Case) -> Vec<String> {
    let Row { trial, best, .. } = row;
    let mut wrong = Vec::new();
    let share = trial.after_a_minute / best;
    if share < 0.9 {
        wrong.push(format!("{:.0}% of the best after a minute", 100.0 * share));
    }
    if trial.changes_a_minute >= 1.0 {
        wrong.push(format!("{:.2} changes a minute", trial.changes_a_minute));
    }
    let named = (trial.bottleneck.stage.as_str(), trial.bottleneck.resource.as_str());
    if named != (case.stage, case.resource) {
        wrong.push(format!("{named:?} was named: {}", trial.bottleneck.because));
    }
    wrong
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| pipeline | start | after a minute, of the best | at the end, of the best | changes in the first minute | changes a \
         minute later | named |\n|---|---|---|---|---|---|---|\n",
    );
    let mut index = 0;
    while index < rows.len() {
        let of: Vec<&Row> = rows[index..]
            .iter()
            .take_while(|row| row.case == rows[index].case && row.start == rows[index].start)
            .collect();
        index += of.len();
        let span = |figure: &dyn Fn(&Row) -> f64, digits: usize, unit: &str| {
            let (least, most) = of
                .iter()
                .map(|row| figure(row))
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), one| (least.min(one), most.max(one)));
            let (least, most) = (format!("{least:.digits$}"), format!("{most:.digits$}"));
            if least == most { format!("{least}{unit}") } else { format!("{least} to {most}{unit}") }
        };
        let mut named: Vec<String> = of
            .iter()
            .map(|row| format!("{} of {}", row.trial.bottleneck.resource, row.trial.bottleneck.stage))
            .collect();
        named.dedup();
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            of[0].case,
            of[0].start,
            span(&|row| 100.0 * row.trial.after_a_minute / row.best, 0, "%"),
            span(&|row| 100.0 * row.trial.at_the_end / row.best, 0, "%"),
            span(&|row| row.trial.changes_at_first as f64, 0, ""),
            span(&|row| row.trial.changes_a_minute, 1, ""),
            named.join(", "),
        )
        .expect("a string takes it");
    }
    text
}

#[test]
fn every_wrong_start_ends_at_the_best_widths() {
    let mut all = Vec::new();
    let mut failed = Vec::new();
    let mut best = String::from(
        "| pipeline | CPUs | best widths that the search finds | documents a second |\n|---|---|---|---|\n",
    );
    for (case, (rows, widths)) in side_by_side(rows) {
        for row in &rows {
            let wrong = wrong(row, &case);
            if !wrong.is_empty() {
                failed.push(format!("{}, {}, seed {}: {}", row.case, row.start, row.seed, wrong.join("; ")));
            }
        }
        let widths: Vec<String> = widths.iter().map(|(stage, width)| format!("{stage} {width}")).collect();
        writeln!(best, "| {} | {} | {} | {:.1} |", case.name, case.model.cpus, widths.join(", "), rows[0].best)
            .expect("a string takes it");
        all.extend(rows);
    }
    let text = format!("{best}\n{}", table(&all));
    assert!(failed.is_empty(), "{failed:#?}\n{text}");
    written("matrix", &text);
}

#[test]
fn what_is_predicted_comes() {
    let mut text =
        String::from("| pipeline | change | before | predicted | measured | off by |\n|---|---|---|---|---|---|\n");
    let mut failed = Vec::new();
    for (case, all) in side_by_side(|case| predicted_and_measured(&case.model, &case.changes)) {
        let close = all.iter().filter(|one| one.off().abs() <= 0.2).count();
        if close * 10 < all.len() * 8 {
            failed.push(format!("{}: {close} of {}", case.name, all.len()));
        }
        for one in &all {
            writeln!(
                text,
                "| {} | {} | {:.1} | {:.1} ({:.1} to {:.1}) | {:.1} | {:+.0}% |",
                case.name,
                one.change,
                one.before,
                one.predicted,
                one.low,
                one.high,
                one.measured,
                100.0 * one.off()
            )
            .expect("a string takes it");
        }
    }
    assert!(failed.is_empty(), "{failed:?}\n{text}");
    written("what-if", &text);
}

/// Holds a table in docs/tuning.md, between its two markers, against what was just made; or writes it, where that is wanted.
fn written(name: &str, table: &str) {
    static PAGE: Mutex<()> = Mutex::new(());
    let _alone = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tuning.md");
    let text = fs::read_to_string(&path).expect("docs/tuning.md is readable");
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = text.split_once(&begin).expect("the first marker is there");
    let (old, after) = rest.split_once(&end).expect("the second marker is there");
    if std::env::var_os("DOCMILL_RENEW").is_some() {
        fs::write(&path, format!("{before}{begin}{table}{end}{after}")).expect("docs/tuning.md is writable");
    } else {
        // Elsewhere a logarithm may differ in its last digit, and with it every run.
        let same = cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) || old == table;
        assert!(same, "docs/tuning.md is out of date: run the tests with DOCMILL_RENEW=1");
    }
}
