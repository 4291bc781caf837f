//! Scenarios as data: every `tests/pipelines/NAME.toml` is run with the fake stages, and must end as
//! `tests/pipelines/NAME.expect.toml` says. Adding a case needs no Rust.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use docmill::monitor::DocumentCounts;

use super::support::{finish, start};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// `completed` or `fatal`.
    end: String,
    #[serde(default)]
    documents: BTreeMap<String, u64>,
    #[serde(default)]
    rows: Option<u64>,
    /// Stage and reason of every failure.
    #[serde(default)]
    failures: Vec<(String, String)>,
}

fn number(counts: &DocumentCounts, state: &str) -> u64 {
    let counts = serde_json::to_value(counts).expect("counts are numbers");
    counts[state].as_u64().unwrap_or_else(|| panic!("no state `{state}`"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_ends_as_its_file_says() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pipelines");
    let mut names: Vec<String> = fs::read_dir(&directory)
        .expect("there are scenarios")
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().strip_suffix(".expect.toml").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 3, "the scenarios were not found");
    for name in names {
        let read = |file: String| fs::read_to_string(directory.join(file)).expect("a scenario is readable");
        let expect: Expect = toml::from_str(&read(format!("{name}.expect.toml"))).expect("an expectation is TOML");
        let ran = finish(start(&read(format!("{name}.toml"))).await).await;
        let end = if matches!(ran.end, docmill::runtime::RunEnd::Completed) { "completed" } else { "fatal" };
        assert_eq!(end, expect.end, "{name}");
        for (state, wanted) in &expect.documents {
            assert_eq!(number(&ran.snapshot.documents, state), *wanted, "{name}: {state}");
        }
        if let Some(rows) = expect.rows {
            assert_eq!(ran.snapshot.rows, rows, "{name}: rows");
        }
        let mut failures: Vec<(String, String)> =
            ran.tally.failures.iter().map(|failure| (failure.stage.clone(), failure.reason.clone())).collect();
        failures.sort();
        assert_eq!(failures, expect.failures, "{name}: failures");
    }
}
