//! The real program: its exit codes, what it prints and where, and how it ends when it is interrupted.

mod interrupt;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::pipeline::mill::Mill;

/// A process that has ended, in text.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it prints text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    /// Standard output as the one JSON document that it has to be.
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

fn ended(command: &mut Command) -> Ended {
    command.output().expect("the program starts").into()
}

fn run(mill: &Mill, arguments: &[&str]) -> Ended {
    ended(mill.command("run").args(arguments))
}

/// Two documents that end well.
fn good() -> Mill {
    let mill = Mill::new();
    mill.write("sluice.md", "# Sluice\n\nThe sluice is greased every fourteen days.");
    mill.write("goose.txt", "Geese guard the yard.");
    mill
}

/// One that ends well, one that is broken, one that is empty.
fn mixed() -> Mill {
    let mill = Mill::new();
    mill.write("sluice.md", "# Sluice\n\nThe sluice is greased every fourteen days.");
    mill.write("broken.pdf", "%PDF-1.7\nand no more");
    mill.write("empty.txt", "");
    mill
}

#[test]
fn a_good_run_is_0_and_says_what_it_did() {
    let ended = run(&good(), &[]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
    assert!(ended.out.starts_with("2 documents in ") && ended.out.contains("2 done"), "{}", ended.out);
}

#[test]
fn more_failed_documents_than_allowed_is_1() {
    let mill = mixed();
    let ended = run(&mill, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.out.contains("broken.pdf (parse): broken"), "{}", ended.out);
    assert_eq!(run(&mill, &["--max-failed", "1"]).code, Some(0));
    let missing = run(&mill, &["documents/sluice.md", "documents/none.txt"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.out.contains("none.txt (download): not found"), "{}", missing.out);
}

#[test]
fn a_wrong_usage_is_2() {
    let mill = good();
    for arguments in
        [&["run", "--no-such-flag"][..], &["grind"], &[], &["search"], &["graph", "notes.md"], &["run", "--ui", "loud"]]
    {
        let mut command = Command::new(super::pipeline::mill::PROGRAM);
        let ended = ended(command.current_dir(mill.path()).args(arguments));
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.err);
        assert!(!ended.err.is_empty(), "{arguments:?} says nothing");
    }
}

#[test]
fn a_wrong_configuration_is_3_with_all_complaints_at_once() {
    let mill = good();
    let text = fs::read_to_string(mill.path().join("pipeline.toml")).expect("it is there");
    let text = text.replace("overlap = 64", "overlapp = 64").replace("kind = \"summarize\"", "kind = \"sumarize\"");
    fs::write(mill.path().join("pipeline.toml"), text).expect("written");
    let commands = ["run", "check", "search"];
    for name in commands {
        let mut command = mill.command(name);
        command.args(["--set", "stages.embed.width=0"]);
        let ended = ended(if name == "search" { command.arg("words") } else { &mut command });
        assert_eq!((ended.code, ended.out.as_str()), (Some(3), ""), "{name}: {}", ended.err);
        for part in [
            "`overlapp`",
            "did you mean `overlap`?",
            "pipeline.toml:",
            "^^^",
            "`sumarize`",
            "`width` in stage `embed`",
            "3 errors",
        ] {
            assert!(ended.err.contains(part), "{name} does not say {part}: {}", ended.err);
        }
    }
    assert!(!mill.path().join(".docmill").exists(), "work was begun");
    let missing = ended(mill.command("check").args(["--pipeline", "none.toml"]));
    assert_eq!((missing.code, missing.out.as_str()), (Some(3), ""));
    assert!(missing.err.contains("there is no `none.toml`"), "{}", missing.err);
}

#[test]
fn a_store_that_is_not_ours_is_4_before_any_work() {
    let mill = good().set("stages.store.uri=foreign");
    let foreign = mill.path().join("foreign");
    fs::create_dir(&foreign).expect("made");
    fs::write(foreign.join("letters.txt"), "not a table").expect("written");
    let ended = run(&mill, &["--format", "json"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""), "{}", ended.err);
    assert!(ended.err.contains("stage `store`") && ended.err.contains("letters.txt"), "{}", ended.err);
    let left: Vec<_> = fs::read_dir(&foreign).expect("readable").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["letters.txt"]);
}

