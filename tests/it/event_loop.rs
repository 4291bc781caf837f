//! Nothing blocks the event loop.

use std::time::Duration;

use super::support::{chain, finish, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_poll_takes_ten_milliseconds_while_the_cpu_is_busy() {
    let pipeline = chain("polls", 60, &[("stages.parse", "spin = \"15ms\""), ("stages.fetch", "size = 200000")]);
    let handle = start(&pipeline).await;
    let view = handle.view();
    let ran = finish(handle).await;
    assert_eq!(ran.snapshot.documents.done, 60);
    let longest = view.longest_poll();
    assert!(longest > Duration::ZERO, "polls were not watched");
    assert!(longest < Duration::from_millis(10), "a poll took {longest:?} of CPU time");
}
