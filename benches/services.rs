//! How well model services are kept full, measured with the released program against a simulated service in this
//! process, each case against what cannot be beaten.
//!
//! ```text
//! cargo build --release && cargo bench -p docmill --no-default-features --bench services -- [steady|faults|cap|dead]
//! ```
//!
//! - `steady`: 2,000 calls for vectors to a service that takes 50 ms, five at once. The ideal: those calls without a gap. And
//!   the program's CPU time a call, beyond that of the same run with the built-in model: beside it that of a process which does
//!   nothing but ask and decode, and that of decoding alone; and by whose threads it was used (Linux): those of the stages
//!   (LanceDB, which commits each second, and the pool), or the engine's, on whose event loop it asks and decodes.
//! - `faults`: 500 documents, a tenth of the calls fails and a hundredth hangs. The ideal: every call that was made,
//!   by its own latency (a hung one by the stage's timeout), spread over the widths of its stage without a gap.
//! - `cap`: a service that takes 600 requests a minute and says nothing but 429, for four minutes. What was granted and
//!   refused in the last two.
//! - `dead`: a service that is gone for 20 s in the middle of 1,000 documents. What was lost.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

mod program;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use docmill::load::simulate::{Running, Server, Settings, Stats};
use serde_json::Value;

use program::threads::Threads;

const LATENCY: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(3);
const WIDTHS: (u32, u32) = (20, 5);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, "alone", url, calls] = &*arguments.iter().map(String::as_str).collect::<Vec<_>>() {
        return alone(url, calls.parse().unwrap()).await;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if runs("steady") {
        self::steady().await;
    }
    if runs("faults") {
        faults().await;
    }
    if runs("cap") {
        cap().await;
    }
    if runs("dead") {
        dead().await;
    }
}

async fn serve(settings: Settings, at: &str) -> Running {
    Server::bind(at.parse().unwrap(), settings).await.unwrap().start()
}

fn even(latency: Duration) -> Settings {
    Settings { latency, spread: 0.0, retry_after: false, ..Settings::default() }
}

/// Documents that are longer than their summaries, each like no other.
fn documents(base: &Path, count: usize) {
    fs::create_dir(base.join("documents")).unwrap();
    for number in 0..count {
        fs::write(base.join(format!("documents/{number}.txt")), text(number)).unwrap();
    }
}

fn text(number: usize) -> String {
    let line = |line| format!("Line {line} of ledger {number} tells which miller brought how much grain, and when. ");
    (0..20).map(line).collect()
}

