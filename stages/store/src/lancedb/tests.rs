//! Properties of the sink `lancedb` and its search, through a real database in a directory.

mod compressed;
mod event_loop;
mod growth;
mod merge;
mod rows;
mod tidy;
mod words;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type, TimestampMicrosecondType};
use arrow_schema::DataType;
use docmill_api::{
    Context, Document, ErrorClass, Filter, Hit, Part, Payload, Record, Rest, Search, Sink, StageFactory,
};
use futures::{FutureExt, TryStreamExt};
use lancedb::Table;
use lancedb::query::ExecutableQuery;

use super::{LanceDb, LanceDbConfig};
use crate::fixture::{DIMENSIONS, bring, chunks, context, document, settle, sink, write};
use crate::row::row_id;

fn config() -> LanceDbConfig {
    LanceDbConfig { uri: "store".into(), table: "chunks".into(), ..LanceDbConfig::default() }
}

async fn open(base: &Path) -> Arc<dyn Sink> {
    sink(LanceDb::build(config(), &context(base)).await.expect("built"))
}

async fn reader(base: &Path) -> Arc<dyn Search> {
    LanceDb::search(config(), &context(base)).await.expect("opened").expect("searchable")
}

/// The table as any program sees it.
async fn table(base: &Path) -> Table {
    let path = base.join("store");
    let database = lancedb::connect(path.to_str().expect("UTF-8")).execute().await.expect("connected");
    database.open_table("chunks").execute().await.expect("opened")
}

async fn all(base: &Path) -> Vec<RecordBatch> {
    let stream = table(base).await.query().execute().await.expect("queried");
    stream.try_collect().await.expect("read")
}

async fn count(base: &Path) -> usize {
    table(base).await.count_rows(None).await.expect("counted")
}

async fn texts(base: &Path) -> Vec<String> {
    let batches = all(base).await;
    let mut texts: Vec<String> = batches
        .iter()
        .flat_map(|batch| batch.column_by_name("text").expect("text").as_string::<i32>().iter().flatten())
        .map(str::to_owned)
        .collect();
    texts.sort_unstable();
    texts
}

async fn close(sink: &Arc<dyn Sink>) {
    sink.close(&Context::detached()).await.expect("closed");
}

