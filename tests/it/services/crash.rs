//! A run that is killed in the midst of paid calls: what was paid for is not paid for again.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use super::{quick, served, service, text};
use crate::pipeline::mill::block_on;

const DOCUMENTS: usize = 1000;
/// How many calls may be in hand: the width of the stage that summarises.
const WIDTH: u64 = 20;

#[test]
fn a_killed_run_repeats_at_most_the_calls_in_hand() {
    block_on(async || {
        let server = service(quick(), None).await;
        let mill = served(&server.base_url()).set("stages.embed.provider=\"builtin\"");
        for number in 0..DOCUMENTS {
            mill.write(&format!("{number}.txt"), text(number));
        }
        let mut command = mill.command("run");
        let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        while server.stats().answered < 400 {
            assert!(run.try_wait().expect("asked").is_none(), "it ended by itself");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        run.kill().expect("killed");
        assert_eq!(run.wait().expect("an end").signal(), Some(9));
        let before = server.stats();
        let again = mill.command("run").args(["--format", "json"]).output().expect("it runs");
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        let after = server.stats();
        assert_eq!(after.distinct, DOCUMENTS as u64);
        assert!(after.repeated <= WIDTH, "{} calls were paid twice", after.repeated);
        assert!(after.calls.chat <= DOCUMENTS as u64 + WIDTH, "{} then {}", before.calls.chat, after.calls.chat);
        let report: serde_json::Value = serde_json::from_slice(&again.stdout).expect("a report");
        assert_eq!(report["documents"]["seen"], DOCUMENTS);
        assert_eq!(report["documents"]["failed"], 0);
    });
}
