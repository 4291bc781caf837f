//! The real program killed, as `kill -9` does, at every step of a document's way: one more run brings the store to what a
//! clean run gives, and a further one does nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use docmill_api::Hit;
use serde_json::Value;

use super::pipeline::mill::{Mill, block_on, by_document};
use super::waiting::within;

/// When a process that hangs is given up. No outcome depends on it.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many small documents there are, besides an archive, a mail with attachments and a long text.
const DOCUMENTS: usize = 20;

/// Where the program is killed: a point, and after how many passages, so that the first, a middle and the last document
/// have their turn. Batches are few, so their points are passed once at least; documents are accepted sixteen together.
const POINTS: &[(&str, &[usize])] = &[
    ("ledger.accepting", &[1, 2]),
    ("ledger.accepted", &[1, 2]),
    ("download.before", &[1, 12, DOCUMENTS]),
    ("download.after", &[1, 12, DOCUMENTS]),
    ("parse.before", &[1, 12, DOCUMENTS]),
    ("parse.after", &[1, 12, DOCUMENTS]),
    ("chunk.after", &[1, 12, DOCUMENTS]),
    ("embed.before", &[1]),
    ("embed.after", &[1]),
    ("store.before", &[1]),
    ("store.after", &[1]),
    ("ledger.sealed", &[1]),
    ("ledger.settled", &[1]),
    ("ledger.ended", &[1]),
    ("store.closing", &[1]),
    ("lancedb.compacted", &[1]),
    ("lancedb.indexed", &[1]),
    ("lancedb.pruned", &[1]),
    ("ledger.closed", &[1]),
];

/// The same, where every document takes the place of an older version: half of all rows are deleted then, so that the
/// table is compacted.
const CHANGED: [&str; 7] = [
    "chunk.after",
    "embed.after",
    "store.before",
    "store.after",
    "ledger.sealed",
    "ledger.settled",
    "lancedb.compacted",
];

/// What a row says, by its id.
pub(crate) type Rows = BTreeMap<String, String>;

pub(crate) fn write_documents(mill: &Mill, content: &str) {
    for number in 0..DOCUMENTS {
        mill.write(
            &format!("note-{number:02}.md"),
            format!("# Note {number}\n\nThe {content} of note {number} is told here.\n"),
        );
    }
    let long: String =
        (0..1500).map(|line| format!("Sentence {line} speaks of {content} and the mill pond.\n")).collect();
    mill.write("long.txt", long);
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents");
    for name in ["bundle.zip", "order.eml"] {
        mill.write(name, fs::read(made.join(name)).expect("read"));
    }
}

pub(crate) fn forget_all(mill: &Mill) {
    let state = mill.path().join(".docmill");
    if state.exists() {
        fs::remove_dir_all(state).expect("removed");
    }
}

