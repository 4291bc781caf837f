//! What is stored already, just as it is, is not done again: told by a stamp without being read, or by its content.

use std::path::Path;
use std::sync::Arc;

use docmill::ledger::{Change, Ledger, State};
use docmill::runtime::{RunEnd, RuntimeOptions, Topology};
use docmill_api::SourceItem;
use docmill_testkit::fakes::MemoryStore;

use super::support::{Ran, chain, finish, options, plan, registry};

async fn run(pipeline: &str, ledger: &Path, fresh: bool) -> Ran {
    run_with(pipeline, ledger, RuntimeOptions { ..options() }, fresh).await
}

async fn run_with(pipeline: &str, ledger: &Path, options: RuntimeOptions, fresh: bool) -> Ran {
    let ledger = Ledger::open(ledger, fresh).expect("a ledger");
    let options = RuntimeOptions { ledger: Some(Arc::new(ledger)), ..options };
    let topology = Topology::build(plan(pipeline), &registry(), &options).await.expect("the fakes are built");
    let ran = finish(topology.run()).await;
    assert!(matches!(ran.end, RunEnd::Completed), "{:?}", ran.end);
    ran
}

/// Has what failed tried again.
async fn reopen(ledger: &Path) {
    let ledger = Ledger::open(ledger, false).expect("a ledger");
    let (failed, _) = ledger.list(Some(State::Failed), None, 100).await.expect("read");
    ledger.write(failed.iter().map(|entry| Change::Reopen(entry.document)).collect()).await.expect("written");
}

/// (done, unchanged, failed), and how many documents were fetched.
fn told(ran: &Ran) -> ((u64, u64, u64), u64) {
    let documents = ran.snapshot.documents;
    let fetched = ran.snapshot.stages.iter().find(|stage| stage.id == "fetch").map_or(0, |stage| stage.input);
    ((documents.done, documents.unchanged, documents.failed), fetched)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_stamp_is_not_read_again_and_the_same_content_is_not_done_again() {
    let directory = tempfile::tempdir().expect("a directory");
    for (store, stamped, fetched_again) in [("stamped", true, 0), ("unstamped", false, 100)] {
        let ledger = directory.path().join(store);
        let source = format!("stamped = {stamped}");
        let pipeline = chain(store, 100, &[("stages.source", source.as_str())]);
        assert_eq!(told(&run(&pipeline, &ledger, false).await), ((100, 0, 0), 100));
        let writes = MemoryStore::named(store).writes().len();
        assert_eq!(told(&run(&pipeline, &ledger, false).await), ((0, 100, 0), fetched_again), "{store}");
        assert_eq!(MemoryStore::named(store).writes().len(), writes, "nothing was written again");
        assert_eq!(told(&run(&pipeline, &ledger, true).await).0, (100, 0, 0), "fresh: all of it again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_or_went_elsewhere_is_done_again_and_what_failed_where_that_is_wanted() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger.db");
    let stamped = ("stages.source", "stamped = true");
    let faulty = chain("again", 10, &[stamped, ("stages.parse", "on = [\"7\"]\nwhat = \"reject\"")]);
    assert_eq!(told(&run(&faulty, &ledger, false).await).0, (9, 0, 1));
    let good = chain("again", 10, &[stamped]);
    assert_eq!(told(&run(&good, &ledger, false).await), ((0, 9, 1), 0), "what it is, it is still");
    reopen(&ledger).await;
    assert_eq!(told(&run(&good, &ledger, false).await), ((1, 9, 0), 1), "unless somebody wants it tried again");
    let other_store = chain("again-elsewhere", 10, &[stamped]);
    assert_eq!(told(&run(&other_store, &ledger, false).await).0, (10, 0, 0), "another store holds nothing of it");
    // Both the stamp and the settings that shape the rows differ now.
    let changed =
        chain("again-elsewhere", 10, &[("stages.source", "stamped = true\nsize = 200"), ("stages.split", "parts = 5")]);
    assert_eq!(told(&run(&changed, &ledger, false).await).0, (10, 0, 0));
    // A width changes no row.
    let wider = chain(
        "again-elsewhere",
        10,
        &[("stages.source", "stamped = true\nsize = 200"), ("stages.split", "parts = 5\nwidth = 7")],
    );
    assert_eq!(told(&run(&wider, &ledger, false).await).0, (0, 10, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_is_forgotten_and_done_when_it_comes_back() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger.db");
    let there = chain("comes-back", 5, &[("stages.source", "stamped = true")]);
    let gone = chain("comes-back", 5, &[("stages.source", "stamped = true\ngone = true")]);
    assert_eq!(told(&run(&there, &ledger, false).await).0, (5, 0, 0));
    assert_eq!(told(&run(&gone, &ledger, false).await).0, (0, 5, 0));
    assert!(MemoryStore::named("comes-back").rows().is_empty());
    assert_eq!(told(&run(&there, &ledger, false).await).0, (5, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_longer_listed_loses_its_rows_only_where_that_is_wanted() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger.db");
    let of = |count| chain("pruned", count, &[("stages.source", "stamped = true")]);
    assert_eq!(told(&run(&of(1500), &ledger, false).await).0, (1500, 0, 0));
    assert_eq!(told(&run(&of(7), &ledger, false).await).0, (0, 7, 0));
    assert_eq!(MemoryStore::named("pruned").rows().len(), 1500 * 4, "nothing is deleted unasked");
    let prune = RuntimeOptions { prune: true, ..options() };
    assert_eq!(told(&run_with(&of(7), &ledger, prune, false).await).0, (0, 7, 0));
    assert_eq!(MemoryStore::named("pruned").rows().len(), 7 * 4);
    assert_eq!(told(&run(&of(10), &ledger, false).await).0, (3, 7, 0), "what went is done when it comes back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_named_by_hand_are_taken_in_instead_of_what_the_source_lists() {
    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger.db");
    let pipeline = chain("given", 10, &[("stages.source", "stamped = true")]);
    assert_eq!(told(&run(&pipeline, &ledger, false).await).0, (10, 0, 0));
    let item = |uri: &str, gone| SourceItem { uri: uri.into(), gone, ..SourceItem::default() };
    let given = vec![("source".to_owned(), item("test:///3", true)), ("source".to_owned(), item("test:///4", false))];
    let given = RuntimeOptions { given: Some(given), ..options() };
    let ran = run_with(&pipeline, &ledger, given, false).await;
    assert_eq!(told(&ran).0, (0, 1, 0), "read, because it has no stamp, and unchanged; the other is gone");
    assert!(MemoryStore::named("given").rows().keys().all(|(document, _)| document != "3"));
    assert_eq!(MemoryStore::named("given").rows().len(), 9 * 4);
}
