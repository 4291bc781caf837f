//! The watch through its factory: real directories, and what the system really says of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::Duration;

use docmill_api::{BuildContext, CancellationToken, Digest, Node, StageFactory, defaults};
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::FilesFactory;

/// No test waits as long unless it fails.
const LONG: Duration = Duration::from_secs(30);

struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    fn of(files: &[&str]) -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap() };
        for file in files {
            tree.write(file, file);
        }
        tree
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    async fn watch(&self, changes: Value) -> Watcher {
        self.watch_from(changes, &[]).await
    }

    async fn watch_from(&self, changes: Value, inputs: &[String]) -> Watcher {
        let mut config = defaults(&FilesFactory::spec().fields);
        config["watch"] = json!(true);
        config["watch_quiet"] = json!("150ms");
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        let cx = BuildContext {
            stage: "source".into(),
            base: self.dir.path().to_owned(),
            fingerprint: Digest::of(&[]),
            embedding: None,
            inputs: inputs.to_vec(),
            ..BuildContext::default()
        };
        let Node::Source(source) = FilesFactory::build(serde_json::from_value(config).unwrap(), &cx).await.unwrap()
        else {
            panic!("`files` is a source")
        };
        Watcher { base: self.dir.path().to_owned(), source }
    }
}

struct Watcher {
    base: std::path::PathBuf,
    source: Box<dyn Source>,
}

impl Watcher {
    async fn next(&mut self) -> (String, bool) {
        let next = tokio::time::timeout(LONG, self.source.next(&Context::detached())).await;
        let item = next.expect("something is listed").unwrap().expect("a watch has no end");
        let Some(path) = Url::parse(&item.uri).unwrap().to_file_path().ok() else { return (item.uri, item.gone) };
        let name = path.strip_prefix(&self.base).unwrap_or(&path).to_string_lossy().into_owned();
        (name, item.gone)
    }

    /// The next items, whatever their order: what is there, and what is gone.
    async fn some(&mut self, count: usize) -> (Vec<String>, Vec<String>) {
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (name, is_gone) = self.next().await;
            if is_gone { gone.push(name) } else { there.push(name) }
        }
        there.sort();
        gone.sort();
        (there, gone)
    }

    /// What is listed until this file is, which was made last: so nothing else was.
    async fn until(&mut self, last: &str) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        loop {
            let (name, gone) = self.next().await;
            if name == last && !gone {
                return found;
            }
            found.push((name, gone));
        }
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn what_is_created_changed_renamed_and_deleted_is_listed() {
    let tree = Tree::of(&["a.txt", "d/b.txt", "d/e/c.txt"]);
    let mut watch = tree.watch(json!({})).await;
    assert_eq!(watch.some(3).await, (names(&["a.txt", "d/b.txt", "d/e/c.txt"]), vec![]));
    tree.write("d/new.txt", "zorblax");
    assert_eq!(watch.next().await, ("d/new.txt".into(), false));
    tree.write("a.txt", "changed");
    assert_eq!(watch.next().await, ("a.txt".into(), false));
    fs::rename(tree.path("d/b.txt"), tree.path("d/e/moved.txt")).unwrap();
    assert_eq!(watch.some(2).await, (names(&["d/e/moved.txt"]), names(&["d/b.txt"])));
    fs::remove_file(tree.path("a.txt")).unwrap();
    assert_eq!(watch.next().await, ("a.txt".into(), true));
    // Another file in the place of one, of its size and its time.
    let before = fs::metadata(tree.path("d/new.txt")).unwrap().modified().unwrap();
    tree.write("other/new.txt", "blaxzor");
    assert_eq!(watch.next().await, ("other/new.txt".into(), false));
    fs::File::options().append(true).open(tree.path("other/new.txt")).unwrap().set_modified(before).unwrap();
    assert_eq!(watch.next().await, ("other/new.txt".into(), false));
    fs::rename(tree.path("other/new.txt"), tree.path("d/new.txt")).unwrap();
    assert_eq!(watch.some(2).await, (names(&["d/new.txt"]), names(&["other/new.txt"])));
}

