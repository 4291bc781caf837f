//! One test a complaint: its code, its place, its help. Then what a good pipeline becomes.

use std::time::Duration;

use docmill_api::{FieldSpec, FieldType, PayloadKind, Tier};

use super::fakes::{PIPELINE, plan, plan_with, told};
use super::{Bound, Isolation, Plan, Role, Width, bound, codes};

/// The complaints about a text.
fn complaints(text: &str) -> Vec<String> {
    told(&plan(text).expect_err("the text is wrong"))
}

/// The complaints about the good pipeline with `old` replaced.
fn broken(old: &str, new: &str) -> Vec<String> {
    assert!(PIPELINE.contains(old), "`{old}` is not in the pipeline");
    complaints(&PIPELINE.replacen(old, new, 1))
}

fn warnings(old: &str, new: &str) -> Vec<String> {
    told(&plan(&PIPELINE.replacen(old, new, 1)).expect("only warnings").1)
}

fn good() -> Plan {
    plan(PIPELINE).expect("a good pipeline").0
}

#[track_caller]
fn only(found: &[String], wanted: &str) {
    assert_eq!(found, [wanted]);
}

#[test]
fn a_good_pipeline_becomes_a_plan() {
    let (plan, warnings) = plan(PIPELINE).expect("a good pipeline");
    assert_eq!(told(&warnings), [""; 0]);
    let ids: Vec<&str> = plan.stages.iter().map(|stage| stage.id.as_str()).collect();
    assert_eq!(ids, ["source", "download", "parse", "chunk", "summarize", "embed", "store"]);
    assert_eq!(plan.name, "pipeline.toml");
    assert_eq!(plan.run.memory, 512 << 20);
    assert_eq!(plan.run.cpu_threads, 4);
    assert_eq!(plan.run.state, std::path::Path::new("/project/.docmill"));
    let embed = plan.stage("embed").expect("there");
    assert_eq!((embed.inputs.as_slice(), embed.depth, embed.role), ([3, 4].as_slice(), 4, Role::Stage));
    assert_eq!(embed.batch.map(|batch| (batch.items, batch.wait)), Some((256, Duration::from_millis(20))));
    assert_eq!((embed.queue, embed.timeout, embed.retry.attempts), (50, Duration::from_secs(30), 3));
    let parse = plan.stage("parse").expect("there");
    assert_eq!((parse.isolation, parse.child_memory, parse.tier), (Isolation::Process, Some(1 << 30), Tier::Cpu));
    assert_eq!(parse.gives, [PayloadKind::Text]);
    let store = plan.stage("store").expect("there");
    assert_eq!((store.role, store.depth), (Role::Sink, 5));
    assert_eq!(store.embedding.as_ref().map(|embedding| embedding.model.as_str()), Some("builtin"));
    assert_eq!(plan.stage("chunk").and_then(|chunk| chunk.embedding.clone()), None);
}

#[test]
fn stages_are_ordered_after_their_inputs_whatever_the_order_of_the_file() {
    let mut parts: Vec<&str> = PIPELINE.split("\n\n").collect();
    parts.reverse();
    let plan = plan(&parts.join("\n\n")).expect("a good pipeline").0;
    for (position, stage) in plan.stages.iter().enumerate() {
        assert!(stage.inputs.iter().all(|input| *input < position), "{} stands before an input", stage.id);
    }
    let embed = plan.stage("embed").expect("there");
    let inputs: Vec<&str> = embed.inputs.iter().map(|input| plan.stages[*input].id.as_str()).collect();
    assert_eq!(inputs, ["chunk", "summarize"], "inputs keep the order of the file");
    assert_eq!(plan.fingerprint, good().fingerprint, "the order of the file is no part of the fingerprint");
}

#[test]
fn defaults_are_filled_in_and_values_have_one_spelling() {
    let plan = good();
    let download = &plan.stage("download").expect("there").config;
    assert_eq!(
        *download,
        serde_json::json!({ "max_bytes": 10 << 20, "allow": { "schemes": ["file"], "delay": "1s" } })
    );
    let spelled = PIPELINE.replacen("width = 32", "allow = { delay = \"60s\" }\nmax_bytes = 10485760", 1);
    let download = super::fakes::plan(&spelled).expect("good").0.stage("download").expect("there").config.clone();
    assert_eq!(download, serde_json::json!({ "max_bytes": 10 << 20, "allow": { "schemes": ["file"], "delay": "1m" } }));
}

