use super::*;
use crate::http::keys::Keys;

fn item(uri: &str) -> SourceItem {
    SourceItem { uri: uri.into(), ..SourceItem::default() }
}

fn in_flight() -> InFlight {
    let caller = Keys::default().caller(&axum::http::HeaderMap::new()).expect("no keys, no question");
    caller.takes_one().expect("no quota")
}

async fn put(queue: &Arc<Queue>, share: &str, uri: &str) {
    queue.place(share).await.expect("a place").fill(item(uri), in_flight());
}

#[tokio::test(start_paused = true)]
async fn each_has_its_turn_and_what_was_left_comes_first() {
    let queue = Queue::new(50, vec![item("left")]);
    for uri in ["a1", "a2", "a3"] {
        put(&queue, "a", uri).await;
    }
    put(&queue, "b", "b1").await;
    put(&queue, "b", "b2").await;
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(queue.next().await.uri);
    }
    assert_eq!(order, ["left", "a1", "b1", "a2", "b2", "a3"]);
    assert_eq!(queue.view().length, 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_when_to_come_again_by_how_fast_it_drains() {
    let queue = Queue::new(4, Vec::new());
    for number in 0..4 {
        put(&queue, "a", &number.to_string()).await;
    }
    assert_eq!(queue.place("a").await.err(), Some(NoPlace::Full(UNKNOWN)));
    for number in 0..8 {
        tokio::time::advance(Duration::from_secs(2)).await;
        queue.next().await;
        put(&queue, "a", &number.to_string()).await;
    }
    let view = queue.view();
    assert!((0.4..=0.6).contains(&view.drain_rate), "{view:?}");
    assert!((3..=5).contains(&view.retry_after.as_secs()), "half of 4 at one in 2 s: {view:?}");
    assert_eq!((view.length, view.refused), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn one_who_floods_it_starves_nobody() {
    let queue = Queue::new(10, Vec::new());
    for number in 0..10 {
        put(&queue, "flood", &number.to_string()).await;
    }
    assert!(matches!(queue.place("flood").await, Err(NoPlace::Full(_))), "at once");
    let waits = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { put(&queue, "one", "mine").await }
    });
    tokio::task::yield_now().await;
    queue.next().await;
    // The place that became free is not for who comes first, but for who waits.
    assert!(matches!(queue.place("flood").await, Err(NoPlace::Full(_))));
    waits.await.expect("it got a place");
    let second = queue.next().await.uri;
    let third = queue.next().await.uri;
    assert!([second, third].contains(&"mine".to_owned()), "and its turn");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_given_up_is_free_again() {
    let queue = Queue::new(1, Vec::new());
    let place = queue.place("a").await.expect("a place");
    let begun = Instant::now();
    assert!(matches!(queue.place("a").await, Err(NoPlace::Full(_))));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(matches!(queue.place("b").await, Err(NoPlace::Full(_))), "nothing became free in time");
    assert_eq!(begun.elapsed(), PATIENCE);
    drop(place);
    put(&queue, "b", "b1").await;
    queue.close();
    assert!(matches!(queue.place("a").await, Err(NoPlace::Closed)));
    assert_eq!(queue.next().await.uri, "b1", "what waits is still taken");
}
