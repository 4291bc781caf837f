//! The real program as a service on a port of its own, and somebody who asks it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::pipeline::mill::Mill;

/// When something that should come is given up. No outcome depends on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A service at work; killed when dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
    said: Arc<Mutex<String>>,
    client: Client,
    key: Option<String>,
}

/// What was answered.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

impl Served {
    /// Starts it and waits until it listens.
    pub(crate) fn start(mill: &Mill) -> Self {
        Self::start_with(mill.command("serve"))
    }

    pub(crate) fn start_with(mut command: Command) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped"));
        let said = Arc::new(Mutex::new(String::new()));
        let url = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).expect("read") > 0, "it ended: {}", said.lock().expect("whole"));
            said.lock().expect("whole").push_str(&line);
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        let rest = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                rest.lock().expect("whole").push_str(&std::mem::take(&mut line));
            }
        });
        Self { child, url, said, client: Client::new(), key: None }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on standard error.
    pub(crate) fn said(&self) -> String {
        self.said.lock().expect("whole").clone()
    }

    /// Sends this key from now on.
    pub(crate) fn with_key(&mut self, key: &str) {
        self.key = Some(key.to_owned());
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url)).timeout(PATIENCE);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        answered(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answered {
        answered(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answered {
        answered(self.request(Method::DELETE, path)).await
    }

    /// Uploads a file, with text parts before it.
    pub(crate) fn upload(&self, name: &str, bytes: &[u8], texts: &[(&str, &str)]) -> RequestBuilder {
        let (kind, body) = form(name, bytes, texts);
        self.request(Method::POST, "/v1/documents").header("content-type", kind).body(body)
    }

    /// Uploads a file, which must be accepted, and gives the document's id.
    pub(crate) async fn accepted(&self, name: &str, bytes: &[u8], texts: &[(&str, &str)]) -> String {
        let answer = answered(self.upload(name, bytes, texts)).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        id_of(&answer.body)
    }

    /// A document once it is at its end.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        let begun = Instant::now();
        loop {
            let document = self.get(&format!("/v1/documents/{id}?wait=30s")).await.body;
            if !matches!(document["state"].as_str(), Some("queued" | "running")) {
                return document;
            }
            assert!(begun.elapsed() < PATIENCE, "{document}\n{}", self.said());
        }
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, waits until it has, and gives its exit code and what it said.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it is there");
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("waited for") {
                return (status.code(), self.said());
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Content type and body of a form.
pub(crate) fn form(name: &str, bytes: &[u8], texts: &[(&str, &str)]) -> (String, Vec<u8>) {
    let boundary = "a-boundary-that-is-in-no-document";
    let mut body = Vec::new();
    for (part, text) in texts {
        let head = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{part}\"\r\n\r\n{text}\r\n");
        body.extend_from_slice(head.as_bytes());
    }
    let head = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

pub(crate) fn id_of(document: &Value) -> String {
    document["id"].as_str().unwrap_or_else(|| panic!("no id: {document}")).to_owned()
}

pub(crate) async fn answered(request: RequestBuilder) -> Answered {
    of(request.send().await.expect("an answer")).await
}

pub(crate) async fn of(response: Response) -> Answered {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = response.status();
    let (retry_after, content_type) = (header("retry-after"), header("content-type").unwrap_or_default());
    if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
        assert!(retry_after.is_some(), "{status} without a time");
    }
    let bytes = response.bytes().await.expect("a whole body");
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    Answered {
        status: status.as_u16(),
        retry_after: retry_after.and_then(|after| after.parse().ok()),
        content_type,
        body,
    }
}
