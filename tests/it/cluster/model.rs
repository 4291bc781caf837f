//! A model service that workers share: what it allows is theirs together, and what one paid for all have.

use docmill::load::simulate::Settings;

use super::{Nats, PATIENCE, Process, until};
use crate::crash::{forget_all, run};
use crate::pipeline::mill::block_on;
use crate::services::{quick, served, service, text};
use crate::waiting::within;

/// Calls that the service takes at once, as the pipeline says.
const AT_ONCE: usize = 6;

const DOCUMENTS: usize = 120;

#[test]
fn what_a_service_allows_is_shared_and_what_was_paid_for_is_not_paid_for_again() {
    block_on(async || {
        let server = service(Settings { concurrency: Some(AT_ONCE), ..quick() }, None).await;
        let mill = served(&server.base_url()).set("stages.embed.provider=\"builtin\"");
        let Some(nats) = Nats::start(mill.path()) else { return };
        for number in 0..DOCUMENTS {
            mill.write(&format!("{number}.txt"), text(number));
        }
        let mill = nats.share(mill).set(&format!("providers.work.limits.concurrency={AT_ONCE}"));
        let _workers: Vec<Process> = (0..3).map(|_| Process::start(&mill, "work")).collect();
        let share = || {
            let ended = within(PATIENCE, mill.command("workers").args(["--format", "json"])).expect("an end");
            let fleet: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap_or_default();
            fleet["workers"].as_array().into_iter().flatten().filter(|worker| worker["among"] == 3).count()
        };
        until(|| share() == 3);
        run(&mill, &[]);
        let stats = server.stats();
        assert_eq!((stats.distinct, stats.repeated), (DOCUMENTS as u64, 0));
        assert!(!stats.statuses.contains_key(&429), "each took all of it: {:?}", stats.statuses);

        // Another ledger, the same results.
        forget_all(&mill);
        let report = run(&mill, &[]);
        assert_eq!(report["documents"]["done"], DOCUMENTS, "{report}");
        assert_eq!(server.stats().calls, stats.calls, "nothing is paid for twice");
    });
}
