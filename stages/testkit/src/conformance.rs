//! The properties that every stage has to have, whatever it does.
//!
//! ```no_run
//! # async fn example(registry: docmill_api::Registry) {
//! use docmill_testkit::{conformance::Suite, records};
//! Suite::new(&registry, "chunk").sample(records::text("file:///a.txt", docmill_api::TextKind::Plain, "a b c")).run().await;
//! # }
//! ```
//!
//! | property | how it is looked at |
//! |---|---|
//! | it describes itself | every field has a doc; the defaults decode and validate; an unknown field is refused |
//! | its tier is its type | the built node is of the tier that the spec names |
//! | it gives what it says | every output is of a kind in `gives` |
//! | it is deterministic | the same input twice gives the same outputs |
//! | it refuses what it does not take | a payload of another kind is an error, not a panic |
//! | it keeps its quota | a step gives at most its quota and one record more |
//! | it answers for each item | a batch has one outcome per item |
//! | it survives hostile input | empty, random and absurd input ends in an outcome |
//! | a sink is idempotent | the same batch twice gives the same rows |

use docmill_api::{
    BuildContext, CancellationToken, Context, CpuStage, Digest, Embedding, ErasedFactory, ErrorClass, Node, Outputs,
    Payload, PayloadKind, Record, Registry, Rest, Settled, Sink, Stage, StageError, Step, StepContext, TextKind, Tier,
    defaults,
};
use serde_json::{Value, json};

use crate::records;

/// A run of the suite for one kind of stage.
pub struct Suite<'a> {
    factory: &'a dyn ErasedFactory,
    config: Value,
    samples: Vec<Record>,
    embedding: Option<Embedding>,
}

/// What a step may give before it has to hand over, in this suite.
const QUOTA: u64 = 64 << 10;

impl<'a> Suite<'a> {
    /// For the stage of this kind, with its default configuration.
    ///
    /// # Panics
    /// The registry does not know the kind.
    #[must_use]
    pub fn new(registry: &'a Registry, kind: &str) -> Self {
        let factory = registry.get(kind).unwrap_or_else(|| panic!("no stage of kind `{kind}` in {registry:?}"));
        let config = defaults(&factory.spec().fields);
        Self { factory: factory.as_ref(), config, samples: Vec::new(), embedding: None }
    }

    /// Sets a field of the configuration.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.config[field] = value.into();
        self
    }

    /// Adds an input that the stage can work on.
    #[must_use]
    pub fn sample(mut self, record: Record) -> Self {
        self.samples.push(record);
        self
    }

    /// Says which embedding reaches a sink.
    #[must_use]
    pub fn embedding(mut self, model: &str, dimensions: usize) -> Self {
        self.embedding = Some(Embedding { model: model.to_owned(), dimensions });
        self
    }

    /// Looks at every property.
    ///
    /// # Panics
    /// A property does not hold; the message says which.
    pub async fn run(&self) {
        self.describes_itself();
        let table = self.config.as_object().cloned().unwrap_or_default();
        match (self.build().await, self.factory.spec_for(&table).tier) {
            (Node::Io(stage), Tier::Io) | (Node::Service(stage), Tier::Service) => self.check_async(&*stage).await,
            (Node::Cpu(stage), Tier::Cpu) => self.check_cpu(&*stage),
            (Node::Sink(sink), Tier::Io) => self.check_sink(&*sink).await,
            (Node::Source(mut source), Tier::Io) => {
                let cx = Context::detached();
                for _ in 0..1000 {
                    let item = source.next(&cx).await.expect("a source lists without error");
                    let Some(item) = item else { return };
                    assert!(!item.uri.is_empty(), "an item without a place");
                }
            }
            (_, tier) => panic!("`{}` says tier {}, its node is another", self.factory.kind(), tier.as_str()),
        }
    }

    fn describes_itself(&self) {
        let kind = self.factory.kind();
        let spec = self.factory.spec();
        assert!(!spec.summary.is_empty() && !spec.guarantees.is_empty(), "`{kind}` does not say what it does");
        assert!(spec.example.contains(&format!("kind = \"{kind}\"")), "the example of `{kind}` is of another kind");
        assert!(!spec.timeout.is_zero(), "`{kind}` has no timeout");
        for field in &spec.fields {
            assert!(!field.doc.is_empty(), "`{kind}.{}` is not documented", field.name);
        }
        assert_eq!(self.factory.validate(&self.config), [], "the configuration of `{kind}` has issues");
        let mut unknown = self.config.clone();
        unknown["no_such_field"] = json!(1);
        assert!(!self.factory.validate(&unknown).is_empty(), "`{kind}` takes a field that it does not know");
    }

    async fn build(&self) -> Node {
        let cx = BuildContext {
            stage: self.factory.kind().to_owned(),
            base: std::env::temp_dir(),
            fingerprint: Digest::of(&[]),
            embedding: self.embedding.clone(),
            inputs: Vec::new(),
            ..BuildContext::default()
        };
        self.factory.build(self.config.clone(), &cx).await.expect("the stage is built")
    }

    fn gives(&self, outputs: &Outputs) {
        let gives = self.factory.spec().gives;
        for record in outputs.records() {
            assert!(gives.contains(&record.payload.kind()), "gave {}, says {gives:?}", record.payload.kind());
        }
    }

    fn strangers(&self) -> Vec<Record> {
        let takes = self.factory.spec().takes;
        one_of_each().into_iter().filter(|record| !takes.contains(&record.payload.kind())).collect()
    }

    fn hostile(&self) -> Vec<Record> {
        let takes = self.factory.spec().takes;
        absurd().into_iter().filter(|record| takes.contains(&record.payload.kind())).collect()
    }

    async fn check_async(&self, stage: &dyn Stage) {
        let cx = Context::detached();
        for sample in &self.samples {
            let first = stage.process(&cx, sample.clone()).await.expect("a sample works");
            self.gives(&first);
            let second = stage.process(&cx, sample.clone()).await.expect("a sample works twice");
            assert_same(&first, &second);
        }
        for stranger in self.strangers() {
            assert!(stage.process(&cx, stranger).await.is_err(), "a payload of another kind was taken");
        }
        for hostile in self.hostile() {
            let _ = stage.process(&cx, hostile).await;
        }
        let outcomes = stage.process_batch(&cx, self.samples.clone()).await;
        assert_eq!(outcomes.len(), self.samples.len(), "one outcome per item");
    }

    fn check_cpu(&self, stage: &dyn CpuStage) {
        let cx = StepContext::detached();
        for sample in &self.samples {
            let first = step_through(stage, &cx, sample.clone()).expect("a sample works");
            self.gives(&first);
            assert_same(&first, &step_through(stage, &cx, sample.clone()).expect("a sample works twice"));
        }
        for stranger in self.strangers() {
            assert!(step_through(stage, &cx, stranger).is_err(), "a payload of another kind was taken");
        }
        for hostile in self.hostile() {
            let _ = step_through(stage, &cx, hostile);
        }
        let outcomes = stage.process_batch(&cx, self.samples.clone());
        assert_eq!(outcomes.len(), self.samples.len(), "one outcome per item");
        let over = StepContext::new(CancellationToken::new(), Some(std::time::Instant::now()));
        for sample in &self.samples {
            // Cancelled work is dropped by the engine; whatever a step does with it, it ends.
            if let Ok(mut work) = stage.open(&over, sample.clone()) {
                let _ = work.step(&over, &mut Outputs::with_quota(QUOTA));
            }
        }
    }

    async fn check_sink(&self, sink: &dyn Sink) {
        let cx = Context::detached();
        let first = sink.write(&cx, self.samples.clone()).await;
        assert_eq!(first.len(), self.samples.len(), "one outcome per record");
        let second = sink.write(&cx, self.samples.clone()).await;
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first.as_ref().ok(), second.as_ref().ok(), "the same batch twice gives the same rows");
            assert!(first.is_ok(), "a sample is stored: {first:?}");
        }
        for outcome in sink.write(&cx, self.strangers()).await {
            assert!(outcome.is_err_and(|error| error.class == ErrorClass::Rejected), "a stranger costs itself alone");
        }
        let settled: Vec<Settled> =
            self.samples.iter().map(|record| Settled { document: record.document.clone(), rest: Rest::Done }).collect();
        for _ in 0..2 {
            sink.settle(&cx, &settled).await.expect("settling may be repeated");
        }
        sink.close(&cx).await.expect("a sink closes");
    }
}

