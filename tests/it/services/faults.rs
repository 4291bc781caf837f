//! A service that fails, hangs, dies: everything is done in the end, once.

use std::time::Duration;

use docmill::load::simulate::Settings;
use docmill_api::Services;

use super::{ran, served, service, start, text};
use crate::pipeline::mill::{Mill, block_on, by_document};
use crate::support::finish;

const DOCUMENTS: usize = 500;

/// Many small batches, so that the width of the stage that embeds is reached too.
fn busy(base_url: &str, documents: usize) -> Mill {
    let mill = served(base_url)
        .set("stages.summarize.timeout=\"2s\"")
        .set("stages.embed.timeout=\"2s\"")
        .set("stages.embed.width=5")
        .set("stages.embed.batch.items=4");
    for number in 0..documents {
        mill.write(&format!("{number}.txt"), text(number));
    }
    mill
}

async fn every_document_is_there_once(mill: &Mill, documents: usize) {
    let rows = mill.store().await.rows().await;
    let all = by_document(&rows);
    assert_eq!(all.len(), documents);
    for (document, rows) in all {
        let summaries = rows.iter().filter(|row| row.part == "summary").count();
        assert!(summaries == 1 && rows.len() >= 2, "{document} has {summaries} summaries in {} rows", rows.len());
    }
}

#[test]
fn a_service_that_fails_a_tenth_and_hangs_a_hundredth_of_its_calls_loses_nothing() {
    block_on(async || {
        let settings = Settings { latency: Duration::from_millis(300), errors: 0.1, hangs: 0.01, ..super::quick() };
        let server = service(settings, None).await;
        let mill = busy(&server.base_url(), DOCUMENTS);
        let ran = ran(&mill).await;
        let stats = server.stats();
        assert_eq!(ran.snapshot.documents.done, DOCUMENTS as u64, "{:?}", ran.tally.failures);
        every_document_is_there_once(&mill, DOCUMENTS).await;
        assert!(stats.hung > 0 && stats.statuses[&500] > 0, "{stats:?}");
        assert_eq!((stats.in_flight.chat.max, stats.in_flight.embeddings.max), (20, 5), "the widths, and not beyond");
        let report = &ran.snapshot.services["work"];
        assert_eq!(report.calls, stats.calls.chat + stats.calls.embeddings);
        assert_eq!(report.errors["server"], stats.statuses[&500]);
        assert_eq!(report.errors["timeout"], stats.hung);
        assert!(report.tokens > 0 && report.breaker_opened == 0, "{report:?}");
    });
}

#[test]
fn what_refuses_calls_at_random_is_asked_again_and_uses_up_no_attempt() {
    block_on(async || {
        let settings = Settings { overloads: 0.1, unavailable: 0.1, retry_after: false, ..super::quick() };
        let server = service(settings, None).await;
        // A single attempt: whatever counted as one would fail its document.
        let mill =
            busy(&server.base_url(), 100).set("stages.summarize.retry.attempts=1").set("stages.embed.retry.attempts=1");
        let ran = ran(&mill).await;
        assert_eq!(ran.snapshot.documents.done, 100, "{:?}", ran.tally.failures);
        let summarize = ran.snapshot.stages.iter().find(|stage| stage.id == "summarize").expect("it is there");
        assert!(summarize.retries > 0 && summarize.held_by["provider"] > 0.0, "{summarize:?}");
        let report = &ran.snapshot.services["work"];
        assert!(report.errors["rate_limited"] > 0 && report.errors["overloaded"] > 0, "{report:?}");
    });
}

#[test]
fn a_service_that_dies_in_the_middle_is_left_alone_until_it_is_back() {
    block_on(async || {
        let server = service(super::quick(), None).await;
        let address = server.address();
        let mill = busy(&server.base_url(), 200);
        let handle = start(&mill, mill.plan(), &Services::default()).await;
        let view = handle.view();
        while server.stats().answered < 100 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let before = server.stop().await;
        // As long as it takes for the breaker to open, and some seconds for it to stay so.
        while view.snapshot().services["work"].breaker != "open" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
        let asked = view.snapshot().services["work"].calls;
        let server = service(super::quick(), Some(address)).await;
        let ran = finish(handle).await;
        assert_eq!(ran.snapshot.documents.done, 200, "{:?}", ran.tally.failures);
        every_document_is_there_once(&mill, 200).await;
        let report = &ran.snapshot.services["work"];
        assert_eq!((report.breaker_opened, &*report.breaker), (1, "ok"), "{report:?}");
        let after = server.stats();
        let knocked = asked - before.calls.chat - before.calls.embeddings;
        assert!(knocked < 100, "{knocked} calls to one that is gone: two widths of both stages, and probes");
        assert_eq!(before.repeated + after.repeated, 0);
    });
}
