//! A store of a few lines that speaks as S3 does: lists a bucket, two keys a page, and gives objects.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::server::{answer, text};

/// Keys on a page of a listing.
const PAGE: usize = 2;

const DATE: &str = "Sun, 01 Mar 2026 12:00:00 GMT";

/// Runs until dropped. Its one bucket is called `bucket`.
pub(super) struct Bucket {
    pub(super) address: SocketAddr,
    /// The heads of all requests.
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Bucket {
    /// `closed/…` is forbidden, `busy/…` asks to be left alone the first time.
    pub(super) async fn start(objects: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let objects: BTreeMap<String, Vec<u8>> =
            objects.iter().map(|(key, bytes)| ((*key).to_owned(), bytes.to_vec())).collect();
        let objects = Arc::new(objects);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (objects, seen) = (Arc::clone(&objects), Arc::clone(&seen));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let before = {
                        let mut seen = seen.lock().unwrap();
                        let before = seen.iter().filter(|head: &&String| head.contains(&target)).count();
                        seen.push(head);
                        before
                    };
                    let _ = stream.write_all(&respond(&objects, &target, before)).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, requests, task }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn asked(&self, what: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|head| head.contains(what)).count()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn respond(objects: &BTreeMap<String, Vec<u8>>, target: &str, before: usize) -> Vec<u8> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let Some(key) = path.strip_prefix("/bucket") else {
        return text("404 Not Found", "", "<Error><Code>NoSuchBucket</Code></Error>");
    };
    if query.contains("list-type=2") {
        return list(objects, query);
    }
    let key = key.trim_start_matches('/');
    if key.starts_with("closed/") {
        return text("403 Forbidden", "", "<Error><Code>AccessDenied</Code><Key>hush</Key></Error>");
    }
    if key.starts_with("busy/") && before == 0 {
        return text("503 Service Unavailable", "Retry-After: 3\r\n", "<Error><Code>SlowDown</Code></Error>");
    }
    match objects.get(key) {
        Some(bytes) => answer("200 OK", &format!("ETag: \"{}\"\r\nLast-Modified: {DATE}\r\n", bytes.len()), bytes),
        None => text("404 Not Found", "", "<Error><Code>NoSuchKey</Code></Error>"),
    }
}

fn list(objects: &BTreeMap<String, Vec<u8>>, query: &str) -> Vec<u8> {
    let parameters: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let prefix = parameters.get("prefix").cloned().unwrap_or_default();
    let after = parameters.get("continuation-token").cloned().unwrap_or_default();
    let mut rest = objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after);
    let page: Vec<_> = rest.by_ref().take(PAGE).collect();
    let next = rest.next().and(page.last()).map(|(key, _)| (*key).clone());
    let contents: String = page
        .iter()
        .map(|(key, bytes)| {
            let (key, size) = (key.replace('&', "&amp;"), bytes.len());
            format!(
                "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-03-01T12:00:00Z</LastModified>\
                 <ETag>\"{size}\"</ETag></Contents>"
            )
        })
        .collect();
    let token = next.map(|key| format!("<NextContinuationToken>{key}</NextContinuationToken>")).unwrap_or_default();
    let body = format!("<ListBucketResult>{contents}{token}</ListBucketResult>");
    text("200 OK", "Content-Type: application/xml\r\n", &body)
}