#[tokio::test]
async fn directories_come_and_go_with_all_that_is_in_them() {
    let tree = Tree::of(&["a.txt", "d/e/1.txt", "d/e/f/2.txt"]);
    let mut watch = tree.watch(json!({})).await;
    watch.some(3).await;
    tree.write("new/deep/er/x.txt", "zorblax");
    assert_eq!(watch.next().await, ("new/deep/er/x.txt".into(), false));
    tree.write("new/deep/er/y.txt", "watched as well");
    assert_eq!(watch.next().await, ("new/deep/er/y.txt".into(), false));
    fs::rename(tree.path("d/e"), tree.path("moved")).unwrap();
    assert_eq!(watch.some(4).await, (names(&["moved/1.txt", "moved/f/2.txt"]), names(&["d/e/1.txt", "d/e/f/2.txt"])));
    tree.write("moved/f/2.txt", "watched under its new name");
    assert_eq!(watch.next().await, ("moved/f/2.txt".into(), false));
    fs::remove_dir_all(tree.path("new")).unwrap();
    assert_eq!(watch.some(2).await, (vec![], names(&["new/deep/er/x.txt", "new/deep/er/y.txt"])));
    tree.write("new/deep/z.txt", "again");
    assert_eq!(watch.next().await, ("new/deep/z.txt".into(), false));
}

#[tokio::test]
async fn what_the_listing_leaves_out_the_watch_leaves_out() {
    let tree = Tree::of(&["a.txt", "docs/b.txt", "out/x.txt"]);
    tree.write(".gitignore", "out/\ndocs/secret.txt\n/docs/deep/*.log\n");
    let mut watch = tree.watch(json!({ "exclude": ["*.tmp", "docs/private"] })).await;
    assert_eq!(watch.some(2).await.0, ["a.txt", "docs/b.txt"]);
    for name in ["out/y.txt", "docs/secret.txt", "docs/deep/a.log", "c.tmp", "docs/private/k", ".env", ".docmill/l/m"] {
        tree.write(name, "left out");
    }
    tree.write("docs/deep/z.txt", "zorblax");
    assert_eq!(watch.until("docs/deep/z.txt").await, []);
    tree.write("docs/deep/b.log", "left out");
    tree.write("docs/deep/z.txt", "changed");
    assert_eq!(watch.until("docs/deep/z.txt").await, []);
}

#[tokio::test]
async fn an_ignore_file_that_changes_takes_files_away_and_brings_them_back() {
    let tree = Tree::of(&["a.txt", "out/x.txt", "out/deep/y.txt", "b.log"]);
    let mut watch = tree.watch(json!({})).await;
    watch.some(4).await;
    tree.write(".gitignore", "out/\n*.log\n");
    assert_eq!(watch.some(3).await, (vec![], names(&["b.log", "out/deep/y.txt", "out/x.txt"])));
    tree.write("out/x.txt", "left out");
    fs::remove_file(tree.path(".gitignore")).unwrap();
    assert_eq!(watch.some(3).await, (names(&["b.log", "out/deep/y.txt", "out/x.txt"]), vec![]));
}

#[tokio::test]
async fn a_file_that_is_written_to_is_listed_once_it_is_quiet() {
    let tree = Tree::of(&["a.txt"]);
    let mut watch = tree.watch(json!({ "watch_quiet": "2s" })).await;
    watch.some(1).await;
    let path = tree.path("slow.txt");
    let writer = std::thread::spawn(move || {
        let mut file = fs::File::create(path).unwrap();
        for _ in 0..100 {
            file.write_all(b"zorblax\n").unwrap();
            std::thread::park_timeout(Duration::from_millis(10));
        }
    });
    let next = tokio::time::timeout(LONG, watch.source.next(&Context::detached())).await;
    let item = next.unwrap().unwrap().unwrap();
    assert_eq!((item.filename.as_str(), item.size), ("slow.txt", Some(800)), "listed whole, and once");
    writer.join().unwrap();
    tree.write("last.txt", "");
    assert_eq!(watch.until("last.txt").await, []);
}

#[tokio::test]
async fn globs_and_single_files_are_watched_and_their_neighbours_are_not() {
    let tree = Tree::of(&["docs/a.md", "docs/b.txt", "one.txt", "two.txt", "docs/s/c.md"]);
    let include = json!(["docs/*.md", "one.txt", "late.txt", "later/**/*.md", "one.txt"]);
    let mut watch = tree.watch(json!({ "include": include })).await;
    assert_eq!(watch.some(3).await.0, ["docs/a.md", "late.txt", "one.txt"], "what is not there is listed to fail");
    for name in ["two.txt", "docs/c.txt", "docs/s/d.md", "other.txt"] {
        tree.write(name, "left out");
    }
    tree.write("late.txt", "zorblax");
    assert_eq!(watch.until("late.txt").await, []);
    tree.write("docs/new.md", "zorblax");
    assert_eq!(watch.until("docs/new.md").await, []);
    tree.write("later/deep/a.md", "zorblax");
    assert_eq!(watch.until("later/deep/a.md").await, []);
    fs::remove_file(tree.path("one.txt")).unwrap();
    assert_eq!(watch.next().await, ("one.txt".into(), true));
    fs::remove_dir_all(tree.path("docs")).unwrap();
    assert_eq!(watch.some(2).await, (vec![], names(&["docs/a.md", "docs/new.md"])));
    tree.write("docs/again.md", "zorblax");
    assert_eq!(watch.next().await, ("docs/again.md".into(), false));
}

