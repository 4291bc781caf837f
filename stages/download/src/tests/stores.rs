//! Object stores: one of a few lines on loopback, and a whole one where the environment names it.

use std::sync::Arc;
use std::time::Duration;

use docmill_api::{Context, ErrorClass, Stage, StageError};
use docmill_testkit::moto::Moto;
use serde_json::{Value, json};

use super::archives::zip;
use super::bucket::Bucket;
use super::server::{Server, redirect, text};
use super::{error, fetch, found, process, reference, stage_in};

const KEYS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "zorblax"), ("AWS_SECRET_ACCESS_KEY", "quibblesecret"), ("AWS_REGION", "eu-central-1")];

fn at(endpoint: &str) -> Value {
    json!({ "s3": { "endpoint": endpoint }, "max_bytes": "100KiB" })
}

fn uris(outputs: &mut docmill_api::Outputs) -> Vec<String> {
    outputs.take_found().into_iter().map(|item| item.uri).collect()
}

#[tokio::test]
async fn an_object_becomes_bytes_with_its_type_and_marks_and_is_asked_for_with_a_signature() {
    let bucket = Bucket::start(&[("docs/My Report #1.md", b"# hello")]).await;
    let stage = stage_in(&at(&bucket.endpoint()), &KEYS);
    let (document, bytes) = fetch(&stage, "s3://bucket/docs/My%20Report%20%231.md").await;
    assert_eq!((bytes.as_slice(), document.media_type.as_deref()), (b"# hello".as_slice(), Some("text/markdown")));
    assert_eq!(document.metadata["etag"], "\"7\"");
    assert_eq!(document.metadata["last_modified"], "Sun, 1 Mar 2026 12:00:00 +0000");
    assert_eq!((document.filename.as_str(), document.size), ("My Report #1.md", Some(7)));
    let head = bucket.requests.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.contains("authorization: aws4-hmac-sha256 credential=zorblax/") && head.contains("/eu-central-1/s3/"));
    assert!(!head.contains("quibblesecret") && !head.contains("accept-encoding"), "{head}");
}

#[tokio::test]
async fn a_store_is_asked_without_credentials_where_there_are_none_or_where_it_is_wished() {
    let bucket = Bucket::start(&[("a.txt", b"hello"), ("closed/a.txt", b"x")]).await;
    let mut wish = at(&bucket.endpoint());
    wish["s3"]["anonymous"] = json!(true);
    for stage in [stage_in(&at(&bucket.endpoint()), &[]), stage_in(&wish, &KEYS)] {
        assert_eq!(fetch(&stage, "s3://bucket/a.txt").await.1, b"hello");
        let refused = error(&stage, "s3://bucket/closed/a.txt").await;
        assert_eq!(refused.class, ErrorClass::Rejected);
        assert!(refused.message.starts_with("permission denied (AccessDenied): it was asked without credentials"));
    }
    assert_eq!(bucket.asked("uthorization"), 0);
    let refused = error(&stage_in(&at(&bucket.endpoint()), &KEYS), "s3://bucket/closed/a.txt").await;
    assert!(refused.message.contains("AWS_ACCESS_KEY_ID") && !refused.message.contains("quibblesecret"), "{refused}");
    assert!(!refused.message.contains("hush"), "of an answer only its code: {refused}");
}

