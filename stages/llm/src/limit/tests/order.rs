//! Whoever asks first is let through first, and whoever goes away leaves no gap.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Cost, GOOD, Limits, ONE, Settings};

#[tokio::test(start_paused = true)]
async fn first_come_first_served_whatever_the_cost() {
    let limits = Limits::new(Settings { requests_per_minute: Some(600.0), ..Settings::default() }, None);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..40 {
        let (limits, order) = (Arc::clone(&limits), Arc::clone(&order));
        // The large ones fill the bucket by themselves.
        let cost = Cost { requests: if number % 7 == 3 { 10.0 } else { 1.0 }, tokens: 0.0 };
        tasks.push(tokio::spawn(async move {
            let permit = limits.permit(cost).await.unwrap();
            order.lock().unwrap().push(number);
            sleep(Duration::from_millis(700)).await;
            permit.ended(GOOD);
        }));
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_gives_its_place_up() {
    let limits = Limits::new(Settings { concurrency: Some(1), ..Settings::default() }, None);
    let held = limits.permit(ONE).await.unwrap();
    let ask = || {
        let limits = Arc::clone(&limits);
        tokio::spawn(async move { limits.permit(ONE).await })
    };
    let (first, second, third) = (ask(), ask(), ask());
    sleep(Duration::from_millis(10)).await;
    // The one whose turn is next goes just after it was told that it may call; the second just before that.
    second.abort();
    held.ended(GOOD);
    first.abort();
    let begun = Instant::now();
    let permit = third.await.unwrap().unwrap();
    assert_eq!((begun.elapsed(), limits.view().in_flight), (Duration::ZERO, 1));
    drop(permit);
    assert_eq!(limits.view().in_flight, 0);
}
