//! What is answered, and that it is always the same.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Settings;
use super::client::{CHAT, EMBEDDINGS, at_once, get, post, start};

const QUESTION: &str = "Use these:\n\n[1] The sluice is greased every spring, by hand.\n[2] The mill has one sluice.";

fn ask(question: &str) -> Value {
    let system = json!({ "role": "system", "content": "Be brief." });
    json!({ "model": "m", "messages": [system, { "role": "user", "content": question }] })
}

fn vectors(answer: &Value) -> Vec<Vec<f64>> {
    let vector =
        |one: &Value| one["embedding"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
    answer["data"].as_array().unwrap().iter().map(vector).collect()
}

#[tokio::test]
async fn a_chat_is_answered_with_an_extract_and_its_sources() {
    let server = start(at_once()).await;
    let answer = post(&server, CHAT, &ask(QUESTION)).await.json();
    let choice = &answer["choices"][0];
    let text = choice["message"]["content"].as_str().unwrap();
    assert_eq!(text, "[1] The sluice is greased every spring, by hand. [2] The mill has one sluice. [1] [2]");
    assert_eq!((&answer["object"], &choice["finish_reason"]), (&json!("chat.completion"), &json!("stop")));
    let prompt = 3 + QUESTION.len().div_ceil(4);
    let completion = text.len().div_ceil(4);
    let usage =
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion });
    assert_eq!(answer["usage"], usage);
    let mut short = ask(QUESTION);
    short["max_tokens"] = 6.into();
    let answer = post(&server, CHAT, &short).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "[1] The sluice [1] [2]");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    let stats = server.stats();
    assert_eq!(stats.prompt_tokens, 2 * prompt as u64);
    assert_eq!(stats.completion_tokens, completion as u64 + 6);
}

#[tokio::test]
async fn a_stream_brings_the_same_text_and_then_the_usage() {
    let server = start(Settings { tokens_per_second: 10_000.0, ..at_once() }).await;
    let whole = post(&server, CHAT, &ask(QUESTION)).await.json();
    let mut streamed = ask(QUESTION);
    streamed["stream"] = true.into();
    let plain = post(&server, CHAT, &streamed).await;
    assert!(!plain.body.contains("usage"));
    streamed["stream_options"] = json!({ "include_usage": true });
    let response = post(&server, CHAT, &streamed).await;
    assert!(response.complete);
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let events: Vec<&str> =
        response.body.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap()).collect();
    let (done, events) = events.split_last().unwrap();
    assert_eq!(*done, "[DONE]");
    let events: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let (usage, events) = events.split_last().unwrap();
    assert_eq!((&usage["choices"], &usage["usage"]), (&json!([]), &whole["usage"]));
    let text: String = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(json!(text), whole["choices"][0]["message"]["content"]);
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert!(events.iter().all(|event| event["usage"].is_null()));
}

#[tokio::test]
async fn an_image_is_described_by_its_hash() {
    let server = start(at_once()).await;
    // Five bytes.
    let url = "data:image/png;base64,aGVsbG8=";
    let parts =
        json!([{ "type": "text", "text": "What is it?" }, { "type": "image_url", "image_url": { "url": url } }]);
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": parts }] });
    let answer = post(&server, CHAT, &body).await.json();
    let name = docmill_api::Digest::of(&[url.as_bytes()]).to_string();
    assert_eq!(answer["choices"][0]["message"]["content"], format!("An image of 5 bytes, {}.", &name[..8]));
    assert_eq!(answer["usage"]["prompt_tokens"], 3 + 85);
    assert_eq!(server.stats().images, 1);
    let far = json!([{ "type": "image_url", "image_url": { "url": "https://example.org/x.png" } }]);
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": far }] });
    assert_eq!(post(&server, CHAT, &body).await.status, 400, "nothing is fetched");
}

