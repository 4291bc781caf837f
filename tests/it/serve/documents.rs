//! A document from its upload to its deletion, and what is refused on the way.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::served::{Served, answered, id_of};
use crate::pipeline::mill::{Mill, block_on};

const NOTE: &str = "# The sluice\n\nThe sluice of the lower mill is greased every third week, with tallow.\n";

fn uploads(mill: &Mill) -> usize {
    fs::read_dir(mill.path().join(".docmill/uploads")).map_or(0, |files| files.count())
}

fn found(answer: &Value) -> Vec<String> {
    let hits = answer["hits"].as_array().unwrap_or_else(|| panic!("{answer}"));
    hits.iter().map(|hit| hit["filename"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_document_is_uploaded_found_and_deleted() {
    block_on(async || {
        let mill = Mill::new();
        let served = Served::start(&mill);
        assert_eq!(served.get("/health/ready").await.status, 200);
        let texts = [("session_id", "s1"), ("metadata", r#"{"shelf":"7","year":1911}"#)];
        let id = served.accepted("sluice.md", NOTE.as_bytes(), &texts).await;
        let document = served.ended(&id).await;
        assert_eq!((&document["state"], &document["filename"]), (&json!("done"), &json!("sluice.md")), "{document}");
        let result = &document["result"];
        assert_eq!(
            (&result["success"], &result["filetype"], &result["is_code_file"]),
            (&json!(true), &json!("md"), &json!(false))
        );
        assert!(result["total_chunks"].as_u64() >= Some(1) && result["token_count"].as_u64() > Some(10), "{result}");
        assert_eq!(result["message"], "");

        let search = |more: &str| format!("/v1/search?q=how+often+is+the+sluice+greased{more}");
        let answer = served.get(&search("")).await;
        assert_eq!(found(&answer.body)[0], "sluice.md");
        let hit = &answer.body["hits"][0];
        assert!(hit["snippet"]["matches"].as_array().is_some_and(|matches| !matches.is_empty()), "{hit}");
        for (more, there) in [
            ("&session_id=s1", true),
            ("&session_id=s2", false),
            ("&metadata=%7B%22shelf%22%3A%227%22%7D", true),
            ("&metadata=%7B%22year%22%3A1911%7D", true),
            ("&metadata=%7B%22year%22%3A191%7D", false),
            ("&mode=text&k=1", true),
        ] {
            assert_eq!(found(&served.get(&search(more)).await.body).is_empty(), !there, "{more}");
        }
        let question = json!({ "question": "how often is the sluice greased", "budget": 500 });
        let packed = served.post("/v1/context", &question).await.body;
        assert!(packed["text"].as_str().is_some_and(|text| text.contains("every third week")), "{packed}");
        assert!(packed["tokens"].as_u64() <= Some(500));

        let listed = served.get("/v1/documents?session_id=s1").await.body;
        assert_eq!(
            (&listed["total"], &listed["documents"][0]["id"], &listed["next"]),
            (&json!(1), &json!(id), &Value::Null)
        );
        assert_eq!(served.get("/v1/documents?session_id=s2").await.body["total"], 0);

        assert_eq!(served.delete(&format!("/v1/documents/{id}")).await.status, 204);
        assert_eq!(served.get(&format!("/v1/documents/{id}")).await.status, 404);
        assert!(found(&served.get(&search("")).await.body).is_empty());
        let (code, said) = served.stop();
        assert_eq!(code, Some(0), "{said}");
    });
}

#[test]
fn the_same_content_is_the_same_document_and_its_bytes_are_kept_no_longer_than_needed() {
    block_on(async || {
        let mill = Mill::new();
        let served = Served::start(&mill);
        let id = served.accepted("a.md", NOTE.as_bytes(), &[]).await;
        served.ended(&id).await;
        let again = answered(served.upload("a.md", NOTE.as_bytes(), &[])).await;
        assert_eq!((again.status, &again.body["state"]), (202, &json!("unchanged")), "{}", again.body);
        assert_eq!(id_of(&again.body), id);
        assert_ne!(served.accepted("b.md", NOTE.as_bytes(), &[]).await, id, "another name");
        let archive = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/bundle.zip")).expect("read");
        let bundle = served.accepted("bundle.zip", &archive, &[("user_id", "ada")]).await;
        assert_eq!(served.ended(&bundle).await["state"], "skipped");
        // The members come in by themselves, for the same user, and read the same file.
        let begun = std::time::Instant::now();
        loop {
            let listed = served.get("/v1/documents?user_id=ada").await.body;
            let documents = listed["documents"].as_array().expect("a list");
            let open = documents.iter().any(|one| matches!(one["state"].as_str(), Some("queued" | "running")));
            if documents.len() > 1 && !open && uploads(&mill) == 0 {
                let failed: Vec<&Value> = documents.iter().filter(|one| one["state"] == "failed").collect();
                assert!(failed.is_empty(), "{failed:?}");
                break;
            }
            assert!(begun.elapsed() < super::served::PATIENCE, "{} uploads, {listed}", uploads(&mill));
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
}

#[test]
fn a_document_that_failed_says_why_and_may_be_tried_again() {
    block_on(async || {
        let mill = Mill::new();
        let served = Served::start(&mill);
        let id = served.accepted("broken.pdf", b"%PDF-1.7\nthis is no such thing", &[]).await;
        let failed = served.ended(&id).await;
        assert_eq!((&failed["state"], &failed["stage"]), (&json!("failed"), &json!("parse")), "{failed}");
        assert!(failed["error"].as_str().is_some_and(|error| !error.is_empty()));
        assert_eq!(failed["result"]["success"], false);
        assert_eq!(uploads(&mill), 1, "its bytes are kept");
        let path = format!("/v1/documents/{id}/retry");
        let again = answered(served.request(Method::POST, &path)).await;
        assert_eq!(again.status, 202, "{}", again.body);
        assert_eq!(served.ended(&id).await["state"], "failed");
        assert_eq!(served.get("/v1/documents?state=failed").await.body["total"], 1);
        let url = served.post("/v1/documents", &json!({ "url": "http://127.0.0.1:9/nobody" })).await;
        assert_eq!(url.status, 202, "{}", url.body);
        let refused = served.ended(&id_of(&url.body)).await;
        assert_eq!(refused["state"], "failed", "an address of this machine is not asked: {refused}");
    });
}

#[test]
fn a_document_that_is_deleted_while_it_waits_does_not_come_back() {
    block_on(async || {
        let mill = Mill::new();
        let served = Served::start(&mill);
        let told = answered(served.request(Method::POST, "/v1/run/pause")).await;
        assert_eq!(told.status, 202, "{}", told.body);
        let ids = [served.accepted("a.md", NOTE.as_bytes(), &[]).await, served.accepted("b.md", b"# B", &[]).await];
        // The run is paused: nothing comes to its end, the deletion neither.
        let path = format!("/v1/documents/{}", ids[0]);
        let (deleted, other) = tokio::join!(served.delete(&path), async {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            answered(served.request(Method::POST, "/v1/run/resume")).await
        });
        assert_eq!((deleted.status, other.status), (204, 202), "{}", deleted.body);
        assert_eq!(served.ended(&ids[1]).await["state"], "done");
        assert_eq!(served.get(&path).await.status, 404);
        assert_eq!(served.get("/v1/documents").await.body["total"], 1);
        let (_, said) = served.stop();
        assert!(said.contains("2 documents came to their ends, 0 failed"), "{said}");
    });
}

#[test]
fn a_request_that_is_repeated_is_one() {
    block_on(async || {
        let mill = Mill::new();
        let served = Served::start(&mill);
        let keyed = |text: &str| served.upload("a.md", text.as_bytes(), &[]).header("Idempotency-Key", "order 7");
        let first = answered(keyed(NOTE)).await;
        assert_eq!(first.status, 202, "{}", first.body);
        let again = answered(keyed(NOTE)).await;
        assert_eq!((again.status, id_of(&again.body)), (200, id_of(&first.body)));
        let other = answered(keyed("something else")).await;
        assert_eq!(other.status, 422, "{}", other.body);
        served.kill();
        let served = Served::start(&mill);
        let again = answered(served.upload("a.md", NOTE.as_bytes(), &[]).header("Idempotency-Key", "order 7")).await;
        assert_eq!((again.status, id_of(&again.body)), (200, id_of(&first.body)), "also by the next process");
    });
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    block_on(async || {
        let mill = Mill::new().set("serve.max_bytes=\"64KiB\"");
        let served = Served::start(&mill);
        let large = answered(served.upload("a.txt", &vec![b'a'; 80 << 10], &[])).await;
        assert_eq!(large.status, 413, "{}", large.body);
        let chunked = reqwest::Body::wrap_stream(futures::stream::iter(
            (0..300).map(|_| Ok::<_, std::io::Error>(vec![b'a'; 16 << 10])),
        ));
        let (kind, _) = super::served::form("a", b"", &[]);
        let endless = served.request(Method::POST, "/v1/documents").header("content-type", kind).body(chunked);
        assert_eq!(answered(endless).await.status, 413);
        let post = |kind: &'static str, body: &'static str| {
            answered(served.request(Method::POST, "/v1/documents").header("content-type", kind).body(body))
        };
        for (kind, body, status) in [
            ("text/plain", "a text", 415),
            ("application/json", "{", 400),
            ("application/json", "{\"url\":7}", 422),
            ("application/json", "{}", 422),
            ("application/json", "{\"url\":\"file:///etc/passwd\"}", 422),
            ("application/json", "{\"url\":\"upload://aa/b\"}", 422),
            ("application/json", "{\"url\":\"not an address\"}", 422),
            ("application/json", "{\"url\":\"https://a/\",\"what\":1}", 422),
            ("multipart/form-data", "--x\r\n", 400),
            ("multipart/form-data; boundary=x", "--x--\r\n", 422),
            ("multipart/form-data; boundary=x", "--x\r\ncontent-disposition: form-data; name=\"a\"", 400),
        ] {
            let answer = post(kind, body).await;
            assert_eq!(answer.status, status, "{kind} {body}: {}", answer.body);
            assert_eq!(answer.content_type, "application/problem+json", "{body}");
            assert_eq!(answer.body["status"], status);
        }
        for path in ["/v1/documents/none", "/v1/documents/none/events", "/nowhere", "/v1/stages/none"] {
            let answer = served.get(path).await;
            assert!(matches!(answer.status, 404 | 405), "{path}: {}", answer.status);
            assert_eq!(answer.content_type, "application/problem+json", "{path}");
        }
        for query in
            ["/v1/search", "/v1/search?q=", "/v1/search?q=a&k=0", "/v1/documents?limit=0", "/v1/documents?state=x"]
        {
            assert!(matches!(served.get(query).await.status, 400 | 422), "{query}");
        }
        let width = served.request(Method::PATCH, "/v1/stages/embed").json(&json!({ "width": 3 }));
        assert_eq!(answered(width).await.body, json!({ "id": "embed", "width": 3, "auto": false }));
        let width = served.request(Method::PATCH, "/v1/stages/embed").json(&json!({ "width": 100_000 }));
        assert_eq!(answered(width).await.status, 422);
        let described = served.get("/openapi.json").await.body;
        assert_eq!(described["openapi"], "3.1.0");
    });
}
