//! `docmill serve` under load: the released program, on loopback.
//!
//! ```text
//! cargo build --release && cargo bench -p docmill --no-default-features --bench serve -- [flood|users|soak] [N]
//! ```
//!
//! - `flood`: 500 and then 2,000 uploads at once, of mixed sizes up to 10 MiB (1 GB in all), with a queue of 50: each once,
//!   and then again by those who were told to come again. Every answer is counted; `/health/live` is asked meanwhile. Then
//!   the same with a `kill -9` in the middle and another process after it.
//! - `users`: 50 users for two minutes, each uploading, waiting for the end, searching; p50, p95 and p99 of every call.
//! - `soak`: 50,000 small uploads; memory of the process after 5,000 and after all.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

mod program;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Response};
use serde_json::Value;

const LONG: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let number = wanted.iter().find_map(|word| word.parse().ok());
    let runs = |name: &str| {
        !wanted.iter().any(|word| word.parse::<usize>().is_err()) || wanted.iter().any(|word| word == name)
    };
    if runs("flood") {
        for uploads in number.map_or(vec![500, 2000], |number| vec![number]) {
            flood(uploads).await;
            killed(uploads).await;
        }
    }
    if runs("users") {
        users(number.unwrap_or(50)).await;
    }
    if runs("soak") {
        soak(number.unwrap_or(50_000)).await;
    }
}

/// A service at work.
struct Service {
    child: Child,
    url: String,
    client: Client,
}

impl Service {
    fn start(base: &Path, sets: &[&str]) -> Self {
        std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/pipeline.toml"), base.join("pipeline.toml")).unwrap();
        let mut command = Command::new(program::path());
        command.current_dir(base).args(["serve", "--listen", "127.0.0.1:0"]);
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        std::thread::spawn(move || while lines.read_line(&mut String::new()).is_ok_and(|read| read > 0) {});
        let client = Client::builder().timeout(LONG).pool_max_idle_per_host(64).build().unwrap();
        Self { child, url, client }
    }

    async fn get(&self, path: &str) -> Value {
        json(self.client.get(format!("{}{path}", self.url)).send().await.unwrap()).await
    }

