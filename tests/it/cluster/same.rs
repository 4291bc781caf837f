//! What several processes store is what one stores.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use docmill_testkit::moto::Moto;

use super::{MANY, Nats, PATIENCE, Process, blobs_left, until};
use crate::crash::{forget_all, rows, rows_at, run, write_documents};
use crate::pipeline::mill::{Mill, block_on};
use crate::waiting::within;

#[test]
fn three_workers_store_what_one_process_stores() {
    block_on(async || {
        let mill = Mill::new();
        let Some(nats) = Nats::start(mill.path()) else { return };
        write_documents(&mill, "flour");
        for number in 0..300 {
            mill.write(&format!("page-{number}.txt"), format!("Page {number} tells of wheel {}.\n", number * 7));
        }
        mill.write("empty.txt", "");
        mill.write("broken.pdf", "%PDF-1.4 and no more");
        let ended = |mill: &Mill| {
            let mut command = mill.command("run");
            let ended = within(PATIENCE, command.args(["--format", "json", "--ui", "none"])).expect("an end");
            let report: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("a report");
            (ended.status.code(), report["documents"].clone(), report["rows"].clone(), report["tokens"].clone())
        };
        let alone = ended(&mill);
        let expected = rows(&mill).await;
        assert!(expected.len() > 300, "a row of each at least");
        forget_all(&mill);

        let mill = nats.share(mill);
        let _workers: Vec<Process> = (0..3).map(|_| Process::start(&mill, "work")).collect();
        assert_eq!(ended(&mill), alone);
        assert_eq!(rows(&mill).await, expected);
        assert_eq!(blobs_left(&mill), 0, "no blob is left");
        let further = run_again(&mill);
        assert_eq!(further["documents"]["done"], 0, "{further}");
    });
}

#[test]
fn bytes_and_rows_go_through_an_object_store_as_through_a_directory() {
    block_on(async || {
        let mill = Mill::new();
        let Some(nats) = Nats::start(mill.path()) else { return };
        let Some(moto) = Moto::start().expect("it starts") else { return };
        moto.put("mill", b"").expect("a bucket");
        write_documents(&mill, "flour");
        for number in 0..MANY {
            mill.write(&format!("page-{number}.txt"), format!("Page {number} tells of wheel {}.\n", number * 7));
        }
        run(&mill, &[]);
        let expected = rows(&mill).await;
        forget_all(&mill);

        let endpoint = format!("s3.endpoint={:?}", moto.endpoint());
        let mill = nats
            .share(mill)
            .set("blobs.uri=\"s3://mill/between\"")
            .set(&format!("blobs.{endpoint}"))
            .set("stages.store.uri=\"s3://mill/tables\"")
            .set(&format!("stages.store.{endpoint}"))
            .variable("AWS_ACCESS_KEY_ID", "mill")
            .variable("AWS_SECRET_ACCESS_KEY", "grist");
        let _workers: Vec<Process> = (0..3).map(|_| Process::start(&mill, "work")).collect();
        let mut coordinator = Process::start(&mill, "run");
        let lease = || moto.keys("mill").expect("listed").iter().any(|key| key.starts_with("tables/chunks.writer/"));
        until(lease);
        let mut other = mill.command("run");
        other.args(["--set", "run.state=\"other\"", "--set", "queue.stream=\"other\"", "--ui", "none"]);
        let refused = within(PATIENCE, &mut other).expect("an end");
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(4) && said.contains("writes it, with another state directory"), "{said}");
        // Killed in the midst of it: who comes after it has its state directory, and so its lease.
        thread::park_timeout(Duration::from_secs(4));
        coordinator.kill();
        run(&mill, &[]);
        assert_eq!(rows_in(&moto, &mill).await, expected);
        let keys = moto.keys("mill").expect("listed");
        assert!(!keys.iter().any(|key| key.starts_with("between/")), "no blob is left: {keys:?}");
        assert_eq!(keys.iter().filter(|key| key.starts_with("tables/chunks.writer/")).count(), 1, "{keys:?}");

        let newest =
            keys.iter().filter(|key| key.starts_with("tables/chunks.lance/_versions/") && key.ends_with("manifest"));
        let newest = newest.min().expect("names count down");
        let head = moto.head(&format!("mill/{newest}")).expect("read");
        assert!(head.contains("x-amz-meta-docmill-epoch: 2"), "the second writer's: {head}");

        // Another state directory is another writer: welcome, once the first has given the lease back.
        let other =
            mill.command("run").args(["--set", "run.state=\"other\"", "--ui", "none"]).output().expect("it runs");
        assert_eq!(other.status.code(), Some(0), "{}", String::from_utf8_lossy(&other.stderr));
        assert_eq!(rows_in(&moto, &mill).await, expected, "every row was there already");
    });
}

/// The rows of the table in a store: it is one of LanceDB's, so that a copy of its files is read as any other.
async fn rows_in(moto: &Moto, mill: &Mill) -> BTreeMap<String, String> {
    let copy = mill.path().join("copy");
    let _ = fs::remove_dir_all(&copy);
    for key in moto.keys("mill").expect("listed").iter().filter(|key| key.starts_with("tables/")) {
        let file = copy.join(key);
        fs::create_dir_all(file.parent().expect("below it")).expect("made");
        fs::write(file, moto.get(&format!("mill/{key}")).expect("read")).expect("written");
    }
    rows_at(mill, "copy/tables").await
}

/// Where one document fails each time.
fn run_again(mill: &Mill) -> serde_json::Value {
    let mut command = mill.command("run");
    let ended =
        within(PATIENCE, command.args(["--format", "json", "--ui", "none", "--max-failed", "1"])).expect("an end");
    serde_json::from_slice(&ended.stdout).expect("a report")
}
