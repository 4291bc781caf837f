//! Heads of requests: slow, huge, and made to be misread.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::support::{answer, drip, patient, rest, service, short, status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_end_their_connections() {
    let service = service(short()).await;
    // One that says nothing, one that stops, one that never does.
    let mut silent = service.connect().await;
    let mut stopped = service.connect().await;
    stopped.write_all(b"GET /say/a HTTP/1.1\r\nHo").await.expect("taken");
    let (mut read, mut write) = service.connect().await.into_split();
    write.write_all(b"GET /say/a HTTP/1.1\r\n").await.expect("taken");
    let dripping = tokio::spawn(async move { drip(&mut write, b"a: b\r\n", Duration::from_millis(20)).await });
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(rest(&mut stopped).await, "");
    dripping.await.expect("its bytes are taken no longer");
    let _ = tokio::io::copy(&mut read, &mut tokio::io::sink()).await;
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_kept_and_not_used_is_closed() {
    let service = service(short()).await;
    let mut stream = service.connect().await;
    stream.write_all(b"GET /say/a HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("taken");
    assert!(answer(&mut stream).await.ends_with("\r\n\r\na"));
    assert_eq!(rest(&mut stream).await, "");
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_refused() {
    let service = service(patient()).await;
    let table: &[(&str, &[u8], u16)] = &[
        ("a method with a stray sign", b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("no method", b" / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("a method that nobody knows", b"BREW /say/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
        ("a tunnel", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nConnection: close\r\n\r\n", 404),
        ("a version to come", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 400),
        ("no version", b"GET /\r\n\r\n", 400),
        ("the greeting of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        ("a line that is no header", b"GET / HTTP/1.1\r\nHost a\r\n\r\n", 400),
        ("a name with a space", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("a folded line", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
        ("a value with a bare CR", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n", 400),
        ("a value with NUL", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("an address with a space", b"GET /say/a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("an address with a control sign", b"GET /say/\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("lengths that differ", b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        ("a length below nothing", b"POST /echo HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc", 400),
        ("a length with a sign", b"POST /echo HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", 400),
        ("a length beyond numbers", b"POST /echo HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nabc", 400),
        ("an unknown coding", b"POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabc", 400),
        ("chunked, and then not", b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    ];
    for (what, bytes, expected) in table {
        let said = service.send(bytes).await;
        assert_eq!(status(&said), *expected, "{what}: {said:?}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{what}: {said:?}");
    }
    // HTTP/2 without asking: there is nothing to be said in it.
    assert_eq!(service.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, "");
    assert_eq!(status(&service.get("/say/on").await), 200);
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_heads_are_refused_and_the_refusal_is_read() {
    let service = service(patient()).await;
    let many = "a: b\r\n".repeat(200);
    let long = "x".repeat(1 << 20);
    let address = "x".repeat(9 << 10);
    let table = [
        ("many headers", format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
        ("a megabyte in one", format!("GET / HTTP/1.1\r\nA: {long}\r\n\r\n"), 431),
        ("an address of a megabyte", format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 431),
        ("an address of 9 KiB", format!("GET /{address} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 414),
    ];
    for (what, bytes, expected) in table {
        let said = service.send(bytes).await;
        assert!([expected, 414].contains(&status(&said)), "{what}: {said:?}");
    }
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_break_in_an_address_makes_no_header() {
    let service = service(patient()).await;
    let said = service.get("/say/a%0d%0aX-Injected:%20yes%0d%0a%0d%0aHTTP%2F1.1%20200%20OK").await;
    let head = said.split("\r\n\r\n").next().unwrap_or_default();
    assert_eq!(status(&said), 200);
    assert!(!head.to_ascii_lowercase().contains("x-injected"), "{said:?}");
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_one_go_are_answered_in_order() {
    let service = service(patient()).await;
    let mut stream = service.connect().await;
    let mut bytes = String::new();
    for number in 0..50 {
        bytes += &format!("GET /say/{number} HTTP/1.1\r\nHost: a\r\n\r\n");
        bytes += &format!("POST /echo HTTP/1.1\r\nContent-Length: {number}\r\n\r\n{}", "x".repeat(number));
    }
    stream.write_all(bytes.as_bytes()).await.expect("taken");
    for number in 0..50 {
        for _ in 0..2 {
            let said = answer(&mut stream).await;
            assert!(said.ends_with(&format!("\r\n\r\n{number}")), "{number}: {said:?}");
        }
    }
    drop(stream);
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}
