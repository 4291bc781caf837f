//! Reading from disk.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use docmill_api::{Context, Digest, ErrorClass, StageError};
use serde_json::json;
use url::Url;

use super::{error, fetch, process, reference, stage};

fn location(path: &Path) -> String {
    Url::from_file_path(path).unwrap().into()
}

#[tokio::test]
async fn a_file_becomes_bytes_with_digest_size_and_type() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(OsStr::from_bytes(b"r\xfcb #1?.md"));
    fs::write(&path, "# hello").unwrap();
    let (document, bytes) = fetch(&stage(json!({})).await, &location(&path)).await;
    assert_eq!(bytes, b"# hello");
    assert_eq!(document.content, Some(Digest::from(*blake3::hash(b"# hello").as_bytes())));
    assert_eq!((document.size, document.media_type.as_deref()), (Some(7), Some("text/markdown")));
    assert!(document.metadata.is_empty() && document.version().is_some());
}

#[tokio::test]
async fn sizes_around_the_limit_and_around_a_read_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let stage = stage(json!({ "max_bytes": "9MiB" })).await;
    for size in [1usize, 31, 4 << 20, (4 << 20) + 1, 8 << 20, 9 << 20] {
        let path = dir.path().join(size.to_string());
        let content: Vec<u8> = (0..size).map(|at| b'a' + (at % 23) as u8).collect();
        fs::write(&path, &content).unwrap();
        assert!(fetch(&stage, &location(&path)).await.1 == content, "{size}");
    }
    let path = dir.path().join("large");
    fs::write(&path, vec![b'x'; (9 << 20) + 1]).unwrap();
    let expected = "too large: 9.0MiB, more than `max_bytes` (9MiB)";
    assert_eq!(error(&stage, &location(&path)).await, StageError::rejected(expected));
}

#[tokio::test]
async fn what_cannot_be_read_says_why_and_is_not_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let stage = stage(json!({})).await;
    let cases = [
        (location(&dir.path().join("gone")), "not found"),
        (location(&socket.join("below")), "not found"),
        (location(dir.path()), "is a directory"),
        (location(&socket), "neither file nor directory: a pipe, socket or device"),
        (location(Path::new("/dev/zero")), "neither file nor directory: a pipe, socket or device"),
        ("file://elsewhere/share/a.txt".to_owned(), "its location is no path of this machine"),
    ];
    for (location, message) in cases {
        assert_eq!(error(&stage, &location).await, StageError::rejected(message), "{location}");
    }
    assert_eq!(error(&stage, "file:///tmp/a%00b").await.class, ErrorClass::Rejected);
}

#[tokio::test]
async fn a_file_or_directory_without_permission_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let closed = fs::Permissions::from_mode(0o000);
    let dir = tempfile::tempdir().unwrap();
    let (file, directory) = (dir.path().join("secret.txt"), dir.path().join("secrets"));
    fs::write(&file, "x").unwrap();
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&file, closed.clone()).unwrap();
    fs::set_permissions(&directory, closed).unwrap();
    if fs::read(&file).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    let stage = stage(json!({})).await;
    assert_eq!(error(&stage, &location(&file)).await, StageError::rejected("permission denied"));
    let expected = "is a directory that cannot be listed: permission denied";
    assert_eq!(error(&stage, &location(&directory)).await, StageError::rejected(expected));
}

#[tokio::test]
async fn an_empty_file_is_content_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty.txt");
    fs::write(&path, "").unwrap();
    let (records, skip) = process(&stage(json!({})).await, &location(&path)).await.unwrap().into_parts();
    assert_eq!((records.len(), skip.as_deref()), (1, None));
    assert!(records[0].document.version().is_some(), "what the file held before has to go");
}

#[tokio::test]
async fn a_cancelled_document_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.txt");
    fs::write(&path, "x").unwrap();
    let cx = Context::detached();
    cx.cancel.cancel();
    let outcome = stage(json!({})).await.process(&cx, reference(&location(&path))).await;
    assert_eq!(outcome.unwrap_err(), StageError::rejected("cancelled"));
}
