//! Documents that are made to hurt, all in one run with good ones: each comes to its end, with a reason in words where
//! that is no good one, and costs nobody but itself. Small on disk, and never written inflated.
//!
//! Where a sound reader gives what there is to read, that is the end: a bomb that is done has given a bounded text.

mod archives;
mod markup;
mod office;
mod pack;
mod pdf;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use docmill::query::Mode;
use docmill_api::Filter;
use rustix::fs::{CWD, FileType, mknodat};
use serde_json::Value;

use super::pipeline::mill::{Mill, block_on};
use super::waiting::within;

/// When a run that hangs is given up. No outcome depends on it.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a child may use of memory, and the engine for documents. The program itself counts as a child's, and is some
/// 400 MiB unoptimised; so does what other documents have left in a child.
const CHILD: u64 = 1 << 30;
const ENGINE: u64 = 256 << 20;

/// What the program takes before the first document, unoptimised; and what documents may take beyond `run.memory`: one
/// hand-over a stage, of a document's size.
const ITSELF: u64 = 384 << 20;
const BEYOND: u64 = 8 * (10 << 20);

/// A document, and what has to become of it.
struct Bomb {
    name: String,
    bytes: Vec<u8>,
    end: End,
    /// What has to become of the documents in it, by their address within it.
    members: Vec<(String, End)>,
}

#[derive(Clone, Debug)]
enum End {
    Done,
    Skipped {
        stage: &'static str,
        reason: &'static str,
    },
    /// A dead letter, for one of these reasons.
    Failed {
        stage: &'static str,
        reasons: Vec<&'static str>,
    },
}

impl Bomb {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>, end: End) -> Self {
        Self { name: name.into(), bytes: bytes.into(), end, members: Vec::new() }
    }

    fn member(mut self, name: impl Into<String>, end: End) -> Self {
        self.members.push((name.into(), end));
        self
    }
}

impl End {
    fn skipped(stage: &'static str, reason: &'static str) -> Self {
        Self::Skipped { stage, reason }
    }

    fn failed(stage: &'static str, reason: &'static str) -> Self {
        Self::Failed { stage, reasons: vec![reason] }
    }

    /// Whichever a child runs out of first: that depends on the machine.
    fn exhausted() -> Self {
        Self::Failed { stage: "parse", reasons: vec!["out of memory: needs more than", "timed out after 20s"] }
    }
}

/// What became of a document.
#[derive(Debug)]
struct Ended {
    state: &'static str,
    stage: String,
    reason: String,
}

impl Ended {
    fn meets(&self, end: &End) -> bool {
        let says = |state: &str, stage: &str, reasons: &[&str]| {
            self.state == state && self.stage == stage && reasons.iter().any(|reason| self.reason.contains(reason))
        };
        match end {
            End::Done => self.state == "done",
            End::Skipped { stage, reason } => says("skipped", stage, &[reason]),
            End::Failed { stage, reasons } => says("failed", stage, reasons),
        }
    }
}

fn docmill(mill: &Mill, command: &str, arguments: &[&str]) -> Output {
    let mut prepared = mill.command(command);
    // The readers that every build has, and a place for temporary files of its own.
    prepared.env_remove("DOCMILL_PDFIUM").env("TMPDIR", mill.path().join("temporary"));
    within(PATIENCE, prepared.args(arguments)).expect("it ends by itself")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{output:?}"))
}

fn mill(timeout: &str) -> Mill {
    let mill = Mill::new()
        .set(&format!("stages.parse.timeout=\"{timeout}\""))
        .set(&format!("stages.parse.memory=\"{}MiB\"", CHILD >> 20))
        .set("stages.download.max_bytes=\"10MiB\"")
        .set("stages.download.archive_bytes=\"100MiB\"")
        .set("stages.download.allow.cidrs=[\"127.0.0.1/32\"]")
        .set(&format!("run.memory=\"{}MiB\"", ENGINE >> 20));
    fs::create_dir(mill.path().join("temporary")).expect("made");
    mill
}