#[test]
fn widths_start_and_stay_as_written() {
    let width = |written: &str| {
        let text = PIPELINE.replacen("width = 32", written, 1);
        plan(&text).expect("a good width").0.stage("download").expect("there").width
    };
    assert_eq!(width("width = 32"), Width { start: 32, min: 1, max: 256, auto: false });
    assert_eq!(width("width = { min = 4, max = 64 }"), Width { start: 4, min: 4, max: 64, auto: true });
    assert_eq!(width("width = \"auto\""), Width { start: 8, min: 1, max: 256, auto: true }, "as the kind proposes");
    assert_eq!(width(""), Width { start: 8, min: 1, max: 256, auto: false });
    let plan = good();
    let of = |id: &str| plan.stage(id).expect("there").width;
    assert_eq!(of("parse"), Width { start: 4, min: 1, max: 256, auto: true }, "as many as CPUs");
    assert_eq!(of("chunk").start, 4);
    let one = Width { start: 1, min: 1, max: 1, auto: false };
    assert_eq!((of("source"), of("store")), (one, one), "one lister, one committer");
}

#[test]
fn memory_is_bounded_by_the_sum_of_its_parts() {
    // A document of `max_bytes` from `download` and from `parse`, then parts from two depths.
    let overdraft = 2 * (10 << 20) + 2 * super::OVERDRAFT;
    let children = 4 << 30;
    let total = (512 << 20) + overdraft + children;
    assert_eq!(bound(&good()), Bound { run: 512 << 20, overdraft, children, processes: 4, total });
    let larger =
        plan_with(PIPELINE, &["stages.download.max_bytes=64MiB", "stages.parse.width=1"], &[]).expect("good").0;
    let bound = bound(&larger);
    assert_eq!((bound.overdraft, bound.children), (2 * (64 << 20) + 2 * super::OVERDRAFT, 1 << 30));
}

#[test]
fn a_fingerprint_follows_what_changes_the_rows_and_nothing_else() {
    let print = |sets: &[&str]| plan_with(PIPELINE, sets, &[]).expect("good").0.fingerprint;
    let plain = print(&[]);
    for same in [
        "stages.embed.width=9",
        "stages.embed.queue=7",
        "stages.embed.timeout=9s",
        "stages.embed.retry.attempts=9",
        "stages.embed.batch.items=9",
        "stages.parse.isolation=process",
        "stages.parse.memory=2GiB",
        "stages.store.uri=elsewhere",
        "stages.embed.base_url=elsewhere",
        "run.memory=1GiB",
        "stages.source.hidden=true",
        "stages.chunk.tokens=512",
        "stages.download.max_bytes=10485760",
    ] {
        assert_eq!(print(&[same]), plain, "{same} changes no row");
    }
    for other in [
        "stages.chunk.tokens=400",
        "stages.chunk.types.\".py\".tokens=400",
        "stages.embed.model=other",
        "stages.parse.pdf=unpdf",
        "stages.download.max_bytes=1MiB",
        "stages.summarize.accept=[\"text/*\"]",
        "stages.embed.inputs=[\"chunk\"]",
    ] {
        let text = if other.contains("inputs") {
            &PIPELINE.replace("[stages.summarize]\nkind = \"summarize\"\ninputs = [\"parse\"]\n", "")
        } else {
            PIPELINE
        };
        let changed = plan_with(text, &[other], &[]).expect("good").0.fingerprint;
        assert_ne!(changed, plain, "{other} changes rows");
    }
}

