//! Peers that go, that do not read, and a service that goes.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::support::{answer, one, patient, rest, service, service_with, short, sockets_at, status};

const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_done_for_who_has_gone() {
    let service = service(patient()).await;
    let mut gone = service.connect().await;
    gone.write_all(WAIT).await.expect("taken");
    one(&service.held.reached).await;
    drop(gone);
    one(&service.held.over).await;
    // One that has ended its half alone is taken to have gone as well.
    let mut half = service.connect().await;
    half.write_all(WAIT).await.expect("taken");
    one(&service.held.reached).await;
    half.shutdown().await.expect("it is open");
    one(&service.held.over).await;
    assert_eq!(rest(&mut half).await, "");
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_an_answer_is_given_up() {
    let service = service(short()).await;
    let mut deaf = service.connect().await;
    deaf.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("taken");
    one(&service.held.over).await;
    service.is_empty().await;
    drop(deaf);
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_longer_than_any_limit_is_answered() {
    let service = service(short()).await;
    let mut waiting = service.connect().await;
    waiting.write_all(WAIT).await.expect("taken");
    one(&service.held.reached).await;
    // A connection that began later has been through its whole time.
    assert_eq!(rest(&mut service.connect().await).await, "");
    service.held.go.add_permits(1);
    assert!(answer(&mut waiting).await.ends_with("waited"));
    drop(waiting);
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_lets_what_is_in_hand_end_and_nothing_else() {
    let mut service = service(patient()).await;
    let mut silent = service.connect().await;
    let mut kept = service.connect().await;
    kept.write_all(b"GET /say/a HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("taken");
    answer(&mut kept).await;
    let mut waiting = service.connect().await;
    waiting.write_all(WAIT).await.expect("taken");
    one(&service.held.reached).await;
    service.closing.cancel();
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(rest(&mut kept).await, "");
    assert!(TcpStream::connect(service.address).await.is_err(), "nobody is let in");
    assert!(!service.serving.is_finished());
    service.held.go.add_permits(1);
    let said = rest(&mut waiting).await;
    assert!(said.ends_with("waited") && said.contains("connection: close"), "{said:?}");
    (&mut service.serving).await.expect("no panic").expect("it served");
    assert_eq!(service.connections.now(), 0);
    assert_eq!(sockets_at(service.address.port()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_end_in_time_is_cut() {
    let mut service = service_with(patient(), Duration::from_millis(50)).await;
    let mut waiting = service.connect().await;
    waiting.write_all(WAIT).await.expect("taken");
    one(&service.held.reached).await;
    let mut endless = service.connect().await;
    endless.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("taken");
    service.closing.cancel();
    (&mut service.serving).await.expect("no panic").expect("it served");
    one(&service.held.over).await;
    assert_eq!(service.connections.now(), 0);
    assert_eq!(sockets_at(service.address.port()), 0);
    assert_eq!(rest(&mut waiting).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_dropped_leaves_nothing() {
    let service = service(patient()).await;
    let mut waiting = service.connect().await;
    waiting.write_all(WAIT).await.expect("taken");
    one(&service.held.reached).await;
    service.serving.abort();
    one(&service.held.over).await;
    service.is_empty().await;
    assert_eq!(status(&rest(&mut waiting).await), 0);
}
