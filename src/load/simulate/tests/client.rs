//! A client of a connection a call, which sees what a library would hide: whether an answer is whole.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Running, Server, Settings};

pub(super) const CHAT: &str = "/v1/chat/completions";
pub(super) const EMBEDDINGS: &str = "/v1/embeddings";

#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
    /// Whether the body has the length that was announced, or its last chunk.
    pub(super) complete: bool,
}

impl Response {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of an error, or its type where it has none.
    pub(super) fn code(&self) -> String {
        let error = self.json()["error"].clone();
        error["code"].as_str().or(error["type"].as_str()).unwrap().to_owned()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// A server that answers at once, but for what is changed.
pub(super) async fn start(settings: Settings) -> Running {
    Server::bind(([127, 0, 0, 1], 0).into(), settings).await.unwrap().start()
}

pub(super) fn at_once() -> Settings {
    Settings { latency: Duration::ZERO, spread: 0.0, ..Settings::default() }
}

pub(super) async fn post(server: &Running, path: &str, body: &Value) -> Response {
    send(server.address(), "POST", path, &[], &body.to_string()).await.unwrap()
}

pub(super) async fn get(server: &Running, path: &str) -> Response {
    send(server.address(), "GET", path, &[], "").await.unwrap()
}

pub(super) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Response> {
    let mut stream = TcpStream::connect(address).await?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    // A connection that is reset ends an answer as well; what came before it counts.
    let ended = stream.read_to_end(&mut bytes).await;
    if bytes.is_empty() {
        return Err(ended.err().unwrap_or(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(parse(&String::from_utf8(bytes).unwrap()))
}

fn parse(text: &str) -> Response {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers: BTreeMap<String, String> = lines.filter_map(header).collect();
    let (body, complete) = if headers.contains_key("transfer-encoding") {
        dechunk(body)
    } else {
        let length: usize = headers["content-length"].parse().unwrap();
        (body.to_owned(), body.len() == length)
    };
    Response { status, headers, body, complete }
}

fn dechunk(mut rest: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        body.push_str(&after[..length]);
        rest = &after[length + 2..];
    }
    (body, false)
}

/// Waits for what is to come. No outcome depends on how long.
pub(super) async fn until(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("it comes to be within a minute");
}
