//! What was paid for is not paid for again: not after a crash, and not because what lies around it changed.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use docmill::ledger::Ledger;
use docmill::runtime::{RunEnd, RuntimeOptions, Topology};

use super::support::{Ran, finish, options, plan, registry};
use super::waiting::within;

/// The directory of a run that this test binary makes when it is started again.
const SWITCH: &str = "DOCMILL_TEST_PAID_RUN";

/// When a process that hangs is given up. No outcome depends on it.
const PATIENCE: Duration = Duration::from_secs(120);

const DOCUMENTS: usize = 200;
const WIDTH: usize = 4;

/// Every document is cut into parts, and summarised by a model.
fn pipeline(directory: &Path, parts: usize) -> String {
    let calls = directory.join("calls.txt");
    format!(
        "[run]\nmemory = \"64MiB\"\ncpu_threads = 2\n\
         [stages.source]\nkind = \"fake-source\"\ncount = {DOCUMENTS}\n\
         [stages.fetch]\nkind = \"fake-fetch\"\ninputs = [\"source\"]\n\
         [stages.parse]\nkind = \"fake-parse\"\ninputs = [\"fetch\"]\n\
         [stages.split]\nkind = \"fake-split\"\ninputs = [\"parse\"]\nparts = {parts}\n\
         [stages.model]\nkind = \"fake-paid\"\ninputs = [\"parse\"]\nwidth = {WIDTH}\ncalls = {calls:?}\n\
         [stages.embed]\nkind = \"fake-embed\"\ninputs = [\"split\", \"model\"]\n\
         [stages.store]\nkind = \"fake-sink\"\ninputs = [\"embed\"]\nstore = {directory:?}\n"
    )
}

fn calls(directory: &Path) -> usize {
    std::fs::read_to_string(directory.join("calls.txt")).unwrap_or_default().lines().count()
}

async fn run(directory: &Path, parts: usize, fresh: bool) -> Ran {
    let ledger = Arc::new(Ledger::open(&directory.join("ledger.db"), fresh).expect("a ledger"));
    let options = RuntimeOptions { ledger: Some(ledger), ..options() };
    let plan = plan(&pipeline(directory, parts));
    let ran = finish(Topology::build(plan, &registry(), &options).await.expect("built").run()).await;
    assert!(matches!(ran.end, RunEnd::Completed), "{:?}", ran.end);
    ran
}

/// Where it is told to, a run that the test below kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entry() {
    if let Some(directory) = std::env::var_os(SWITCH) {
        run(Path::new(&directory), 2, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_split_cuts_everything_anew_without_one_more_paid_call() {
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(run(directory.path(), 2, false).await.snapshot.documents.done, DOCUMENTS as u64);
    assert_eq!(calls(directory.path()), DOCUMENTS);
    let changed = run(directory.path(), 3, false).await.snapshot;
    assert_eq!((changed.documents.done, changed.rows), (DOCUMENTS as u64, DOCUMENTS as u64 * 4));
    let fresh = run(directory.path(), 3, true).await.snapshot;
    assert_eq!(fresh.documents.done, DOCUMENTS as u64);
    assert_eq!(calls(directory.path()), DOCUMENTS, "and a fresh ledger keeps what cost money");
}

#[test]
fn a_run_that_is_killed_in_the_midst_of_paid_calls_repeats_those_in_hand_at_most() {
    for point in ["model.after:1", "model.after:90", "ledger.paid:1", "ledger.paid:90", "ledger.paid:200"] {
        let directory = tempfile::tempdir().expect("a directory");
        let again = |crash: Option<&str>| {
            let mut command = Command::new(std::env::current_exe().expect("a running test has a file"));
            command.args(["paid::entry", "--exact", "--test-threads=1"]).env(SWITCH, directory.path());
            command.stdout(Stdio::null()).envs(crash.map(|point| ("DOCMILL_CRASH_AT", point)));
            within(PATIENCE, &mut command).expect("an end").status
        };
        assert_eq!(again(Some(point)).signal(), Some(9), "{point} was passed");
        let before = calls(directory.path());
        assert!(before > 0, "{point}");
        assert!(again(None).success(), "{point}");
        let all = calls(directory.path());
        assert!((DOCUMENTS..=DOCUMENTS + WIDTH).contains(&all), "{point}: {before} calls, then {} more", all - before);
    }
}