#[tokio::test]
async fn a_prefix_and_a_pattern_find_their_objects_over_several_pages() {
    let bucket = Bucket::start(&[
        ("a/1.pdf", b"1"),
        ("a/2.txt", b"22"),
        ("a/b/3 & 4.pdf", b"333"),
        ("a/b/c/5#?.pdf", b"4444"),
        ("a/empty.pdf", b""),
        ("ab/6.pdf", b"6"),
        ("z.pdf", b"z"),
    ])
    .await;
    let stage = stage_in(&at(&bucket.endpoint()), &KEYS);
    let mut listing = process(&stage, "s3://bucket/a/").await.unwrap();
    let items = listing.take_found();
    let expected = [
        ("s3://bucket/a/1.pdf", "1.pdf", 1),
        ("s3://bucket/a/2.txt", "2.txt", 2),
        ("s3://bucket/a/b/3%20%26%204.pdf", "3 & 4.pdf", 3),
        ("s3://bucket/a/b/c/5%23%3F.pdf", "5#?.pdf", 4),
    ];
    let got: Vec<_> =
        items.iter().map(|item| (item.uri.as_str(), item.filename.as_str(), item.size.unwrap())).collect();
    assert_eq!(got, expected);
    assert_eq!(items[3].metadata["etag"], "\"4\"");
    assert_eq!(listing.into_parts().1.unwrap(), "a prefix: its 4 objects are documents of their own");
    assert_eq!(fetch(&stage, &items[3].uri).await.1, b"4444", "what is found can be fetched");
    assert!(bucket.asked("continuation-token") > 0, "a page was not all");

    for (pattern, expected) in [
        ("s3://bucket/a/**/*.pdf", vec!["s3://bucket/a/1.pdf", expected[2].0, expected[3].0]),
        ("s3://bucket/a/*.pdf", vec!["s3://bucket/a/1.pdf"]),
        ("s3://bucket/*", vec!["s3://bucket/z.pdf"]),
        ("s3://bucket/a/*.doc", vec![]),
    ] {
        assert_eq!(uris(&mut process(&stage, pattern).await.unwrap()), expected, "{pattern}");
    }
    assert_eq!(uris(&mut process(&stage, "s3://bucket").await.unwrap()).len(), 6);
    let mut few = at(&bucket.endpoint());
    few["max_objects"] = json!(3);
    let too_many = error(&stage_in(&few, &KEYS), "s3://bucket/a/").await;
    assert!(too_many.message.contains("more than `max_objects` (3) objects"), "{too_many}");
}

#[tokio::test]
async fn what_a_store_answers_decides_what_happens_next() {
    let large = vec![b'x'; (100 << 10) + 1];
    let bucket = Bucket::start(&[("busy/a.txt", b"at last"), ("large.txt", &large)]).await;
    let stage = stage_in(&at(&bucket.endpoint()), &KEYS);
    let busy = error(&stage, "s3://bucket/busy/a.txt").await;
    assert_eq!((busy.class, busy.retry_after), (ErrorClass::Transient, Some(Duration::from_secs(3))), "{busy}");
    assert_eq!(bucket.asked("busy"), 1, "the engine tries again, not the client");
    assert_eq!(fetch(&stage, "s3://bucket/busy/a.txt").await.1, b"at last");
    for (location, message) in [
        ("s3://bucket/missing.txt", "not found"),
        ("s3://other/missing.txt", "its bucket is not found"),
        ("s3://bucket/large.txt", "too large: 100.0KiB, more than `max_bytes` (100KiB)"),
    ] {
        assert_eq!(error(&stage, location).await, StageError::rejected(message), "{location}");
    }
    let elsewhere = Server::start(&[
        ("/bucket/moved", text("301 Moved Permanently", "x-amz-bucket-region: eu-north-1\r\n", "")),
        ("/bucket/trap", redirect("302 Found", "http://169.254.169.254/latest/meta-data/")),
    ])
    .await;
    let stage = stage_in(&at(&format!("http://{}", elsewhere.address)), &KEYS);
    let moved = error(&stage, "s3://bucket/moved").await;
    assert_eq!(moved.message, "its bucket is in another region: set `s3.region` to \"eu-north-1\"");
    let trapped = error(&stage, "s3://bucket/trap").await;
    assert_eq!((trapped.class, elsewhere.requests.lock().unwrap().len()), (ErrorClass::Rejected, 2), "{trapped}");
}

