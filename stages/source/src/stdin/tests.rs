//! The source over real pipes, and once over the standard input of a real process.

use std::io::{PipeWriter, Write, pipe};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use docmill_api::{BuildContext, Digest, Registry};
use serde_json::json;

use super::*;

const LONG: Duration = Duration::from_secs(30);

fn over_a_pipe() -> (Stdin, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    (Stdin::new(reader, PathBuf::from("/here")), writer)
}

async fn next(source: &mut Stdin) -> Result<Option<SourceItem>, StageError> {
    tokio::time::timeout(LONG, source.next(&Context::detached())).await.expect("a line was written")
}

/// All that comes of this input.
async fn all(input: &[u8]) -> Vec<SourceItem> {
    let (mut source, mut writer) = over_a_pipe();
    let input = input.to_vec();
    let writing = std::thread::spawn(move || writer.write_all(&input).unwrap());
    let mut items = Vec::new();
    while let Some(item) = next(&mut source).await.unwrap() {
        items.push(item);
    }
    writing.join().unwrap();
    assert_eq!(next(&mut source).await.unwrap(), None, "the end stays the end");
    items
}

fn reason(item: &SourceItem) -> &str {
    item.metadata["error"].as_str().unwrap()
}

#[tokio::test]
async fn a_line_is_an_object_an_address_or_a_path() {
    let input = b"\xef\xbb\xbf{\"uri\": \"https://h.example/a?b={c}\", \"filename\": \"a.pdf\", \"media_type\": \"application/pdf\", \
        \"metadata\": {\"word\": \"zorblax\"}, \"session_id\": \"s\", \"user_id\": \"u\", \"size\": 7}\r\n\
        \n  \n\
        s3://bucket/key with space\n\
        docs/a b.md\n\
        ../up.md\n\
        /there/\xff.txt\n\
        {\"uri\": \"gone.md\", \"gone\": true}\n\
        file:///last.txt";
    let items = all(input).await;
    let uris: Vec<&str> = items.iter().map(|item| item.uri.as_str()).collect();
    let expected = [
        "https://h.example/a?b={c}",
        "s3://bucket/key with space",
        "file:///here/docs/a%20b.md",
        "file:///up.md",
        "file:///there/%FF.txt",
        "file:///here/gone.md",
        "file:///last.txt",
    ];
    assert_eq!(uris, expected);
    let first = &items[0];
    assert_eq!(
        (first.filename.as_str(), first.size, first.media_type.as_deref()),
        ("a.pdf", Some(7), Some("application/pdf"))
    );
    assert_eq!((first.session_id.as_deref(), first.user_id.as_deref()), (Some("s"), Some("u")));
    assert_eq!(first.metadata["word"], json!("zorblax"));
    assert!(items[5].gone && !items[6].gone);
}

#[tokio::test]
async fn the_size_of_a_file_that_is_there_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    std::fs::write(&path, "zorblax").unwrap();
    let items = all(path.to_str().unwrap().as_bytes()).await;
    assert_eq!((items[0].filename.as_str(), items[0].size), ("a.txt", Some(7)));
}

#[tokio::test]
async fn a_bad_line_fails_as_a_document_with_its_number_and_reason_and_the_next_is_read() {
    let mut input =
        b"{\"uri\": \"a\", \"user\": \"u\"}\n{nonsense\n\n{\"filename\": \"x\"}\n{\"uri\": \"\"}\n".to_vec();
    input.extend(b"{\"uri\": \"a\", \"size\": -1}\na\0b\n{\"uri\": \"a\xff\"}\n[1]\n");
    let items = all(&input).await;
    let lines: Vec<(&str, &str)> = items.iter().map(|item| (item.filename.as_str(), item.uri.as_str())).collect();
    let expected = [
        ("line 1", "unknown field `user`"),
        ("line 2", "key must be a string (column 2)"),
        ("line 4", "missing field `uri`"),
        ("line 5", "its `uri` is empty"),
        ("line 6", "-1"),
        ("line 7", "NUL"),
        ("line 8", "invalid unicode"),
    ];
    for ((line, uri), (expected, what)) in lines.iter().zip(expected) {
        assert_eq!(*line, expected, "{lines:?}");
        assert!(uri.starts_with(&format!("stdin:{expected}: ")) && uri.contains(what), "{uri} says not `{what}`");
    }
    assert_eq!(items[0].uri, format!("stdin:line 1: {}", reason(&items[0])));
    assert_eq!(items[7].uri, "file:///here/[1]", "what is no object is a path");
}

