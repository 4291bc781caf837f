//! A web server of a few lines: each path has an answer, bytes written as they are given.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Runs until dropped.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    /// The head of every request.
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Answers each path with these bytes, head and body; `{port}` in them is the server's own. Other paths get 404.
    pub(super) async fn start(answers: &[(&str, Vec<u8>)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers: BTreeMap<String, Vec<u8>> =
            answers.iter().map(|(path, answer)| ((*path).to_owned(), with_port(answer, address.port()))).collect();
        let answers = Arc::new(answers);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    seen.lock().unwrap().push(head);
                    let answer = answers.get(&path).cloned().unwrap_or_else(|| text("404 Not Found", "", "gone"));
                    // A client that has seen enough hangs up: no matter here.
                    let _ = stream.write_all(&answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, requests, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Only the head's placeholder: a body may hold any bytes.
fn with_port(answer: &[u8], port: u16) -> Vec<u8> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
    let head = String::from_utf8_lossy(&answer[..end]).replace("{port}", &port.to_string());
    [head.as_bytes(), &answer[end..]].concat()
}

/// An answer with a length; `headers` each end in a line end.
pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(super) fn text(status: &str, headers: &str, body: &str) -> Vec<u8> {
    answer(status, headers, body.as_bytes())
}

pub(super) fn redirect(status: &str, to: &str) -> Vec<u8> {
    text(status, &format!("Location: {to}\r\n"), "")
}
