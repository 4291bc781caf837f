//! What is sent follows what the service allows, whatever its rule, and refusals stay rare.

use std::time::Duration;

use serde_json::json;

use super::server::{Rule, Server, drive};
use super::{GOOD, Limits, ONE, Outcome, Settings};

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// Six minutes against a service that says nothing but 429, with workers of either kind.
async fn settles(rule: Rule, workers: usize) {
    settles_with(rule, workers, 0.05).await;
}

async fn settles_with(rule: Rule, workers: usize, most_refused: f64) {
    for queued in [false, true] {
        let limits = Limits::new(Settings::default(), None);
        let mut server = Server::new(rule, 600.0);
        server.queued = queued;
        let server = drive(&limits, server, workers, minutes(6)).await;
        let (granted, refused) = server.count(minutes(3), minutes(6));
        let share = refused as f64 / (granted + refused) as f64;
        let case = format!("{rule:?}, {workers} workers, queued: {queued}");
        assert!((1620..=1980).contains(&granted), "{case}: {granted} in 3 minutes");
        assert!(share < most_refused, "{case}: {refused} refused of {}", granted + refused);
        assert!(server.storm() <= 60, "{case}: {} refused in a second", server.storm());
    }
}

#[tokio::test(start_paused = true)]
async fn settles_on_a_window_that_begins_with_the_minute() {
    for workers in [20, 64] {
        settles(Rule::Fixed(Duration::ZERO), workers).await;
        settles(Rule::Fixed(Duration::from_secs(50)), workers).await;
    }
}

#[tokio::test(start_paused = true)]
async fn settles_on_a_window_that_slides() {
    settles(Rule::Sliding, 20).await;
    settles(Rule::Sliding, 64).await;
}

#[tokio::test(start_paused = true)]
async fn settles_on_a_bucket_with_a_small_burst() {
    settles(Rule::Bucket(10.0), 20).await;
    settles(Rule::Bucket(10.0), 64).await;
}

#[tokio::test(start_paused = true)]
async fn settles_on_a_bucket_with_a_large_burst() {
    settles(Rule::Bucket(600.0), 20).await;
    settles(Rule::Bucket(600.0), 64).await;
}

