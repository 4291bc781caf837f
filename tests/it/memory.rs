//! Memory in flight is bounded, and the bound stops nothing.

use super::support::{chain, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_larger_than_the_budget_go_through() {
    let pipeline = chain(
        "larger",
        12,
        &[("run", "memory = \"16MiB\""), ("stages.fetch", "size = 30000000"), ("stages.split", "parts = 2")],
    );
    let ran = run(&pipeline).await;
    assert_eq!(ran.snapshot.documents.done, 12);
    assert!(ran.snapshot.memory_peak > 16 << 20, "each document is larger than the budget");
    // The budget and one hand-over for each of the five stages that hand records on, and the document in hand.
    assert!(ran.snapshot.memory_peak < (16 << 20) + 6 * 31_000_000, "{}", ran.snapshot.memory_peak);
    assert_eq!(ran.snapshot.memory_used, 0, "all of it is given back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_budget_holds_documents_back_and_deadlocks_nowhere() {
    let pipeline = chain(
        "held",
        400,
        &[
            ("run", "memory = \"16MiB\""),
            ("stages.source", "size = 400000"),
            ("stages.fetch", "size = 400000\nwidth = 64\nqueue = 500"),
            ("stages.parse", "queue = 500\nwidth = 8"),
            ("stages.split", "queue = 500\nparts = 3\nwidth = 8"),
            ("stages.embed", "queue = 500\nbatch = { items = 1000, tokens = 100000, wait = \"10s\" }"),
            ("stages.store", "queue = 500\nbatch = { items = 1000, tokens = 100000, wait = \"10s\" }"),
        ],
    );
    let start = std::time::Instant::now();
    let ran = run(&pipeline).await;
    assert_eq!(ran.snapshot.documents.done, 400);
    assert!(ran.snapshot.memory_peak < (16 << 20) + 6 * 1_000_000, "{}", ran.snapshot.memory_peak);
    let held: f64 = ran.snapshot.stages.iter().filter_map(|stage| stage.held_by.get("memory")).sum();
    assert!(held > 0.0, "nothing was ever held: the test shows nothing");
    // Batches that wait ten seconds for company are handed over when memory is waited for; were they not, some
    // forty of them would have waited their time.
    assert!(start.elapsed().as_secs() < 60, "batches were not handed over under pressure");
}
