//! A program of the user's in a running pipeline: whatever becomes of it, documents come to one end each, and no process
//! is left behind. The program is the Python template of `examples/python-stage`; skipped, and said so, where there is
//! no `python3`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use docmill::plan::Plan;
use docmill::runtime::{RunEnd, RunHandle, Topology};
use docmill_api::Registry;
use docmill_testkit::fakes::MemoryStore;

use super::support::{Ran, chain, finish, options, plan_with, registry};

/// Whether there is a Python to test with.
fn python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|ran| ran.status.success());
    if !found {
        #[expect(clippy::print_stderr, reason = "a test says what it skips")]
        {
            eprintln!("skipped: no python3 here");
        }
    }
    found
}

fn kinds() -> Registry {
    let mut registry = registry();
    docmill_exec::register(&mut registry);
    registry
}

/// The template with another `handle`, in a directory of its own.
struct Template(tempfile::TempDir);

impl Template {
    /// `body` is the body of `handle(document, payload, state)`; documents are called by their numbers.
    fn with(body: &str) -> Self {
        let template = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/python-stage/stage.py");
        let template = std::fs::read_to_string(template).expect("the template is there");
        let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
        let own = format!("import os, signal, time\ndef handle(document, payload, state):\n{body}\n");
        let code = template.replacen("class Skip(", &format!("{own}\nclass Skip("), 1);
        assert!(code.contains(&own), "the template has a place for it");
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("stage.py"), code).expect("written");
        Self(directory)
    }

    /// A pipeline of fakes with the program between parse and split.
    fn plan(&self, store: &str, count: usize, lines: &str) -> Plan {
        let text = chain(store, count, &[("stages.split", "inputs = [\"own\"]"), ("stages.split", "parts = 1")]);
        let directory = self.0.path().display();
        let own = format!(
            "[stages.own]\nkind = \"exec\"\ninputs = [\"parse\"]\ncommand = [\"python3\", \"stage.py\"]\n\
             directory = \"{directory}\"\nretry = {{ attempts = 3, min = \"1ms\", max = \"1ms\" }}\n{lines}\n"
        );
        plan_with(&format!("{text}{own}"), &kinds())
    }

    async fn start(&self, store: &str, count: usize, lines: &str) -> RunHandle {
        let plan = self.plan(store, count, lines);
        Topology::build(plan, &kinds(), &options()).await.expect("the program is there").run()
    }

    async fn run(&self, store: &str, count: usize, lines: &str) -> Ran {
        finish(self.start(store, count, lines).await).await
    }

    fn noted(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until the program has noted something.
    async fn noted_soon(&self, name: &str) -> Vec<String> {
        soon(|| !self.noted(name).is_empty()).await;
        self.noted(name)
    }
}

async fn soon(is_so: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it happens within a minute");
}

