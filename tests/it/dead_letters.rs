//! Documents that failed are kept with their reasons, tried again when that is asked for, and forgotten when that is.

use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::pipeline::mill::{Mill, block_on};
use super::waiting::within;

const PATIENCE: Duration = Duration::from_secs(120);

fn docmill(mill: &Mill, command: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    // A subcommand comes before the pipeline's changes.
    let words: Vec<&str> = command.split(' ').collect();
    let mut prepared = mill.command(words[0]);
    if words.len() > 1 {
        let pipeline: Vec<_> = prepared.get_args().skip(1).map(ToOwned::to_owned).collect();
        let mut with = std::process::Command::new(prepared.get_program());
        with.current_dir(mill.path()).args(&words).args(pipeline);
        prepared = with;
    }
    let Output { status, stdout, stderr } = within(PATIENCE, prepared.args(arguments)).expect("an end");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn mill() -> Mill {
    let mill = Mill::new();
    mill.write("good.txt", "Geese guard the yard.");
    mill.write("broken.pdf", "%PDF-1.7\nand no more");
    mill.write("empty.txt", "");
    mill
}

#[test]
fn a_dead_letter_is_listed_shown_not_tried_again_unasked_and_dropped() {
    let mill = mill();
    assert_eq!(docmill(&mill, "failed", &[]).2, "no document failed\n", "before any run");
    assert_eq!(docmill(&mill, "run", &["--format", "json"]).0, Some(1));
    let (_, out, _) = docmill(&mill, "failed list", &["--format", "json"]);
    let listed = json(&out);
    assert_eq!((listed["total"].as_u64(), listed["failed"][0]["stage"].as_str()), (Some(1), Some("parse")));
    let uri = listed["failed"][0]["document"].as_str().expect("an address").to_owned();
    assert!(uri.ends_with("/broken.pdf") && listed["failed"][0]["attempts"] == 1, "{listed}");

    let (code, out, err) = docmill(&mill, "run", &["--format", "json"]);
    let report = json(&out);
    assert_eq!((code, report["documents"]["failed"].as_u64()), (Some(1), Some(1)), "it is as it was");
    assert_eq!(report["stages"]["parse"]["in"], 0, "and is not parsed again, nor is any other");
    assert_eq!(report["documents"]["skipped"], 1, "with the reason of before: {report}");
    assert!(err.contains("docmill failed retry"), "{err}");

    let id = listed["failed"][0]["id"].as_str().expect("an id");
    for name in ["documents/broken.pdf", &uri, &id[..10]] {
        let (code, out, err) = docmill(&mill, "failed show", &[name]);
        assert!(code == Some(0) && out.contains("broken: "), "{name}: {out} {err}");
    }
    assert_eq!(docmill(&mill, "failed show", &["nothing.pdf"]).0, Some(2));

    let (code, out, _) = docmill(&mill, "failed retry", &["--format", "json"]);
    assert_eq!((code, json(&out)["documents"]["seen"].as_u64()), (Some(1), Some(1)), "it alone is tried");
    let (_, out, _) = docmill(&mill, "failed list", &["--format", "json"]);
    assert_eq!(json(&out)["failed"][0]["attempts"], 2, "{out}");

    assert_eq!(docmill(&mill, "failed drop", &["documents/broken.pdf"]).1, "1 dropped\n");
    assert_eq!(docmill(&mill, "failed", &[]).2, "no document failed\n");
    let (_, out, _) = docmill(&mill, "documents", &["--state", "done", "--format", "json"]);
    assert_eq!(json(&out)["total"], 1, "{out}");
}

#[test]
fn a_run_that_is_under_way_tries_a_dead_letter_again_when_told() {
    let mill = mill();
    let mut watching = mill.command("run");
    let mut run =
        watching.args(["--watch", "--ui", "none"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("run");
    let until = Instant::now() + PATIENCE;
    let attempts = |wanted: u64| loop {
        assert!(Instant::now() < until, "the document was not tried {wanted} times");
        let (_, out, _) = docmill(&mill, "failed list", &["--format", "json"]);
        // Before the run has made its ledger there is none to read.
        let listed: Value = serde_json::from_str(&out).unwrap_or_default();
        if listed["failed"][0]["attempts"].as_u64() == Some(wanted) {
            break;
        }
        thread::park_timeout(Duration::from_millis(50));
    };
    attempts(1);
    assert_eq!(docmill(&mill, "failed retry", &["nothing.pdf"]).0, Some(2), "it is none of them");
    let (code, _, err) = docmill(&mill, "failed retry", &["documents/broken.pdf"]);
    assert_eq!((code, err.as_str()), (Some(0), "told the run that is under way to try 1 document again\n"));
    attempts(2);
    assert_eq!(docmill(&mill, "failed drop", &["--all"]).0, Some(4), "that is for who holds the directory");
    let stopped = std::process::Command::new("kill").args(["-TERM", &run.id().to_string()]).status();
    assert!(stopped.expect("kill is there").success());
    assert_eq!(run.wait().expect("an end").code(), Some(130), "a request to end drains, as Ctrl-C does");
    assert!(!mill.path().join(".docmill/control.sock").exists());
}

#[test]
fn what_is_mended_is_done_and_no_dead_letter_any_more() {
    let mill = mill();
    assert_eq!(docmill(&mill, "run", &[]).0, Some(1));
    mill.write("broken.pdf", std::fs::read("tests/documents/flyer.pdf").expect("a good one"));
    assert_eq!(docmill(&mill, "run", &[]).0, Some(0));
    assert_eq!(docmill(&mill, "failed", &[]).2, "no document failed\n");
}

#[test]
fn what_is_forgotten_or_pruned_has_no_rows() {
    block_on(async || {
        let mill = mill();
        mill.write("second.txt", "Barley is for the hens.");
        mill.write("third.txt", "Wheat is for the bakers.");
        docmill(&mill, "run", &[]);
        let (code, out, err) = docmill(&mill, "forget", &["--document", "documents/second.txt"]);
        assert!(code == Some(0) && out.contains("second.txt"), "{out}{err}");
        assert_eq!(docmill(&mill, "forget", &[]).0, Some(2), "nothing is forgotten unasked");
        std::fs::remove_file(mill.path().join("documents/third.txt")).expect("removed");
        std::fs::remove_file(mill.path().join("documents/second.txt")).expect("removed");
        docmill(&mill, "run", &[]);
        let names = |rows: std::collections::BTreeMap<_, docmill_api::Hit>| {
            rows.into_values().map(|hit| hit.filename).collect::<std::collections::BTreeSet<_>>()
        };
        let stored = names(mill.store().await.rows().await);
        assert!(stored.contains("third.txt") && !stored.contains("second.txt"), "{stored:?}");
        docmill(&mill, "run", &["documents/good.txt", "--prune"]);
        assert!(names(mill.store().await.rows().await).contains("third.txt"), "only where this run looked");
        docmill(&mill, "run", &["--prune"]);
        let stored = names(mill.store().await.rows().await);
        assert_eq!(stored.into_iter().collect::<Vec<_>>(), ["good.txt"]);
    });
}