/// The released program over these documents, asking the service for summaries and vectors.
fn command(base: &Path, server: &Running, sets: &[&str]) -> Command {
    let mut command = program::command(base, &["documents"]);
    let url = format!("providers.work.base_url={:?}", server.base_url());
    let own = [
        "providers.work.kind=\"openai\"",
        &url,
        "providers.work.model=\"simulated\"",
        "providers.work.dimensions=256",
        "stages.summarize.provider=\"work\"",
    ];
    for set in own.iter().chain(sets) {
        command.args(["--set", set]);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

async fn ended(run: Child) -> Value {
    let output = tokio::task::spawn_blocking(move || run.wait_with_output()).await.unwrap().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn steady() {
    const DOCUMENTS: usize = 2_000;
    let service = Duration::from_millis(50);
    let server = serve(even(service), "127.0.0.1:0").await;
    let (mut cpu, mut threads) = (Vec::new(), Vec::new());
    for provider in ["builtin", "work"] {
        let base = tempfile::tempdir().unwrap();
        documents(base.path(), DOCUMENTS);
        let embeds = format!("stages.embed.provider={provider:?}");
        let mut sets = vec!["stages.summarize.provider=\"extractive\"", &embeds, "stages.embed.batch.items=1"];
        if provider == "work" {
            sets.extend(["stages.embed.request.items=1", "stages.embed.width=5"]);
        }
        let run = command(base.path(), &server, &sets).spawn().unwrap();
        let watched = Threads::of(run.id());
        let report = ended(run).await;
        cpu.push(report["cpu_seconds"].as_f64().unwrap());
        threads.push(watched.seconds());
        if provider == "builtin" {
            continue;
        }
        let stats = server.stats();
        let calls = stats.calls.embeddings;
        let ideal = calls as f64 * service.as_secs_f64() / f64::from(WIDTHS.1);
        let took = report["seconds"].as_f64().unwrap();
        let alone = alone_in_a_process(&server, calls).await;
        let bare = alone["seconds"].as_f64().unwrap();
        let beyond = (cpu[1] - cpu[0]) * 1e3 / calls as f64;
        println!(
            "steady: {} of {DOCUMENTS} done, {calls} calls, {took:.2} s, ideal {ideal:.2} s, ratio {:.3}; the calls alone, in {} loops, {bare:.2} s, ratio {:.3}; most at once {}",
            report["documents"]["done"],
            took / ideal,
            WIDTHS.1,
            took / bare,
            stats.in_flight.embeddings.max
        );
        println!(
            "  CPU a call: {beyond:.3} ms beyond the run without the service; {:.3} ms in a process that asks and decodes, {:.3} ms of them decoding",
            alone["cpu_ms"].as_f64().unwrap(),
            alone["decoding_ms"].as_f64().unwrap()
        );
        let beyond = |names: &[&str]| {
            let of = |run: &HashMap<String, f64>| names.iter().filter_map(|name| run.get(*name)).sum::<f64>();
            (of(&threads[1]) - of(&threads[0])) * 1e3 / calls as f64
        };
        println!(
            "  of them the engine's threads: {:.3} ms (event loop {:.3}, ledger {:.3}, watching {:.3}), LanceDB's {:.3}, the pool's {:.3}, the allocator's {:.3}",
            beyond(&[LOOP, "main", "ledger", "sampler", "recorder"]),
            beyond(&[LOOP, "main"]),
            beyond(&["ledger"]),
            beyond(&["sampler", "recorder"]),
            beyond(&["lance-io", "lance-cpu"]),
            beyond(&["cpu"]),
            beyond(&["jemalloc_bg_thd"])
        );
    }
}

/// The name of the event loop's threads, and of those that read and write files for it.
const LOOP: &str = "tokio-rt-worker";

/// As many calls in a process of their own.
async fn alone_in_a_process(server: &Running, calls: u64) -> Value {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["alone", &format!("{}/embeddings", server.base_url()), &calls.to_string()]);
    ended(command.stdout(Stdio::piped()).spawn().unwrap()).await
}

/// Makes calls with which nothing is done but to decode them, each as soon as the one before is answered, and prints what they took.
async fn alone(url: &str, calls: u64) {
    let client = reqwest::Client::new();
    let asked = serde_json::json!({ "model": "simulated", "input": [text(1)], "dimensions": 256 }).to_string();
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let loops = (0..WIDTHS.1).map(|_| {
        let (client, url, asked) = (client.clone(), url.to_owned(), asked.clone());
        tokio::spawn(async move {
            let mut answer = Vec::new();
            for _ in 0..calls / u64::from(WIDTHS.1) {
                let call = client.post(&url).header("content-type", "application/json").body(asked.clone());
                answer = call.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap().to_vec();
                assert_eq!(decoded(&answer), 256);
            }
            answer
        })
    });
    let mut answers = Vec::new();
    for one in loops.collect::<Vec<_>>() {
        answers.push(one.await.unwrap());
    }
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let begun = Instant::now();
    let numbers: usize = (0..200).flat_map(|_| &answers).map(|answer| decoded(answer)).sum();
    let decoding = begun.elapsed().as_secs_f64() * 256.0 / numbers as f64;
    println!(
        "{}",
        serde_json::json!({ "seconds": seconds, "cpu_ms": cpu * 1e3 / calls as f64, "decoding_ms": decoding * 1e3 })
    );
}

#[derive(serde::Deserialize)]
struct Answer {
    data: Vec<Embedding>,
}

#[derive(serde::Deserialize)]
struct Embedding {
    embedding: Vec<f32>,
}

/// How many numbers the answer holds.
fn decoded(answer: &[u8]) -> usize {
    let answer: Answer = serde_json::from_slice(answer).unwrap();
    answer.data.iter().map(|one| one.embedding.len()).sum()
}

/// CPU seconds that this process has used so far, to a hundredth.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    after.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

async fn faults() {
    const DOCUMENTS: usize = 500;
    let base = tempfile::tempdir().unwrap();
    documents(base.path(), DOCUMENTS);
    let server = serve(Settings { errors: 0.1, hangs: 0.01, ..even(LATENCY) }, "127.0.0.1:0").await;
    let timeouts = [
        format!("stages.summarize.timeout=\"{}s\"", TIMEOUT.as_secs()),
        format!("stages.embed.timeout=\"{}s\"", TIMEOUT.as_secs()),
    ];
    let sets = [
        "stages.embed.provider=\"work\"",
        "stages.embed.batch.items=4",
        "stages.embed.width=5",
        &timeouts[0],
        &timeouts[1],
    ];
    let begun = Instant::now();
    let report = ended(command(base.path(), &server, &sets).spawn().unwrap()).await;
    let took = begun.elapsed().as_secs_f64();
    let stats = server.stats();
    let chat = spent(stats.calls.chat, &stats) / f64::from(WIDTHS.0);
    let embeddings = spent(stats.calls.embeddings, &stats) / f64::from(WIDTHS.1);
    let ideal = chat.max(embeddings);
    let widest = (stats.in_flight.chat.max, stats.in_flight.embeddings.max);
    println!(
        "faults: {} of {DOCUMENTS} done, {took:.1} s, ideal {ideal:.1} s (summaries {chat:.1}, vectors {embeddings:.1}), ratio {:.2}; most calls at once {widest:?}",
        report["documents"]["done"],
        took / ideal
    );
    println!("  service: {}", report["services"]["work"]);
}

/// The time that so many calls of all take, hung ones by the timeout.
fn spent(calls: u64, stats: &Stats) -> f64 {
    let all = (stats.calls.chat + stats.calls.embeddings) as f64;
    let hung = stats.hung as f64 * calls as f64 / all;
    (calls as f64 - hung) * LATENCY.as_secs_f64() + hung * TIMEOUT.as_secs_f64()
}

async fn cap() {
    let base = tempfile::tempdir().unwrap();
    documents(base.path(), 3000);
    let server = serve(Settings { requests_per_minute: Some(600), ..even(LATENCY) }, "127.0.0.1:0").await;
    let mut run = command(base.path(), &server, &["stages.embed.provider=\"builtin\""]).spawn().unwrap();
    tokio::time::sleep(Duration::from_secs(240)).await;
    let stats = server.stats();
    let (granted, refused): (u64, u64) = (stats.granted_per_second.iter().sum(), stats.refused_per_second.iter().sum());
    let worst = stats.refused_per_second.iter().max().unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    println!(
        "cap: of 600 a minute {:.0} granted in minutes 3 and 4, {:.2} % of calls refused, {worst} in the worst second; before: {} refused of {}",
        granted as f64 / 2.0,
        100.0 * refused as f64 / (granted + refused) as f64,
        stats.statuses.get(&429).unwrap_or(&0) - refused,
        stats.calls.chat - granted - refused
    );
}

async fn dead() {
    const DOCUMENTS: usize = 1000;
    let base = tempfile::tempdir().unwrap();
    documents(base.path(), DOCUMENTS);
    let server = serve(even(LATENCY), "127.0.0.1:0").await;
    let address = server.address().to_string();
    let run = command(base.path(), &server, &["stages.embed.provider=\"builtin\""]).spawn().unwrap();
    while server.stats().answered < 400 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = server.stop().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let server = serve(even(LATENCY), &address).await;
    let report = ended(run).await;
    let after = server.stats();
    println!(
        "dead: {} of {DOCUMENTS} done, {} failed, {:.1} s; answered {} + {}, twice {}",
        report["documents"]["done"],
        report["documents"]["failed"],
        report["seconds"].as_f64().unwrap(),
        before.answered,
        after.answered,
        after.repeated
    );
    println!("  service: {}", report["services"]["work"]);
}
