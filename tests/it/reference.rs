//! What is printed from the stages' own descriptions and kept in files: the schema of `pipeline.toml` says what the
//! program says, and the pages in `docs/reference` are what the program prints.

mod validator;

use std::fs;
use std::path::Path;

use docmill::cli::schema;
use docmill_api::Registry;
use docmill_api::units::{parse_size, parse_span};
use serde_json::{Value, json};

use super::support;
use validator::complaints;

/// A TOML text as the value that a schema is asked about.
fn value(text: &str) -> Value {
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
    serde_json::to_value(table).expect("TOML is JSON")
}

fn wrong(registry: &Registry, text: &str) -> Vec<String> {
    complaints(&schema::document(registry), &value(text))
}

#[test]
fn pipelines_of_the_tests_are_valid_and_slips_in_them_are_not() {
    let registry = support::registry();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pipelines");
    let mut seen = 0;
    for entry in fs::read_dir(directory).expect("there are pipelines").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") && !name.ends_with(".expect.toml") {
            let text = fs::read_to_string(entry.path()).expect("readable");
            assert_eq!(wrong(&registry, &text), [] as [String; 0], "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 3, "the pipelines were not found");

    let good = support::chain("schema", 3, &[]);
    assert_eq!(wrong(&registry, &good), [] as [String; 0]);
    let slips = [
        ("inputs = [\"source\"]", "inputs = [\"source\"]\nwidht = 3", "widht"),
        ("inputs = [\"source\"]", "", "inputs"),
        ("inputs = [\"source\"]", "inputs = []", "inputs"),
        ("inputs = [\"source\"]", "inputs = [\"source\", \"source\"]", "inputs"),
        ("inputs = [\"source\"]", "inputs = [\"source\"]\ntimeout = \"30\"", "timeout"),
        ("inputs = [\"source\"]", "inputs = [\"source\"]\nqueue = 0", "queue"),
        ("inputs = [\"source\"]", "inputs = [\"source\"]\nisolation = \"process\"", "isolation"),
        ("inputs = [\"source\"]", "inputs = [\"source\"]\nwidth = \"three\"", "width"),
        ("inputs = [\"source\"]", "inputs = [\"source\"]\nwidth = { mix = 3 }", "width"),
        ("inputs = [\"source\"]", "inputs = [\"source\"]\nretry = { attempt = 3 }", "attempt"),
        ("kind = \"fake-fetch\"", "kind = \"fake-fecth\"", "kind"),
        ("kind = \"fake-fetch\"", "", "kind"),
        ("[stages.fetch]", "[stages.\"a b\"]", "a b"),
        ("memory = \"64MiB\"", "memory = \"lots\"", "memory"),
        ("memory = \"64MiB\"", "memory = -1", "memory"),
        ("cpu_threads = 2", "cpu_threads = 0", "cpu_threads"),
        ("cpu_threads = 2", "durability = \"steam\"", "durability"),
        ("[run]", "[queue]\nurll = \"x\"\n[run]", "urll"),
    ];
    for (from, to, about) in slips {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "`{from}` is not in the pipeline");
        let told = wrong(&registry, &text);
        assert!(told.iter().any(|one| one.contains(about)), "`{to}` is not complained about by name: {told:?}");
    }
}

#[test]
fn sizes_and_times_are_valid_as_the_program_reads_them() {
    let registry = support::registry();
    let schema = schema::document(&registry);
    let (size, time) = (
        json!({ "$defs": schema["$defs"], "$ref": "#/$defs/run/properties/memory" }),
        json!({ "$defs": schema["$defs"], "$ref": "#/$defs/run/properties/drain" }),
    );
    let sizes = "10MiB|10 MB|4096|1.5GiB|.5g|5.KB|2gb|3Ki|7b|10 XB|lots||MiB|1,5MiB|-1MiB|10MiBs|10MiB |1e3|0";
    for text in sizes.split('|') {
        assert_eq!(complaints(&size, &json!(text)).is_empty(), parse_size(text).is_ok(), "size `{text}`");
    }
    let times = "30s|200ms|1h 30m|1h30m|5 minutes|2days|0|3w|1M|1y|10us|10µs|9ns|1.5s| 1h ";
    for text in times.split('|') {
        assert!(parse_span(text).is_ok() && complaints(&time, &json!(text)).is_empty(), "time `{text}`");
    }
    for text in "30||s|-3s|3d4|1h 30|1,5s|.5s".split('|') {
        assert!(parse_span(text).is_err() && !complaints(&time, &json!(text)).is_empty(), "time `{text}`");
    }
}

