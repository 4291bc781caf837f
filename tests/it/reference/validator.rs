//! As much of a JSON Schema validator as docmill's schema needs. A keyword that it does not know is a panic, so that
//! none is passed over. (A whole validator would bring a feature of serde_json's with it that LanceDB is then built with.)

use serde_json::{Map, Value};

/// What only tells, and allows or refuses nothing.
const TELLS: [&str; 6] = ["$schema", "$defs", "title", "description", "default", "examples"];

/// Every complaint about a value, each with its path.
pub(super) fn complaints(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(schema, schema, value, "", &mut found);
    found
}

fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let mut found = Vec::new();
    look(root, schema, value, "", &mut found);
    found.is_empty()
}

fn look(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let rules = match schema {
        Value::Bool(allowed) => {
            if !allowed {
                found.push(format!("{at}: nothing may stand here"));
            }
            return;
        }
        Value::Object(rules) => rules,
        other => panic!("no schema: {other}"),
    };
    for (keyword, rule) in rules {
        if !TELLS.contains(&keyword.as_str()) {
            apply(root, rules, (keyword, rule), value, at, found);
        }
    }
}

fn apply(
    root: &Value,
    rules: &Map<String, Value>,
    (keyword, rule): (&str, &Value),
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) {
    let all = |schemas: &Value| schemas.as_array().expect("a list of schemas").clone();
    let mut refuse = |refused: bool| {
        if refused {
            found.push(format!("{at}: {value} is refused by {keyword} {rule}"));
        }
    };
    match (keyword, value) {
        ("$ref", _) => {
            let target =
                rule.as_str().and_then(|name| root.pointer(name.trim_start_matches('#'))).expect("it is there");
            look(root, target, value, at, found);
        }
        ("type", _) => refuse(!of_type(rule, value)),
        ("const", _) => refuse(rule != value),
        ("enum", _) => refuse(!all(rule).contains(value)),
        ("anyOf", _) => refuse(!all(rule).iter().any(|schema| fits(root, schema, value))),
        ("oneOf", _) => one_of(root, &all(rule), value, at, found),
        ("minimum", Value::Number(number)) => refuse(number.as_f64() < rule.as_f64()),
        ("maximum", Value::Number(number)) => refuse(number.as_f64() > rule.as_f64()),
        ("pattern", Value::String(text)) => {
            let pattern = regex_lite::Regex::new(rule.as_str().expect("a pattern")).expect("a pattern that is one");
            refuse(!pattern.is_match(text));
        }
        ("minLength", Value::String(text)) => refuse((text.chars().count() as u64) < rule.as_u64().expect("a length")),
        ("minItems", Value::Array(items)) => refuse((items.len() as u64) < rule.as_u64().expect("a length")),
        ("uniqueItems", Value::Array(items)) => {
            refuse(items.iter().enumerate().any(|(index, item)| items[..index].contains(item)));
        }
        ("items", Value::Array(items)) => {
            items.iter().enumerate().for_each(|(index, item)| look(root, rule, item, &format!("{at}/{index}"), found));
        }
        (_, Value::Object(table)) => of_table(root, rules, (keyword, rule), table, at, found),
        ("minimum" | "maximum" | "pattern" | "minLength" | "minItems" | "uniqueItems" | "items", _)
        | ("required" | "minProperties" | "propertyNames" | "properties" | "additionalProperties", _) => {}
        _ => panic!("an unknown keyword: {keyword}"),
    }
}

/// Where none fits, the complaints are those of the one that is nearest.
fn one_of(root: &Value, schemas: &[Value], value: &Value, at: &str, found: &mut Vec<String>) {
    let told = |schema: &Value| {
        let mut found = Vec::new();
        look(root, schema, value, at, &mut found);
        found
    };
    let all: Vec<Vec<String>> = schemas.iter().map(told).collect();
    match all.iter().filter(|found| found.is_empty()).count() {
        1 => {}
        0 => found.extend(all.into_iter().min_by_key(Vec::len).unwrap_or_default()),
        several => found.push(format!("{at}: {several} alternatives fit")),
    }
}

fn of_table(
    root: &Value,
    rules: &Map<String, Value>,
    (keyword, rule): (&str, &Value),
    table: &Map<String, Value>,
    at: &str,
    found: &mut Vec<String>,
) {
    match keyword {
        "required" => {
            for key in rule.as_array().expect("names").iter().filter_map(Value::as_str) {
                if !table.contains_key(key) {
                    found.push(format!("{at}: `{key}` is missing"));
                }
            }
        }
        "minProperties" => {
            if (table.len() as u64) < rule.as_u64().expect("a number") {
                found.push(format!("{at}: too few keys"));
            }
        }
        "propertyNames" => {
            table.keys().for_each(|key| look(root, rule, &Value::from(key.as_str()), &format!("{at}/{key}"), found));
        }
        "properties" => {
            for (key, schema) in rule.as_object().expect("properties") {
                if let Some(value) = table.get(key) {
                    look(root, schema, value, &format!("{at}/{key}"), found);
                }
            }
        }
        "additionalProperties" => {
            let known = rules.get("properties").and_then(Value::as_object);
            for (key, value) in table.iter().filter(|(key, _)| !known.is_some_and(|known| known.contains_key(*key))) {
                look(root, rule, value, &format!("{at}/{key}"), found);
            }
        }
        "minimum" | "maximum" | "pattern" | "minLength" | "minItems" | "uniqueItems" | "items" => {}
        _ => panic!("an unknown keyword: {keyword}"),
    }
}

fn of_type(rule: &Value, value: &Value) -> bool {
    if let Value::Array(types) = rule {
        return types.iter().any(|one| of_type(one, value));
    }
    match rule.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("an unknown type: {other}"),
    }
}
