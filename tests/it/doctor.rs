//! `docmill doctor`: what a pipeline needs and the machine lacks is found before a run finds it, and told with a way to
//! mend it.

use std::net::TcpListener;

use docmill::cli::doctor::{self, Args};
use docmill::cli::pipeline_args::{Format, PipelineArgs};
use docmill::runtime::{StateLock, WorkerProgram};
use serde_json::Value;

use super::embed::{pipeline, registry};
use super::support;

/// A pipeline whose parser runs in child processes.
const ISOLATED: (&str, &str) = ("stages.parse", "isolation = \"process\"");

fn examined(pipeline: &PipelineArgs, worker: &WorkerProgram, format: Format) -> (u8, String) {
    let args = Args { file: None, pipeline: pipeline.clone(), format };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = doctor::examine(&args, &registry(), worker, &mut out, &mut err).expect("a buffer can be written");
    assert_eq!(String::from_utf8_lossy(&err), "");
    (code, String::from_utf8(out).expect("text"))
}

fn findings(pipeline: &PipelineArgs) -> (u8, Value) {
    let (code, out) = examined(pipeline, &support::worker(), Format::Json);
    (code, serde_json::from_str(&out).expect("JSON"))
}

/// The finding with this id.
fn found<'a>(answer: &'a Value, id: &str) -> &'a Value {
    let all = answer["findings"].as_array().expect("findings");
    all.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("no `{id}` in {answer:#}"))
}

/// Whether this system shuts children in, as `doctor` says.
pub(super) fn children_are_shut_in() -> bool {
    let (_directory, pipeline) = pipeline(&[ISOLATED]);
    found(&findings(&pipeline).1, "isolation")["state"] == "ok"
}

#[test]
fn a_sound_pipeline_is_0_and_every_probe_says_what_it_found() {
    let (_directory, pipeline) = pipeline(&[ISOLATED]);
    let (code, answer) = findings(&pipeline);
    assert_eq!((code, &answer["ok"], &answer["version"]), (0, &true.into(), &1.into()), "{answer:#}");
    for id in
        ["version", "pipeline", "cpu", "memory", "open_files", "state", "disk.state", "isolation", "terminal", "locale"]
    {
        let one = found(&answer, id);
        assert_ne!(one["state"], "error", "{one}");
        assert!(one["message"].as_str().is_some_and(|message| !message.is_empty() && !message.contains('\n')));
        assert!(one["values"].is_object());
    }
    assert!(found(&answer, "isolation")["values"]["confined"].is_array(), "{answer:#}");
    assert!(found(&answer, "memory")["values"]["pipeline"].as_u64().is_some_and(|bytes| bytes > 1 << 30), "{answer:#}");
    assert!(found(&answer, "disk.state")["values"]["free"].as_u64().is_some_and(|bytes| bytes > 0));
    let (code, text) = examined(&pipeline, &support::worker(), Format::Text);
    assert_eq!(code, 0);
    assert!(text.contains("isolation") && text.contains("0 errors"), "{text}");
}

#[test]
fn a_pipeline_that_cannot_run_is_an_error_that_leads_to_check() {
    let (_directory, pipeline) = pipeline(&[("stages.split", "partss = 3")]);
    let (code, answer) = findings(&pipeline);
    assert_eq!((code, &answer["ok"]), (4, &false.into()));
    let one = found(&answer, "pipeline");
    assert!(one["message"].as_str().is_some_and(|message| message.contains("`partss`")), "{one}");
    assert!(one["mend"].as_str().is_some_and(|mend| mend.starts_with("docmill check ")), "{one}");
    // The machine is looked at all the same.
    assert_eq!(found(&answer, "version")["state"], "ok");
}

#[test]
fn a_child_that_is_no_stage_is_an_error() {
    let (_directory, pipeline) = pipeline(&[ISOLATED]);
    let worker = WorkerProgram { program: "true".into(), arguments: Vec::new(), variables: Vec::new() };
    let (code, out) = examined(&pipeline, &worker, Format::Text);
    assert_eq!(code, 4, "{out}");
    let line = out.lines().find(|line| line.contains(" isolation ")).expect("it is told");
    assert!(line.starts_with("error") && line.contains("fake-parse"), "{out}");
}

#[test]
fn a_state_directory_that_a_run_holds_is_told_with_its_process() {
    let (directory, pipeline) = pipeline(&[("run", "state = \"held\"")]);
    let held = StateLock::take(&directory.path().join("held")).expect("nobody holds it");
    let (code, answer) = findings(&pipeline);
    let one = found(&answer, "state");
    assert_eq!((code, &one["state"]), (0, &"warning".into()));
    assert_eq!(one["values"]["holder"], std::process::id().to_string());
    drop(held);
    assert_eq!(found(&findings(&pipeline).1, "state")["state"], "ok");
}

#[test]
fn servers_and_variables_that_the_pipeline_names_are_looked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let named = |variable: &str| format!("base_url = \"http://me:secret@{address}/v1\"\napi_key_env = \"{variable}\"");
    let (_directory, good) = pipeline(&[("stages.embed", &named("PATH"))]);
    let (code, out) = examined(&good, &support::worker(), Format::Json);
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(code, 0, "{out}");
    assert_eq!(found(&answer, "variable.PATH")["values"]["set"], true);
    assert_eq!(found(&answer, &format!("endpoint.{address}"))["values"]["reached"], true);
    let value = std::env::var("PATH").expect("a search path");
    assert!(!out.contains(&value) && !out.contains("secret"), "a secret is printed: {out}");

    drop(listener);
    let (_directory, bad) = pipeline(&[("stages.embed", &named("DOCMILL_NO_SUCH_KEY"))]);
    let (code, answer) = findings(&bad);
    assert_eq!(code, 4);
    let variable = found(&answer, "variable.DOCMILL_NO_SUCH_KEY");
    assert_eq!((&variable["state"], &variable["mend"]), (&"error".into(), &"export DOCMILL_NO_SUCH_KEY=…".into()));
    assert_eq!(found(&answer, &format!("endpoint.{address}"))["state"], "error");
}
