//! The source through its factory, over real directories.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use docmill_api::{BuildContext, Context, Digest, Node, Registry, Source, SourceItem, defaults};
use serde_json::{Value, json};
use url::Url;

use crate::lister::Lister;
use crate::rules::Rules;

fn factory() -> std::sync::Arc<dyn docmill_api::ErasedFactory> {
    let mut registry = Registry::new();
    crate::register(&mut registry);
    std::sync::Arc::clone(registry.get("files").unwrap())
}

fn config(changes: &Value) -> Value {
    let mut config = defaults(&factory().spec().fields);
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

async fn source(base: &Path, changes: Value, inputs: &[String]) -> Box<dyn Source> {
    let cx = BuildContext {
        stage: "source".into(),
        base: base.to_owned(),
        fingerprint: Digest::of(&[]),
        embedding: None,
        inputs: inputs.to_vec(),
        ..BuildContext::default()
    };
    match factory().build(config(&changes), &cx).await.unwrap() {
        Node::Source(source) => source,
        _ => panic!("`files` is a source"),
    }
}

async fn list_items(base: &Path, changes: Value, inputs: &[String]) -> Vec<SourceItem> {
    let mut source = source(base, changes, inputs).await;
    let mut items = Vec::new();
    while let Some(item) = source.next(&Context::detached()).await.unwrap() {
        items.push(item);
    }
    assert_eq!(source.next(&Context::detached()).await.unwrap(), None, "the end stays the end");
    items
}

/// Paths relative to `base`, in the order of the listing.
async fn list(base: &Path, changes: Value) -> Vec<String> {
    list_items(base, changes, &[]).await.iter().map(|item| relative(base, item)).collect()
}

fn relative(base: &Path, item: &SourceItem) -> String {
    let path = Url::parse(&item.uri).unwrap().to_file_path().unwrap();
    path.strip_prefix(base).unwrap_or(&path).to_string_lossy().into_owned()
}

/// How many links a listing says that it passed over.
fn links(base: &Path, changes: &Value) -> u64 {
    let config: crate::FilesConfig = serde_json::from_value(config(changes)).unwrap();
    let rules = Rules::new(&config, base.to_owned()).unwrap();
    let mut lister = Lister::new(rules, base.to_owned(), config.include);
    loop {
        let batch = lister.batch();
        if batch.last {
            return batch.links;
        }
    }
}

fn tree(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    dir
}

#[tokio::test]
async fn a_directory_gives_its_files_in_order_with_name_and_size() {
    let dir = tree(&["b.txt", "a/z.md", "a/b/c.pdf", "c.txt"]);
    let items = list_items(dir.path(), json!({}), &[]).await;
    let names: Vec<String> = items.iter().map(|item| relative(dir.path(), item)).collect();
    assert_eq!(names, ["a/b/c.pdf", "a/z.md", "b.txt", "c.txt"]);
    assert_eq!((items[0].filename.as_str(), items[0].size), ("c.pdf", Some(9)));
}

#[tokio::test]
async fn hidden_ignored_and_excluded_files_and_the_state_directory_are_left_out() {
    let dir =
        tree(&["a.txt", ".env", ".git/config", "out/x.txt", "b.tmp", "n/private/k", "n/c.log", "d.doc", ".docmill/l"]);
    fs::write(dir.path().join(".gitignore"), "out/\n").unwrap();
    fs::write(dir.path().join(".ignore"), "*.log\n").unwrap();
    fs::write(dir.path().join(".docmillignore"), "*.doc\n").unwrap();
    let exclude = json!(["*.tmp", "n/private"]);
    assert_eq!(list(dir.path(), json!({ "exclude": exclude })).await, ["a.txt"]);
    let all = list(dir.path(), json!({ "exclude": exclude, "ignore_files": false, "hidden": true })).await;
    let expected =
        [".docmillignore", ".env", ".git/config", ".gitignore", ".ignore", "a.txt", "d.doc", "n/c.log", "out/x.txt"];
    assert_eq!(all, expected);
}

#[tokio::test]
async fn what_is_named_is_taken_and_a_glob_is_not_a_name() {
    let dir = tree(&[".hidden.md", "out/x.txt", "docs/a.md", "docs/s/b.md", "docs/s/c.txt", "w[1].txt"]);
    fs::write(dir.path().join(".gitignore"), "out/\n").unwrap();
    let named = list(dir.path(), json!({ "include": [".hidden.md", "out/x.txt", "w[1].txt", "gone.pdf"] })).await;
    assert_eq!(named, [".hidden.md", "out/x.txt", "w[1].txt", "gone.pdf"], "one that does not exist is listed to fail");
    assert_eq!(list(dir.path(), json!({ "include": ["docs/**/*.md"] })).await, ["docs/a.md", "docs/s/b.md"]);
    assert_eq!(list(dir.path(), json!({ "include": ["docs/*"] })).await, ["docs/a.md"]);
    let nothing: [&str; 0] = [];
    assert_eq!(list(dir.path(), json!({ "include": ["gone/**/*", "*.nothing"] })).await, nothing);
}

#[tokio::test]
async fn a_file_that_two_entries_name_is_listed_once() {
    let dir = tree(&["docs/a.md", "docs/b.md"]);
    let include = json!(["docs/b.md", "docs", "./docs/*.md", "docs/../docs/a.md"]);
    assert_eq!(list(dir.path(), json!({ "include": include })).await, ["docs/b.md", "docs/a.md"]);
}

#[tokio::test]
async fn the_command_line_replaces_include_and_takes_addresses() {
    let dir = tree(&["a.md", "b.md"]);
    let inputs = [
        "https://example.org/a.pdf?x=*".to_owned(),
        "s3://bucket/prefix/**/[a-c]*.pdf".to_owned(),
        dir.path().join("*.md").to_str().unwrap().to_owned(),
        "src/lib.rs".to_owned(),
    ];
    let items = list_items(dir.path(), json!({ "include": ["nothing"] }), &inputs).await;
    assert_eq!([&items[0].uri, &items[1].uri], [&inputs[0], &inputs[1]], "an address is no glob");
    assert_eq!(items[2].filename, "a.md");
    assert_eq!(items.len(), 5);
    let here = Url::from_file_path(std::env::current_dir().unwrap().join("src/lib.rs")).unwrap();
    assert_eq!(items[4].uri, here.as_str(), "relative to the current directory, not to the pipeline's");
}

#[tokio::test]
async fn links_are_followed_only_where_asked_and_loops_end() {
    let dir = tree(&["real/a.txt", "x/b.txt"]);
    let path = dir.path();
    symlink(path.join("real"), path.join("x/dir")).unwrap();
    symlink(path.join("real/a.txt"), path.join("x/file.txt")).unwrap();
    symlink(path, path.join("x/up")).unwrap();
    symlink(path.join("nowhere"), path.join("x/broken")).unwrap();
    assert_eq!(list(path, json!({})).await, ["real/a.txt", "x/b.txt"]);
    assert_eq!((links(path, &json!({})), links(path, &json!({ "follow_links": true }))), (4, 0), "told once a listing");
    assert_eq!(links(path, &json!({ "include": ["x"], "exclude": ["broken"] })), 3);
    let followed = list(path, json!({ "include": ["x"], "follow_links": true })).await;
    assert!(
        followed.contains(&"x/dir/a.txt".to_owned()) && followed.contains(&"x/file.txt".to_owned()),
        "{followed:?}"
    );
    assert!(followed.contains(&"x/broken".to_owned()), "a broken link is listed to fail: {followed:?}");
    assert!(!followed.iter().any(|name| name.starts_with("x/up/x/up")), "{followed:?}");
    assert_eq!(list(path, json!({ "include": ["x/dir"] })).await, ["x/dir/a.txt"], "a link that is named is followed");
}

#[tokio::test]
async fn a_directory_that_cannot_be_listed_is_listed_itself_to_fail() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tree(&["a.txt", "closed/b.txt", "d.txt"]);
    fs::set_permissions(dir.path().join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(dir.path().join("closed")).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    assert_eq!(list(dir.path(), json!({})).await, ["a.txt", "closed", "d.txt"]);
    assert_eq!(list(dir.path(), json!({ "include": ["**/*.txt"] })).await, ["a.txt", "closed", "d.txt"]);
}

#[tokio::test]
async fn special_files_are_never_listed_below_a_directory() {
    let dir = tree(&["a.txt"]);
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s.txt")).unwrap();
    assert_eq!(list(dir.path(), json!({})).await, ["a.txt"]);
}

#[tokio::test]
async fn any_file_name_survives_the_way_through_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let names: [&[u8]; 7] =
        [b"a b#c?.txt", b"%41.txt", b"back\\slash", b"new\nline", b"\xff\xfe.txt", "ü".as_bytes(), b"'\"<>"];
    for name in names {
        fs::write(dir.path().join(OsStr::from_bytes(name)), "x").unwrap();
    }
    let mut found: Vec<Vec<u8>> = Vec::new();
    for item in list_items(dir.path(), json!({}), &[]).await {
        let path = Url::parse(&item.uri).unwrap().to_file_path().unwrap();
        assert!(path.exists(), "{}", item.uri);
        found.push(path.file_name().unwrap().as_bytes().to_vec());
    }
    let mut expected: Vec<Vec<u8>> = names.map(<[u8]>::to_vec).into();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn more_files_than_a_batch_come_once_each_even_if_a_caller_gives_up_waiting() {
    let names: Vec<String> = (0..1000).map(|number| format!("{number:04}.txt")).collect();
    let dir = tree(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut source = source(dir.path(), json!({}), &[]).await;
    let mut found = Vec::new();
    loop {
        // Polled once and dropped: what the walk found meanwhile must not be lost.
        let first = futures_poll_once(source.next(&Context::detached())).await;
        let next = match first {
            Some(next) => next,
            None => source.next(&Context::detached()).await,
        };
        let Some(item) = next.unwrap() else { break };
        found.push(item.filename);
    }
    assert_eq!(found, names);
}

async fn futures_poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_cancelled_listing_does_not_look_complete() {
    let dir = tree(&["a.txt"]);
    let mut source = source(dir.path(), json!({}), &[]).await;
    let cx = Context::detached();
    cx.cancel.cancel();
    assert!(source.next(&cx).await.is_err());
}

#[tokio::test]
async fn it_keeps_the_contract_of_every_stage() {
    let dir = tree(&["a.txt", "b/c.txt"]);
    let mut registry = Registry::new();
    crate::register(&mut registry);
    let include = json!([dir.path().to_str().unwrap()]);
    docmill_testkit::conformance::Suite::new(&registry, "files").with("include", include).run().await;
}

#[test]
fn a_bad_glob_and_an_unknown_field_are_issues() {
    let factory = factory();
    let issues = factory.validate(&config(&json!({ "include": ["ok/**", "a/["], "exclude": ["{"] })));
    let paths: Vec<String> = issues.iter().map(|issue| issue.path.join(".")).collect();
    assert_eq!(paths, ["include.1", "exclude.0"]);
    assert_eq!(factory.validate(&config(&json!({ "includes": [] }))).len(), 1);
    assert_eq!(factory.validate(&config(&json!({}))), []);
    for (quiet, issues) in [("0s", 1), ("2h", 1), ("1ms", 0)] {
        assert_eq!(factory.validate(&config(&json!({ "watch_quiet": quiet }))).len(), issues, "{quiet}");
    }
    assert!(factory.spec().fields.iter().all(|field| !field.changes_output));
}
