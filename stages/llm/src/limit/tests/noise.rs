//! A service that fails some calls at random, whatever is sent, runs on nearly undisturbed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::{GOOD, Limits, ONE, Outcome, Random, Settings};

const LATENCY: Duration = Duration::from_millis(200);
const HANG: Duration = Duration::from_secs(2);
const SECOND: Option<Duration> = Some(Duration::from_secs(1));

/// Of all calls, how many end in which way other than well.
#[derive(Clone, Copy, Debug, Default)]
struct Noise {
    rate_limited: f64,
    overloaded: f64,
    failed: f64,
    hangs: f64,
    /// What a refusal says of when to come back.
    after: Option<Duration>,
    /// How long a refusal takes, where it is not as long as an answer.
    refused_in: Option<Duration>,
}

impl Noise {
    fn call(&self, random: f64) -> (Outcome, Duration) {
        let refused_in = self.refused_in.unwrap_or(LATENCY);
        let kinds = [
            (self.rate_limited, Outcome::RateLimited { after: self.after }, refused_in),
            (self.overloaded, Outcome::Overloaded { after: self.after }, refused_in),
            (self.failed, Outcome::Failed, refused_in),
            (self.hangs, Outcome::TimedOut, HANG),
        ];
        let mut below = 0.0;
        for (share, outcome, took) in kinds {
            below += share;
            if random < below {
                return (outcome, took);
            }
        }
        (GOOD, LATENCY)
    }

    /// How many calls so many workers get answered in a second, if nothing holds them back.
    fn possible(&self, workers: usize) -> f64 {
        let refused = self.rate_limited + self.overloaded + self.failed;
        let good = 1.0 - refused - self.hangs;
        let seconds = (good * LATENCY.as_secs_f64())
            + refused * self.refused_in.unwrap_or(LATENCY).as_secs_f64()
            + self.hangs * HANG.as_secs_f64();
        workers as f64 * good / seconds
    }
}

/// What came of a run.
struct Tally {
    /// Calls a second that were answered.
    good: f64,
    /// How many were under way, in the mean.
    in_flight: f64,
}

/// Lets so many workers call until so many seconds are over, of which the first ten do not count: the slow start.
///
/// As in the engine, a call that is refused goes to the tail of a queue, to come back when it may; its worker takes
/// another call at once. The queue is never empty, so it makes no difference which of its calls is taken.
async fn run(limits: &Arc<Limits>, noise: Noise, workers: usize, seconds: u32) -> Tally {
    let (good, random) = (Arc::new(Mutex::new(0_u32)), Arc::new(Mutex::new(Random(11))));
    let running: Vec<_> = (0..workers)
        .map(|_| {
            let (limits, good, random) = (Arc::clone(limits), Arc::clone(&good), Arc::clone(&random));
            tokio::spawn(async move {
                loop {
                    let permit = match limits.permit(ONE).await {
                        Ok(permit) => permit,
                        Err(open) => {
                            sleep(open.after).await;
                            continue;
                        }
                    };
                    let (outcome, took) = noise.call(random.lock().unwrap().unit());
                    sleep(took).await;
                    *good.lock().unwrap() += u32::from(matches!(outcome, Outcome::Answered { .. }));
                    permit.ended(outcome);
                }
            })
        })
        .collect();
    sleep(Duration::from_secs(10)).await;
    *good.lock().unwrap() = 0;
    let (mut in_flight, samples) = (0.0, 50 * (seconds - 10));
    for _ in 0..samples {
        sleep(Duration::from_millis(20)).await;
        in_flight += limits.view().in_flight as f64 / f64::from(samples);
    }
    for worker in running {
        worker.abort();
        let _ = worker.await;
    }
    let good = f64::from(*good.lock().unwrap()) / f64::from(seconds - 10);
    Tally { good, in_flight }
}

/// How much of what is possible is reached in five minutes, and with how many under way.
async fn reached(noise: Noise, workers: usize) -> (f64, f64) {
    let limits = Limits::new(Settings::default(), None);
    let tally = run(&limits, noise, workers, 310).await;
    let share = tally.good / noise.possible(workers);
    let view = limits.view();
    assert_eq!(view.opened, 0, "{noise:?}, {workers} workers");
    (share, tally.in_flight)
}

/// With every way in which a refusal may come.
async fn undisturbed(noise: Noise) {
    for after in [None, SECOND] {
        for refused_in in [None, Some(Duration::from_millis(20))] {
            for workers in [5, 20] {
                let noise = Noise { after, refused_in, ..noise };
                let (share, in_flight) = reached(noise, workers).await;
                assert!(share >= 0.85, "{share} of what is possible, {noise:?}, {workers} workers");
                let least = if workers == 5 { 4.3 } else { 18.0 };
                assert!(in_flight >= least, "{in_flight} under way, {noise:?}, {workers} workers");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_429_in_a_hundred() {
    undisturbed(Noise { rate_limited: 0.01, ..Noise::default() }).await;
}

#[tokio::test(start_paused = true)]
async fn one_429_in_ten() {
    undisturbed(Noise { rate_limited: 0.1, ..Noise::default() }).await;
}

#[tokio::test(start_paused = true)]
async fn one_503_in_ten() {
    undisturbed(Noise { overloaded: 0.1, ..Noise::default() }).await;
}

#[tokio::test(start_paused = true)]
async fn some_of_everything() {
    // 500 and 502 are the same to us.
    let noise = Noise { rate_limited: 0.025, overloaded: 0.025, failed: 0.05, hangs: 0.01, ..Noise::default() };
    undisturbed(noise).await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_was_learned_by_chance_is_grown_out_of() {
    for (rate_limited, per_minute) in [(0.1, 600), (0.03, 240)] {
        let noise = Noise { rate_limited, ..Noise::default() };
        let limits = Limits::new(Settings::default(), Some(&json!({ "requests_per_minute": per_minute })));
        run(&limits, noise, 20, 800).await;
        let share = run(&limits, noise, 20, 70).await.good / noise.possible(20);
        assert!(share >= 0.85, "{share} of what is possible, {noise:?}, {per_minute} a minute");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_that_come_long_before_the_answers_say_nothing_of_those_under_way() {
    // A hundred begin at the same time, and a dozen are refused before the first is answered.
    let refused_in = Some(LATENCY / 100);
    for noise in [
        Noise { rate_limited: 0.1, refused_in, after: SECOND, ..Noise::default() },
        Noise { overloaded: 0.1, refused_in, after: SECOND, ..Noise::default() },
    ] {
        let (share, in_flight) = reached(noise, 100).await;
        assert!(share >= 0.85 && in_flight >= 85.0, "{share} of what is possible, {in_flight} under way, {noise:?}");
    }
}