#[tokio::test]
async fn embeddings_of_like_texts_are_nearer() {
    let server = start(at_once()).await;
    let texts = ["how is the sluice greased", "The sluice is greased by hand.", "Invoices go to accounting."];
    let mut body = json!({ "model": "m", "input": texts });
    let answer = post(&server, EMBEDDINGS, &body).await.json();
    let found = vectors(&answer);
    let near = |other: usize| found[0].iter().zip(&found[other]).map(|(left, right)| left * right).sum::<f64>();
    assert_eq!(found[0].len(), 256);
    assert!(near(1) > near(2) + 0.2, "{} {}", near(1), near(2));
    let tokens: usize = texts.iter().map(|text| text.len().div_ceil(4)).sum();
    assert_eq!(answer["usage"], json!({ "prompt_tokens": tokens, "total_tokens": tokens }));
    let alone = post(&server, EMBEDDINGS, &json!({ "model": "m", "input": texts[1] })).await.json();
    assert_eq!(vectors(&alone)[0], found[1], "the batch does not matter");
    body["dimensions"] = 64.into();
    assert_eq!(vectors(&post(&server, EMBEDDINGS, &body).await.json())[2].len(), 64);
    body["encoding_format"] = "base64".into();
    let encoded = post(&server, EMBEDDINGS, &body).await.json();
    assert_eq!(encoded["data"][0]["embedding"].as_str().unwrap().len(), (64_usize * 4).div_ceil(3) * 4);
    body["dimensions"] = 257.into();
    assert_eq!(post(&server, EMBEDDINGS, &body).await.status, 400);
}

#[tokio::test]
async fn the_same_call_has_the_same_answer_also_elsewhere() {
    let (one, two) = (start(at_once()).await, start(at_once()).await);
    let large = json!({ "model": "m", "input": vec!["some words to be worked on beside the event loop"; 2000] });
    for (path, body) in [(CHAT, ask(QUESTION)), (EMBEDDINGS, large)] {
        let first = post(&one, path, &body).await;
        assert_eq!(first.status, 200);
        assert!(first.complete);
        assert_eq!(first.body, post(&one, path, &body).await.body);
        assert_eq!(first.body, post(&two, path, &body).await.body);
    }
    let stats = one.stop().await;
    assert_eq!((stats.answered, stats.distinct, stats.repeated), (4, 2, 2));
    assert_eq!((stats.calls.chat, stats.calls.embeddings), (2, 2));
}

#[tokio::test]
async fn azure_names_the_model_in_the_address() {
    let server = start(Settings { models: vec!["mine".into()], ..at_once() }).await;
    let body = json!({ "input": "x" });
    let answer = post(&server, "/openai/deployments/mine/embeddings?api-version=1", &body).await.json();
    assert_eq!(answer["model"], "mine");
    let mut body = ask("x");
    body.as_object_mut().unwrap().remove("model");
    assert_eq!(post(&server, "/openai/deployments/mine/chat/completions", &body).await.status, 200);
    assert_eq!(post(&server, "/openai/deployments/other/chat/completions", &body).await.code(), "model_not_found");
    let models = get(&server, "/v1/models").await.json();
    assert_eq!(models["data"][0]["id"], "mine");
    assert_eq!(get(&server, "/health").await.json(), json!({ "status": "ok" }));
}

#[tokio::test]
async fn a_call_takes_its_time() {
    let latency = Duration::from_millis(40);
    let server = start(Settings { latency, tokens_per_second: 100.0, ..at_once() }).await;
    let timed = async |path: &str, body: &Value| {
        let started = Instant::now();
        assert_eq!(post(&server, path, body).await.status, 200);
        started.elapsed()
    };
    assert!(timed(EMBEDDINGS, &json!({ "model": "m", "input": "x" })).await >= latency);
    // Four tokens at ten milliseconds.
    let mut body = ask("sixteen letters.");
    assert!(timed(CHAT, &body).await >= 2 * latency);
    body["stream"] = true.into();
    assert!(timed(CHAT, &body).await >= 2 * latency);
}
