//! The rows of given documents: which, in which order, and of which version.

use super::*;

/// The summary of a document.
fn summary(document: &Arc<Document>, word: &str) -> Record {
    let mut record = chunks(document, word, 0..1);
    if let Payload::Vectors(vectors) = &mut record.payload {
        vectors.chunks.part = Part::Summary;
    }
    record
}

fn ids(documents: &[&Arc<Document>]) -> Vec<String> {
    documents.iter().map(|document| document.id.to_string()).collect()
}

fn shown(rows: &[Hit]) -> Vec<String> {
    rows.iter().map(|row| format!("{} {} {}", row.filename, row.part, row.ordinal)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_come_by_document_as_asked_and_in_its_order() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let (one, two) = (document("file:///a.txt", "one"), document("file:///b.txt", "two"));
    // The summary is written first, and the chunks in two parts.
    write(&sink, vec![summary(&one, "short"), chunks(&one, "one", 2..4), chunks(&two, "two", 0..2)]).await;
    write(&sink, vec![chunks(&one, "one", 0..2), summary(&two, "short")]).await;
    settle(&sink, &[&one, &two], true).await.expect("settled");
    let search = reader(base.path()).await;
    let read = async |documents: &[String], part: Option<&str>, limit: usize, filter: Filter| {
        search.rows(documents, part, limit, &filter).await.expect("read")
    };
    let (both, all) = (ids(&[&two, &one]), Filter::default());
    let rows = read(&both, None, 100, all.clone()).await;
    assert_eq!(
        shown(&rows),
        [
            "b.txt chunk 0",
            "b.txt chunk 1",
            "b.txt summary 0",
            "a.txt chunk 0",
            "a.txt chunk 1",
            "a.txt chunk 2",
            "a.txt chunk 3",
            "a.txt summary 0"
        ]
    );
    assert!(rows.iter().all(|row| row.tokens == 5 && row.score.abs() < f32::EPSILON));
    assert_eq!(rows[4].text, "one part1 of a.txt");
    assert_eq!(shown(&read(&both, Some("summary"), 3, all.clone()).await), ["b.txt summary 0", "a.txt summary 0"]);
    let first_two = ["b.txt chunk 0", "b.txt chunk 1", "a.txt chunk 0", "a.txt chunk 1"];
    assert_eq!(shown(&read(&both, Some("chunk"), 2, all.clone()).await), first_two);
    assert_eq!(shown(&read(&both, None, 1, all.clone()).await), ["b.txt chunk 0", "a.txt chunk 0"]);
    let twice = [both.clone(), both.clone()].concat();
    assert_eq!(shown(&read(&twice, Some("chunk"), 2, all.clone()).await), first_two, "named twice, told once");
    for (documents, limit) in [(&both[..], 0), (&[][..], 9), (&["' OR '1' = '1".to_owned()][..], 9)] {
        assert_eq!(shown(&read(documents, None, limit, all.clone()).await), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_pass_the_filter() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let other = document("file:///b.txt", "two");
    let mut anna = (*document("file:///a.txt", "one")).clone();
    anna.user_id = Some("anna".into());
    let anna = Arc::new(anna);
    write(&sink, vec![chunks(&anna, "one", 0..2), chunks(&other, "two", 0..2)]).await;
    settle(&sink, &[&anna, &other], true).await.expect("settled");
    let search = reader(base.path()).await;
    let of_anna = Filter { user_id: Some("anna".into()), ..Filter::default() };
    let rows = search.rows(&ids(&[&other, &anna]), None, 9, &of_anna).await.expect("read");
    assert_eq!(shown(&rows), ["a.txt chunk 0", "a.txt chunk 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_document_in_replacement_the_finished_rows_are_read() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let (old, new) = (document("file:///a.txt", "old"), document("file:///a.txt", "new"));
    write(&sink, vec![chunks(&old, "old", 0..2)]).await;
    settle(&sink, &[&old], true).await.expect("settled");
    write(&sink, vec![chunks(&new, "new", 0..3)]).await;
    let search = reader(base.path()).await;
    let texts = async || -> Vec<String> {
        let rows = search.rows(&ids(&[&old]), Some("chunk"), 9, &Filter::default()).await.expect("read");
        rows.into_iter().map(|row| row.text).collect()
    };
    assert_eq!(texts().await, ["old part0 of a.txt", "old part1 of a.txt"]);
    settle(&sink, &[&new], true).await.expect("settled");
    assert_eq!(texts().await, ["new part0 of a.txt", "new part1 of a.txt", "new part2 of a.txt"]);
}
