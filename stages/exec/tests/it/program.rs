//! What the tests share: a directory with a Python program in it, and the stage that runs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use docmill_api::{
    BuildContext, Context, Digest, Node, Outputs, Payload, Record, Registry, Stage, StageError, TextKind, defaults,
};
use docmill_testkit::records;
use serde_json::{Value, json};

/// The part of a program that every test program has: frames, and the greeting.
const PREAMBLE: &str = r#"
import json, os, signal, struct, sys, time
def read():
    length = sys.stdin.buffer.read(4)
    if len(length) < 4:
        return None
    header = json.loads(sys.stdin.buffer.read(struct.unpack("<I", length)[0]))
    return header, sys.stdin.buffer.read(struct.unpack("<Q", sys.stdin.buffer.read(8))[0])
def write(header, body=b""):
    header = json.dumps(header).encode()
    sys.stdout.buffer.write(struct.pack("<I", len(header)) + header + struct.pack("<Q", len(body)) + body)
    sys.stdout.buffer.flush()
def output(message, body, **changes):
    write({"type": "output", "document": {**message["document"], **changes}, "payload": message["payload"]}, body)
def end(skip=None):
    write({"type": "end", "skip": skip})
def failed(kind, text):
    write({"type": "failed", "error": {"class": kind, "message": text}})
def note(name):
    with open(name, "a") as file:
        file.write(f"{os.getpid()}\n")
"#;

const GREETING: &str = "hello, _ = read()\nnote('started')\nwrite({'type': 'ready', 'protocol': 1})\n";

/// A directory with a program in it.
pub(crate) struct Program {
    directory: tempfile::TempDir,
}

/// Whether there is a Python to test with.
pub(crate) fn python() -> bool {
    let found = std::process::Command::new("python3").arg("--version").output().is_ok_and(|ran| ran.status.success());
    if !found {
        eprintln!("skipped: no python3 here");
    }
    found
}

impl Program {
    /// One that greets, and then works as `body` says, once per input: `message`, `data` and `word` (the input's text)
    /// are there.
    pub(crate) fn for_each(body: &str) -> Self {
        let indented: String = body.lines().map(|line| format!("    {line}\n")).collect();
        let each = "while (frame := read()) is not None:\n    message, data = frame\n    word = data.decode('utf-8', 'replace')\n";
        Self::whole(&format!("{GREETING}{each}{indented}note('ended')\n"))
    }

    /// One that does what `code` says from the start.
    pub(crate) fn whole(code: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("program.py"), format!("{PREAMBLE}{code}")).unwrap();
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The process ids that it noted, in order.
    pub(crate) fn noted(&self, name: &str) -> Vec<u32> {
        let text = std::fs::read_to_string(self.path().join(name)).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Waits until it has noted so many ids.
    pub(crate) async fn noted_soon(&self, name: &str, count: usize) -> Vec<u32> {
        let path = self.path().to_owned();
        soon(move || std::fs::read_to_string(path.join(name)).is_ok_and(|text| text.lines().count() >= count)).await;
        self.noted(name)
    }

    pub(crate) async fn stage(&self, changes: Value) -> Arc<dyn Stage> {
        let mut values = json!({ "command": ["python3", "program.py"] });
        merge(&mut values, changes);
        build(self.path(), values).await.unwrap()
    }
}

/// Waits for something that another process does; gives up, and fails, after a long time.
pub(crate) async fn soon(is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while !is_so() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it happens within a minute");
}

/// Whether a process is there and no zombie.
pub(crate) fn lives(id: u32) -> bool {
    let status = std::process::Command::new("ps").args(["-o", "stat=", "-p", &id.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&status.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    docmill_exec::register(&mut registry);
    registry
}

fn merge(values: &mut Value, changes: Value) {
    if let Value::Object(changes) = changes {
        for (key, value) in changes {
            values[key] = value;
        }
    }
}

/// Builds the stage in a directory.
pub(crate) async fn build(base: &Path, changes: Value) -> Result<Arc<dyn Stage>, StageError> {
    let registry = registry();
    let factory = registry.get("exec").unwrap();
    let mut values = defaults(&factory.spec().fields);
    merge(&mut values, changes);
    let cx = BuildContext {
        stage: "mine".into(),
        base: PathBuf::from(base),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: Vec::new(),
        ..BuildContext::default()
    };
    match factory.build(values, &cx).await? {
        Node::Io(stage) => Ok(stage),
        _ => panic!("the spec says io"),
    }
}

/// A text of one document.
pub(crate) fn text(name: &str, content: &str) -> Record {
    records::text(&format!("file:///{name}"), TextKind::Plain, content)
}

pub(crate) async fn process(stage: &Arc<dyn Stage>, record: Record) -> Result<Outputs, StageError> {
    stage.process(&Context::detached(), record).await
}

/// The texts of all records.
pub(crate) fn texts(outputs: &Outputs) -> Vec<String> {
    let text = |record: &Record| match &record.payload {
        Payload::Text(text) => text.content.to_string(),
        other => panic!("a text was expected, not {}", other.kind()),
    };
    outputs.records().iter().map(text).collect()
}
