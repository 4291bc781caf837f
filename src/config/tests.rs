//! Layers, their origins, what cannot be read, and how complaints look.

use crate::config::{self, Diagnostics, Origin, RawPipeline, render_all, to_json};
use crate::plan::fakes::{PIPELINE, plan_with, raw, registry, told};

fn merged(sets: &[&str], env: &[(&str, &str)]) -> RawPipeline {
    raw(PIPELINE, sets, env).expect("TOML")
}

fn path(dotted: &str) -> Vec<String> {
    dotted.split('.').map(str::to_owned).collect()
}

fn origin(raw: &RawPipeline, dotted: &str) -> String {
    raw.origin(&path(dotted)).describe(&raw.file)
}

fn errors(text: &str) -> Vec<String> {
    told(&raw(text, &[], &[]).expect_err("no TOML"))
}

#[test]
fn the_strongest_layer_wins_and_says_so() {
    let env = [("DOCMILL_STAGES__DOWNLOAD__WIDTH", "7"), ("DOCMILL_RUN__DRAIN", "5s")];
    let raw = merged(&["stages.parse.width=3", "run.drain=\"9s\""], &env);
    let value = |dotted: &str| raw.get(&path(dotted)).cloned().unwrap_or_default();
    assert_eq!((value("run.memory"), origin(&raw, "run.memory")), ("512MiB".into(), "default".into()));
    assert_eq!(
        (value("stages.chunk.tokens"), origin(&raw, "stages.chunk.tokens")),
        (512.into(), "pipeline.toml:20:1".into())
    );
    assert_eq!(value("stages.download.width"), 7);
    assert_eq!(
        raw.origin(&path("stages.download.width")),
        Origin::Env { name: "DOCMILL_STAGES__DOWNLOAD__WIDTH".into() }
    );
    assert_eq!(
        (value("stages.parse.width"), origin(&raw, "stages.parse.width")),
        (3.into(), "--set stages.parse.width=3".into())
    );
    assert_eq!((value("run.drain"), origin(&raw, "run.drain")), ("9s".into(), "--set run.drain=\"9s\"".into()));
    assert_eq!(origin(&raw, "stages.embed.inputs"), "pipeline.toml:28:1");
}

#[test]
fn a_layer_changes_a_part_of_a_table_and_replaces_lists_and_values() {
    let text = PIPELINE.replacen("width = 32", "width = 32\nretry = { attempts = 9, min = \"1s\" }", 1);
    let sets =
        ["stages.download.retry.min=2s", "stages.embed.inputs=[\"chunk\"]", "stages.download.width={min=2,max=4}"];
    let raw = raw(&text, &sets, &[]).expect("TOML");
    let retry = raw.get(&path("stages.download.retry")).cloned();
    assert_eq!(retry, Some(serde_json::json!({ "attempts": 9, "min": "2s" })));
    assert_eq!(origin(&raw, "stages.download.retry.attempts"), "pipeline.toml:9:11");
    assert_eq!(origin(&raw, "stages.download.retry.min"), "--set stages.download.retry.min=2s");
    assert_eq!(raw.get(&path("stages.embed.inputs")), Some(&serde_json::json!(["chunk"])));
    assert_eq!(raw.get(&path("stages.download.width")), Some(&serde_json::json!({ "min": 2, "max": 4 })));
}

#[test]
fn only_variables_with_two_underscores_are_configuration() {
    let others = [("DOCMILL_API_KEY", "secret"), ("DOCMILL__X", "1"), ("OTHER__X", "1"), ("DOCMILL_LOG", "debug")];
    assert_eq!(merged(&[], &others).values, merged(&[], &[]).values);
}

#[test]
fn variables_find_names_with_other_letters() {
    let text = PIPELINE.replace("stages.chunk", "stages.My-Chunk").replace("\"chunk\",", "\"My-Chunk\",");
    let raw = raw(&text, &[], &[("DOCMILL_STAGES__MY_CHUNK__TOKENS", "77")]).expect("TOML");
    assert_eq!(raw.get(&path("stages.My-Chunk.tokens")), Some(&77.into()));
}

#[test]
fn a_word_is_a_text_and_a_text_field_takes_any() {
    let raw = merged(
        &[
            "stages.embed.model=4",
            "stages.store.table=2024-01-01",
            "stages.parse.pdf=unpdf",
            "stages.\"x.y\".kind=chunk",
        ],
        &[],
    );
    assert_eq!(raw.get(&path("stages.embed.model")), Some(&"4".into()), "the kind says that it is a text");
    assert_eq!(raw.get(&path("stages.store.table")), Some(&"2024-01-01".into()));
    assert_eq!(raw.get(&path("stages.parse.pdf")), Some(&"unpdf".into()));
    assert_eq!(raw.get(&["stages".into(), "x.y".into(), "kind".into()]), Some(&"chunk".into()));
}

