//! Kinds of stage for test pipelines: they list numbered documents, make content of a wanted size, and fail, hang,
//! panic or abort on the documents that a test names.
//!
//! | kind | tier | takes → gives |
//! |---|---|---|
//! | `fake-source` | io | → reference |
//! | `fake-fetch` | io | reference → blob |
//! | `fake-read` | io | reference → chunks, without the CPU pool: for tests on paused time |
//! | `fake-parse` | cpu | blob → text |
//! | `fake-split` | cpu | text → chunks |
//! | `null` | io | chunks → chunks |
//! | `fake-embed` | service | chunks → vectors, in batches |
//! | `fake-sink` | io | vectors → |
//!
//! Faults are given as `{ on = ["7"], what = "reject", times = 1 }`: on documents whose filename is in `on` (`*` for
//! all), do `what`, at most `times` times per document (0: always).

mod paid;
mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use docmill_api::units::Span;
use docmill_api::{
    BatchDefaults, Blob, BuildContext, Chunk, Chunks, Context, CpuStage, Digest, FieldSpec, FieldType, Node, Outputs,
    Part, Payload, PayloadKind, Record, Registry, Slice, Source, SourceItem, Stage, StageError, StageFactory,
    StageSpec, Step, StepContext, Text, TextKind, Tier, Vectors, Work, async_trait,
};
use serde::Deserialize;
use serde_json::json;

use paid::FakePaid;
use store::FakeSink;
pub use store::MemoryStore;

/// Makes every fake known.
pub fn register(registry: &mut Registry) {
    registry.add::<FakeSource>();
    registry.add::<FakeFetch>();
    registry.add::<FakeRead>();
    registry.add::<FakeParse>();
    registry.add::<FakeSplit>();
    registry.add::<FakePaid>();
    registry.add::<Null>();
    registry.add::<FakeEmbed>();
    registry.add::<FakeSink>();
}

/// The configuration of every fake; each reads what it needs of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FakeConfig {
    count: u64,
    size: u64,
    parts: u32,
    delay: Span,
    spin: Span,
    store: String,
    on: Vec<String>,
    what: String,
    times: u32,
    within: u64,
    again: u64,
    gone: bool,
    stamped: bool,
    calls: String,
}

/// What a fault may be.
const WHAT: &[&str] = &[
    "none",
    "reject",
    "transient",
    "overload",
    "exhausted",
    "fatal",
    "panic",
    "hang",
    "spin",
    "abort",
    "escape",
    "settle-reject",
    "settle-fatal",
];

fn fields() -> Vec<FieldSpec> {
    let number = || FieldType::Integer { min: 0, max: i64::MAX };
    vec![
        FieldSpec::new("count", number(), json!(1), "how many documents the source lists"),
        FieldSpec::new("size", number(), json!(100), "bytes of content of each document").output(),
        FieldSpec::new("parts", number(), json!(1), "records that each input gives").output(),
        FieldSpec::new("delay", FieldType::Duration, json!("0s"), "how long each call waits"),
        FieldSpec::new("spin", FieldType::Duration, json!("0s"), "how long each step computes"),
        FieldSpec::new("store", FieldType::Text, json!("default"), "the name of the sink's store"),
        FieldSpec::new("on", FieldType::List(Box::new(FieldType::Text)), json!([]), "the documents at fault"),
        FieldSpec::new("what", FieldType::Choice(WHAT), json!("none"), "the fault"),
        FieldSpec::new("times", number(), json!(0), "how often each document is at fault; 0 for always"),
        FieldSpec::new("within", number(), json!(0), "documents that are found within each listed one"),
        FieldSpec::new("again", number(), json!(0), "how often the source lists everything once more"),
        FieldSpec::new("gone", FieldType::Bool, json!(false), "whether the source lists everything as gone at the end"),
        FieldSpec::new("calls", FieldType::Text, json!(""), "the file in which a paid call is counted"),
        FieldSpec::new("stamped", FieldType::Bool, json!(false), "whether the source says what tells a change"),
    ]
}

fn spec(takes: &'static [PayloadKind], gives: &'static [PayloadKind], tier: Tier, example: &'static str) -> StageSpec {
    StageSpec {
        summary: "a fake for tests",
        takes,
        gives,
        tier,
        fields: fields(),
        batch: None,
        width: Some(4),
        timeout: Duration::from_secs(60),
        attempts: docmill_api::ATTEMPTS,
        accepts: &[],
        guarantees: "none: it fails as it is told",
        example,
    }
}

