//! What the tests share: a pipeline from text, run to its end on the real engine with fake stages.

use std::path::PathBuf;

use docmill::config;
use docmill::monitor::{Snapshot, Tally};
use docmill::plan::{Machine, Plan};
use docmill::runtime::{RunEnd, RunHandle, RuntimeOptions, Topology, WorkerProgram};
use docmill_api::Registry;

/// Every fake stage, and no real one.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    docmill_testkit::fakes::register(&mut registry);
    registry
}

/// A pipeline from text.
pub(crate) fn plan(text: &str) -> Plan {
    plan_with(text, &registry())
}

/// A pipeline from text, with stages of the caller's.
pub(crate) fn plan_with(text: &str, registry: &Registry) -> Plan {
    let base = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let raw = config::parse("test.toml", base, text.to_owned(), &[], std::iter::empty(), registry);
    let raw = raw.unwrap_or_else(|complaints| panic!("{}", config::render_all(&complaints)));
    let planned = Plan::from_raw(&raw, registry, Machine { cpus: 2 });
    planned.unwrap_or_else(|complaints| panic!("{}", config::render_all(&complaints))).0
}

/// This test binary, as a stage worker (see `child.rs`).
pub(crate) fn worker() -> WorkerProgram {
    WorkerProgram {
        program: std::env::current_exe().expect("a running test has a file"),
        arguments: ["child::entry", "--exact", "--nocapture", "--test-threads=1"].map(Into::into).to_vec(),
        variables: vec![(super::child::SWITCH.into(), "1".into())],
    }
}

pub(crate) fn options() -> RuntimeOptions {
    RuntimeOptions { results: true, watch_polls: true, ..RuntimeOptions::new(worker()) }
}

/// Builds and starts a pipeline.
pub(crate) async fn start(text: &str) -> RunHandle {
    Topology::build(plan(text), &registry(), &options()).await.expect("the fakes are built").run()
}

/// How a run ended.
pub(crate) struct Ran {
    pub(crate) end: RunEnd,
    pub(crate) snapshot: Snapshot,
    pub(crate) tally: Tally,
}

/// Waits for a run's end.
pub(crate) async fn finish(handle: RunHandle) -> Ran {
    let view = handle.view();
    let end = handle.wait().await;
    let (snapshot, tally) = (view.snapshot(), view.tally());
    let documents = snapshot.documents;
    assert_eq!(
        documents.seen,
        documents.done
            + documents.unchanged
            + documents.skipped
            + documents.failed
            + documents.cancelled
            + documents.unfinished,
        "the identity of the counts"
    );
    Ran { end, snapshot, tally }
}

/// Runs a pipeline to its end.
pub(crate) async fn run(text: &str) -> Ran {
    let ran = finish(start(text).await).await;
    assert!(matches!(ran.end, RunEnd::Completed), "{:?}", ran.end);
    ran
}

/// A graph without the CPU pool, for tests on paused time: the clock stands still while tasks work, and cannot know of
/// work in a thread. Source, fetch (which gives chunks), embed, sink.
pub(crate) fn async_chain(store: &str, count: usize, extra: &[(&str, &str)]) -> String {
    let tables = vec![
        ("run", "memory = \"64MiB\"\ncpu_threads = 1\ndrain = \"5s\"".to_owned()),
        ("stages.source", format!("kind = \"fake-source\"\ncount = {count}")),
        ("stages.fetch", "kind = \"fake-read\"\ninputs = [\"source\"]".to_owned()),
        ("stages.embed", "kind = \"fake-embed\"\ninputs = [\"fetch\"]".to_owned()),
        ("stages.store", format!("kind = \"fake-sink\"\ninputs = [\"embed\"]\nstore = \"{store}\"")),
    ];
    with(tables, extra)
}

/// A graph of all fakes: source, fetch, parse, split, embed, sink. `extra` is added to the table that it names.
pub(crate) fn chain(store: &str, count: usize, extra: &[(&str, &str)]) -> String {
    let tables = vec![
        ("run", "memory = \"64MiB\"\ncpu_threads = 2\ndrain = \"5s\"".to_owned()),
        ("stages.source", format!("kind = \"fake-source\"\ncount = {count}")),
        ("stages.fetch", "kind = \"fake-fetch\"\ninputs = [\"source\"]".to_owned()),
        ("stages.parse", "kind = \"fake-parse\"\ninputs = [\"fetch\"]".to_owned()),
        ("stages.split", "kind = \"fake-split\"\ninputs = [\"parse\"]\nparts = 4".to_owned()),
        ("stages.embed", "kind = \"fake-embed\"\ninputs = [\"split\"]".to_owned()),
        ("stages.store", format!("kind = \"fake-sink\"\ninputs = [\"embed\"]\nstore = \"{store}\"")),
    ];
    with(tables, extra)
}

fn with(mut tables: Vec<(&str, String)>, extra: &[(&str, &str)]) -> String {
    for (table, lines) in extra {
        let (_, body) = tables.iter_mut().find(|(name, _)| name == table).expect("a table of the chain");
        for line in lines.lines() {
            let key = line.split('=').next().unwrap_or_default().trim().to_owned();
            *body = body
                .lines()
                .filter(|old| old.split('=').next().unwrap_or_default().trim() != key)
                .collect::<Vec<_>>()
                .join("\n");
            body.push('\n');
            body.push_str(line);
        }
    }
    tables.into_iter().map(|(name, body)| format!("[{name}]\n{body}\n")).collect()
}
