//! Documents found inside others are documents of their own; one that is listed again waits for its turn; one that is
//! gone loses its rows.

use docmill_testkit::fakes::MemoryStore;

use super::support::{chain, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_inside_a_document_is_a_document_of_its_own() {
    let pipeline = chain(
        "found",
        50,
        // One fault inside: it costs the member, not what it was found in.
        &[("stages.fetch", "within = 40"), ("stages.parse", "on = [\"7.3\"]\nwhat = \"reject\"")],
    );
    let ran = run(&pipeline).await;
    assert_eq!(ran.snapshot.documents.seen, 50 + 50 * 40);
    assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (50 + 50 * 40 - 1, 1));
    assert_eq!(ran.tally.failures[0].document, "test:///7#3");
    let rows = MemoryStore::named("found").rows();
    assert!(rows.keys().any(|(document, _)| document == "7") && rows.keys().any(|(document, _)| document == "49.39"));
    assert!(rows.keys().all(|(document, _)| document != "7.3"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_is_found_than_fits_the_queues_and_nothing_waits_for_ever() {
    let narrow = [
        ("stages.fetch", "within = 300\nqueue = 1\nwidth = 1"),
        ("stages.parse", "queue = 1\nwidth = 1"),
        ("stages.split", "queue = 1\nwidth = 1"),
    ];
    let ran = run(&chain("found-narrow", 4, &narrow)).await;
    assert_eq!(ran.snapshot.documents.done, 4 + 4 * 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_listed_again_is_never_under_way_twice() {
    // Slow enough that every repetition meets the first one under way.
    let again = [("stages.source", "again = 3"), ("stages.fetch", "delay = \"20ms\"\nwidth = 16")];
    let ran = run(&chain("listed-again", 8, &again)).await;
    let done = ran.snapshot.documents.done;
    assert!((8..=32).contains(&done), "{done}: every document, and no repetition more than was listed");
    assert!(done < 32, "{done}: of those that waited for one document the last counts");
    assert_eq!(MemoryStore::named("listed-again").rows().len(), 8 * 4, "each part once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_gone_loses_its_rows() {
    let ran = run(&chain("gone", 8, &[("stages.source", "gone = true")])).await;
    assert_eq!((ran.snapshot.documents.seen, ran.snapshot.documents.done), (8, 8), "nobody counts what is not there");
    assert!(MemoryStore::named("gone").rows().is_empty());
}
