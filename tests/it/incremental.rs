//! What was done is not done again, whatever is turned that changes no row; and all of it is where a row would be another.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::pipeline::mill::{Mill, block_on};
use super::waiting::within;

const PATIENCE: Duration = Duration::from_secs(120);
const DOCUMENTS: u64 = 12;

fn run(mill: &Mill, arguments: &[&str]) -> Value {
    let mut command = mill.command("run");
    let ended = within(PATIENCE, command.args(["--ui", "none", "--format", "json"]).args(arguments)).expect("an end");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.code(), Some(0), "{err}\n{out}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// (done, unchanged)
fn told(report: &Value) -> (u64, u64) {
    let of = |state: &str| report["documents"][state].as_u64().expect("a count");
    (of("done"), of("unchanged"))
}

#[test]
fn what_changes_no_row_ingests_nothing_again_and_what_does_all_of_it() {
    block_on(async || {
        let mill = Mill::new();
        for number in 0..DOCUMENTS {
            let line = |line| format!("Line {line} of note {number}: the sluice is greased in spring, and the wheel. ");
            mill.write(&format!("{number}.txt"), (0..40).map(line).collect::<String>());
        }
        assert_eq!(told(&run(&mill, &[])), (DOCUMENTS, 0));
        let rows = mill.store().await.rows().await;
        for turned in [
            "stages.chunk.width=7",
            "stages.parse.timeout=\"77s\"",
            "stages.parse.isolation=\"thread\"",
            "stages.embed.batch.items=3",
            "stages.download.retry.attempts=9",
            "stages.store.queue=3",
            "run.memory=\"64MiB\"",
            "run.durability=\"power\"",
        ] {
            assert_eq!(told(&run(&mill, &["--set", turned])), (0, DOCUMENTS), "{turned}");
        }
        // The same store in another place is the same store.
        fs::rename(mill.path().join(".docmill/lance"), mill.path().join("moved")).expect("renamed");
        assert_eq!(told(&run(&mill, &["--set", "stages.store.uri=\"moved\""])), (0, DOCUMENTS), "uri");
        fs::rename(mill.path().join("moved"), mill.path().join(".docmill/lance")).expect("renamed");
        assert_eq!(mill.store().await.rows().await.len(), rows.len());

        let other = run(&mill, &["--set", "stages.chunk.tokens=100", "--set", "stages.chunk.overlap=10"]);
        assert_eq!(told(&other), (DOCUMENTS, 0), "every row is another");
        let smaller = mill.store().await.rows().await;
        assert!(smaller.len() > rows.len(), "{} rows, then {}", rows.len(), smaller.len());
        assert!(rows.keys().all(|id| !smaller.contains_key(id)));
        assert_eq!(told(&run(&mill, &["--set", "stages.store.uri=\"elsewhere\""])), (DOCUMENTS, 0), "an empty store");
    });
}
