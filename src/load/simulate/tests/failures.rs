//! What was drawn is what comes, however the calls arrive; and what never comes is counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Settings;
use super::client::{CHAT, EMBEDDINGS, at_once, get, post, send, start, until};

/// How an embedding call ended.
async fn outcome(server: &super::Running, number: u32) -> &'static str {
    let response = post(server, EMBEDDINGS, &json!({ "model": "m", "input": format!("text {number}") })).await;
    match response.status {
        500 => return "error",
        429 => return "overload",
        503 => return "unavailable",
        200 if !response.complete => return "half",
        200 => {}
        other => panic!("status {other}"),
    }
    match serde_json::from_str::<Value>(&response.body) {
        Err(_) => "garbage",
        Ok(value) if value["data"][0]["embedding"].as_array().unwrap().len() == 7 => "short",
        Ok(_) => "answer",
    }
}

/// How the calls of each of 500 bodies ended, four calls each, in the order of the alphabet.
async fn outcomes(settings: &Settings, at_once: usize) -> BTreeMap<u32, Vec<&'static str>> {
    let server = Arc::new(start(settings.clone()).await);
    let calls = (0..2000_u32).map(|call| {
        let server = Arc::clone(&server);
        async move { (call % 500, outcome(&server, call % 500).await) }
    });
    let mut outcomes: BTreeMap<u32, Vec<&'static str>> = BTreeMap::new();
    let mut ended = stream::iter(calls).buffer_unordered(at_once);
    while let Some((body, outcome)) = ended.next().await {
        outcomes.entry(body).or_default().push(outcome);
    }
    outcomes.values_mut().for_each(|outcomes| outcomes.sort_unstable());
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_honoured_and_do_not_depend_on_the_order() {
    let shares: [(&str, f64); 7] = [
        ("error", 0.1),
        ("overload", 0.08),
        ("unavailable", 0.06),
        ("garbage", 0.05),
        ("half", 0.05),
        ("short", 0.07),
        ("answer", 0.59),
    ];
    let settings = Settings {
        errors: 0.1,
        overloads: 0.08,
        unavailable: 0.06,
        garbage: 0.05,
        halves: 0.05,
        wrong_length: 0.07,
        dimensions: 8,
        seed: 3,
        ..at_once()
    };
    let one_by_one = outcomes(&settings, 1).await;
    let all = || one_by_one.values().flatten();
    for (name, share) in shares {
        let count = f64::from(u32::try_from(all().filter(|outcome| **outcome == name).count()).unwrap());
        // Four standard deviations: one seed in ten thousand lies beyond.
        let most = 4.0 * (2000.0 * share * (1.0 - share)).sqrt();
        assert!((count - 2000.0 * share).abs() < most, "{name}: {count}");
    }
    assert!(one_by_one.values().any(|outcomes| outcomes[0] != outcomes[3]), "a body may fail once and not again");
    assert_eq!(one_by_one, outcomes(&settings, 50).await, "fifty at once");
    let other = Settings { seed: 4, ..settings };
    assert_ne!(one_by_one, outcomes(&other, 50).await, "another seed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_hangs_is_counted_until_its_client_leaves() {
    let server = Arc::new(start(Settings { hangs: 0.25, ..at_once() }).await);
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let address = server.address();
        let body = json!({ "model": "m", "input": format!("text {number}") }).to_string();
        calls.spawn(async move { send(address, "POST", EMBEDDINGS, &[], &body).await });
    }
    until(|| server.stats().answered + server.stats().hung == 200).await;
    until(|| server.stats().in_flight.embeddings.now == server.stats().hung).await;
    let stats = server.stats();
    assert!((25..=75).contains(&stats.hung), "{stats:?}");
    assert_eq!(stats.statuses, BTreeMap::from([(200, 200 - stats.hung)]));
    calls.abort_all();
    until(|| server.stats().in_flight.embeddings.now == 0).await;
    assert_eq!(server.stats().hung, stats.hung);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_in_flight_is_told_by_service() {
    let server = start(Settings { hangs: 1.0, ..at_once() }).await;
    let mut calls = JoinSet::new();
    let chat = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
    let embeddings = json!({ "model": "m", "input": "x" });
    for (path, body, times) in [(CHAT, chat, 7), (EMBEDDINGS, embeddings, 3)] {
        for _ in 0..times {
            let (address, body) = (server.address(), body.to_string());
            calls.spawn(async move { send(address, "POST", path, &[], &body).await });
        }
    }
    until(|| server.stats().hung == 10).await;
    let told = get(&server, "/stats").await.json();
    assert_eq!(told["in_flight"]["chat"], json!({ "now": 7, "max": 7 }));
    assert_eq!(told["in_flight"]["embeddings"], json!({ "now": 3, "max": 3 }));
    calls.abort_all();
    until(|| server.stats().in_flight.chat.now + server.stats().in_flight.embeddings.now == 0).await;
    let stats = server.stats();
    assert_eq!((stats.in_flight.chat.max, stats.in_flight.embeddings.max), (7, 3));
    assert_eq!((stats.calls.chat, stats.calls.embeddings, stats.answered), (7, 3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_breaks_off() {
    let server = start(Settings { halves: 1.0, ..at_once() }).await;
    let whole = start(at_once()).await;
    let ask = json!({ "model": "m", "input": ["some text", "another"] });
    let (half, all) = (post(&server, EMBEDDINGS, &ask).await, post(&whole, EMBEDDINGS, &ask).await);
    assert!(all.complete && !half.complete);
    assert_eq!(half.header("content-length"), all.header("content-length"), "the whole length is announced");
    assert_eq!(half.body, all.body[..all.body.len() / 2]);
    let ask = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "a few words more" }] });
    let half = post(&server, CHAT, &ask).await;
    assert!(!half.complete, "the last chunk is missing");
    assert!(half.body.starts_with("data: {") && !half.body.contains("[DONE]"), "{}", half.body);
    assert_eq!(server.stats().answered, 0);
    assert_eq!(server.stop().await.in_flight.chat.now, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_refuses_and_its_port_is_free() {
    let server = start(Settings { hangs: 1.0, ..at_once() }).await;
    let address = server.address();
    let body = json!({ "model": "m", "input": "x" }).to_string();
    let call = tokio::spawn(async move { send(address, "POST", EMBEDDINGS, &[], &body).await });
    until(|| server.stats().hung == 1).await;
    let stats = server.stop().await;
    assert_eq!((stats.hung, stats.in_flight.embeddings.now), (1, 0));
    assert!(call.await.unwrap().is_err(), "no byte came");
    assert!(send(address, "GET", "/health", &[], "").await.is_err());
    let again = super::Server::bind(address, at_once()).await.unwrap().start();
    assert_eq!(get(&again, "/health").await.status, 200);
    drop(again);
    until_refused(address).await;
}

async fn until_refused(address: std::net::SocketAddr) {
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
