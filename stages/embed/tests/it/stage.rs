//! The stage as the engine meets it: through the registry, one record or a batch of them.

use std::path::PathBuf;
use std::sync::Arc;

use docmill_api::{
    BuildContext, CancellationToken, Chunk, Chunks, CpuStage, Digest, Document, ErrorClass, Node, Outputs, Part,
    Payload, PayloadKind, Record, Reference, Registry, SourceItem, Step, StepContext, Tier, Vectors, defaults,
};
use docmill_embed::DIMENSIONS;
use docmill_testkit::{conformance::Suite, records};
use serde_json::{Value, json};

use crate::vector;

fn registry() -> Registry {
    let mut registry = Registry::new();
    docmill_embed::register(&mut registry);
    registry
}

fn default_config() -> Value {
    defaults(&registry().get("embed").unwrap().spec().fields)
}

fn context() -> BuildContext {
    BuildContext {
        stage: "embed".into(),
        base: PathBuf::from("."),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: Vec::new(),
        ..BuildContext::default()
    }
}

async fn stage(config: Value) -> Arc<dyn CpuStage> {
    match registry().get("embed").unwrap().build(config, &context()).await.unwrap() {
        Node::Cpu(stage) => stage,
        _ => panic!("the spec says cpu"),
    }
}

fn record(payload: Payload) -> Record {
    let item = SourceItem { uri: "file:///a.txt".into(), ..SourceItem::default() };
    Record { document: Arc::new(Document::admit(item, Digest::of(&[]))), payload }
}

fn chunks(texts: &[&str]) -> Chunks {
    let chunk = |(ordinal, text): (usize, &&str)| Chunk {
        ordinal: ordinal as u32,
        text: (*text).into(),
        tokens: 1,
        page: Some(3),
        line_start: None,
        line_end: None,
        heading: ["Top".to_owned()].into(),
    };
    Chunks { part: Part::Chunk, title: Some("Title".into()), items: texts.iter().enumerate().map(chunk).collect() }
}

fn only(outputs: Outputs) -> Vectors {
    let (mut records, skip) = outputs.into_parts();
    assert_eq!((records.len(), skip), (1, None));
    match records.remove(0).payload {
        Payload::Vectors(vectors) => vectors,
        other => panic!("not {}", other.kind()),
    }
}

#[tokio::test]
async fn a_record_and_a_batch_give_the_same_chunks_with_their_vectors() {
    let stage = stage(default_config()).await;
    let inputs = [chunks(&["one text", "another", ""]), chunks(&[]), chunks(&["a third"])];
    let cx = StepContext::detached();
    let batch = inputs.iter().map(|chunks| record(Payload::Chunks(chunks.clone()))).collect();
    let outcomes = stage.process_batch(&cx, batch);
    assert_eq!(outcomes.len(), inputs.len());
    for (input, outcome) in inputs.into_iter().zip(outcomes) {
        let batched = only(outcome.unwrap());
        let mut outputs = Outputs::new();
        let mut work = stage.open(&cx, record(Payload::Chunks(input.clone()))).unwrap();
        assert_eq!(work.step(&cx, &mut outputs), Ok(Step::Done));
        assert_eq!(only(outputs), batched);
        assert_eq!(batched.dimensions, DIMENSIONS);
        assert_eq!(batched.values.len(), input.items.len() * DIMENSIONS);
        for (index, chunk) in input.items.iter().enumerate() {
            assert_eq!(batched.vector(index).unwrap(), vector(&chunk.text));
        }
        assert_eq!(batched.chunks, input, "the chunks go through unchanged");
    }
}

#[tokio::test]
async fn a_wrong_or_unwanted_record_costs_only_itself() {
    let stage = stage(default_config()).await;
    let inputs = vec![record(Payload::Reference(Reference {})), record(Payload::Chunks(chunks(&["fine"])))];
    let outcomes = stage.process_batch(&StepContext::detached(), inputs);
    assert_eq!(outcomes[0].as_ref().unwrap_err().class, ErrorClass::Rejected);
    assert!(outcomes[1].is_ok());

    let cancel = CancellationToken::new();
    cancel.cancel();
    let cx = StepContext::new(cancel, None);
    let outcomes = stage.process_batch(&cx, vec![record(Payload::Chunks(chunks(&["no longer wanted"])))]);
    assert!(outcomes[0].is_err());
}

#[tokio::test]
async fn a_query_gets_the_vector_that_a_chunk_gets() {
    let registry = registry();
    let factory = registry.get("embed").unwrap();
    let provider = factory.provider(default_config(), &context()).await.unwrap().unwrap();
    let texts = ["what is asked".to_owned(), String::new()];
    let vectors = provider.embed(&texts).await.unwrap();
    assert_eq!(vectors, texts.map(|text| vector(&text).to_vec()));
    assert_eq!(Some(provider.embedding()), factory.embedding(&default_config()));
    assert_eq!(provider.embedding().dimensions, DIMENSIONS);
}

#[tokio::test]
async fn max_tokens_reaches_the_stage() {
    let mut config = default_config();
    config["max_tokens"] = json!(1);
    let stage = stage(config).await;
    let outcomes = stage.process_batch(&StepContext::detached(), vec![record(Payload::Chunks(chunks(&["rain snow"])))]);
    let vectors = only(outcomes.into_iter().next().unwrap().unwrap());
    assert_eq!(vectors.vector(0).unwrap(), vector("rain"));
}

#[test]
fn the_configuration_is_checked_without_io() {
    let registry = registry();
    let factory = registry.get("embed").unwrap();
    assert_eq!(factory.validate(&default_config()), []);
    for (field, value) in [("provider", json!("nobody")), ("max_tokens", json!(0)), ("max_tokens", json!("many"))] {
        let mut config = default_config();
        config[field] = value;
        let issues = factory.validate(&config);
        assert_eq!(issues.len(), 1);
        assert_eq!(issues[0].path, [field]);
    }
    let mut config = default_config();
    config["modle"] = json!("x");
    assert_eq!(factory.validate(&config).len(), 1, "an unknown field is refused");
}

#[test]
fn the_description_says_what_the_stage_is() {
    let registry = registry();
    let spec = registry.get("embed").unwrap().spec();
    assert_eq!((spec.takes, spec.gives), (&[PayloadKind::Chunks][..], &[PayloadKind::Vectors][..]));
    let batch = spec.batch.unwrap();
    assert_eq!((batch.items, batch.tokens, batch.wait.as_millis()), (256, 100_000, 20));
    let default = default_config();
    let own = registry.get("embed").unwrap().spec_for(default.as_object().unwrap());
    let names: Vec<&str> = own.fields.iter().map(|field| field.name).collect();
    assert_eq!((names, own.tier), (vec!["provider", "max_tokens"], Tier::Cpu));
    assert!(own.fields.iter().all(|field| field.changes_output));
    let mut by_service = default;
    by_service["provider"] = json!("openai");
    let service = registry.get("embed").unwrap().spec_for(by_service.as_object().unwrap());
    assert_eq!((service.tier, service.width, service.attempts), (Tier::Service, Some(5), 6));
    let missing = registry.get("embed").unwrap().validate(&by_service);
    let missing: Vec<&str> = missing.iter().map(|issue| issue.path[0].as_str()).collect();
    assert_eq!(missing, ["dimensions", "model"]);
}

#[tokio::test]
async fn it_conforms() {
    let sample = records::chunks("file:///a.txt", &["one text", "", "漢字"]);
    Suite::new(&registry(), "embed").sample(sample).run().await;
}