#[test]
fn a_store_that_is_not_there_is_4_for_a_search() {
    let ended = ended(good().command("search").arg("geese"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(4), ""), "{}", ended.err);
    assert!(ended.err.contains("docmill run"), "{}", ended.err);
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

fn words(text: &'static str) -> BTreeSet<&'static str> {
    text.split_whitespace().collect()
}

#[test]
fn a_report_has_the_keys_that_are_promised_and_its_counts_add_up() {
    let mill = mixed();
    let file = mill.path().join("report.json");
    let ended = run(&mill, &["--format", "json", "--results", "--report", "report.json"]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let report = ended.json();
    let top = "version run pipeline started seconds documents bytes chunks tokens rows documents_per_second document_ms \
               peak_rss_bytes cpu_seconds bottleneck stages services failures skips results";
    assert_eq!(keys(&report), words(top));
    assert_eq!(report["version"], 1);
    let states = "seen done unchanged skipped failed cancelled unfinished";
    assert_eq!(keys(&report["documents"]), words(states));
    let count = |state: &str| report["documents"][state].as_u64().expect("a count");
    assert_eq!(count("seen"), states.split(' ').skip(1).map(count).sum::<u64>());
    assert_eq!((count("seen"), count("done"), count("failed"), count("skipped")), (3, 1, 1, 1));
    assert_eq!(keys(&report["bottleneck"]), words("stage resource because"));
    assert_eq!(keys(&report["stages"]), words("source download parse chunk summarize embed store"));
    let stage = "kind tier width in out failed retries timeouts busy_seconds held_seconds held_by blocked_seconds \
                 starved_seconds cpu_seconds service_ms queue workers";
    for reported in report["stages"].as_object().expect("stages").values() {
        assert_eq!(keys(reported), words(stage));
        assert_eq!(keys(&reported["service_ms"]), words("p50 p95 p99 max"));
        assert_eq!(keys(&reported["queue"]), words("capacity mean max"));
        assert_eq!(keys(&reported["workers"]), words("crashed timed_out out_of_memory"));
    }
    assert_eq!(keys(&report["failures"][0]), words("document stage class error attempts"));
    assert_eq!(report["failures"][0]["class"], "rejected");
    assert_eq!(keys(&report["skips"][0]), words("document stage reason"));
    let result = "success document filename filetype is_code_file total_chunks token_count strategy summary message \
                  peak_bytes";
    let results = report["results"].as_array().expect("results");
    assert_eq!(results.len(), 3);
    for told in results {
        assert_eq!(keys(told), words(result));
    }
    let written: Value = serde_json::from_str(&fs::read_to_string(file).expect("written")).expect("JSON");
    assert_eq!(written, report, "the file and standard output");
}

#[test]
fn json_is_all_that_standard_output_holds() {
    let mill = good();
    let ended = run(&mill, &["--format", "json", "--ui", "plain"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let report = ended.json();
    assert!(report.get("results").is_none(), "nobody asked for them");
    assert_eq!(report["rows"], 2);

    let answer = self::ended(mill.command("search").args(["how often is the sluice greased", "--format", "json"]));
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    let answer = answer.json();
    assert_eq!(answer["query"], "how often is the sluice greased");
    let first = &answer["hits"][0];
    assert_eq!(first["filename"], "sluice.md");
    assert!(
        first["uri"].as_str().is_some_and(|uri| uri.starts_with("file:///") && uri.ends_with("/documents/sluice.md"))
    );
    assert_eq!(first["heading"], serde_json::json!(["Sluice"]));
    let (text, matches) = (&first["snippet"]["text"], &first["snippet"]["matches"]);
    let (text, range) = (text.as_str().expect("text"), matches[0].as_array().expect("a range"));
    let at = |index: usize| usize::try_from(range[index].as_u64().expect("a place")).expect("small");
    assert!(!text[at(0)..at(1)].is_empty(), "{first}");
}

#[test]
fn a_search_is_shown_with_its_place_and_takes_its_filters() {
    let mill = good();
    assert_eq!(run(&mill, &[]).code, Some(0));
    let search = |arguments: &[&str]| ended(mill.command("search").args(arguments));
    for mode in ["hybrid", "vector", "text"] {
        let found = search(&["sluice", "--mode", mode, "-k", "1"]);
        assert_eq!((found.code, found.err.as_str()), (Some(0), ""), "{mode}");
        assert!(found.out.starts_with("1. ") && !found.out.contains("\n2. "), "{}", found.out);
        let (place, snippet) = ("documents/sluice.md:1-3", "«sluice»");
        assert!(found.out.contains(place) && found.out.contains(snippet), "{mode}: {}", found.out);
    }
    let named = search(&["sluice", "--document", "documents/sluice.md"]);
    assert!(named.out.starts_with("1. "), "a document is found by its path: {}", named.out);
    for filter in [["--session", "s"], ["--user", "u"], ["--document", "d"], ["--media-type", "image/png"]] {
        let found = search(&["sluice", filter[0], filter[1]]);
        assert_eq!((found.code, found.out.as_str()), (Some(0), "nothing found\n"), "{filter:?}");
    }
    let geese = search(&["sluice", "--media-type", "text/plain"]);
    assert!(geese.out.contains("goose.txt") && !geese.out.contains("sluice.md"), "{}", geese.out);
}

#[test]
fn what_explains_a_pipeline_prints_it() {
    let mill = good();
    let cases: [(&str, &[&str], &[&str]); 7] = [
        ("check", &[], &["7 stages, 7 edges", "download", "lancedb"]),
        ("graph", &[], &["source [files]", "`-- vectors --> store [lancedb]"]),
        ("graph", &["--format", "mermaid"], &["flowchart LR", "-->|chunks|"]),
        ("graph", &["--format", "dot"], &["digraph pipeline {", "\"embed\" -> \"store\""]),
        ("config", &[], &["[stages.chunk]", "tokens = 512"]),
        ("config", &["--origin"], &["tokens = 512  # pipeline.toml:", "drain = \"30s\"  # default", "# --set"]),
        ("config", &["--origin", "--set", "run.drain=9s"], &["drain = \"9s\"  # --set"]),
    ];
    for (name, arguments, parts) in cases {
        let ended = ended(mill.command(name).args(arguments));
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{name} {arguments:?}");
        for part in parts {
            assert!(ended.out.contains(part), "{name} {arguments:?} does not say {part}: {}", ended.out);
        }
    }
    for name in ["check", "graph"] {
        assert!(ended(mill.command(name).args(["--format", "json"])).json().is_object());
    }
    assert!(!mill.path().join(".docmill").exists(), "work was begun");
}

#[test]
fn what_explains_the_program_needs_no_pipeline() {
    let directory = tempfile::tempdir().expect("a directory");
    let print = |arguments: &[&str]| {
        let mut command = Command::new(super::pipeline::mill::PROGRAM);
        let ended = ended(command.current_dir(directory.path()).args(arguments));
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{arguments:?}");
        ended.out
    };
    let stages = print(&["stages"]);
    for kind in super::pipeline::mill::registry().kinds() {
        assert!(stages.lines().any(|line| line.starts_with(kind)), "no `{kind}`: {stages}");
        let explained = print(&["stages", kind]);
        assert!(explained.contains(&format!("kind = \"{kind}\"")), "{explained}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = print(&["completions", shell]);
        assert!(script.contains("DOCMILL_COMPLETE"), "{shell}: {script}");
    }
    assert_eq!(print(&["--version"]), format!("docmill {}\n", env!("CARGO_PKG_VERSION")));
}

/// A program's command in a directory, as a user types it, with no variable of ours.
fn typed(directory: &std::path::Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(super::pipeline::mill::PROGRAM);
    ended(command.current_dir(directory).env_remove("DOCMILL_COMPLETE").args(arguments))
}

#[test]
fn a_first_user_gets_from_an_empty_directory_to_an_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let here = directory.path();
    let begun = typed(here, &["init"]);
    assert_eq!((begun.code, begun.out.as_str()), (Some(0), "pipeline.toml\npipeline.schema.json\n"), "{}", begun.err);
    fs::write(here.join("mill.md"), "# Mill\n\nThe zorblax turns the upper stone.").expect("written");
    let doctor = typed(here, &["doctor", "--format", "json"]);
    assert_eq!((doctor.code, &doctor.json()["ok"]), (Some(0), &true.into()), "{}", doctor.out);
    assert!(!here.join(".docmill").exists(), "looking makes nothing");
    let ran = typed(here, &["run", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.json()["documents"]["seen"], 1, "neither the pipeline nor its schema is a document");
    let found = typed(here, &["search", "zorblax"]);
    assert!(found.out.contains("mill.md"), "{}", found.out);
    let again = typed(here, &["init"]);
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("--force"), "{}", again.err);
}

#[test]
fn the_vector_of_a_question_is_that_of_the_pipelines_model() {
    let mill = good();
    let answer = ended(mill.command("embed").args(["how often is the sluice greased", "geese"]));
    assert_eq!((answer.code, answer.err.as_str()), (Some(0), ""));
    let vectors: Vec<Vec<f32>> =
        answer.out.lines().map(|line| serde_json::from_str(line).expect("a JSON array")).collect();
    assert_eq!(vectors.len(), 2);
    for vector in &vectors {
        let length: f32 = vector.iter().map(|number| number * number).sum();
        assert!((length - 1.0).abs() < 1e-3, "{length}");
    }
    assert_ne!(vectors[0], vectors[1]);
}

#[test]
fn a_shell_that_asks_is_told_the_stages_of_the_pipeline_here() {
    let mill = good();
    let mut command = Command::new(super::pipeline::mill::PROGRAM);
    let asked = ended(
        command
            .current_dir(mill.path())
            .envs([("DOCMILL_COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", "3"), ("_CLAP_IFS", "\n")])
            .args(["--", "docmill", "run", "--set", "stages.store.ta"]),
    );
    assert_eq!((asked.code, asked.out.as_str()), (Some(0), "stages.store.table="), "{}", asked.err);
}

#[test]
fn a_reader_that_has_gone_is_no_error_and_the_run_is_whole() {
    let mill = Mill::new();
    for number in 0..20 {
        mill.write(&format!("{number}.txt"), format!("Note {number} is about geese."));
    }
    for format in ["text", "json"] {
        let mut command = mill.command("run");
        command.args(["--format", format, "--results", "--fresh"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = command.spawn().expect("the program starts");
        drop(run.stdout.take());
        let ended: Ended = run.wait_with_output().expect("an end").into();
        assert!(!ended.err.contains("panicked") && !ended.err.contains("error:"), "{}", ended.err);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_eq!(run_again(&mill), 20, "{format}: all of it was stored");
    }
}

fn run_again(mill: &Mill) -> u64 {
    run(mill, &["--format", "json"]).json()["documents"]["unchanged"].as_u64().expect("a count")
}
