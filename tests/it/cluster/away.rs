//! A queue that is not there, that refuses, or that another pipeline uses.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;

use super::{Nats, PATIENCE, Process, blobs_left, until};
use crate::crash::{forget_all, rows, run};
use crate::pipeline::mill::{Mill, block_on};
use crate::waiting::within;

#[test]
fn a_queue_that_is_away_is_waited_for_and_one_that_refuses_is_not() {
    block_on(async || {
        let mill = Mill::new();
        let Some(mut nats) = Nats::start_with(mill.path(), &["--user", "miller", "--pass", "grist"]) else { return };
        mill.write("note.txt", "The sluice is greased in spring.");
        run(&mill, &[]);
        let expected = rows(&mill).await;
        forget_all(&mill);
        let mill = nats.share(mill).set("queue.user=\"miller\"").set("queue.password_env=\"MILL_PASSWORD\"");
        for name in ["run", "work"] {
            let mut command = mill.command(name);
            let ended = within(PATIENCE, command.env("MILL_PASSWORD", "wrong").args(["--ui", "none"])).expect("an end");
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(4), "{said}");
            assert!(said.contains("refuses the credentials") && !said.contains("wrong"), "{said}");
        }
        nats.kill();
        let start = |name: &str| {
            let mut command = mill.command(name);
            command.env("MILL_PASSWORD", "grist").args(["--ui", "none"]).stdout(Stdio::null()).stderr(Stdio::piped());
            Process(command.spawn().expect("it starts"))
        };
        let (_worker, mut coordinator) = (start("work"), start("run"));
        let said = BufReader::new(coordinator.0.stderr.take().expect("it is piped")).lines();
        let mut said = said.map(|line| line.expect("a line"));
        let waits =
            said.any(|line| line.contains("the queue at nats://127.0.0.1:") && line.contains("it is waited for"));
        assert!(waits, "it says that it waits");
        assert!(coordinator.0.try_wait().expect("asked").is_none(), "and does");
        nats.restart(false);
        // Whoever writes must not wait for a reader.
        let rest = thread::spawn(move || said.collect::<Vec<_>>());
        assert_eq!(coordinator.wait(), Some(0), "{:?}", rest.join());
        assert_eq!(rows(&mill).await, expected);
    });
}

#[test]
fn a_second_coordinator_is_refused_while_the_first_is_there() {
    block_on(async || {
        let (first, second) = (Mill::new(), Mill::new());
        let Some(nats) = Nats::start(first.path()) else { return };
        for mill in [&first, &second] {
            mill.write("note.txt", "The sluice is greased in spring.");
        }
        let (first, second) = (nats.share(first), nats.share(second));
        // Without a worker it waits for its document.
        let mut goes_on = Process::start(&first, "run");
        until(|| blobs_left(&first) > 0);
        let ended = within(PATIENCE, second.command("run").args(["--ui", "none"])).expect("an end");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(4), "{said}");
        assert!(said.contains("hands out documents") && said.contains("`stream`"), "{said}");
        let _worker = Process::start(&first, "work");
        assert_eq!(goes_on.wait(), Some(0), "the first has lost nothing");
    });
}
