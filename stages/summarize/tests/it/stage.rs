//! The stage as the engine meets it: through the registry.

use docmill_api::{CancellationToken, Part, Payload, PayloadKind, Reference, StepContext, TextKind};
use docmill_testkit::{conformance::Suite, records};
use serde_json::json;

use crate::{default_config, record, registry, run_with, summarize};

const TEXT: &str = "The mill grinds grain into flour all day long. Water drives the wheel of the mill. \
    A miller lives beside the mill with his family. Nobody remembers who built it first. \
    Flour from the mill is sold in the town below.";

#[test]
fn a_summary_is_one_row_of_the_documents_own_sentences() {
    let chunks = summarize(TEXT, TextKind::Plain).unwrap();
    assert_eq!((chunks.part, chunks.title.as_deref(), chunks.items.len()), (Part::Summary, Some("Title"), 1));
    let row = &chunks.items[0];
    assert_eq!((row.ordinal, row.page, row.line_start, row.line_end), (0, None, None, None));
    assert!(row.heading.is_empty());
    let encoding = tiktoken::get_encoding("cl100k_base").unwrap();
    assert_eq!(row.tokens as usize, encoding.encode(&row.text).len());
    let sentences: Vec<&str> = row.text.split_inclusive('.').map(str::trim).collect();
    assert_eq!(sentences.len(), 3);
    let places: Vec<usize> = sentences.iter().map(|sentence| TEXT.find(sentence).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn the_number_of_sentences_is_the_users() {
    for sentences in 1..=4 {
        let mut config = default_config();
        config["sentences"] = json!(sentences);
        let (records, _) = run_with(config, record(TEXT, TextKind::Plain)).into_parts();
        let Payload::Chunks(chunks) = &records[0].payload else { panic!("chunks") };
        assert_eq!(chunks.items[0].text.matches('.').count(), sentences);
    }
    let mut config = default_config();
    config["sentences"] = json!(5);
    let (records, skip) = run_with(config, record(TEXT, TextKind::Plain)).into_parts();
    assert_eq!((records.len(), skip.as_deref()), (0, Some("no longer than its summary")));
}

#[test]
fn a_wrong_or_unwanted_record_is_refused() {
    let registry = registry();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let cx = docmill_api::BuildContext {
        stage: "summarize".into(),
        base: ".".into(),
        fingerprint: docmill_api::Digest::of(&[]),
        embedding: None,
        inputs: Vec::new(),
        ..docmill_api::BuildContext::default()
    };
    let node = runtime.block_on(registry.get("summarize").unwrap().build(default_config(), &cx)).unwrap();
    let docmill_api::Node::Cpu(stage) = node else { panic!("the spec says cpu") };
    let detached = StepContext::detached();
    let mut input = record(TEXT, TextKind::Plain);
    let outcome = stage.process_batch(&detached, vec![input.clone()]);
    assert!(outcome[0].is_ok());

    let cancel = CancellationToken::new();
    cancel.cancel();
    assert!(stage.process_batch(&StepContext::new(cancel, None), vec![input.clone()])[0].is_err());
    input.payload = Payload::Reference(Reference {});
    assert!(stage.process_batch(&detached, vec![input])[0].is_err());
}

#[test]
fn the_configuration_is_checked_without_io() {
    let registry = registry();
    let factory = registry.get("summarize").unwrap();
    assert_eq!(factory.validate(&default_config()), []);
    for (field, value) in
        [("provider", json!("nobody")), ("sentences", json!(0)), ("sentences", json!(21)), ("encoding", json!("p"))]
    {
        let mut config = default_config();
        config[field] = value;
        let issues = factory.validate(&config);
        assert_eq!((issues.len(), issues[0].path[0].as_str()), (1, field));
    }
    let mut config = default_config();
    config["lines"] = json!(3);
    assert_eq!(factory.validate(&config).len(), 1, "an unknown field is refused");
    let spec = factory.spec();
    assert_eq!((spec.takes, spec.gives), (&[PayloadKind::Text][..], &[PayloadKind::Chunks][..]));
}

#[tokio::test]
async fn it_conforms() {
    let registry = registry();
    let code = records::text("file:///a.rs", TextKind::Code("rust".into()), "//! Grinds grain into flour.\n");
    let prose = records::text("file:///a.txt", TextKind::Plain, TEXT);
    Suite::new(&registry, "summarize").sample(prose).sample(code).run().await;
}
