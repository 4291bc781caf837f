//! A service that takes so many calls at once and answers the next one as if its rate were too high.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use super::{GOOD, Limits, ONE, Outcome, Random, Settings};

const LATENCY: Duration = Duration::from_millis(150);

/// What a service came to that takes so many calls at once.
#[derive(Default)]
struct Service {
    working: usize,
    served: usize,
    refused: usize,
}

/// How many calls a service serves and refuses in a minute that takes `most` at once, and says 429 to the next.
async fn a_minute_at(limits: &Arc<Limits>, most: usize, workers: usize, trip: Duration) -> (usize, usize) {
    let service = Arc::new(Mutex::new(Service::default()));
    let running: Vec<_> = (0..workers)
        .map(|worker| {
            let (limits, service) = (Arc::clone(limits), Arc::clone(&service));
            tokio::spawn(async move {
                let mut random = Random(worker as u64 + 1);
                loop {
                    let Ok(permit) = limits.permit(ONE).await else { panic!("the breaker opened") };
                    sleep(trip / 2).await;
                    let served = {
                        let mut service = service.lock().unwrap();
                        let served = service.working < most;
                        service.working += usize::from(served);
                        service.refused += usize::from(!served);
                        served
                    };
                    if served {
                        sleep(LATENCY.mul_f64(0.8 + 0.4 * random.unit())).await;
                        let mut service = service.lock().unwrap();
                        service.working -= 1;
                        service.served += 1;
                    }
                    sleep(trip / 2).await;
                    let after = Some(Duration::from_secs(1));
                    permit.ended(if served { GOOD } else { Outcome::RateLimited { after } });
                    if !served {
                        sleep(Duration::from_secs(1)).await;
                    }
                }
            })
        })
        .collect();
    sleep(Duration::from_secs(60)).await;
    for worker in &running {
        worker.abort();
    }
    for worker in running {
        let _ = worker.await;
    }
    let Service { served, refused, .. } = *service.lock().unwrap();
    (served, refused)
}

#[tokio::test(start_paused = true)]
async fn its_size_is_found_and_no_rate_is_taken_from_it() {
    for trip in [Duration::from_millis(1), Duration::from_millis(40)] {
        for most in [2, 5, 12, 40] {
            for workers in [most + 1, 2 * most, 100] {
                let limits = Limits::new(Settings::default(), None);
                let (served, refused) = a_minute_at(&limits, most, workers, trip).await;
                let best = 60.0 * most as f64 / (LATENCY + trip).as_secs_f64();
                let seen = format!("{served} of {best:.0} served, {refused} refused, {most} of {workers}, {trip:?}");
                assert!(served as f64 >= 0.9 * best, "{seen}");
                // A few that come again every second, as they were told, are too few to show the limit.
                assert!(refused <= 2 * workers + served / 4, "{seen}");
                assert_eq!(limits.view().requests_per_minute, 0.0, "{seen}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_it_grows_more_is_sent() {
    let limits = Limits::new(Settings::default(), None);
    let trip = Duration::from_millis(1);
    a_minute_at(&limits, 6, 40, trip).await;
    assert!(limits.view().concurrency <= 7, "{:?}", limits.view());
    for _ in 0..3 {
        a_minute_at(&limits, 20, 40, trip).await;
    }
    assert!((18..=21).contains(&limits.view().concurrency), "{:?}", limits.view());
    // And where it shrinks, less: what was answered is in the way of a new finding for a while.
    for _ in 0..2 {
        a_minute_at(&limits, 6, 40, trip).await;
    }
    let (served, _) = a_minute_at(&limits, 6, 40, trip).await;
    assert!(served as f64 >= 0.8 * 60.0 * 6.0 / 0.151, "{served} {:?}", limits.view());
}
