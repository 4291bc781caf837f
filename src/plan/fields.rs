//! Checks a table against field specs: unknown keys, types, bounds, what is missing; and fills the defaults in.
//!
//! It serves the stages' own fields and the engine's alike, so both are refused in the same words.

use docmill_api::units::{Size, Span, parse_size, parse_span};
use docmill_api::{FieldSpec, FieldType};
use serde_json::{Map, Value};

use super::codes;
use super::diagnostic::{Diagnostic, Place};
use super::raw::RawPipeline;

/// Collects complaints while the configuration is walked.
pub(super) struct Checker<'a> {
    pub(super) raw: &'a RawPipeline,
    pub(super) found: Vec<Diagnostic>,
    /// The tables in `[providers]`, by name, once they are read.
    pub(super) providers: Vec<String>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(raw: &'a RawPipeline) -> Self {
        Self { raw, found: Vec::new(), providers: Vec::new() }
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(diagnostic);
    }

    pub(super) fn error(&mut self, code: &'static str, place: Place, message: impl Into<String>, help: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, place, message);
        diagnostic.help = help;
        self.push(diagnostic);
    }
}

/// The table at `path`, called `what` in complaints.
pub(super) struct Scope<'a> {
    pub(super) what: &'a str,
    pub(super) path: &'a [String],
}

impl Scope<'_> {
    pub(super) fn child(&self, key: &str) -> Vec<String> {
        let mut path = self.path.to_vec();
        path.push(key.to_owned());
        path
    }
}

/// Checks `given` against `fields` and returns it with all defaults in, sizes in bytes and times in one spelling, so
/// that two ways to write one value are one configuration. Keys in `others` are somebody else's.
pub(super) fn table(
    cx: &mut Checker<'_>,
    scope: &Scope<'_>,
    fields: &[FieldSpec],
    others: &[&str],
    given: &Map<String, Value>,
) -> Map<String, Value> {
    for key in given.keys().filter(|key| !others.contains(&key.as_str())) {
        if !fields.iter().any(|field| field.name == key) {
            let known: Vec<&str> = fields.iter().map(|field| field.name).chain(others.iter().copied()).collect();
            let message = format!("unknown key `{key}` in {}", scope.what);
            let help = nearest_or_list(key, &known);
            cx.error(codes::UNKNOWN_KEY, cx.raw.key(&scope.child(key)), message, help);
        }
    }
    let mut filled = Map::new();
    for field in fields {
        let path = scope.child(field.name);
        let value = match (given.get(field.name), &field.default) {
            (Some(value), _) => {
                let value = with_default_table(value, field);
                self::value(cx, scope.what, &field.ty, &value, &path)
            }
            (None, Some(default)) => Some(complete(&field.ty, default)),
            (None, None) => {
                let message = format!("`{}` is missing in {}", field.name, scope.what);
                let help = format!("set it to {}: {}", field.ty.describe(), field.doc);
                cx.error(codes::MISSING_KEY, cx.raw.key(&path), message, Some(help));
                None
            }
        };
        if let Some(value) = value {
            filled.insert(field.name.to_owned(), value);
        }
    }
    filled
}

/// A table given in part keeps the rest of the default table.
fn with_default_table(value: &Value, field: &FieldSpec) -> Value {
    match (&field.ty, value, &field.default) {
        (FieldType::Table(_), Value::Object(given), Some(Value::Object(default))) => {
            let mut whole = default.clone();
            whole.extend(given.iter().map(|(key, value)| (key.clone(), value.clone())));
            Value::Object(whole)
        }
        _ => value.clone(),
    }
}

