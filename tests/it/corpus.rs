//! Real documents, hostile ones among them, from the directory that `DOCMILL_CORPUS` names: the run over all of them ends,
//! every one has an end with a reason, and memory stays below what the pipeline allows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::pipeline::mill::Mill;
use super::waiting::within;

/// When a run that hangs is given up: no document may take longer than the timeouts of its stages, and these are some
/// hundreds.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// What the program takes for itself, unoptimised, with its pages.
const ITSELF: u64 = 400 << 20;

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&path)),
            Ok(kind) if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

fn addresses(listed: &Value) -> BTreeSet<String> {
    let of = |document: &Value| document["document"].as_str().map(str::to_owned);
    listed["documents"].as_array().into_iter().flatten().filter_map(of).collect()
}

#[test]
fn every_document_of_the_corpus_comes_to_an_end_with_a_reason() {
    let Some(corpus) = std::env::var_os("DOCMILL_CORPUS").map(PathBuf::from) else {
        #[expect(clippy::print_stderr, reason = "a test says what it skips")]
        {
            eprintln!("not run: DOCMILL_CORPUS names no corpus");
        }
        return;
    };
    let corpus = corpus.canonicalize().expect("the corpus is there");
    for part in [corpus.join("hostile"), corpus] {
        let mill = Mill::new().set(&format!("stages.source.include=[{part:?}]")).set("stages.source.hidden=true");
        let mut command = mill.command("run");
        let ended = within(PATIENCE, command.args(["--ui", "none", "--format", "json"])).expect("an end");
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(matches!(ended.status.code(), Some(0 | 1)), "{:?}: {told}", ended.status);
        let report: Value = serde_json::from_slice(&ended.stdout).expect("a report");
        let count = |state: &str| report["documents"][state].as_u64().expect("a count");
        assert_eq!(count("seen"), count("done") + count("skipped") + count("failed"), "{}", report["documents"]);
        for (list, state) in [("failures", "failed"), ("skips", "skipped")] {
            let told = report[list].as_array().expect("a list");
            assert_eq!(told.len() as u64, count(state), "{list}");
            for one in told {
                let reason = one["error"].as_str().or(one["reason"].as_str()).unwrap_or_default();
                assert!(!reason.is_empty() && one["stage"].is_string(), "{one}");
            }
        }
        let workers = &report["stages"]["parse"]["workers"];
        assert!(["crashed", "timed_out", "out_of_memory"].iter().all(|lost| workers[lost].is_u64()), "{workers}");
        let children = report["stages"]["parse"]["width"].as_u64().expect("a width") << 30;
        let (peak, bound) = (report["peak_rss_bytes"].as_u64().expect("a peak"), ITSELF + (512 << 20) + children);
        assert!(peak <= bound, "{peak} bytes, where {bound} are allowed");

        let mut listed = BTreeSet::new();
        for state in ["done", "skipped", "failed"] {
            let mut command = mill.command("documents");
            let arguments = ["--state", state, "--limit", "1000000", "--format", "json"];
            let ended = within(PATIENCE, command.args(arguments)).expect("an end");
            listed.extend(addresses(&serde_json::from_slice(&ended.stdout).expect("a list")));
        }
        let missing: Vec<PathBuf> = files(&part)
            .into_iter()
            .filter(|path| !listed.contains(url::Url::from_file_path(path).expect("absolute").as_str()))
            .collect();
        assert!(missing.is_empty(), "{missing:?} of {}", part.display());
    }
}
