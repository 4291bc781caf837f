//! Bodies: slow, endless, of a length that is not theirs, and refused before they have come.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::Limits;
use super::support::{answer, drip, one, patient, rest, service, short, status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stalls_is_ended_and_told() {
    let service = service(short()).await;
    for head in ["Content-Length: 100\r\n\r\n0123456789", "Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n"] {
        let said = service.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\n{head}")).await;
        assert_eq!(status(&said), 408, "{said:?}");
        assert!(said.contains("application/problem+json"), "{said:?}");
    }
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_comes_in_drops_has_a_deadline() {
    let service = service(Limits { body: Duration::from_millis(500), ..short() }).await;
    let (mut read, mut write) = service.connect().await.into_split();
    write.write_all(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").await.expect("taken");
    let dripping = tokio::spawn(async move { drip(&mut write, b"x", Duration::from_millis(20)).await });
    let mut said = [0; 12];
    read.read_exact(&mut said).await.expect("an answer");
    assert_eq!(&said, b"HTTP/1.1 408");
    drop(read);
    dripping.abort();
    let _ = dripping.await;
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_body_is_refused_at_the_limit_and_dropped_within_bounds() {
    let service = service(Limits { leftover: 1 << 20, ..patient() }).await;
    let (mut read, mut write) = service.connect().await.into_split();
    write.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await.expect("taken");
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let sending = tokio::spawn(async move { drip(&mut write, chunk.as_bytes(), Duration::from_micros(1)).await });
    let mut said = [0; 12];
    read.read_exact(&mut said).await.expect("an answer");
    assert_eq!(&said, b"HTTP/1.1 413");
    sending.await.expect("its bytes are taken no longer");
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_gigabytes_are_declared_and_the_peer_goes() {
    let service = service(patient()).await;
    let mut stream = service.connect().await;
    let head = "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10737418240\r\n\r\nsome";
    stream.write_all(head.as_bytes()).await.expect("taken");
    one(&service.held.reached).await;
    drop(stream);
    one(&service.held.over).await;
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_as_long_as_it_was_said_to_be() {
    let service = service(patient()).await;
    // Too short: the peer ends before its length.
    let mut short = service.connect().await;
    short.write_all(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nfour").await.expect("taken");
    short.shutdown().await.expect("it is open");
    one(&service.held.over).await;
    assert_ne!(status(&rest(&mut short).await), 200);
    // Too long: what is over is the next request, and none.
    let said = service.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc and more\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said:?}");
    assert!(said.contains("HTTP/1.1 400"), "{said:?}");
    // Both lengths: the chunks count, and nothing of this connection is believed after them.
    let both = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n\
                3\r\nabc\r\n0\r\n\r\nGET /say/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let said = service.send(both).await;
    assert_eq!(said.matches("HTTP/1.1").count(), 1, "{said:?}");
    assert!(said.ends_with("\r\n\r\n3") && said.contains("connection: close"), "{said:?}");
    // A chunk whose size is none.
    let said = service.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n").await;
    assert_eq!(status(&said), 400, "{said:?}");
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_answer_is_read_by_a_peer_that_sends_all_first() {
    let service = service(patient()).await;
    let length = 10 << 20;
    let head = format!("POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let mut stream = service.connect().await;
    stream.write_all(head.as_bytes()).await.expect("taken");
    stream.write_all(&vec![b'x'; length]).await.expect("all of it is taken");
    let mut said = String::new();
    stream.read_to_string(&mut said).await.expect("an answer, and no reset");
    assert_eq!(status(&said), 503, "{said:?}");
    assert!(said.to_ascii_lowercase().contains("connection: close"), "told not to come again this way: {said:?}");
    drop(stream);
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_before_sending_is_told() {
    let service = service(patient()).await;
    let expect = "Host: a\r\nContent-Length: 3000000\r\nExpect: 100-continue\r\n\r\n";
    let said = service.send(format!("POST /refuse HTTP/1.1\r\n{expect}")).await;
    assert_eq!(status(&said), 503, "no body is asked for: {said:?}");
    let said = service.send(format!("POST /drop HTTP/1.1\r\n{expect}")).await;
    assert_eq!(status(&said), 503, "nor to be dropped: {said:?}");
    let mut stream = service.connect().await;
    stream.write_all(format!("POST /read HTTP/1.1\r\n{expect}").as_bytes()).await.expect("taken");
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 100"));
    stream.write_all(&vec![b'x'; 3_000_000]).await.expect("taken");
    assert!(answer(&mut stream).await.ends_with("\r\n\r\n3000000"));
    drop(stream);
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_small_body_was_dropped_is_kept() {
    let service = service(patient()).await;
    let mut stream = service.connect().await;
    let head = "POST /drop HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n";
    for _ in 0..3 {
        stream.write_all(head.as_bytes()).await.expect("taken");
        stream.write_all(&[b'x'; 300_000]).await.expect("taken");
        assert_eq!(status(&answer(&mut stream).await), 503);
    }
    assert_eq!(service.connections.accepted(), 1);
    drop(stream);
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}
