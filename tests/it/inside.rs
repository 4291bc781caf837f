//! What was inside an archive and is no longer loses its rows: with the archive, or when that is opened again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::pipeline::mill::{Mill, block_on};
use super::waiting::within;

const PATIENCE: Duration = Duration::from_secs(120);

/// Packs the files of `from` into an archive.
fn pack(archive: &Path, from: &Path) {
    let packed = Command::new("tar").arg("-cf").arg(archive).arg("-C").arg(from).arg(".").status();
    assert!(packed.expect("tar is there").success());
}

fn run(mill: &Mill, command: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let ended = within(PATIENCE, mill.command(command).args(arguments)).expect("an end");
    (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

async fn stored(mill: &Mill) -> BTreeSet<String> {
    mill.store().await.rows().await.into_values().map(|hit| hit.filename).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_member_that_is_gone_loses_its_rows_with_the_next_run() {
    block_on(async || {
        let mill = Mill::new();
        let (outer, inner) = (mill.path().join("outer"), mill.path().join("inner"));
        fs::create_dir_all(&outer).expect("made");
        fs::create_dir_all(&inner).expect("made");
        let archive = mill.path().join("documents/all.tar");
        fs::write(outer.join("stays.txt"), "Barley is for the hens.").expect("written");
        fs::write(outer.join("goes.txt"), "Wheat is for the bakers.").expect("written");
        fs::write(inner.join("deep.txt"), "Rye is for the millers.").expect("written");
        pack(&outer.join("inner.tar"), &inner);
        pack(&archive, &outer);
        mill.write("beside.txt", "Oats are for the horses.");
        assert_eq!(run(&mill, "run", &[]).0, Some(0));
        assert_eq!(stored(&mill).await, names(&["beside.txt", "deep.txt", "goes.txt", "stays.txt"]));

        // The inner archive is as it was, and so is what is inside it.
        fs::remove_file(outer.join("goes.txt")).expect("removed");
        pack(&archive, &outer);
        let (code, told) = run(&mill, "run", &[]);
        assert!(code == Some(0) && told.contains("1 document is no longer there"), "{told}");
        assert_eq!(stored(&mill).await, names(&["beside.txt", "deep.txt", "stays.txt"]));

        fs::remove_file(outer.join("inner.tar")).expect("removed");
        pack(&archive, &outer);
        assert_eq!(run(&mill, "run", &[]).0, Some(0));
        assert_eq!(stored(&mill).await, names(&["beside.txt", "stays.txt"]), "and what was inside the inner one");

        let (code, told) = run(&mill, "forget", &["--document", "documents/all.tar"]);
        assert!(code == Some(0) && told.contains("2 documents forgotten"), "{told}");
        assert_eq!(stored(&mill).await, names(&["beside.txt"]));
    });
}

#[test]
fn an_archive_that_is_pruned_takes_what_was_inside_with_it() {
    block_on(async || {
        let mill = Mill::new();
        let outer = mill.path().join("outer");
        fs::create_dir_all(&outer).expect("made");
        fs::write(outer.join("inside.txt"), "Barley is for the hens.").expect("written");
        let archive = mill.path().join("documents/all.tar");
        pack(&archive, &outer);
        mill.write("beside.txt", "Oats are for the horses.");
        assert_eq!(run(&mill, "run", &[]).0, Some(0));
        fs::remove_file(&archive).expect("removed");
        // It is asked for, not found, and remembered as failed: gone all the same.
        assert_eq!(run(&mill, "run", &["documents/all.tar"]).0, Some(1));
        assert_eq!(run(&mill, "run", &["--prune"]).0, Some(0));
        assert_eq!(stored(&mill).await, names(&["beside.txt"]));
    });
}

#[test]
fn a_store_has_one_writer_whatever_the_state_directory() {
    let mill = Mill::new();
    mill.write("pipe.txt", "Somebody holds this store.");
    let lock = mill.path().join(".docmill/lance/.chunks.lock");
    fs::create_dir_all(lock.parent().expect("a directory")).expect("made");
    let held = fs::File::create(&lock).expect("made");
    held.lock().expect("nobody else has it");
    let (code, told) = run(&mill, "run", &["--set", "run.state=\"elsewhere\""]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("writes table `chunks`"), "{told}");
    drop(held);
    assert_eq!(run(&mill, "run", &["--set", "run.state=\"elsewhere\""]).0, Some(0));
}
