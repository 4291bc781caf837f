//! More connections than there is room for.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::seats::{Connections, Kind, LEAVING, Seats};
use super::super::{Limits, OTHERS};
use super::support::{answer, one, patient, rest, service, status};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_while_thousands_are_idle() {
    let limits = Limits { connections: 1500, grace: Duration::from_millis(50), ..patient() };
    let needs = limits.connections * 4 + OTHERS as usize;
    let limits = limits.within_descriptors();
    let may = getrlimit(Resource::Nofile).maximum.map_or(needs, |maximum| maximum as usize).min(needs);
    // Both ends are in this process, and other tests beside them.
    let idle = (may - OTHERS as usize) / 3;
    let limits = Limits { connections: limits.connections.min(idle / 2), ..limits };
    let room = limits.connections + limits.spare;
    let service = service(limits).await;
    let mut held = Vec::new();
    for number in 0..idle {
        let mut stream = service.connect().await;
        // Half of them have begun to say something.
        if number % 2 == 0 {
            let _ = stream.write_all(b"GET /say/a HTTP/1.1\r\n").await;
        }
        held.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(status(&service.get("/health/live").await), 200);
    }
    // By now those who came first are no longer there for those who came last, and the service takes work again.
    assert_eq!(status(&service.get("/say/a").await), 200);
    assert!(service.connections.most() <= room + 2 * LEAVING, "{} of {room}", service.connections.most());
    assert!(service.connections.displaced() >= (idle - room) as u64);
    drop(held);
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_are_busy_health_is_answered_and_the_rest_told_to_come_again() {
    let service = service(Limits { connections: 2, ..patient() }).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = service.connect().await;
        stream.write_all(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("taken");
        one(&service.held.reached).await;
        busy.push(stream);
    }
    assert!(service.get("/health/live").await.ends_with("live"));
    // An upload is heard out, and nothing of it is kept.
    let mut upload = service.connect().await;
    let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 4 << 20);
    upload.write_all(head.as_bytes()).await.expect("taken");
    upload.write_all(&vec![b'x'; 4 << 20]).await.expect("taken");
    let mut said = String::new();
    upload.read_to_string(&mut said).await.expect("an answer, and no reset");
    assert_eq!(status(&said), 503, "{said:?}");
    assert!(said.contains("retry-after: 1") && said.contains("application/problem+json"), "{said:?}");
    assert_eq!(service.connections.refused(), 1);
    // With a seat that comes free there is room for anything.
    service.held.go.add_permits(2);
    for stream in &mut busy {
        assert!(answer(stream).await.ends_with("waited"));
    }
    drop(busy);
    drop(upload);
    service.is_empty().await;
    assert!(service.get("/say/a").await.ends_with("\r\n\r\na"));
    assert_eq!(service.connections.displaced(), 0);
    assert_eq!(service.end().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_no_seat_waits_and_is_not_reset() {
    let service = service(Limits { connections: 1, spare: 1, ..patient() }).await;
    let mut busy = Vec::new();
    let wait = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = service.connect().await;
    first.write_all(wait).await.expect("taken");
    one(&service.held.reached).await;
    // The spare seat, kept by a body that is still heard out.
    let mut spare = service.connect().await;
    spare.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n").await.expect("taken");
    assert_eq!(status(&answer(&mut spare).await), 503);
    for _ in 0..100 {
        let mut stream = service.connect().await;
        stream.write_all(b"GET /say/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("taken");
        busy.push(stream);
    }
    service.held.go.add_permits(1);
    assert!(answer(&mut first).await.ends_with("waited"));
    drop(first);
    drop(spare);
    for stream in &mut busy {
        assert!([200, 503].contains(&status(&rest(stream).await)));
    }
    drop(busy);
    service.is_empty().await;
    assert_eq!(service.end().await, 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_idle_for_longest_goes_first_and_nobody_who_is_asked_for_something() {
    let limits = Limits { connections: 2, spare: 1, grace: Duration::from_secs(5), ..Limits::default() };
    let counts = Arc::<Connections>::default();
    let seats = Arc::new(Seats::new(&limits, Arc::clone(&counts)));
    let first = seats.take().await;
    let second = seats.take().await;
    first.is_busy();
    let spare = seats.take().await;
    assert_eq!((first.kind(), second.kind(), spare.kind()), (Kind::Full, Kind::Full, Kind::Spare));
    spare.is_busy();
    // There is none until the second's grace is over. Time is paused: it goes on by what is waited for.
    let begun = tokio::time::Instant::now();
    let fourth = seats.take().await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!(fourth.kind(), Kind::Full);
    assert!(second.leave().is_cancelled() && !first.leave().is_cancelled() && !spare.leave().is_cancelled());
    assert_eq!((counts.now(), counts.displaced()), (4, 1));
    // Who has lost its seat gives none back, whatever it does before it is gone.
    second.is_busy();
    second.is_idle();
    drop(second);
    fourth.is_busy();
    let waiting = tokio::time::timeout(Duration::from_secs(60), seats.take()).await;
    assert!(waiting.is_err(), "there is no seat");
    // Without descriptors there is no grace.
    first.is_idle();
    seats.short_of_descriptors();
    assert!(first.leave().is_cancelled());
    assert_eq!(seats.take().await.kind(), Kind::Full);
    drop((first, spare, fourth));
    assert_eq!((counts.now(), counts.most(), counts.accepted()), (0, 4, 5));
}

#[test]
fn there_are_no_more_connections_than_descriptors() {
    let limits = |connections, descriptors| {
        let limits = Limits { connections, ..Limits::default() }.within(descriptors);
        (limits.connections, limits.spare)
    };
    assert_eq!(limits(1024, 1 << 20), (1024, 64));
    assert_eq!(limits(1024, 1024), (704, 64));
    assert_eq!(limits(100_000, 20_000), (20_000 - 256 - 64, 64));
    assert_eq!(limits(1024, 64), (14, 2));
    assert_eq!(limits(1024, 4), (1, 1));
    assert_eq!(limits(1024, 0), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_come_and_go() {
    let service = service(patient()).await;
    let mut coming = tokio::task::JoinSet::new();
    for number in 0..1000_usize {
        let address = service.address;
        coming.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            let request = format!("GET /say/{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.expect("taken");
            let said = rest(&mut stream).await;
            match status(&said) {
                200 => assert!(said.ends_with(&format!("\r\n\r\n{number}"))),
                503 => assert!(said.contains("retry-after")),
                other => panic!("{other}: {said:?}"),
            }
        });
    }
    while let Some(come) = coming.join_next().await {
        come.expect("each is answered");
    }
    service.is_empty().await;
    assert_eq!(service.connections.accepted(), 1000);
    assert_eq!(service.end().await, 0);
}
