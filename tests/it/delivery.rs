//! A document is done when all its parts are durable, and failed when one of them is not.

use std::collections::BTreeMap;

use docmill_testkit::fakes::MemoryStore;

use docmill::runtime::RunEnd;

use super::support::{chain, finish, run, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fan_out_loses_nothing_and_doubles_nothing() {
    let mut pipeline = chain("fan-out", 200, &[]);
    pipeline.push_str(
        "[stages.twin]\nkind = \"fake-embed\"\ninputs = [\"split\"]\n\
         [stages.other]\nkind = \"fake-sink\"\ninputs = [\"twin\"]\nstore = \"fan-out-other\"\n",
    );
    let ran = run(&pipeline).await;
    assert_eq!(ran.snapshot.documents.done, 200);
    assert_eq!(ran.snapshot.rows, 1600, "200 documents of 4 parts, in two stores");
    for store in ["fan-out", "fan-out-other"] {
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for write in MemoryStore::named(store).writes() {
            *times.entry(write).or_default() += 1;
        }
        assert_eq!(times.len(), 800, "{store}");
        assert!(times.values().all(|times| *times == 1), "{store}: a row was written twice");
        assert!(MemoryStore::named(store).is_closed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fan_in_takes_every_input_in_turn() {
    let mut pipeline = chain("fan-in", 100, &[("stages.embed", "inputs = [\"split\", \"again\"]\nqueue = 1")]);
    pipeline.push_str("[stages.again]\nkind = \"null\"\ninputs = [\"split\"]\n");
    let ran = run(&pipeline).await;
    assert_eq!(ran.snapshot.documents.done, 100);
    let embed = ran.snapshot.stages.iter().find(|stage| stage.id == "embed").expect("it is there");
    assert_eq!((embed.input, embed.queue.capacity), (800, 2), "both inputs in full, an edge each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failed_part_fails_its_document_and_its_rows_go() {
    let faults = "parts = 50\non = [\"7\"]\nwhat = \"reject\"\ntimes = 1";
    // The fault strikes in the sink, after other parts of the document were written.
    let pipeline = chain(
        "failed-part",
        20,
        &[
            ("stages.split", "parts = 50"),
            ("stages.store", faults),
            ("stages.store", "batch = { items = 5, tokens = 1000, wait = \"1ms\" }"),
        ],
    );
    let ran = run(&pipeline).await;
    assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (19, 1));
    let failure = &ran.tally.failures[0];
    assert_eq!((failure.document.as_str(), failure.stage.as_str()), ("test:///7", "store"));
    assert_eq!((failure.class.as_str(), failure.reason.as_str()), ("rejected", "told to reject"));
    let store = MemoryStore::named("failed-part");
    assert!(store.rows().keys().all(|(document, _)| document != "7"), "rows of the failed document stayed");
    assert_eq!(store.rows().len(), 19 * 50);
    assert_eq!(ran.snapshot.rows, 19 * 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_panics_costs_that_document_alone() {
    for (stage, lines) in [
        ("stages.fetch", ""),
        ("stages.parse", ""),
        ("stages.embed", "batch = { items = 1, tokens = 9, wait = \"1ms\" }\n"),
    ] {
        let fault = format!("{lines}on = [\"3\"]\nwhat = \"panic\"");
        let ran = run(&chain(&format!("panic-{stage}"), 10, &[(stage, &fault)])).await;
        assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (9, 1), "{stage}");
        assert_eq!(ran.tally.failures[0].reason, "crashed: told to panic");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_nobody_accepts_is_skipped_with_a_reason() {
    let ran = run(&chain("unaccepted", 5, &[("stages.parse", "accept = [\"image/*\"]")])).await;
    assert_eq!(ran.snapshot.documents.skipped, 5);
    assert_eq!(ran.tally.skips[0].reason, "no stage accepts it (text/plain)");
    assert_eq!(ran.tally.skips[0].stage, "fetch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_tell_each_caller_what_became_of_the_document() {
    let ran = run(&chain("results", 2, &[("stages.parse", "on = [\"1\"]\nwhat = \"reject\"")])).await;
    let of = |document: &str| {
        ran.tally.results.iter().find(|result| result["document"] == document).expect("every document has a result")
    };
    assert_eq!((&of("test:///0")["success"], &of("test:///0")["total_chunks"]), (&true.into(), &4.into()));
    assert_eq!((&of("test:///1")["success"], &of("test:///1")["message"]), (&false.into(), &"told to reject".into()));
    assert!(of("test:///0")["peak_bytes"].as_u64() > Some(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_cannot_be_settled_costs_itself_alone() {
    let ran = run(&chain("settle-reject", 10, &[("stages.store", "on = [\"3\"]\nwhat = \"settle-reject\"")])).await;
    assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (9, 1));
    assert_eq!(ran.tally.failures[0].reason, "told not to settle");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_while_settling_leaves_documents_unfinished_not_done() {
    let all: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    let lines = format!("on = {all:?}\nwhat = \"settle-fatal\"");
    let ran = finish(start(&chain("settle-fatal", 10, &[("stages.store", &lines)])).await).await;
    assert!(matches!(&ran.end, RunEnd::Fatal { stage, .. } if stage == "store"), "{:?}", ran.end);
    let documents = ran.snapshot.documents;
    assert_eq!((documents.done, documents.failed, documents.unfinished), (0, 0, documents.seen));
}
