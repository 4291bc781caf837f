//! Load: a run keeps the pace and the number of documents at once that it is given, and `docmill load` tells what came of
//! it, by its exit code as well.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use clap::Parser;
use docmill::cli::load;
use docmill::control::Pace;
use docmill::load::places::Places;
use docmill::load::profile::{Clock, Profile};
use docmill::runtime::{RunEnd, RuntimeOptions, Topology};
use docmill_api::{
    BuildContext, Context, Node, Outputs, Record, Registry, Stage, StageError, StageFactory, StageSpec, async_trait,
};
use serde_json::Value;
use tokio::time::Instant;

use super::support::{async_chain, chain, finish, options, plan, plan_with, registry};

#[derive(Debug)]
struct Paced(Clock);

#[async_trait]
impl Pace for Paced {
    async fn turn(&self) {
        self.0.turn().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_takes_documents_in_at_the_rate_that_it_is_given() {
    let pace: Arc<dyn Pace> = Arc::new(Paced(Clock::new(Profile::steady(Some(40.0), None))));
    let options = RuntimeOptions { pace: Some(pace), ..options() };
    let topology = Topology::build(plan(&async_chain("load-rate", 400, &[])), &registry(), &options).await;
    let began = Instant::now();
    let ran = finish(topology.expect("the fakes are built").run()).await;
    let took = began.elapsed().as_secs_f64();
    assert_eq!(ran.snapshot.documents.done, 400);
    let rate = 400.0 / took;
    assert!((38.0..42.0).contains(&rate), "{rate} documents a second instead of 40");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_told_to_end_does_not_wait_for_its_pace() {
    let pace: Arc<dyn Pace> = Arc::new(Paced(Clock::new(Profile::steady(Some(1.0 / 60.0), None))));
    let options = RuntimeOptions { pace: Some(pace), ..options() };
    let topology = Topology::build(plan(&async_chain("load-drain", 400, &[])), &registry(), &options).await;
    let handle = topology.expect("the fakes are built").run();
    let (began, commands) = (Instant::now(), handle.commands());
    tokio::time::sleep(Duration::from_secs(90)).await;
    commands.send(docmill::control::Command::Drain).await.expect("it is running");
    let ran = finish(handle).await;
    assert!(matches!(ran.end, RunEnd::Drained), "{:?}", ran.end);
    assert_eq!(ran.snapshot.documents.done, 2, "one at once, one after a minute");
    assert!(began.elapsed() < Duration::from_secs(100), "{:?}", began.elapsed());
}

/// A stage that counts how many records are in it at once.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[async_trait]
impl StageFactory for Counting {
    type Config = Value;
    const KIND: &'static str = "counting";
    const REVISION: u32 = 1;

    fn spec() -> StageSpec {
        StageSpec { width: Some(64), fields: Vec::new(), ..registry().get("null").expect("a fake").spec() }
    }

    async fn build(_config: Value, _cx: &BuildContext) -> Result<Node, StageError> {
        struct Counted;
        #[async_trait]
        impl Stage for Counted {
            async fn process(&self, _cx: &Context, input: Record) -> Result<Outputs, StageError> {
                MOST.fetch_max(NOW.fetch_add(1, SeqCst) + 1, SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
                NOW.fetch_sub(1, SeqCst);
                Ok(Outputs::one(input))
            }
        }
        Ok(Node::Io(Arc::new(Counted)))
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_documents_are_under_way_than_there_are_places() {
    let mut registry = registry();
    registry.add::<Counting>();
    let chain = async_chain("load-places", 300, &[("stages.embed", "inputs = [\"count\"]")]);
    let text = chain + "[stages.count]\nkind = \"counting\"\ninputs = [\"fetch\"]\nwidth = 64\n";
    let places = Arc::new(Places::new(64, 12));
    let options = RuntimeOptions { places: places.semaphore(), ..options() };
    let topology = Topology::build(plan_with(&text, &registry), &registry, &options).await;
    let handle = topology.expect("the stages are built").run();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(MOST.load(SeqCst), 12, "all places are taken, and no more");
    places.set(5).await;
    MOST.store(0, SeqCst);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(MOST.load(SeqCst), 5, "fewer places, fewer documents");
    places.set(40).await;
    let ran = finish(handle).await;
    assert_eq!(ran.snapshot.documents.done, 300);
    let most = MOST.load(SeqCst);
    assert!(most > 12 && most <= 40, "{most} with forty places");
}

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    args: load::Args,
}

/// A pipeline of fakes in a directory, loaded with options; exit code, standard output and standard error.
fn loaded(directory: &Path, text: &str, options: &[&str]) -> (u8, String, String) {
    std::fs::write(directory.join("pipeline.toml"), text).expect("written");
    let pipeline = directory.join("pipeline.toml").to_string_lossy().into_owned();
    let line =
        ["load", pipeline.as_str(), "--ui", "none", "--median-size", "512B"].into_iter().chain(options.iter().copied());
    let args = Program::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).args;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let registry: Registry = registry();
    let code = load::run(args, &registry, &mut out, &mut err).unwrap_or_else(|error| panic!("{error:#}"));
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (code, text(out), text(err))
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn a_threshold_that_is_missed_is_an_exit_code_and_a_line() {
    let (directory, text) = (directory(), chain("load-missed", 1, &[]));
    let options = ["--documents", "40", "--into", "null", "--threshold", "p95<1min", "--threshold", "max<1us"];
    let (code, out, err) = loaded(directory.path(), &text, &options);
    assert_eq!(code, docmill::cli::THRESHOLD, "{out}\n{err}");
    let line =
        |of: &str| out.lines().find(|line| line.starts_with(of)).unwrap_or_else(|| panic!("{of}: {out}")).to_owned();
    assert!(line("p95<").ends_with("ok") && line("max<").ends_with("missed"), "{out}");
    assert!(
        out.contains("FORMAT") && out.contains("40 documents") && err.contains("1 of 2 thresholds missed"),
        "{err}"
    );
    let (code, _, err) =
        loaded(directory.path(), &text, &["--documents", "40", "--into", "null", "--threshold", "failed<1"]);
    assert_eq!(code, 0, "{err}");
    // Nothing of the tests stays but their recordings: neither state nor store.
    let entries = |of: &Path| {
        let read = std::fs::read_dir(of).expect("read").flatten();
        let mut paths: Vec<PathBuf> = read.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let state = directory.path().join(".docmill");
    assert_eq!(entries(directory.path()), [state.clone(), directory.path().join("pipeline.toml")]);
    assert_eq!(entries(&state), [state.join("runs")]);
    assert_eq!(entries(&state.join("runs")).len(), 2);
}

#[test]
fn failures_are_an_exit_code_unless_a_threshold_speaks_of_them() {
    let (directory, text) =
        (directory(), chain("load-failures", 1, &[("stages.parse", "on = [\"*\"]\nwhat = \"reject\"")]));
    let all = ["--documents", "5", "--into", "null"];
    assert_eq!(loaded(directory.path(), &text, &all).0, 1);
    let allowed = ["--documents", "5", "--into", "null", "--threshold", "errors<=100%"];
    assert_eq!(loaded(directory.path(), &text, &allowed).0, 0);
    let refused = ["--documents", "5", "--into", "null", "--threshold", "errors<1%"];
    assert_eq!(loaded(directory.path(), &text, &refused).0, docmill::cli::THRESHOLD);
}

#[test]
fn steps_are_told_one_by_one_and_the_knee_is_found() {
    let directory = directory();
    // A hundred documents a second at most.
    let slow = "width = 1\ndelay = \"10ms\"\nbatch = { items = 1 }";
    let text = chain("load-knee", 1, &[("stages.embed", slow), ("stages.split", "parts = 1")]);
    let (report, record) = (directory.path().join("load.json"), directory.path().join("run.jsonl"));
    let (report_text, record_text) = (report.to_string_lossy().into_owned(), record.to_string_lossy().into_owned());
    let profile = "30/s for 1s, 400/s for 1s";
    let options = ["--profile", profile, "--warmup", "500ms", "--into", "null", "--format", "json"];
    let files = ["--report", report_text.as_str(), "--record", record_text.as_str()];
    let (code, out, err) = loaded(directory.path(), &text, &[&options[..], &files[..]].concat());
    assert_eq!(code, 0, "{err}");
    let found: Value = serde_json::from_str(&out).expect("JSON");
    let steps = found["steps"].as_array().expect("steps");
    let (warm, first, second, rest) = (&steps[0], &steps[1], &steps[2], &steps[3]);
    assert_eq!((&warm["warm_up"], &warm["offered"], &rest["finishing"]), (&true.into(), &30.0.into(), &true.into()));
    let near = |step: &Value, field: &str, wanted: f64| {
        let value = step[field].as_f64().expect("a number");
        assert!((value - wanted).abs() < wanted / 5.0, "{field}: {value} instead of {wanted}: {out}");
    };
    near(first, "taken_in", 30.0);
    near(second, "offered", 400.0);
    assert!(second["achieved"].as_f64() < Some(130.0), "{out}");
    assert_eq!(second["bottleneck"]["stage"], "embed");
    assert_eq!((&found["load"]["knee"]["kept_up"], &found["load"]["knee"]["fell_behind"]), (&1.into(), &2.into()));
    assert_eq!((&found["version"], &found["report"]["version"]), (&1.into(), &1.into()));
    let whole: Value = serde_json::from_slice(&std::fs::read(report).expect("written")).expect("JSON");
    assert_eq!(whole, found);
    let recorded = std::fs::read(record).expect("recorded");
    let recording = docmill::monitor::Recording::read(recorded.as_slice()).expect("a recording");
    assert!(recording.report.is_some() && recording.last().is_some_and(|last| last.state.is_over()));
}

#[test]
fn documents_that_are_named_are_taken_again_until_there_are_enough() {
    let directory = directory();
    let text = chain("load-named", 3, &[]);
    let options = ["anything", "--documents", "20", "--into", "null", "--format", "json"];
    let (code, out, err) = loaded(directory.path(), &text, &options);
    assert_eq!(code, 0, "{err}");
    let found: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&found["load"]["different_documents"], &found["load"]["made_up"]), (&3.into(), &false.into()));
    assert_eq!(found["report"]["documents"]["done"], 20);
    assert!(err.contains("again and again up to 20"), "{err}");
}

#[test]
fn a_step_of_documents_at_once_ends_when_its_time_is_up() {
    let directory = directory();
    let text = chain("load-at-once", 1, &[("stages.fetch", "delay = \"20ms\"")]);
    let options = ["--profile", "1 at once for 600ms, 4 at once for 600ms", "--documents", "5", "--into", "null"];
    let (code, out, err) = loaded(directory.path(), &text, &[&options[..], &["--format", "json"]].concat());
    assert_eq!(code, 0, "the end of the last step is no interruption: {err}");
    let found: Value = serde_json::from_str(&out).expect("JSON");
    let documents = |step: usize| found["steps"][step]["documents"].as_u64().expect("a count");
    assert!(documents(0) > 3 && documents(1) > documents(0) * 2, "{out}");
    assert!(err.contains("as long as the steps last"), "{err}");
    assert_eq!((&found["report"]["documents"]["unfinished"], &found["load"]["completed"]), (&0.into(), &true.into()));
}

#[test]
fn a_store_that_cannot_be_elsewhere_is_refused_before_anything_is_made() {
    let (directory, text) = (directory(), chain("load-elsewhere", 1, &[]));
    let kept = directory.path().join("kept").to_string_lossy().into_owned();
    let (code, _, err) = loaded(directory.path(), &text, &["--keep", &kept]);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("hint: `--into null`") && !Path::new(&kept).exists(), "{err}");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    let refused = |options: &[&str], why: &str| {
        let line = ["load"].into_iter().chain(options.iter().copied());
        let error = Program::try_parse_from(line).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(why), "{options:?}: {error}");
    };
    refused(&["--threshold", "p90<1s"], "thresholds are `p50<200ms`");
    refused(&["--profile", "10/s"], "`for` how long");
    refused(&["--rate", "fast"], "is no rate");
    refused(&["--formats", "xls=1"], "no format that is made");
    refused(&["--concurrency", "0"], "from 1 to");
    refused(&["--rate", "5/s", "--profile", "10/s for 1s"], "cannot be used with");
    refused(&["--median-size", "1B"], "out of bounds");
}

#[tokio::test]
async fn documents_within_others_come_in_where_there_is_one_place() {
    let places = Arc::new(Places::new(1, 1));
    let text = chain("load-within", 5, &[("stages.fetch", "within = 3")]);
    let options = RuntimeOptions { places: places.semaphore(), ..options() };
    let topology = Topology::build(plan(&text), &registry(), &options).await;
    let ran = tokio::time::timeout(Duration::from_secs(60), finish(topology.expect("the fakes are built").run())).await;
    assert_eq!(ran.expect("it ends").snapshot.documents.done, 20);
}