#[test]
fn settings_that_say_nothing_are_complained_about() {
    let env = [("DOCMILL_STAGES____WIDTH", "3"), ("DOCMILL_RUN__STATE", "\"open")];
    let raw = merged(&["nonsense", "a b=3", "stages.embed.inputs=[\"chunk\""], &env);
    let told: Vec<String> =
        told(&raw.complaints).iter().map(|one| one.split(" | ").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(
        told[0].starts_with("E0004 $DOCMILL_RUN__STATE the value of `DOCMILL_RUN__STATE` is not TOML"),
        "{}",
        told[0]
    );
    assert_eq!(
        told[1],
        "E0004 $DOCMILL_STAGES____WIDTH `DOCMILL_STAGES____WIDTH` has an empty part between its underscores"
    );
    assert_eq!(told[2], "E0004 --set nonsense `--set nonsense` has no `=`");
    assert!(told[3].starts_with("E0004 --set a b=3 `a b` is no dotted key"), "{}", told[3]);
    assert!(told[4].contains("is not TOML"), "{}", told[4]);
}

#[test]
fn complaints_point_at_the_layer_that_is_wrong() {
    let found = plan_with(PIPELINE, &["stages.chunk.tokens=0"], &[("DOCMILL_STAGES__EMBED__WIDHT", "3")]);
    assert_eq!(
        told(&found.expect_err("both are wrong")),
        [
            "E0011 $DOCMILL_STAGES__EMBED__WIDHT unknown key `widht` in stage `embed` | did you mean `width`?",
            "E0014 --set stages.chunk.tokens=0 `tokens` in stage `chunk` must be a whole number from 1 to 8192, found `0` | -",
        ]
    );
}

#[test]
fn what_is_not_toml_is_pointed_at() {
    let told = errors("[run]\nmemory = = 3\n[stages.a]\nkind = \"files\nwidth = 3\n");
    assert_eq!(told.len(), 2, "both lines are told: {told:#?}");
    assert!(told[0].starts_with("E0002 2:"), "{}", told[0]);
    assert!(told[1].starts_with("E0002 4:"), "{}", told[1]);
    assert!(errors("a = word")[0].ends_with("| put the text in quotes"), "{:?}", errors("a = word"));
}

#[test]
fn a_number_that_no_field_can_hold_is_told() {
    for (text, place) in [("[run]\nmemory = 1e400\n", "E0002 2:10"), ("[a]\nb = 99999999999999999999\n", "E0002 2:5")] {
        let told = errors(text);
        assert!(told.len() == 1 && told[0].starts_with(place), "{told:?}");
    }
}

#[test]
fn a_stage_that_stands_twice_is_told_once() {
    let text = format!(
        "{PIPELINE}\n[stages.parse]\nkind = \"parse\"\nwidth = 3\n[run]\nmemory = \"1GiB\"\nmemory = \"2GiB\"\n"
    );
    assert_eq!(
        errors(&text),
        [
            "E0003 34:9 there are two stages `parse` | give one of them another name",
            "E0003 39:1 `memory` stands twice in the same table | take one of them out",
        ]
    );
}

#[test]
fn a_file_that_is_not_there_says_where_it_was_looked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let load = |name: &str| {
        let found = config::load(Some(&directory.path().join(name)), &[], std::iter::empty(), &registry());
        found.expect_err("no pipeline").into_vec().remove(0)
    };
    let missing = load("none.toml");
    assert_eq!(missing.code, "docmill-E0001");
    assert!(missing.message.ends_with("none.toml`"), "{}", missing.message);
    assert!(load(".").message.ends_with("is not a file"));
    std::fs::write(directory.path().join("latin.toml"), b"[run]\n# caf\xe9\n").expect("written");
    assert!(load("latin.toml").message.ends_with("is not UTF-8 in line 2"), "{}", load("latin.toml").message);
    std::fs::write(directory.path().join("good.toml"), PIPELINE).expect("written");
    let raw =
        config::load(Some(&directory.path().join("good.toml")), &[], std::iter::empty(), &registry()).expect("there");
    assert_eq!(raw.base, directory.path());
}

#[test]
fn no_text_makes_the_parser_panic() {
    for text in [
        "\u{feff}",
        "\u{0}",
        "[",
        "[[stages]]",
        "[[stages.a]]\nkind=1",
        "a.b.c = [[{x=1}]]",
        "\"\"=1",
        "ä = 1\n[stages.ä]\nkind = \"ö\"",
        "x = nan\ny = inf",
        "d = 1979-05-27",
        "a=\"\"\"x\n\ny\"\"\"\nb = =",
    ] {
        let shown = match plan_with(text, &[], &[]) {
            Ok(_) => String::new(),
            Err(all) => render_all(&all),
        };
        assert!(shown.contains("docmill-E"), "{text:?} is no pipeline: {shown}");
    }
    let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(raw(&deep, &[], &[]).is_err(), "nesting has a bound");
}