#[tokio::test(start_paused = true)]
async fn a_few_workers_are_not_refused_much_either() {
    settles(Rule::Sliding, 3).await;
    // Of what six can send, no stretch is refused by more than half: the width gives way, until a sixth is.
    settles_with(Rule::Bucket(10.0), 6, 1.0 / 6.0).await;
    settles_with(Rule::Bucket(600.0), 6, 1.0 / 6.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_that_was_saved_up_is_not_taken_for_the_rate() {
    // What was saved up while nobody called lets the rate grow far beyond what is allowed for long.
    let limits = Limits::new(Settings::default(), Some(&json!({"requests_per_minute": 590})));
    let server = drive(&limits, Server::new(Rule::Bucket(1800.0), 600.0), 20, minutes(20)).await;
    let (granted, refused) = server.count(minutes(15), minutes(20));
    assert!(granted >= 2700 && refused < 150, "{granted} and {refused}");
}

#[tokio::test(start_paused = true)]
async fn a_cap_is_found_where_calls_are_refused_by_chance_as_well() {
    for (rule, by_chance) in [(Rule::Bucket(10.0), 0.01), (Rule::Sliding, 0.1), (Rule::Bucket(600.0), 0.1)] {
        let limits = Limits::new(Settings::default(), None);
        let mut server = Server::new(rule, 600.0);
        (server.queued, server.by_chance) = (true, by_chance);
        let server = drive(&limits, server, 20, minutes(12)).await;
        let (granted, refused) = server.count(minutes(3), minutes(12));
        let share = refused as f64 / (granted + refused) as f64;
        assert!(granted >= 4590, "{rule:?}, {by_chance}: {granted} of 5400");
        // As much again as is refused by chance, and a little: twice the usual share is where the rate stops.
        assert!(share <= 0.03 + 2.0 * by_chance, "{rule:?}, {by_chance}: {share} refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_declared_rate_is_never_refused_by_a_service_that_allows_a_second_more() {
    let limits = Limits::new(Settings { requests_per_minute: Some(600.0), ..Settings::default() }, None);
    let server = drive(&limits, Server::new(Rule::Sliding, 610.0), 64, minutes(4)).await;
    assert_eq!(server.count(Duration::ZERO, minutes(4)), (2400, 0));
    assert_eq!(limits.view().requests_per_minute, 600.0);
}

#[tokio::test(start_paused = true)]
async fn a_declared_rate_that_is_too_high_gives_way_and_is_never_exceeded() {
    let limits = Limits::new(Settings { requests_per_minute: Some(1200.0), ..Settings::default() }, None);
    let server = drive(&limits, Server::new(Rule::Sliding, 600.0), 20, minutes(6)).await;
    let (granted, refused) = server.count(minutes(3), minutes(6));
    assert!((1620..=1800).contains(&granted) && refused < 90, "{granted} and {refused}");
    // From a service that allows more than is declared, no more than that is learned.
    let limits = Limits::new(
        Settings { requests_per_minute: Some(120.0), ..Settings::default() },
        Some(&json!({"requests_per_minute": 60})),
    );
    let server = drive(&limits, Server::new(Rule::Sliding, 600.0), 20, minutes(8)).await;
    assert_eq!(server.count(minutes(7), minutes(8)), (120, 0));
    assert_eq!(limits.view().requests_per_minute, 120.0);
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_a_few_a_minute_is_learned_and_one_far_too_low_is_grown_out_of() {
    let limits = Limits::new(Settings::default(), None);
    let server = drive(&limits, Server::new(Rule::Sliding, 10.0), 4, minutes(20)).await;
    let (granted, refused) = server.count(minutes(10), minutes(20));
    assert!((85..=100).contains(&granted) && refused <= 20, "{granted} and {refused}");

    let limits = Limits::new(Settings::default(), Some(&json!({"requests_per_minute": 60})));
    let server = drive(&limits, Server::new(Rule::Sliding, 600.0), 20, minutes(9)).await;
    let (granted, _) = server.count(minutes(8), minutes(9));
    assert!(granted >= 500, "{granted}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_says_when_is_asked_then_and_not_before() {
    let limits = Limits::new(Settings::default(), None);
    let said = Duration::from_secs(20);
    let begun = tokio::time::Instant::now();
    // One worker is enough, and the longest time that is said counts.
    for after in [None, Some(said), Some(Duration::from_secs(3)), None, Some(Duration::from_secs(1))] {
        assert_eq!(limits.view().next_try, None);
        limits.permit(ONE).await.unwrap().ended(Outcome::RateLimited { after });
    }
    assert_eq!(limits.view().next_try, Some(said));
    let probe = limits.permit(ONE).await.unwrap();
    assert_eq!(begun.elapsed(), said);
    let follows = tokio::time::timeout(Duration::from_secs(1), limits.permit(ONE)).await;
    assert!(follows.is_err(), "one is sent, and what comes of it is waited for");
    probe.ended(GOOD);
    limits.permit(ONE).await.unwrap().ended(GOOD);

    limits.nothing_remains(said);
    let held = tokio::time::Instant::now();
    limits.permit(ONE).await.unwrap().ended(GOOD);
    assert_eq!(held.elapsed(), said);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_paced_by_what_was_really_used() {
    let limits = Limits::new(Settings { tokens_per_minute: Some(6000.0), ..Settings::default() }, None);
    let cost = super::Cost { requests: 1.0, tokens: 500.0 };
    let begun = tokio::time::Instant::now();
    // More than a second's worth: the full bucket lets it through, and the debt is waited for, but for what was not used.
    limits.permit(cost).await.unwrap().ended(Outcome::Answered { tokens: Some(300.0) });
    limits.permit(cost).await.unwrap().ended(Outcome::Answered { tokens: Some(0.0) });
    assert_eq!(begun.elapsed().as_millis(), 3000);
    limits.permit(cost).await.unwrap().ended(GOOD);
    assert_eq!(begun.elapsed().as_millis(), 3000);
    limits.permit(cost).await.unwrap().ended(GOOD);
    assert_eq!(begun.elapsed().as_millis(), 8000);
}

#[tokio::test(start_paused = true)]
async fn of_what_several_tables_declare_the_lowest_holds() {
    let declared = |requests_per_minute, tokens_per_minute, concurrency| Settings {
        requests_per_minute,
        tokens_per_minute,
        concurrency,
    };
    let learned = json!({"concurrency": 33, "requests_per_minute": 120.0});
    let limits = Limits::new(declared(Some(600.0), None, None), Some(&learned));
    let now = || (limits.view().requests_per_minute, limits.view().concurrency);
    for (tighter, expected) in [
        (declared(None, None, None), (120.0, 33)),
        (declared(Some(300.0), Some(6000.0), Some(8)), (120.0, 8)),
        (declared(Some(60.0), Some(60_000.0), Some(20)), (60.0, 8)),
        (declared(Some(900.0), Some(f64::NAN), Some(0)), (60.0, 8)),
    ] {
        limits.tighten(tighter);
        assert_eq!(now(), expected, "{tighter:?}");
    }
    // 100 tokens a second, and not 1000: the first is let through by the full bucket, and the next waits for its debt.
    let begun = tokio::time::Instant::now();
    let cost = super::Cost { requests: 1.0, tokens: 500.0 };
    for seconds in [0, 5] {
        limits.permit(cost).await.unwrap().ended(GOOD);
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_declared_is_shared_among_processes_and_given_back() {
    let settings = Settings { requests_per_minute: Some(600.0), tokens_per_minute: Some(6000.0), concurrency: Some(8) };
    let limits = Limits::new(settings, Some(&json!({"concurrency": 8})));
    for (processes, rate) in [(1, 600.0), (4, 150.0), (20, 30.0), (2, 300.0), (1, 600.0)] {
        limits.share_among(processes);
        assert_eq!(limits.view().requests_per_minute, rate, "{processes}");
    }
    limits.share_among(20);
    assert_eq!(limits.view().concurrency, 1, "fewer would be none");
    // 5 tokens a second of 100.
    let begun = tokio::time::Instant::now();
    let cost = super::Cost { requests: 1.0, tokens: 100.0 };
    for seconds in [0, 20] {
        limits.permit(cost).await.unwrap().ended(GOOD);
        assert_eq!(begun.elapsed().as_secs(), seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_503_holds_nobody_and_five_in_a_row_do() {
    let limits = Limits::new(Settings { concurrency: Some(8), ..Settings::default() }, None);
    let said = Duration::from_secs(3);
    for refused in 1..=5 {
        assert_eq!(limits.view().next_try, None);
        limits.permit(ONE).await.unwrap().ended(Outcome::Overloaded { after: (refused == 2).then_some(said) });
    }
    assert_eq!(limits.view().next_try, Some(said));
    let begun = tokio::time::Instant::now();
    limits.permit(ONE).await.unwrap().ended(GOOD);
    assert_eq!(begun.elapsed(), said);
}
