//! The `[run]` table: what holds for the whole run.

use std::time::Duration;

use docmill_api::units::Size;
use docmill_api::{Durability, FieldSpec, FieldType};
use serde_json::{Map, Value, json};

use super::fields::{self, Checker, Scope};
use super::settings::LEAST_MEMORY;
use super::{Machine, RunSettings, codes};

/// More threads than any machine that this is built for has CPUs.
pub const MAX_THREADS: i64 = 1024;

/// The defaults of `[run]`: the weakest layer of every configuration.
#[must_use]
pub fn run_defaults() -> Value {
    json!({ "memory": "512MiB", "cpu_threads": "auto", "state": ".docmill", "durability": "process", "drain": "30s" })
}

/// Reads `[run]`. Its defaults are a layer of the configuration, so every key has a value here.
pub(super) fn read(cx: &mut Checker<'_>, machine: Machine) -> RunSettings {
    let path = vec!["run".to_owned()];
    let mut given = match cx.raw.get(&path) {
        Some(Value::Object(table)) => table.clone(),
        Some(other) => {
            let message = format!("`run` must be a table, found {}", fields::found(other));
            cx.error(codes::WRONG_TYPE, cx.raw.key(&path), message, Some("write a table `[run]`".into()));
            Map::new()
        }
        None => Map::new(),
    };
    let scope = Scope { what: "`[run]`", path: &path };
    let threads = threads(cx, &scope, given.remove("cpu_threads").as_ref(), machine);
    let checked = fields::table(cx, &scope, &run_fields(), &["cpu_threads"], &given);
    let memory = fields::size(checked.get("memory")).unwrap_or(LEAST_MEMORY);
    if memory < LEAST_MEMORY {
        let message = format!("`memory` in `[run]` must be at least {}, found {}", Size(LEAST_MEMORY), Size(memory));
        let help = "one document of ordinary size needs room to pass: \"512MiB\" is usual".to_owned();
        cx.error(codes::OUT_OF_RANGE, cx.raw.value(&scope.child("memory")), message, Some(help));
    }
    let state = checked.get("state").and_then(Value::as_str).unwrap_or_default();
    if state.trim().is_empty() && checked.contains_key("state") {
        let message = "`state` in `[run]` is empty".to_owned();
        cx.error(codes::OUT_OF_RANGE, cx.raw.value(&scope.child("state")), message, Some("name a directory".into()));
    }
    RunSettings {
        memory,
        cpu_threads: threads,
        state: cx.raw.base.join(state),
        durability: match checked.get("durability").and_then(Value::as_str) {
            Some("power") => Durability::Power,
            _ => Durability::Process,
        },
        drain: fields::duration(checked.get("drain")).unwrap_or(Duration::from_secs(30)),
    }
}

/// The fields of `[run]`, but `cpu_threads`, which is a number or `"auto"`.
#[must_use]
pub fn run_fields() -> Vec<FieldSpec> {
    let defaults = run_defaults();
    let field = |name: &'static str, ty, doc| FieldSpec::new(name, ty, defaults[name].clone(), doc);
    let durability = FieldType::Choice(&["process", "power"]);
    vec![
        field(
            "memory",
            FieldType::Size,
            "Bytes of documents in flight, all queues and stages together; at least 16MiB.",
        ),
        field("state", FieldType::Text, "The directory of what outlives a run, relative to the pipeline file."),
        field(
            "durability",
            durability,
            "What an accepted document survives: the end of the process, or a power cut as well.",
        ),
        field("drain", FieldType::Duration, "How long a stop lets work in hand finish."),
    ]
}

fn threads(cx: &mut Checker<'_>, scope: &Scope<'_>, given: Option<&Value>, machine: Machine) -> usize {
    let cpus = machine.cpus.max(1);
    match given {
        None => cpus,
        Some(Value::String(word)) if word == "auto" => cpus,
        Some(Value::Number(number)) if number.as_i64().is_some() => {
            let ty = FieldType::Integer { min: 1, max: MAX_THREADS };
            let checked =
                fields::value(cx, scope.what, &ty, &Value::Number(number.clone()), &scope.child("cpu_threads"));
            fields::integer(checked.as_ref()).unwrap_or(cpus)
        }
        Some(other) => {
            let found = fields::found(other);
            let message = format!("`cpu_threads` in `[run]` must be \"auto\" or a whole number, found {found}");
            cx.error(codes::WRONG_TYPE, cx.raw.value(&scope.child("cpu_threads")), message, None);
            cpus
        }
    }
}
