//! Real runs, slow and fast: what the screen says at their end is what their reports say.

use docmill::monitor::HostUse;
use docmill::report::Report;
use docmill::tui::{GlyphSet, Options, ThemeName};

use super::fixture::{empty, feed, paint, signs};
use super::truth::{before, near, number};
use crate::support::{async_chain, finish, start};

/// Runs a pipeline with the dashboard looking on, and gives the last screen and the report.
async fn shown_and_told(text: &str) -> (String, Report) {
    let handle = start(text).await;
    let view = handle.view();
    let mut published = view.published();
    let mut model = empty(120, 40, Options::default());
    let looking = async {
        loop {
            let snapshot = published.borrow_and_update().clone();
            let over = snapshot.state.is_over();
            feed(&mut model, (*snapshot).clone());
            if over || published.changed().await.is_err() {
                break;
            }
        }
    };
    let (ran, ()) = tokio::join!(finish(handle), looking);
    let report = Report::new(&view.snapshot(), ran.tally, HostUse::default(), false);
    (signs(&paint(&model, ThemeName::Mono, GlyphSet::Block, 120, 40)), report)
}

fn hold_against(screen: &str, report: &Report) {
    near(number(before(screen, " doc/s")), report.documents_per_second);
    let documents = format!("docs {0}/{0}", docmill::report::count(report.documents.seen));
    assert!(screen.contains(&documents), "{documents} is not shown:\n{screen}");
    assert_eq!(report.documents.seen, report.documents.done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_documents_a_second() {
    let steady = [("stages.fetch", "width = 1\ndelay = \"100ms\"")];
    let (screen, report) = shown_and_told(&async_chain("ten-a-second", 30, &steady)).await;
    assert!(report.documents_per_second <= 10.5, "{}", report.documents_per_second);
    hold_against(&screen, &report);
}

/// A hundred records a document: so many that the sampler is far from one record a look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_records_a_second() {
    let many = [("stages.fetch", "parts = 100"), ("stages.embed", "width = 4")];
    let (screen, report) = shown_and_told(&async_chain("many-a-second", 1000, &many)).await;
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["stages"]["embed"]["in"], 100_000, "{json}");
    hold_against(&screen, &report);
}
