//! What is worth another attempt gets one; what is not ends at once.

use docmill::runtime::RunEnd;

use super::support::{async_chain, chain, finish, run, start};

#[tokio::test(start_paused = true)]
async fn a_transient_error_is_tried_again_and_counted() {
    let lines = "on = [\"1\", \"2\"]\nwhat = \"transient\"\ntimes = 2";
    let ran = run(&async_chain("transient", 5, &[("stages.fetch", lines)])).await;
    assert_eq!(ran.snapshot.documents.done, 5);
    let fetch = ran.snapshot.stages.iter().find(|stage| stage.id == "fetch").expect("it is there");
    assert_eq!((fetch.retries, fetch.failed), (4, 0));
    assert!(fetch.held_by["retry"] >= 0.8, "four delays of at least 200 ms are held time: {:?}", fetch.held_by);
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_and_only_the_failed_items_of_a_batch_are_tried_again() {
    let lines = "on = [\"1\"]\nwhat = \"transient\"\nretry = { attempts = 4 }";
    let ran = run(&async_chain("give-up", 5, &[("stages.embed", lines)])).await;
    assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (4, 1));
    assert_eq!(ran.tally.failures[0].attempts, 4);
    assert_eq!(ran.tally.failures[0].class, "transient");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_document_is_not_tried_again() {
    let ran = run(&chain("rejected", 3, &[("stages.fetch", "on = [\"*\"]\nwhat = \"reject\"")])).await;
    assert_eq!(ran.snapshot.documents.failed, 3);
    assert!(ran.tally.failures.iter().all(|failure| failure.attempts == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fatal_error_stops_the_run_and_fails_no_document() {
    let handle = start(&chain("fatal", 10_000, &[("stages.embed", "on = [\"50\"]\nwhat = \"fatal\"")])).await;
    let ran = finish(handle).await;
    assert!(
        matches!(&ran.end, RunEnd::Fatal { stage, error } if stage == "embed" && error.message == "told to stop the run")
    );
    assert_eq!(ran.snapshot.documents.failed, 0, "what was in hand is unfinished: it can be taken up again");
    assert!(ran.snapshot.documents.unfinished > 0 && ran.snapshot.documents.seen < 10_000);
}
