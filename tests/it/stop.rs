//! Stopping is clean: a drain finishes what is in hand, within its time; a stop leaves it unfinished.

use docmill::control::Command;
use docmill::runtime::RunEnd;
use docmill_testkit::fakes::MemoryStore;

use super::support::{async_chain, chain, finish, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_finishes_what_is_in_hand_and_lists_no_more() {
    let handle = start(&chain("drain", 1_000_000, &[])).await;
    let view = handle.view();
    while view.snapshot().documents.done == 0 {
        tokio::task::yield_now().await;
    }
    handle.commands().send(Command::Drain).await.expect("it runs");
    let ran = finish(handle).await;
    assert!(matches!(ran.end, RunEnd::Drained), "{:?}", ran.end);
    let documents = ran.snapshot.documents;
    assert!(documents.seen < 1_000_000 && documents.unfinished == 0, "{documents:?}");
    assert_eq!(MemoryStore::named("drain").rows().len() as u64, documents.done * 4);
    assert!(MemoryStore::named("drain").is_closed(), "a drained run leaves an index");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_too_long_ends_in_a_stop() {
    let handle = start(&async_chain(
        "too-long",
        1000,
        &[("stages.fetch", "delay = \"1h\"\ntimeout = \"9h\""), ("run", "drain = \"2s\"")],
    ))
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    handle.commands().send(Command::Drain).await.expect("it runs");
    let began = tokio::time::Instant::now();
    let ran = finish(handle).await;
    assert!(matches!(ran.end, RunEnd::Stopped), "{:?}", ran.end);
    assert_eq!(began.elapsed().as_secs(), 2);
    assert_eq!(ran.snapshot.documents.done, 0);
    assert_eq!(ran.snapshot.documents.unfinished, ran.snapshot.documents.seen);
}

#[tokio::test(start_paused = true)]
async fn a_paused_run_admits_nothing_until_it_is_resumed() {
    let handle = start(&async_chain("pause", 2000, &[("stages.fetch", "delay = \"10ms\"\nwidth = 1")])).await;
    let (commands, view) = (handle.commands(), handle.view());
    commands.send(Command::Pause).await.expect("it runs");
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    let seen = view.snapshot().documents.seen;
    assert!(seen < 2000 && view.snapshot().paused && !view.snapshot().listed);
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    assert_eq!(view.snapshot().documents.seen, seen);
    commands.send(Command::Resume).await.expect("it runs");
    let ran = finish(handle).await;
    assert_eq!(ran.snapshot.documents.done, 2000);
    assert!(ran.snapshot.listed);
}
