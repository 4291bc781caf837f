//! Keys: without one nobody is let in, and one that is bound to a user sees that user's alone, whatever it asks.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};

use super::served::{Served, answered};
use crate::pipeline::mill::{Mill, block_on};

const KEYS: &str = "[keys.all]\nkey = \"the key of the house 1\"\n\
                    [keys.ada]\nkey = \"a key of her own ada\"\nuser_id = \"ada\"\n\
                    [keys.bob]\nkey = \"a key of his own bob\"\nuser_id = \"bob\"\n";

fn served(mill: &Mill) -> Served {
    fs::write(mill.path().join("keys.toml"), KEYS).expect("written");
    Served::start(mill)
}

#[test]
fn nobody_is_let_in_without_a_key_but_to_health() {
    block_on(async || {
        let mill = Mill::new().set("serve.keys=\"keys.toml\"");
        let served = served(&mill);
        let described = served.get("/openapi.json").await.body;
        let mut asked = 0;
        for (path, operations) in described["paths"].as_object().expect("paths") {
            for (method, operation) in operations.as_object().expect("operations") {
                let method: Method = method.to_uppercase().parse().expect("a method");
                let status = answered(served.request(method.clone(), &path.replace("{id}", "embed"))).await.status;
                let open = operation["security"] == json!([]);
                assert_eq!(status == 401, !open, "{method} {path}: {status}");
                asked += 1;
            }
        }
        assert!(asked >= 20, "{asked}");
        assert_eq!(served.get("/").await.status, 200);
        assert!(!served.said().contains("the key of"), "{}", served.said());
    });
}

#[test]
fn a_key_of_one_user_sees_and_changes_nothing_of_another() {
    block_on(async || {
        let mill = Mill::new().set("serve.keys=\"keys.toml\"");
        let mut served = served(&mill);
        served.with_key("a key of her own ada");
        let hers = served.accepted("hers.md", b"# Hers\n\nThe wheel of ada turns by night.\n", &[]).await;
        served.ended(&hers).await;
        let refused = answered(served.upload("x.md", b"x", &[("user_id", "bob")])).await;
        assert_eq!(refused.status, 403, "{}", refused.body);
        served.with_key("a key of his own bob");
        let his = served.accepted("his.md", b"# His\n\nThe wheel of bob stands by day.\n", &[]).await;
        served.ended(&his).await;

        // He, and every address that there is.
        for (method, path) in [
            (Method::GET, format!("/v1/documents/{hers}")),
            (Method::DELETE, format!("/v1/documents/{hers}")),
            (Method::POST, format!("/v1/documents/{hers}/retry")),
            (Method::GET, format!("/v1/documents/{hers}/events")),
        ] {
            let status = answered(served.request(method.clone(), &path)).await.status;
            assert_eq!(status, 404, "{method} {path}");
        }
        let own = |answer: &Value| {
            let text = answer.to_string();
            assert!(!text.contains("ada") && !text.contains("hers.md") && !text.contains(&hers), "{text}");
        };
        for path in [
            "/v1/documents",
            "/v1/documents?user_id=ada",
            "/v1/documents?limit=1000",
            "/v1/search?q=wheel",
            "/v1/search?q=wheel&mode=text",
            "/v1/snapshot",
        ] {
            let answer = served.get(path).await;
            assert_eq!(answer.status, 200, "{path}");
            own(&answer.body);
        }
        let found = served.get("/v1/search?q=wheel").await.body;
        assert_eq!(found["hits"][0]["filename"], "his.md", "{found}");
        let packed = served.post("/v1/context", &json!({ "question": "whose wheel turns" })).await;
        assert_eq!(packed.status, 200);
        own(&packed.body);
        assert_eq!(served.get("/v1/search?q=wheel&user_id=ada").await.status, 403);
        let other = json!({ "question": "whose", "user_id": "ada" });
        assert_eq!(served.post("/v1/context", &other).await.status, 403);
        for (method, path, body) in [
            (Method::PATCH, "/v1/stages/embed", json!({ "width": 2 })),
            (Method::POST, "/v1/run/pause", json!({})),
            (Method::POST, "/v1/run/resume", json!({})),
            (Method::POST, "/v1/run/drain", json!({})),
            (Method::POST, "/v1/run/retry", json!({})),
            (Method::POST, "/v1/commands", json!({ "command": "pause" })),
            (Method::GET, "/metrics", json!({})),
        ] {
            let status = answered(served.request(method.clone(), path).json(&body)).await.status;
            assert_eq!(status, 403, "{method} {path}");
        }
        hears_only_his_own(&served, &mut Vec::new()).await;
        served.with_key("a key of her own ada");
        assert_eq!(served.get(&format!("/v1/documents/{hers}")).await.body["state"], "done", "hers is untouched");
        served.with_key("the key of the house 1");
        assert_eq!(served.get("/v1/documents").await.body["total"], 4, "two more of each were heard of");
    });
}

/// Listens as bob while both hand a document in.
async fn hears_only_his_own(served: &Served, heard: &mut Vec<String>) {
    let mut events = served.request(Method::GET, "/v1/events").send().await.expect("an answer");
    let by = |key: &'static str, name: &'static str| {
        let (kind, body) = super::served::form(name, name.as_bytes(), &[]);
        let request = reqwest::Client::new().post(format!("{}/v1/documents", served.url)).bearer_auth(key);
        request.header("content-type", kind).body(body)
    };
    assert_eq!(answered(by("a key of her own ada", "hers-too.txt")).await.status, 202);
    assert_eq!(answered(by("a key of his own bob", "his-too.txt")).await.status, 202);
    while !heard.iter().any(|event| event.contains("his-too.txt") && event.contains("\"done\"")) {
        let chunk = events.chunk().await.expect("events").expect("more of them");
        heard.push(String::from_utf8_lossy(&chunk).into_owned());
    }
    assert!(!heard.concat().contains("hers"), "{heard:?}");
}

#[test]
fn an_open_address_without_a_key_is_refused() {
    let mill = Mill::new();
    let ended = mill.command("serve").args(["--listen", "0.0.0.0:0"]).output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("DOCMILL_API_KEY"), "{said}");
}
