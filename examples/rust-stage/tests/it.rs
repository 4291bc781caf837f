//! What the stage `language` promises: what every stage does, and what it alone does.

use docmill_api::{BuildContext, Digest, Node, Outputs, Registry, StepContext, TextKind, defaults};
use docmill_testkit::conformance::{Suite, step_through};
use docmill_testkit::records;

const ENGLISH: &str = "The wheel is made of oak, and it turns with the brook.";
const GERMAN: &str = "Das Rad ist aus Eiche und dreht sich mit dem Bach auf die Mühle zu.";

fn registry() -> Registry {
    let mut registry = Registry::new();
    docmill_language::register(&mut registry);
    registry
}

async fn through(kind: TextKind, text: &str) -> Outputs {
    let registry = registry();
    let factory = registry.get("language").expect("registered");
    let cx = BuildContext {
        stage: "language".into(),
        base: ".".into(),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: Vec::new(),
        ..BuildContext::default()
    };
    let Node::Cpu(stage) = factory.build(defaults(&factory.spec().fields), &cx).await.expect("built") else {
        panic!("the spec says cpu")
    };
    step_through(&*stage, &StepContext::detached(), records::text("file:///a.txt", kind, text)).expect("it never fails")
}

#[tokio::test]
async fn it_is_a_stage_like_any_other() {
    let sample = records::text("file:///a.txt", TextKind::Plain, ENGLISH);
    Suite::new(&registry(), "language").sample(sample).run().await;
}

#[tokio::test]
async fn a_wanted_language_passes_and_is_noted() {
    let outputs = through(TextKind::Plain, ENGLISH).await;
    assert_eq!(outputs.records()[0].document.metadata["language"], "en");
}

#[tokio::test]
async fn another_is_skipped_with_its_reason_and_code_passes() {
    let (records, reason) = through(TextKind::Plain, GERMAN).await.into_parts();
    assert!(records.is_empty());
    assert_eq!(reason.as_deref(), Some("its language is `de`, which is not kept"));
    assert_eq!(through(TextKind::Code("python".into()), GERMAN).await.records().len(), 1);
}

#[test]
fn a_language_that_nobody_knows_is_refused_by_name() {
    let config = serde_json::json!({ "keep": ["en", "xx"], "unknown": true });
    let issues = registry().get("language").expect("registered").validate(&config);
    assert_eq!(issues.len(), 1);
    assert!(issues[0].message.contains("`xx`") && issues[0].hint.as_deref().is_some_and(|hint| hint.contains("nl")));
}
