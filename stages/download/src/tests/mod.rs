//! The stage through its factory: real files, and a real server on loopback.

mod archives;
mod bucket;
mod files;
mod hostile;
mod nested;
mod server;
mod stores;
mod web;

use std::sync::Arc;

use docmill_api::{
    BuildContext, Context, Digest, Document, ErasedFactory, Node, Outputs, Payload, Record, Reference, Registry,
    SourceItem, Stage, StageError, defaults,
};
use serde_json::{Value, json};

fn factory() -> Arc<dyn ErasedFactory> {
    let mut registry = Registry::new();
    crate::register(&mut registry);
    Arc::clone(registry.get("download").unwrap())
}

fn config(changes: &Value) -> Value {
    let mut config = defaults(&factory().spec().fields);
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

async fn stage(changes: Value) -> Arc<dyn Stage> {
    let cx = BuildContext {
        stage: "download".into(),
        base: "/".into(),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: Vec::new(),
        ..BuildContext::default()
    };
    match factory().build(config(&changes), &cx).await.unwrap() {
        Node::Io(stage) => stage,
        _ => panic!("`download` is an io stage"),
    }
}

/// With these variables as its environment.
fn stage_in(changes: &Value, environment: &[(&str, &str)]) -> Arc<dyn Stage> {
    let config = serde_json::from_value(config(changes)).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Arc::new(crate::download::Download::new(&config, environment).unwrap())
}

/// The locations of the documents that are found in one.
async fn found(stage: &Arc<dyn Stage>, location: &str) -> Vec<String> {
    let mut outputs = process(stage, location).await.unwrap();
    assert_eq!(outputs.records().len(), 0, "{location}");
    outputs.take_found().into_iter().map(|item| item.uri).collect()
}

fn reference(location: &str) -> Record {
    let item = SourceItem { uri: location.into(), ..SourceItem::default() };
    let document = Arc::new(Document::admit(item, Digest::of(&[])));
    Record { document, payload: Payload::Reference(Reference::default()) }
}

async fn process(stage: &Arc<dyn Stage>, location: &str) -> Result<Outputs, StageError> {
    stage.process(&Context::detached(), reference(location)).await
}

/// The document and its bytes.
async fn fetch(stage: &Arc<dyn Stage>, location: &str) -> (Arc<Document>, Vec<u8>) {
    let (mut records, skip) = process(stage, location).await.unwrap().into_parts();
    assert_eq!((records.len(), skip), (1, None), "{location}");
    let record = records.remove(0);
    match record.payload {
        Payload::Blob(blob) => (record.document, blob.bytes.to_vec()),
        other => panic!("{location} gave {}", other.kind()),
    }
}

async fn error(stage: &Arc<dyn Stage>, location: &str) -> StageError {
    match process(stage, location).await {
        Err(error) => error,
        Ok(outputs) => panic!("{location} gave {outputs:?}"),
    }
}

#[tokio::test]
async fn what_this_build_cannot_read_and_what_is_not_allowed_is_said() {
    let all = stage(json!({})).await;
    assert_eq!(error(&all, "ftp://host/key").await, StageError::rejected("scheme `ftp` is not supported"));
    assert!(error(&all, "no address").await.message.contains("no address"));
    let web = stage(json!({ "allow": { "schemes": ["https"] } })).await;
    for location in ["file:///etc/hostname", "http://example.org/", "s3://bucket/key", "file:///a.zip#member=b"] {
        assert!(error(&web, location).await.message.contains("is not allowed"), "{location}");
    }
    let mut wrong = reference("file:///etc/hostname");
    wrong.payload = Payload::Blob(docmill_api::Blob { bytes: bytes::Bytes::new() });
    assert!(all.process(&Context::detached(), wrong).await.is_err());
}

#[tokio::test]
async fn it_keeps_the_contract_of_every_stage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.md");
    std::fs::write(&path, "# hello").unwrap();
    let mut registry = Registry::new();
    crate::register(&mut registry);
    let sample = reference(url::Url::from_file_path(&path).unwrap().as_str());
    docmill_testkit::conformance::Suite::new(&registry, "download").sample(sample).run().await;
}

#[test]
fn a_wrong_configuration_is_complained_about_before_it_is_built() {
    let factory = factory();
    let paths = |changes: Value| -> Vec<String> {
        factory.validate(&config(&changes)).iter().map(|issue| issue.path.join(".")).collect()
    };
    assert_eq!(paths(json!({})), Vec::<String>::new());
    let allow = json!({ "hosts": ["example.org", "http://x/"], "cidrs": ["10/8"], "schemes": ["s3"] });
    assert_eq!(paths(json!({ "allow": allow, "max_bytes": 0 })), ["max_bytes", "allow.hosts.1", "allow.cidrs.0"]);
    assert_eq!(paths(json!({ "user_agent": "a\nb" })), ["user_agent"]);
    for endpoint in ["minio:9000", "https://key:secret@host", "ftp://host", "https://host/?sig=x"] {
        assert_eq!(paths(json!({ "az": { "endpoint": endpoint } })), ["az.endpoint"], "{endpoint}");
    }
    assert_eq!(paths(json!({ "s3": { "endpoint": "http://127.0.0.1:9000" } })), Vec::<String>::new());
    assert_eq!(paths(json!({ "s3": { "secret": "x" } })), ["s3.secret"]);
    assert_eq!(paths(json!({ "allow": { "host": [] } })), ["allow.host"]);
    assert!(factory.spec().fields.iter().all(|field| !field.changes_output));
}