#[tokio::test]
async fn a_line_of_more_than_a_mebibyte_is_refused_and_one_of_just_that_is_not() {
    let most = (1 << 20) - 1;
    let mut input = vec![b'a'; most];
    input.push(b'\n');
    input.extend(vec![b'b'; 5 << 20]);
    input.extend(b"\nzorblax\n");
    let items = all(&input).await;
    assert_eq!(items.len(), 3);
    assert_eq!(items[0].filename.len(), most);
    assert_eq!(items[1].uri, "stdin:line 2: longer than 1 MiB");
    assert_eq!(items[2].filename, "zorblax");
}

#[tokio::test]
async fn lines_come_while_the_writer_pauses_and_a_caller_that_gives_up_loses_none() {
    let (mut source, mut writer) = over_a_pipe();
    assert!(source.waits());
    for number in 0..100 {
        // Nothing is written yet: asked and given up.
        let cx = Context::detached();
        let given_up = tokio::select! {
            biased;
            item = source.next(&cx) => Some(item),
            () = std::future::ready(()) => None,
        };
        assert_eq!(given_up, None);
        writeln!(writer, "/{number}").unwrap();
        assert_eq!(next(&mut source).await.unwrap().unwrap().filename, number.to_string());
    }
    drop(writer);
    assert_eq!(next(&mut source).await.unwrap(), None);
}

#[tokio::test]
async fn a_source_that_waits_for_its_writer_is_cancelled_at_once() {
    let (mut source, writer) = over_a_pipe();
    let cx = Context::detached();
    let cancel = cx.cancel.clone();
    let (answer, ()) =
        tokio::join!(async { tokio::time::timeout(LONG, source.next(&cx)).await.expect("cancelled") }, async {
            cancel.cancel();
        });
    assert!(answer.is_err(), "not as if the input were over");
    drop(writer);
}

#[tokio::test]
async fn nothing_is_read_before_it_is_asked_for_and_little_further_than_is_taken() {
    struct Counts(Arc<AtomicUsize>);
    impl Read for Counts {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0.fetch_add(1, Relaxed) == 10_000 {
                return Ok(0);
            }
            buffer[..3].copy_from_slice(b"/a\n");
            Ok(3)
        }
    }
    let read = Arc::new(AtomicUsize::new(0));
    let mut source = Stdin::new(Counts(Arc::clone(&read)), PathBuf::from("/"));
    assert_eq!(read.load(Relaxed), 0);
    let mut taken = 0;
    while next(&mut source).await.unwrap().is_some() {
        taken += 1;
        // What is in the channel, and one in the hand of the thread.
        let ahead = read.load(Relaxed) - taken;
        assert!(ahead <= LINES + 1, "{ahead} lines were read ahead");
    }
    assert_eq!(taken, 10_000);
}

#[tokio::test]
async fn an_input_that_breaks_ends_the_listing_with_an_error() {
    struct Breaks(bool);
    impl Read for Breaks {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(std::io::Error::other("zorblax"));
            }
            buffer[..3].copy_from_slice(b"/a\n");
            Ok(3)
        }
    }
    let mut source = Stdin::new(Breaks(false), PathBuf::from("/"));
    assert!(next(&mut source).await.unwrap().is_some());
    let error = next(&mut source).await.unwrap_err();
    assert_eq!(error.message, "standard input cannot be read after line 1: zorblax");
}

/// Run by the test below in a process of its own, whose standard input is a pipe.
#[tokio::test]
async fn child() {
    let Ok(expected) = std::env::var("DOCMILL_TEST_STDIN") else { return };
    let mut registry = Registry::new();
    crate::register(&mut registry);
    docmill_testkit::conformance::Suite::new(&registry, "stdin").run().await;
    let factory = registry.get("stdin").unwrap();
    let cx = |inputs: &[&str]| BuildContext {
        stage: "source".into(),
        base: std::env::temp_dir(),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        ..BuildContext::default()
    };
    assert!(factory.build(json!({}), &cx(&["a.pdf"])).await.is_err());
    assert!(factory.build(json!({}), &cx(&["-"])).await.is_ok());
    assert_eq!(expected, "set");
}

#[tokio::test]
async fn the_factory_reads_the_standard_input_of_its_process_and_keeps_the_contract() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stdin::tests::child", "--nocapture"])
        .env("DOCMILL_TEST_STDIN", "set")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"/a\n{\"uri\": \"https://h.example/\"}\nzorblax").unwrap();
    drop(input);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = tokio::time::timeout(LONG, output).await.expect("the child ends with its input").unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("1 passed"), "{told}{}", String::from_utf8_lossy(&output.stderr));
}
