//! What it takes to keep the indexes of a table up to date while it grows: memory, time, and how long a search takes.
//!
//! `cargo bench -p docmill-store --bench growth [-- ROWS]`: documents of one row of some 150 words, 1,000 a round, each
//! round brought up to date as a service does it every few seconds. Memory is what the process has to itself, read from
//! `/proc`, so it needs Linux.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docmill_api::{
    BuildContext, Chunk, Chunks, Context, Digest, Document, Embedding, Filter, Node, Part, Payload, Record, Rest,
    Settled, SourceItem, StageFactory, Vectors,
};
use docmill_store::{LanceDb, LanceDbConfig};

const ROWS: u64 = 50_000;
const A_ROUND: u64 = 1_000;
const DIMENSIONS: usize = 256;
const WORDS: usize = 150;

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A word: few of them often, many seldom, as in a language.
    fn word(&mut self) -> String {
        let (a, b) = (self.roll() % 30_000, self.roll() % 30_000);
        let (c, d) = (self.roll() % 30_000, self.roll() % 30_000);
        format!("w{}", a.min(b).min(c).min(d))
    }
}

fn context(base: &Path) -> BuildContext {
    BuildContext {
        stage: "store".into(),
        base: base.to_owned(),
        fingerprint: Digest::of(&[b"fingerprint"]),
        embedding: Some(Embedding { model: "model".into(), dimensions: DIMENSIONS }),
        ..BuildContext::default()
    }
}

fn record(number: u64, dice: &mut Dice) -> Record {
    let text = (0..WORDS).map(|_| dice.word()).collect::<Vec<_>>().join(" ");
    let item = SourceItem { uri: format!("file:///{number}"), ..SourceItem::default() };
    let mut document = Document::admit(item, Digest::of(&[b"fingerprint"]));
    document.content = Some(Digest::of(&[text.as_bytes()]));
    let chunk = Chunk {
        ordinal: 0,
        text: text.into(),
        tokens: 300,
        page: None,
        line_start: Some(1),
        line_end: Some(1),
        heading: Vec::new().into(),
    };
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let values: Vec<f32> = (0..DIMENSIONS).map(|_| (dice.roll() % 2_000) as f32 / 1_000.0 - 1.0).collect();
    let chunks = Chunks { part: Part::Chunk, title: None, items: vec![chunk] };
    let vectors = Vectors { chunks, dimensions: DIMENSIONS, values: values.into() };
    Record { document: Arc::new(document), payload: Payload::Vectors(vectors) }
}

/// Memory that no other process has, in MB: now, and at most so far.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let of = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    };
    (of("RssAnon:"), of("VmHWM:"))
}

fn files(directory: &Path) -> usize {
    let below = |entry: std::fs::DirEntry| if entry.path().is_dir() { files(&entry.path()) } else { 1 };
    std::fs::read_dir(directory).map_or(0, |entries| entries.flatten().map(below).sum())
}

#[tokio::main]
async fn main() {
    let rows = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(ROWS);
    let base = tempfile::tempdir().unwrap();
    let config = || LanceDbConfig { uri: "store".into(), table: "chunks".into(), ..LanceDbConfig::default() };
    let Node::Sink(sink) = LanceDb::build(config(), &context(base.path())).await.unwrap() else { panic!("no sink") };
    let (cx, mut dice) = (Context::detached(), Dice(7));
    let (mut closing, mut longest) = (Duration::ZERO, Duration::ZERO);
    println!("| rows | memory, most | bringing up to date, longest | search by words, by vector | files |");
    println!("|---|---|---|---|---|");
    for number in 0..rows {
        // Some commits of a few rows each, as documents that come one by one make them.
        if number % 100 == 0 {
            let batch: Vec<Record> = (number..number + 100).map(|number| record(number, &mut dice)).collect();
            let documents: Vec<Arc<Document>> = batch.iter().map(|record| Arc::clone(&record.document)).collect();
            assert!(sink.write(&cx, batch).await.iter().all(Result::is_ok));
            let settled: Vec<Settled> =
                documents.into_iter().map(|document| Settled { document, rest: Rest::Done }).collect();
            sink.settle(&cx, &settled).await.unwrap();
        }
        if (number + 1) % A_ROUND == 0 {
            let begun = Instant::now();
            sink.close(&cx).await.unwrap();
            closing += begun.elapsed();
            longest = longest.max(begun.elapsed());
        }
        if (number + 1) % (5 * A_ROUND) == 0 {
            let (now, most) = memory();
            let (words, vector) = search(base.path(), config(), &mut dice).await;
            println!(
                "| {} | {now} MB, {most} MB | {closing:.1?}, {longest:.2?} | {words:.1?}, {vector:.1?} | {} |",
                number + 1,
                files(base.path()),
            );
            (closing, longest) = (Duration::ZERO, Duration::ZERO);
        }
    }
}

/// The median of some searches, the reader's first looks left out.
async fn search(base: &Path, config: LanceDbConfig, dice: &mut Dice) -> (Duration, Duration) {
    let reader = LanceDb::search(config, &context(base)).await.unwrap().unwrap();
    let (mut words, mut vectors) = (Vec::new(), Vec::new());
    for _ in 0..12 {
        let query = format!("{} {} {}", dice.word(), dice.word(), dice.word());
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let vector: Vec<f32> = (0..DIMENSIONS).map(|_| (dice.roll() % 2_000) as f32 / 1_000.0 - 1.0).collect();
        let begun = Instant::now();
        reader.matching(&query, 10, &Filter::default()).await.unwrap();
        words.push(begun.elapsed());
        let begun = Instant::now();
        reader.nearest(&vector, 10, &Filter::default()).await.unwrap();
        vectors.push(begun.elapsed());
    }
    words.sort();
    vectors.sort();
    (words[6], vectors[6])
}