async fn found(search: &Arc<dyn Search>, document: &Document) -> Vec<Hit> {
    let filter = Filter { document: Some(document.id.to_string()), ..Filter::default() };
    search.nearest(&[1.0, 0.0, 0.5, -1.0], 100, &filter).await.expect("searched")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_come_back_as_they_went_in_with_the_types_of_the_contract() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let mut made = (*document("file:///a.txt", "one")).clone();
    made.session_id = Some("s".into());
    made.metadata.insert("reader".into(), "plain \"quoted\"".into());
    let made = Arc::new(made);
    assert_eq!(write(&sink, vec![chunks(&made, "one", 0..3)]).await, 3);
    settle(&sink, &[&made], true).await.expect("settled");
    close(&sink).await;

    let schema = table(base.path()).await.schema().await.expect("schema");
    let types: Vec<String> =
        schema.fields().iter().map(|field| format!("{}:{}", field.name(), short(field.data_type()))).collect();
    assert_eq!(
        types.join(" "),
        "id:utf8 document:utf8 version:utf8 uri:utf8 filename:utf8 media_type:utf8 title:utf8 part:utf8 \
         ordinal:int32 page:int32 line_start:int32 line_end:int32 heading:list<utf8> text:utf8 tokens:int32 \
         vector:fixed_size_list<float32>[4] session_id:utf8 user_id:utf8 metadata:utf8 \
         ingested_at:timestamp(us, UTC)"
    );
    let nullable: Vec<&str> =
        schema.fields().iter().filter(|field| field.is_nullable()).map(|field| field.name().as_str()).collect();
    assert_eq!(nullable, ["title", "page", "line_start", "line_end", "session_id", "user_id"]);
    assert_eq!(schema.metadata()["docmill.model"], "model");
    assert_eq!(schema.metadata()["docmill.dimensions"], "4");
    assert_eq!(schema.metadata()["docmill.store"].len(), 32);

    let batches = all(base.path()).await;
    let batch = &batches[0];
    let text =
        |name: &str, row: usize| batch.column_by_name(name).expect("column").as_string::<i32>().value(row).to_owned();
    let version = made.version().expect("read");
    assert_eq!(text("id", 1), row_id((made.id, version), (Part::Chunk, 1)).to_string());
    assert_eq!(text("text", 1), "one part1 of a.txt");
    assert_eq!(text("metadata", 1), r#"{"reader":"plain \"quoted\""}"#);
    assert_eq!(text("session_id", 1), "s");
    let int = |name: &str| batch.column_by_name(name).expect("column").as_primitive::<Int32Type>().clone();
    assert_eq!(int("page").value(1), 2);
    assert_eq!(int("line_end").iter().flatten().count(), 0);
    let vectors = batch.column_by_name("vector").expect("column").as_fixed_size_list().value(1);
    assert_eq!(vectors.as_primitive::<Float32Type>().values().as_ref(), [1.0, 1.0, 0.5, -1.0]);
    let moments = batch.column_by_name("ingested_at").expect("column");
    assert!(moments.as_primitive::<TimestampMicrosecondType>().value(0) > 1_700_000_000_000_000);
}

fn short(of: &DataType) -> String {
    match of {
        DataType::Utf8 => "utf8".into(),
        DataType::Int32 => "int32".into(),
        DataType::Float32 => "float32".into(),
        DataType::List(item) => format!("list<{}>", short(item.data_type())),
        DataType::FixedSizeList(item, length) => format!("fixed_size_list<{}>[{length}]", short(item.data_type())),
        DataType::Timestamp(arrow_schema::TimeUnit::Microsecond, Some(zone)) => format!("timestamp(us, {zone})"),
        other => format!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_work_done_again_writes_no_row_twice() {
    let base = tempfile::tempdir().expect("tempdir");
    let (one, two) = (document("file:///a.txt", "one"), document("file:///b.txt", "two"));
    let sink = open(base.path()).await;
    let batch = || vec![chunks(&one, "one", 0..3), chunks(&two, "two", 0..2)];
    assert_eq!(write(&sink, batch()).await, 5);
    assert_eq!(write(&sink, batch()).await, 5, "a retry within the run: the rows are there");
    assert_eq!(write(&sink, vec![chunks(&one, "one", 2..4), chunks(&one, "one", 3..5)]).await, 4);
    assert_eq!(count(base.path()).await, 7);
    settle(&sink, &[&one, &two], true).await.expect("settled");
    close(&sink).await;

    let version = table(base.path()).await.version().await.expect("version");
    drop(sink);
    let again = open(base.path()).await;
    assert_eq!(write(&again, vec![chunks(&one, "one", 0..5), chunks(&two, "two", 0..2)]).await, 7);
    settle(&again, &[&one, &two], true).await.expect("settled");
    close(&again).await;
    assert_eq!(count(base.path()).await, 7);
    assert_eq!(table(base.path()).await.version().await.expect("version"), version, "nothing at all was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_document_is_replaced_and_never_without_rows() {
    let base = tempfile::tempdir().expect("tempdir");
    let (old, new) = (document("file:///a.txt", "old"), document("file:///a.txt", "new"));
    let other = document("file:///b.txt", "other");
    let sink = open(base.path()).await;
    write(&sink, vec![chunks(&old, "old", 0..3), chunks(&other, "other", 0..2)]).await;
    settle(&sink, &[&old, &other], true).await.expect("settled");
    close(&sink).await;
    drop(sink);

    let search = reader(base.path()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let watching = {
        let (search, old, stop) = (Arc::clone(&search), Arc::clone(&old), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut seen = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                seen.push(found(&search, &old).await);
            }
            seen
        })
    };
    let sink = open(base.path()).await;
    for part in 0..4 {
        write(&sink, vec![chunks(&new, "new", part..part + 1)]).await;
        let shown = found(&search, &old).await;
        assert_eq!(shown.len(), 3, "only the finished version is shown");
        assert!(shown.iter().all(|hit| hit.text.starts_with("old")));
    }
    assert_eq!(count(base.path()).await, 9, "both versions are there");
    settle(&sink, &[&new], true).await.expect("settled");
    let shown = found(&search, &old).await;
    assert_eq!(shown.len(), 4);
    assert!(shown.iter().all(|hit| hit.text.starts_with("new")));
    close(&sink).await;
    assert_eq!(count(base.path()).await, 6, "the other document is untouched");
    stop.store(true, Ordering::SeqCst);
    for shown in watching.await.expect("watched") {
        let versions: std::collections::HashSet<&str> = shown.iter().map(|hit| hit.version.as_str()).collect();
        assert_eq!(versions.len(), 1, "at every moment rows of exactly one version");
        assert!(shown.len() == 3 || shown.len() == 4, "and all of them");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_fails_takes_its_new_rows_away_and_keeps_the_old() {
    let base = tempfile::tempdir().expect("tempdir");
    let (old, new) = (document("file:///a.txt", "old"), document("file:///a.txt", "new"));
    let fresh = document("file:///b.txt", "fresh");
    let sink = open(base.path()).await;
    write(&sink, vec![chunks(&old, "old", 0..2)]).await;
    settle(&sink, &[&old], true).await.expect("settled");
    write(&sink, vec![chunks(&new, "new", 0..3), chunks(&fresh, "fresh", 0..3)]).await;
    settle(&sink, &[&new, &fresh], false).await.expect("settled");
    assert_eq!(texts(base.path()).await, ["old part0 of a.txt", "old part1 of a.txt"]);

    // What a crash left of a version beside a finished one was never finished either.
    write(&sink, vec![chunks(&new, "new", 0..1)]).await;
    drop(sink);
    let sink = open(base.path()).await;
    assert_eq!(count(base.path()).await, 3);
    settle(&sink, &[&new], false).await.expect("settled");
    assert_eq!(texts(base.path()).await, ["old part0 of a.txt", "old part1 of a.txt"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_second_run_of_a_finished_version_keeps_its_rows() {
    let base = tempfile::tempdir().expect("tempdir");
    let one = document("file:///a.txt", "one");
    let sink = open(base.path()).await;
    write(&sink, vec![chunks(&one, "one", 0..3)]).await;
    settle(&sink, &[&one], true).await.expect("settled");
    drop(sink);
    let sink = open(base.path()).await;
    assert_eq!(write(&sink, vec![chunks(&one, "one", 0..5)]).await, 5);
    assert_eq!(count(base.path()).await, 5);
    settle(&sink, &[&one], false).await.expect("settled");
    assert_eq!(count(base.path()).await, 3, "the rows that this run wrote are gone, the others are not");
    settle(&sink, &[&one], false).await.expect("settled");
    assert_eq!(count(base.path()).await, 3, "told again, nothing more goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_gone_leaves_no_row_and_takes_no_other_with_it() {
    let base = tempfile::tempdir().expect("a directory");
    let (gone, other) = (document("file:///gone.txt", "same"), document("file:///other.txt", "same"));
    let sink = open(base.path()).await;
    write(&sink, vec![chunks(&gone, "zorb", 0..3), chunks(&other, "zorb", 0..2)]).await;
    settle(&sink, &[&gone, &other], true).await.expect("settled");
    // As a listing that finds it gone knows it: nothing was read, so there is neither content nor version.
    let mut unread = (*gone).clone();
    unread.content = None;
    for _ in 0..2 {
        bring(&sink, &[&Arc::new(unread.clone())], Rest::Gone).await.expect("forgotten, and again");
    }
    assert_eq!(count(base.path()).await, 2);
    assert!(texts(base.path()).await.iter().all(|text| text.ends_with("other.txt")));
    // It may come back.
    write(&sink, vec![chunks(&gone, "zorb", 0..3)]).await;
    settle(&sink, &[&gone], true).await.expect("settled");
    assert_eq!(count(base.path()).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_listed_page_by_page_each_with_its_finished_rows() {
    let base = tempfile::tempdir().expect("a directory");
    let sink = open(base.path()).await;
    let documents: Vec<Arc<Document>> =
        (0..5).map(|number| document(&format!("file:///{number}.txt"), "old")).collect();
    for document in &documents {
        write(&sink, vec![chunks(document, "zorb", 0..3)]).await;
        settle(&sink, &[document], true).await.expect("settled");
    }
    // In replacement: of the new version one row is there, and the old one is shown.
    write(&sink, vec![chunks(&document("file:///3.txt", "new"), "zorb", 0..1)]).await;
    let search = reader(base.path()).await;
    let first = search.documents(None, 2, &Filter::default()).await.expect("listed");
    assert_eq!(first.total, 5);
    let uris: Vec<&str> = first.documents.iter().map(|stored| stored.uri.as_str()).collect();
    assert_eq!(uris, ["file:///0.txt", "file:///1.txt"]);
    let rest = search.documents(Some("file:///1.txt"), 10, &Filter::default()).await.expect("listed");
    assert_eq!((rest.total, rest.documents.len()), (3, 3));
    assert_eq!(rest.documents[1].uri, "file:///3.txt");
    assert_eq!(rest.documents[1].version, documents[3].version().expect("read").to_string());
    assert!(rest.documents.iter().all(|stored| (stored.chunks, stored.tokens, stored.summaries) == (3, 15, 0)));
    let of_a_user = Filter { user_id: Some("nobody".into()), ..Filter::default() };
    assert_eq!(search.documents(None, 10, &of_a_user).await.expect("listed").total, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_documents_that_swap_their_contents_are_both_replaced() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let (a, b) = (document("file:///a.txt", "x"), document("file:///b.txt", "y"));
    write(&sink, vec![chunks(&a, "x", 0..2), chunks(&b, "y", 0..2)]).await;
    settle(&sink, &[&a, &b], true).await.expect("settled");
    let (a, b) = (document("file:///a.txt", "y"), document("file:///b.txt", "x"));
    write(&sink, vec![chunks(&a, "y", 0..1), chunks(&b, "x", 0..1)]).await;
    settle(&sink, &[&a, &b], true).await.expect("settled");
    assert_eq!(texts(base.path()).await, ["x part0 of b.txt", "y part0 of a.txt"]);
    // A document that has become empty has no rows any more.
    settle(&sink, &[&document("file:///a.txt", "")], true).await.expect("settled");
    assert_eq!(texts(base.path()).await, ["x part0 of b.txt"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_cancelled_or_fails_is_done_once_when_tried_again() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let one = document("file:///a.txt", "one");
    for _ in 0..3 {
        // Polled once, then dropped, as by a timeout.
        let cx = Context::detached();
        let _ = sink.write(&cx, vec![chunks(&one, "one", 0..3)]).now_or_never();
    }
    assert_eq!(write(&sink, vec![chunks(&one, "one", 0..3)]).await, 3);
    assert_eq!(count(base.path()).await, 3);

    let data = base.path().join("store/chunks.lance/data");
    let aside = base.path().join("aside");
    std::fs::rename(&data, &aside).expect("renamed");
    std::fs::write(&data, b"in the way").expect("written");
    let batch = || vec![chunks(&one, "one", 3..5), chunks(&document("file:///b.txt", "two"), "two", 0..1)];
    let outcomes = sink.write(&Context::detached(), batch()).await;
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    std::fs::remove_file(&data).expect("removed");
    std::fs::rename(&aside, &data).expect("renamed");
    assert_eq!(write(&sink, batch()).await, 3);
    assert_eq!(count(base.path()).await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_record_costs_itself_alone() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let spoil = |spoil: fn(&mut docmill_api::Vectors)| {
        let mut record: Record = chunks(&document("file:///bad.txt", "bad"), "bad", 0..2);
        if let Payload::Vectors(vectors) = &mut record.payload {
            spoil(vectors);
        }
        record
    };
    let mut unread = (*document("file:///unread.txt", "")).clone();
    unread.content = None;
    let batch = vec![
        spoil(|vectors| vectors.values = vec![1.0; 7].into()),
        spoil(|vectors| vectors.dimensions = 8),
        spoil(|vectors| vectors.values = vec![f32::NAN; 2 * DIMENSIONS].into()),
        chunks(&Arc::new(unread), "unread", 0..1),
        chunks(&document("file:///good.txt", "good"), "good", 0..2),
    ];
    let outcomes = sink.write(&Context::detached(), batch).await;
    for outcome in &outcomes[..4] {
        assert_eq!(outcome.as_ref().map_err(|error| error.class), Err(ErrorClass::Rejected), "{outcome:?}");
    }
    assert_eq!(outcomes[4], Ok(2));
    assert_eq!(texts(base.path()).await, ["good part0 of good.txt", "good part1 of good.txt"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_ours_is_refused_before_any_work() {
    let base = tempfile::tempdir().expect("tempdir");
    let refused = async |cx: &docmill_api::BuildContext| {
        let error = LanceDb::build(config(), cx).await.err().expect("refused");
        assert_eq!(error.class, ErrorClass::Fatal);
        error.message
    };
    let ours = context(base.path());
    let store = base.path().join("store");
    std::fs::write(&store, b"a file").expect("written");
    assert!(refused(&ours).await.contains("cannot be used"));
    std::fs::remove_file(&store).expect("removed");
    std::fs::create_dir(&store).expect("made");
    std::fs::write(store.join("thesis.txt"), b"mine").expect("written");
    assert!(refused(&ours).await.contains("holds `thesis.txt` and no table"));
    std::fs::remove_file(store.join("thesis.txt")).expect("removed");

    let database = lancedb::connect(store.to_str().expect("UTF-8")).execute().await.expect("connected");
    let foreign = arrow_schema::Schema::new(vec![arrow_schema::Field::new("x", DataType::Int32, false)]);
    database.create_empty_table("chunks", Arc::new(foreign)).execute().await.expect("made");
    assert!(refused(&ours).await.contains("was not made by docmill"));
    assert!(LanceDb::search(config(), &ours).await.err().expect("refused").message.contains("was not made by"));
    database.drop_table("chunks", &[]).await.expect("dropped");

    let missing = LanceDb::search(config(), &ours).await.err().expect("refused");
    assert!(missing.message.starts_with("no table `chunks` in `"), "{missing}");
    assert!(missing.message.ends_with(": run `docmill run` first"), "{missing}");
    close(&open(base.path()).await).await;
    for (model, dimensions) in [("other", DIMENSIONS), ("model", 8)] {
        let mut cx = context(base.path());
        cx.embedding = Some(docmill_api::Embedding { model: model.into(), dimensions });
        let message = refused(&cx).await;
        assert!(message.contains(&format!("this pipeline makes vectors of `{model}` with {dimensions}")), "{message}");
    }
    LanceDb::build(config(), &ours).await.expect("still ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_behind_the_last_barrier_is_gone_after_a_cut_and_nothing_else() {
    let base = tempfile::tempdir().expect("tempdir");
    let cx = Context::detached();
    let (one, two) = (document("file:///one.txt", "one"), document("file:///two.txt", "two"));
    {
        let sink = open(base.path()).await;
        sink.barrier(&cx).await.expect("synced");
        write(&sink, vec![chunks(&one, "kept", 0..2)]).await;
        sink.barrier(&cx).await.expect("synced");
        write(&sink, vec![chunks(&two, "lost", 0..2)]).await;
    }
    // As a power cut may leave it: the newest manifest is empty, so that the table cannot be opened.
    let versions = base.path().join("store/chunks.lance/_versions");
    let mut manifests: Vec<_> = std::fs::read_dir(&versions).expect("listed").flatten().collect();
    manifests.sort_by_key(std::fs::DirEntry::file_name);
    std::fs::write(manifests[0].path(), b"").expect("emptied");
    assert!(LanceDb::search(config(), &context(base.path())).await.is_err(), "it cannot be read as it is");
    {
        let sink = open(base.path()).await;
        assert_eq!(texts(base.path()).await, ["kept part0 of one.txt", "kept part1 of one.txt"]);
        sink.barrier(&cx).await.expect("synced");
        write(&sink, vec![chunks(&two, "again", 0..1)]).await;
        sink.barrier(&cx).await.expect("synced");
        sink.close(&cx).await.expect("closed");
    }
    // Closed: what another program commits then is not dropped. Without barriers nothing is dropped either.
    table(base.path()).await.delete("document = 'nobody'").await.expect("a commit of somebody else");
    let sink = open(base.path()).await;
    write(&sink, vec![chunks(&document("file:///three.txt", "three"), "unsynced", 0..1)]).await;
    drop(sink);
    open(base.path()).await;
    assert_eq!(texts(base.path()).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_stay_few_however_many_commits_there_are() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    for number in 0..300 {
        let document = document(&format!("file:///{number}.txt"), &number.to_string());
        write(&sink, vec![chunks(&document, "grain", 0..1)]).await;
    }
    let table = table(base.path()).await;
    let fragments = table.as_native().expect("a directory").num_small_files(usize::MAX).await.expect("counted");
    assert!(fragments < 128, "{fragments} files, and the run is not over");
    assert_eq!(texts(base.path()).await.len(), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nearest_are_found_through_an_index_as_without() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let many: Vec<_> = (0..40).map(|number| document(&format!("file:///{number}.txt"), &number.to_string())).collect();
    write(&sink, many.iter().map(|document| chunks(document, "flour", 0..12)).collect()).await;
    let search = reader(base.path()).await;
    let near = async || {
        let hits = search.nearest(&[1.0, 2.0, 0.5, -1.0], 40, &Filter::default()).await.expect("searched");
        assert!(hits.iter().all(|hit| hit.ordinal == 2 && (hit.score - 1.0).abs() < 1e-5));
        hits.into_iter().map(|hit| hit.id).collect::<std::collections::BTreeSet<_>>()
    };
    let without = near().await;
    let table = table(base.path()).await;
    for _ in 0..2 {
        // Made, then added to.
        let indexes = table.list_indices().await.expect("listed");
        super::index::cover_vectors(&table, &indexes, 480, 1).await.expect("indexed");
        assert!(table.list_indices().await.expect("listed").iter().any(|index| index.columns == ["vector"]));
        assert_eq!(near().await, without);
    }
    let indexes = table.list_indices().await.expect("listed");
    super::index::cover_vectors(&table, &indexes, 480, 481).await.expect("too few");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search_finds_by_vector_by_words_and_below_a_filter_with_quotes_in_it() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let mut quoted = (*document("file:///it's \"here\".txt", "apples")).clone();
    quoted.session_id = Some("o'brien\" OR '1'='1".into());
    quoted.user_id = Some("back\\slash".into());
    let (quoted, plain) = (Arc::new(quoted), document("file:///plain.txt", "pears"));
    write(&sink, vec![chunks(&quoted, "Apples crème", 0..3), chunks(&plain, "pears 東京", 0..3)]).await;
    settle(&sink, &[&quoted, &plain], true).await.expect("settled");

    let search = reader(base.path()).await;
    let everything = Filter::default();
    // Before the run ends there is no index; the same must be found with one, and with rows behind it.
    for round in 0..3 {
        let hits = search.nearest(&[1.0, 2.0, 0.5, -1.0], 2, &everything).await.expect("searched");
        assert_eq!(hits.iter().map(|hit| hit.ordinal).collect::<Vec<_>>(), [2, 2], "round {round}");
        assert!((hits[0].score - 1.0).abs() < 1e-5, "the cosine of equal vectors, not {}", hits[0].score);
        for words in ["apple", "APPLES and such", "creme"] {
            let hits = search.matching(words, 10, &everything).await.expect("searched");
            assert_eq!(hits.len(), 3, "`{words}` in round {round}");
            assert!(hits.iter().all(|hit| hit.score > 0.0 && hit.uri == quoted.uri));
        }
        assert_eq!(search.matching("nowhere", 10, &everything).await.expect("searched"), []);
        assert_eq!(search.matching(" '\" ", 10, &everything).await.expect("searched"), []);
        let filters = [
            Filter { session_id: quoted.session_id.clone(), ..Filter::default() },
            Filter { user_id: quoted.user_id.clone(), ..Filter::default() },
            Filter { document: Some(quoted.uri.clone()), media_type: Some("text/plain".into()), ..Filter::default() },
        ];
        for filter in &filters {
            let hits = search.matching("apples pears", 10, filter).await.expect("searched");
            assert_eq!(hits.len(), 3, "{filter:?} in round {round}");
            assert!(hits.iter().all(|hit| hit.document == quoted.id.to_string()));
            assert_eq!(search.nearest(&[1.0, 0.0, 0.0, 0.0], 10, filter).await.expect("searched").len(), 3);
        }
        let nobody = Filter { user_id: Some("x' OR 'a'='a".into()), ..Filter::default() };
        assert_eq!(search.nearest(&[1.0, 0.0, 0.0, 0.0], 10, &nobody).await.expect("searched"), []);
        assert_eq!(search.matching("apples", 10, &nobody).await.expect("searched"), []);
        if round == 0 {
            close(&sink).await;
        } else {
            let more = document("file:///more.txt", "more");
            write(&sink, vec![chunks(&more, "cherries", 5..6)]).await;
            settle(&sink, &[&more], true).await.expect("settled");
            assert_eq!(search.matching("cherries", 10, &everything).await.expect("searched").len(), 1);
        }
    }
    let info = search.info().await.expect("read");
    assert_eq!((info.rows, info.embedding), (7, context(base.path()).embedding));
    let hit = &search.matching("creme part1", 1, &everything).await.expect("searched")[0];
    assert_eq!(hit.heading, ["Top", "Section 1"]);
    assert_eq!((hit.page, hit.line_start, hit.line_end), (Some(2), Some(11), None));
    assert_eq!(hit.title.as_deref(), Some("A \"title\""));
    let nowhere = search.nearest(&[0.0; DIMENSIONS], 3, &everything).await.expect("searched");
    assert_eq!(nowhere, [], "a vector of noughts has no direction");
    let error = search.nearest(&[1.0; 3], 3, &everything).await.expect_err("refused");
    assert!(error.message.contains("3 dimensions") && error.message.contains("`model` with 4"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_commits_end_as_few_files_with_one_index() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let documents: Vec<_> = (0..60).map(|number| document(&format!("file:///{number}.txt"), "same")).collect();
    for document in &documents {
        write(&sink, vec![chunks(document, "word", 0..2)]).await;
        settle(&sink, &[document], true).await.expect("settled");
    }
    close(&sink).await;
    let table = table(base.path()).await;
    let stats = table.stats().await.expect("read");
    assert_eq!((stats.num_rows, stats.fragment_stats.num_fragments), (120, 1));
    let indexes = table.list_indices().await.expect("listed");
    assert_eq!(indexes.len(), 1);
    assert_eq!((indexes[0].num_indexed_rows, indexes[0].num_unindexed_rows), (Some(120), Some(0)));
    let search = reader(base.path()).await;
    assert_eq!(search.matching("word", 200, &Filter::default()).await.expect("searched").len(), 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sink_conforms() {
    let base = tempfile::tempdir().expect("tempdir");
    let mut registry = docmill_api::Registry::new();
    crate::register(&mut registry);
    let suite = docmill_testkit::conformance::Suite::new(&registry, "lancedb").embedding("model", 3);
    let suite = suite.with("uri", base.path().join("store").to_str().expect("UTF-8"));
    let sample = docmill_testkit::records::vectors("file:///a.txt", &["one", "two"], 3);
    suite.sample(sample).run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_has_one_writer_at_a_time_and_any_number_of_readers() {
    let base = tempfile::tempdir().expect("tempdir");
    let sink = open(base.path()).await;
    let Err(refused) = LanceDb::build(config(), &context(base.path())).await else { panic!("two writers") };
    assert_eq!(refused.class, docmill_api::ErrorClass::Fatal);
    assert!(refused.message.contains(&format!("process {} writes table `chunks`", std::process::id())), "{refused}");
    reader(base.path()).await;
    drop(sink);
    open(base.path()).await;
}
