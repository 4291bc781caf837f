//! The guard of the hot paths: how many instructions each takes, against the baseline that is kept beside this.
//!
//! `cargo run --release -p docmill-instructions` counts them with valgrind and ends with 1 where one differs by more than 5 %;
//! with `DOCMILL_RENEW=1` it writes the baseline instead. Instructions, not seconds: they are the same on a busy machine. With
//! the name of a path it does that work once, which is what valgrind is given.
#![expect(clippy::print_stdout, reason = "a program of the developers")]

mod paths;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

/// How far a count may be from the baseline, as a part of it.
const TOLERANCE: f64 = 0.05;

type Counts = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let done = match std::env::args().nth(1) {
        Some(name) => paths::run(&name).map(|()| true),
        None => compare(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Counts all paths and says how far each is from the baseline, and whether none is too far.
fn compare() -> Result<bool, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.json");
    let counted =
        paths::NAMES.iter().map(|name| Ok(((*name).to_owned(), count(name)?))).collect::<Result<_, String>>()?;
    if std::env::var_os("DOCMILL_RENEW").is_some() {
        return write(&file, &counted).map(|()| true);
    }
    let text = std::fs::read_to_string(&file).map_err(|error| format!("`{}`: {error}", file.display()))?;
    let baseline: Counts = serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", file.display()))?;
    let mut holds = true;
    println!("| path | instructions | baseline | |\n|---|---|---|---|");
    for (name, count) in &counted {
        let Some(before) = baseline.get(name) else {
            println!("| {name} | {count} | none | |");
            holds = false;
            continue;
        };
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let change = *count as f64 / *before as f64 - 1.0;
        let is_near = change.abs() <= TOLERANCE;
        holds &= is_near;
        println!(
            "| {name} | {count} | {before} | {:+.1} %{} |",
            change * 100.0,
            if is_near { "" } else { ", too far" }
        );
    }
    if !holds {
        println!("\nA path takes more or fewer instructions than it did. Where that is meant, renew the baseline:");
        println!("DOCMILL_RENEW=1 cargo run --release -p docmill-instructions");
    }
    Ok(holds)
}

fn write(file: &Path, counted: &Counts) -> Result<(), String> {
    let text = serde_json::to_string_pretty(counted).map_err(|error| error.to_string())? + "\n";
    std::fs::write(file, text).map_err(|error| format!("`{}`: {error}", file.display()))
}

/// The instructions of one path, its preparation left out.
fn count(name: &str) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--collect-atstart=no",
            "--toggle-collect=*measured*",
        ])
        .arg(program)
        .arg(name)
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find_map(|line| line.split_once("Collected : "));
    match line.and_then(|(_, count)| count.trim().parse().ok()) {
        Some(count) if output.status.success() && count > 0 => Ok(count),
        _ => Err(format!("valgrind counted nothing of `{name}`: {said}")),
    }
}