#[test]
fn a_place_lies_within_its_line_whatever_ends_it() {
    for text in ["a = 1\r\nb = \r\nc = 2\r\n", "a = 1\r\n\"b\r\n", "\u{feff}\"b\r\n", "\u{feff}a = \r\n"] {
        for one in &raw(text, &[], &[]).expect_err("no TOML") {
            let config::Place::File(at) = &one.place else { panic!("{text:?}: {one:?} has no place") };
            let length = at.text.chars().count();
            assert!(at.column <= length + 1 && at.column + at.length <= length + 2, "{text:?}: {at:?}");
        }
    }
}

#[test]
fn a_path_is_written_as_toml_reads_it() {
    let keys = ["", "a", "a b", ".py", "a\nb", "\r\n", "\"", "'", "'\"\n", "\\", "\u{0}\u{7f}", "é", "1.5"];
    for key in keys {
        let path = vec!["stages".to_owned(), key.to_owned(), "x".to_owned()];
        let written = crate::plan::dotted(&path);
        let read = toml_edit::Key::parse(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert!(read.iter().map(toml_edit::Key::get).eq(&path), "{written}");
    }
}

#[test]
fn a_key_that_is_a_number_is_no_item_of_a_list() {
    let text = format!("{PIPELINE}[stages.chunk.types]\n18446744073709551615 = 5\n7 = 5\n");
    let found = told(&plan_with(&text, &[], &[]).expect_err("no tables"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("`18446744073709551615` in stage `chunk` must be a table"), "{found:?}");
    assert!(found[1].contains("`7` in stage `chunk` must be a table"), "{found:?}");
}

fn shown(all: &Diagnostics) -> String {
    render_all(all)
}

#[test]
fn complaints_look_like_this() {
    let text = "[run]\nmemory = \"512MiB\"\n\n\n\n\n\n\n[stages.source]\nkind = \"files\"\ninclude = [\"文書\"]\n[stages.parse]\nkind = \"parse\"\n\twidht = 3 # 文\ninputs = [\"文\", 'source']\n";
    let found = plan_with(text, &["stages.parse.queue=0"], &[("DOCMILL_QUEUE__KIND", "nats")]).expect_err("wrong");
    let wanted = r#"error[docmill-E0031]: no stage makes results durable
 --> pipeline.toml:9:2
  |
9 | [stages.source]
  |  ^^^^^^
  = help: add a stage of kind `lancedb` that reads `parse`

error[docmill-E0011]: unknown key `widht` in stage `parse`
  --> pipeline.toml:14:2
   |
14 |     widht = 3 # 文
   |     ^^^^^
   = help: did you mean `width`?

error[docmill-E0023]: stage `parse` reads `文`, which no stage is called
  --> pipeline.toml:15:11
   |
15 | inputs = ["文", 'source']
   |           ^^^^
   = help: known: `source`

error[docmill-E0032]: `parse` takes blob, `source` gives reference
  --> pipeline.toml:15:16
   |
15 | inputs = ["文", 'source']
   |                 ^^^^^^^^
   = help: put a stage of kind `download` between `source` and `parse`

error[docmill-E0013]: `[queue]` without `[blobs]`: processes on several machines need both
 --> environment variable DOCMILL_QUEUE__KIND
  = help: add `[blobs]` with `uri = "s3://bucket/prefix"`

error[docmill-E0014]: `queue` in stage `parse` must be a whole number from 1 to 100000, found `0`
 --> --set stages.parse.queue=0

6 errors
"#;
    assert_eq!(shown(&found), wanted);
}

#[test]
fn long_lines_and_control_characters_are_tamed() {
    let text = format!("[stages.a]\nx = \"{}\u{1b}[31m\"\nkind = \"files\"\n", "y".repeat(100_000))
        .replace('\u{1b}', "\u{7f}");
    let shown = match plan_with(&text, &[], &[]) {
        Ok(_) => String::new(),
        Err(all) => render_all(&all),
    };
    assert!(!shown.contains('\u{7f}'), "control characters do not reach the terminal");
    assert!(shown.lines().all(|line| line.chars().count() < 200), "{shown}");
}

#[test]
fn complaints_are_json_too() {
    let found = plan_with(&PIPELINE.replacen("width = 32", "widht = 32", 1), &["stages.embed.queue=0"], &[])
        .expect_err("wrong");
    let json = to_json(&found);
    assert_eq!(
        json[0],
        serde_json::json!({
            "code": "docmill-E0011", "severity": "error", "message": "unknown key `widht` in stage `download`",
            "file": "pipeline.toml", "line": 8, "column": 1, "origin": null, "help": "did you mean `width`?",
        })
    );
    assert_eq!(json[1]["origin"], "--set stages.embed.queue=0");
    assert_eq!(json[1]["line"], serde_json::Value::Null);
}
