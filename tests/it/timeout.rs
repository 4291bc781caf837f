//! A timeout really stops the work: a child is killed, a thread stops at its next step, an async call is dropped.

use docmill::runtime::RunEnd;

use super::support::{Ran, async_chain, chain, finish, run, start};

fn parse(ran: &Ran) -> &docmill::monitor::StageSnapshot {
    ran.snapshot.stages.iter().find(|stage| stage.id == "parse").expect("it is there")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_never_returns_is_killed_and_the_next_document_gets_a_new_one() {
    let lines = "isolation = \"process\"\nwidth = 1\ntimeout = \"300ms\"\non = [\"2\"]\nwhat = \"hang\"";
    let ran = run(&chain("hang", 5, &[("stages.parse", lines)])).await;
    assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (4, 1));
    assert_eq!(ran.tally.failures[0].reason, "timed out after 300ms");
    assert_eq!((parse(&ran).timeouts, parse(&ran).workers.timed_out), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_aborts_costs_its_document_alone() {
    let lines = "isolation = \"process\"\nwidth = 2\non = [\"2\", \"5\"]\nwhat = \"abort\"";
    let ran = run(&chain("abort", 8, &[("stages.parse", lines)])).await;
    assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (6, 2));
    assert!(ran.tally.failures[0].reason.starts_with("crashed with signal 6"), "{}", ran.tally.failures[0].reason);
    assert_eq!(parse(&ran).workers.crashed, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_gives_what_a_thread_gives() {
    let here = run(&chain("here", 10, &[("stages.split", "parts = 3")])).await;
    let apart =
        run(&chain("apart", 10, &[("stages.split", "parts = 3\nisolation = \"process\"\nmemory = \"512MiB\"")])).await;
    assert_eq!((here.snapshot.rows, apart.snapshot.rows), (30, 30));
    let rows = |store: &str| docmill_testkit::fakes::MemoryStore::named(store).rows();
    assert_eq!(rows("here"), rows("apart"), "documents, ordinals and versions are the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_never_ends_is_cancelled_at_its_next_step() {
    let lines = "timeout = \"200ms\"\non = [\"1\"]\nwhat = \"spin\"";
    let ran = run(&chain("spin", 6, &[("stages.parse", lines)])).await;
    assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (5, 1));
    assert_eq!(ran.tally.failures[0].reason, "timed out after 200ms");
}

#[tokio::test(start_paused = true)]
async fn an_async_call_that_hangs_is_dropped_tried_again_and_given_up() {
    let lines = "timeout = \"60s\"\nretry = { attempts = 3 }\non = [\"0\"]\nwhat = \"hang\"";
    let ran = run(&async_chain("async-hang", 3, &[("stages.fetch", lines)])).await;
    assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (2, 1));
    let failure = &ran.tally.failures[0];
    assert_eq!((failure.reason.as_str(), failure.attempts), ("timed out after 1m", 3));
    let fetch = ran.snapshot.stages.iter().find(|stage| stage.id == "fetch").expect("it is there");
    assert_eq!((fetch.timeouts, fetch.retries), (3, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_that_are_all_held_by_steps_without_end_stop_the_run_and_say_so() {
    let lines = "timeout = \"100ms\"\non = [\"1\", \"4\"]\nwhat = \"hang\"";
    let ran = finish(start(&chain("stuck", 50, &[("stages.parse", lines)])).await).await;
    let RunEnd::Fatal { stage, error } = &ran.end else { panic!("{:?}", ran.end) };
    assert!(stage == "parse" && error.message.contains("isolation = \"process\""), "{error}");
    // Both may have been counted by the time the run was stopped; nothing else failed.
    assert!(
        ran.snapshot.documents.failed <= 2 && ran.snapshot.documents.unfinished > 0,
        "{:?}",
        ran.snapshot.documents
    );
}