#[test]
fn the_schema_says_what_a_field_does_and_holds_unless_set() {
    let schema = schema::document(&support::registry());
    let kind = &schema["$defs"]["kind-fake-split"];
    let queue = &kind["properties"]["queue"];
    assert_eq!((&queue["default"], &queue["minimum"], &queue["maximum"]), (&json!(50), &json!(1), &json!(100_000)));
    assert!(queue["description"].as_str().is_some_and(|doc| doc.starts_with("Capacity")), "{queue}");
    let definitions = schema["$defs"].as_object().expect("definitions").iter();
    for (name, definition) in definitions.filter(|(name, _)| *name != "stage") {
        for (field, property) in definition["properties"].as_object().expect("properties") {
            let described = property["description"].as_str().is_some_and(|doc| !doc.trim().is_empty());
            assert!(described, "`{field}` of `{name}` has no description");
        }
    }
}

#[cfg(feature = "builtin")]
mod builtin {
    use docmill::cli::{init, stages};
    use docmill::config;
    use docmill::plan::{Machine, Plan};

    use super::*;
    use crate::pipeline::mill::{DEFAULT, registry};

    /// The templates that the built-in stages can run.
    const OFFERED: [&str; 7] = ["local", "jsonl", "web", "s3", "stdin", "openai", "exec"];

    /// Set to anything, it makes these tests write the files that they look at.
    const RENEW: &str = "DOCMILL_RENEW";

    fn kept(name: &str, wanted: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
        if std::env::var_os(RENEW).is_some() {
            fs::write(&path, wanted).expect("docs/reference can be written");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "docs/reference/{name} is stale: {RENEW}=1 cargo test --test it reference:: writes it anew"
        );
    }

    #[test]
    fn the_pages_in_docs_are_what_the_program_prints() {
        kept("pipeline.schema.json", &schema::text(&registry()));
        kept("stages.md", &stages::reference(&registry()));
    }

    #[test]
    fn the_default_pipeline_is_valid_by_the_schema_and_a_slip_in_it_is_not() {
        assert_eq!(wrong(&registry(), DEFAULT), [] as [String; 0]);
        let slip = DEFAULT.replacen("overlap = 64", "overlapp = 64", 1);
        let told = wrong(&registry(), &slip);
        assert!(told.iter().any(|one| one.contains("overlapp")), "{told:?}");
    }

    #[test]
    fn every_template_that_is_offered_passes_the_check_and_the_schema() {
        let registry = registry();
        let offered: Vec<&str> = init::offered(&registry).map(|template| template.name).collect();
        assert_eq!(offered, OFFERED, "a template is offered where its kinds and fields are known");
        for template in init::offered(&registry) {
            let text = template.render("pipeline.toml", "documents");
            assert_eq!(wrong(&registry, &text), [] as [String; 0], "{}", template.name);
            let raw = config::parse("pipeline.toml", "/".into(), text, &[], std::iter::empty(), &registry);
            let planned = raw.and_then(|raw| Plan::from_raw(&raw, &registry, Machine { cpus: 2 }));
            let (_, warnings) =
                planned.unwrap_or_else(|complaints| panic!("{}: {}", template.name, config::render_all(&complaints)));
            assert!(warnings.is_empty(), "{}: {warnings:?}", template.name);
        }
    }

    #[test]
    fn every_example_of_a_kind_is_valid_by_the_schema() {
        let registry = registry();
        for kind in registry.kinds() {
            let example = registry.get(kind).expect("listed").spec().example;
            // Some show the table with its header, some without.
            let text = if example.contains("[stages.") { example.to_owned() } else { format!("[stages.x]\n{example}") };
            assert_eq!(wrong(&registry, &text), [] as [String; 0], "{kind}");
        }
    }
}
