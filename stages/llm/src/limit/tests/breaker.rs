//! A service that does not answer is left alone, and one that merely fails now and then is not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{GOOD, Limits, ONE, Outcome, Random, Settings};

const LATENCY: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn opens_once_around_a_service_that_is_gone_for_20_s() {
    let limits = Limits::new(Settings::default(), None);
    let begun = Instant::now();
    let (gone, back) = (begun + Duration::from_secs(10), begun + Duration::from_secs(30));
    let sent_while_gone = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..20 {
        let (limits, sent_while_gone) = (Arc::clone(&limits), Arc::clone(&sent_while_gone));
        tokio::spawn(async move {
            loop {
                let permit = match limits.permit(ONE).await {
                    Ok(permit) => permit,
                    Err(open) => {
                        sleep(open.after).await;
                        continue;
                    }
                };
                if (gone..back).contains(&Instant::now()) {
                    sent_while_gone.lock().unwrap().push(begun.elapsed());
                    sleep(Duration::from_millis(1)).await;
                    permit.ended(Outcome::Unreachable);
                    sleep(LATENCY).await;
                } else {
                    sleep(LATENCY).await;
                    permit.ended(GOOD);
                }
            }
        });
    }
    sleep(Duration::from_secs(12)).await;
    let view = limits.view();
    assert_eq!((view.breaker, view.opened), ("open", 1));
    assert!(view.next_try.is_some());
    sleep(Duration::from_secs(48)).await;
    let view = limits.view();
    assert_eq!((view.breaker, view.opened, view.in_flight), ("ok", 1, 20));
    // In the first round trip there are still answers of before, and everyone may find out by himself; then come the probes.
    let sent = sent_while_gone.lock().unwrap();
    let probes = sent.iter().filter(|at| **at > Duration::from_secs(11)).count();
    assert!((1..=10).contains(&probes), "{probes}");
    assert!(sent.len() - probes <= 40, "{}", sent.len());
}

#[tokio::test(start_paused = true)]
async fn one_failure_in_ten_does_not_open_it() {
    let after = Some(Duration::from_secs(1));
    for failure in [Outcome::Failed, Outcome::Overloaded { after: None }, Outcome::Overloaded { after }] {
        one_in_ten_does_not_open_it(failure).await;
    }
}

/// 20,000 calls, 20 at once.
async fn one_in_ten_does_not_open_it(failure: Outcome) {
    let limits = Limits::new(Settings { concurrency: Some(20), ..Settings::default() }, None);
    let random = Arc::new(Mutex::new(Random(42)));
    let workers: Vec<_> = (0..20)
        .map(|_| {
            let (limits, random) = (Arc::clone(&limits), Arc::clone(&random));
            tokio::spawn(async move {
                for _ in 0..1000 {
                    let permit = limits.permit(ONE).await.expect("it does not open");
                    let (failed, took) = {
                        let mut random = random.lock().unwrap();
                        (random.unit() < 0.1, LATENCY.mul_f64(0.5 + random.unit()))
                    };
                    sleep(took).await;
                    permit.ended(if failed { failure } else { GOOD });
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(limits.view().opened, 0);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_when_it_opens_are_told_at_once_and_one_probe_closes_it() {
    let limits = Limits::new(Settings { concurrency: Some(3), ..Settings::default() }, None);
    let under_way =
        [limits.permit(ONE).await.unwrap(), limits.permit(ONE).await.unwrap(), limits.permit(ONE).await.unwrap()];
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let limits = Arc::clone(&limits);
            tokio::spawn(async move { limits.permit(ONE).await.map(drop) })
        })
        .collect();
    sleep(LATENCY).await;
    // The third ends in the same moment: those who wait see that there is room, and that it is of no use.
    for permit in under_way {
        permit.ended(Outcome::Unreachable);
    }
    let opened = Instant::now();
    for waiter in waiting {
        let open = waiter.await.unwrap().expect_err("it is open");
        assert!((1000..=1250).contains(&open.after.as_millis()), "{open:?}");
    }
    assert_eq!(opened.elapsed(), Duration::ZERO);
    sleep(Duration::from_millis(1250)).await;
    assert_eq!(limits.view().breaker, "probing");
    let probe = limits.permit(ONE).await.expect("a probe");
    let other = limits.permit(ONE).await.expect_err("there is a probe already");
    assert!((250..=313).contains(&other.after.as_millis()), "{other:?}");
    // What the service says of the request itself is a sign of life.
    probe.ended(Outcome::Refused);
    assert_eq!((limits.view().breaker, limits.view().concurrency), ("ok", 1));
    timeout(Duration::ZERO, limits.permit(ONE)).await.expect("at once").unwrap().ended(GOOD);
}
