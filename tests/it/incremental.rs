//! What was done is not done again, whatever is turned that changes no row; and all of it is where a row would be another.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::pipeline::mill::{Mill, block_on};
use super::waiting::within;

const PATIENCE: Duration = Duration::from_secs(120);
const DOCUMENTS: u64 = 12;

fn run(mill: &Mill, arguments: &[&str]) -> Value {
    let mut command = mill.command("run");
    let ended = within(PATIENCE, command.args(["--ui", "none", "--format", "json"]).args(arguments)).expect("an end");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.code(), Some(0), "{err}\n{out}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// (done, unchanged)
fn told(report: &Value) -> (u64, u64) {
    let of = |state: &str| report["documents"][state].as_u64().expect("a count");
    (of("done"), of("unchanged"))
}

#[test]
fn what_changes_no_row_ingests_nothing_again_and_what_does_all_of_it() {
    block_on(async || {
        let mill = Mill::new();
        for number in 0..DOCUMENTS {
            let line = |line| format!("Line {line} of note {number}: the sluice is greased in spring, and the wheel. ");
            mill.write(&format!("{number}.txt"), (0..40).map(line).collect::<String>());
        }
        assert_eq!(told(&run(&mill, &[])), (DOCUMENTS, 0));
        let rows = mill.store().await.rows().await;
        for turned in [
            "stages.chunk.width=7",
            "stages.parse.timeout=\"77s\"",
            "stages.parse.isolation=\"thread\"",
            "stages.embed.batch.items=3",
            "stages.download.retry.attempts=9",
            "stages.store.queue=3",
            "run.memory=\"64MiB\"",
            "run.durability=\"power\"",
        ] {
            assert_eq!(told(&run(&mill, &["--set", turned])), (0, DOCUMENTS), "{turned}");
        }
        // The same store in another place is the same store.
        fs::rename(mill.path().join(".docmill/lance"), mill.path().join("moved")).expect("renamed");
        assert_eq!(told(&run(&mill, &["--set", "stages.store.uri=\"moved\""])), (0, DOCUMENTS), "uri");
        fs::rename(mill.path().join("moved"), mill.path().join(".docmill/lance")).expect("renamed");
        assert_eq!(mill.store().await.rows().await.len(), rows.len());

        let other = run(&mill, &["--set", "stages.chunk.tokens=100", "--set", "stages.chunk.overlap=10"]);
        assert_eq!(told(&other), (DOCUMENTS, 0), "every row is another");
        let smaller = mill.store().await.rows().await;
        assert!(smaller.len() > rows.len(), "{} rows, then {}", rows.len(), smaller.len());
        assert!(rows.keys().all(|id| !smaller.contains_key(id)));
        assert_eq!(told(&run(&mill, &["--set", "stages.store.uri=\"elsewhere\""])), (DOCUMENTS, 0), "an empty store");
    });
}

/// A web server that answers one page, with a tag, and says when it is asked for nothing but another; what it sent, by
/// status.
fn server(page: &'static Mutex<(&'static str, &'static str)>) -> (u16, Arc<Mutex<Vec<u16>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&sent);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let (tag, body) = *page.lock().expect("whole");
            let same = head.contains(&format!("if-none-match: {tag}"));
            told.lock().expect("whole").push(if same { 304 } else { 200 });
            let (status, body) = if same { ("304 Not Modified", "") } else { ("200 OK", body) };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nETag: {tag}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, sent)
}

#[test]
fn a_page_is_fetched_again_only_when_the_server_has_another() {
    static PAGE: Mutex<(&str, &str)> = Mutex::new(("\"one\"", "<p>The sluice is greased in spring.</p>"));
    block_on(async || {
        let (port, sent) = server(&PAGE);
        let mill = Mill::new().set("stages.download.allow.cidrs=[\"127.0.0.1/32\"]");
        let address = format!("http://127.0.0.1:{port}/page.html");
        assert_eq!(told(&run(&mill, &[&address])), (1, 0));
        assert_eq!(told(&run(&mill, &[&address])), (0, 1));
        assert_eq!(*sent.lock().expect("whole"), [200, 304]);
        // It is still known after a run that fetched nothing.
        assert_eq!(told(&run(&mill, &[&address])), (0, 1));
        let other = run(&mill, &[&address, "--set", "stages.chunk.tokens=100", "--set", "stages.chunk.overlap=10"]);
        assert_eq!(told(&other), (1, 0), "another pipeline needs the content");
        *PAGE.lock().expect("whole") = ("\"two\"", "<p>The wheel is greased in autumn.</p>");
        assert_eq!(told(&run(&mill, &[&address])), (1, 0));
        assert_eq!(*sent.lock().expect("whole"), [200, 304, 304, 200, 200]);
        let rows = mill.store().await.rows().await;
        assert!(!rows.is_empty() && rows.values().all(|row| row.text.contains("autumn")), "{rows:?}");
        assert_eq!(told(&run(&mill, &[&address, "--fresh"])), (1, 0), "nothing is known then");
    });
}
