//! The layers of a configuration, weakest first, merged by figment, which remembers the layer that won for each value.

use std::collections::BTreeMap;
use std::ops::Range;

use docmill_api::{FieldType, Registry};
use figment::providers::Serialized;
use figment::value::{Dict, Map, Num, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde_json::Value as Json;

use super::spans::{self, Document};
use crate::plan::{Diagnostic, Origin, Place, Spans, codes, locate, run_defaults};

/// Variables begin with it. A single underscore after it is no configuration (`DOCMILL_API_KEY`); a double one parts
/// the sections.
const PREFIX: &str = "DOCMILL_";

/// What merging gives.
pub(super) struct Merged {
    pub(super) values: Json,
    pub(super) origins: BTreeMap<Vec<String>, Origin>,
    pub(super) complaints: Vec<Diagnostic>,
}

/// One layer above the defaults.
struct Layer {
    origin: &'static str,
    source: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::from(self.origin, self.source.clone())
    }
    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

const FILE: &str = "file";
const ENVIRONMENT: &str = "environment";
const SET: &str = "set";

/// Merges defaults, file, variables and settings.
pub(super) fn merge(
    document: &Document,
    file: &str,
    text: &str,
    sets: &[String],
    env: impl Iterator<Item = (String, String)>,
    registry: &Registry,
) -> Merged {
    let layer = Layer { origin: FILE, source: file.to_owned(), values: document.values.clone() };
    let mut figment = Figment::from(Serialized::default("run", run_defaults())).merge(layer);
    let mut complaints = Vec::new();
    let mut variables: Vec<(String, String)> = env.filter(|(name, _)| is_configuration(name)).collect();
    // The environment has no order of its own.
    variables.sort();
    for (name, value) in variables {
        let path = variable_path(&name, &values_of(&figment));
        let complain = |message: String| {
            Diagnostic::error(codes::BAD_SETTING, Place::Environment(name.clone()), message)
                .help("write DOCMILL_SECTION__KEY=VALUE, as DOCMILL_RUN__MEMORY=1GiB")
        };
        if path.iter().any(String::is_empty) {
            complaints.push(complain(format!("`{name}` has an empty part between its underscores")));
            continue;
        }
        match read_value(&value, &path, &values_of(&figment), registry) {
            Ok(value) => {
                let values = nest(&path, value);
                figment = figment.merge(Layer { origin: ENVIRONMENT, source: name.clone(), values });
            }
            Err(error) => complaints.push(complain(format!("the value of `{name}` is not TOML: {error}"))),
        }
    }
    for set in sets {
        match read_set(set, &values_of(&figment), registry) {
            Ok((path, value)) => {
                let values = nest(&path, value);
                figment = figment.merge(Layer { origin: SET, source: set.clone(), values });
            }
            Err(message) => complaints.push(
                Diagnostic::error(codes::BAD_SETTING, Place::Set(set.clone()), message)
                    .help("write `--set KEY=VALUE`, as `--set stages.embed.width=8`"),
            ),
        }
    }
    let mut walk = Walk { figment: &figment, spans: &document.spans, file, text, origins: BTreeMap::new() };
    let values = walk.table(&values_of(&figment), &mut Vec::new());
    Merged { values, origins: walk.origins, complaints }
}

fn values_of(figment: &Figment) -> Dict {
    // None of the layers fails: each is a dictionary that was made before.
    figment.data().ok().and_then(|mut all| all.remove(&Profile::Default)).unwrap_or_default()
}

fn nest(path: &[String], value: Value) -> Dict {
    let (first, rest) = path.split_first().map_or((String::new(), &[][..]), |(first, rest)| (first.clone(), rest));
    let value = if rest.is_empty() { value } else { Value::from(nest(rest, value)) };
    Dict::from([(first, value)])
}

fn is_configuration(name: &str) -> bool {
    // `DOCMILL__X` names no section.
    name.strip_prefix(PREFIX).is_some_and(|rest| !rest.starts_with('_') && rest.contains("__"))
}

/// The path that a variable means. Variables are upper-case with underscores, so each part is matched with the keys
/// that are there; one that matches none is taken in lower case.
fn variable_path(name: &str, values: &Dict) -> Vec<String> {
    let mut here = Some(values);
    let mut path = Vec::new();
    for part in name.trim_start_matches(PREFIX).split("__") {
        let matching = here.and_then(|table| table.keys().find(|key| as_variable(key) == part));
        let key = matching.cloned().unwrap_or_else(|| part.to_lowercase());
        here = here.and_then(|table| table.get(&key)).and_then(Value::as_dict);
        path.push(key);
    }
    path
}

fn as_variable(key: &str) -> String {
    key.chars().map(|symbol| if symbol.is_alphanumeric() { symbol.to_ascii_uppercase() } else { '_' }).collect()
}

fn read_set(set: &str, values: &Dict, registry: &Registry) -> Result<(Vec<String>, Value), String> {
    let (key, value) = set.split_once('=').ok_or_else(|| format!("`--set {set}` has no `=`"))?;
    let keys = toml_edit::Key::parse(key.trim())
        .map_err(|error| format!("`{key}` is no dotted key: {}", error.message().trim_end()))?;
    let path: Vec<String> = keys.iter().map(|key| key.get().to_owned()).collect();
    let value = read_value(value, &path, values, registry)
        .map_err(|error| format!("the value of `--set {set}` is not TOML: {error}"))?;
    Ok((path, value))
}

/// A TOML value; a text without quotes that is none stands for itself, and so does whatever is said for a field that
/// holds a text.
fn read_value(text: &str, path: &[String], values: &Dict, registry: &Registry) -> Result<Value, String> {
    let trimmed = text.trim();
    match trimmed.parse::<toml_edit::Value>() {
        Ok(value) if is_plain(&value) && holds_text(path, values, registry) => Ok(Value::from(trimmed)),
        Ok(value) => Ok(spans::loose(&value)),
        Err(error) if trimmed.starts_with(['"', '\'', '[', '{']) => Err(error.message().trim_end().to_owned()),
        Err(_) => Ok(Value::from(trimmed)),
    }
}

fn is_plain(value: &toml_edit::Value) -> bool {
    value.is_integer() || value.is_float() || value.is_bool() || value.is_datetime()
}

/// Whether the kind of the stage at `path` says that this field is a text.
fn holds_text(path: &[String], values: &Dict, registry: &Registry) -> bool {
    let [section, id, field, rest @ ..] = path else { return false };
    let table = values.get(section).and_then(Value::as_dict).and_then(|all| all.get(id)).and_then(Value::as_dict);
    let kind = table.and_then(|table| table.get("kind")).and_then(Value::as_str);
    let fields = kind.and_then(|kind| match section.as_str() {
        "stages" => Some(registry.get(kind)?.spec().fields),
        "providers" => Some(registry.service(kind)?.fields()),
        _ => None,
    });
    let Some(fields) = fields else { return false };
    let mut ty = fields.iter().find(|spec| spec.name == field).map(|spec| &spec.ty);
    for key in rest {
        ty = match ty {
            Some(FieldType::Map(of)) => Some(&**of),
            Some(FieldType::Table(fields)) => fields.iter().find(|spec| spec.name == key).map(|spec| &spec.ty),
            _ => None,
        };
    }
    matches!(ty, Some(FieldType::Text | FieldType::Choice(_) | FieldType::Provider(_)))
}

/// Turns figment's values into JSON, in the file's order, and notes who set each.
struct Walk<'a> {
    figment: &'a Figment,
    spans: &'a BTreeMap<Vec<String>, Spans>,
    file: &'a str,
    text: &'a str,
    origins: BTreeMap<Vec<String>, Origin>,
}