/// Runs it to its end; gives the report.
pub(crate) fn run(mill: &Mill, inputs: &[&str]) -> Value {
    let mut command = mill.command("run");
    let ended = within(PATIENCE, command.args(inputs).args(["--format", "json", "--ui", "none"])).expect("an end");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.code(), Some(0), "{err}\n{out}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

pub(crate) fn run_until(mill: &Mill, point: &str, passage: usize) {
    let mut command = mill.command("run");
    command.args(["--ui", "none"]).env("DOCMILL_CRASH_AT", format!("{point}:{passage}"));
    let ended = within(PATIENCE, &mut command).expect("an end");
    assert_eq!(ended.status.signal(), Some(9), "{point} was not passed {passage} times");
}

async fn hits(mill: &Mill) -> BTreeMap<String, Hit> {
    mill.store().await.rows().await
}

pub(crate) async fn rows(mill: &Mill) -> Rows {
    hits(mill).await.into_iter().map(|(id, hit)| (id, hit.text)).collect()
}

/// Those of a table elsewhere.
pub(crate) async fn rows_at(mill: &Mill, uri: &str) -> Rows {
    mill.store_at(uri).await.rows().await.into_iter().map(|(id, hit)| (id, hit.text)).collect()
}

/// One more run gives what a clean run gave, and a further one has nothing to do.
pub(crate) async fn assert_mended(mill: &Mill, expected: &Rows, what: &str) {
    run(mill, &[]);
    assert_eq!(&rows(mill).await, expected, "{what}");
    let further = run(mill, &[]);
    let of = |state: &str| further["documents"][state].as_u64().unwrap_or_default();
    assert_eq!((of("done"), of("failed"), of("unfinished")), (0, 0, 0), "{what}: {further}");
    assert_eq!(of("unchanged") + of("skipped"), of("seen"), "{what}");
}

#[test]
fn a_new_document_is_whole_after_a_crash_at_any_step() {
    block_on(async || {
        let mill = Mill::new();
        write_documents(&mill, "flour");
        run(&mill, &[]);
        let expected = rows(&mill).await;
        assert!(expected.len() > DOCUMENTS * 2, "chunks and summaries of all");
        for (point, passages) in POINTS {
            for passage in *passages {
                forget_all(&mill);
                run_until(&mill, point, *passage);
                assert_mended(&mill, &expected, &format!("{point}:{passage}")).await;
            }
        }
    });
}

#[test]
fn a_changed_document_is_the_old_one_or_the_new_one_after_a_crash_at_any_step() {
    block_on(async || {
        let mill = Mill::new();
        write_documents(&mill, "bran");
        run(&mill, &[]);
        let before = rows(&mill).await;
        let (state, kept) = (mill.path().join(".docmill"), mill.path().join("kept"));
        copy(&state, &kept);
        write_documents(&mill, "rye");
        mill.write("other.txt", "Somebody else lists this one alone.");
        run(&mill, &[]);
        let expected = rows(&mill).await;
        for point in CHANGED {
            for alone in [false, true] {
                forget_all(&mill);
                copy(&kept, &state);
                run_until(&mill, point, 1);
                if alone {
                    // Nobody lists the documents in doubt: each is put back, or finished.
                    run(&mill, &["documents/other.txt"]);
                    let found = hits(&mill).await;
                    for (document, found) in by_document(&found) {
                        let ids: Vec<&String> = found.iter().map(|hit| &hit.id).collect();
                        let whole = |rows: &Rows| ids.iter().all(|id| rows.contains_key(*id));
                        assert!(whole(&before) || whole(&expected), "{point}: {document} is neither");
                    }
                    let missing = before.len() + 1 - found.len().min(before.len() + 1);
                    assert_eq!(missing, 0, "{point}: no document is without its rows");
                }
                assert_mended(&mill, &expected, point).await;
            }
        }
    });
}

#[test]
fn what_a_crash_left_of_a_document_goes_when_that_fails() {
    block_on(async || {
        let mill = Mill::new();
        mill.write("other.txt", "Geese guard the yard.");
        let gone = mill.write("gone.txt", "Barley is for the hens.");
        run_until(&mill, "store.after", 1);
        assert!(hits(&mill).await.values().any(|hit| hit.filename == "gone.txt"), "its rows are there, its end is not");
        fs::remove_file(&gone).expect("removed");
        let mut command = mill.command("run");
        let ended = within(PATIENCE, command.args(["documents/gone.txt", "--ui", "none"])).expect("an end");
        assert_eq!(ended.status.code(), Some(1), "it is not found");
        assert!(hits(&mill).await.values().all(|hit| hit.filename != "gone.txt"), "nothing of it is kept");
    });
}

#[test]
fn nothing_is_lost_or_there_twice_after_fifty_kills_at_any_moment() {
    block_on(async || {
        let mill = Mill::new();
        write_documents(&mill, "oats");
        let start = Instant::now();
        run(&mill, &[]);
        let whole = start.elapsed();
        let expected = rows(&mill).await;
        forget_all(&mill);
        for kill in 1..=50 {
            let mut command = mill.command("run");
            let mut child = command.args(["--ui", "none"]).stdout(Stdio::null()).spawn().expect("it starts");
            // A moment of the run's, not one that anything waits for: wherever it falls, the same has to hold.
            thread::park_timeout(whole * kill / 50);
            let _ = child.kill();
            let _ = child.wait();
            run(&mill, &[]);
            assert_eq!(rows(&mill).await, expected, "kill {kill}");
            forget_all(&mill);
        }
    });
}

/// A small file system of its own, where this machine lets a test have one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(place: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(place).expect("made");
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], place);
        mounted.then(|| Self(place.to_owned()))
    }

    fn grow(&self, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], &self.0), "it was mounted once");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).stderr(Stdio::null()).status();
    }
}

fn mount(arguments: &[&str], place: &Path) -> bool {
    let mounted = Command::new("mount").args(arguments).arg(place).stderr(Stdio::null()).status();
    mounted.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_stops_the_run_and_it_goes_on_when_there_is_room() {
    block_on(async || {
        let mill = Mill::new();
        let Some(disk) = SmallDisk::mount(&mill.path().join(".docmill"), "1m") else {
            #[expect(clippy::print_stderr, reason = "a test says what it skips")]
            {
                eprintln!("not run: this machine lets no test mount a small file system");
            }
            return;
        };
        let lines =
            |note: usize| (0..500).map(move |line| format!("Line {line} of note {note} tells {}.\n", note * line));
        for note in 0..60 {
            mill.write(&format!("note-{note}.txt"), lines(note).collect::<String>());
        }
        let mut command = mill.command("run");
        let ended = within(PATIENCE, command.args(["--ui", "none"])).expect("an end");
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(4), "{told}");
        assert!(told.contains("No space left on device") || told.contains("disk is full"), "{told}");
        disk.grow("64m");
        let report = run(&mill, &[]);
        let documents = &report["documents"];
        assert_eq!(documents["done"].as_u64().zip(documents["unchanged"].as_u64()).map(|(a, b)| a + b), Some(60));
        let rows = hits(&mill).await;
        assert_eq!(by_document(&rows).len(), 60);
        assert_eq!(run(&mill, &[])["documents"]["unchanged"], 60);
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
