//! Whatever comes of the calls: never more under way than there may be, all end, and nobody waits for ever.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::{sleep, timeout};

use super::{Cost, Limits, Outcome, Settings};

/// How a caller behaves with one call.
#[derive(Clone, Debug)]
struct Plan {
    cost: Cost,
    took: Duration,
    /// `None` drops the permit.
    outcome: Option<Outcome>,
    /// Gives up waiting for the permit after so long, and asks again.
    patience: Option<Duration>,
}

fn outcome() -> impl Strategy<Value = Option<Outcome>> {
    let after = || proptest::option::of((0_u64..3000).prop_map(Duration::from_millis));
    prop_oneof![
        8 => proptest::option::of(0.0..200.0).prop_map(|tokens| Some(Outcome::Answered { tokens })),
        2 => after().prop_map(|after| Some(Outcome::RateLimited { after })),
        1 => after().prop_map(|after| Some(Outcome::Overloaded { after })),
        1 => Just(Some(Outcome::TimedOut)),
        1 => Just(Some(Outcome::Unreachable)),
        1 => Just(Some(Outcome::Failed)),
        1 => Just(Some(Outcome::Refused)),
        1 => Just(None),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let patience = prop_oneof![4 => Just(None), 1 => (0_u64..500).prop_map(|ms| Some(Duration::from_millis(ms)))];
    (1.0..4.0, 0.0..200.0, 0_u64..3000, outcome(), patience).prop_map(|(requests, tokens, took, outcome, patience)| {
        Plan { cost: Cost { requests, tokens }, took: Duration::from_millis(took), outcome, patience }
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let rate = || proptest::option::of(30.0..6000.0);
    (rate(), rate(), proptest::option::of(1_usize..8)).prop_map(
        |(requests_per_minute, tokens_per_minute, concurrency)| Settings {
            requests_per_minute,
            tokens_per_minute: tokens_per_minute.map(|rate| rate * 100.0),
            concurrency,
        },
    )
}

async fn follow(limits: Arc<Limits>, plans: Vec<Plan>) {
    for plan in plans {
        let mut patience = plan.patience;
        let permit = loop {
            let asked = limits.permit(plan.cost);
            let heard = match patience.take() {
                Some(patience) => timeout(patience, asked).await.ok(),
                None => Some(asked.await),
            };
            match heard {
                Some(Ok(permit)) => break permit,
                Some(Err(open)) => sleep(open.after).await,
                None => {}
            }
        };
        let view = limits.view();
        assert!(view.in_flight <= view.concurrency, "{view:?}");
        sleep(plan.took).await;
        match plan.outcome {
            Some(outcome) => permit.ended(outcome),
            None => drop(permit),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_limits_hold_and_let_everyone_through(
        settings in settings(),
        callers in proptest::collection::vec(proptest::collection::vec(plan(), 1..12), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let limits = Limits::new(settings, None);
            let all: Vec<_> = callers.into_iter().map(|plans| tokio::spawn(follow(Arc::clone(&limits), plans))).collect();
            for caller in all {
                // 24 · 12 calls of up to 4 requests, at the lowest rate that is ever learned: 19 hours.
                timeout(Duration::from_secs(20 * 60 * 60), caller).await.expect("nobody starves").unwrap();
            }
            assert_eq!(limits.view().in_flight, 0);
        });
    }
}
