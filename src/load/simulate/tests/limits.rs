//! What is not granted, and how it is said.

use serde_json::{Value, json};

use super::Settings;
use super::client::{CHAT, EMBEDDINGS, Response, at_once, get, post, send, start, until};

fn ask(number: u32) -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": format!("question {number}") }] })
}

fn refusal(response: &Response) -> (u16, String) {
    (response.status, response.code())
}

#[tokio::test]
async fn the_call_beyond_the_cap_is_told_when_to_come_again() {
    let server = start(Settings { requests_per_minute: Some(5), ..at_once() }).await;
    for number in 0..5 {
        let response = post(&server, CHAT, &ask(number)).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("x-ratelimit-limit-requests"), Some("5"));
        assert_eq!(response.header("x-ratelimit-remaining-requests"), Some((4 - number).to_string().as_str()));
        assert_eq!(response.header("x-ratelimit-reset-requests"), Some("1m0s"));
    }
    let response = post(&server, CHAT, &ask(5)).await;
    assert_eq!(refusal(&response), (429, "rate_limit_exceeded".into()));
    assert_eq!(response.header("x-ratelimit-remaining-requests"), Some("0"));
    let after: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    let stats = server.stats();
    assert_eq!((stats.granted_last_minute, stats.refused_last_minute), (5, 1));
    assert_eq!(stats.statuses, [(200, 5), (429, 1)].into());
}

#[tokio::test]
async fn a_service_may_say_nothing_of_when() {
    let settings = Settings { requests_per_minute: Some(1), retry_after: false, ..at_once() };
    let server = start(settings).await;
    let headers = [post(&server, CHAT, &ask(0)).await, post(&server, CHAT, &ask(1)).await].map(|one| one.headers);
    for name in headers.iter().flat_map(|headers| headers.keys()) {
        assert!(!name.contains("ratelimit") && name != "retry-after", "{name}");
    }
    assert_eq!(server.stats().refused_last_minute, 1);
}

