//! The test binary as a stage worker: the engine starts it again with the switch set, and it serves frames instead of
//! testing.

/// The variable that tells this binary to be a stage worker.
pub(crate) const SWITCH: &str = "DOCMILL_TEST_STAGE_WORKER";

#[test]
fn entry() {
    if std::env::var_os(SWITCH).is_some() {
        docmill::runtime::serve_stage_worker(&super::support::registry()).expect("the engine speaks frames");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_has_no_files_no_network_and_no_programs() {
    use super::support::{chain, run};

    let escape = "on = [\"*\"]\nwhat = \"escape\"";
    let ran = run(&chain("escape-thread", 1, &[("stages.parse", escape)])).await;
    let open = &ran.tally.failures[0].reason;
    for way in ["read a file", "write a file", "list the root", "start a program", "use the network"] {
        assert!(open.contains(way), "a thread may, or this test proves nothing: {open}");
    }
    let isolated = format!("isolation = \"process\"\n{escape}");
    let ran = run(&chain("escape", 20, &[("stages.parse", &isolated)])).await;
    let reasons: Vec<&str> = ran.tally.failures.iter().map(|failure| failure.reason.as_str()).collect();
    let expected = if super::doctor::children_are_shut_in() { (20, 0) } else { (0, 20) };
    assert_eq!((ran.snapshot.documents.done, reasons.len()), expected, "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_is_replaced_after_many_documents() {
    use super::support::{chain, run};

    let lines = "isolation = \"process\"\nwidth = 1";
    let ran = run(&chain("recycled", 1_100, &[("stages.parse", lines)])).await;
    assert_eq!(ran.snapshot.documents.done, 1_100);
    let parse = ran.snapshot.stages.iter().find(|stage| stage.id == "parse").expect("it is there");
    assert_eq!((parse.workers.crashed, parse.workers.timed_out), (0, 0), "an old child is no dead one");
}
