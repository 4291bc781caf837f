//! How many calls are under way: no more than the service bears, and not fewer for what is no sign of congestion.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{GOOD, Limits, ONE, Outcome, Random, Settings};

const LATENCY: Duration = Duration::from_millis(200);

/// How many calls are under way in the mean, where one in `one_in` takes so long that it is given up.
async fn mean_in_flight(settings: Settings, workers: usize, one_in: f64, timeout: Duration) -> f64 {
    let limits = Limits::new(settings, None);
    let random = Arc::new(Mutex::new(Random(7)));
    for _ in 0..workers {
        let (limits, random) = (Arc::clone(&limits), Arc::clone(&random));
        tokio::spawn(async move {
            while let Ok(permit) = limits.permit(ONE).await {
                let late = random.lock().unwrap().unit() < 1.0 / one_in;
                sleep(if late { timeout } else { LATENCY }).await;
                permit.ended(if late { Outcome::TimedOut } else { GOOD });
            }
        });
    }
    // The slow start is over.
    sleep(Duration::from_secs(5)).await;
    let (mut sum, begun) = (0, Instant::now());
    for _ in 0..60_000 {
        sleep(Duration::from_millis(10)).await;
        sum += limits.view().in_flight;
    }
    assert_eq!(begun.elapsed().as_secs(), 600);
    sum as f64 / 60_000.0
}

#[tokio::test(start_paused = true)]
async fn one_timeout_in_a_hundred_does_not_hold_back() {
    let declared = Settings { concurrency: Some(20), ..Settings::default() };
    for timeout in [LATENCY, 10 * LATENCY] {
        for (settings, workers) in [(Settings::default(), 5), (declared, 20), (Settings::default(), 100)] {
            let mean = mean_in_flight(settings, workers, 100.0, timeout).await;
            assert!(mean >= 0.95 * workers as f64, "{mean} of {workers}, {settings:?}, {timeout:?}");
        }
    }
}

/// How many calls were served and refused in a minute, by a service that bears so many at once.
async fn a_minute_of_a_service_that_bears(most: usize, refused_in: Duration) -> (u32, u32, u64) {
    let limits = Limits::new(Settings::default(), None);
    let in_service = Arc::new(Mutex::new((0, 0_u32, 0_u32)));
    for _ in 0..40 {
        let (limits, in_service) = (Arc::clone(&limits), Arc::clone(&in_service));
        tokio::spawn(async move {
            loop {
                let permit = match limits.permit(ONE).await {
                    Ok(permit) => permit,
                    Err(open) => {
                        // The slow start may run into so many that are refused at once that it looks like an outage.
                        assert!(refused_in < LATENCY, "the breaker opened");
                        sleep(open.after).await;
                        continue;
                    }
                };
                let served = {
                    let mut service = in_service.lock().unwrap();
                    let served = service.0 < most;
                    if served {
                        service.0 += 1;
                    } else {
                        service.2 += 1;
                    }
                    served
                };
                sleep(if served { LATENCY } else { refused_in }).await;
                if served {
                    let mut service = in_service.lock().unwrap();
                    service.0 -= 1;
                    service.1 += 1;
                }
                permit.ended(if served { GOOD } else { Outcome::Overloaded { after: None } });
            }
        });
    }
    sleep(Duration::from_secs(60)).await;
    let (_, served, refused) = *in_service.lock().unwrap();
    (served, refused, limits.learned().unwrap()["concurrency"].as_u64().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_service_that_bears_eight_is_sent_about_eight() {
    // What is refused takes as long as what is served, or comes at once.
    for refused_in in [LATENCY, LATENCY / 10] {
        let (served, refused, concurrency) = a_minute_of_a_service_that_bears(8, refused_in).await;
        // 8 at once for 60 s are 2400. A width that is one too many has one of nine refused, which is taken for chance.
        assert!(served >= 2300 && refused <= served / 4, "{served} served, {refused} refused, {refused_in:?}");
        assert!((7..=10).contains(&concurrency), "{concurrency}, {refused_in:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_of_any_size_is_found_and_a_sixth_is_refused_at_most() {
    for most in [1, 2, 4, 16, 30] {
        let (served, refused, _) = a_minute_of_a_service_that_bears(most, LATENCY).await;
        assert!(f64::from(served) >= 0.95 * 300.0 * most as f64, "{served} served of {most} at once");
        // And what the slow start was refused, which weighs more the fewer are served.
        assert!(refused <= served / 5 + 140, "{refused} refused, {served} served, {most} at once");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_is_where_the_next_process_begins() {
    let fresh = Limits::new(Settings::default(), None);
    fresh.permit(ONE).await.unwrap().ended(GOOD);
    assert_eq!(fresh.learned(), None);
    let learned = json!({"concurrency": 33, "requests_per_minute": 120.0});
    let next = Limits::new(Settings::default(), Some(&learned));
    assert_eq!((next.view().concurrency, next.view().requests_per_minute), (33, 120.0));
    assert_eq!(next.learned(), Some(learned));
    for nonsense in [json!(null), json!([1]), json!({"concurrency": -1, "requests_per_minute": "many"})] {
        assert_eq!(Limits::new(Settings::default(), Some(&nonsense)).learned(), None);
    }
}