#[test]
fn a_stage_s_fingerprint_covers_what_is_before_it_and_not_what_is_after() {
    let one = good();
    let other = plan_with(PIPELINE, &["stages.chunk.tokens=400"], &[]).expect("good").0;
    let same =
        |id: &str| one.stage(id).map(|stage| stage.fingerprint) == other.stage(id).map(|stage| stage.fingerprint);
    let changed: Vec<&str> = one.stages.iter().map(|stage| stage.id.as_str()).filter(|id| !same(id)).collect();
    assert_eq!(changed, ["chunk", "embed", "store"]);
}

#[test]
fn tables_that_are_not_known() {
    only(&broken("[stages.source]", "[runn]\n[stages.source]"), "E0010 1:2 unknown table `runn` | did you mean `run`?");
    only(
        &broken("[stages.source]", "[index]\nkind = \"chunk\"\n[stages.source]"),
        "E0010 1:2 unknown table `index` | a stage stands under `stages`: `[stages.index]`",
    );
    only(
        &told(&plan_with(PIPELINE, &["chunk.tokens=4"], &[]).expect_err("no such table")),
        "E0010 --set chunk.tokens=4 unknown table `chunk` | a stage stands under `stages`: `[stages.chunk]`",
    );
    only(
        &broken("[stages.source]", "[queue]\n[stages.source]"),
        "E0013 1:2 `[queue]` without `[blobs]`: processes on several machines need both | add `[blobs]` with `uri = \"s3://bucket/prefix\"`",
    );
    only(
        &broken("[stages.source]", "[blobs]\nuri = \"file:///mnt\"\n[stages.source]"),
        "E0013 1:2 `[blobs]` without `[queue]`: processes on several machines need both | add `[queue]` with `kind = \"nats\"`",
    );
    only(
        &broken("[stages.source]", "[queue]\nurl = \"nats://a:b@c\"\n[blobs]\nuri = \"x\"\n[stages.source]"),
        "E0014 2:7 `url` in `[queue]` holds a user or a password | take it out, and name `user` and `password_env`, or `credentials`",
    );
    only(
        &broken("[stages.source]", "[queue]\n[blobs]\nuri = \"ftp://mill\"\n[stages.source]"),
        "E0015 3:7 `ftp://mill` is no place for blobs in this version | name a place in an object store (\"s3://bucket/prefix\") or a directory that all machines share",
    );
}

#[test]
fn keys_that_are_not_known() {
    only(
        &broken("width = 32", "widht = 32"),
        "E0011 8:1 unknown key `widht` in stage `download` | did you mean `width`?",
    );
    only(
        &broken("tokens = 512", "token = 512"),
        "E0011 20:1 unknown key `token` in stage `chunk` | did you mean `tokens`?",
    );
    only(
        &broken("width = 32", "retry = { attempt = 3 }"),
        "E0011 8:11 unknown key `attempt` in `retry` of stage `download` | did you mean `attempts`?",
    );
    only(
        &broken("[stages.source]", "[run]\nmemroy = 3\n[stages.source]"),
        "E0011 2:1 unknown key `memroy` in `[run]` | did you mean `memory`?",
    );
}

#[test]
fn nested_keys_are_pointed_at() {
    let text = "tokens = 512\n[stages.chunk.types.\".py\"]\ntokens = 400\n[stages.chunk.types.\".rs\"]\ntokens = \"x\"\nlines = 3";
    assert_eq!(
        broken("tokens = 512", text),
        [
            "E0012 24:10 `tokens` in `.rs` of stage `chunk` must be a whole number from 1 to 8192, found \"x\" | -",
            "E0011 25:1 unknown key `lines` in `.rs` of stage `chunk` | known: `tokens`",
        ]
    );
}