#[tokio::test]
async fn a_file_that_two_entries_name_is_listed_once_each_time() {
    let tree = Tree::of(&["docs/a.md", "docs/s/b.md", "out/c.md"]);
    tree.write(".gitignore", "out\n");
    let include = json!(["docs/a.md", ".", "docs/**/*.md", "docs", "out"]);
    let mut watch = tree.watch(json!({ "include": include })).await;
    assert_eq!(watch.some(3).await.0, ["docs/a.md", "docs/s/b.md", "out/c.md"]);
    for name in ["docs/a.md", "docs/s/b.md", "out/c.md"] {
        tree.write(name, "changed");
    }
    tree.write("docs/last.md", "zorblax");
    let mut found = watch.some(4).await;
    found.0.dedup();
    assert_eq!(found, (names(&["docs/a.md", "docs/last.md", "docs/s/b.md", "out/c.md"]), vec![]));
    // A directory that an entry names by itself stays when the one around it is ignored.
    tree.write(".gitignore", "out\ndocs\n");
    tree.write("last.txt", "");
    assert_eq!(watch.until("last.txt").await.iter().filter(|(_, gone)| *gone).count(), 0);
}

#[tokio::test]
async fn links_are_followed_where_asked_and_loops_end() {
    let tree = Tree::of(&["real/a.txt", "x/b.txt"]);
    symlink(tree.path("real"), tree.path("x/dir")).unwrap();
    symlink(tree.dir.path(), tree.path("x/up")).unwrap();
    let mut watch = tree.watch(json!({ "include": ["x"], "follow_links": true })).await;
    // The link up leads to the tree's root, from where `x` is a loop and `real` is not.
    assert_eq!(watch.some(3).await.0, ["x/b.txt", "x/dir/a.txt", "x/up/real/a.txt"]);
    tree.write("real/new.txt", "zorblax");
    assert_eq!(watch.some(2).await.0, ["x/dir/new.txt", "x/up/real/new.txt"]);
    let mut plain = tree.watch(json!({ "include": ["x"] })).await;
    assert_eq!(plain.next().await.0, "x/b.txt");
    tree.write("real/other.txt", "left out");
    tree.write("x/last.txt", "zorblax");
    assert_eq!(plain.until("x/last.txt").await, []);
}

#[tokio::test]
async fn looking_now_and_then_finds_what_being_told_does() {
    let tree = Tree::of(&["a.txt", "d/b.txt"]);
    let mut watch = tree.watch(json!({ "watch_poll": "50ms", "include": [".", "gone.txt"] })).await;
    watch.some(3).await;
    tree.write("d/new.txt", "zorblax");
    assert_eq!(watch.next().await, ("d/new.txt".into(), false));
    tree.write("a.txt", "changed");
    assert_eq!(watch.next().await, ("a.txt".into(), false));
    tree.write("gone.txt", "here now");
    assert_eq!(watch.next().await, ("gone.txt".into(), false));
    fs::rename(tree.path("d"), tree.path("e")).unwrap();
    assert_eq!(watch.some(4).await, (names(&["e/b.txt", "e/new.txt"]), names(&["d/b.txt", "d/new.txt"])));
}

