//! A pool thread runs one step and returns: it never waits on a channel.

use super::support::{chain, run};

/// One thread serves three CPU stages before queues of one and a slow sink. Were it ever to wait for room, the stages
/// behind it would never run, and the run would not end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_thread_serves_every_cpu_stage_before_a_slow_sink() {
    let mut pipeline = chain(
        "one-thread",
        60,
        &[
            ("run", "cpu_threads = 1"),
            ("stages.fetch", "queue = 1"),
            ("stages.parse", "queue = 1"),
            ("stages.split", "queue = 1\nparts = 9"),
            ("stages.embed", "queue = 1\ninputs = [\"split\", \"split2\"]"),
            ("stages.store", "queue = 1\ndelay = \"5ms\"\nbatch = { items = 3, tokens = 99, wait = \"1ms\" }"),
        ],
    );
    pipeline.push_str("[stages.split2]\nkind = \"fake-split\"\ninputs = [\"parse\"]\nqueue = 1\nparts = 3\n");
    let ran = run(&pipeline).await;
    assert_eq!(ran.snapshot.documents.done, 60);
    let parse = ran.snapshot.stages.iter().find(|stage| stage.id == "parse").expect("it is there");
    assert!(parse.blocked_seconds > 0.1, "nothing ever waited: the test shows nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cpu_time_of_the_pool_is_counted() {
    let ran = run(&chain("cpu-time", 20, &[("stages.parse", "spin = \"2ms\"")])).await;
    let parse = ran.snapshot.stages.iter().find(|stage| stage.id == "parse").expect("it is there");
    assert!(parse.busy_seconds >= 0.04, "20 steps that compute for 2 ms: {} s", parse.busy_seconds);
    assert!(parse.cpu_seconds > 0.0 && parse.cpu_seconds <= parse.busy_seconds * 1.5, "{parse:?}");
    assert!(parse.service_ms.p50 >= 2.0 && parse.service_ms.max >= parse.service_ms.p50, "{:?}", parse.service_ms);
}