/// Checks one value; `None` after a complaint.
pub(super) fn value(cx: &mut Checker<'_>, what: &str, ty: &FieldType, given: &Value, path: &[String]) -> Option<Value> {
    match (ty, given) {
        // TOML has no null: it can only be a default that says "unset".
        (_, Value::Null) => Some(Value::Null),
        (FieldType::List(of), Value::Array(items)) => {
            let checked: Vec<Option<Value>> = items
                .iter()
                .enumerate()
                .map(|(index, item)| value(cx, what, of, item, &child(path, &index.to_string())))
                .collect();
            checked.into_iter().collect::<Option<Vec<Value>>>().map(Value::Array)
        }
        (FieldType::Map(of), Value::Object(entries)) => {
            let mut checked = Map::new();
            let before = cx.found.len();
            for (key, entry) in entries {
                if let Some(entry) = value(cx, what, of, entry, &child(path, key)) {
                    checked.insert(key.clone(), entry);
                }
            }
            (cx.found.len() == before).then_some(Value::Object(checked))
        }
        (FieldType::Table(fields), Value::Object(given)) => {
            let before = cx.found.len();
            let name = format!("`{}` of {what}", path.last().map_or("", String::as_str));
            let checked = without_nulls(table(cx, &Scope { what: &name, path }, fields, &[], given));
            (cx.found.len() == before).then_some(Value::Object(checked))
        }
        _ => match scalar(ty, given) {
            Ok(value) => Some(value),
            Err((code, help)) => {
                let help = help.or_else(|| provider_meant(ty, given, &cx.providers));
                let name = name_of(cx.raw, path);
                let message = format!("{name} in {what} must be {}, found {}", ty.describe(), found(given));
                cx.error(code, cx.raw.value(path), message, help);
                None
            }
        },
    }
}

/// A list's item is called by its list; a table may have numbers for keys, too.
fn name_of(raw: &RawPipeline, path: &[String]) -> String {
    let Some((name, of)) = path.split_last() else { return String::new() };
    match (raw.get(of), name.parse::<usize>(), of.last()) {
        (Some(Value::Array(_)), Ok(index), Some(list)) => format!("item {} of `{list}`", index + 1),
        _ => format!("`{name}`"),
    }
}

fn scalar(ty: &FieldType, given: &Value) -> Result<Value, (&'static str, Option<String>)> {
    let wrong = |help: Option<String>| Err((codes::WRONG_TYPE, help));
    match (ty, given) {
        (FieldType::Bool, Value::Bool(_)) | (FieldType::Text, Value::String(_)) => Ok(given.clone()),
        (FieldType::Integer { min, max }, Value::Number(number)) => match number.as_i64() {
            Some(number) if (*min..=*max).contains(&number) => Ok(given.clone()),
            Some(_) => Err((codes::OUT_OF_RANGE, None)),
            None => wrong(None),
        },
        (FieldType::Integer { .. }, Value::String(text)) if text.parse::<i64>().is_ok() => {
            wrong(Some(format!("write it without quotes: `{text}`")))
        }
        (FieldType::Choice(words), Value::String(text)) if words.contains(&text.as_str()) => Ok(given.clone()),
        (FieldType::Provider(words), Value::String(text)) if words.contains(&text.as_str()) => Ok(given.clone()),
        (FieldType::Number { min, max }, Value::Number(number)) => match number.as_f64() {
            Some(number) if (*min..=*max).contains(&number) => Ok(number.into()),
            _ => Err((codes::OUT_OF_RANGE, None)),
        },
        (FieldType::Choice(words), Value::String(text)) => {
            wrong(nearest(text, words).map(|word| format!("did you mean \"{word}\"?")))
        }
        (FieldType::Size, Value::Number(number)) => match number.as_u64() {
            Some(bytes) => Ok(bytes.into()),
            None => wrong(None),
        },
        (FieldType::Size, Value::String(text)) => match parse_size(text) {
            Ok(Size(bytes)) => Ok(bytes.into()),
            Err(_) => wrong(Some("write a number and a unit: \"512KiB\", \"10MiB\", \"2GB\"".into())),
        },
        (FieldType::Duration, Value::String(text)) => match parse_span(text) {
            Ok(span) => Ok(span.to_string().into()),
            Err(_) => wrong(Some("write a number and a unit: \"200ms\", \"30s\", \"5m\"".into())),
        },
        (FieldType::Duration, Value::Number(number)) => wrong(Some(format!("write it with a unit: \"{number}s\""))),
        (FieldType::List(of), Value::String(text)) if matches!(**of, FieldType::Text | FieldType::Choice(_)) => {
            wrong(Some(format!("put it in brackets: [\"{text}\"]")))
        }
        (
            FieldType::Bool
            | FieldType::Integer { .. }
            | FieldType::Number { .. }
            | FieldType::Text
            | FieldType::Choice(_)
            | FieldType::Provider(_)
            | FieldType::Size
            | FieldType::Duration
            | FieldType::List(_)
            | FieldType::Table(_)
            | FieldType::Map(_),
            _,
        ) => wrong(None),
        // Anything goes, or a type that the contract gained after this was written: the stage's own decoding checks it.
        _ => Ok(given.clone()),
    }
}

