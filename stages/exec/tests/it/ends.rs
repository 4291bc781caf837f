//! How a child ends, and what that means for its document, for the next one, and for what it started.

use docmill_api::{CancellationToken, Context, ErrorClass};
use serde_json::json;

use super::program::{Program, lives, process, python, soon, text};

/// A program that ends as the input says, after it has printed a line.
const ENDS: &str = "print('zorblax', file=sys.stderr, flush=True)\n\
                    if word.startswith('exit'):\n    os._exit(int(word[4:]))\n\
                    if word.startswith('signal'):\n    os.kill(os.getpid(), int(word[6:]))\n    time.sleep(600)\n\
                    if word == 'close':\n    os.close(1)\n    time.sleep(600)\nend()";

#[tokio::test]
async fn a_child_that_ends_in_the_middle_costs_an_attempt_or_its_document() {
    if !python() {
        return;
    }
    let program = Program::for_each(ENDS);
    let stage = program.stage(json!({})).await;
    for (word, class, wanted) in [
        ("signal9", ErrorClass::Transient, "was killed (signal 9)"),
        ("signal15", ErrorClass::Transient, "was killed (signal 15)"),
        ("exit137", ErrorClass::Transient, "was killed (signal 9)"),
        ("exit0", ErrorClass::Transient, "ended with status 0"),
        ("exit3", ErrorClass::Rejected, "ended with status 3"),
        ("signal11", ErrorClass::Rejected, "crashed (signal 11)"),
        ("close", ErrorClass::Rejected, "closed its standard output"),
    ] {
        let error = process(&stage, text("a.txt", word)).await.unwrap_err();
        assert_eq!(error.class, class, "{word}: {error}");
        assert!(error.message.contains(wanted) && error.message.ends_with(": zorblax"), "{word}: {error}");
        process(&stage, text("b.txt", "fine")).await.expect("the next document has a new child");
    }
    assert_eq!(program.noted("started").len(), 8);
}

#[tokio::test]
async fn a_child_that_ended_while_idle_is_replaced_and_costs_nothing() {
    if !python() {
        return;
    }
    let program = Program::for_each("end()");
    let stage = program.stage(json!({})).await;
    process(&stage, text("a.txt", "x")).await.unwrap();
    let first = program.noted("started")[0];
    std::process::Command::new("kill").args(["-9", &first.to_string()]).status().unwrap();
    soon(|| !lives(first)).await;
    process(&stage, text("b.txt", "x")).await.unwrap();
    assert_eq!(program.noted("started").len(), 2);
}

#[tokio::test]
async fn a_call_that_is_dropped_or_cancelled_kills_its_child_and_what_that_started() {
    if !python() {
        return;
    }
    // A grandchild that would outlive its parent by ten minutes.
    let program = Program::for_each(
        "import subprocess\ngrandchild = subprocess.Popen(['sleep', '600'])\n\
         open('grandchild', 'a').write(f'{grandchild.pid}\\n')\nnote('busy')\ntime.sleep(600)",
    );
    let stage = program.stage(json!({})).await;
    for round in 1..=2 {
        let cancel = CancellationToken::new();
        let cx = Context::new(cancel.clone(), 1);
        let mut call = stage.process(&cx, text("a.txt", "x"));
        tokio::select! {
            _ = &mut call => panic!("it works for ten minutes"),
            _ = program.noted_soon("busy", round) => {}
        }
        if round == 1 {
            drop(call);
        } else {
            cancel.cancel();
            assert_eq!(call.await.unwrap_err().message, "cancelled");
        }
        let (child, grandchild) = (program.noted("busy")[round - 1], program.noted("grandchild")[round - 1]);
        soon(|| !lives(child) && !lives(grandchild)).await;
    }
    assert_eq!(program.noted("started").len(), 2, "the second call had a child of its own");
}

#[tokio::test]
async fn idle_children_end_by_themselves_when_the_stage_does() {
    if !python() {
        return;
    }
    let program = Program::for_each("end()");
    let stage = program.stage(json!({})).await;
    process(&stage, text("a.txt", "x")).await.unwrap();
    drop(stage);
    let ended = program.noted_soon("ended", 1).await;
    assert_eq!(ended, program.noted("started"), "its input was closed, and it came to the end of its code");
}

#[tokio::test]
async fn idle_children_that_do_not_end_are_killed() {
    if !python() {
        return;
    }
    let program = Program::whole(
        "hello, _ = read()\nnote('started')\nwrite({'type': 'ready', 'protocol': 1})\nread()\nend()\ntime.sleep(600)",
    );
    let stage = program.stage(json!({})).await;
    process(&stage, text("a.txt", "x")).await.unwrap();
    let child = program.noted("started")[0];
    assert!(lives(child));
    drop(stage);
    soon(|| !lives(child)).await;
}
