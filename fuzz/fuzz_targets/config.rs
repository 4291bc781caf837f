//! Any text as `pipeline.toml`, through configuration and plan: nobody panics, every complaint stands at a place that the
//! file has, and a plan that is made can be printed and read again as the same pipeline.
//!
//! A line that begins with `#! set ` or `#! env ` is a comment of the file, and what follows it a `--set` or a variable.

#![no_main]

use std::sync::LazyLock;

use docmill::config::{self, Diagnostics, Place};
use docmill::plan::{self, Machine, Plan, codes};
use docmill_api::Registry;
use libfuzzer_sys::fuzz_target;

static REGISTRY: LazyLock<Registry> = LazyLock::new(docmill_fuzz::registry);

const MACHINE: Machine = Machine { cpus: 4 };

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let said = |mark: &str| text.lines().filter_map(|line| line.strip_prefix(mark).map(str::to_owned)).collect();
    let sets: Vec<String> = said("#! set ");
    let variables: Vec<String> = said("#! env ");
    let env = variables.iter().filter_map(|line| line.split_once('='));
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let raw = match config::parse("a.toml", "/".into(), text.clone().into_owned(), &sets, env, &REGISTRY) {
        Ok(raw) => raw,
        Err(found) => {
            assert!(found.has_errors(), "a refusal without a reason");
            return check(&found, &text);
        }
    };
    for path in raw.spans.keys() {
        let keys = toml_edit::Key::parse(&plan::dotted(path)).expect("a path is written as TOML has it");
        assert!(keys.iter().map(toml_edit::Key::get).eq(path.iter()), "{path:?} reads as another path");
    }
    match Plan::from_raw(&raw, &REGISTRY, MACHINE) {
        Ok((plan, warnings)) => {
            check(&Diagnostics::new(warnings), &text);
            _ = plan::bound(&plan);
            same_again(&plan, &plan::resolved(&raw, &plan, &REGISTRY));
        }
        Err(found) => {
            assert!(found.has_errors(), "a refusal without a reason");
            check(&found, &text);
        }
    }
});

/// Draws all complaints, and finds the place of each in the text.
fn check(found: &Diagnostics, text: &str) {
    _ = (config::render_all(found), config::to_json(found).to_string(), found.to_string());
    for one in found {
        let Place::File(at) = &one.place else {
            let whole = matches!(one.place, Place::Whole(_));
            let of_none = matches!(one.code, codes::NO_STAGES | codes::NO_SOURCE | codes::NO_SINK);
            assert!(!whole || of_none, "{} has no place: {}", one.code, one.message);
            continue;
        };
        let line = text.split('\n').nth(at.line - 1).unwrap_or_else(|| panic!("no line {} in the file", at.line));
        let line = line.trim_end_matches('\r').trim_start_matches('\u{feff}');
        assert_eq!(at.text, line, "line {}", at.line);
        let length = line.chars().count();
        assert!(at.column >= 1 && at.length >= 1 && at.column <= length + 1, "{at:?}");
        assert!(at.column + at.length <= length.max(at.column) + 1, "{at:?}");
    }
}

/// What `docmill config` prints of a plan is that plan.
fn same_again(plan: &Plan, printed: &serde_json::Value) {
    let text = toml::to_string(printed).expect("what was read can be written");
    let raw = config::parse("a.toml", "/".into(), text.clone(), &[], std::iter::empty(), &REGISTRY)
        .unwrap_or_else(|found| panic!("{found}\n{text}"));
    match Plan::from_raw(&raw, &REGISTRY, MACHINE) {
        Ok((again, _)) => assert_eq!(again.fingerprint, plan.fingerprint, "{text}"),
        Err(found) => panic!("{found}\n{text}"),
    }
}
