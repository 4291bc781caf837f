//! The suite that every stage passes, over programs that give back what they get.

use docmill_api::TextKind;
use docmill_testkit::conformance::Suite;
use docmill_testkit::records;
use serde_json::json;

use super::program::{Program, build, process, python, registry};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_takes_and_gives_texts() {
    if !python() {
        return;
    }
    let program = Program::for_each("output(message, data)\nend()");
    let command = vec!["python3".to_owned(), program.path().join("program.py").display().to_string()];
    let registry = registry();
    let suite = Suite::new(&registry, "exec").with("command", command).with("directory", directory(&program));
    suite.sample(records::text("file:///a.md", TextKind::Markdown, "# zorblax\n\nwörds\n")).run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_takes_and_gives_everything() {
    if !python() {
        return;
    }
    let kinds = json!(["reference", "blob", "text", "chunks", "vectors"]);
    let program = Program::for_each("output(message, data)\nend()");
    let command = vec!["python3".to_owned(), program.path().join("program.py").display().to_string()];
    let registry = registry();
    let suite = Suite::new(&registry, "exec").with("command", command).with("directory", directory(&program));
    let suite = suite.with("takes", kinds.clone()).with("gives", kinds);
    let suite = suite.sample(records::reference("file:///a")).sample(records::blob("file:///a", None, b"\0\xff"));
    let suite = suite.sample(records::chunks("file:///a", &["one", "zwölf"]));
    suite.sample(records::vectors("file:///a", &["one", "two"], 3)).run().await;
}

fn directory(program: &Program) -> String {
    program.path().display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_template_carries_every_payload_through() {
    if !python() {
        return;
    }
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/python-stage/stage.py");
    let own = "def handle(document, payload, state):\n    yield payload\n\n\nclass Skip(";
    let code = std::fs::read_to_string(template).unwrap().replacen("class Skip(", own, 1);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("stage.py"), code).unwrap();
    let kinds = json!(["reference", "blob", "text", "chunks", "vectors"]);
    let changes = json!({ "command": ["python3", "stage.py"], "takes": kinds, "gives": kinds });
    let stage = build(directory.path(), changes).await.unwrap();
    for record in [
        records::reference("file:///a"),
        records::blob("file:///a", None, b"\0\xff"),
        records::text("file:///a.rs", TextKind::Code("rust".into()), "fn zorblax() {}\n"),
        records::chunks("file:///a", &["one", "zwölf", ""]),
        records::vectors("file:///a", &["one", "zwölf"], 3),
    ] {
        let outputs = process(&stage, record.clone()).await.unwrap();
        let [back] = outputs.records() else { panic!("one record for {}", record.payload.kind()) };
        assert_eq!(format!("{:?}", back.payload), format!("{:?}", record.payload));
    }
}
