//! Model services that are slow, busy, broken, gone or strange: the real pipeline against a simulated one, over HTTP.
//! Whatever the service does, nothing is lost, nothing is there twice, and the reason is told.

mod config;
mod crash;
mod faults;
mod real;
mod refusals;
mod vision;

use std::net::SocketAddr;
use std::time::Duration;

use docmill::load::simulate::{Running, Server, Settings};
use docmill::plan::Plan;
use docmill::runtime::{RunEnd, RunHandle, RuntimeOptions, Topology, WorkerProgram};
use docmill_api::Services;

use crate::pipeline::mill::{Mill, PROGRAM};
use crate::support::{Ran, finish};

/// A text that is longer than the summary of it would be, and like no other.
pub(crate) fn text(number: usize) -> String {
    let sentence =
        |line: usize| format!("Line {line} of ledger {number} tells which miller brought how much grain, and when. ");
    (0..20).map(sentence).collect()
}

/// A service at any port, or at one that it had before.
pub(crate) async fn service(settings: Settings, at: Option<SocketAddr>) -> Running {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(at.unwrap_or(any), settings).await.expect("it listens");
    server.start()
}

/// A service that answers after a tenth of a second, always.
pub(crate) fn quick() -> Settings {
    Settings { latency: Duration::from_millis(100), spread: 0.0, ..Settings::default() }
}

/// The default pipeline with a model that summarises and one that embeds, both at `base_url`.
pub(crate) fn served(base_url: &str) -> Mill {
    Mill::new()
        .set("providers.work.kind=\"openai\"")
        .set(&format!("providers.work.base_url={base_url:?}"))
        .set("providers.work.model=\"simulated\"")
        .set("providers.work.dimensions=256")
        .set("stages.summarize.provider=\"work\"")
        .set("stages.embed.provider=\"work\"")
}

/// Starts a run with the services of the caller's, who wants to see what they learn.
async fn start(mill: &Mill, plan: Plan, services: &Services) -> RunHandle {
    let worker =
        WorkerProgram { program: PROGRAM.into(), arguments: vec!["stage-worker".into()], variables: Vec::new() };
    let options = RuntimeOptions { services: services.clone(), worker, ..crate::support::options() };
    Topology::build(plan, &mill.registry, &options).await.unwrap_or_else(|error| panic!("{error}")).run()
}

/// Runs it to its end, whatever that is.
async fn ran(mill: &Mill) -> Ran {
    finish(start(mill, mill.plan(), &Services::default()).await).await
}

/// Why the run ended before its documents did.
fn fatal(ran: &Ran) -> (&str, &str) {
    match &ran.end {
        RunEnd::Fatal { stage, error } => (stage, &error.message),
        other => panic!("{other:?}"),
    }
}
