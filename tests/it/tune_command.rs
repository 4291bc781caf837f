//! `docmill tune`: trials find the widths that are missing and write them, touching nothing else; a recorded run is
//! projected, and the model of it does what the run did.

use std::path::Path;

use clap::Parser;
use docmill::cli::{load, tune};
use serde_json::Value;

use super::support::{chain, registry};

#[derive(Parser)]
struct Tune {
    #[command(flatten)]
    args: tune::Args,
}

#[derive(Parser)]
struct Load {
    #[command(flatten)]
    args: load::Args,
}

/// A pipeline of fakes in a directory, tuned with options; exit code, standard output and standard error.
fn tuned(directory: &Path, options: &[&str]) -> (u8, String, String) {
    let pipeline = directory.join("pipeline.toml").to_string_lossy().into_owned();
    let line = ["tune", pipeline.as_str()].into_iter().chain(options.iter().copied());
    let args = Tune::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = tune::run(args, &registry(), &mut out, &mut err).unwrap_or_else(|error| panic!("{error:#}"));
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(err))
}

/// One worker embeds twenty documents a second; nothing else takes long.
fn slow(store: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let slow = "width = 1\ndelay = \"50ms\"\nbatch = { items = 1 }";
    let text = chain(store, 40, &[("stages.embed", slow), ("stages.split", "parts = 1")]);
    std::fs::write(directory.path().join("pipeline.toml"), &text).expect("written");
    (directory, text)
}

#[test]
fn trials_find_the_width_that_is_missing_and_write_it() {
    let (directory, before) = slow("tune-trials");
    let options = ["--seconds", "2", "--trials", "3", "--into", "null"];
    let (code, out, err) = tuned(directory.path(), &options);
    assert_eq!(code, 0, "{out}\n{err}");
    assert!(out.contains("embed (") && out.contains("best: trial ") && out.contains(" - width = 1"), "{out}\n{err}");
    assert!(err.contains("`--write` writes the change"), "{err}");
    let path = directory.path().join("pipeline.toml");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), before, "nothing is written unless it is wanted");
    let (code, out, err) = tuned(directory.path(), &[&options[..], &["--write", "--format", "json"]].concat());
    assert_eq!(code, 0, "{err}");
    let found: Value = serde_json::from_str(&out).expect("JSON");
    let rate = |trial: &Value| trial["documents_per_second"]["mean"].as_f64().expect("a rate");
    let trials = found["trials"].as_array().expect("trials");
    let best = &trials[usize::try_from(found["best"].as_u64().expect("a number")).expect("small")];
    assert!(rate(best) > 1.5 * rate(&trials[0]), "{out}");
    assert_eq!(trials[0]["limit"]["stage"], "embed", "{out}");
    assert_eq!((&found["written"], &found["documents"]), (&true.into(), &40.into()));
    let width = best["widths"]["embed"].as_u64().expect("a width");
    let written = std::fs::read_to_string(&path).expect("read");
    assert!(width > 1 && written.contains(&format!("width = {width}\n")), "{written}");
    // Neither state nor store is left.
    assert_eq!(std::fs::read_dir(directory.path()).expect("read").count(), 1);
}

#[test]
fn a_recorded_run_is_projected_and_its_model_does_what_it_did() {
    let (directory, _) = slow("tune-plan");
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let (pipeline, record) = (path("pipeline.toml"), path("run.jsonl"));
    let line = ["load", pipeline.as_str(), "--ui", "none", "--median-size", "512B", "--documents", "150"];
    let line = line.into_iter().chain(["--into", "null", "--record", record.as_str()]);
    let args = Load::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).args;
    load::run(args, &registry(), &mut Vec::new(), &mut Vec::new()).unwrap_or_else(|error| panic!("{error:#}"));
    let plan = ["--run", record.as_str(), "--format", "json", "--plan"];
    let (code, out, err) = tuned(directory.path(), &[&plan[..], &["cores=8,documents=1e6,width.embed=4"]].concat());
    assert_eq!(code, 0, "{err}");
    let told: Value = serde_json::from_str(&out).expect("JSON");
    let difference = told["check"]["difference"].as_f64().expect("a number");
    assert!(difference.abs() < 0.15, "{difference}: {out}");
    let (run, then) = (told["check"]["run"].as_f64(), told["documents_per_second"]["mean"].as_f64());
    let times = then.zip(run).map_or(0.0, |(then, run)| then / run);
    assert!((3.2..4.6).contains(&times), "four workers instead of one: {times}: {out}");
    assert_eq!(told["limit"]["stage"], "embed");
    let (code, out, err) = tuned(directory.path(), &["--run", record.as_str(), "--plan", "cores=8,machines=2"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("where the run did") && out.contains("MACHINES") && out.contains("Assumed:"), "{out}");
}

#[test]
fn what_cannot_be_is_refused() {
    let (directory, _) = slow("tune-refused");
    let (code, _, err) = tuned(directory.path(), &["papers", "--plan", "cores=8"]);
    assert_eq!(code, 2);
    assert!(err.contains("leave out `papers`"), "{err}");
    let (code, _, err) = tuned(directory.path(), &["--plan", "cores=8"]);
    assert_eq!(code, 2, "no run was ever kept");
    assert!(err.contains("no run is kept in"), "{err}");
    let wrong = Tune::try_parse_from(["tune", "--plan", "core=8"]).map(|_| ()).expect_err("an unknown key").to_string();
    assert!(wrong.contains("did you mean `cores`?") && wrong.contains("`rate.SERVICE`"), "{wrong}");
    assert!(Tune::try_parse_from(["tune", "--plan", "cores=8", "--write"]).is_err());
}
