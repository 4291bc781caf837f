//! Fetching over HTTP from a server on loopback, which has to be allowed first.

use std::io::Write;
use std::time::Duration;

use docmill_api::{Context, Digest, ErrorClass, Known, StageError};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::server::{Server, answer, redirect, text};
use super::{error, fetch, stage};

/// Loopback allowed, at most 100 KiB.
fn open() -> Value {
    json!({ "allow": { "cidrs": ["127.0.0.0/8", "::1"] }, "max_bytes": "100KiB" })
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_page_becomes_bytes_with_its_type_and_the_server_s_marks() {
    let headers =
        "Content-Type: Text/HTML; charset=utf-8\r\nETag: \"7\"\r\nLast-Modified: Sun, 01 Mar 2026 12:00:00 GMT\r\n";
    let server = Server::start(&[
        ("/page?id=1", text("200 OK", headers, "<p>hello</p>")),
        ("/a.bin", text("200 OK", "Content-Type: text/plain\r\n", "%PDF-1.7\n\0\x01\x02")),
        ("/empty", text("200 OK", "", "")),
        ("/nothing", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
    ])
    .await;
    let stage = stage(open()).await;
    let (document, bytes) = fetch(&stage, &server.url("/page?id=1#part")).await;
    assert_eq!((bytes.as_slice(), document.media_type.as_deref()), (b"<p>hello</p>".as_slice(), Some("text/html")));
    assert_eq!(document.metadata["etag"], "\"7\"");
    assert_eq!(document.metadata["last_modified"], "Sun, 01 Mar 2026 12:00:00 GMT");
    let (document, _) = fetch(&stage, &server.url("/a.bin")).await;
    assert_eq!((document.media_type.as_deref(), document.metadata.len()), (Some("application/pdf"), 0));
    for path in ["/empty", "/nothing"] {
        let (document, bytes) = fetch(&stage, &server.url(path)).await;
        assert!(bytes.is_empty() && document.version().is_some(), "{path}");
    }
    let requests = server.requests.lock().unwrap().join("").to_ascii_lowercase();
    assert!(requests.contains(&format!("user-agent: docmill/{}", env!("CARGO_PKG_VERSION"))), "{requests}");
    assert!(!requests.contains("authorization") && !requests.contains("cookie") && !requests.contains("referer"));
}

#[tokio::test]
async fn redirects_are_followed_so_far_and_no_farther() {
    let server = Server::start(&[
        ("/1", redirect("302 Found", "/2")),
        ("/2", redirect("308 Permanent Redirect", "http://127.0.0.1:{port}/deep/notes.md")),
        ("/deep/notes.md", text("200 OK", "", "# notes")),
        ("/loop", redirect("301 Moved Permanently", "loop")),
        ("/nowhere", text("302 Found", "", "")),
    ])
    .await;
    let stage = stage(open()).await;
    let (document, bytes) = fetch(&stage, &server.url("/1")).await;
    assert_eq!((bytes.as_slice(), document.media_type.as_deref()), (b"# notes".as_slice(), Some("text/markdown")));
    assert_eq!(document.location, server.url("/1"), "a document stays what it was called");
    let before = server.requests.lock().unwrap().len();
    assert_eq!(error(&stage, &server.url("/loop")).await, StageError::rejected("more than 5 redirects"));
    assert_eq!(server.requests.lock().unwrap().len() - before, 6);
    assert!(error(&stage, &server.url("/nowhere")).await.message.contains("302"));
}

#[tokio::test]
async fn loopback_is_refused_by_address_by_name_and_through_a_redirect() {
    let server = Server::start(&[
        ("/", text("200 OK", "", "secret")),
        ("/name", redirect("302 Found", "http://localhost:{port}/")),
        ("/literal", redirect("302 Found", "http://127.0.0.2:{port}/")),
        ("/file", redirect("302 Found", "file:///etc/hostname")),
        ("/user", redirect("302 Found", "http://user:secret@127.0.0.1:{port}/")),
    ])
    .await;
    let port = server.address.port();
    let closed = stage(json!({})).await;
    let of_literal = error(&closed, &server.url("/")).await;
    assert_eq!(of_literal.message, "address 127.0.0.1 is private (loopback): allow it with `allow.cidrs`");
    let of_name = error(&closed, &format!("http://localhost:{port}/")).await;
    assert_eq!(of_name.class, ErrorClass::Rejected);
    assert!(of_name.message.contains("of `localhost` is private (loopback)"), "{of_name}");
    assert!(of_name.message.ends_with("allow it with `allow.cidrs`"), "{of_name}");
    assert_eq!(server.requests.lock().unwrap().len(), 0, "nothing was asked");

    // One address open, the redirects lead to others.
    let narrow = stage(json!({ "allow": { "cidrs": ["127.0.0.1/32"], "hosts": ["127.0.0.1", "127.0.0.2"] } })).await;
    let refused = error(&narrow, &server.url("/literal")).await;
    assert!(refused.message.contains("address 127.0.0.2 is private"), "{refused}");
    let refused = error(&narrow, &server.url("/name")).await;
    assert!(refused.message.contains("host `localhost` is not allowed"), "{refused}");
    assert!(error(&narrow, &server.url("/file")).await.message.contains("`file` is no address of a web server"));
    let refused = error(&narrow, &server.url("/user")).await;
    assert!(refused.message.contains("user name") && !refused.message.contains("secret"), "{refused}");
    assert_eq!(server.requests.lock().unwrap().len(), 4, "one for each redirect, none beyond");

    let by_name = fetch(&stage(open()).await, &format!("http://localhost:{port}/")).await;
    assert_eq!(by_name.1, b"secret", "and allowed, it is fetched");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_by_length_by_count_and_after_decompression() {
    let whole = vec![b'x'; 100 << 10];
    let beyond = vec![b'x'; (100 << 10) + 1];
    let packed = |body: &[u8]| answer("200 OK", "Content-Encoding: gzip\r\n", &gzip(body));
    let until_close = |body: &[u8]| [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".as_slice(), body].concat();
    let server = Server::start(&[
        ("/whole", answer("200 OK", "", &whole)),
        ("/whole.gz", packed(&whole)),
        ("/announced", b"HTTP/1.1 200 OK\r\nContent-Length: 12582912\r\n\r\n".to_vec()),
        ("/streamed", until_close(&beyond)),
        ("/endless", until_close(&vec![b'x'; 8 << 20])),
        ("/bomb", packed(&vec![0; 16 << 20])),
    ])
    .await;
    let stage = stage(open()).await;
    for path in ["/whole", "/whole.gz"] {
        assert!(fetch(&stage, &server.url(path)).await.1 == whole, "{path}");
    }
    let announced = error(&stage, &server.url("/announced")).await;
    assert_eq!(announced, StageError::rejected("too large: 12MiB, more than `max_bytes` (100KiB)"));
    for path in ["/streamed", "/endless", "/bomb"] {
        let counted = error(&stage, &server.url(path)).await;
        assert_eq!(counted, StageError::rejected("too large: more than `max_bytes` (100KiB)"), "{path}");
    }
}

#[tokio::test]
async fn a_status_says_whether_to_try_again_and_when() {
    let server = Server::start(&[
        ("/busy", text("503 Service Unavailable", "Retry-After: 7\r\n", "")),
        ("/many", text("429 Too Many Requests", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")),
        ("/broken", text("500 Internal Server Error", "", "")),
        ("/forbidden", text("403 Forbidden", "", "")),
        ("/who", text("401 Unauthorized", "", "")),
        ("/gone", text("410 Gone", "", "")),
        ("/teapot", text("418 I'm a teapot", "", "")),
        ("/short", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nonly this".to_vec()),
        ("/garbled", answer("200 OK", "Content-Encoding: gzip\r\n", b"no gzip at all")),
    ])
    .await;
    let stage = stage(open()).await;
    for (path, class, wait) in [
        ("/busy", ErrorClass::Transient, Some(7)),
        ("/many", ErrorClass::Transient, Some(0)),
        ("/broken", ErrorClass::Transient, None),
        ("/short", ErrorClass::Transient, None),
        ("/garbled", ErrorClass::Transient, None),
        ("/forbidden", ErrorClass::Rejected, None),
        ("/who", ErrorClass::Rejected, None),
        ("/gone", ErrorClass::Rejected, None),
        ("/teapot", ErrorClass::Rejected, None),
        ("/missing", ErrorClass::Rejected, None),
    ] {
        let failed = error(&stage, &server.url(path)).await;
        assert_eq!((failed.class, failed.retry_after), (class, wait.map(Duration::from_secs)), "{path}: {failed}");
    }
    assert_eq!(error(&stage, &server.url("/missing")).await.message, "the server answered 404 Not Found");
}

#[tokio::test]
async fn a_server_that_is_down_is_worth_another_attempt_and_its_link_stays_secret() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a?sig=secret", listener.local_addr().unwrap());
    drop(listener);
    let failed = error(&stage(open()).await, &url).await;
    assert_eq!(failed.class, ErrorClass::Transient);
    assert!(failed.message.starts_with("cannot connect") && !failed.message.contains("secret"), "{failed}");
}

#[tokio::test]
async fn a_server_that_has_nothing_new_is_believed_and_a_time_within_the_same_second_is_no_stamp() {
    let dated = |modified: &str| {
        let date = "Date: Sun, 01 Mar 2026 12:00:10 GMT\r\n";
        text("200 OK", &format!("{date}Last-Modified: Sun, 01 Mar 2026 12:00:{modified} GMT\r\n"), "x")
    };
    let server = Server::start(&[
        ("/old", dated("00")),
        ("/fresh", dated("09")),
        ("/tagged", text("200 OK", "ETag: W/\"7\"\r\n", "x")),
        ("/same", b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()),
    ])
    .await;
    let stage = stage(open()).await;
    let (old, _) = fetch(&stage, &server.url("/old")).await;
    assert_eq!(old.stamp.as_deref(), Some("modified Sun, 01 Mar 2026 12:00:00 GMT"));
    assert_eq!(fetch(&stage, &server.url("/fresh")).await.0.stamp, None, "it may have changed again since");
    let (tagged, _) = fetch(&stage, &server.url("/tagged")).await;
    assert_eq!(tagged.stamp.as_deref(), Some("etag W/\"7\""));

    for (stamp, header) in [
        ("etag W/\"7\"", "if-none-match: w/\"7\""),
        ("modified Sun, 01 Mar 2026 12:00:00 GMT", "if-modified-since: sun, 01 mar 2026"),
    ] {
        let mut record = docmill_testkit::records::reference(&server.url("/same"));
        let mut document = (*record.document).clone();
        document.known = Some(Known { stamp: stamp.into(), content: Digest::of(&[b"x"]) });
        record.document = std::sync::Arc::new(document);
        let outputs = stage.process(&Context::detached(), record).await.expect("an answer");
        assert!(outputs.is_as_known() && outputs.records().is_empty());
        let request = server.requests.lock().unwrap().pop().unwrap().to_ascii_lowercase();
        assert!(request.contains(header), "{request}");
    }
    // Nobody asked for nothing but something new, so this is no answer.
    assert!(error(&stage, &server.url("/same")).await.message.contains("304"));
}