#[tokio::test]
async fn overload_and_unavailability_say_soon() {
    let overloaded = start(Settings { overloads: 1.0, ..at_once() }).await;
    let unavailable = start(Settings { unavailable: 1.0, ..at_once() }).await;
    for (server, status) in [(overloaded, 429), (unavailable, 503)] {
        let response = post(&server, CHAT, &ask(0)).await;
        assert_eq!((response.status, response.header("retry-after")), (status, Some("1")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_at_once_than_granted_are_refused_until_one_leaves() {
    let server = start(Settings { hangs: 1.0, concurrency: Some(2), ..at_once() }).await;
    let hang = |number: u32| {
        let (address, body) = (server.address(), ask(number).to_string());
        tokio::spawn(async move { send(address, "POST", CHAT, &[], &body).await })
    };
    let (first, _second) = (hang(1), hang(2));
    until(|| server.stats().hung == 2).await;
    assert_eq!(refusal(&post(&server, CHAT, &ask(3)).await), (429, "rate_limit_exceeded".into()));
    first.abort();
    until(|| server.stats().in_flight.chat.now == 1).await;
    let _third = hang(3);
    until(|| server.stats().hung == 3).await;
    assert_eq!(server.stats().refused_last_minute, 1);
}

#[tokio::test]
async fn a_quota_ends() {
    let server = start(Settings { quota: Some(2), ..at_once() }).await;
    assert_eq!(post(&server, CHAT, &ask(0)).await.status, 200);
    assert_eq!(post(&server, CHAT, &ask(0)).await.status, 200);
    let response = post(&server, CHAT, &ask(1)).await;
    assert_eq!(refusal(&response), (429, "insufficient_quota".into()));
    assert_eq!(response.header("retry-after"), None, "waiting does not help");
    let stats = server.stats();
    assert_eq!((stats.answered, stats.distinct, stats.repeated, stats.refused_last_minute), (2, 1, 1, 0));
}

#[tokio::test]
async fn a_call_shows_its_key() {
    let server = start(Settings { key: Some("open".into()), ..at_once() }).await;
    let body = ask(0).to_string();
    let with = |name: &'static str, value: &'static str| {
        let body = &body;
        let address = server.address();
        async move { send(address, "POST", CHAT, &[(name, value)], body).await.unwrap() }
    };
    assert_eq!(refusal(&post(&server, CHAT, &ask(0)).await), (401, "invalid_api_key".into()));
    assert_eq!(refusal(&with("authorization", "Bearer shut").await), (401, "invalid_api_key".into()));
    assert_eq!(with("authorization", "Bearer open").await.status, 200);
    assert_eq!(with("api-key", "open").await.status, 200);
    assert_eq!(get(&server, "/v1/models").await.status, 401);
    assert_eq!(get(&server, "/stats").await.status, 200);
    let long = "x".repeat(8 << 20);
    let response = send(server.address(), "POST", CHAT, &[], &long).await.unwrap();
    assert_eq!(response.status, 401, "also where the body is long");
}

#[tokio::test]
async fn what_cannot_be_answered_says_why() {
    let settings =
        Settings { models: vec!["small".into()], context: 20, batch_items: 3, batch_tokens: 30, ..at_once() };
    let server = start(settings).await;
    let long = "word ".repeat(17);
    let messages = json!([{ "role": "user", "content": "12345678" }]);
    let cases = [
        (CHAT, json!({ "model": "large", "messages": messages }), 404, "model_not_found"),
        (CHAT, json!({ "messages": messages }), 400, "invalid_request_error"),
        (CHAT, json!({ "model": "small", "messages": [] }), 400, "invalid_request_error"),
        (CHAT, json!({ "model": "small", "messages": messages, "max_tokens": 18 }), 200, ""),
        (CHAT, json!({ "model": "small", "messages": messages, "max_tokens": 19 }), 400, "context_length_exceeded"),
        (
            CHAT,
            json!({ "model": "small", "messages": [{ "role": "user", "content": 7 }] }),
            400,
            "invalid_request_error",
        ),
        (EMBEDDINGS, json!({ "model": "large", "input": "x" }), 404, "model_not_found"),
        (EMBEDDINGS, json!({ "model": "small", "input": long }), 400, "context_length_exceeded"),
        (EMBEDDINGS, json!({ "model": "small", "input": ["a", "b", "c"] }), 200, ""),
        (EMBEDDINGS, json!({ "model": "small", "input": ["a", "b", "c", "d"] }), 400, "invalid_request_error"),
        (EMBEDDINGS, json!({ "model": "small", "input": [long[..64], long[..64]] }), 400, "invalid_request_error"),
        (EMBEDDINGS, json!({ "model": "small", "input": "" }), 400, "invalid_request_error"),
        (EMBEDDINGS, json!({ "model": "small", "input": [1, 2] }), 400, "invalid_request_error"),
        (EMBEDDINGS, json!("no object"), 400, "invalid_request_error"),
        ("/v1/images", json!({}), 404, "unknown_url"),
        ("/v1/models", json!({}), 405, "method_not_supported"),
    ];
    for (path, body, status, code) in cases {
        let response = post(&server, path, &body).await;
        let got = if response.status == 200 { String::new() } else { response.code() };
        assert_eq!((response.status, got.as_str()), (status, code), "{path} {body}: {}", response.body);
    }
    let message =
        post(&server, CHAT, &json!({ "model": "small", "messages": messages, "max_tokens": 19 })).await.json();
    let message = message["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("This model's maximum context length is 20 tokens."), "{message}");
    assert!(message.contains("21 tokens (2 in the messages, 19 in the completion)"), "{message}");
}

#[tokio::test]
async fn settings_that_cannot_be_are_no_server() {
    let settings = Settings { errors: 2.0, ..at_once() };
    let error = super::Server::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