fn assert_same(first: &Outputs, second: &Outputs) {
    let shown = |outputs: &Outputs| format!("{:?}", outputs.records());
    assert_eq!(shown(first), shown(second), "the same input gave other outputs");
}

/// Steps through one record under a quota, as the engine does.
///
/// # Errors
/// The stage's.
///
/// # Panics
/// A step gives more than its quota and one record.
pub fn step_through(stage: &dyn CpuStage, cx: &StepContext, input: Record) -> Result<Outputs, StageError> {
    let mut gathered = Outputs::new();
    let mut work = stage.open(cx, input)?;
    loop {
        let mut outputs = Outputs::with_quota(QUOTA);
        let step = work.step(cx, &mut outputs)?;
        let (bytes, last) = (outputs.bytes(), outputs.records().last().map_or(0, |record| record.payload.bytes()));
        assert!(bytes - last < QUOTA.max(1), "a step gave {bytes} bytes over a quota of {QUOTA}");
        let (records, skip) = outputs.into_parts();
        records.into_iter().for_each(|record| gathered.emit(record));
        if let Some(reason) = skip {
            gathered.skip(reason);
        }
        if step == Step::Done {
            return Ok(gathered);
        }
    }
}

fn one_of_each() -> Vec<Record> {
    vec![
        records::reference("file:///none"),
        records::blob("file:///a.txt", Some("text/plain"), b"words"),
        records::text("file:///a.txt", TextKind::Plain, "words"),
        records::chunks("file:///a.txt", &["words"]),
        records::vectors("file:///a.txt", &["words"], 3),
    ]
}

/// Inputs that no document holds, or that only hostile ones do.
#[must_use]
pub fn absurd() -> Vec<Record> {
    let noise: Vec<u8> = (0_u32..65_536).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let long = "a".repeat(300_000);
    let texts = ["", " \n\t ", "\u{0}\u{1}\u{feff}\u{202e}", "👩‍👩‍👧‍👦\u{301}\u{301}", long.as_str()];
    let mut records = vec![records::reference("file:///no/such/file"), records::reference("nonsense")];
    for extension in ["pdf", "docx", "html", "md", "rs", "json", "csv", "txt", "xyz"] {
        let uri = format!("file:///a.{extension}");
        for bytes in [&b""[..], b"\xff\xfe", b"%PDF-1.7", b"PK\x03\x04", b"<html", b"{\"a\":", &noise] {
            records.push(records::blob(&uri, None, bytes));
        }
    }
    for text in texts {
        for kind in [TextKind::Plain, TextKind::Markdown, TextKind::Code("rust".into())] {
            records.push(records::text("file:///a", kind, text));
        }
        records.push(records::chunks("file:///a", &[text]));
    }
    records.push(records::chunks("file:///a", &[]));
    records.retain(|record| !matches!(record.payload, Payload::Vectors(_)));
    debug_assert!(records.iter().any(|record| record.payload.kind() == PayloadKind::Chunks));
    records
}
