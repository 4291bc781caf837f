//! `docmill schema`: the JSON Schema of `pipeline.toml`, printed from what the stages and the engine say of themselves.
//!
//! An editor completes and checks the file by it while it is written. It knows a file's shape, not its graph: what
//! `docmill check` accepts is valid by it, but not the other way round.

use std::io::Write;

use docmill_api::{FieldSpec, FieldType, Registry, StageSpec};
use serde_json::{Map, Value, json};

use crate::plan::{self, MAX_ID, MAX_THREADS, MAX_WIDTH, Role};

/// Prints the JSON Schema of pipeline.toml.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "\
Editors with taplo or tombi complete and check a pipeline whose first line names the schema:

  docmill schema > pipeline.schema.json
  sed -i '1i #:schema ./pipeline.schema.json' pipeline.toml

`docmill init` writes both files.")]
pub struct Args {}

/// The title by which a file is known to be this schema.
pub const TITLE: &str = "docmill pipeline";

/// A size as a text: a number and a unit, as `docmill_api::units` reads it.
const SIZE: &str = r"^([0-9]+|([0-9]+\.?[0-9]*|\.[0-9]+)\s*([bB]|[kKmMgGtTpPeE][iI]?[bB]?))$";

/// A time as a text: numbers with units. Which words are units is left to the program: editors show the pattern.
const SPAN: &str = r"^(0|\s*([0-9]+(\.[0-9]+)?\s*[A-Za-zµ]+\s*)+)$";

/// Writes the schema to `out`.
///
/// # Errors
/// `out` cannot be written.
pub fn run(_args: &Args, registry: &Registry, out: &mut dyn Write) -> anyhow::Result<u8> {
    write!(out, "{}", text(registry))?;
    Ok(0)
}

/// The schema as it is printed and kept in files.
#[must_use]
pub fn text(registry: &Registry) -> String {
    format!("{:#}\n", document(registry))
}

/// The schema for the kinds of a registry.
#[must_use]
pub fn document(registry: &Registry) -> Value {
    let specs: Vec<(&str, StageSpec)> =
        registry.kinds().filter_map(|kind| Some((kind, registry.get(kind)?.spec()))).collect();
    let mut definitions = Map::new();
    definitions.insert("run".into(), run_table());
    definitions.insert("stage".into(), stage(&specs));
    for (kind, spec) in &specs {
        definitions.insert(name_of(kind), of_kind(kind, spec));
    }
    let services: Vec<Value> = registry.services().filter_map(|kind| of_service(registry, kind)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": TITLE,
        "description": "What docmill does with documents: stages, and what holds for a whole run. `docmill check` looks at the graph as well.",
        "type": "object",
        "properties": {
            "run": { "$ref": "#/$defs/run" },
            "providers": {
                "description": "Model services by name: a stage names one with `provider`.",
                "type": "object",
                "propertyNames": { "pattern": id_pattern() },
                "additionalProperties": { "oneOf": services },
            },
            "ask": ask_table(registry),
            "serve": serve_table(),
            "queue": table(&plan::queue_fields(), "Several machines share the pipeline: the queue that hands out its documents."),
            "blobs": table(&plan::blobs_fields(), "Where bytes and vectors lie between machines that share the pipeline."),
            "ui": ui_table(),
            "stages": {
                "description": "The stages by name. The order does not matter: `inputs` says who reads whom.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": { "pattern": id_pattern() },
                "additionalProperties": { "$ref": "#/$defs/stage" },
            },
        },
        "required": ["stages"],
        "additionalProperties": false,
        "$defs": definitions,
    })
}

fn id_pattern() -> String {
    format!("^[A-Za-z0-9_-]{{1,{MAX_ID}}}$")
}

fn name_of(kind: &str) -> String {
    format!("kind-{kind}")
}

/// A stage is what its `kind` says. As alternatives told apart by a constant: tombi completes, explains and complains
/// field by field through them, and of `if` and `then` it takes the complaints alone.
fn stage(specs: &[(&str, StageSpec)]) -> Value {
    let by_kind: Vec<Value> =
        specs.iter().map(|(kind, _)| json!({ "$ref": format!("#/$defs/{}", name_of(kind)) })).collect();
    json!({ "oneOf": by_kind })
}