#[test]
fn values_of_the_wrong_type() {
    for (old, new, wanted) in [
        (
            "width = 32",
            "width = \"8\"",
            "E0012 8:9 `width` in stage `download` must be a whole number from 1 to 256, \"auto\", or { min = 1, max = 8 }, found \"8\" | write it without quotes: `8`",
        ),
        (
            "width = 32",
            "width = \"atuo\"",
            "E0012 8:9 `width` in stage `download` must be a whole number from 1 to 256, \"auto\", or { min = 1, max = 8 }, found \"atuo\" | did you mean \"auto\"?",
        ),
        (
            "width = 32",
            "timeout = 30",
            "E0012 8:11 `timeout` in stage `download` must be a time such as \"30s\", found `30` | write it with a unit: \"30s\"",
        ),
        (
            "width = 32",
            "max_bytes = \"lots\"",
            "E0012 8:13 `max_bytes` in stage `download` must be a size such as \"10MiB\", found \"lots\" | write a number and a unit: \"512KiB\", \"10MiB\", \"2GB\"",
        ),
        (
            "tokens = 512",
            "tokens = \"512\"",
            "E0012 20:10 `tokens` in stage `chunk` must be a whole number from 1 to 8192, found \"512\" | write it without quotes: `512`",
        ),
        (
            "tokens = 512",
            "encoding = \"cl100k\"",
            "E0012 20:12 `encoding` in stage `chunk` must be one of \"cl100k_base\", \"o200k_base\", found \"cl100k\" | did you mean \"cl100k_base\"?",
        ),
        (
            "include = [\"docs\"]",
            "include = \"docs\"",
            "E0012 3:11 `include` in stage `source` must be a list, each a text, found \"docs\" | put it in brackets: [\"docs\"]",
        ),
        (
            "include = [\"docs\"]",
            "include = [\"docs\", 3]",
            "E0012 3:20 item 2 of `include` in stage `source` must be a text, found `3` | -",
        ),
        ("width = 32", "allow = 3", "E0012 8:9 `allow` in stage `download` must be a table, found `3` | -"),
        (
            "inputs = [\"source\"]",
            "inputs = \"source\"",
            "E0012 7:10 `inputs` in stage `download` must be a list of stage names, found \"source\" | put it in brackets: inputs = [\"source\"]",
        ),
        (
            "width = 32",
            "accept = [\"text/*\", \"*.pdf\"]",
            "E0012 8:21 `*.pdf` in `accept` of stage `download` is no media type | write a type and a subtype, `*` at the end only: \"image/*\"",
        ),
        (
            "[stages.source]",
            "run = 3\n[stages.source]",
            "E0012 1:1 `run` must be a table, found `3` | write a table `[run]`",
        ),
        (
            "[stages.source]",
            "[run]\ncpu_threads = \"all\"\n[stages.source]",
            "E0012 2:15 `cpu_threads` in `[run]` must be \"auto\" or a whole number, found \"all\" | -",
        ),
    ] {
        only(&broken(old, new), wanted);
    }
}

#[test]
fn values_beyond_their_bounds() {
    for (old, new, wanted) in [
        (
            "width = 32",
            "width = 0",
            "E0014 8:9 `width` in stage `download` must be from 1 to 256, found `0` | nothing runs at width 0, and beyond 256 a width brings nothing",
        ),
        (
            "width = 32",
            "width = { min = 8, max = 2 }",
            "E0014 8:9 `width.min` in stage `download` is above `width.max` | write { min = 2, max = 8 }",
        ),
        (
            "width = 32",
            "width = { max = 900 }",
            "E0014 8:17 `max` in `width` of stage `download` must be a whole number from 1 to 256, found `900` | -",
        ),
        (
            "width = 32",
            "queue = 100001",
            "E0014 8:9 `queue` in stage `download` must be a whole number from 1 to 100000, found `100001` | -",
        ),
        (
            "width = 32",
            "timeout = \"0s\"",
            "E0014 8:11 `timeout` in stage `download` must be above nought | every wait has an end: \"30s\"",
        ),
        (
            "width = 32",
            "retry = { min = \"9s\", max = \"5s\" }",
            "E0014 8:17 `retry.min` in stage `download` is longer than `retry.max` | the delay grows from `min` to `max`: make `min` the shorter one",
        ),
        (
            "memory = \"1GiB\"",
            "memory = \"1MiB\"",
            "E0014 15:10 `memory` in stage `parse` must be at least 16MiB | a child needs room to start in: \"1GiB\" is usual",
        ),
        (
            "[stages.source]",
            "[run]\nmemory = \"1MiB\"\n[stages.source]",
            "E0014 2:10 `memory` in `[run]` must be at least 16MiB, found 1MiB | one document of ordinary size needs room to pass: \"512MiB\" is usual",
        ),
        (
            "inputs = [\"chunk\", \"summarize\"]",
            "inputs = [\"chunk\", \"summarize\"]\nbatch = { items = 0 }",
            "E0014 29:19 `items` in `batch` of stage `embed` must be a whole number from 1 to 100000, found `0` | -",
        ),
    ] {
        only(&broken(old, new), wanted);
    }
}

