//! Queues are bounded, and a slow sink stalls the source.

use docmill_testkit::fakes::MemoryStore;

use super::support::{async_chain, chain, finish, run, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_never_exceed_their_capacity() {
    let pipeline = chain(
        "capacity",
        500,
        &[
            ("stages.fetch", "queue = 3"),
            ("stages.parse", "queue = 2"),
            ("stages.split", "queue = 1"),
            ("stages.embed", "queue = 5"),
            ("stages.store", "queue = 2\ndelay = \"1ms\""),
        ],
    );
    let ran = run(&pipeline).await;
    assert_eq!(ran.snapshot.documents.done, 500);
    let mut filled = 0;
    for stage in &ran.snapshot.stages {
        assert!(stage.queue.max <= stage.queue.capacity, "`{}` held {:?}", stage.id, stage.queue);
        filled += u64::from(stage.queue.capacity > 0 && stage.queue.max == stage.queue.capacity);
    }
    assert!(filled >= 3, "nothing was ever full: the test shows nothing");
}

#[tokio::test(start_paused = true)]
async fn a_slow_sink_stalls_the_source() {
    let pipeline = async_chain(
        "stall",
        100_000,
        &[
            ("stages.fetch", "queue = 2\nwidth = 1\nparts = 4"),
            ("stages.embed", "queue = 2\nwidth = 1\nbatch = { items = 4, tokens = 1000, wait = \"1ms\" }"),
            (
                "stages.store",
                "queue = 2\ndelay = \"1h\"\ntimeout = \"10h\"\nbatch = { items = 4, tokens = 1000, wait = \"1ms\" }",
            ),
        ],
    );
    let handle = start(&pipeline).await;
    let view = handle.view();
    // Time is paused: it goes on by itself only when every task waits, so after these seconds all stand still.
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    let before = view.snapshot().documents.seen;
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    let after = view.snapshot().documents.seen;
    assert_eq!(before, after, "the source went on listing");
    // Four records a document: each queue and each pair of hands holds some, and no more.
    assert!(before < 40, "{before} documents were admitted before a sink that takes none");
    handle.commands().send(docmill::control::Command::Stop).await.expect("the run takes commands");
    let ran = finish(handle).await;
    assert_eq!(ran.snapshot.documents.unfinished, before);
    assert!(!MemoryStore::named("stall").is_closed(), "an aborted run builds no index");
}
