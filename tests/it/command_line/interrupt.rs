//! Ctrl-C, as a signal to the real process. What is in hand when it comes is held by a server of the test's own, so
//! that no outcome depends on how fast the machine is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::super::pipeline::mill::{Mill, block_on};
use super::Ended;

/// Far more than are in hand at once (`WIDTH`), so that an interrupted run cannot have come to its end.
const DOCUMENTS: usize = 150;

/// So many are answered at once; whoever asks for another waits until the gate opens.
const FREE: usize = 3;

/// How many downloads are under way at once.
const WIDTH: usize = 2;

/// When a process that hangs is given up. No outcome depends on it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server of documents that answers when the test lets it.
struct Server {
    address: String,
    gate: Arc<(Mutex<bool>, Condvar)>,
    /// One message for every request that waits at the gate.
    waiting: Receiver<()>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let (waits, waiting) = mpsc::channel();
        let shared = Arc::clone(&gate);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (gate, waits) = (Arc::clone(&shared), waits.clone());
                // A client that has gone is no error of the test's.
                thread::spawn(move || answer(stream, &gate, &waits));
            }
        });
        Self { address, gate, waiting }
    }

    fn open(&self) {
        *self.gate.0.lock().expect("no one panicked") = true;
        self.gate.1.notify_all();
    }

    /// Waits until every download stands at the gate.
    fn wait_until_full(&self) {
        for _ in 0..WIDTH {
            self.waiting.recv_timeout(PATIENCE).expect("the run asks for documents");
        }
    }

    fn documents(&self) -> Vec<String> {
        (0..DOCUMENTS).map(|number| format!("{}/document-{number}.html", self.address)).collect()
    }
}

fn answer(mut stream: TcpStream, gate: &(Mutex<bool>, Condvar), waits: &Sender<()>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head);
    let number = head.split(['-', '.']).find_map(|part| part.parse::<usize>().ok()).unwrap_or(DOCUMENTS);
    if number >= FREE {
        let _ = waits.send(());
        let open = gate.0.lock().expect("no one panicked");
        drop(gate.1.wait_while(open, |open| !*open).expect("no one panicked"));
    }
    // Several chunks each (the test makes them short), so that half of a document could be stored.
    // HTML, so that children are at work, who must not be hit by what is meant for the run.
    let body: String =
        (0..8).map(|line| format!("<p>Line {line} of document {number} tells of the brook.</p>\n")).collect();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A run under way, and what it says on standard error.
struct Running {
    child: Child,
    said: Receiver<String>,
    heard: String,
}

impl Running {
    fn start(mill: &Mill, server: &Server) -> Self {
        let mut command = mill.command("run");
        command.args(server.documents()).args(["--format", "json"]);
        // A group of its own, as a terminal gives it to a command: Ctrl-C goes to every process of it.
        command.process_group(0);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("it is piped");
        let (says, said) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if says.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, said, heard: String::new() }
    }

    fn interrupt(&self) {
        let killed = Command::new("kill").args(["-INT", "--", &format!("-{}", self.child.id())]).status();
        assert!(killed.expect("there is a `kill`").success(), "the run has ended already: {}", self.heard);
    }

    /// Interrupts the run until it says that it has understood: a signal between two waits for one may be missed.
    fn interrupt_until(&mut self, answer: &str) {
        for _ in 0..PATIENCE.as_secs() {
            self.interrupt();
            while let Ok(line) = self.said.recv_timeout(Duration::from_secs(1)) {
                self.heard.push_str(&line);
                if line.starts_with(answer) {
                    return;
                }
            }
        }
        panic!("the run does not say `{answer}`: {}", self.heard);
    }

    /// Waits for the end, and reads the rest.
    fn end(mut self) -> Ended {
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) => self.heard.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("the run does not end: {}", self.heard);
                }
            }
        }
        let mut ended = Ended::from(self.child.wait_with_output().expect("it has ended"));
        ended.err = self.heard;
        ended
    }
}

fn mill() -> Mill {
    Mill::new()
        .set("stages.download.allow={cidrs=[\"127.0.0.0/8\"]}")
        .set(&format!("stages.download.width={WIDTH}"))
        .set("stages.download.queue=1")
        .set("stages.chunk.tokens=32")
        .set("stages.chunk.overlap=0")
}

/// The ids of the stored rows, by document.
fn stored(mill: Mill) -> (Mill, BTreeMap<String, BTreeSet<String>>) {
    block_on(async move || {
        let mut documents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (id, row) in mill.store().await.rows().await {
            documents.entry(row.uri).or_default().insert(id);
        }
        (mill, documents)
    })
}

/// Runs over all documents again, now without anything in the way; each is stored once, in several rows.
fn again(mill: Mill, server: &Server) -> BTreeMap<String, BTreeSet<String>> {
    server.open();
    let ended = Running::start(&mill, server).end();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let report = ended.json();
    let (documents, seen) = (&report["documents"], DOCUMENTS as u64);
    assert_eq!(documents["seen"], seen);
    assert_eq!(documents["done"].as_u64().zip(documents["unchanged"].as_u64()).map(|(a, b)| a + b), Some(seen));
    let (_, rows) = stored(mill);
    assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), server.documents().into_iter().collect());
    let counts: BTreeSet<usize> = rows.values().map(BTreeSet::len).collect();
    assert!(counts.len() == 1 && !counts.contains(&1), "documents alike have rows alike: {counts:?}");
    rows
}

#[test]
fn an_interrupted_run_finishes_what_is_in_hand_and_is_130() {
    let (mill, server) = (mill(), Server::start());
    let mut running = Running::start(&mill, &server);
    server.wait_until_full();
    running.interrupt_until("stopping: finishing what is in hand");
    server.open();
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    assert!(ended.err.contains("interrupted: 0 documents unfinished"), "{}", ended.err);
    let report = ended.json();
    let (seen, done) = (&report["documents"]["seen"], &report["documents"]["done"]);
    assert_eq!(seen, done, "what was in hand is done");
    let done = usize::try_from(done.as_u64().expect("a count")).expect("small");
    assert!((FREE + WIDTH..DOCUMENTS).contains(&done), "{done} documents");

    let (mill, before) = stored(mill);
    assert_eq!(before.len(), done, "what is done is stored, and nothing else");
    let after = again(mill, &server);
    for (uri, rows) in before {
        assert_eq!(rows, after[&uri], "{uri} was stored in part");
    }
}

#[test]
fn a_second_interrupt_ends_a_run_at_once_and_the_next_one_completes_it() {
    let (mill, server) = (mill(), Server::start());
    let mut running = Running::start(&mill, &server);
    server.wait_until_full();
    running.interrupt_until("stopping: finishing what is in hand");
    // The gate stays shut: what is in hand never ends by itself.
    running.interrupt_until("stopping now");
    let ended = running.end();
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    let documents = &ended.json()["documents"];
    assert!(documents["unfinished"].as_u64().is_some_and(|count| count >= WIDTH as u64), "{documents}");
    assert!(ended.err.contains("documents unfinished; the same command takes them up"), "{}", ended.err);
    again(mill, &server);
}