#[test]
fn what_is_missing_refused_or_not_supported() {
    only(
        &broken("include = [\"docs\"]", ""),
        "E0013 1:9 `include` is missing in stage `source` | set it to a list, each a text: patterns",
    );
    only(
        &broken("tokens = 512", "tokens = 512\noverlap = 600"),
        "E0016 21:11 `overlap` in stage `chunk`: is not below `tokens` | an eighth of `tokens` is usual",
    );
    only(
        &broken("tokens = 512", "types.\".py\".tokens = 32"),
        "E0016 20:22 `types.\".py\".tokens` in stage `chunk`: is not above `overlap` | -",
    );
}

#[test]
fn keys_that_do_not_apply() {
    only(
        &broken("width = 32", "isolation = \"process\""),
        "E0017 8:1 stage `download` has no `isolation`: only stages of the cpu tier have, and its kind is of the io tier | take `isolation` out",
    );
    only(
        &broken("width = 32", "batch = { items = 3 }"),
        "E0017 8:1 stage `download` has no `batch`: its kind takes one record at a time | take `batch` out",
    );
}

#[test]
fn names_and_kinds() {
    only(
        &complaints(&PIPELINE.replace("stages.chunk", "stages.\"a b\"").replace("\"chunk\",", "\"a b\",")),
        "E0018 17:9 `a b` cannot be the name of a stage | use letters, digits, `-` and `_`, 64 at most",
    );
    only(
        &broken("kind = \"parse\"", "kind = \"pars\""),
        "E0021 11:8 unknown kind `pars` in stage `parse` | did you mean `parse`?",
    );
    only(&broken("kind = \"parse\"\n", ""), "E0022 10:9 stage `parse` has no `kind` | add `kind = \"parse\"`");
    // A stage that only a setting names is a slip in its name.
    let slip = plan_with(PIPELINE, &["stages.embde.width=8"], &[]).expect_err("there is no such stage");
    let all = told(&slip);
    let wanted = "E0022 --set stages.embde.width=8 stage `embde` has no `kind` | did you mean `stages.embed`?";
    assert!(all.iter().any(|one| one == wanted), "{all:?}");
    only(
        &complaints(""),
        "E0020 file the pipeline has no stages | add `[stages.NAME]` with a `kind` for the source, the sink and what lies between",
    );
    only(
        &complaints(&PIPELINE.replacen("kind = \"lancedb\"", "kind = \"postgres\"", 1)),
        "E0021 31:8 unknown kind `postgres` in stage `store` | known: `chunk`, `download`, `embed`, `files`, `lancedb`, `parse`, `summarize`",
    );
}

#[test]
fn inputs_that_cannot_be() {
    only(
        &broken("inputs = [\"chunk\", \"summarize\"]", "inputs = [\"chunk\", \"summarise\", \"summarize\"]"),
        "E0023 28:20 stage `embed` reads `summarise`, which no stage is called | did you mean `summarize`?",
    );
    only(
        &broken("inputs = [\"chunk\", \"summarize\"]", "inputs = [\"chunk\", \"embed\", \"summarize\"]"),
        "E0024 28:20 stage `embed` reads itself | name the stage before it",
    );
    only(
        &broken("inputs = [\"chunk\", \"summarize\"]", "inputs = [\"chunk\", \"summarize\", \"chunk\"]"),
        "E0025 28:33 stage `embed` reads `chunk` twice | name it once: every record would come twice",
    );
    only(
        &broken("include", "inputs = [\"parse\"]\ninclude"),
        "E0028 3:1 stage `source` is a source and has inputs | take `inputs` out: a source begins the pipeline",
    );
    only(
        &broken("inputs = [\"download\"]\n", ""),
        "E0029 10:9 stage `parse` has no inputs | add `inputs = [\"download\"]`",
    );
    only(
        &complaints(&format!("{PIPELINE}[stages.again]\nkind = \"lancedb\"\ninputs = [\"store\", \"embed\"]\n")),
        "E0034 35:11 stage `again` reads `store`, a sink, which gives nothing | read what it reads: `embed`",
    );
}

