//! Files that are merged while rows are written.

use super::*;

/// More commits than are made before files are merged.
const ENOUGH: usize = 64;

async fn files(base: &Path) -> usize {
    table(base).await.stats().await.expect("read").fragment_stats.num_fragments
}

fn numbered(number: usize, content: &str) -> Arc<Document> {
    document(&format!("file:///{number}.txt"), content)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_are_merged_while_rows_are_written() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let mut written = 0;
    while written < ENOUGH || files(base.path()).await >= written {
        assert!(written < 20 * ENOUGH, "nothing was merged");
        let document = numbered(written, "one");
        assert_eq!(write(&sink, vec![chunks(&document, "one", 0..3)]).await, 3);
        settle(&sink, &[&document], true).await.expect("settled");
        written += 1;
    }
    close(&sink).await;

    let all = texts(base.path()).await;
    let each: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), each.len()), (3 * written, 3 * written));
    let found = reader(base.path()).await.matching("part2", 10_000, &Filter::default()).await.expect("searched");
    assert_eq!(found.len(), written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_go_while_their_files_are_merged_are_gone() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    for number in 0..ENOUGH {
        write(&sink, vec![chunks(&numbered(number, "one"), "one", 0..3)]).await;
    }
    // The merge has begun. Every other document changes, which deletes from each file that is being merged.
    for number in (0..ENOUGH).step_by(2) {
        let changed = numbered(number, "two");
        assert_eq!(write(&sink, vec![chunks(&changed, "two", 0..2)]).await, 2);
        settle(&sink, &[&changed], true).await.expect("settled");
    }
    close(&sink).await;

    let kept = (0..ENOUGH).flat_map(|number| {
        let (word, rows) = if number % 2 == 0 { ("two", 2) } else { ("one", 3) };
        (0..rows).map(move |row| format!("{word} part{row} of {number}.txt"))
    });
    let mut kept: Vec<String> = kept.collect();
    kept.sort_unstable();
    assert_eq!(texts(base.path()).await, kept);
}