    async fn upload(&self, name: &str, bytes: &[u8]) -> Result<Response, reqwest::Error> {
        let boundary = "a-boundary-that-is-in-no-document";
        let head =
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
        let body = [head.as_bytes(), bytes, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
        let kind = format!("multipart/form-data; boundary={boundary}");
        self.client.post(format!("{}/v1/documents", self.url)).header("content-type", kind).body(body).send().await
    }

    /// Waits until nothing is under way; gives the counts.
    async fn at_rest(&self) -> Value {
        loop {
            let running = self.get("/v1/documents?state=running&limit=1").await["total"] != 0;
            // A snapshot is up to a quarter of a second old.
            let documents = self.get("/v1/snapshot").await["documents"].clone();
            if !running && documents["unfinished"] == 0 {
                return documents;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// The bytes of an upload: most small, some large, one in a hundred of 10 MiB less what a form adds.
fn content(number: usize) -> Vec<u8> {
    let bytes = match number % 100 {
        0 => (10 << 20) - 4096,
        1..10 => 1 << 20,
        10..40 => 128 << 10,
        _ => 8 << 10,
    };
    let line = |line: usize| format!("Line {line} of flood {number} tells which miller brought how much grain.\n");
    let mut text = String::with_capacity(bytes + 100);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&line(number));
    }
    text.truncate(bytes);
    text.into_bytes()
}

/// What was answered, counted.
#[derive(Default)]
struct Counts {
    answers: Mutex<BTreeMap<String, usize>>,
    ids: Mutex<Vec<String>>,
}

impl Counts {
    async fn of(&self, answer: Result<Response, reqwest::Error>) -> Option<u64> {
        let (what, again) = match answer {
            Ok(response) => {
                let status = response.status().as_u16();
                let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
                if status == 202 {
                    let body = json(response).await;
                    self.ids.lock().unwrap().push(body["id"].as_str().unwrap().to_owned());
                }
                (
                    if status == 503 && after.is_none() { "503 without a time".to_owned() } else { status.to_string() },
                    after,
                )
            }
            Err(error) => {
                let mut why: &dyn std::error::Error = &error;
                while let Some(source) = why.source() {
                    why = source;
                }
                (format!("no answer: {why}"), Some(1))
            }
        };
        *self.answers.lock().unwrap().entry(what).or_default() += 1;
        again
    }
}

async fn flood(uploads: usize) {
    let base = tempfile::tempdir().unwrap();
    let service = Arc::new(Service::start(base.path(), &[]));
    let counts = Arc::new(Counts::default());
    let contents: Arc<Vec<Vec<u8>>> = Arc::new((0..uploads).map(content).collect());
    let (watch, stop) = watch_live(&service);
    let begun = Instant::now();
    let all: Vec<_> = (0..uploads)
        .map(|number| {
            let (service, counts, contents) = (Arc::clone(&service), Arc::clone(&counts), Arc::clone(&contents));
            tokio::spawn(async move {
                let again = counts.of(service.upload(&format!("{number}.txt"), &contents[number]).await).await;
                again.map(|after| (number, after))
            })
        })
        .collect();
    let mut refused = Vec::new();
    for one in all {
        refused.extend(one.await.unwrap());
    }
    let first = counts.answers.lock().unwrap().clone();
    println!("{uploads} at once, each once: {first:?} in {:.1} s", begun.elapsed().as_secs_f64());
    let again = AtomicUsize::new(0);
    let polite: Vec<_> = refused
        .into_iter()
        .map(|(number, mut after)| {
            let service = Arc::clone(&service);
            let (counts, contents) = (Arc::clone(&counts), Arc::clone(&contents));
            tokio::spawn(async move {
                let mut times = 0;
                loop {
                    tokio::time::sleep(Duration::from_secs(after)).await;
                    times += 1;
                    match counts.of(service.upload(&format!("{number}.txt"), &contents[number]).await).await {
                        Some(next) => after = next,
                        None => return times,
                    }
                }
            })
        })
        .collect();
    for one in polite {
        again.fetch_add(one.await.unwrap(), Ordering::Relaxed);
    }
    let documents = service.at_rest().await;
    let memory = service.get("/health/memory").await;
    stop.store(true, Ordering::Relaxed);
    let mut live = watch.join().unwrap();
    live.sort_by(f64::total_cmp);
    println!(
        "  the refused came again {} times; all in after {:.1} s: {documents}; in flight at most {} of {} bytes, rss {} \
         bytes; /health/live: {} times, p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        again.load(Ordering::Relaxed),
        begun.elapsed().as_secs_f64(),
        memory["peak_bytes"],
        memory["budget_bytes"],
        memory["rss_bytes"],
        live.len(),
        quantile(&live, 0.5),
        quantile(&live, 0.99),
        quantile(&live, 1.0),
    );
}

/// Asks `/health/live` fifty times a second, on a thread and connections of its own; gives the milliseconds.
fn watch_live(service: &Arc<Service>) -> (std::thread::JoinHandle<Vec<f64>>, Arc<AtomicBool>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (place, over) = (service.url.trim_start_matches("http://").to_owned(), Arc::clone(&stop));
    let watch = std::thread::spawn(move || {
        let mut times = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let mut stream = std::net::TcpStream::connect(&place).unwrap();
            write!(stream, "GET /health/live HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            std::thread::sleep(Duration::from_millis(20));
        }
        times
    });
    (watch, stop)
}

async fn killed(uploads: usize) {
    let base = tempfile::tempdir().unwrap();
    let service = Arc::new(Service::start(base.path(), &[]));
    let counts = Arc::new(Counts::default());
    let contents: Arc<Vec<Vec<u8>>> = Arc::new((0..uploads).map(content).collect());
    let all: Vec<_> = (0..uploads)
        .map(|number| {
            let (service, counts, contents) = (Arc::clone(&service), Arc::clone(&counts), Arc::clone(&contents));
            tokio::spawn(async move {
                counts.of(service.upload(&format!("{number}.txt"), &contents[number]).await).await;
            })
        })
        .collect();
    while counts.ids.lock().unwrap().len() < 40 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let pid = i32::try_from(service.child.id()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    for one in all {
        one.await.unwrap();
    }
    drop(service);
    let again = Service::start(base.path(), &[]);
    again.at_rest().await;
    let ids = counts.ids.lock().unwrap().clone();
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for id in &ids {
        let state = again.get(&format!("/v1/documents/{id}")).await["state"].as_str().unwrap_or("gone").to_owned();
        *states.entry(state).or_default() += 1;
    }
    println!("  killed in the middle: {} were accepted; after another start: {states:?}", ids.len());
    again.kill();
}

async fn users(users: usize) {
    let base = tempfile::tempdir().unwrap();
    let service = Arc::new(Service::start(base.path(), &[]));
    let times: Arc<Mutex<BTreeMap<&'static str, Vec<f64>>>> = Arc::default();
    let wrong: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let until = Instant::now() + Duration::from_secs(120);
    let all: Vec<_> = (0..users)
        .map(|user| {
            let (service, times, wrong) = (Arc::clone(&service), Arc::clone(&times), Arc::clone(&wrong));
            tokio::spawn(async move {
                let note = |what: &'static str, begun: Instant| {
                    times.lock().unwrap().entry(what).or_default().push(begun.elapsed().as_secs_f64() * 1000.0);
                };
                let miss = |what: String| *wrong.lock().unwrap().entry(what).or_default() += 1;
                for round in 0.. {
                    if Instant::now() >= until {
                        return;
                    }
                    let begun = Instant::now();
                    let answer = service
                        .upload(&format!("{user}-{round}.txt"), &content(user * 1_000_000 + round * 100 + 17))
                        .await;
                    let Ok(answer) = answer else {
                        miss("no answer".into());
                        continue;
                    };
                    note("upload", begun);
                    match answer.status().as_u16() {
                        202 => {
                            let body = json(answer).await;
                            let id = body["id"].as_str().unwrap().to_owned();
                            loop {
                                let begun = Instant::now();
                                let document = service.get(&format!("/v1/documents/{id}")).await;
                                note("poll", begun);
                                match document["state"].as_str() {
                                    Some("queued" | "running") => tokio::time::sleep(Duration::from_millis(200)).await,
                                    Some("done") => break,
                                    other => {
                                        miss(format!("{other:?}"));
                                        break;
                                    }
                                }
                            }
                        }
                        503 => miss("503".into()),
                        other => miss(other.to_string()),
                    }
                    let begun = Instant::now();
                    let found = service.get("/v1/search?q=which+miller+brought+grain").await;
                    note("search", begun);
                    if found["hits"].as_array().is_none_or(Vec::is_empty) {
                        miss("nothing found".into());
                    }
                }
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    println!("{users} users for two minutes; not as wanted: {:?}", wrong.lock().unwrap());
    println!("| call | how often | p50 | p95 | p99 | most |\n|---|---|---|---|---|---|");
    for (what, times) in times.lock().unwrap().iter_mut() {
        times.sort_by(f64::total_cmp);
        let at = |share| quantile(times, share);
        println!(
            "| {what} | {} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms |",
            times.len(),
            at(0.5),
            at(0.95),
            at(0.99),
            at(1.0)
        );
    }
}

async fn soak(uploads: usize) {
    let base = tempfile::tempdir().unwrap();
    let service = Arc::new(Service::start(base.path(), &["serve.queue=200"]));
    let next = Arc::new(AtomicUsize::new(0));
    let mut first = 0;
    for mark in [uploads / 10, uploads] {
        let all: Vec<_> = (0..32)
            .map(|_| {
                let (service, next) = (Arc::clone(&service), Arc::clone(&next));
                tokio::spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= mark {
                            next.fetch_sub(1, Ordering::Relaxed);
                            return;
                        }
                        let text = format!("Upload {number} tells which miller brought how much grain.\n").repeat(20);
                        loop {
                            let answer = service.upload(&format!("{number}.txt"), text.as_bytes()).await.unwrap();
                            match answer.status().as_u16() {
                                202 => break,
                                503 => tokio::time::sleep(Duration::from_millis(300)).await,
                                other => panic!("{other}"),
                            }
                        }
                    }
                })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
        let documents = service.at_rest().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let rss = service.get("/health/memory").await["rss_bytes"].as_u64().unwrap();
        first = if first == 0 { rss } else { first };
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", service.child.id())).unwrap().count();
        println!(
            "after {mark} uploads: {} MB, {:.2} of the first, {descriptors} descriptors; {documents}",
            rss >> 20,
            rss as f64 / first as f64
        );
    }
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted
        .get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}
