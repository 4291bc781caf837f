//! Reads one stage's table: its kind, the engine's keys, its own. The graph is not looked at yet.

use std::sync::Arc;

use docmill_api::{ErasedFactory, FieldSpec, Ports, Registry, StageSpec};
use serde_json::{Map, Value};

use super::fields::{self, Checker, Scope};
use super::providers::Providers;
use super::raw::{Origin, dotted};
use super::settings::{self, Settings};
use super::{Machine, Role, codes};

/// What a stage id may be long: it stands in tables, metrics and file names.
pub const MAX_ID: usize = 64;

/// A stage before the graph is checked. What could not be read is `None`, after a complaint.
pub(super) struct Draft {
    pub(super) id: String,
    pub(super) path: Vec<String>,
    pub(super) kind: Option<Kind>,
    /// Names, as written, with the path of each.
    pub(super) inputs: Vec<(String, Vec<String>)>,
    /// Whether `inputs` is there and is a list of texts.
    pub(super) inputs_read: bool,
}

/// What is known of a stage whose kind is known.
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) factory: Arc<dyn ErasedFactory>,
    pub(super) spec: StageSpec,
    /// What it takes and gives as configured; all that its kind may, where its configuration is not readable.
    pub(super) ports: Ports,
    pub(super) settings: Settings,
    /// Its own fields, defaults filled in; `None` after a complaint about one of them.
    pub(super) config: Option<Value>,
    /// The table in `[providers]` that it names.
    pub(super) provider: Option<String>,
}

impl Draft {
    pub(super) fn role(&self) -> Option<Role> {
        self.kind.as_ref().map(|kind| settings::role(&kind.spec))
    }
}

/// Reads the table of stage `id`.
pub(super) fn read(
    cx: &mut Checker<'_>,
    id: &str,
    table: &Value,
    (registry, providers): (&Registry, &Providers),
    machine: Machine,
) -> Draft {
    let path = vec!["stages".to_owned(), id.to_owned()];
    let what = format!("stage `{id}`");
    let mut draft = Draft { id: id.to_owned(), path, kind: None, inputs: Vec::new(), inputs_read: true };
    check_id(cx, &draft);
    let Value::Object(given) = table else {
        let message = format!("{what} must be a table, found {}", fields::found(table));
        cx.error(codes::WRONG_TYPE, cx.raw.key(&draft.path), message, Some(format!("write `[stages.{id}]`")));
        draft.inputs_read = false;
        return draft;
    };
    let path = draft.path.clone();
    let scope = Scope { what: &what, path: &path };
    read_inputs(cx, &scope, given.get("inputs"), &mut draft);
    let Some((name, factory)) = find_kind(cx, &scope, given.get("kind"), registry) else { return draft };
    let (given, provider) = providers.merged(given, |table| factory.spec_for(table).fields);
    let spec = factory.spec_for(&given);
    let settings = settings::read(cx, &scope, &given, &spec, machine);
    let config = own_fields(cx, &scope, &given, &spec, factory.as_ref());
    let ports = config.as_ref().map_or_else(|| Ports::of(&spec), |config| factory.ports(config));
    draft.kind = Some(Kind { name, factory, spec, ports, settings, config, provider });
    draft
}

/// Whether a text may name a stage or a provider.
pub(super) fn is_name(name: &str) -> bool {
    let usable = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '-' || symbol == '_';
    (1..=MAX_ID).contains(&name.len()) && name.chars().all(usable)
}

fn check_id(cx: &mut Checker<'_>, draft: &Draft) {
    let id = &draft.id;
    if !is_name(id) {
        let message = format!("`{id}` cannot be the name of a stage");
        let help = format!("use letters, digits, `-` and `_`, {MAX_ID} at most");
        cx.error(codes::BAD_NAME, cx.raw.key(&draft.path), message, Some(help));
    }
}

