//! What files that are merged page by page hold afterwards.

use std::collections::BTreeSet;

use super::super::index::{How, merge_fragments};
use super::*;

async fn held(base: &Path) -> BTreeSet<String> {
    let rows = all(base).await.into_iter().flat_map(|batch| {
        (0..batch.num_rows()).map(move |row| format!("{:?}", batch.slice(row, 1).columns())).collect::<Vec<_>>()
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_copied_are_what_they_were_and_are_found() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    for number in 0..12 {
        let document = document(&format!("file:///{number}.txt"), &number.to_string());
        write(&sink, vec![chunks(&document, "barley", 0..3)]).await;
        settle(&sink, &[&document], true).await.expect("settled");
    }
    close(&sink).await;
    let (before, table) = (held(base.path()).await, table(base.path()).await);
    let files = async || table.stats().await.expect("read").fragment_stats.num_fragments;
    assert_eq!((before.len(), files().await), (36, 12), "nothing to merge, or rows that are alike");

    merge_fragments(&table, 131_072, How::Copied).await.expect("merged");

    assert_eq!(files().await, 1);
    assert_eq!(held(base.path()).await, before);
    let found = reader(base.path()).await.matching("barley", 100, &Filter::default()).await.expect("searched");
    assert_eq!(found.len(), 36);
}