/// Good documents of many formats.
fn write_good(mill: &Mill) -> Vec<String> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents");
    let names = [
        "flyer.pdf",
        "letter.docx",
        "notes.md",
        "book.epub",
        "stock.xlsx",
        "talk.pptx",
        "page.html",
        "open.ods",
        "report.odt",
        "paper.rtf",
        "old.xls",
        "data.json",
        "data.xml",
        "rows.csv",
        "tool.py",
        "plain.txt",
    ];
    for name in names {
        mill.write(name, fs::read(made.join(name)).expect("read"));
    }
    names.map(str::to_owned).into()
}

/// What a document is called in reports, without the directory.
fn called(path: &Path) -> String {
    within_documents(url::Url::from_file_path(path).expect("absolute").as_str())
}

fn within_documents(uri: &str) -> String {
    uri.split_once("/documents/").expect("it is there").1.to_owned()
}

/// What has to become of every document.
fn write_all(mill: &Mill) -> BTreeMap<String, End> {
    let mut expected: BTreeMap<String, End> = write_good(mill).into_iter().map(|name| (name, End::Done)).collect();
    let bombs = [archives::bombs(), markup::bombs(), office::bombs(), pdf::bombs()];
    for Bomb { name, bytes, end, members } in bombs.into_iter().flatten() {
        assert!(bytes.len() < 10 << 20, "{name} is too large for a bomb: {}", bytes.len());
        let name = called(&mill.write(&name, bytes));
        for (member, end) in members {
            expected.insert(format!("{name}#member={member}"), end);
        }
        assert!(expected.insert(name.clone(), end).is_none(), "{name} is there twice");
    }
    // A gibibyte of zeros that takes no room.
    let sparse = mill.write("sparse.txt", "");
    File::options().write(true).open(&sparse).expect("opened").set_len(1 << 30).expect("grown");
    expected.insert(called(&sparse), End::failed("download", "too large: 1GiB, more than `max_bytes` (10MiB)"));
    expected
}

/// What became of every document, by the report and the ledger.
fn outcomes(mill: &Mill, report: &Value) -> BTreeMap<String, Ended> {
    let mut all = BTreeMap::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let listed = json(&docmill(mill, "documents", &["--state", "done", "--limit", "10000", "--format", "json"]));
    for (list, state, reason) in [
        (&report["failures"], "failed", "error"),
        (&report["skips"], "skipped", "reason"),
        (&listed["documents"], "done", ""),
    ] {
        for each in list.as_array().expect("a list") {
            let ended = Ended { state, stage: text(&each["stage"]), reason: text(&each[reason]) };
            all.insert(within_documents(each["document"].as_str().expect("an address")), ended);
        }
    }
    all
}

fn make_pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).expect("a pipe");
}

/// That nothing a terminal obeys, and nothing that turns its text around, is in what was printed.
fn assert_printable(printed: &[u8], what: &str) {
    let text = String::from_utf8(printed.to_vec()).expect("UTF-8");
    let obeyed =
        |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let found: Vec<char> = text.chars().filter(obeyed).collect();
    assert!(found.is_empty(), "{what}: {found:?} in {text:?}");
}

/// The processes that work in a directory.
fn processes_in(directory: &Path) -> Vec<PathBuf> {
    let directory = directory.canonicalize().expect("it is there");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    processes.filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == directory)).collect()
}