#[test]
fn a_ring_is_named() {
    let text = PIPELINE.replacen("inputs = [\"parse\"]\ntokens", "inputs = [\"parse\", \"b\"]\ntokens", 1)
        + "[stages.a]\nkind = \"loop\"\ninputs = [\"chunk\"]\n[stages.b]\nkind = \"loop\"\ninputs = [\"a\"]\n";
    let ring = complaints(&text).into_iter().find(|one| one.starts_with("E0026")).expect("a ring");
    assert_eq!(
        ring,
        "E0026 19:20 stages feed each other in a ring: `chunk` -> `a` -> `b` -> `chunk` | take one of these edges out, such as `b` from the inputs of `chunk`"
    );
}

#[test]
fn ends_that_are_missing() {
    let without = |names: &[&str]| {
        let stands = |part: &&str| !names.iter().any(|name| part.contains(&format!("[stages.{name}]")));
        PIPELINE.split("\n\n").filter(stands).collect::<Vec<_>>().join("\n\n")
    };
    only(
        &complaints(&without(&["store"])),
        "E0031 1:2 no stage makes results durable | add a stage of kind `lancedb` that reads `embed`",
    );
    assert_eq!(
        complaints(&without(&["source"])),
        [
            "E0027 1:2 no stage lists documents | add a stage of kind `files`",
            "E0023 3:11 stage `download` reads `source`, which no stage is called | known: `parse`, `chunk`, `summarize`, `embed`, `store`",
        ]
    );
    only(
        &broken("inputs = [\"chunk\", \"summarize\"]", "inputs = [\"chunk\"]"),
        "E0030 22:9 nobody reads what stage `summarize` gives | name `summarize` in the `inputs` of another stage, or take it out",
    );
}

#[test]
fn an_edge_that_does_not_fit_names_what_is_missing() {
    only(
        &broken("inputs = [\"chunk\", \"summarize\"]", "inputs = [\"chunk\", \"summarize\", \"parse\"]"),
        "E0032 28:33 `embed` takes chunks, `parse` gives text | put a stage of kind `chunk` or `summarize` between `parse` and `embed`",
    );
    only(
        &broken("inputs = [\"embed\"]", "inputs = [\"embed\", \"parse\"]"),
        "E0032 32:20 `store` takes vectors, `parse` gives text | put stages of the kinds `chunk`, `embed`, in this order, between `parse` and `store`",
    );
    only(
        &broken(
            "inputs = [\"chunk\", \"summarize\"]",
            "inputs = [\"chunk\", \"summarize\", \"other\"]\n[stages.other]\nkind = \"embed\"\ninputs = [\"chunk\"]",
        ),
        "E0032 28:33 `embed` takes chunks, `other` gives vectors | no known kind leads from vectors to chunks",
    );
}

#[test]
fn vectors_of_two_models_do_not_meet() {
    let text = PIPELINE.replacen("inputs = [\"embed\"]", "inputs = [\"embed\", \"other\"]", 1)
        + "[stages.other]\nkind = \"embed\"\nmodel = \"large\"\ninputs = [\"chunk\"]\n";
    only(
        &complaints(&text),
        "E0033 32:10 vectors of two models reach stage `store`: `builtin` (256 dimensions) by `embed`, `large` (256 dimensions) by `other` | give each model a store of its own, or use one model",
    );
    let two_stores = text.replace("inputs = [\"embed\", \"other\"]", "inputs = [\"embed\"]")
        + "[stages.second]\nkind = \"lancedb\"\ninputs = [\"other\"]\n";
    plan(&two_stores).expect("each model has its store");
}