#[tokio::test]
async fn only_the_endpoint_that_the_operator_set_is_trusted() {
    let bucket = Bucket::start(&[("a.txt", b"hello")]).await;
    let endpoint = bucket.endpoint();
    // By variable as well as by the table.
    let mut variables = KEYS.to_vec();
    variables.push(("AWS_ENDPOINT_URL", &endpoint));
    assert_eq!(fetch(&stage_in(&json!({}), &variables), "s3://bucket/a.txt").await.1, b"hello");
    assert_eq!(bucket.asked("GET"), 1);
    // What a location says leads nowhere but into the endpoint, and the metadata service is not asked.
    let stage = stage_in(&at(&endpoint), &KEYS);
    for location in ["s3://127.0.0.1:80/a", "s3://user@bucket/a", "s3://a%2f..%2fb/a"] {
        assert!(error(&stage, location).await.message.contains("names no bucket"), "{location}");
    }
    let mut narrow = at(&endpoint);
    narrow["allow"] = json!({ "hosts": ["other"] });
    let refused = error(&stage_in(&narrow, &KEYS), "s3://bucket/a.txt").await;
    assert_eq!(refused.message, "bucket `bucket` is not allowed: add it to `allow.hosts`");
    assert_eq!(bucket.asked("GET"), 1, "nothing of that was asked");
}

#[tokio::test]
async fn credentials_that_cannot_be_read_are_named_and_not_shown() {
    for (name, value, location) in [
        ("GOOGLE_SERVICE_ACCOUNT_KEY", "\"quibblesecret\"", "gs://bucket/a"),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", "{\"private_key\": [\"quibblesecret\"]}", "gs://bucket/a"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "quibblesecret!", "az://bucket/a"),
        ("AZURE_STORAGE_SAS_TOKEN", "quibblesecret", "az://bucket/a"),
        ("AWS_SECRET_ACCESS_KEY", "quibblesecret", "s3://bucket/a"),
    ] {
        let stage = stage_in(&json!({ "az": { "account": "zorblax" } }), &[(name, value)]);
        let failed = error(&stage, location).await;
        assert_eq!(failed.class, ErrorClass::Rejected, "{name}: {failed}");
        assert!(failed.message.starts_with("no client for its store: "), "{name}: {failed}");
        assert!(!failed.message.contains("quibble"), "{name}: {failed}");
    }
}

#[tokio::test]
async fn a_metadata_service_is_asked_where_that_is_turned_on() {
    let bucket = Bucket::start(&[("a.txt", b"hello")]).await;
    let machine = Server::start(&[]).await;
    let address = format!("http://{}", machine.address);
    let variables = [("AWS_METADATA_ENDPOINT", address.as_str())];
    assert_eq!(fetch(&stage_in(&at(&bucket.endpoint()), &variables), "s3://bucket/a.txt").await.1, b"hello");
    assert_eq!(machine.requests.lock().unwrap().len(), 0);
    let mut config = at(&bucket.endpoint());
    config["s3"]["instance_credentials"] = json!(true);
    assert_eq!(error(&stage_in(&config, &variables), "s3://bucket/a.txt").await.class, ErrorClass::Rejected);
    assert!(machine.requests.lock().unwrap()[0].starts_with("PUT /latest/api/token"));
}

#[tokio::test]
async fn the_stores_of_google_and_azure_are_read_by_the_same_rules() {
    let bucket = Bucket::start(&[("a/b.txt", b"hello"), ("closed/a.txt", b"x")]).await;
    let endpoint = bucket.endpoint();
    let google = stage_in(&json!({ "gs": { "endpoint": endpoint, "anonymous": true } }), &[]);
    assert_eq!(found(&google, "gs://bucket/a/").await, ["gs://bucket/a/b.txt"]);
    let azure = stage_in(&json!({ "az": { "endpoint": endpoint, "account": "zorblax" } }), &[]);
    for (stage, scheme, variable) in
        [(google, "gs", "GOOGLE_APPLICATION_CREDENTIALS"), (azure, "az", "AZURE_STORAGE_ACCOUNT_KEY")]
    {
        let (document, bytes) = fetch(&stage, &format!("{scheme}://bucket/a/b.txt")).await;
        assert_eq!((bytes.as_slice(), &document.metadata["etag"]), (b"hello".as_slice(), &json!("\"5\"")));
        let refused = error(&stage, &format!("{scheme}://bucket/closed/a.txt")).await;
        assert!(refused.class == ErrorClass::Rejected && refused.message.contains(variable), "{refused}");
        assert_eq!(error(&stage, &format!("{scheme}://nothing/a")).await.message, "its bucket is not found");
    }
    assert!(error(&stage_in(&json!({}), &[]), "az://box/a").await.message.contains("set `az.account`"));
    // Where credentials are fetched, the guard stands as well: a name that leads to loopback is not dialled.
    let port = bucket.address.port();
    let authority = format!("https://localhost:{port}");
    let variables = [
        ("AZURE_CLIENT_ID", "a"),
        ("AZURE_CLIENT_SECRET", "quibblesecret"),
        ("AZURE_TENANT_ID", "c"),
        ("AZURE_AUTHORITY_HOST", &authority),
    ];
    let config = json!({ "az": { "account": "zorblax" }, "max_bytes": "1KiB" });
    let refused = error(&stage_in(&config, &variables), "az://box/a").await;
    assert!(refused.message.contains("of `localhost` is private (loopback)"), "{refused}");
    assert_eq!(refused.class, ErrorClass::Rejected);
}