#[tokio::test]
async fn more_changes_than_are_remembered_are_all_found() {
    let dirs: Vec<String> = (0..7).map(|number| format!("d{number}/first.txt")).collect();
    let tree = Tree::of(&dirs.iter().map(String::as_str).collect::<Vec<_>>());
    let mut watch = tree.watch(json!({})).await;
    watch.some(7).await;
    // Nobody asks meanwhile, so that there is room for a part of the marks alone.
    for number in 0..6000 {
        tree.write(&format!("d{}/{number}.txt", number % 7), "zorblax");
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    while found.len() < 6000 {
        let (name, gone) = watch.next().await;
        assert!(!gone, "{name}");
        *found.entry(name).or_default() += 1;
    }
    assert!(found.values().all(|count| *count == 1));
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_fails_once_and_loses_no_document() {
    use std::os::unix::fs::PermissionsExt;
    let tree = Tree::of(&["a.txt", "d/b.txt"]);
    let mut watch = tree.watch(json!({})).await;
    watch.some(2).await;
    fs::set_permissions(tree.path("d"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(tree.path("d")).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    assert_eq!(watch.next().await, ("d".into(), false));
    fs::set_permissions(tree.path("d"), fs::Permissions::from_mode(0o755)).unwrap();
    tree.write("d/c.txt", "zorblax");
    assert_eq!(watch.until("d/c.txt").await, []);
}

#[tokio::test]
async fn a_watch_that_waits_is_cancelled_at_once_and_one_that_is_given_up_loses_nothing() {
    let tree = Tree::of(&["a.txt"]);
    let mut watch = tree.watch(json!({})).await;
    watch.some(1).await;
    for number in 0..20 {
        let name = format!("{number}.txt");
        tree.write(&name, "zorblax");
        let cx = Context::detached();
        // Polled and dropped wherever it stands, until it has an answer.
        let found = loop {
            let given_up = tokio::time::timeout(Duration::from_millis(1), watch.source.next(&cx)).await;
            if let Ok(item) = given_up {
                break item.unwrap().unwrap();
            }
        };
        assert_eq!(found.filename, name);
    }
    let cx = Context::new(CancellationToken::new(), 1);
    let cancel = cx.cancel.clone();
    let (answer, ()) =
        tokio::join!(async { tokio::time::timeout(LONG, watch.source.next(&cx)).await.expect("cancelled") }, async {
            cancel.cancel();
        });
    assert!(answer.is_err(), "not as if there were no more changes");
}

/// The watch itself, without its source: its time is ours.
fn watch_over(tree: &Tree) -> (Watch, Arc<Marks>) {
    let config = serde_json::from_value(defaults(&FilesFactory::spec().fields)).unwrap();
    let rules = crate::rules::Rules::new(&config, tree.dir.path().to_owned()).unwrap();
    let quiet = Quiet { quiet: Duration::from_secs(60), poll: Duration::ZERO };
    let watch = Watch::new(rules, tree.dir.path(), vec![".".into()], quiet);
    let marks = Arc::clone(watch.marks());
    (watch, marks)
}

/// What all turns at this time list, and when the next is due.
fn turns(watch: &mut Watch, now: Instant) -> (Vec<(String, bool)>, Option<Instant>) {
    let mut found = Vec::new();
    loop {
        let turn = watch.turn(now);
        found.extend(turn.items.into_iter().map(|item| (item.filename, item.gone)));
        if turn.until != Some(now) {
            return (found, turn.until);
        }
    }
}

#[test]
fn where_the_system_watches_no_more_directories_all_is_looked_at_now_and_then() {
    let tree = Tree::of(&["a.txt", "d/b.txt"]);
    let (mut watch, marks) = watch_over(&tree);
    assert_eq!(turns(&mut watch, Instant::now()).0.len(), 2);
    marks.hear(Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
    let (found, until) = turns(&mut watch, Instant::now() + Duration::from_secs(60));
    assert_eq!(found, []);
    tree.write("d/new.txt", "zorblax");
    fs::remove_file(tree.path("a.txt")).unwrap();
    // The first look finds it, the second finds it unchanged.
    let looked = until.expect("the next look is due at a time");
    assert_eq!(turns(&mut watch, looked).0, [("a.txt".to_owned(), true)]);
    let (found, _) = turns(&mut watch, looked + Duration::from_secs(60));
    assert_eq!(found, [("new.txt".to_owned(), false)]);
}

#[test]
fn documents_on_a_file_system_that_is_unmounted_are_kept() {
    let tree = Tree::of(&["a.txt", "d/b.txt"]);
    let (mut watch, marks) = watch_over(&tree);
    turns(&mut watch, Instant::now());
    let device = watch.entries[0].device.replace(u64::MAX);
    fs::remove_dir_all(tree.path("d")).unwrap();
    fs::remove_file(tree.path("a.txt")).unwrap();
    marks.hear(Ok(notify::Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan)));
    assert_eq!(turns(&mut watch, Instant::now() + Duration::from_secs(60)).0, []);
    watch.entries[0].device = device;
    marks.hear(Ok(notify::Event::new(notify::EventKind::Other).set_flag(notify::event::Flag::Rescan)));
    let gone = vec![("a.txt".to_owned(), true), ("b.txt".to_owned(), true)];
    assert_eq!(turns(&mut watch, Instant::now() + Duration::from_secs(60)).0, gone);
}

#[test]
fn a_watch_says_that_it_may_wait() {
    let tree = Tree::of(&[]);
    assert!(Watched::new(watch_over(&tree).0).waits());
}