fn of_kind(kind: &str, spec: &StageSpec) -> Value {
    let mut properties = Map::new();
    properties.insert("kind".into(), json!({ "description": spec.summary, "type": "string", "const": kind }));
    let mut required = vec!["kind"];
    let role = plan::role(spec);
    if role != Role::Source {
        required.push("inputs");
        let id = json!({ "type": "string", "pattern": id_pattern() });
        let inputs = json!({
            "description": "The stages that it reads.", "type": "array", "items": id, "minItems": 1, "uniqueItems": true,
        });
        properties.insert("inputs".into(), inputs);
    }
    for field in &spec.fields {
        properties.insert(field.name.into(), property(field));
        if field.default.is_none() {
            required.push(field.name);
        }
    }
    let docs = plan::engine_fields(spec);
    let doc = |name: &str| docs.iter().find(|field| field.name == name).map_or("", |field| field.doc);
    for field in plan::engine_specs(spec) {
        let mut schema = property(&field);
        // A key that its kind has no use for is warned of, not refused.
        let told = if doc(field.name).is_empty() { "Has no effect here." } else { doc(field.name) };
        schema["description"] = sentence(told).into();
        properties.insert(field.name.into(), schema);
    }
    let width = if role == Role::Stage { sentence(doc("width")) } else { "Has no effect here.".to_owned() };
    properties.insert("width".into(), self::width(&width));
    json!({
        "title": format!("{kind} stage"),
        "description": spec.summary,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn sentence(doc: &str) -> String {
    let mut letters = doc.chars();
    let start = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let stop = if doc.ends_with('.') || doc.is_empty() { "" } else { "." };
    format!("{start}{}{stop}", letters.as_str())
}

fn property(field: &FieldSpec) -> Value {
    let mut schema = of_type(&field.ty);
    let Some(table) = schema.as_object_mut() else { return schema };
    let effect = if field.changes_output { " Another value gives other rows: documents are done again." } else { "" };
    let doc = format!("{}{effect}", sentence(field.doc));
    if !doc.is_empty() {
        table.insert("description".into(), doc.into());
    }
    if let Some(default) = field.default.as_ref().filter(|default| !default.is_null()) {
        table.insert("default".into(), default.clone());
    }
    schema
}

fn of_type(ty: &FieldType) -> Value {
    match ty {
        FieldType::Bool => json!({ "type": "boolean" }),
        FieldType::Integer { min, max } if *max == i64::MAX => json!({ "type": "integer", "minimum": min }),
        FieldType::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        FieldType::Number { min, max } if *max == f64::MAX => json!({ "type": "number", "minimum": min }),
        FieldType::Number { min, max } => json!({ "type": "number", "minimum": min, "maximum": max }),
        FieldType::Text => json!({ "type": "string" }),
        // The name of a table in `[providers]` as well, which a schema cannot know.
        FieldType::Provider(words) => json!({ "type": "string", "examples": words }),
        FieldType::Choice(words) => json!({ "type": "string", "enum": words }),
        // One schema of two types, since what is said of numbers holds for numbers alone.
        FieldType::Size => {
            json!({ "type": ["string", "integer"], "minimum": 0, "pattern": SIZE, "examples": ["10MiB"] })
        }
        FieldType::Duration => json!({ "type": "string", "pattern": SPAN, "examples": ["30s", "200ms"] }),
        FieldType::List(of) => json!({ "type": "array", "items": of_type(of) }),
        FieldType::Table(fields) => of_table(fields),
        FieldType::Map(of) => json!({ "type": "object", "additionalProperties": of_type(of) }),
        // A type that the contract gained after this was written: the program's own check is the one that counts.
        _ => json!({}),
    }
}

fn of_table(fields: &[FieldSpec]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.default.is_none()).map(|field| field.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if let (Some(table), false) = (schema.as_object_mut(), required.is_empty()) {
        table.insert("required".into(), required.into());
    }
    schema
}

fn width(description: &str) -> Value {
    let count = json!({ "type": "integer", "minimum": 1, "maximum": MAX_WIDTH });
    json!({
        "description": description,
        "anyOf": [
            count,
            { "const": "auto" },
            { "type": "object", "properties": { "min": count, "max": count }, "additionalProperties": false },
        ],
    })
}

/// A table in `[providers]` of one kind.
fn of_service(registry: &Registry, kind: &str) -> Option<Value> {
    let service = registry.service(kind)?;
    let mut schema = of_table(&service.fields());
    schema["description"] = service.summary().into();
    schema["properties"]["kind"] = json!({ "description": service.summary(), "type": "string", "const": kind });
    schema["required"] = json!(["kind"]);
    Some(schema)
}

/// Who answers questions: a provider by name, or the fields of a service.
fn ask_table(registry: &Registry) -> Value {
    let mut fields = plan::ask_fields(registry);
    fields.extend(registry.services().filter_map(|kind| registry.service(kind)).flat_map(|service| service.fields()));
    let mut schema = of_table(&fields);
    schema["description"] = "Who answers `docmill ask`.".into();
    schema
}

fn table(fields: &[docmill_api::FieldSpec], description: &str) -> Value {
    let mut schema = of_table(fields);
    schema["description"] = description.into();
    schema
}

fn serve_table() -> Value {
    let mut schema = of_table(&plan::serve_fields());
    schema["description"] = "How the pipeline is offered over HTTP.".into();
    schema
}

fn ui_table() -> Value {
    let mut schema = of_table(&plan::ui_fields());
    schema["description"] = "How a run is shown.".into();
    schema
}

fn run_table() -> Value {
    let mut schema = of_table(&plan::run_fields());
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let threads = json!({
            "description": "Threads of the CPU pool; \"auto\" is the number of CPUs that the process may use.",
            "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1, "maximum": MAX_THREADS }],
            "default": "auto",
        });
        properties.insert("cpu_threads".into(), threads);
        if let Some(state) = properties.get_mut("state") {
            state["minLength"] = json!(1);
        }
    }
    schema["description"] = "What holds for a whole run.".into();
    schema
}
