//! Bodies that are made to hurt: without an end, with lengths that lie, and small ones that unpack to much.

use std::net::SocketAddr;
use std::process::Stdio;

use docmill_api::{ErrorClass, StageError};
use flate2::{Compress, Compression, Crc, FlushCompress};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::server::{Server, answer};
use super::{error, fetch, stage};

const MEBIBYTE: usize = 1 << 20;

/// Tells a child of a test where the bomb is.
const BOMB: &str = "DOCMILL_TEST_BOMB";

fn open() -> Value {
    json!({ "allow": { "cidrs": ["127.0.0.1"] }, "max_bytes": "100KiB" })
}

/// The ten bytes that a gzip stream begins with.
const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A mebibyte of zeros, deflated. It ends at a byte and refers to nothing before it, so it can be repeated.
fn zeros() -> Vec<u8> {
    let mut packed = Vec::with_capacity(1 << 16);
    let mut compress = Compress::new(Compression::best(), false);
    compress.compress_vec(&vec![0; MEBIBYTE], &mut packed, FlushCompress::Full).unwrap();
    assert_eq!(compress.total_in() as usize, MEBIBYTE);
    packed
}

/// So many mebibytes of zeros as gzip, without the time that it would take to pack them.
fn bomb(mebibytes: usize) -> Vec<u8> {
    let mut one = Crc::new();
    one.update(&vec![0; MEBIBYTE]);
    let mut all = Crc::new();
    (0..mebibytes).for_each(|_| all.combine(&one));
    // An empty last block, the checksum and the length.
    [&GZIP, zeros().repeat(mebibytes).as_slice(), &[3, 0], &all.sum().to_le_bytes(), &all.amount().to_le_bytes()]
        .concat()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// What an endless answer ends with all the same, so that a broken limit fails a test and hangs none. The buffers of the
/// connection hold far less.
const PATIENCE: usize = 256 * MEBIBYTE;

/// Answers one request with a beginning and then with one piece for as long as somebody takes it: its task ends well
/// when the client hangs up.
async fn endless(beginning: Vec<u8>, piece: Vec<u8>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let mut taken = stream.write_all(&beginning).await;
        let mut sent = 0;
        while taken.is_ok() {
            assert!(sent < PATIENCE, "nobody hangs up");
            taken = stream.write_all(&piece).await;
            sent += piece.len();
        }
    });
    (address, task)
}

#[tokio::test]
async fn a_body_without_an_end_is_left_once_it_is_too_large() {
    let plain = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let packed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for (what, beginning, piece) in [
        ("until it closes", plain, vec![b'x'; 1 << 16]),
        ("in chunks", chunked.clone(), chunk(&[b'x'; 1 << 16])),
        ("in chunks of a byte", chunked, chunk(b"x").repeat(10_000)),
        ("in chunks, packed", [packed, chunk(&GZIP)].concat(), chunk(&zeros())),
    ] {
        let (address, server) = endless(beginning, piece).await;
        let refused = error(&stage(open()).await, &format!("http://{address}/")).await;
        assert_eq!(refused, StageError::rejected("too large: more than `max_bytes` (100KiB)"), "{what}");
        server.await.unwrap();
    }
}

/// What is between the pieces of a body is counted by the client, which gives up without a word of ours.
#[tokio::test]
async fn headers_trailers_and_extensions_without_an_end_are_left() {
    let head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for (what, beginning, piece) in [
        ("a header", [head.as_slice(), b"X: "].concat(), vec![b'x'; 1 << 16]),
        ("headers", head, b"X: x\r\n".repeat(1000)),
        ("an extension of a chunk", [chunked.as_slice(), b"1;"].concat(), vec![b'x'; 1 << 16]),
        ("trailers", [chunked.as_slice(), b"0\r\n"].concat(), b"X: x\r\n".repeat(1000)),
    ] {
        let (address, server) = endless(beginning, piece).await;
        let failed = error(&stage(open()).await, &format!("http://{address}/")).await;
        assert_eq!(failed.class, ErrorClass::Transient, "{what}: {failed}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_length_that_lies_is_not_believed() {
    let with = |lengths: &str| format!("HTTP/1.1 200 OK\r\n{lengths}Connection: close\r\n\r\nzorblax").into_bytes();
    let chunked = |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into_bytes();
    let both = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nzorblax\r\n0\r\n\r\n";
    let server = Server::start(&[
        ("/longest", with("Content-Length: 102400\r\n")),
        ("/too-long", with("Content-Length: 102401\r\n")),
        // As long as HTTP goes, a number too many, and longer than any number.
        ("/highest", with("Content-Length: 18446744073709551613\r\n")),
        ("/beyond", with("Content-Length: 18446744073709551616\r\n")),
        ("/digits", with(&format!("Content-Length: {}\r\n", "9".repeat(4000)))),
        ("/negative", with("Content-Length: -1\r\n")),
        ("/hexadecimal", with("Content-Length: 0x7\r\n")),
        ("/two", with("Content-Length: 7\r\nContent-Length: 3\r\n")),
        ("/chunk", chunked("ffffffffffffffff\r\nzorblax")),
        ("/chunk-beyond", chunked("10000000000000000\r\nzorblax")),
        ("/short", with("Content-Length: 3\r\n")),
        ("/both", both.to_vec()),
    ])
    .await;
    let stage = stage(open()).await;
    for path in ["/too-long", "/highest"] {
        let announced = error(&stage, &server.url(path)).await;
        assert_eq!(announced.class, ErrorClass::Rejected, "{path}: {announced}");
        assert!(announced.message.ends_with("more than `max_bytes` (100KiB)"), "{path}: {announced}");
    }
    for path in ["/longest", "/beyond", "/digits", "/negative", "/hexadecimal", "/two", "/chunk", "/chunk-beyond"] {
        let broken = error(&stage, &server.url(path)).await;
        assert_eq!(broken.class, ErrorClass::Transient, "{path}: {broken}");
    }
    assert_eq!(fetch(&stage, &server.url("/short")).await.1, b"zor", "what follows is of no document");
    assert_eq!(fetch(&stage, &server.url("/both")).await.1, b"zorblax", "chunks say how long they are");
}

/// The most memory that this process ever held, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "runs as a child of the test below, whose memory nothing else uses"]
async fn child() {
    let Ok(url) = std::env::var(BOMB) else { return };
    let stage = stage(json!({ "allow": { "cidrs": ["127.0.0.1"] } })).await;
    let before = peak();
    let refused = error(&stage, &url).await;
    assert_eq!(refused, StageError::rejected("too large: more than `max_bytes` (10MiB)"));
    let taken = peak() - before;
    // 10 MiB that grow by doubling are 24 MiB at the most, while the last are copied; the rest is the connection's.
    assert!(taken < 48 * MEBIBYTE, "{} MiB", taken / MEBIBYTE);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_bomb_of_half_a_gibibyte_takes_no_more_memory_than_the_limit_allows() {
    let bomb = bomb(512);
    assert!(bomb.len() < MEBIBYTE, "{} bytes", bomb.len());
    let server = Server::start(&[("/bomb", answer("200 OK", "Content-Encoding: gzip\r\n", &bomb))]).await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "tests::hostile::child", "--ignored"]).env(BOMB, server.url("/bomb")).stdin(Stdio::null());
    let done = child.output().await.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert_eq!(server.requests.lock().unwrap().len(), 1, "the child has fetched it");
}
