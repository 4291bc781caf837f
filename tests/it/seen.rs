//! What a run shows of itself while it runs: events, edges, what is in hand, and the last snapshot.

use std::sync::Arc;

use docmill::control::Command;
use docmill::monitor::{EventKind, RunState, Snapshot};
use docmill::runtime::View;

use super::support::{async_chain, chain, finish, run, start};

async fn until(view: &View, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    loop {
        let snapshot = view.snapshot();
        if wanted(&snapshot) {
            return snapshot;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_width_is_an_event_with_who_and_why() {
    let handle = start(&chain("width-events", 100_000, &[("stages.fetch", "width = { min = 2, max = 6 }")])).await;
    let (commands, view) = (handle.commands(), handle.view());
    let set = |stage: &str, width, by: &str| Command::SetWidth {
        stage: stage.into(),
        width,
        by: by.into(),
        why: "it is starved".into(),
    };
    for command in [set("fetch", 5, "you"), set("fetch", 99, "tuner"), set("fetch", 6, "you"), set("nowhere", 3, "you")]
    {
        commands.send(command).await.expect("it runs");
    }
    commands.send(Command::Pause).await.expect("it runs");
    let snapshot = until(&view, |snapshot| snapshot.paused).await;
    assert_eq!(snapshot.state, RunState::Paused);
    let widths: Vec<_> = snapshot.events.iter().filter(|event| event.kind == EventKind::Width).collect();
    let told: Vec<_> = widths.iter().map(|event| (event.by.as_str(), event.from, event.to)).collect();
    // The third changes nothing: it is no event.
    assert_eq!(told, [("you", Some(2), Some(5)), ("tuner", Some(5), Some(6))]);
    assert!(widths.iter().all(|event| event.stage == "fetch" && event.text == "it is starved"));
    let bounds = snapshot.events.iter().find(|event| event.kind == EventKind::Note).expect("99 is out of bounds");
    assert!(bounds.text.contains("2 to 6"), "{}", bounds.text);
    let fetch = snapshot.stage("fetch").expect("it is there");
    assert_eq!((fetch.width, fetch.min, fetch.max), (6, 2, 6));
    commands.send(Command::Stop).await.expect("it runs");
    assert_eq!(finish(handle).await.snapshot.state, RunState::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_edge_tells_its_length_bytes_and_age_and_is_empty_at_the_end() {
    let slow = [(
        "stages.embed",
        "width = 1\nqueue = 10\ndelay = \"40ms\"\nbatch = { items = 1, tokens = 100000, wait = \"1ms\" }",
    )];
    let handle = start(&async_chain("edges", 60, &slow)).await;
    let view = handle.view();
    let snapshot = until(&view, |snapshot| {
        snapshot.edges.iter().any(|edge| edge.to == "embed" && edge.length == 10 && edge.oldest_seconds > 0.2)
    })
    .await;
    let edge = snapshot.edges.iter().find(|edge| edge.to == "embed").expect("it is there");
    assert_eq!((edge.from.as_str(), edge.capacity), ("fetch", 10));
    // Ten records wait for 40 ms each: the oldest no longer than that, and one look more.
    assert!(edge.bytes > 0 && edge.oldest_seconds < 5.0, "{edge:?}");
    let embed = snapshot.stage("embed").expect("it is there");
    assert_eq!((embed.queue.length, embed.queue.bytes), (edge.length, edge.bytes));
    let ran = finish(handle).await;
    assert!(ran.snapshot.edges.iter().all(|edge| edge.length == 0 && edge.bytes == 0 && edge.oldest_seconds == 0.0));
    assert!(ran.snapshot.stages.iter().all(|stage| stage.held_bytes == 0 && stage.in_hand == 0));
    let sent: Vec<u64> = ran.snapshot.edges.iter().map(|edge| edge.sent).collect();
    assert_eq!(sent, [60, 60, 60]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_has_in_hand_is_named_with_its_time() {
    let handle = start(&async_chain("in-hand", 3, &[("stages.fetch", "width = 2\ndelay = \"300ms\"")])).await;
    let view = handle.view();
    let snapshot = until(&view, |snapshot| {
        snapshot.stage("fetch").is_some_and(|fetch| fetch.hands.first().is_some_and(|hand| hand.seconds > 0.1))
    })
    .await;
    let fetch = snapshot.stage("fetch").expect("it is there");
    assert!(fetch.held_bytes == 0 || fetch.in_hand > 0);
    assert!(fetch.hands[0].document.starts_with("test:///"), "{:?}", fetch.hands);
    finish(handle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_snapshot_that_is_published_is_what_the_run_came_to() {
    let handle = start(&chain("published", 500, &[])).await;
    let view = handle.view();
    let published = view.published();
    let mut states = Vec::new();
    let mut watching = published.clone();
    let watched = tokio::spawn(async move {
        while watching.changed().await.is_ok() {
            states.push(watching.borrow_and_update().state);
        }
        states
    });
    let ran = finish(handle).await;
    let last: Arc<Snapshot> = Arc::clone(&published.borrow());
    assert_eq!(last.state, RunState::Completed);
    assert_eq!((last.documents, last.rows), (ran.snapshot.documents, ran.snapshot.rows));
    assert!(last.host.cpus > 0.0 && last.host.rss_bytes > 0, "{:?}", last.host);
    assert!(last.document_ms.max >= last.document_ms.p50 && last.document_ms.p50 > 0.0, "{:?}", last.document_ms);
    assert_eq!(last.slowest.len(), 10);
    // As JSON it is the same thing: recording, socket and interface read it so.
    let json = serde_json::to_string(&*last).expect("written");
    let read: Snapshot = serde_json::from_str(&json).expect("read");
    assert_eq!(read.stages.len(), last.stages.len());
    assert_eq!((read.documents, read.state, read.version), (last.documents, last.state, 1));
    drop((view, published));
    assert_eq!(watched.await.expect("it ends").last(), Some(&RunState::Completed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_told_by_class_and_by_document() {
    let ran =
        run(&chain("classes", 40, &[("stages.parse", "what = \"reject\"\non = [\"1\", \"2\", \"3\", \"4\"]")])).await;
    let parse = ran.snapshot.stage("parse").expect("it is there");
    assert_eq!(parse.errors.get("rejected"), Some(&4), "{:?}", parse.errors);
    assert_eq!(ran.snapshot.failures.len(), 4);
    let events = ran.snapshot.events.iter().filter(|event| event.kind == EventKind::Failure && event.stage == "parse");
    assert_eq!(events.count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_width_is_handed_over_while_it_runs() {
    let handle = start(&chain("hand-over", 100_000, &[("stages.fetch", "width = 2")])).await;
    let (commands, view) = (handle.commands(), handle.view());
    assert!(!view.snapshot().stage("fetch").expect("it is there").auto);
    commands.send(Command::HandOver { stage: "fetch".into(), by: "you".into() }).await.expect("it runs");
    let snapshot = until(&view, |snapshot| snapshot.stage("fetch").is_some_and(|fetch| fetch.auto)).await;
    assert!(snapshot.stages.iter().filter(|stage| stage.id != "fetch").all(|stage| !stage.auto));
    let told = |event: &docmill::monitor::Event| event.kind == EventKind::HandOver && event.stage == "fetch";
    until(&view, |snapshot| snapshot.events.iter().any(told)).await;
    commands.send(Command::Stop).await.expect("it runs");
    finish(handle).await;
}
