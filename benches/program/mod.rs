//! The released program, run by a bench.
#![allow(dead_code, reason = "not every bench uses all of it")]
#![expect(clippy::unwrap_used, reason = "a bench")]

pub(crate) mod threads;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program in the same target directory as the bench, or the one that `DOCMILL_PROGRAM` names. A bench lies beside it
/// or in a directory below.
pub(crate) fn path() -> PathBuf {
    if let Some(named) = std::env::var_os("DOCMILL_PROGRAM") {
        return named.into();
    }
    let bench = std::env::current_exe().unwrap();
    let directory = bench.parent().unwrap();
    let profile = if directory.ends_with("deps") { directory.parent().unwrap() } else { directory };
    let program = profile.join("docmill");
    assert!(program.exists(), "no `{}`: run `cargo build --release` first", program.display());
    program
}

/// `docmill run` in this directory, with the default pipeline, whose state stays there.
pub(crate) fn command(base: &Path, inputs: &[&str]) -> Command {
    fs::write(base.join("pipeline.toml"), include_str!("../../pipeline.toml")).unwrap();
    let mut command = Command::new(path());
    command.current_dir(base).args(["run", "--ui", "none", "--format", "json"]).args(inputs);
    command
}

/// Runs it to its end, which must be a good one, and gives its report.
pub(crate) fn run(base: &Path, inputs: &[&str]) -> serde_json::Value {
    let output = command(base, inputs).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Text of this many bytes, sentences of words of which no two documents have the same order.
pub(crate) fn write(path: &Path, bytes: usize, mut seed: u64) {
    let mut next = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let words: Vec<&str> = include_str!("../../docs/performance.md").split_whitespace().collect();
    let mut text = String::with_capacity(bytes + 256);
    while text.len() < bytes {
        for _ in 0..8 + next(16) {
            text.push_str(words[next(words.len())]);
            text.push(' ');
        }
        text.push_str(if next(5) == 0 { "done.\n\n" } else { "done. " });
    }
    while !text.is_char_boundary(bytes) {
        text.push(' ');
        text.remove(0);
    }
    fs::write(path, &text[..bytes]).unwrap();
}

/// So many documents of so many bytes each, below `documents`.
pub(crate) fn documents(base: &Path, count: usize, bytes: usize) {
    for number in 0..count {
        let below = base.join(format!("documents/{}", number / 1_000));
        fs::create_dir_all(&below).unwrap();
        write(&below.join(format!("{number}.txt")), bytes, number as u64);
    }
}