/// The provider that was probably meant, of the kinds that may be named and the tables that there are.
fn provider_meant(ty: &FieldType, given: &Value, tables: &[String]) -> Option<String> {
    let FieldType::Provider(words) = ty else { return None };
    let names: Vec<&str> = words.iter().copied().chain(tables.iter().map(String::as_str)).collect();
    nearest_or_list(given.as_str()?, &names)
}

/// A default in the same spelling as a given value, nested defaults filled in.
fn complete(ty: &FieldType, default: &Value) -> Value {
    match (ty, default) {
        (FieldType::Table(fields), Value::Object(given)) => {
            let mut whole = Map::new();
            for field in fields {
                if let Some(value) = given.get(field.name).or(field.default.as_ref()) {
                    whole.insert(field.name.to_owned(), complete(&field.ty, value));
                }
            }
            Value::Object(without_nulls(whole))
        }
        (FieldType::Map(of), Value::Object(entries)) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), complete(of, value))).collect())
        }
        (FieldType::List(of), Value::Array(items)) => {
            Value::Array(items.iter().map(|item| complete(of, item)).collect())
        }
        _ => scalar(ty, default).unwrap_or_else(|_| default.clone()),
    }
}

/// A nested field that is unset is absent: a stage then sees its own idea of absence, with or without `Option`.
fn without_nulls(table: Map<String, Value>) -> Map<String, Value> {
    table.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

pub(super) fn child(path: &[String], key: &str) -> Vec<String> {
    Scope { what: "", path }.child(key)
}

/// What a complaint calls a value that it found.
pub(super) fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) | Value::Number(_) => format!("`{value}`"),
        Value::String(text) if text.chars().count() > 60 => {
            format!("\"{}…\"", text.chars().take(60).collect::<String>())
        }
        Value::String(text) => format!("\"{text}\""),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a table".into(),
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let begins = |other: &str| name.len() >= 3 && (other.starts_with(&name) || name.starts_with(other));
    let likeness = |other: &str| match strsim::normalized_damerau_levenshtein(&name, other) {
        // A word cut short, or one that says more.
        likeness if begins(other) => likeness.max(0.6),
        likeness => likeness,
    };
    known
        .iter()
        .map(|other| (likeness(other), *other))
        // Three letters of five: a slip or two, not another word.
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, other)| other)
}

/// `did you mean …?`, or all names; `None` where there is none.
#[must_use]
pub fn nearest_or_list(name: &str, known: &[&str]) -> Option<String> {
    if let Some(other) = nearest(name, known) {
        return Some(format!("did you mean `{other}`?"));
    }
    (!known.is_empty()).then(|| format!("known: {}", list(known, ", ")))
}

/// Names in backticks.
pub(super) fn list<S: AsRef<str>>(names: &[S], separator: &str) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(separator)
}

/// Reads a checked size.
pub(super) fn size(value: Option<&Value>) -> Option<u64> {
    value.and_then(Value::as_u64)
}

/// Reads a checked time.
pub(super) fn duration(value: Option<&Value>) -> Option<std::time::Duration> {
    value.and_then(Value::as_str).and_then(|text| parse_span(text).ok()).map(|Span(time)| time)
}

/// Reads a checked whole number.
pub(super) fn integer<T: TryFrom<u64>>(value: Option<&Value>) -> Option<T> {
    value.and_then(Value::as_u64).and_then(|number| T::try_from(number).ok())
}