fn lives(id: &str) -> bool {
    let listed = Command::new("ps").args(["-o", "stat=", "-p", id]).output().expect("ps runs");
    let state = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// Who was stored.
fn stored(store: &str) -> Vec<String> {
    let mut names: Vec<String> = MemoryStore::named(store).rows().into_keys().map(|(name, _)| name).collect();
    names.sort();
    names
}

fn failures(ran: &Ran) -> Vec<(String, String, u32)> {
    let mut all: Vec<_> = ran
        .tally
        .failures
        .iter()
        .map(|failure| (failure.class.to_string(), failure.reason.clone(), failure.attempts))
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_go_through_a_program_and_come_out_stored() {
    if !python() {
        return;
    }
    let template = Template::with("print('a stray print', payload.kind)\nyield payload");
    let ran = template.run("exec-good", 20, "width = 2").await;
    assert!(matches!(ran.end, RunEnd::Completed), "{:?}", ran.end);
    assert_eq!((ran.snapshot.documents.done, stored("exec-good").len()), (20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_raises_fails_one_document_and_skips_another() {
    if !python() {
        return;
    }
    let template = Template::with(
        "if document['filename'] == '3':\n    raise KeyError('zorblax')\n\
         if document['filename'] == '4':\n    raise Skip('nothing in it')\n\
         if document['filename'] == '5':\n    raise Transient('busy')\nyield payload",
    );
    let ran = template.run("exec-raises", 8, "width = 1").await;
    assert!(matches!(ran.end, RunEnd::Completed), "{:?}", ran.end);
    let documents = ran.snapshot.documents;
    assert_eq!((documents.done, documents.skipped, documents.failed), (5, 1, 2));
    let told = [("rejected", "KeyError: 'zorblax'", 1), ("transient", "busy", 3)];
    assert_eq!(failures(&ran), told.map(|(class, message, attempts)| (class.into(), message.into(), attempts)));
    assert_eq!(stored("exec-raises"), ["0", "1", "2", "6", "7"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_killed_in_the_middle_gets_its_document_again() {
    if !python() {
        return;
    }
    // It kills itself on document 3 at the first attempt, on document 5 always, and crashes on document 6.
    let template = Template::with(
        "name = document['filename']\nopen('tried', 'a').write(name + '\\n')\n\
         first = open('tried').read().split().count(name) == 1\n\
         if (name == '3' and first) or name == '5':\n    os.kill(os.getpid(), signal.SIGKILL)\n\
         if name == '6':\n    os.kill(os.getpid(), signal.SIGSEGV)\nyield payload",
    );
    let ran = template.run("exec-kill", 10, "width = 1").await;
    assert!(matches!(ran.end, RunEnd::Completed), "{:?}", ran.end);
    assert_eq!((ran.snapshot.documents.done, ran.snapshot.documents.failed), (8, 2));
    let [crashed, killed] = &failures(&ran)[..] else { panic!("{:?}", failures(&ran)) };
    assert!(crashed.0 == "rejected" && crashed.1.contains("crashed (signal 11)") && crashed.2 == 1, "{crashed:?}");
    assert!(killed.0 == "transient" && killed.1.contains("was killed (signal 9)") && killed.2 == 3, "{killed:?}");
    let tried = template.noted("tried");
    let times = |name: &str| tried.iter().filter(|tried| *tried == name).count();
    assert_eq!((times("2"), times("3"), times("5"), times("6"), tried.len()), (1, 2, 3, 1, 13));
    assert_eq!(stored("exec-kill"), ["0", "1", "2", "3", "4", "7", "8", "9"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_somebody_kills_loses_no_document() {
    if !python() {
        return;
    }
    // The first to come waits to be killed; whoever comes after the kill goes through.
    let template = Template::with(
        "if not os.path.exists('waiting'):\n    open('waiting', 'w').write(f'{os.getpid()}\\n')\n    time.sleep(600)\n\
         yield payload",
    );
    let handle = template.start("exec-killed", 5, "width = 1").await;
    let waiting = template.noted_soon("waiting").await;
    let killed = Command::new("kill").args(["-9", &waiting[0]]).status().expect("kill runs");
    assert!(killed.success());
    let ran = finish(handle).await;
    assert!(matches!(ran.end, RunEnd::Completed), "{:?}", ran.end);
    assert_eq!((ran.snapshot.documents.done, stored("exec-killed").len()), (5, 5));
    let own = ran.snapshot.stages.iter().find(|stage| stage.id == "own").expect("it is there");
    assert_eq!((own.retries, own.failed), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_hangs_is_killed_at_the_timeout_and_its_document_tried_again() {
    if !python() {
        return;
    }
    let template = Template::with(
        "if document['filename'] == '1' and not os.path.exists('hung'):\n    \
         open('hung', 'w').write(f'{os.getpid()}\\n')\n    time.sleep(600)\nyield payload",
    );
    let ran = template.run("exec-hang", 4, "width = 1\ntimeout = \"2s\"").await;
    assert!(matches!(ran.end, RunEnd::Completed), "{:?}", ran.end);
    assert_eq!((ran.snapshot.documents.done, stored("exec-hang").len()), (4, 4));
    let own = ran.snapshot.stages.iter().find(|stage| stage.id == "own").expect("it is there");
    assert!(own.timeouts >= 1, "the one that hung, and any that a slow machine adds");
    let hung = template.noted("hung");
    soon(|| !lives(&hung[0])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_cannot_start_ends_the_run_and_fails_no_document() {
    if !python() {
        return;
    }
    let template = Template::with("yield payload");
    let lines = "width = 1\nconfig = { mark = 7 }";
    let ran = template.run("exec-config", 5, lines).await;
    let RunEnd::Fatal { stage, error } = &ran.end else { panic!("{:?}", ran.end) };
    assert_eq!((stage.as_str(), &*error.message), ("own", "`python3` is not ready: `config.mark` must be a text"));
    assert_eq!(ran.snapshot.documents.failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_end_with_the_run() {
    if !python() {
        return;
    }
    let template = Template::with("open('ids', 'a').write(f'{os.getpid()}\\n')\nyield payload");
    let ran = template.run("exec-end", 6, "width = 2").await;
    assert_eq!(ran.snapshot.documents.done, 6);
    let ids = template.noted("ids");
    assert_eq!(ids.len(), 6);
    soon(|| ids.iter().all(|id| !lives(id))).await;
}

#[test]
fn what_goes_into_the_fingerprint_is_what_changes_the_rows() {
    let template = Template::with("yield payload");
    let print = |lines: &str| template.plan("exec-print", 1, lines).fingerprint;
    let before = print("");
    for same in ["env = [\"KEY\"]", "start_timeout = \"9s\"", "width = 7", "version = \"\"", "max_output = \"1MiB\""] {
        assert_eq!(print(same), before, "{same}");
    }
    for other in ["version = \"2\"", "config = { deep = { a = [1, 2.5, true] } }", "takes = [\"text\", \"blob\"]"] {
        assert_ne!(print(other), before, "{other}");
    }
}
