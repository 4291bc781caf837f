//! How a program starts, and when nobody tries any more.

use docmill_api::{Context, ErrorClass, StageError};
use serde_json::{Value, json};

use super::program::{Program, build, process, python, soon, text, texts};

/// The error of the first document of a shell program.
async fn first_error(script: &str) -> StageError {
    let directory = tempfile::tempdir().unwrap();
    let changes = json!({ "command": ["sh", "-c", script], "start_timeout": "30s" });
    let stage = build(directory.path(), changes).await.unwrap();
    process(&stage, text("a.txt", "x")).await.unwrap_err()
}

async fn not_built(changes: Value) -> StageError {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("data.txt"), "no program").unwrap();
    build(directory.path(), changes).await.err().expect("it is refused")
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_before_any_document() {
    for (changes, wanted) in [
        (json!({ "command": ["no-such-zorblax"] }), "no program `no-such-zorblax` in PATH"),
        (json!({ "command": ["./no-such-zorblax"] }), "no program"),
        (json!({ "command": ["./data.txt"] }), "no program that may be executed"),
        (json!({ "command": ["sh"], "directory": "nowhere" }), "no directory"),
    ] {
        let error = not_built(changes).await;
        assert!(error.class == ErrorClass::Fatal && error.message.contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn a_start_that_goes_wrong_says_how() {
    for (script, class, wanted) in [
        ("echo zorblax >&2; exit 3", ErrorClass::Transient, "ended with status 3 before it was ready: zorblax"),
        ("kill -9 $$", ErrorClass::Transient, "was killed (signal 9)"),
        ("echo Loading the model; sleep 600", ErrorClass::Fatal, "print to standard error"),
        (
            r#"printf '\004\000\000\000{"a}\000\000\000\000\000\000\000\000'; sleep 600"#,
            ErrorClass::Fatal,
            "cannot be read",
        ),
    ] {
        let error = first_error(script).await;
        assert!(error.class == class && error.message.contains(wanted), "{script}: {error:?}");
    }
}

#[tokio::test]
async fn a_program_that_never_says_ready_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let changes = json!({ "command": ["sh", "-c", "echo slow >&2; sleep 600"], "start_timeout": "300ms" });
    let stage = build(directory.path(), changes).await.unwrap();
    let error = process(&stage, text("a.txt", "x")).await.unwrap_err();
    assert_eq!(error.message, "`sh` did not say that it is ready within 300ms: slow");
    assert_eq!(error.class, ErrorClass::Transient);
}

#[tokio::test]
async fn three_starts_in_a_row_that_die_end_the_run_with_the_last_words() {
    let directory = tempfile::tempdir().unwrap();
    let script = "echo >> starts; echo one >&2; echo ModuleNotFoundError: zorblax >&2; exit 1";
    let stage = build(directory.path(), json!({ "command": ["sh", "-c", script] })).await.unwrap();
    for _ in 0..2 {
        let error = process(&stage, text("a.txt", "x")).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient, "{error}");
    }
    for _ in 0..2 {
        let error = process(&stage, text("a.txt", "x")).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Fatal);
        assert_eq!(
            error.message,
            "gave up after 3 starts in a row: `sh` ended with status 1 before it was ready: \
             one | ModuleNotFoundError: zorblax"
        );
    }
    let starts = std::fs::read_to_string(directory.path().join("starts")).unwrap();
    assert_eq!(starts.lines().count(), 3, "nobody tries a fourth time");
}

#[tokio::test]
async fn what_a_program_says_of_its_start_counts() {
    if !python() {
        return;
    }
    for (kind, class) in
        [("rejected", ErrorClass::Fatal), ("fatal", ErrorClass::Fatal), ("transient", ErrorClass::Transient)]
    {
        let program = Program::whole(&format!("read()\nfailed('{kind}', 'no model')\nread()"));
        let error = process(&program.stage(json!({})).await, text("a.txt", "x")).await.unwrap_err();
        assert_eq!((error.class, &*error.message), (class, "`python3` is not ready: no model"));
    }
    let program = Program::whole("read()\nwrite({'type': 'ready', 'protocol': 7})\nread()");
    let error = process(&program.stage(json!({})).await, text("a.txt", "x")).await.unwrap_err();
    assert_eq!((error.class, &*error.message), (ErrorClass::Fatal, "`python3` speaks protocol 7, docmill speaks 1"));
}

#[tokio::test]
async fn a_start_outlives_the_call_that_asked_for_it() {
    if !python() {
        return;
    }
    // It is ready when the test says so.
    let program = Program::whole(
        "hello, _ = read()\nnote('started')\nwhile not os.path.exists('go'):\n    time.sleep(0.005)\n\
         write({'type': 'ready', 'protocol': 1})\n\
         while (frame := read()) is not None:\n    output(*frame)\n    end()\n",
    );
    let stage = program.stage(json!({})).await;
    {
        let mut call = std::pin::pin!(process(&stage, text("a.txt", "x")));
        let begun = || !program.noted("started").is_empty();
        tokio::select! {
            _ = &mut call => panic!("it is not ready"),
            () = soon(begun) => {}
        }
        // Given up here, as by a timeout.
    }
    std::fs::write(program.path().join("go"), "").unwrap();
    let outputs = process(&stage, text("a.txt", "zorblax")).await.unwrap();
    assert_eq!(texts(&outputs), ["zorblax"]);
    assert_eq!(program.noted("started").len(), 1, "the second call waited for the first one's child");
}

#[tokio::test]
async fn there_are_as_many_children_as_calls_at_once_and_no_more() {
    if !python() {
        return;
    }
    // Each waits until three are at work: with fewer children it would never end, and they would never be more.
    let program = Program::for_each(
        "note('working')\nwhile len(open('working').read().split()) % 3:\n    time.sleep(0.005)\nend()",
    );
    let stage = program.stage(json!({})).await;
    let cx = Context::detached();
    for _ in 0..3 {
        let call = |name| stage.process(&cx, text(name, "x"));
        let (a, b, c) = tokio::join!(call("a"), call("b"), call("c"));
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
    }
    assert_eq!(program.noted("started").len(), 3);
}