/// That nobody works for a run that ended, once the last has seen that it did, and that nothing of it lies about.
fn assert_nothing_is_left(mill: &Mill) {
    let until = Instant::now() + PATIENCE;
    while !processes_in(mill.path()).is_empty() {
        assert!(Instant::now() < until, "{:?} stayed", processes_in(mill.path()));
        thread::yield_now();
    }
    let left: Vec<_> = fs::read_dir(mill.path().join("temporary")).expect("listed").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn each_comes_to_its_end_and_costs_nobody_else() {
    block_on(async || {
        let mill = mill("20s");
        let mut expected = write_all(&mill);
        make_pipe(&mill.path().join("documents/\u{1b}[31mpipe\u{9b}\u{202e}\n.txt"));
        let ran = docmill(&mill, "run", &["--format", "json", "--ui", "none"]);
        let told = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{told}");
        assert_nothing_is_left(&mill);
        let report = json(&ran);
        let mut wrong = Vec::new();
        for (name, ended) in outcomes(&mill, &report) {
            match expected.remove(&name) {
                Some(end) if ended.meets(&end) => {}
                end => wrong.push(format!("{name}: {ended:?} instead of {end:?}")),
            }
        }
        wrong.extend(expected.into_iter().map(|(name, end)| format!("{name}: nothing instead of {end:?}")));
        assert!(wrong.is_empty(), "{}\n{told}", wrong.join("\n"));

        let peak = report["peak_rss_bytes"].as_u64().expect("a number");
        assert!(peak < ENGINE + BEYOND + ITSELF + 2 * CHILD, "{peak}");
        let tokens = report["tokens"].as_u64().expect("a number");
        assert!(tokens < 1_000_000, "no bomb went off in a text: {tokens}");
        let store = mill.store().await;
        assert!(!store.ask(Mode::Text, "rye", &Filter::default()).await.is_empty(), "what bombs say is there");
        let found = store.ask(Mode::Text, "root", &Filter::default()).await;
        assert!(found.iter().all(|row| !row.text.contains("root:")), "no file of the machine's was read");

        // In words as in JSON, and a second run is no other.
        assert_printable(&ran.stderr, "the run");
        let commands: [(&str, &[&str]); 5] = [
            ("run", &["--ui", "none"]),
            ("failed", &[]),
            ("documents", &[]),
            ("documents", &["--state", "failed"]),
            ("documents", &["--state", "skipped"]),
        ];
        for (command, arguments) in commands {
            let printed = docmill(&mill, command, arguments);
            assert_printable(&[printed.stdout, printed.stderr].concat(), &format!("{command} {arguments:?}"));
        }
    });
}

/// A server that answers each request with a text without an end, and its address.
fn endless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 1024];
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunk = [b"4000\r\n".as_slice(), &[b'a'; 0x4000], b"\r\n"].concat();
            // Until the client hangs up.
            let mut sent = stream.read(&mut request).and_then(|_| stream.write_all(head));
            while sent.is_ok() {
                sent = stream.write_all(&chunk);
            }
        }
    });
    format!("http://{address}/endless.txt")
}

#[test]
fn what_has_no_end_is_not_waited_for() {
    let mill = mill("1s");
    mill.write("good.txt", "Rye is for the millers.");
    // A reader's time for these grows with the square of their number.
    mill.write("entities.html", format!("<p>{}", "&amp;".repeat(1 << 20)));
    make_pipe(&mill.path().join("documents/pipe.txt"));
    let url = endless();
    let inputs = ["documents/good.txt", "documents/entities.html", "documents/pipe.txt", "/dev/zero", &url];
    let ran = docmill(&mill, "run", &[&inputs[..], &["--format", "json", "--ui", "none"]].concat());
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_nothing_is_left(&mill);
    let report = json(&ran);
    assert_eq!(report["documents"]["done"], 1);
    let failures = report["failures"].as_array().expect("a list");
    assert_eq!(failures.len(), 4, "{failures:?}");
    for (ending, stage, reason) in [
        ("/documents/entities.html", "parse", "timed out after 1s"),
        ("/documents/pipe.txt", "download", "neither file nor directory: a pipe, socket or device"),
        ("/dev/zero", "download", "neither file nor directory: a pipe, socket or device"),
        ("/endless.txt", "download", "too large: more than `max_bytes` (10MiB)"),
    ] {
        let of = |failure: &&Value| failure["document"].as_str().is_some_and(|uri| uri.ends_with(ending));
        let failure = failures.iter().find(of).unwrap_or_else(|| panic!("{ending}: {failures:?}"));
        assert_eq!(failure["error"], reason, "{ending}");
        assert_eq!((failure["stage"].as_str(), failure["attempts"].as_u64()), (Some(stage), Some(1)), "{ending}");
    }
}
