//! Documents handed in by the command line.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::served::{PATIENCE, Served};
use crate::pipeline::mill::{Mill, PROGRAM, block_on};
use crate::waiting::within;

/// It asks a service, and knows no pipeline.
fn program(mill: &Mill) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(mill.path()).arg("submit").env_remove("DOCMILL_API_KEY");
    command
}

#[test]
fn a_directory_is_handed_in_and_what_became_of_it_is_told() {
    block_on(async || {
        let mill = Mill::new().set("serve.queue=2").set("serve.max_bytes=\"1MiB\"");
        let served = Served::start(&mill);
        let place = mill.path().join("shelf");
        fs::create_dir_all(place.join("inner")).expect("made");
        for number in 0..30 {
            fs::write(place.join(format!("note-{number:02}.txt")), format!("Note {number} of the mill.\n"))
                .expect("written");
        }
        fs::write(place.join("inner/note-00.txt"), "The same name in another place.\n").expect("written");
        fs::write(place.join("broken.pdf"), "%PDF-1.4 and no more").expect("written");
        fs::write(place.join("large.txt"), vec![b'x'; 2 << 20]).expect("written");
        let submit = |more: &[&str]| {
            let mut command = program(&mill);
            within(PATIENCE, command.args(["--to", &served.url, "--wait", "--format", "json"]).args(more))
                .expect("an end")
        };
        let of = |ended: &std::process::Output, state: &str| {
            let out = String::from_utf8_lossy(&ended.stdout);
            let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
            lines.filter(|line| line["state"] == state).count()
        };
        let ended = submit(&["shelf"]);
        let said = String::from_utf8_lossy(&ended.stderr);
        // A queue of two is full all the time: whoever is refused waits, and nothing is lost.
        assert_eq!((of(&ended, "done"), of(&ended, "failed"), of(&ended, "refused")), (31, 1, 1), "{said}");
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("33 handed in, 2 of them refused or failed"), "{said}");
        let again = submit(&["shelf/note-07.txt"]);
        assert_eq!(
            (of(&again, "unchanged"), again.status.code()),
            (1, Some(0)),
            "{}",
            String::from_utf8_lossy(&again.stderr)
        );
        let listed = served.get("/v1/documents?limit=100").await.body;
        let documents = listed["documents"].as_array().expect("a list").len();
        assert_eq!(documents, 32, "what was refused is not there, and nothing is there twice: {listed}");
        served.kill();
        let ended = within(PATIENCE, program(&mill).args(["--to", "http://127.0.0.1:9", "--patience", "1s", "shelf"]))
            .expect("an end");
        assert_eq!(ended.status.code(), Some(4), "{}", String::from_utf8_lossy(&ended.stderr));
    });
}