#[test]
fn what_is_only_unwise_is_a_warning() {
    only(
        &warnings("tokens = 512", "width = 64"),
        "W0001 20:9 `width` in stage `chunk` starts at 64, and there are 4 CPUs | more at once than CPUs only wait for each other: use \"auto\" or `4`",
    );
    only(
        &warnings("include", "width = 4\ninclude"),
        "W0002 3:1 `width` in stage `source` has no effect: a source lists one document after another and reads no stage | take `width` out",
    );
    only(
        &warnings("isolation = \"process\"\n", ""),
        "W0002 14:1 `memory` in stage `parse` limits child processes, and it has none | add `isolation = \"process\"`, or take `memory` out",
    );
    only(
        &warnings("inputs = [\"chunk\", \"summarize\"]", "inputs = [\"chunk\", \"summarize\"]\nbatch.wait = \"1m\""),
        "W0003 29:14 `batch.wait` in stage `embed` holds the last documents back for long | a full batch is handed over at once; \"20ms\" is usual",
    );
}

#[test]
fn all_complaints_come_at_once_in_the_order_of_their_places() {
    let text = PIPELINE
        .replacen("[stages.source]", "[queue]\n[stages.source]", 1)
        .replacen("width = 32", "widht = 32", 1)
        .replacen("kind = \"parse\"", "kind = \"pars\"", 1)
        .replacen("tokens = 512", "tokens = 0", 1)
        .replacen("inputs = [\"embed\"]", "inputs = [\"embedd\"]", 1);
    let found = plan_with(&text, &["stages.embed.queue=0", "nonsense"], &[("DOCMILL_RUN__MEMORY", "lots")]);
    let told = told(&found.expect_err("wrong in eight places"));
    let codes: Vec<&str> = told.iter().map(|one| one.split(' ').next().unwrap_or_default()).collect();
    let places: Vec<&str> = told.iter().map(|one| one.split(' ').nth(1).unwrap_or_default()).collect();
    assert_eq!(codes, ["E0013", "E0011", "E0021", "E0014", "E0023", "E0012", "E0004", "E0014"], "{told:#?}");
    assert_eq!(places, ["1:2", "9:1", "12:8", "21:10", "33:11", "$DOCMILL_RUN__MEMORY", "--set", "--set"]);
}

#[test]
fn the_reference_page_is_what_the_code_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/errors.md");
    let page = std::fs::read_to_string(&path).expect("docs/reference/errors.md is there");
    assert_eq!(page, codes::reference(), "write what `codes::reference()` gives to {}", path.display());
    let mut ids: Vec<&str> = codes::ALL.iter().map(|code| code.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), codes::ALL.len(), "no code stands for two things");
}

/// A kind that takes and gives what it is told, as a program of the user's does.
struct Flexible;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FlexibleConfig {
    takes: Vec<PayloadKind>,
    gives: Vec<PayloadKind>,
    #[expect(dead_code, reason = "only decoded")]
    max_output: docmill_api::units::Size,
    config: serde_json::Map<String, serde_json::Value>,
}

#[docmill_api::async_trait]
impl docmill_api::StageFactory for Flexible {
    type Config = FlexibleConfig;
    const KIND: &'static str = "flexible";
    const REVISION: u32 = 1;
    fn spec() -> docmill_api::StageSpec {
        const ALL: &[PayloadKind] = &[PayloadKind::Blob, PayloadKind::Text, PayloadKind::Chunks];
        let kinds = || FieldType::List(Box::new(FieldType::Choice(&["blob", "text", "chunks"])));
        let text = serde_json::json!(["text"]);
        let any = FieldType::Map(Box::new(FieldType::Any));
        docmill_api::StageSpec {
            summary: "a stage of the tests",
            takes: ALL,
            gives: ALL,
            tier: Tier::Io,
            fields: vec![
                FieldSpec::new("takes", kinds(), text.clone(), "what it takes").output(),
                FieldSpec::new("gives", kinds(), text, "what it gives").output(),
                FieldSpec::new("max_output", FieldType::Size, "64MiB".into(), "the most that it gives"),
                FieldSpec::new("config", any, serde_json::json!({}), "anything").output(),
            ],
            batch: None,
            width: Some(1),
            timeout: Duration::from_secs(30),
            attempts: docmill_api::ATTEMPTS,
            accepts: &[],
            guarantees: "none",
            example: "kind = \"flexible\"",
        }
    }
    fn validate(config: &FlexibleConfig) -> Vec<docmill_api::Issue> {
        let empty = config.config.get("bad").is_some();
        empty.then(|| docmill_api::Issue::new("config", "is bad")).into_iter().collect()
    }
    fn ports(config: &FlexibleConfig) -> Option<docmill_api::Ports> {
        Some(docmill_api::Ports { takes: config.takes.clone(), gives: config.gives.clone() })
    }
    async fn build(
        _config: FlexibleConfig,
        _cx: &docmill_api::BuildContext,
    ) -> Result<docmill_api::Node, docmill_api::StageError> {
        Err(docmill_api::StageError::fatal("a fake is never built"))
    }
}

