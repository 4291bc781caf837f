//! Who works is seen, and told.

use super::{Nats, PATIENCE, Process, until};
use crate::pipeline::mill::{Mill, block_on};
use crate::waiting::within;

#[test]
fn workers_are_seen_and_told_their_widths() {
    block_on(async || {
        let mill = Mill::new();
        let Some(nats) = Nats::start(mill.path()) else { return };
        mill.write("note.txt", "The sluice is greased in spring.");
        let mill = nats.share(mill);
        let workers = |args: &[&str]| {
            let ended = within(PATIENCE, mill.command("workers").args(args)).expect("an end");
            (
                ended.status.code(),
                String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr),
            )
        };
        // The server may still be starting, which is waited for and said.
        let (code, said) = workers(&["--width", "embed=3"]);
        assert!(code == Some(2) && said.ends_with("error: no worker is there\n"), "{said}");
        let (_one, _other) = (Process::start(&mill, "work"), Process::start(&mill, "work"));
        let fleet = || -> serde_json::Value { serde_json::from_str(&workers(&["--format", "json"]).1).expect("JSON") };
        until(|| fleet()["alive"] == 2);
        let (code, said) = workers(&["--width", "embed=3"]);
        assert_eq!((code, said.as_str()), (Some(0), "2 workers were told: `embed` has width 3 now\n"));
        let widths = |fleet: &serde_json::Value| -> Vec<u64> {
            let all = fleet["workers"].as_array().expect("a list").iter();
            let stages = all.filter_map(|worker| worker["stages"].as_array()?.iter().find(|one| one["id"] == "embed"));
            stages.filter_map(|stage| stage["width"].as_u64()).collect()
        };
        until(|| widths(&fleet()) == [3, 3]);
        let (code, said) = workers(&[]);
        assert!(code == Some(0) && said.contains("embed 3") && said.contains("2 workers, "), "{said}");
        let (code, said) = workers(&["--width", "grind=3"]);
        assert!(code == Some(2) && said.contains("no stage `grind` with a width: "), "{said}");

        let mut command = mill.command("run");
        let ended = within(PATIENCE, command.args(["--format", "json", "--ui", "none"])).expect("an end");
        let report: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("a report");
        assert_eq!(
            (&report["documents"]["done"], &report["fleet"]["stage"]),
            (&1.into(), &"cluster".into()),
            "{report}"
        );
    });
}
