//! Who may import whom: the arrows of ARCHITECTURE.md, held by reading the sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room of `src/` and what it may import of the others. Anything not listed is forbidden.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli", "builtin"]),
    ("builtin", &[]),
    (
        "cli",
        &[
            "builtin", "cluster", "config", "control", "http", "ledger", "load", "monitor", "otlp", "plan", "query",
            "rehearse", "report", "runtime", "tui", "tune",
        ],
    ),
    ("cluster", &["monitor", "plan"]),
    ("config", &["plan"]),
    ("plan", &[]),
    ("control", &["monitor"]),
    ("http", &["control", "ledger", "monitor", "plan", "query", "report", "tune"]),
    ("ledger", &[]),
    ("load", &["monitor"]),
    ("monitor", &[]),
    ("otlp", &[]),
    ("query", &[]),
    ("rehearse", &["plan", "runtime"]),
    ("report", &["monitor", "tune"]),
    ("runtime", &["control", "ledger", "monitor", "plan"]),
    ("tui", &["control", "monitor", "report", "tune"]),
    ("tune", &["monitor", "plan"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a source directory is readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_for_tests(&path) {
            found.push(path);
        }
    }
}

fn is_for_tests(path: &Path) -> bool {
    path.iter().any(|part| {
        ["tests", "tests.rs", "fakes.rs", "fixture.rs", "benches", "examples"].contains(&&*part.to_string_lossy())
    })
}

/// The code of a file, without comments and unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source is readable");
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn room(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).expect("below src");
    let first = relative.iter().next().expect("not empty").to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn rooms_import_only_what_the_arrows_allow() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    assert!(files.len() > 30, "the sources were not found");
    let mut broken = Vec::new();
    for file in files {
        let room = room(&file);
        if room == "lib" {
            continue;
        }
        let allowed = arrows.get(room.as_str()).unwrap_or_else(|| panic!("a room without arrows: `{room}`"));
        let code = code(&file);
        for other in arrows.keys().filter(|other| **other != room) {
            let imports = code.contains(&format!("crate::{other}")) || code.contains(&format!("docmill::{other}"));
            if imports && !allowed.contains(other) {
                broken.push(format!("{} imports `{other}`", file.display()));
            }
        }
        let names_a_stage = code.contains("docmill_") && {
            ["source", "download", "parse", "chunk", "summarize", "embed", "store", "exec", "testkit"]
                .iter()
                .any(|stage| code.contains(&format!("docmill_{stage}::")))
        };
        if names_a_stage && room != "builtin" {
            broken.push(format!("{} names a concrete stage", file.display()));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_plan_and_the_monitor_know_no_event_loop() {
    let mut files = Vec::new();
    for room in ["plan", "monitor", "config", "tune", "report"] {
        sources(&root().join("src").join(room), &mut files);
    }
    for file in files {
        assert!(!code(&file).contains("tokio::"), "{} uses tokio", file.display());
    }
}

#[test]
fn a_stage_depends_on_the_api_and_on_no_sibling() {
    for entry in fs::read_dir(root().join("stages")).expect("there are stages").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "testkit" || name == "api" {
            continue;
        }
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).expect("a stage has a manifest");
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for line in dependencies.lines().filter(|line| line.starts_with("docmill")) {
            let on = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(
                ["docmill-api", "docmill-llm", "docmill-net", "docmill-objects"].contains(&on),
                "`{name}` depends on `{on}`"
            );
        }
    }
}

#[test]
fn printing_is_for_the_command_line_alone() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("stages"), &mut files);
    for file in files.iter().filter(|file| !file.iter().any(|part| part == "cli")) {
        let code = code(file);
        for call in ["println!(", "eprintln!(", "io::stdout()", "unbounded_channel", "async_channel::unbounded"] {
            assert!(!code.contains(call), "{} has `{call}`", file.display());
        }
    }
}
