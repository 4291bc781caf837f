//! A run that was recorded is found again and reported on: from a file, from the state directory, as far as it goes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use docmill::cli::report;
use docmill::monitor::{HostUse, Recorder};
use docmill::report::Report;
use serde_json::Value;

use super::support;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    args: report::Args,
}

/// How the command ended: its code, what it printed and what it said.
fn told(line: &[&str]) -> (u8, String, String) {
    let words = std::iter::once("docmill").chain(line.iter().copied());
    let args = Program::try_parse_from(words).expect("a good line").args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = report::run(&args, &support::registry(), &mut out, &mut err).expect("it can be written");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(err))
}

/// Runs a chain of fakes, in which two documents fail, and records it; the run's id is the answer.
async fn record(to: &Path, documents: usize) -> String {
    let store = format!("report-{documents}");
    let fault = ("stages.parse", "on = [\"3\", \"7\"]\nwhat = \"reject\"");
    let handle = support::start(&support::chain(&store, documents, &[fault])).await;
    let view = handle.view();
    let mut recorder = Recorder::begin(fs::File::create(to).expect("made")).expect("begun");
    while !view.snapshot().state.is_over() && view.snapshot().documents.ended() < documents as u64 {
        recorder.add(&view.snapshot()).expect("written");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ran = support::finish(handle).await;
    recorder.add(&view.snapshot()).expect("written");
    recorder.finish(&Report::new(&ran.snapshot, ran.tally, HostUse::default(), false)).expect("written");
    ran.snapshot.run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_run_is_found_by_its_id_and_reported_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    fs::write(at("pipeline.toml"), support::chain("report-state", 1, &[])).expect("written");
    let pipeline = ["--pipeline", &at("pipeline.toml")];
    let (code, out, err) = told(&[&pipeline[..], &["--list"]].concat());
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.starts_with("no run is kept in"), "{err}");
    let (code, _, err) = told(&pipeline);
    assert_eq!(code, 2, "{err}");

    fs::create_dir_all(at(".docmill/runs")).expect("made");
    let id = record(Path::new(&at("run.jsonl")), 40).await;
    fs::copy(at("run.jsonl"), at(&format!(".docmill/runs/{id}.jsonl"))).expect("copied");
    let (code, out, err) = told(&[&pipeline[..], &["--list"]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    let row = out.lines().nth(1).expect("one run");
    assert!(row.starts_with(&id) && row.contains("40") && row.ends_with("completed"), "{out}");

    for name in ["last", &id[..id.len() - 1], &id] {
        let (code, out, err) = told(&[&pipeline[..], &[name, "--format", "json"]].concat());
        assert_eq!((code, err.as_str()), (0, ""));
        let told: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!(told["run"], id.as_str());
        let documents = &told["totals"]["documents"];
        assert_eq!((&documents["seen"], &documents["failed"]), (&40.into(), &2.into()), "{documents}");
        assert_eq!((&told["failures"][0]["stage"], &told["failures"][0]["documents"]), (&"parse".into(), &2.into()));
        assert_eq!(told["stages"].as_array().map(Vec::len), Some(6));
    }
    let (code, _, err) = told(&[&pipeline[..], &["19990101"]].concat());
    assert_eq!(code, 2);
    assert!(err.contains("no run `19990101`") && err.contains(&id) && err.contains("--list"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_file_needs_no_pipeline_and_is_reported_on_as_far_as_it_goes() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let id = record(Path::new(&at("run.jsonl")), 30).await;
    let (code, out, err) = told(&[&at("run.jsonl"), "--output", &at("run.html"), "--vs", &at("run.jsonl")]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.contains("the report is in") && err.contains("run.html"), "{err}");
    let html = fs::read_to_string(at("run.html")).expect("written");
    assert!(html.starts_with("<!doctype html>") && html.contains(&id) && html.contains("told to reject"));

    // The disk was full in the middle of the report.
    let whole = fs::read(at("run.jsonl")).expect("readable");
    fs::write(at("cut.jsonl"), &whole[..whole.len() - 40]).expect("written");
    let (code, out, err) = told(&[&at("cut.jsonl"), "--format", "md"]);
    assert_eq!(code, 0);
    assert!(err.starts_with("warning: The recording was cut off"), "{err}");
    assert!(
        out.starts_with("### docmill: 30 documents") && out.contains("cut off") && out.contains("| Failed | 2 |"),
        "{out}"
    );

    let (code, _, err) = told(&[&at("none.jsonl")]);
    assert!(code == 2 && err.contains("there is no file") && err.contains("hint: "), "{err}");
    fs::write(at("letter.txt"), "Dear reader").expect("written");
    let (code, _, err) = told(&[&at("letter.txt")]);
    assert!(code == 4 && err.contains("letter.txt") && err.contains("no recording"), "{err}");
}
