//! Where the sink and the search work.

use std::pin::pin;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

use super::*;

/// Whether there are this many rows before long, seen by another thread.
fn are_there(base: &Path, rows: usize) -> bool {
    let base = base.to_owned();
    let seen = std::thread::spawn(move || {
        let watcher = Builder::new_current_thread().enable_all().build().expect("an event loop");
        let are_there = async {
            while count(&base).await != rows {
                sleep(Duration::from_millis(5)).await;
            }
        };
        watcher.block_on(async { timeout(Duration::from_secs(30), are_there).await })
    });
    seen.join().expect("watched").is_ok()
}

#[tokio::test(flavor = "current_thread")]
async fn a_write_goes_on_while_the_event_loop_it_was_asked_from_is_busy() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let made = document("file:///a.txt", "one");

    let cx = Context::detached();
    let mut writing = pin!(sink.write(&cx, vec![chunks(&made, "one", 0..3)]));
    assert!(futures::poll!(writing.as_mut()).is_pending());
    // This blocks the only thread that the caller's loop has.
    assert!(are_there(base.path(), 3), "the rows of a write that nobody polls");

    assert_eq!(writing.await.into_iter().map(|outcome| outcome.expect("written")).sum::<u64>(), 3);
    close(&sink).await;
    assert_eq!(reader(base.path()).await.info().await.expect("read").rows, 3);
}