fn find_kind(
    cx: &mut Checker<'_>,
    scope: &Scope<'_>,
    given: Option<&Value>,
    registry: &Registry,
) -> Option<(String, Arc<dyn ErasedFactory>)> {
    let kinds: Vec<&str> = registry.kinds().collect();
    match given {
        None => {
            let message = format!("{} has no `kind`", scope.what);
            let own = scope.path.last().map_or("", String::as_str);
            // A variable or `--set` that names no stage of the file is a slip in the name, not a stage to be.
            let meant = match cx.raw.origin(scope.path) {
                Origin::Env { .. } | Origin::Set { .. } => fields::nearest(own, &stages_of_file(cx)),
                Origin::Default | Origin::File { .. } => None,
            };
            let help = match fields::nearest(own, &kinds) {
                _ if meant.is_some() => format!("did you mean `stages.{}`?", meant.unwrap_or_default()),
                Some(kind) => format!("add `kind = \"{kind}\"`"),
                None => format!("add `kind = \"…\"`, one of {}", fields::list(&kinds, ", ")),
            };
            cx.error(codes::NO_KIND, cx.raw.key(scope.path), message, Some(help));
            None
        }
        Some(Value::String(kind)) => match registry.get(kind) {
            Some(factory) => Some((kind.clone(), Arc::clone(factory))),
            None => {
                let message = format!("unknown kind `{kind}` in {}", scope.what);
                let help = fields::nearest_or_list(kind, &kinds);
                cx.error(codes::UNKNOWN_KIND, cx.raw.value(&scope.child("kind")), message, help);
                None
            }
        },
        Some(other) => {
            let message = format!("`kind` in {} must be a text, found {}", scope.what, fields::found(other));
            cx.error(codes::WRONG_TYPE, cx.raw.value(&scope.child("kind")), message, None);
            None
        }
    }
}

fn stages_of_file<'a>(cx: &Checker<'a>) -> Vec<&'a str> {
    let stages = cx.raw.values.get("stages").and_then(Value::as_object);
    let in_file = |id: &&String| {
        let path = ["stages".to_owned(), (*id).clone()];
        matches!(cx.raw.origin(&path), Origin::File { .. })
    };
    stages.into_iter().flat_map(Map::keys).filter(in_file).map(String::as_str).collect()
}

fn read_inputs(cx: &mut Checker<'_>, scope: &Scope<'_>, given: Option<&Value>, draft: &mut Draft) {
    let path = scope.child("inputs");
    let wrong = |cx: &mut Checker<'_>, path: &[String], found: &Value| {
        let message =
            format!("`inputs` in {} must be a list of stage names, found {}", scope.what, fields::found(found));
        let help = found.as_str().map(|name| format!("put it in brackets: inputs = [\"{name}\"]"));
        cx.error(codes::WRONG_TYPE, cx.raw.value(path), message, help);
    };
    match given {
        None => {}
        Some(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                let path = fields::child(&path, &index.to_string());
                match item.as_str() {
                    Some(name) => draft.inputs.push((name.to_owned(), path)),
                    None => {
                        wrong(cx, &path, item);
                        draft.inputs_read = false;
                    }
                }
            }
        }
        Some(other) => {
            wrong(cx, &path, other);
            draft.inputs_read = false;
        }
    }
}

/// Checks a stage's own fields by its spec, then by its factory.
fn own_fields(
    cx: &mut Checker<'_>,
    scope: &Scope<'_>,
    given: &Map<String, Value>,
    spec: &StageSpec,
    factory: &dyn ErasedFactory,
) -> Option<Value> {
    let before = cx.found.len();
    let own: Map<String, Value> = given
        .iter()
        .filter(|(key, _)| !settings::KEYS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let known = known_keys(spec);
    let config = Value::Object(fields::table(cx, scope, &spec.fields, &known, &own));
    if cx.found.len() > before {
        return None;
    }
    for issue in factory.validate(&config) {
        // A decoder writes the position in a list as `[2]`; the spans know it as `2`.
        let keys = issue.path.iter().map(|key| key.trim_start_matches('[').trim_end_matches(']').to_owned());
        let path: Vec<String> = scope.path.iter().cloned().chain(keys).collect();
        let message = match issue.path.is_empty() {
            true => format!("{}: {}", scope.what, issue.message),
            false => format!("`{}` in {}: {}", dotted(&issue.path), scope.what, issue.message),
        };
        cx.error(codes::REFUSED, cx.raw.value(&path), message, issue.hint);
    }
    (cx.found.len() == before).then_some(config)
}

/// The engine's keys that make sense to propose for this kind.
fn known_keys(spec: &StageSpec) -> Vec<&'static str> {
    settings::engine_fields(spec).iter().map(|field| field.name).collect()
}

/// The stage's own fields as `pipeline.toml` would say them: what is set as it was written, the rest by default.
#[must_use]
pub(super) fn written(fields: &[FieldSpec], given: Option<&Value>) -> Map<String, Value> {
    let mut all = Map::new();
    for field in fields {
        let set = given.and_then(|table| table.get(field.name));
        let value = match (&field.ty, set, &field.default) {
            (docmill_api::FieldType::Table(nested), Some(Value::Object(_)), default) => {
                let mut table = default.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
                table.extend(written(nested, set));
                Some(Value::Object(table))
            }
            (_, Some(set), _) => Some(set.clone()),
            (_, None, default) => default.clone(),
        };
        if let Some(value) = value.filter(|value| !value.is_null()) {
            all.insert(field.name.to_owned(), value);
        }
    }
    all
}
