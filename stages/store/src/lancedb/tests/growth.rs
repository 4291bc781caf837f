//! How the indexes of a table grow.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_is_found_by_its_words_however_many_came_at_once() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    // So many that an index is built in pieces beside each other, and then so few that one is made of the newest.
    for (name, rows) in [("crowd", 10_000), ("group", 40), ("trio", 3)] {
        let made = document(&format!("file:///{name}"), name);
        assert_eq!(write(&sink, vec![chunks(&made, name, 0..rows)]).await, u64::from(rows));
        settle(&sink, &[&made], true).await.expect("settled");
        close(&sink).await;
    }

    let indexes = table(base.path()).await.list_indices().await.expect("listed");
    let mut columns: Vec<_> = indexes.iter().map(|index| index.columns.join(",")).collect();
    columns.sort_unstable();
    assert_eq!(columns, ["document", "text"]);
    for index in &indexes {
        assert_eq!((index.num_indexed_rows, index.num_unindexed_rows), (Some(10_043), Some(0)), "{}", index.name);
        assert!(index.num_segments.is_some_and(|pieces| pieces <= 4), "{:?} pieces", index.num_segments);
    }
    let search = reader(base.path()).await;
    for (word, document) in [("part0", "crowd"), ("part9999", "crowd"), ("group", "group"), ("trio", "trio")] {
        let hits = search.matching(word, 100, &Filter::default()).await.expect("searched");
        assert!(hits.iter().any(|hit| hit.filename == document), "`{word}` finds `{document}`");
    }
    let filter = Filter { document: Some("file:///group".into()), ..Filter::default() };
    assert_eq!(search.nearest(&[1.0, 0.0, 0.5, -1.0], 100, &filter).await.expect("searched").len(), 40);
}