impl Walk<'_> {
    fn table(&mut self, dict: &Dict, path: &mut Vec<String>) -> Json {
        let mut keys: Vec<(Option<usize>, &String)> = Vec::with_capacity(dict.len());
        for key in dict.keys() {
            path.push(key.clone());
            keys.push((self.spans.get(path.as_slice()).map(|spans| spans.key.start), key));
            path.pop();
        }
        // What the file does not say comes after what it says.
        keys.sort_by_key(|(start, key)| (start.unwrap_or(usize::MAX), *key));
        let mut table = serde_json::Map::new();
        for (_, key) in keys {
            path.push(key.clone());
            let value = self.value(&dict[key], path);
            table.insert(key.clone(), value);
            path.pop();
        }
        Json::Object(table)
    }

    fn value(&mut self, value: &Value, path: &mut Vec<String>) -> Json {
        let origin = self.origin(value, path);
        self.origins.insert(path.clone(), origin);
        match value {
            Value::String(_, text) => text.clone().into(),
            Value::Char(_, symbol) => symbol.to_string().into(),
            Value::Bool(_, flag) => (*flag).into(),
            Value::Num(_, Num::F64(number)) => serde_json::Number::from_f64(*number)
                // `nan` and `inf` are TOML, and no field takes them: as texts they are complained about as written.
                .map_or_else(|| Json::from(number.to_string()), Json::Number),
            Value::Num(_, number) => number.to_i128().and_then(|number| i64::try_from(number).ok()).into(),
            Value::Empty(..) => Json::Null,
            Value::Dict(_, dict) => self.table(dict, path),
            Value::Array(_, items) => {
                let mut converted = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    converted.push(self.value(item, path));
                    path.pop();
                }
                Json::Array(converted)
            }
        }
    }

    fn origin(&self, value: &Value, path: &[String]) -> Origin {
        let in_file = self.spans.get(path).map(|spans| self.in_file(&spans.key));
        // A table that the file has and a variable adds to is still the file's.
        if let (Value::Dict(..), Some(origin)) = (value, &in_file) {
            return origin.clone();
        }
        let Some(metadata) = self.figment.get_metadata(value.tag()) else { return Origin::Default };
        let source = metadata.source.as_ref().and_then(figment::Source::custom).unwrap_or_default().to_owned();
        match &*metadata.name {
            FILE => in_file.unwrap_or(Origin::Default),
            ENVIRONMENT => Origin::Env { name: source },
            SET => Origin::Set { text: source },
            _ => Origin::Default,
        }
    }

    fn in_file(&self, span: &Range<usize>) -> Origin {
        let place = locate(self.file, self.text, span);
        Origin::File { line: place.line, column: place.column }
    }
}
