//! `durability = "power"`: the power is cut in the midst of a run, on a file system of its own that then forgets what was
//! not on its disk. No document that the ledger had as done is lost, and one more run gives what a clean run gives.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::crash::{Rows, assert_mended, forget_all, rows, run, run_until, write_documents};
use super::pipeline::mill::{Mill, block_on};
use super::waiting::within;

const PATIENCE: Duration = Duration::from_secs(120);

/// How often the power is cut.
const CUTS: u32 = 20;

/// A file system in a file, mounted in a directory.
struct Disk {
    image: PathBuf,
    place: PathBuf,
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    output.is_ok_and(|output: Output| output.status.success())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

impl Disk {
    /// Makes and mounts it; `None` where this machine does not let a test do so.
    fn make(image: PathBuf, place: PathBuf) -> Option<Self> {
        fs::create_dir_all(&place).expect("made");
        fs::File::create(&image).and_then(|file| file.set_len(256 << 20)).expect("made");
        let disk = Self { image, place };
        let made = runs("mkfs.ext4", &["-q", "-F", text(&disk.image)]) && disk.mount();
        (made && disk.shutdown() && disk.mount_again()).then_some(disk)
    }

    fn mount(&self) -> bool {
        runs("mount", &["-o", "loop", text(&self.image), text(&self.place)])
    }

    fn mount_again(&self) -> bool {
        runs("umount", &[text(&self.place)]) && self.mount()
    }

    /// Cuts the power: from now on nothing reaches the disk, neither data nor journal (`EXT4_IOC_SHUTDOWN` with
    /// `NOLOGFLUSH`). Perl, because a call of the system's by number is no safe Rust.
    fn shutdown(&self) -> bool {
        let cut = "open(my $d, '<', $ARGV[0]) or die; my $how = pack('L', 2); ioctl($d, 0x8004587d, $how) or die;";
        runs("perl", &["-e", cut, text(&self.place)])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        runs("umount", &[text(&self.place)]);
    }
}

/// The documents that the ledger has as done: whoever asked was told so.
fn acknowledged(mill: &Mill) -> BTreeSet<String> {
    let mut command = mill.command("documents");
    let asked = within(PATIENCE, command.args(["--state", "done", "--format", "json"])).expect("an end");
    // Before the first run has made the ledger there is none to ask.
    let Ok(listed) = serde_json::from_slice::<serde_json::Value>(&asked.stdout) else { return BTreeSet::new() };
    let documents = listed["documents"].as_array().cloned().unwrap_or_default();
    documents.iter().filter_map(|document| Some(document["document"].as_str()?.to_owned())).collect()
}

/// What holds after a cut: what was acknowledged is still so, and is not done again; all else is.
async fn assert_whole(mill: &Mill, known: &BTreeSet<String>, expected: &Rows, cut: u32) {
    let still = acknowledged(mill);
    let lost: Vec<&String> = known.difference(&still).collect();
    assert!(lost.is_empty(), "cut {cut}: {lost:?} were done and are not");
    let report = run(mill, &[]);
    let unchanged = report["documents"]["unchanged"].as_u64().unwrap_or_default();
    // What archives and mails were found in is opened always, and counts as skipped.
    assert!(unchanged as usize >= known.len(), "cut {cut}: {known:?} {report}");
    assert_eq!(&rows(mill).await, expected, "cut {cut}");
}

/// Around every barrier, and what the ledger is told behind it.
const BARRIERS: [(&str, usize); 8] = [
    ("ledger.accepted", 2),
    ("store.after", 1),
    ("lancedb.syncing", 1),
    ("lancedb.syncing", 2),
    ("lancedb.synced", 2),
    ("ledger.sealed", 1),
    ("ledger.ended", 1),
    ("lancedb.pruned", 1),
];

#[test]
fn a_run_with_barriers_is_whole_after_a_kill_at_any_of_them() {
    block_on(async || {
        let mill = Mill::new().set("run.durability=\"power\"");
        write_documents(&mill, "millet");
        run(&mill, &[]);
        let expected = rows(&mill).await;
        for (point, passage) in BARRIERS {
            forget_all(&mill);
            run_until(&mill, point, passage);
            assert_mended(&mill, &expected, &format!("{point}:{passage}")).await;
        }
    });
}

#[test]
fn no_acknowledged_document_is_lost_in_twenty_power_cuts() {
    block_on(async || {
        let mill = Mill::new().set("run.durability=\"power\"");
        let Some(disk) = Disk::make(mill.path().join("disk.img"), mill.path().join(".docmill")) else {
            #[expect(clippy::print_stderr, reason = "a test says what it skips")]
            {
                eprintln!("not run: this machine lets no test make, mount and shut down an ext4 file system");
            }
            return;
        };
        write_documents(&mill, "flour");
        let start = Instant::now();
        run(&mill, &[]);
        let whole = start.elapsed();
        let expected = rows(&mill).await;
        let mut known_at_all = 0;
        for cut in 1..=CUTS {
            for entry in fs::read_dir(&disk.place).expect("listed").flatten() {
                let path = entry.path();
                let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                gone.expect("removed");
            }
            assert!(runs("sync", &["-f", text(&disk.place)]));
            // Batches of a few rows, so that documents are done all along.
            let mut command = mill.command("run");
            command.args([
                "--ui",
                "none",
                "--set",
                "stages.store.batch.items=4",
                "--set",
                "stages.embed.batch.items=4",
            ]);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
            // A moment of the run's, not one that anything waits for: wherever it falls, the same has to hold.
            thread::park_timeout(whole * cut / CUTS);
            let known = acknowledged(&mill);
            known_at_all += known.len();
            assert!(disk.shutdown());
            let _ = child.kill();
            let _ = child.wait();
            assert!(disk.mount_again(), "cut {cut}");
            assert_whole(&mill, &known, &expected, cut).await;
        }
        assert!(known_at_all > 0, "some were done before some cut");
    });
}
