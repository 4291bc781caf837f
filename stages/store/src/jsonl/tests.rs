//! Properties of the sink `jsonl`, through a real directory.

use std::path::Path;

use docmill_api::{Context, Document, ErrorClass, Payload};

use super::*;
use crate::fixture::{bring, chunks, context, document, settle, sink, write};

async fn open_at(base: &Path, vectors: bool) -> Arc<dyn Sink> {
    let config = JsonlConfig { dir: "out".into(), vectors };
    sink(Jsonl::build(config, &context(base)).await.expect("built"))
}

fn lines(base: &Path, document: &Document) -> Vec<Value> {
    let path = base.join("out").join(format!("{}.jsonl", document.id));
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory).expect("listed").count()
}

#[tokio::test]
async fn a_document_appears_whole_once_it_is_done() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open_at(base.path(), true).await;
    let one = document("file:///a.txt", "first");
    assert_eq!(write(&sink, vec![chunks(&one, "first", 0..2)]).await, 2);
    // A retry: rows that are there already count, and are not written twice.
    assert_eq!(write(&sink, vec![chunks(&one, "first", 0..3)]).await, 3);
    assert!(lines(base.path(), &one).is_empty(), "nothing shows before the document is done");
    settle(&sink, &[&one], true).await.expect("settled");
    let rows = lines(base.path(), &one);
    assert_eq!(rows.iter().map(|row| row["ordinal"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(1), Some(2)]);
    assert_eq!(rows[1]["text"], "first part1 of a.txt");
    assert_eq!(rows[1]["vector"], serde_json::json!([1.0, 1.0, 0.5, -1.0]));
    assert_eq!(rows[1]["heading"], serde_json::json!(["Top", "Section 1"]));
    assert_eq!(rows[1]["document"], one.id.to_string());
    assert_eq!(files(&base.path().join("out").join(PARTIAL)), 0);
}

#[tokio::test]
async fn a_changed_document_is_replaced_and_a_failed_one_leaves_the_former() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open_at(base.path(), false).await;
    let (old, new) = (document("file:///a.txt", "old"), document("file:///a.txt", "new"));
    write(&sink, vec![chunks(&old, "old", 0..2)]).await;
    settle(&sink, &[&old], true).await.expect("settled");
    write(&sink, vec![chunks(&new, "new", 0..1)]).await;
    settle(&sink, &[&new], false).await.expect("settled");
    assert_eq!(lines(base.path(), &old).len(), 2, "the failed version left the former in place");
    write(&sink, vec![chunks(&new, "new", 0..1)]).await;
    settle(&sink, &[&new], true).await.expect("settled");
    let rows = lines(base.path(), &new);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["text"], "new part0 of a.txt");
    assert!(rows[0].get("vector").is_none(), "vectors were not wanted");
    // Settled again, as after a crash: the file of this version stays. Without rows in another version, it goes.
    settle(&sink, &[&new], true).await.expect("settled");
    assert_eq!(lines(base.path(), &new).len(), 1);
    settle(&sink, &[&document("file:///a.txt", "")], true).await.expect("settled");
    assert!(lines(base.path(), &new).is_empty());
}

#[tokio::test]
async fn a_document_that_is_gone_leaves_no_file() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open_at(base.path(), false).await;
    let (gone, other) = (document("file:///a.txt", "same"), document("file:///b.txt", "same"));
    write(&sink, vec![chunks(&gone, "a", 0..2), chunks(&other, "b", 0..1)]).await;
    settle(&sink, &[&gone, &other], true).await.expect("settled");
    for _ in 0..2 {
        bring(&sink, &[&gone], Rest::Gone).await.expect("forgotten, and again");
    }
    assert_eq!((lines(base.path(), &gone).len(), lines(base.path(), &other).len()), (0, 1));
}

#[tokio::test]
async fn what_a_crash_left_is_finished_or_begun_anew() {
    let base = tempfile::tempdir().expect("tempdir");
    let (one, two) = (document("file:///a.txt", "one"), document("file:///b.txt", "two"));
    let crashed = open_at(base.path(), true).await;
    write(&crashed, vec![chunks(&one, "one", 0..3), chunks(&two, "two", 0..3)]).await;
    drop(crashed);
    let sink = open_at(base.path(), true).await;
    settle(&sink, &[&one], true).await.expect("settled");
    assert_eq!(lines(base.path(), &one).len(), 3, "all was written, only the end was missing");
    write(&sink, vec![chunks(&two, "two", 0..2)]).await;
    settle(&sink, &[&two], true).await.expect("settled");
    assert_eq!(lines(base.path(), &two).len(), 2, "the rows of this run, not those of both");
}

#[tokio::test]
async fn a_wrong_record_costs_itself_alone() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open_at(base.path(), true).await;
    let (one, two) = (document("file:///a.txt", "one"), document("file:///b.txt", "two"));
    let mut wrong = chunks(&one, "one", 0..2);
    if let Payload::Vectors(vectors) = &mut wrong.payload {
        vectors.values = vec![1.0; 7].into();
    }
    let outcomes = sink.write(&Context::detached(), vec![wrong, chunks(&two, "two", 0..2)]).await;
    assert_eq!(outcomes[0].as_ref().map_err(|error| error.class), Err(ErrorClass::Rejected));
    assert_eq!(outcomes[1], Ok(2));
}

#[tokio::test]
async fn another_directory_and_another_model_are_refused() {
    let base = tempfile::tempdir().expect("tempdir");
    fs::create_dir(base.path().join("out")).expect("made");
    fs::write(base.path().join("out/thesis.txt"), b"mine").expect("written");
    let config = || JsonlConfig { dir: "out".into(), vectors: true };
    let error = Jsonl::build(config(), &context(base.path())).await.err().expect("refused");
    assert_eq!(error.class, ErrorClass::Fatal);
    assert!(error.message.contains("thesis.txt"), "{error}");
    fs::remove_file(base.path().join("out/thesis.txt")).expect("removed");
    Jsonl::build(config(), &context(base.path())).await.expect("an empty directory is fine");
    let mut other = context(base.path());
    other.embedding = other.embedding.map(|embedding| docmill_api::Embedding { model: "other".into(), ..embedding });
    let error = Jsonl::build(config(), &other).await.err().expect("refused");
    assert!(error.message.contains("`model` with 4") && error.message.contains("`other`"), "{error}");
    Jsonl::build(JsonlConfig { vectors: false, ..config() }, &other).await.expect("texts have no model");
}

#[tokio::test]
async fn the_sink_conforms() {
    let base = tempfile::tempdir().expect("tempdir");
    let mut registry = docmill_api::Registry::new();
    crate::register(&mut registry);
    let suite = docmill_testkit::conformance::Suite::new(&registry, "jsonl").embedding("model", 3);
    let suite = suite.with("dir", base.path().join("out").to_str().expect("UTF-8"));
    let sample = docmill_testkit::records::vectors("file:///a.txt", &["one", "two"], 3);
    suite.sample(sample).run().await;
}
