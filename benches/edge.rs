//! Record hops a second through null stages, with all that the engine wraps around a stage: counters, gate, timeout,
//! delivery, memory budget.
//!
//! `cargo bench --no-default-features --bench edge`. A hop is one record through one null stage. One thread runs
//! everything, so hops a second are hops a second and core.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::path::PathBuf;
use std::time::Instant;

use docmill::config;
use docmill::plan::{Machine, Plan};
use docmill::runtime::{RuntimeOptions, Topology, WorkerProgram};
use docmill_api::Registry;

const DOCUMENTS: usize = 100;
const PARTS: usize = 400;
const STAGES: usize = 10;

fn pipeline(round: usize) -> String {
    let mut text = format!(
        "[run]\ncpu_threads = 1\n[stages.source]\nkind = \"fake-source\"\ncount = {DOCUMENTS}\n\
         [stages.fetch]\nkind = \"fake-fetch\"\ninputs = [\"source\"]\n\
         [stages.parse]\nkind = \"fake-parse\"\ninputs = [\"fetch\"]\n\
         [stages.hop0]\nkind = \"fake-split\"\ninputs = [\"parse\"]\nparts = {PARTS}\nqueue = 500\n"
    );
    for hop in 1..=STAGES {
        text += &format!("[stages.hop{hop}]\nkind = \"null\"\ninputs = [\"hop{}\"]\nwidth = 1\nqueue = 500\n", hop - 1);
    }
    text + &format!(
        "[stages.embed]\nkind = \"fake-embed\"\ninputs = [\"hop{STAGES}\"]\nqueue = 500\n\
         [stages.store]\nkind = \"fake-sink\"\ninputs = [\"embed\"]\nqueue = 500\nstore = \"bench{round}\"\n"
    )
}

fn main() {
    let mut registry = Registry::new();
    docmill_testkit::fakes::register(&mut registry);
    let mut best = 0.0_f64;
    for round in 0..5 {
        let text = pipeline(round);
        let raw = config::parse("bench.toml", PathBuf::new(), text, &[], std::iter::empty(), &registry).unwrap();
        let plan = Plan::from_raw(&raw, &registry, Machine { cpus: 1 }).unwrap().0;
        let options = RuntimeOptions::new(WorkerProgram::current().unwrap());
        let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (seconds, hops) = event_loop.block_on(async {
            let topology = Topology::build(plan, &registry, &options).await.unwrap();
            let start = Instant::now();
            let handle = topology.run();
            let view = handle.view();
            handle.wait().await;
            let hops: u64 =
                view.snapshot().stages.iter().filter(|stage| stage.kind == "null").map(|stage| stage.input).sum();
            (start.elapsed().as_secs_f64(), hops)
        });
        assert_eq!(hops, (DOCUMENTS * PARTS * STAGES) as u64);
        let rate = hops as f64 / seconds;
        best = best.max(rate);
        println!("round {round}: {hops} hops in {seconds:.3} s, {rate:.0} hops/s");
    }
    println!("best: {best:.0} hops/s on one core");
}
