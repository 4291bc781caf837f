//! Every built-in kind of stage has the properties that docmill_testkit's suite looks at.

use std::time::Duration;

use docmill::load::simulate::{Running, Server, Settings};
use docmill_api::{TextKind, defaults};
use docmill_testkit::conformance::Suite;
use docmill_testkit::records;

use super::pipeline::mill::{block_on, registry};

/// The kinds that have a test here.
/// `stdin` is looked at by its crate, over a pipe: here standard input is whatever the tests were started with.
const LOOKED_AT: [&str; 12] = [
    "chunk",
    "download",
    "embed",
    "exec",
    "files",
    "jsonl",
    "lancedb",
    "parse",
    "stdin",
    "summarize",
    "urls",
    "vision",
];

/// Enough sentences for a summary to choose from.
const PROSE: &str = "The mill stands at the brook. Its wheel is made of oak and iron. Grain comes on carts from the \
    farms of the valley. The miller opens the sluice at dawn, and the stones begin to turn. Flour runs warm out of the \
    spout into linen sacks. In winter the brook freezes and the mill is silent. Children skate on the pond then. In \
    spring the ice breaks and the wheel turns again.";

#[test]
fn no_kind_is_left_out() {
    assert_eq!(registry().kinds().collect::<Vec<_>>(), LOOKED_AT, "a new kind wants a test in this file");
}

#[test]
fn files() {
    block_on(async || {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["a.txt", "b.md"] {
            std::fs::write(directory.path().join(name), name).expect("written");
        }
        let include = vec![directory.path().display().to_string(), "/no/such/file".to_owned()];
        Suite::new(&registry(), "files").with("include", include).run().await;
    });
}

#[test]
fn urls() {
    block_on(async || {
        let directory = tempfile::tempdir().expect("a directory");
        let list = directory.path().join("addresses.txt");
        std::fs::write(&list, "https://a.example/\n# a comment\nhttps://b.example/c.pdf\n").expect("written");
        Suite::new(&registry(), "urls").with("list", list.display().to_string()).run().await;
    });
}

#[test]
fn download() {
    block_on(async || {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.txt");
        std::fs::write(&path, "some words").expect("written");
        let reference = records::reference(&format!("file://{}", path.display()));
        Suite::new(&registry(), "download").sample(reference).run().await;
    });
}

#[test]
fn parse() {
    block_on(async || {
        let registry = registry();
        let mut suite = Suite::new(&registry, "parse");
        for sample in super::pipeline::documents::of_each_format() {
            suite = suite.sample(records::blob(&format!("file:///{}", sample.name), None, &sample.bytes));
        }
        suite.run().await;
    });
}

#[test]
fn chunk() {
    block_on(async || {
        // More than a step's quota, so that it takes several.
        let long = format!("{PROSE}\n\n").repeat(1000);
        let registry = registry();
        let suite = Suite::new(&registry, "chunk").sample(records::text("file:///a.txt", TextKind::Plain, PROSE));
        let suite = suite.sample(records::text("file:///a.md", TextKind::Markdown, &format!("# Mill\n\n{long}")));
        suite.sample(records::text("file:///a.rs", TextKind::Code("rust".into()), "fn mill() {}\n")).run().await;
    });
}

#[test]
fn summarize() {
    block_on(async || {
        let registry = registry();
        let suite = Suite::new(&registry, "summarize");
        suite.sample(records::text("file:///a.txt", TextKind::Plain, PROSE)).run().await;
    });
}

#[test]
fn embed() {
    block_on(async || {
        let sample = records::chunks("file:///a.txt", &["the mill", "the brook"]);
        Suite::new(&registry(), "embed").sample(sample).run().await;
    });
}

/// Over the Python template; its own tests have more. Skipped, and said so, where there is no `python3`.
#[test]
#[expect(clippy::print_stderr, reason = "a test says what it skips")]
fn exec() {
    let found = std::process::Command::new("python3").arg("--version").output().is_ok_and(|ran| ran.status.success());
    if !found {
        eprintln!("skipped: no python3 here");
        return;
    }
    block_on(async || {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/python-stage/stage.py");
        let sample = records::text("file:///a.txt", TextKind::Plain, "write to zorblax@example.org");
        Suite::new(&registry(), "exec").with("command", vec!["python3", program]).sample(sample).run().await;
    });
}

/// Both sinks: two documents, one of them with two rows. `place` is the field that says where.
async fn sink(kind: &str, place: &str) {
    let registry = registry();
    let directory = tempfile::tempdir().expect("a directory");
    let suite = Suite::new(&registry, kind)
        .with(place, directory.path().join("store").display().to_string())
        .embedding("model", 4)
        .sample(records::vectors("file:///a.txt", &["one", "two"], 4))
        .sample(records::vectors("file:///b.txt", &["three"], 4));
    suite.run().await;
}

#[test]
fn lancedb() {
    block_on(async || sink("lancedb", "uri").await);
}

#[test]
fn jsonl() {
    block_on(async || sink("jsonl", "dir").await);
}

#[test]
fn every_default_is_one_that_its_kind_takes() {
    let registry = registry();
    // A program has no default.
    for kind in registry.kinds().filter(|kind| *kind != "exec") {
        let factory = registry.get(kind).expect("it is listed");
        assert_eq!(factory.validate(&defaults(&factory.spec().fields)), [], "`{kind}`");
    }
}

/// Where the model is the simulated one: its kind is set up as its table would be.
fn with_a_model<'a>(suite: Suite<'a>, base_url: &str) -> Suite<'a> {
    let suite = suite.with("provider", "openai").with("base_url", base_url).with("model", "simulated");
    suite.with("temperature", 0.0)
}

#[test]
fn vision() {
    block_on(async || {
        let image = || records::blob("file:///a.png", Some("image/png"), b"\x89PNG\r\n\x1a\n");
        Suite::new(&registry(), "vision").sample(image()).run().await;
        let server = service().await;
        let registry = registry();
        with_a_model(Suite::new(&registry, "vision"), &server.base_url()).sample(image()).run().await;
    });
}

#[test]
fn summarize_and_embed_by_a_service() {
    block_on(async || {
        let server = service().await;
        let registry = registry();
        let text = records::text("file:///a.txt", TextKind::Plain, &PROSE.repeat(3));
        with_a_model(Suite::new(&registry, "summarize"), &server.base_url()).sample(text).run().await;
        let chunks = records::chunks("file:///a.txt", &["some words", "other words"]);
        let suite = Suite::new(&registry, "embed").with("provider", "openai").with("base_url", server.base_url());
        suite.with("model", "simulated").with("dimensions", 256).sample(chunks).run().await;
    });
}

async fn service() -> Running {
    let settings = Settings { latency: Duration::ZERO, ..Settings::default() };
    Server::bind(([127, 0, 0, 1], 0).into(), settings).await.expect("it listens").start()
}