#[tokio::test]
async fn an_archive_in_a_store_is_fetched_once_for_all_its_members() {
    let members: Vec<(String, String)> = (0..8).map(|n| (format!("m{n}.txt"), format!("zorblax {n}"))).collect();
    let entries: Vec<(&str, &[u8])> = members.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let bucket = Bucket::start(&[("a b.zip", &zip(&entries))]).await;
    let stage = stage_in(&at(&bucket.endpoint()), &KEYS);
    let locations = found(&stage, "s3://bucket/a%20b.zip").await;
    assert_eq!(locations[1], "s3://bucket/a%20b.zip#member=m1.txt");
    let reads = locations.iter().map(|location| fetch(&stage, location));
    let all = futures::future::join_all(reads).await;
    for (n, (document, bytes)) in all.iter().enumerate() {
        assert_eq!(bytes, format!("zorblax {n}").as_bytes());
        assert_eq!(document.filename, format!("m{n}.txt"));
    }
    assert_eq!(bucket.asked("GET /bucket/a%20b.zip"), 1);
    // A stage that was started anew, all of whose members come at once, fetches it once as well.
    let fresh: Arc<dyn Stage> = stage_in(&at(&bucket.endpoint()), &KEYS);
    futures::future::join_all(locations.iter().map(|location| fetch(&fresh, location))).await;
    assert_eq!(bucket.asked("GET /bucket/a%20b.zip"), 2);
    let gone = fresh.process(&Context::detached(), reference("s3://bucket/a%20b.zip#member=none.txt")).await;
    assert_eq!(gone.unwrap_err(), StageError::rejected("not found in its archive"));
}

#[tokio::test]
async fn a_whole_store_is_read_by_object_prefix_and_pattern() {
    let Some(moto) = Moto::start().unwrap() else { return };
    moto.put("bucket", b"").unwrap();
    for number in 0..1203 {
        moto.put(&format!("bucket/many/{number}.txt"), format!("zorblax {number}").as_bytes()).unwrap();
    }
    moto.put("bucket/a/My%20Report%20%C3%BC.md", b"# hello").unwrap();
    moto.put("bucket/a/b.zip", &zip(&[("in/c.txt", b"within")])).unwrap();
    let endpoint = moto.endpoint();
    let variables =
        [("AWS_ACCESS_KEY_ID", "zorblax"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_ENDPOINT_URL", endpoint.as_str())];
    let stage = stage_in(&json!({}), &variables);
    assert_eq!(found(&stage, "s3://bucket/many/").await.len(), 1203, "over two pages");
    let items = found(&stage, "s3://bucket/a/*").await;
    assert_eq!(items, ["s3://bucket/a/My%20Report%20%C3%BC.md", "s3://bucket/a/b.zip"]);
    let (document, bytes) = fetch(&stage, &items[0]).await;
    assert_eq!((bytes.as_slice(), document.filename.as_str()), (b"# hello".as_slice(), "My Report ü.md"));
    assert!(document.metadata.contains_key("etag") && document.metadata.contains_key("last_modified"));
    let members = found(&stage, &items[1]).await;
    assert_eq!(fetch(&stage, &members[0]).await.1, b"within");
    assert_eq!(error(&stage, "s3://bucket/none").await, StageError::rejected("not found"));
    assert_eq!(error(&stage, "s3://nothing/none").await, StageError::rejected("its bucket is not found"));
}
