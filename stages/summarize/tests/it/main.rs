//! What the summarize stage promises, one file a property. One binary, as each costs a link.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hostile;
mod stage;
mod summary;

use std::path::PathBuf;
use std::sync::Arc;

use docmill_api::{
    BuildContext, Chunks, Digest, Document, Node, Outputs, Payload, Record, Registry, SourceItem, Step, StepContext,
    Text, TextKind, defaults,
};
use serde_json::Value;

fn registry() -> Registry {
    let mut registry = Registry::new();
    docmill_summarize::register(&mut registry);
    registry
}

fn default_config() -> Value {
    defaults(&registry().get("summarize").unwrap().spec().fields)
}

fn record(content: &str, kind: TextKind) -> Record {
    let item = SourceItem { uri: "file:///a.txt".into(), ..SourceItem::default() };
    let text = Text {
        content: content.into(),
        kind,
        title: Some("Title".into()),
        pages: Arc::from([]),
        blocks: Arc::new([]),
        lines: true,
    };
    Record { document: Arc::new(Document::admit(item, Digest::of(&[]))), payload: Payload::Text(text) }
}

/// Runs the stage on one record, as the engine would.
fn run_with(config: Value, input: Record) -> Outputs {
    let cx = BuildContext {
        stage: "summarize".into(),
        base: PathBuf::from("."),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: Vec::new(),
        ..BuildContext::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let node = runtime.block_on(registry().get("summarize").unwrap().build(config, &cx)).unwrap();
    let Node::Cpu(stage) = node else { panic!("the spec says cpu") };
    let mut outputs = Outputs::new();
    let step = StepContext::detached();
    assert_eq!(stage.open(&step, input).unwrap().step(&step, &mut outputs), Ok(Step::Done));
    outputs
}

/// The summary's row, or why there is none.
fn summarize(content: &str, kind: TextKind) -> Result<Chunks, String> {
    let (mut records, skip) = run_with(default_config(), record(content, kind)).into_parts();
    match (records.pop(), skip) {
        (Some(record), None) => match record.payload {
            Payload::Chunks(chunks) => Ok(chunks),
            other => panic!("not {}", other.kind()),
        },
        (None, Some(reason)) => Err(reason),
        other => panic!("a summary or a reason, not {other:?}"),
    }
}
