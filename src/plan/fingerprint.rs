//! What of a configuration makes other rows, as a hash. Turning a width, a queue or a timeout changes nothing here, so
//! it ingests nothing again.

use std::collections::BTreeMap;

use docmill_api::{Digest, FieldSpec, FieldType};
use serde_json::{Map, Value};

/// What a stage's fingerprint is made of.
pub(super) struct Parts<'a> {
    pub(super) kind: &'a str,
    pub(super) revision: u32,
    pub(super) fields: &'a [FieldSpec],
    pub(super) config: &'a Value,
    pub(super) resolved: &'a BTreeMap<String, String>,
    /// Which documents pass through the stage at all: it changes the rows although it is the engine's key.
    pub(super) accept: &'a [String],
    pub(super) inputs: Vec<Digest>,
}

/// The fingerprint of a stage and all before it.
pub(super) fn stage(parts: Parts<'_>) -> Digest {
    let fields = canonical(&Value::Object(changing(parts.fields, parts.config)));
    let resolved = canonical(&serde_json::json!(parts.resolved));
    let mut accept = parts.accept.to_vec();
    accept.sort();
    let mut inputs = parts.inputs;
    inputs.sort();
    let revision = parts.revision.to_le_bytes();
    let accept = accept.join("\n");
    let mut bytes: Vec<&[u8]> =
        vec![parts.kind.as_bytes(), &revision, fields.as_bytes(), resolved.as_bytes(), accept.as_bytes()];
    bytes.extend(inputs.iter().map(|input| input.as_bytes().as_slice()));
    Digest::of(&bytes)
}

/// The fingerprint of a pipeline: of all its sinks, in no order.
pub(super) fn pipeline(mut sinks: Vec<Digest>) -> Digest {
    sinks.sort();
    let bytes: Vec<&[u8]> = sinks.iter().map(|sink| sink.as_bytes().as_slice()).collect();
    Digest::of(&bytes)
}

/// The part of a configuration that changes the output: whole fields that say so, and of tables that do not the
/// fields inside that do.
fn changing(fields: &[FieldSpec], config: &Value) -> Map<String, Value> {
    let mut part = Map::new();
    for field in fields {
        let Some(value) = config.get(field.name) else { continue };
        let kept = if field.changes_output { Some(value.clone()) } else { inside(&field.ty, value) };
        if let Some(kept) = kept {
            part.insert(field.name.to_owned(), kept);
        }
    }
    part
}

fn inside(ty: &FieldType, value: &Value) -> Option<Value> {
    let part = match (ty, value) {
        (FieldType::Table(fields), Value::Object(_)) => changing(fields, value),
        (FieldType::Map(of), Value::Object(entries)) => {
            entries.iter().filter_map(|(key, entry)| Some((key.clone(), inside(of, entry)?))).collect()
        }
        _ => return None,
    };
    (!part.is_empty()).then_some(Value::Object(part))
}

/// JSON with sorted keys, so that the order of a file is no part of it.
fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(table) => {
                let ordered: BTreeMap<&String, Value> = table.iter().map(|(key, value)| (key, sorted(value))).collect();
                Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), value)).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}
