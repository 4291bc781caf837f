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

#[tokio::test(start_paused = true)]
async fn an_overload_uses_up_no_attempt_and_is_held_time() {
    let lines = "on = [\"*\"]\nwhat = \"overload\"\ntimes = 9\nretry = { attempts = 1 }";
    let ran = run(&async_chain("overload", 5, &[("stages.fetch", lines)])).await;
    assert_eq!(ran.snapshot.documents.done, 5);
    let fetch = ran.snapshot.stages.iter().find(|stage| stage.id == "fetch").expect("it is there");
    assert_eq!((fetch.retries, fetch.failed), (45, 0));
    assert!(fetch.held_by["provider"] > 5.0 && fetch.held_by["retry"] == 0.0, "{:?}", fetch.held_by);
}

#[tokio::test(start_paused = true)]
async fn an_overload_without_end_winds_the_run_down_and_fails_nobody() {
    let lines = "on = [\"3\"]\nwhat = \"overload\"\nretry = { total = \"1m\" }";
    let ran = finish(start(&async_chain("overloaded", 5, &[("stages.embed", lines)])).await).await;
    assert!(
        matches!(&ran.end, RunEnd::Fatal { stage, error } if stage == "embed" && error.message.contains("`retry.total`")),
        "{:?}",
        ran.end
    );
    assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.unfinished), (4, 1), "{:?}", ran.tally.failures);
}

#[tokio::test(start_paused = true)]
async fn what_needs_nothing_of_what_is_used_up_is_finished() {
    let lines = "on = [\"3\"]\nwhat = \"exhausted\"";
    let ran = finish(start(&async_chain("exhausted", 5, &[("stages.fetch", lines)])).await).await;
    assert!(matches!(&ran.end, RunEnd::Fatal { stage, .. } if stage == "fetch"), "{:?}", ran.end);
    let documents = ran.snapshot.documents;
    assert_eq!(
        (documents.failed, documents.done + documents.unfinished),
        (0, documents.seen),
        "{:?}",
        ran.tally.failures
    );
    assert!(documents.unfinished >= 1);
}

/// Every worker of the stage has a document that keeps failing; the others pass all the same.
#[tokio::test(start_paused = true)]
async fn documents_that_keep_failing_hold_up_nobody() {
    let lines = "on = [\"1\", \"2\", \"3\", \"4\"]\nwhat = \"transient\"\nwidth = 2\nretry = { attempts = 4, min = \"1m\", max = \"2m\", total = \"1h\" }";
    let handle = start(&async_chain("starve", 40, &[("stages.fetch", lines)])).await;
    let view = handle.view();
    let begun = tokio::time::Instant::now();
    while view.snapshot().documents.done < 36 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "before any of the four is tried again");
    assert_eq!(finish(handle).await.snapshot.documents.failed, 4);
}