/// The good pipeline with a flexible stage between `parse` and `chunk`, whose table has these lines.
fn flexible(lines: &str) -> Result<Plan, Vec<String>> {
    let mut registry = super::fakes::registry();
    registry.add::<Flexible>();
    let text = PIPELINE.replacen("kind = \"chunk\"\ninputs = [\"parse\"]", "kind = \"chunk\"\ninputs = [\"own\"]", 1);
    let text = format!("{text}\n[stages.own]\nkind = \"flexible\"\ninputs = [\"parse\"]\n{lines}\n");
    let none = std::iter::empty();
    let raw = crate::config::parse("pipeline.toml", "/project".into(), text, &[], none, &registry).expect("it is TOML");
    Plan::from_raw(&raw, &registry, super::Machine { cpus: 4 }).map(|(plan, _)| plan).map_err(|found| told(&found))
}

#[test]
fn a_kind_may_take_and_give_what_its_configuration_says() {
    let plan = flexible("config = { deep = { list = [1, 2.5, true] } }").expect("text to text unless set");
    let own = plan.stage("own").expect("there");
    assert_eq!((own.takes.as_slice(), own.gives.as_slice()), (&[PayloadKind::Text][..], &[PayloadKind::Text][..]));
    assert_eq!(own.config["config"], serde_json::json!({ "deep": { "list": [1, 2.5, true] } }));
    let wrong = flexible("gives = [\"chunks\"]").expect_err("chunk takes text");
    only(&wrong, "E0032 19:11 `chunk` takes text, `own` gives chunks | no known kind leads from chunks to text");
    let wrong = flexible("takes = [\"blob\"]").expect_err("parse gives text");
    assert!(wrong.len() == 1 && wrong[0].contains("`own` takes blob, `parse` gives text"), "{wrong:?}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_complained_about_once() {
    let wrong = flexible("gives = [\"chunks\"]\nconfig = { bad = true }").expect_err("it is bad");
    assert!(wrong.len() == 1 && wrong[0].contains("`config` in stage `own`: is bad"), "{wrong:?}");
}

#[test]
fn a_kind_that_fits_everywhere_is_proposed_nowhere() {
    let mut registry = super::fakes::registry();
    registry.add::<Flexible>();
    let text =
        PIPELINE.replacen("kind = \"chunk\"\ninputs = [\"parse\"]", "kind = \"chunk\"\ninputs = [\"download\"]", 1);
    let none = std::iter::empty();
    let raw = crate::config::parse("pipeline.toml", "/project".into(), text, &[], none, &registry).expect("it is TOML");
    let found = told(&Plan::from_raw(&raw, &registry, super::Machine { cpus: 4 }).expect_err("blob is no text"));
    assert!(found[0].ends_with("put a stage of kind `parse` between `download` and `chunk`"), "{found:?}");
}

#[test]
fn what_a_program_may_give_at_once_is_part_of_the_bound() {
    let overdraft = |lines: &str| bound(&flexible(lines).expect("good")).overdraft;
    assert_eq!(overdraft("max_output = \"200MiB\"") - overdraft("max_output = \"100MiB\""), 100 << 20);
}
