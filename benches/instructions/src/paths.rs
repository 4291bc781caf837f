//! The hot paths: what is prepared, and the part that is counted.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use docmill_api::{
    Blob, BuildContext, CpuStage, Digest, Document, Node, Outputs, Payload, Record, Registry, SourceItem, Step,
    StepContext, Text, TextKind, defaults,
};
use docmill_embed::{DIMENSIONS, Model, Scratch};

pub(crate) const NAMES: [&str; 7] =
    ["chunk prose", "chunk markdown", "chunk chinese", "embed", "parse text", "parse html", "parse pdf"];

const ENGLISH: &str = include_str!("../../../examples/documents/millers-diary.txt");
const MARKDOWN: &str = include_str!("../../../examples/documents/sluice.md");
const HTML: &[u8] = include_bytes!("../../../tests/documents/page.html");
const PDF: &[u8] = include_bytes!("../../../tests/documents/flyer.pdf");
const CHINESE: &str = "磨坊在河边，已经有三百年了。水从高处流下来，推动木轮，木轮带着石头转。每年秋天，农民把麦子送来，排队等着磨面。\
                       老磨工说：“水大的时候一天能磨二十袋，水小的时候只有五袋。”后来人们装了水闸，水位就稳定了。\n\n";

/// Does the work of this name once.
pub(crate) fn run(name: &str) -> Result<(), String> {
    match name {
        "chunk prose" => chunk(&ENGLISH.repeat(200_000 / ENGLISH.len() + 1), TextKind::Plain),
        "chunk markdown" => chunk(&MARKDOWN.repeat(200_000 / MARKDOWN.len() + 1), TextKind::Markdown),
        "chunk chinese" => chunk(&CHINESE.repeat(100_000 / CHINESE.len() + 1), TextKind::Plain),
        "embed" => embed(),
        "parse text" => parse("a.txt", ENGLISH.repeat(20).into_bytes()),
        "parse html" => parse("a.html", HTML.to_vec()),
        "parse pdf" => parse("a.pdf", PDF.to_vec()),
        _ => Err(format!("no path `{name}`: there are {}", NAMES.join(", "))),
    }
}

/// What is counted: one record through a stage. Its name is what valgrind looks for.
#[inline(never)]
fn measured(stage: &dyn CpuStage, record: Record) -> usize {
    let cx = StepContext::detached();
    let mut work = stage.open(&cx, record).expect("the stage takes it");
    let mut items = 0;
    loop {
        let mut out = Outputs::with_quota(1 << 20);
        let step = work.step(&cx, &mut out).expect("the work does not fail");
        items += out.records().iter().map(|record| record.payload.items()).sum::<usize>();
        if step == Step::Done {
            return items;
        }
    }
}

#[inline(never)]
fn measured_texts(model: &Model, texts: &[&str]) {
    let (mut scratch, mut vector) = (Scratch::default(), [0.0; DIMENSIONS]);
    for text in texts {
        model.embed(black_box(text), 512, &mut scratch, &mut vector);
        black_box(&vector);
    }
}

/// Once before it is counted, so that tables which a process makes once are made.
fn through(stage: &dyn CpuStage, record: &Record) -> Result<(), String> {
    let cx = StepContext::detached();
    let mut work = stage.open(&cx, record.clone()).map_err(|error| error.to_string())?;
    while work.step(&cx, &mut Outputs::new()).map_err(|error| error.to_string())? == Step::More {}
    match black_box(measured(stage, record.clone())) {
        0 => Err("nothing came out".to_owned()),
        _ => Ok(()),
    }
}

fn chunk(text: &str, kind: TextKind) -> Result<(), String> {
    let text = Text { content: text.into(), kind, title: None, pages: Arc::new([]), blocks: Arc::new([]), lines: true };
    let record = Record { document: document("a"), payload: Payload::Text(text) };
    through(&*stage(docmill_chunk::register, "chunk")?, &record)
}

fn parse(name: &str, content: Vec<u8>) -> Result<(), String> {
    let blob = Blob { bytes: Bytes::from(content) };
    through(
        &*stage(docmill_parse::register, "parse")?,
        &Record { document: document(name), payload: Payload::Blob(blob) },
    )
}

fn embed() -> Result<(), String> {
    let model = Model::shared().map_err(|error| error.to_string())?;
    let texts: Vec<&str> = ENGLISH.split("\n\n").cycle().take(200).collect();
    measured_texts(model, &texts);
    Ok(())
}

fn document(name: &str) -> Arc<Document> {
    let item = SourceItem { uri: format!("file:///{name}"), ..SourceItem::default() };
    Arc::new(Document::admit(item, Digest::of(&[])))
}

fn stage(register: fn(&mut Registry), kind: &str) -> Result<Arc<dyn CpuStage>, String> {
    let mut registry = Registry::default();
    register(&mut registry);
    let factory = registry.get(kind).ok_or("the kind is not there")?;
    let context = BuildContext { stage: kind.into(), ..BuildContext::default() };
    let building = factory.build(defaults(&factory.spec().fields), &context);
    let mut waker = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(building).poll(&mut waker) {
        std::task::Poll::Ready(Ok(Node::Cpu(stage))) => Ok(stage),
        std::task::Poll::Ready(Ok(_)) => Err("the stage is of another tier".to_owned()),
        std::task::Poll::Ready(Err(error)) => Err(error.to_string()),
        std::task::Poll::Pending => Err("building the stage waits for something".to_owned()),
    }
}
