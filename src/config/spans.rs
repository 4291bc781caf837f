//! Parses the file and remembers where every key and value stands: what makes a complaint point at its cause.

use std::collections::BTreeMap;
use std::ops::Range;

use figment::value::{Dict, Value};
use toml_edit::{Item, TableLike};

use crate::plan::{Diagnostic, Diagnostics, Place, Spans, codes, locate};

/// A file's content: its values, and where each stands.
pub(super) struct Document {
    pub(super) values: Dict,
    pub(super) spans: BTreeMap<Vec<String>, Spans>,
}

/// Parses the text.
pub(super) fn parse(file: &str, text: &str) -> Result<Document, Diagnostics> {
    let parsed = toml_edit::Document::parse(text).map_err(|error| {
        let all = complaints(file, text);
        if all.iter().next().is_some() {
            return all;
        }
        // The other parser takes numbers that this one does not: what no field can hold.
        let span = error.span().unwrap_or(0..0);
        Diagnostics::new(vec![syntax(error.message(), locate(file, text, &span))])
    })?;
    let mut spans = BTreeMap::new();
    let values = table(parsed.as_table(), &mut Vec::new(), &mut spans);
    Ok(Document { values, spans })
}

fn table(table: &dyn TableLike, path: &mut Vec<String>, spans: &mut BTreeMap<Vec<String>, Spans>) -> Dict {
    let mut dict = Dict::new();
    for (name, _) in table.iter() {
        let Some((key, item)) = table.get_key_value(name) else { continue };
        let key = key.span().unwrap_or_default();
        path.push(name.to_owned());
        // A table of headers has no one place: its first header stands for it.
        let value = if item.is_value() { item.span().unwrap_or_else(|| key.clone()) } else { key.clone() };
        spans.insert(path.clone(), Spans { key, value });
        dict.insert(name.to_owned(), convert(item, path, spans));
        path.pop();
    }
    dict
}

fn convert(item: &Item, path: &mut Vec<String>, spans: &mut BTreeMap<Vec<String>, Spans>) -> Value {
    match item {
        Item::None => Value::from(false),
        Item::Value(value) => convert_value(value, path, spans),
        Item::Table(tables) => Value::from(table(tables, path, spans)),
        Item::ArrayOfTables(tables) => {
            let entries: Vec<(Option<Range<usize>>, &dyn TableLike)> =
                tables.iter().map(|entry| (entry.span(), entry as &dyn TableLike)).collect();
            items(entries, path, spans, |entry, path, spans| Value::from(table(entry, path, spans)))
        }
    }
}

fn convert_value(value: &toml_edit::Value, path: &mut Vec<String>, spans: &mut BTreeMap<Vec<String>, Spans>) -> Value {
    match value {
        toml_edit::Value::Array(array) => {
            let entries: Vec<(Option<Range<usize>>, &toml_edit::Value)> =
                array.iter().map(|entry| (entry.span(), entry)).collect();
            items(entries, path, spans, convert_value)
        }
        toml_edit::Value::InlineTable(inline) => Value::from(table(inline, path, spans)),
        scalar => self::scalar(scalar),
    }
}

fn items<T>(
    entries: Vec<(Option<Range<usize>>, T)>,
    path: &mut Vec<String>,
    spans: &mut BTreeMap<Vec<String>, Spans>,
    convert: impl Fn(T, &mut Vec<String>, &mut BTreeMap<Vec<String>, Spans>) -> Value,
) -> Value {
    let mut converted = Vec::with_capacity(entries.len());
    for (index, (span, entry)) in entries.into_iter().enumerate() {
        path.push(index.to_string());
        if let Some(span) = span {
            spans.insert(path.clone(), Spans { key: span.clone(), value: span });
        }
        converted.push(convert(entry, path, spans));
        path.pop();
    }
    Value::from(converted)
}

fn scalar(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => Value::from(text.value().as_str()),
        toml_edit::Value::Integer(number) => Value::from(*number.value()),
        toml_edit::Value::Float(number) => Value::from(*number.value()),
        toml_edit::Value::Boolean(flag) => Value::from(*flag.value()),
        // No field holds a date: it is a text that somebody forgot to quote.
        other => Value::from(other.to_string().trim()),
    }
}

/// A value outside a file: of a variable, of `--set`.
pub(super) fn loose(value: &toml_edit::Value) -> Value {
    convert_value(value, &mut Vec::new(), &mut BTreeMap::new())
}

/// Everything that is wrong with a text that is not TOML: the parser goes on after an error, and of each line its first
/// one is told, since the others follow from it.
fn complaints(file: &str, text: &str) -> Diagnostics {
    let (_, mut errors) = toml::de::DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map_or(usize::MAX, |span| span.start));
    let mut all: Vec<Diagnostic> = Vec::new();
    let mut lines: Vec<usize> = Vec::new();
    let mut repeated: Option<usize> = None;
    for error in &errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        let place = locate(file, text, &span);
        let duplicate = error.message().contains("duplicate key");
        let header = place.text.trim_start().starts_with('[');
        // Keys below a repeated header repeat because it does.
        let follows = repeated.is_some_and(|line| !text.lines().skip(line).take(place.line - line).any(is_header));
        if lines.contains(&place.line) || (duplicate && follows) {
            continue;
        }
        lines.push(place.line);
        repeated = if duplicate && header { Some(place.line) } else { repeated };
        all.push(if duplicate { repeats(text, &span, place) } else { syntax(error.message(), place) });
    }
    Diagnostics::new(all)
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

fn syntax(message: &str, place: crate::plan::Location) -> Diagnostic {
    let help = if message.contains("string values must be quoted") { "put the text in quotes" } else { SYNTAX_HELP };
    Diagnostic::error(codes::SYNTAX, Place::File(place), format!("this is not TOML: {message}")).help(help)
}

const SYNTAX_HELP: &str = "a line is `key = value` or `[table]`; texts stand in quotes, lists in brackets";

fn repeats(text: &str, span: &Range<usize>, place: crate::plan::Location) -> Diagnostic {
    let key = text.get(span.clone()).unwrap_or_default().trim().to_owned();
    let header = place.text.trim().to_owned();
    let is_stage = header.starts_with("[stages.");
    let message = match is_stage {
        true => format!("there are two stages `{key}`"),
        false => format!("`{key}` stands twice in the same table"),
    };
    let help = if is_stage { "give one of them another name" } else { "take one of them out" };
    Diagnostic::error(codes::DUPLICATE_KEY, Place::File(place), message).help(help)
}
