//! The released program, run by a bench.
#![allow(dead_code, reason = "not every bench uses all of it")]
#![expect(clippy::unwrap_used, reason = "a bench")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program in the same target directory as the bench, or the one that `DOCMILL_PROGRAM` names.
pub(crate) fn path() -> PathBuf {
    if let Some(named) = std::env::var_os("DOCMILL_PROGRAM") {
        return named.into();
    }
    let bench = std::env::current_exe().unwrap();
    let program = bench.ancestors().nth(2).unwrap().join("docmill");
    assert!(program.exists(), "no `{}`: run `cargo build --release` first", program.display());
    program
}

/// `docmill run` in this directory, with the default pipeline, whose state stays there.
pub(crate) fn command(base: &Path, inputs: &[&str]) -> Command {
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/pipeline.toml"), base.join("pipeline.toml")).unwrap();
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