/// Counts faults per document, so that a fault can end after some attempts.
#[derive(Default)]
struct Faults {
    config: Option<FakeConfig>,
    seen: Mutex<HashMap<String, u32>>,
}

impl Faults {
    fn new(config: &FakeConfig) -> Self {
        Self { config: Some(config.clone()), seen: Mutex::default() }
    }

    /// The fault that is due for this document, if any.
    fn due(&self, record: &Record) -> Option<String> {
        let config = self.config.as_ref()?;
        let name = &record.document.filename;
        if !config.on.iter().any(|on| on == name || on == "*") {
            return None;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let times = seen.entry(name.clone()).or_default();
        *times += 1;
        (config.times == 0 || *times <= config.times).then(|| config.what.clone())
    }

    /// What an error, panic or abort of this fault is; `None` for those that take time.
    fn strike(what: &str) -> Option<StageError> {
        match what {
            "reject" => Some(StageError::rejected("told to reject")),
            "transient" => Some(StageError::transient("told to try again")),
            "overload" => Some(StageError::overload("told to come back later")),
            "exhausted" => Some(StageError::exhausted("told that there is no more")),
            "fatal" => Some(StageError::fatal("told to stop the run")),
            "panic" => panic!("told to panic"),
            "abort" => std::process::abort(),
            _ => None,
        }
    }
}

fn spin(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// What a stage may do here that one in a shut process may not.
fn ways_out() -> Vec<&'static str> {
    let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    let temporary = std::env::temp_dir().join(format!("docmill-escape-{}", std::process::id()));
    let connected = std::net::TcpStream::connect(("127.0.0.1", 9));
    [
        ("read a file", std::fs::read("/etc/passwd").is_ok()),
        ("write a file", std::fs::write(&temporary, "x").is_ok()),
        ("list the root", std::fs::read_dir("/").is_ok()),
        ("start a program", std::process::Command::new("/bin/true").spawn().is_ok()),
        // Nobody listens there; to be told so is to have been let out.
        ("use the network", connected.map_or_else(|error| !refused(error), |_| true)),
        ("not start a thread", std::thread::Builder::new().spawn(|| {}).is_err()),
    ]
    .into_iter()
    .filter_map(|(way, is_open)| is_open.then_some(way))
    .collect()
}

/// An async fake: waits, fails, then turns a record into others.
struct AsyncFake {
    config: FakeConfig,
    faults: Faults,
    turn: fn(&FakeConfig, &Record) -> Outputs,
}

#[async_trait]
impl Stage for AsyncFake {
    async fn process(&self, _cx: &Context, input: Record) -> Result<Outputs, StageError> {
        if !self.config.delay.0.is_zero() {
            tokio::time::sleep(self.config.delay.0).await;
        }
        if let Some(what) = self.faults.due(&input) {
            if what == "hang" {
                std::future::pending::<()>().await;
            }
            if let Some(error) = Faults::strike(&what) {
                return Err(error);
            }
        }
        let kind = input.payload.kind();
        let outputs = (self.turn)(&self.config, &input);
        if outputs.records().is_empty() { Err(StageError::unexpected(kind)) } else { Ok(outputs) }
    }
}

/// A CPU fake: computes, fails, then turns a record into others, as many a step as its quota takes.
struct CpuFake {
    config: FakeConfig,
    faults: Arc<Faults>,
    takes: PayloadKind,
    turn: fn(&FakeConfig, &Record, u32) -> Payload,
}

struct CpuFakeWork {
    config: FakeConfig,
    faults: Arc<Faults>,
    turn: fn(&FakeConfig, &Record, u32) -> Payload,
    input: Record,
    part: u32,
}

impl CpuStage for CpuFake {
    fn open(&self, _cx: &StepContext, input: Record) -> Result<Box<dyn Work>, StageError> {
        if input.payload.kind() != self.takes {
            return Err(StageError::unexpected(input.payload.kind()));
        }
        Ok(Box::new(CpuFakeWork {
            config: self.config.clone(),
            faults: Arc::clone(&self.faults),
            turn: self.turn,
            input,
            part: 0,
        }))
    }
}

impl Work for CpuFakeWork {
    fn step(&mut self, cx: &StepContext, out: &mut Outputs) -> Result<Step, StageError> {
        spin(self.config.spin.0);
        if let Some(what) = self.faults.due(&self.input) {
            match what.as_str() {
                // Never returns by itself: only a killed child ends it.
                "hang" => loop {
                    std::thread::park();
                },
                // Never done, but looks up between steps.
                "spin" => {
                    while !cx.is_over() {
                        std::hint::spin_loop();
                    }
                    return Ok(Step::More);
                }
                "escape" => {
                    let ways = ways_out();
                    if !ways.is_empty() {
                        return Err(StageError::rejected(format!("may {}", ways.join(", "))));
                    }
                }
                _ => {}
            }
            if let Some(error) = Faults::strike(&what) {
                return Err(error);
            }
        }
        while self.part < self.config.parts && !out.is_full() {
            out.emit(self.input.derive((self.turn)(&self.config, &self.input, self.part)));
            self.part += 1;
        }
        Ok(if self.part >= self.config.parts { Step::Done } else { Step::More })
    }
}

struct FakeSource;
#[async_trait]
impl StageFactory for FakeSource {
    type Config = FakeConfig;
    const KIND: &'static str = "fake-source";
    const REVISION: u32 = 1;
    fn spec() -> StageSpec {
        spec(&[], &[PayloadKind::Reference], Tier::Io, "kind = \"fake-source\"\ncount = 10")
    }
    async fn build(config: FakeConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        struct Numbers(FakeConfig, u64);
        #[async_trait]
        impl Source for Numbers {
            async fn next(&mut self, _cx: &Context) -> Result<Option<SourceItem>, StageError> {
                let rounds = 1 + self.0.again + u64::from(self.0.gone);
                if self.1 == self.0.count * rounds {
                    return Ok(None);
                }
                let uri = format!("test:///{}", self.1 % self.0.count);
                let gone = self.0.gone && self.1 >= self.0.count * (rounds - 1);
                self.1 += 1;
                let stamp = self.0.stamped.then(|| format!("{} bytes", self.0.size));
                Ok(Some(SourceItem { uri, size: Some(self.0.size), gone, stamp, ..SourceItem::default() }))
            }

            fn covers(&self, uri: &str) -> bool {
                uri.starts_with("test:///")
            }
        }
        Ok(Node::Source(Box::new(Numbers(config, 0))))
    }
}

struct FakeFetch;
#[async_trait]
impl StageFactory for FakeFetch {
    type Config = FakeConfig;
    const KIND: &'static str = "fake-fetch";
    const REVISION: u32 = 1;
    fn spec() -> StageSpec {
        spec(&[PayloadKind::Reference], &[PayloadKind::Blob], Tier::Io, "kind = \"fake-fetch\"")
    }
    async fn build(config: FakeConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        fn fetch(config: &FakeConfig, input: &Record) -> Outputs {
            if !matches!(input.payload, Payload::Reference(_)) {
                return Outputs::new();
            }
            let size = usize::try_from(config.size).unwrap_or(usize::MAX);
            let mut bytes = format!("{} ", input.document.filename).into_bytes();
            bytes.resize(size.max(bytes.len()), b'x');
            let mut document = (*input.document).clone();
            document.media_type = Some("text/plain".into());
            document.content = Some(Digest::of(&[input.document.uri.as_bytes()]));
            let payload = Payload::Blob(Blob { bytes: bytes.into() });
            let listed = document.uri.clone();
            let mut outputs = Outputs::one(Record { document: Arc::new(document), payload });
            for member in (0..config.within).filter(|_| !listed.contains('#')) {
                let filename = format!("{}.{member}", input.document.filename);
                outputs.find(SourceItem { uri: format!("{listed}#{member}"), filename, ..SourceItem::default() });
            }
            outputs
        }
        Ok(Node::Io(Arc::new(AsyncFake { faults: Faults::new(&config), config, turn: fetch })))
    }
}

struct FakeRead;
#[async_trait]
impl StageFactory for FakeRead {
    type Config = FakeConfig;
    const KIND: &'static str = "fake-read";
    const REVISION: u32 = 1;
    fn spec() -> StageSpec {
        spec(&[PayloadKind::Reference], &[PayloadKind::Chunks], Tier::Io, "kind = \"fake-read\"")
    }
    async fn build(config: FakeConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        fn read(config: &FakeConfig, input: &Record) -> Outputs {
            let mut outputs = Outputs::new();
            if !matches!(input.payload, Payload::Reference(_)) {
                return outputs;
            }
            let mut document = (*input.document).clone();
            document.content = Some(Digest::of(&[input.document.uri.as_bytes()]));
            let document = Arc::new(document);
            for part in 0..config.parts {
                let payload = Payload::Chunks(Chunks {
                    part: Part::Chunk,
                    title: None,
                    items: vec![one_chunk(part, "x".into())],
                });
                outputs.emit(Record { document: Arc::clone(&document), payload });
            }
            outputs
        }
        Ok(Node::Io(Arc::new(AsyncFake { faults: Faults::new(&config), config, turn: read })))
    }
}

fn one_chunk(ordinal: u32, text: Slice) -> Chunk {
    Chunk { ordinal, text, tokens: 1, page: None, line_start: None, line_end: None, heading: Arc::new([]) }
}

struct FakeParse;
#[async_trait]
impl StageFactory for FakeParse {
    type Config = FakeConfig;
    const KIND: &'static str = "fake-parse";
    const REVISION: u32 = 1;
    fn spec() -> StageSpec {
        spec(&[PayloadKind::Blob], &[PayloadKind::Text], Tier::Cpu, "kind = \"fake-parse\"")
    }
    async fn build(config: FakeConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        fn parse(_config: &FakeConfig, input: &Record, _part: u32) -> Payload {
            let content = match &input.payload {
                Payload::Blob(blob) => String::from_utf8_lossy(&blob.bytes).into_owned(),
                _ => String::new(),
            };
            Payload::Text(Text {
                content: content.into(),
                kind: TextKind::Plain,
                title: None,
                pages: Arc::new([]),
                blocks: Arc::new([]),
                lines: true,
            })
        }
        let faults = Arc::new(Faults::new(&config));
        Ok(Node::Cpu(Arc::new(CpuFake { faults, config, takes: PayloadKind::Blob, turn: parse })))
    }
}

struct FakeSplit;
#[async_trait]
impl StageFactory for FakeSplit {
    type Config = FakeConfig;
    const KIND: &'static str = "fake-split";
    const REVISION: u32 = 1;
    fn spec() -> StageSpec {
        spec(&[PayloadKind::Text], &[PayloadKind::Chunks], Tier::Cpu, "kind = \"fake-split\"\nparts = 4")
    }
    async fn build(config: FakeConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        fn split(_config: &FakeConfig, input: &Record, part: u32) -> Payload {
            let text = match &input.payload {
                Payload::Text(text) => Slice::new(&text.content, 0..text.content.len()),
                _ => None,
            };
            let chunk = one_chunk(part, text.unwrap_or_else(|| "".into()));
            Payload::Chunks(Chunks { part: Part::Chunk, title: None, items: vec![chunk] })
        }
        let faults = Arc::new(Faults::new(&config));
        Ok(Node::Cpu(Arc::new(CpuFake { faults, config, takes: PayloadKind::Text, turn: split })))
    }
}

struct Null;
#[async_trait]
impl StageFactory for Null {
    type Config = FakeConfig;
    const KIND: &'static str = "null";
    const REVISION: u32 = 1;
    fn spec() -> StageSpec {
        spec(&[PayloadKind::Chunks], &[PayloadKind::Chunks], Tier::Io, "kind = \"null\"")
    }
    async fn build(config: FakeConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        fn pass(_config: &FakeConfig, input: &Record) -> Outputs {
            if matches!(input.payload, Payload::Chunks(_)) { Outputs::one(input.clone()) } else { Outputs::new() }
        }
        Ok(Node::Io(Arc::new(AsyncFake { faults: Faults::new(&config), config, turn: pass })))
    }
}

struct FakeEmbed;
#[async_trait]
impl StageFactory for FakeEmbed {
    type Config = FakeConfig;
    const KIND: &'static str = "fake-embed";
    const REVISION: u32 = 1;
    fn spec() -> StageSpec {
        let batch = BatchDefaults { items: 64, tokens: 100_000, wait: Duration::from_millis(5) };
        let base = spec(&[PayloadKind::Chunks], &[PayloadKind::Vectors], Tier::Service, "kind = \"fake-embed\"");
        StageSpec { batch: Some(batch), ..base }
    }
    async fn build(config: FakeConfig, _cx: &BuildContext) -> Result<Node, StageError> {
        fn embed(_config: &FakeConfig, input: &Record) -> Outputs {
            let Payload::Chunks(chunks) = &input.payload else { return Outputs::new() };
            let values = vec![0.5; chunks.items.len() * 4].into();
            let vectors = Vectors { chunks: chunks.clone(), dimensions: 4, values };
            Outputs::one(input.derive(Payload::Vectors(vectors)))
        }
        Ok(Node::Service(Arc::new(AsyncFake { faults: Faults::new(&config), config, turn: embed })))
    }
}
